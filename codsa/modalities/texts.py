"""Texts, and the vectors that embed them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema
from codsa.modalities.arrays import array_metrics, array_space, is_finite
from codsa.modalities.base import Comparison, Modality, Space

if TYPE_CHECKING:
    from codsa.encoders.sentences import SentenceEncoder


class Texts(Modality):
    """Columns of texts and of their embeddings; embeddings are compared by principal components."""

    name = "texts"

    def __init__(self, schema: Schema, encoder: str | None = None) -> None:
        super().__init__(schema)
        self.encoder_name = encoder

    @classmethod
    def uses_encoder(cls, schema: Schema) -> bool:
        """Say whether a text is modelled together with its embedding."""
        from codsa.diagnostics.texts import embedding_of_text

        return embedding_of_text(schema) is not None

    @cached_property
    def encoder(self) -> SentenceEncoder | None:
        """The encoder with which generated texts are embedded again."""
        from codsa.encoders.sentences import SentenceEncoder

        return None if self.encoder_name is None else SentenceEncoder(self.encoder_name)

    @staticmethod
    def in_bounds(values: pd.Series, column: Column) -> np.ndarray:
        """Say which texts hold a word, or which vectors finite numbers only, ndarray of bool."""
        return is_finite(values) if column.is_array else values.str.strip().ne("").to_numpy(dtype=bool)

    def space(self, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
        """Fit principal components of the embeddings; None for texts without any."""
        return array_space(self.schema, rows, random)

    def sample_metrics(self, synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Return the Fréchet distance, precision, recall, density and coverage."""
        return array_metrics(synthetic, test)

    def quality(self, comparison: Comparison) -> dict[str, float]:
        """Return diversity, copies and round trip of the texts (see `codsa.diagnostics.texts`)."""
        from codsa.diagnostics.texts import text_quality

        return text_quality(
            comparison.synthetic,
            comparison.test,
            comparison.training,
            schema=self.schema,
            encoder=self.encoder,
        )

    def examples(self, comparison: Comparison) -> dict[str, list[str]]:
        """Return real and generated texts, and the text of S_g nearest to each generated one."""
        from codsa.diagnostics.texts import text_examples

        return text_examples(comparison.synthetic, comparison.test, comparison.training, self.schema)
