"""Ways to bring numbers to about unit scale, and back; each is a class and an entry of `SCALINGS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from scipy.special import ndtr, ndtri

QUANTILES = 1000
"""Knots of an empirical distribution function, at most."""
MAX_ABS = 1e100
"""Squares of larger numbers may overflow."""


class Scaling(Protocol):
    """A monotone map of numbers to scores and back, fitted on present numbers, whose decoded numbers are bounded."""

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Fit to at least one finite number, ndarray of float64, shape (n,)."""
        ...

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return finite scores of about zero mean and unit variance."""
        ...

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers between the least and the greatest that were fitted."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted values."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` returned."""
        ...


@dataclass
class NormalScore:
    """The normal quantile of the empirical distribution function.

    It is robust to heavy tails and point masses, and decoded numbers lie within the range of the fitted ones. A value
    with a point mass gets the score at the middle of its jump.

    Attributes
    ----------
    levels, values : ndarray of shape (number of knots,)
        The distribution function: values at increasing probabilities.
    count : int
        The number of fitted values.
    """

    levels: np.ndarray
    values: np.ndarray
    count: int

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Compute the empirical distribution function."""
        levels = np.linspace(0.0, 1.0, min(QUANTILES, max(len(numbers), 2)))
        return cls(levels, np.maximum.accumulate(np.quantile(numbers, levels)), len(numbers))

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return normal scores, ndarray of float64, shape (n,)."""
        edge = 0.5 / self.count
        probability = (self._probability(numbers, "left") + self._probability(numbers, "right")) / 2
        return np.asarray(ndtri(edge + (1 - 2 * edge) * probability))

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers from scores, ndarray of float64, shape (n,)."""
        edge = 0.5 / self.count
        probability = np.clip((ndtr(scores) - edge) / max(1 - 2 * edge, 1e-9), 0.0, 1.0)
        return np.clip(np.interp(probability, self.levels, self.values), self.values[0], self.values[-1])

    def _probability(self, numbers: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        """Return the distribution function just below ('left') or at ('right') numbers."""
        j = np.clip(np.searchsorted(self.values, numbers, side=side), 1, len(self.values) - 1)
        low, gap = self.values[j - 1], self.values[j] - self.values[j - 1]
        flat = gap <= 0  # only at the ends: all of the jump lies to one side
        fraction = np.where(flat, float(side == "right"), (numbers - low) / np.where(flat, 1.0, gap))
        return self.levels[j - 1] + np.clip(fraction, 0.0, 1.0) * (self.levels[j] - self.levels[j - 1])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted values."""
        return {"values": self.values, "count": np.array([self.count, len(self.levels)], dtype=np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` returned."""
        count, knots = (int(number) for number in arrays["count"])
        return cls(np.linspace(0.0, 1.0, knots), np.asarray(arrays["values"]), count)


@dataclass
class Asinh:
    """asinh of the number, centred at the median and in units of the spread, brought to unit variance.

    It is nearly linear in the bulk and logarithmic in the tails, so linear relations between columns stay nearly
    linear, which normal scores would bend.

    Attributes
    ----------
    centre, spread : float
        Median, and interquartile range divided by 1.349 (that of the standard normal law).
    mean, std : float
        Of the asinh.
    minimum, maximum : float
        Of the fitted numbers.
    """

    centre: float
    spread: float
    mean: float
    std: float
    minimum: float
    maximum: float

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Compute centre, spread, mean and standard deviation."""
        low, centre, high = np.quantile(numbers, [0.25, 0.5, 0.75])
        spread = next((s for s in ((high - low) / 1.349, _std(numbers)) if np.isfinite(s) and s > 0), 1.0)
        spread = max(spread, float(np.abs(numbers).max()) * 1e-12)  # keeps the ratio finite
        asinh = np.arcsinh((numbers - centre) / spread)
        std = asinh.std()
        return cls(
            centre=float(centre),
            spread=float(spread),
            mean=float(asinh.mean()),
            std=float(std) if std > 0 else 1.0,
            minimum=float(numbers.min()),
            maximum=float(numbers.max()),
        )

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return scores, ndarray of float64, shape (n,)."""
        return np.asarray((np.arcsinh((numbers - self.centre) / self.spread) - self.mean) / self.std)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers from scores, ndarray of float64, shape (n,)."""
        bounds = self.encode(np.array([self.minimum, self.maximum]))
        asinh = np.clip(scores, *bounds) * self.std + self.mean
        return np.clip(np.sinh(asinh) * self.spread + self.centre, self.minimum, self.maximum)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted values."""
        return {"facts": np.array([self.centre, self.spread, self.mean, self.std, self.minimum, self.maximum])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` returned."""
        return cls(*map(float, arrays["facts"]))


def _std(numbers: np.ndarray) -> float:
    """Return the standard deviation, computed relative to the largest number so that squares do not overflow."""
    largest = float(np.abs(numbers).max())
    return float((numbers / largest).std() * largest) if largest > 0 else 0.0


SCALINGS: dict[str, type[Scaling]] = {"asinh": Asinh, "normal-score": NormalScore}
AUTO = "auto"
"""The scaling that suits each column (see `suited`)."""
NAMES = (AUTO, *SCALINGS)
POINT_MASS = 0.02
"""A value that more than this share of a column's rows has is a point mass."""
MIN_ROWS = 50
"""A column with fewer present values gets normal scores."""


def suited(numbers: np.ndarray) -> str:
    """Return the scaling that suits numbers: normal-score where they have point masses or are few, else asinh.

    Parameters
    ----------
    numbers : ndarray of float64, shape (n,)
        NaN for missing.
    """
    present = numbers[~np.isnan(numbers)]
    if len(present) < MIN_ROWS or float(np.abs(present).max()) > MAX_ABS:
        return "normal-score"
    counts = np.unique(present, return_counts=True)[1]
    return "normal-score" if counts.max() > POINT_MASS * len(present) else "asinh"
