"""Ways to bring numbers to about unit scale, and back. One is one class and a line in `SCALINGS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from scipy.special import ndtr, ndtri

QUANTILES = 1000


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


SCALINGS: dict[str, type[Scaling]] = {"normal-score": NormalScore}
