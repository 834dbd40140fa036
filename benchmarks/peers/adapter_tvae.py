"""TVAE (Xu 2019) of the package ctgan: it cannot be conditioned, so each region has a model."""

from typing import Any

import pandas as pd
from ctgan import TVAE
from harness import PerRegion, main


class Tvae(PerRegion):
    """One variational autoencoder per region."""

    library = "ctgan"

    def fit_one(self, rows: pd.DataFrame, seed: int) -> Any:
        """Fit the rows of one region (see `PerRegion.fit_one`)."""
        model = TVAE(enable_gpu=False, **self.settings)
        model.set_random_state(seed)
        model.fit(rows, discrete_columns=self.discrete)
        return model

    def sample_one(self, model: Any, count: int, seed: int) -> pd.DataFrame:
        """Draw from it (see `PerRegion.sample_one`)."""
        model.set_random_state(seed)
        return model.sample(count)


if __name__ == "__main__":
    main(Tvae)
