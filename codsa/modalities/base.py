"""What a modality answers to the stages; another one is a subclass and a line in the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema

Space = Callable[[pd.DataFrame], np.ndarray]
"""From n rows to n points, ndarray of shape (n, d), between which distances mean something."""


@dataclass(frozen=True)
class Comparison:
    """One region's synthetic rows beside real ones, all with the modelled columns.

    Attributes
    ----------
    synthetic : DataFrame
    test : DataFrame
        Real rows that nothing was fitted on.
    training : DataFrame
        The rows of S_g.
    """

    synthetic: pd.DataFrame
    test: pd.DataFrame
    training: pd.DataFrame


class Modality:
    """A kind of data: how its values are checked, compared and shown.

    Every method has an answer that adds nothing, so that a modality says what it has to say and no more.

    Parameters
    ----------
    schema : Schema
    encoder : str, optional
        A sentence encoder, for modalities whose generated values can be embedded again.
    """

    name: ClassVar[str] = ""

    def __init__(self, schema: Schema, encoder: str | None = None) -> None:
        self.schema = schema

    @classmethod
    def takes_encoder(cls, schema: Schema) -> bool:
        """Say whether an encoder has a use for such data."""
        return False

    @staticmethod
    def in_bounds(values: pd.Series, column: Column) -> np.ndarray:
        """Say which values a column can hold, ndarray of bool, shape (n,)."""
        raise NotImplementedError

    def space(self, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
        """Fit the space in which rows of this kind are compared; None: another modality's serves as well."""
        return None

    def figures_of_points(self, synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Return further figures of two samples of points, each of shape (n, d)."""
        return {}

    def quality(self, comparison: Comparison) -> dict[str, float]:
        """Return figures of the values themselves."""
        return {}

    def panel(self, comparison: Comparison) -> dict[str, Any]:
        """Return pictures to look at, as PNG in base64 by their kind."""
        return {}

    def examples(self, comparison: Comparison) -> dict[str, list[str]]:
        """Return texts to read, by their kind."""
        return {}
