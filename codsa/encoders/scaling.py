"""Ways to bring numbers to about unit scale, and back. One is one class and a line in `SCALINGS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import ndtr, ndtri

QUANTILES = 1000
LARGEST = 1e100
"""Beyond, differences and squares are no longer safe."""


class Scaling(Protocol):
    """What an `OrderedBlock` asks of a scaling: fitted on present numbers, monotone, bounded."""

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Learn from at least one finite number."""
        ...

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return finite scores of about zero mean and unit variance."""
        ...

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers between the least and the greatest that `fit` saw."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned."""
        ...

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` gave."""
        ...


@dataclass
class NormalScore:
    """The normal quantile of the empirical distribution function.

    Heavy tails and point masses are harmless, and what comes back lies within what was seen. A
    value in a point mass gets the score at the middle of its jump.

    Attributes
    ----------
    levels, values : ndarray of shape (number of knots,)
        The distribution function: values at increasing probabilities.
    count : int
        The number of values seen.
    """

    levels: np.ndarray
    values: np.ndarray
    count: int

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Learn the distribution function."""
        levels = np.linspace(0.0, 1.0, min(QUANTILES, max(len(numbers), 2)))
        return cls(levels, np.maximum.accumulate(np.quantile(numbers, levels)), len(numbers))

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return normal scores, ndarray of float64, shape (n,)."""
        edge = 0.5 / self.count
        middle = (self._share(numbers, "left") + self._share(numbers, "right")) / 2
        return np.asarray(ndtri(edge + (1 - 2 * edge) * middle))

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers from scores, ndarray of float64, shape (n,)."""
        edge = 0.5 / self.count
        share = np.clip((ndtr(scores) - edge) / max(1 - 2 * edge, 1e-9), 0.0, 1.0)
        return np.clip(np.interp(share, self.levels, self.values), self.values[0], self.values[-1])

    def _share(self, numbers: np.ndarray, side: Any) -> np.ndarray:
        """Return the distribution function just below ('left') or at ('right') numbers."""
        j = np.clip(np.searchsorted(self.values, numbers, side=side), 1, len(self.values) - 1)
        low, gap = self.values[j - 1], self.values[j] - self.values[j - 1]
        flat = gap <= 0  # only at the ends: all of the jump lies to one side
        part = np.where(flat, float(side == "right"), (numbers - low) / np.where(flat, 1.0, gap))
        return self.levels[j - 1] + np.clip(part, 0.0, 1.0) * (self.levels[j] - self.levels[j - 1])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned."""
        return {"values": self.values, "count": np.array([self.count, len(self.levels)], dtype=np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` gave."""
        count, knots = (int(fact) for fact in arrays["count"])
        return cls(np.linspace(0.0, 1.0, knots), np.asarray(arrays["values"]), count)


@dataclass
class Asinh:
    """asinh of the number, centred at the median and in units of the spread, brought to unit variance.

    Nearly linear in the bulk, logarithmic in the tails: columns that are smooth functions of each
    other stay so, which ranks would bend.

    Attributes
    ----------
    centre, spread : float
        Median, and interquartile range as a standard deviation.
    mean, sd : float
        Of the asinh.
    least, most : float
        What was seen.
    """

    centre: float
    spread: float
    mean: float
    sd: float
    least: float
    most: float

    @classmethod
    def fit(cls, numbers: np.ndarray) -> Self:
        """Learn the scales."""
        low, centre, high = np.quantile(numbers, [0.25, 0.5, 0.75])
        spread = next((s for s in ((high - low) / 1.349, _deviation(numbers)) if np.isfinite(s) and s > 0), 1.0)
        spread = max(spread, float(np.abs(numbers).max()) * 1e-12)  # the ratio stays finite
        bent = np.arcsinh((numbers - centre) / spread)
        sd = bent.std()
        return cls(*map(float, (centre, spread, bent.mean(), sd if sd > 0 else 1.0, numbers.min(), numbers.max())))

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return scores, ndarray of float64, shape (n,)."""
        return np.asarray((np.arcsinh((numbers - self.centre) / self.spread) - self.mean) / self.sd)

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return numbers from scores, ndarray of float64, shape (n,)."""
        edges = self.encode(np.array([self.least, self.most]))
        bent = np.clip(scores, *edges) * self.sd + self.mean
        return np.clip(np.sinh(bent) * self.spread + self.centre, self.least, self.most)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was learned."""
        return {"facts": np.array([self.centre, self.spread, self.mean, self.sd, self.least, self.most])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what `arrays` gave."""
        return cls(*map(float, arrays["facts"]))


def _deviation(numbers: np.ndarray) -> float:
    largest = float(np.abs(numbers).max())
    return float((numbers / largest).std() * largest) if largest > 0 else 0.0


SCALINGS: dict[str, type[Scaling]] = {"asinh": Asinh, "normal-score": NormalScore}
AUTO = "auto"
NAMES = (AUTO, *SCALINGS)
MASS = 0.02
"""A value that so large a share of a column has is a point mass."""
MANY = 50


def suited(numbers: np.ndarray) -> str:
    """Return the scaling that suits numbers: ranks where they have point masses or are few, asinh where smooth.

    Parameters
    ----------
    numbers : ndarray of float64, shape (n,)
        NaN for missing.
    """
    present = numbers[~np.isnan(numbers)]
    if len(present) < MANY or float(np.abs(present).max()) > LARGEST:
        return "normal-score"
    counts = np.unique(present, return_counts=True)[1]
    return "normal-score" if counts.max() > MASS * len(present) else "asinh"
