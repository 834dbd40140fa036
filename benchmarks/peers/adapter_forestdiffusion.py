"""ForestDiffusion (Jolicoeur-Martineau 2024): flow matching by XGBoost, the region as its label."""

import numpy as np
import pandas as pd
from ForestDiffusion import ForestDiffusionModel
from harness import Adapter, main


class ForestDiffusion(Adapter):
    """The library draws labels at their training frequencies; here all weight is put on one."""

    library = "ForestDiffusion"

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit trees for every noise level and region (see `Adapter.fit`)."""
        self.columns = list(rows.columns)
        x = rows.to_numpy(dtype=float)
        places = [self.columns.index(name) for name in self.discrete]
        self.model = ForestDiffusionModel(
            X=x, label_y=regions, cat_indexes=places, n_jobs=1, nthread=1, seed=seed, **self.settings
        )

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw rows with the region's label (see `Adapter.sample`)."""
        np.random.seed(seed)
        self.model.y_probs = (self.model.y_uniques == region).astype(float)
        made = self.model.generate(batch_size=count)
        return pd.DataFrame(made[:, :-1], columns=self.columns)


if __name__ == "__main__":
    main(ForestDiffusion)
