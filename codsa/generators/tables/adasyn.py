"""ADASYN: SMOTE that draws more where other regions' rows are near (He 2008)."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pandas as pd

from codsa.generators.tables.smote import Smote
from codsa.io.seeds import child, integer, rng
from codsa.settings.types import PositiveInt

log = logging.getLogger(__name__)


class Adasyn(Smote):
    """imbalanced-learn's ADASYN; categories are interpolated as one-hot and the largest taken.

    Where no row of the region has a neighbour of another region ADASYN is not defined; SMOTE is
    used there, and the log says so.

    Parameters
    ----------
    n_neighbors : int
        Neighbours that weigh a row and among which the partner is drawn.
    """

    def __init__(self, *, n_neighbors: PositiveInt = 5) -> None:
        super().__init__(k_neighbors=n_neighbors)
        self.n_neighbors = n_neighbors

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`).

        ADASYN rounds its counts row by row, so a surplus is drawn and `count` of it are kept.
        """
        from imblearn.over_sampling import ADASYN

        members = self.working_members(region, stream)
        rows = np.sort(np.r_[members, np.flatnonzero(self.regions != region)])
        widths = [len(c.levels or []) + 1 for c in self.table.columns if c.levels is not None]
        widths += [2] * len(self.table.gaps)
        x = np.hstack([self.numbers, *(np.eye(w)[self.codes[:, j]] for j, w in enumerate(widths))])
        x, label = x[rows], (self.regions[rows] == region).astype(int)
        surplus = count + len(members)
        sampler = ADASYN(
            n_neighbors=min(self.n_neighbors, len(members) - 1),
            sampling_strategy={1: len(members) + surplus},
            random_state=integer(stream),
        )
        try:
            generated = sampler.fit_resample(x, label)[0][len(x) :]
        except (RuntimeError, ValueError) as error:
            log.warning("region '%s': SMOTE instead of ADASYN (%s)", self.schema.regions.names[region], error)
            return super().sample(region, count, stream)
        generated = rng(child(stream, "kept")).permutation(generated)[:count]
        return self.rebuild(*self._unpack(generated, widths), region)

    def _unpack(self, generated: np.ndarray, widths: list[int]) -> tuple[np.ndarray, np.ndarray]:
        start = self.numbers.shape[1]
        bounds = start + np.cumsum([0, *widths])
        codes = [generated[:, a:b].argmax(axis=1) for a, b in itertools.pairwise(bounds)]
        empty = np.empty((len(generated), 0), dtype=np.int64)
        return generated[:, :start], np.stack(codes, axis=1) if codes else empty
