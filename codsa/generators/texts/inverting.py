"""The folder of an inverter: which texts it learns from, and its record."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.dataset import Dataset
from codsa.encoders.sentences import SentenceEncoder, embed
from codsa.errors import CodsaError, suggest
from codsa.generators.texts.training import train_inverter
from codsa.io import checkpoints
from codsa.io.artifacts import folder_output, new_folder
from codsa.io.digests import digest
from codsa.io.manifests import write_manifest
from codsa.io.names import INVERTER, MANIFEST
from codsa.io.seeds import SeedContext
from codsa.io.tables import read_parquet
from codsa.readers.clean_texts import clean, pieces
from codsa.readers.datasets import local_file
from codsa.readers.places import holds_images
from codsa.readers.tables import read_table
from codsa.readers.texts import near_theirs
from codsa.settings.registry import check_settings
from codsa.settings.texts import TextOptions

log = logging.getLogger(__name__)

GIVEN = ("texts", "encoder", "vectors", "folder", "stream", "checkpoint_dir")
"""What `train_inverter` is given beside its settings."""


@dataclass(frozen=True)
class Corpus:
    """Which texts an inverter learns from.

    Attributes
    ----------
    tables : sequence of str
        Paths or URLs.
    data : Path, optional
        A dataset's folder, instead of tables.
    column : str
        Holds the texts.
    sha256 : str, optional
        Of the only table.
    words : int, optional
        Longer texts are cut into pieces of whole sentences, of at most this many words.
    exclude_near : Path, optional
        A dataset's folder: texts and pieces that are nearly one of its texts are left out.
    """

    tables: Sequence[str] = ()
    data: Path | None = None
    column: str = "text"
    sha256: str | None = None
    words: int | None = None
    exclude_near: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.tables) == (self.data is not None):
            raise CodsaError("give either tables of texts or --data, a dataset's folder")
        if self.sha256 is not None and len(self.tables) != 1:
            raise CodsaError(f"--sha256 is the checksum of one table, and here are {len(self.tables)}")
        if self.words is not None and self.words < 1:
            raise CodsaError(f"--words {self.words}; a piece has one word at the least")


def read_own(corpus: Corpus, downloads: Path) -> tuple[list[str], dict[str, str]]:
    """Return the texts of tables or of a dataset, each once, and their digest for the manifest."""
    if corpus.data is not None:
        columns = [_column(read_parquet(corpus.data / "rows.parquet"), corpus.column, corpus.data)]
    else:
        columns = [_column(_table(table, corpus.sha256, downloads), corpus.column, table) for table in corpus.tables]
    options = TextOptions(column=corpus.column, on_unreadable="skip")
    texts = clean(pd.concat(columns, ignore_index=True), options)[0]
    if corpus.words is not None:
        texts = pd.Series([piece for text in texts for piece in pieces(text, corpus.words)])
    texts = texts.drop_duplicates()
    if corpus.exclude_near is not None:
        near = near_theirs(texts.tolist(), corpus.column, corpus.exclude_near, options.similarity_threshold)
        log.info("%d of %d texts left out: nearly one of %s", near.sum(), len(near), corpus.exclude_near)
        texts = texts[~near]
    return texts.tolist(), {"texts": digest(texts.tolist())}


def _table(source: str, sha256: str | None, downloads: Path) -> pd.DataFrame:
    path = local_file(source, sha256, downloads)
    if holds_images(path):
        raise CodsaError(f"{source}: holds images; give a table of texts")
    return read_table(path, sha256)


def _column(table: pd.DataFrame, name: str, place: str | Path) -> pd.Series:
    if name not in table:
        raise CodsaError(f"{place}: no column '{name}'; {suggest(name, map(str, table.columns))}")
    return table[name]


def write_inverter(
    folder: Path,
    texts: list[str],
    encoder: str,
    cache: Path,
    settings: Mapping[str, Any],
    seeds: SeedContext,
    inputs: Mapping[str, str],
) -> dict[str, float]:
    """Train an inverter and write its folder, whole or not at all.

    Parameters
    ----------
    settings : mapping
        Keyword arguments of `codsa.generators.texts.training.train_inverter`.

    Returns
    -------
    dict
        What was measured on held-out texts.
    """
    check_settings("train-inverter", "inverter", train_inverter, settings=settings, filled=GIVEN)
    model = SentenceEncoder(encoder)
    inputs = {**inputs, "encoder": model.digest}
    parameters = {"settings": dict(settings), "seed": seeds.seed}
    folder_output(folder, INVERTER)
    with (
        checkpoints.checkpoint_dir(folder, inputs, parameters) as checkpoint_dir,
        new_folder(folder, INVERTER) as staged,
    ):
        vectors = embed(model, texts, cache)
        measures = train_inverter(texts, model, vectors, staged, seeds.stream("inverter"), checkpoint_dir, **settings)
        write_manifest(staged / MANIFEST, INVERTER, inputs, parameters)
    return measures


def inverter_of(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Train an inverter on a source set's texts (`codsa-train-gen --pretrain inverter`); `encoder` is a setting."""
    own = {key: value for key, value in settings.items() if key != "encoder"}
    check_settings("pretrained", "inverter", train_inverter, settings=own, filled=GIVEN)
    columns = [c for c in source.schema.columns if c.is_text_embedding]
    if not columns or "encoder" not in settings:
        raise CodsaError(
            "inverter: the source set needs embeddings of its texts, and the setting encoder names the model"
        )
    model = SentenceEncoder(str(settings["encoder"]))
    if model.digest != columns[0].encoder:
        raise CodsaError(f"inverter: {settings['encoder']} is not the encoder of the source set; give that one")
    from codsa.io.array_columns import arrays

    rows = source.rows.drop_duplicates(str(columns[0].of))
    texts, vectors = rows[str(columns[0].of)].tolist(), arrays(rows[columns[0].name])
    train_inverter(texts, model, vectors, folder, stream, checkpoint_dir, **own)
