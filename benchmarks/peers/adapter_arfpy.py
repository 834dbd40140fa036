"""Adversarial random forests (Watson 2023) of the package arfpy: one forest per region."""

from typing import Any

import numpy as np
import pandas as pd
from arfpy import arf
from harness import PerRegion, main, unworded, worded


class Arf(PerRegion):
    """One adversarial random forest per region; the library draws from numpy's global stream."""

    library = "arfpy"

    def fit_one(self, rows: pd.DataFrame, seed: int) -> Any:
        """Fit the rows of one region (see `PerRegion.fit_one`)."""
        np.random.seed(seed)
        model = arf.arf(worded(rows, self.discrete), verbose=False, n_jobs=1, **self.settings)
        model.forde()
        return model

    def sample_one(self, model: Any, count: int, seed: int) -> pd.DataFrame:
        """Draw from its leaves (see `PerRegion.sample_one`)."""
        np.random.seed(seed)
        return unworded(model.forge(n=count), self.discrete)


if __name__ == "__main__":
    main(Arf)
