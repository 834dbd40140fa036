"""From embeddings to words: the nearest real text, or inversion."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema
from codsa.encoders.sentences import SentenceEncoder
from codsa.encoders.similarity import CHUNK_ROWS, nearest_rows
from codsa.errors import CodsaError, check_choice
from codsa.io import array_columns
from codsa.io.records import read_as, write_json
from codsa.io.tables import read_parquet, write_parquet

log = logging.getLogger(__name__)

NAMES = ("none", "nearest", "vec2text")
INVERTED_ROWS = 16
"""Embeddings that are inverted together on a CPU; on a GPU as many as the inversion takes, which takes no longer."""


@dataclass(frozen=True)
class Decoding:
    """Which decoder, and its settings (see `codsa.generators.texts.decoded.DecodedTextGenerator`)."""

    name: str = "none"
    inverter: str | None = None
    corrector: str | None = None
    encoder: str | None = None
    steps: int = 0
    beam: int = 1

    def __post_init__(self) -> None:
        check_choice("decoder", self.name, NAMES)
        if self.steps < 0 or self.beam < 1:
            raise CodsaError(f"decoder: correct_steps = {self.steps}, beam = {self.beam}; they start at 0 and 1")
        if (self.name == "vec2text") != (self.inverter is not None):
            raise CodsaError("decoder: vec2text needs inverter (a folder or hub name), and no other decoder takes one")
        if self.steps and self.encoder is None:
            raise CodsaError("decoder: corrections are judged by the sentence encoder; give it as encoder")


@dataclass(frozen=True)
class DecoderRecord:
    """What `decoder.json` holds: the digest of the models."""

    models: str


class Decoder(ABC):
    """Turns embeddings into texts.

    Attributes
    ----------
    chunk_rows : int
        Embeddings of a pool that are decoded together, however many are asked.
    """

    chunk_rows = CHUNK_ROWS

    @abstractmethod
    def decode(self, vectors: np.ndarray, region: int) -> list[str]:
        """Return a text for each embedding of a region, ndarray of float32, shape (n, d)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load_decoder` needs into the generator's folder."""


class Nearest(Decoder):
    """The text of S_g, in the same region, whose embedding is nearest.

    Parameters
    ----------
    texts : Series of n str
    vectors : ndarray of float32, shape (n, d)
    regions : ndarray of int64, shape (n,)
    """

    def __init__(self, texts: pd.Series, vectors: np.ndarray, regions: np.ndarray) -> None:
        self.texts, self.vectors, self.regions = texts.to_numpy(dtype=object), vectors, np.asarray(regions)

    def decode(self, vectors: np.ndarray, region: int) -> list[str]:
        """Return the nearest texts (see `Decoder.decode`)."""
        members = np.flatnonzero(self.regions == region)
        own = self.vectors[members]
        return [str(text) for text in self.texts[members[nearest_rows(vectors, own)]]]

    def save(self, folder: Path) -> None:
        """Write texts, embeddings and regions."""
        vectors = array_columns.column("vector", self.vectors)
        texts = pd.Series(self.texts, dtype="str")
        write_parquet(folder / "nearest.parquet", pd.DataFrame({"text": texts, "v": vectors, "region": self.regions}))

    @classmethod
    def load(cls, folder: Path) -> Nearest:
        """Read what `save` wrote."""
        rows = read_parquet(folder / "nearest.parquet")
        vectors = array_columns.arrays(array_columns.read(rows["v"], "vector", None, "v"))
        return cls(rows["text"], vectors, rows["region"].to_numpy())


class Inversion(Decoder):
    """vec2text's inversion, and correction where steps are asked for (Morris 2023).

    Parameters
    ----------
    decoding : Decoding
    dimension : int
        Of the embeddings.
    encoder : str, optional
        The digest of the encoder that the embeddings are of.
    """

    def __init__(self, decoding: Decoding, dimension: int, encoder: str | None) -> None:
        from codsa.generators.texts.inversion import BATCH, load_inverter

        assert decoding.inverter is not None
        self.models = load_inverter(
            decoding.inverter, decoding.corrector if decoding.steps else None, decoding.steps > 0
        )
        self.decoding = decoding
        self.chunk_rows = INVERTED_ROWS if self.models.device.type == "cpu" else BATCH
        if self.models.dimension != dimension:
            raise CodsaError(
                f"{decoding.inverter}: inverts embeddings of {self.models.dimension} dimensions, and the data's have "
                f"{dimension}; take the encoder that the inverter was trained for, or train one (codsa train-inverter)"
            )
        made_for = self.models.encoder
        if made_for is not None and encoder is not None and made_for != encoder:
            raise CodsaError(f"{decoding.inverter}: trained for another encoder than the data's; train one for it")
        self.round_trip_encoder = SentenceEncoder(decoding.encoder) if decoding.steps and decoding.encoder else None
        if self.round_trip_encoder is not None and encoder is not None and self.round_trip_encoder.digest != encoder:
            raise CodsaError(f"{decoding.encoder}: not the encoder that the data's embeddings are of; give that one")

    def decode(self, vectors: np.ndarray, region: int) -> list[str]:
        """Return inverted texts (see `Decoder.decode`)."""
        from codsa.generators.texts.inversion import invert

        return invert(self.models, vectors, self.round_trip_encoder, steps=self.decoding.steps, beam=self.decoding.beam)

    def save(self, folder: Path) -> None:
        """Write the digest of the models, which stay where they are."""
        write_json(folder / "decoder.json", {"models": self.models.digest})


def make_decoder(
    decoding: Decoding, texts: pd.Series, vectors: pd.Series, regions: np.ndarray, schema: Schema
) -> Decoder:
    """Return the decoder for rows of S_g."""
    if decoding.name == "none":
        raise CodsaError(
            f"the data model the text '{texts.name}', and the decoder is none; give decoder nearest or vec2text, or "
            "declare the column as ignored to study embeddings alone"
        )
    if decoding.name == "nearest":
        return Nearest(texts, array_columns.arrays(vectors), regions)
    return Inversion(decoding, *_dimension_and_encoder(schema.column(str(vectors.name))))


def load_decoder(decoding: Decoding, folder: Path, schema: Schema) -> Decoder:
    """Read the decoder of a generator's folder."""
    if decoding.name == "nearest":
        return Nearest.load(folder)
    assert schema.embedding is not None
    decoder = Inversion(decoding, *_dimension_and_encoder(schema.embedding))
    if decoder.models.digest != read_as(folder / "decoder.json", DecoderRecord).models:
        raise CodsaError(f"{decoding.inverter}: not the models that the generator was made with; train it again")
    return decoder


def _dimension_and_encoder(column: Column) -> tuple[int, str | None]:
    """Return the dimension of a column of embeddings, and the digest of its encoder."""
    assert column.shape is not None
    return column.shape[0], column.encoder
