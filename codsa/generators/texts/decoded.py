"""A generator of embeddings with a decoder behind it: rows with texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from codsa.data.chunks import chunks
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.generators.base import Generator, Modality
from codsa.generators.tables.source_rows import with_source
from codsa.generators.texts.decoders import Decoder, Decoding, load_decoder, make_decoder
from codsa.io import array_columns
from codsa.settings.registry import check_settings
from codsa.settings.types import Count, PositiveInt


class DecodedTextGenerator(Generator):
    """Draw embeddings by `core`, and decode them into the text that they stand for.

    Where no text is modelled (its column is ignored) there is nothing to decode.

    Parameters
    ----------
    decoder : {'none', 'nearest', 'vec2text'}
        nearest: the text of S_g (or of the source rows that join it) in the same region whose embedding is nearest;
        vec2text: by inversion.
    inverter : str, optional
        For vec2text: a folder written by `codsa train-inverter`, or the inversion model's folder or hub name.
    corrector : str, optional
        For vec2text: the correction model's folder or hub name; a folder of `codsa train-inverter` holds its own.
    encoder : str, optional
        For vec2text: the sentence encoder, by folder or hub name, by which corrections are judged.
    correct_steps, beam : int
        For vec2text: rounds of correction, and hypotheses that are kept in each.
    **settings
        Those of `core`.
    """

    modality: ClassVar[Modality] = "texts"
    core: ClassVar[type[Generator]]
    label: ClassVar[str]

    def __init__(
        self,
        *,
        decoder: Literal["none", "nearest", "vec2text"] = "none",
        inverter: str | None = None,
        corrector: str | None = None,
        encoder: str | None = None,
        correct_steps: Count = 0,
        beam: PositiveInt = 1,
        **settings: Any,
    ) -> None:
        check_settings("generator", self.label, self.core, settings)
        self.decoding = Decoding(decoder, inverter, corrector, encoder=encoder, steps=correct_steps, beam=beam)
        self.inner = self.core(**settings)
        self.decoder: Decoder | None = None
        self.slow = self.decoding.name == "vec2text"
        if self.slow:
            self.block = SLOW_BLOCK_ROWS

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Fit the core on all but the texts, and the decoder on S_g (see `Generator.fit`)."""
        self.schema = schema
        vector = embedding_of(schema)
        rows, regions, pretrained = with_source(rows, regions, schema, pretrained)
        if schema.texts:
            self.decoder = make_decoder(
                self.decoding, rows[schema.texts[0]], rows[vector], regions=regions, schema=schema
            )
        elif self.decoding.name != "none":
            raise CodsaError(f"decoder '{self.decoding.name}': the data model no text; declare its column as attribute")
        inner = schema.without_texts
        self.inner.fit(rows[[c.name for c in inner.modelled]], regions, inner, stream, checkpoint_dir, pretrained)
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        return pd.concat(self.sample_chunks(region, count, stream), ignore_index=True)

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw rows of one region, as many at a time as are decoded together (see `Generator.sample_chunks`)."""
        for rows in self.inner.sample_chunks(region, count, stream):
            if self.decoder is None:
                yield rows
                continue
            for part in chunks(len(rows), self.decoder.chunk_rows):
                yield self._with_texts(rows.iloc[part], self.decoder, region)

    def _with_texts(self, rows: pd.DataFrame, decoder: Decoder, region: int) -> pd.DataFrame:
        """Return rows with the texts that their embeddings stand for, in the schema's order of columns."""
        vectors = array_columns.arrays(rows[embedding_of(self.schema)])
        texts = pd.Series(decoder.decode(vectors, region), index=rows.index, dtype="str")
        return rows.assign(**{self.schema.texts[0]: texts})[[column.name for column in self.schema.modelled]]

    def save(self, folder: Path) -> None:
        """Write core and decoder (see `Generator.save`)."""
        self.inner.save(folder)
        if self.decoder is not None:
            self.decoder.save(folder)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = cls(**settings)
        generator.schema = schema
        own = {name: value for name, value in settings.items() if name not in DECODING}
        generator.inner = cls.core.load(folder, schema.without_texts, own)
        if schema.texts:
            generator.decoder = load_decoder(generator.decoding, folder, schema)
        return generator


SLOW_BLOCK_ROWS = 64
"""Rows of a block where each is inverted, which is slow."""
DECODING = ("decoder", "inverter", "corrector", "encoder", "correct_steps", "beam")


def embedding_of(schema: Schema) -> str:
    """Return the name of the modelled column of embeddings, or raise a `CodsaError`."""
    if schema.embedding is None:
        raise CodsaError("the data have no embeddings to generate; prepare them with an encoder (--encoder)")
    return schema.embedding.name
