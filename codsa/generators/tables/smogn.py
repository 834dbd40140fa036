"""SMOGN: SMOTE for regression near other rows, Gaussian noise away from them (Branco 2017)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from codsa.generators.tables.resampler import Resampler
from codsa.io.seeds import rng
from codsa.settings.types import PositiveInt, Rate


class Smogn(Resampler):
    """SMOGN with the region as the relevant rows, as the paper uses it in section 4.2.

    A row of the region and one of its k nearest rows are drawn. A partner nearer than half the
    median distance to the region's other rows is safe: the new row lies between the two.
    Otherwise the new row is the first one with Gaussian noise.

    Parameters
    ----------
    k : int
        Nearest rows among which the partner is drawn.
    perturbation : float
        The noise's standard deviation, in standard deviations of each column; never more than
        the safe distance.
    """

    min_rows = 2

    def __init__(self, *, k: PositiveInt = 2, perturbation: Rate = 0.02) -> None:
        self.k = k
        self.perturbation = perturbation
        self._neighbours_by_region: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        random = rng(stream)
        members = self.members(region)
        near, distance, safe = self._neighbours(region)
        first = random.integers(len(members), size=count)
        pick = random.integers(near.shape[1], size=count)
        a, b = members[first], members[near[first, pick]]
        between = distance[first, pick] < safe[first]
        weight = random.uniform(size=(count, 1))
        spread = np.minimum(safe[first], self.perturbation)[:, None]
        noise = spread * random.normal(size=(count, self.numbers.shape[1]))
        mixed = self.numbers[a] + weight * (self.numbers[b] - self.numbers[a])
        numbers = np.where(between[:, None], mixed, self.numbers[a] + noise)
        swap = between[:, None] & (random.uniform(size=(count, self.codes.shape[1])) < 0.5)
        return self.rebuild(numbers, np.where(swap, self.codes[b], self.codes[a]), region)

    def _neighbours(self, region: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each row's k nearest rows, their distances, and the distance that is safe."""
        if region not in self._neighbours_by_region:
            members = self.members(region)
            self._neighbours_by_region[region] = _nearest(self.numbers[members], self.codes[members], self.k)
        return self._neighbours_by_region[region]


def _nearest(numbers: np.ndarray, codes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Search the heterogeneous Euclidean–overlap metric (differing categories count 1 each)."""
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors

    wide = [np.eye(column.max() + 1)[column] / np.sqrt(2) for column in codes.T]
    x = np.hstack([numbers, *wide])
    search = NearestNeighbors(n_neighbors=min(k, len(x) - 1) + 1).fit(x)
    distance, near = search.kneighbors(x)
    median = np.concatenate([np.median(part, axis=1) for part in pairwise_distances_chunked(x)])
    return near[:, 1:], distance[:, 1:], median / 2
