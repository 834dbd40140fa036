"""The interface of a modality to the stages; a new modality is a subclass and a line of the registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema

Space = Callable[[pd.DataFrame], np.ndarray]
"""Maps n rows to n points, ndarray of shape (n, d), whose Euclidean distances are meaningful."""


@dataclass(frozen=True)
class Comparison:
    """One region's synthetic rows beside real ones, all with the modelled columns.

    Attributes
    ----------
    synthetic : DataFrame
        Generated rows.
    test : DataFrame
        Real rows on which nothing was fitted.
    training : DataFrame
        The rows of S_g.
    """

    synthetic: pd.DataFrame
    test: pd.DataFrame
    training: pd.DataFrame


class Modality(ABC):
    """A kind of data: how its values are checked, compared and shown.

    Every method but `in_bounds` has a default that adds nothing, so that a modality overrides only what it needs.

    Parameters
    ----------
    schema : Schema
    encoder : str, optional
        A sentence encoder's folder or name, for modalities whose generated values can be embedded again.
    """

    name: ClassVar[str] = ""

    def __init__(self, schema: Schema, encoder: str | None = None) -> None:
        self.schema = schema

    @classmethod
    def uses_encoder(cls, schema: Schema) -> bool:
        """Say whether a sentence encoder is used for data of this schema."""
        return False

    @staticmethod
    @abstractmethod
    def in_bounds(values: pd.Series, column: Column) -> np.ndarray:
        """Say which values are valid in a column, ndarray of bool, shape (n,)."""

    def space(self, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
        """Fit the space in which rows are compared; None where another modality's space is used."""
        return None

    def sample_metrics(self, synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Return further metrics of two samples of points in the space, each of shape (n, d)."""
        return {}

    def quality(self, comparison: Comparison) -> dict[str, float]:
        """Return metrics of the values themselves."""
        return {}

    def panel(self, comparison: Comparison) -> dict[str, Any]:
        """Return example images by kind, as PNG in base64."""
        return {}

    def examples(self, comparison: Comparison) -> dict[str, list[str]]:
        """Return example texts by kind."""
        return {}
