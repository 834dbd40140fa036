"""TabDDPM (Kotelnikov 2023) of the package synthcity: the region is the label that it is conditioned on."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from harness import REGION, Adapter, main
from synthcity.plugins.core.dataloader import GenericDataLoader
from synthcity.plugins.generic.plugin_ddpm import TabDDPMPlugin


class TabDdpm(Adapter):
    """Gaussian diffusion of quantile-transformed columns, with a label for each row."""

    library = "synthcity"

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit one model of all rows (see `Adapter.fit`)."""
        loader = GenericDataLoader(rows.assign(**{REGION: regions}), target_column=REGION)
        self.model = TabDDPMPlugin(
            is_classification=True,
            random_state=seed,
            device=torch.device("cpu"),
            workspace=Path("workspace"),
            **self.settings,
        )
        self.model.fit(loader)

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw rows with the region's label (see `Adapter.sample`)."""
        made = self.model.generate(count, cond=np.full(count, region), random_state=seed).dataframe()
        return made[made[REGION] == region].drop(columns=REGION)


if __name__ == "__main__":
    main(TabDdpm)
