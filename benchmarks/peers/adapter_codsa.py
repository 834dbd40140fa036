"""The project's own registered generators, through the project's own stages."""

from pathlib import Path

import numpy as np
import pandas as pd
from harness import Adapter, main

from codsa.data.split import open_split
from codsa.io.seeds import SeedContext
from codsa.stages.train_generator import train


class Codsa(Adapter):
    """A registered generator; it reads dataset and split itself, at r = 1."""

    library = "codsa"

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit on S_g (see `Adapter.fit`)."""
        given = dict(self.settings)
        name = given.pop("generator")
        dataset, split = open_split(Path(given.pop("data")), Path(given.pop("split")))
        self.columns = list(rows.columns)
        self.model = train(dataset, split, 1.0, name, given, SeedContext(seed, "peers", 0))

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw rows of the region (see `Adapter.sample`)."""
        return self.model.sample(region, count, np.random.SeedSequence(seed))[self.columns]


if __name__ == "__main__":
    main(Codsa)
