"""CTGAN (Xu 2019) of the package ctgan: the region is a discrete column, and the condition."""

import numpy as np
import pandas as pd
from ctgan import CTGAN
from harness import REGION, Adapter, main


class Ctgan(Adapter):
    """Conditional sampling raises the region's probability; rows of another region are left out."""

    library = "ctgan"

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit one model of all rows (see `Adapter.fit`)."""
        self.model = CTGAN(enable_gpu=False, **self.settings)
        self.model.set_random_state(seed)
        self.model.fit(rows.assign(**{REGION: [str(k) for k in regions]}), discrete_columns=[REGION, *self.discrete])

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw on condition of the region (see `Adapter.sample`)."""
        self.model.set_random_state(seed)
        made = self.model.sample(count, condition_column=REGION, condition_value=str(region))
        return made[made[REGION].astype(str) == str(region)].drop(columns=REGION)


if __name__ == "__main__":
    main(Ctgan)
