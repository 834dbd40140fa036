"""Simple augmentation of texts: words of a real text dropped and swapped (Wei 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.encoders.sentences import SentenceEncoder
from codsa.errors import CodsaError
from codsa.generators.base import Modality
from codsa.generators.tables.bootstrap import Bootstrap
from codsa.io import array_columns
from codsa.io.seeds import child, rng
from codsa.settings.types import Share


class TextNoise(Bootstrap):
    """Draw real rows of the region again, with some words dropped and some neighbours swapped.

    Parameters
    ----------
    drop, swap : float
        The share of words that are dropped, and of neighbouring pairs that are swapped; one word is left at the least.
    encoder : str, optional
        The sentence encoder by which the changed texts are embedded; needed where embeddings are the feature. Elsewhere
        they keep the embedding of the text that they were made from.
    """

    modality: ClassVar[Modality] = "texts"

    def __init__(self, *, drop: Share = 0.1, swap: Share = 0.1, encoder: str | None = None) -> None:
        self.drop, self.swap = drop, swap
        self.encoder = None if encoder is None else SentenceEncoder(encoder)

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the rows (see `Generator.fit`)."""
        if not schema.texts:
            raise CodsaError("text-noise: the data model no text; declare its column as feature or attribute")
        for column in schema.columns:
            if column.role == "feature" and column.is_text_embedding:
                self._check(column.name, column.encoder)
        return super().fit(rows, regions, schema, stream, checkpoint_dir, pretrained)

    def _check(self, name: str, digest: str | None) -> None:
        if self.encoder is None:
            raise CodsaError(f"text-noise: '{name}' is a feature, so changed texts are embedded; give encoder")
        if self.encoder.digest != digest:
            raise CodsaError(f"text-noise: {self.encoder.name_or_path} is not the encoder of '{name}'; give that one")

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        rows, random = super().sample(region, count, stream), rng(child(stream, "words"))
        for name in self.schema.texts:
            rows[name] = pd.Series([self._changed(text, random) for text in rows[name]], dtype="str")
        for column in self.schema.modelled:
            if column.is_text_embedding and column.of in self.schema.texts and self.encoder is not None:
                rows[column.name] = array_columns.column("vector", self.encoder.encode(rows[str(column.of)].tolist()))
        return rows

    def _changed(self, text: str, random: np.random.Generator) -> str:
        words = np.array(text.split(), dtype=object)
        is_kept = random.uniform(size=len(words)) >= self.drop
        is_kept[random.integers(len(words))] = True
        words = words[is_kept]
        for i in np.flatnonzero(random.uniform(size=len(words) - 1) < self.swap):
            words[[i, i + 1]] = words[[i + 1, i]]
        return " ".join(words)
