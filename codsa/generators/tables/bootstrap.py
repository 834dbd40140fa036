"""Plain oversampling: rows of the region drawn with replacement."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from codsa.generators.base import Modality
from codsa.generators.tables.resampler import Resampler
from codsa.io.seeds import rng


class Bootstrap(Resampler):
    """Draw real rows of the region again, with replacement."""

    modality: ClassVar[Modality] = "any"
    mixes = False

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        chosen = rng(stream).choice(self.members(region), size=count)
        return self.rows.iloc[chosen].reset_index(drop=True)
