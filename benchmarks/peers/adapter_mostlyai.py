"""TabularARGN of the package mostlyai-engine: the region is a column, given as seed data."""

import numpy as np
import pandas as pd
from harness import REGION, Adapter, main, unworded, worded
from mostlyai.engine import TabularARGN, set_random_state


class MostlyAi(Adapter):
    """An autoregressive network; rows are completed from their region."""

    library = "mostlyai-engine"

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit one model of all rows (see `Adapter.fit`)."""
        whole = worded(rows, self.discrete).assign(**{REGION: [f"region {k}" for k in regions]})
        self.model = TabularARGN(random_state=seed, device="cpu", **self.settings)
        self.model.fit(whole)

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Complete rows from their region (see `Adapter.sample`)."""
        set_random_state(seed)
        asked = pd.DataFrame({REGION: [f"region {region}"] * count})
        made = self.model.sample(seed_data=asked)
        made = made[made[REGION] == f"region {region}"].drop(columns=REGION).dropna()
        known = made[self.discrete].apply(lambda column: column.astype(str).str.startswith("level ")).all(axis=1)
        return unworded(made[known], self.discrete)


if __name__ == "__main__":
    main(MostlyAi)
