"""Principal components of arrays: a space in which images or vectors can be compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAX_COMPONENTS = 32
MAX_ROWS = 2000
"""At most this many rows are used to fit the components."""


@dataclass(frozen=True)
class PrincipalSpace:
    """The leading components, in units of the first one's standard deviation.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    directions : ndarray of shape (k, d)
    """

    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, random: np.random.Generator) -> PrincipalSpace:
        """Fit the components to arrays of shape (n, ...), of which a random subset is used where there are many."""
        flat = values[np.sort(random.permutation(len(values))[:MAX_ROWS])].reshape(-1, int(np.prod(values.shape[1:])))
        centred = flat.astype(np.float64) - flat.mean(axis=0)
        gram = centred @ centred.T if len(flat) < flat.shape[1] else centred.T @ centred
        variance, vectors = np.linalg.eigh(gram)
        leading = np.argsort(variance)[::-1][: min(MAX_COMPONENTS, len(flat) - 1, flat.shape[1])]
        axes = centred.T @ vectors[:, leading] if len(flat) < flat.shape[1] else vectors[:, leading]
        lengths = np.linalg.norm(axes, axis=0)
        spread = np.sqrt(max(float(variance[leading[0]]), 1e-12) / len(flat))
        return cls(flat.mean(axis=0), (axes / np.where(lengths > 1e-9, lengths, 1.0)).T / spread)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return arrays of shape (n, ...) as codes, ndarray of float64, shape (n, k)."""
        return np.asarray((values.reshape(len(values), -1).astype(np.float64) - self.mean) @ self.directions.T)
