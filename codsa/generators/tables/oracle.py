"""New rows of the simulation that the data come from: no generator can draw a better pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from codsa.data.rows import described, merged
from codsa.data.schema import Schema, cast_columns
from codsa.errors import CodsaError
from codsa.generators.base import Generator
from codsa.io.records import write_json
from codsa.io.seeds import child, integer
from codsa.readers.simulations import simulate
from codsa.settings.types import PositiveInt

TRIES = 100


class Oracle(Generator):
    """Draw rows from the simulation that the data come from.

    Parameters
    ----------
    simulation : str
        A name of `codsa.readers.simulations.SIMULATIONS`.
    rows : int
        Rows of the minority and of the majority that are drawn at once. Where classes are ranks
        within the draw (4.1) it must be large for their law to be the simulation's.
    """

    uses_gpu: ClassVar[bool] = False

    def __init__(self, *, simulation: str = "imbalanced-classification", rows: PositiveInt = 5000) -> None:
        self.simulation, self.rows = simulation, rows

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Check that the data have the simulation's columns, whose bounds are those of its own rows, too.

        See `Generator.fit`. Nothing else is learned.
        """
        simulated = simulate(self.simulation, 1, 1, 0)
        lacking = [c.name for c in schema.modelled if c.name not in simulated]
        if lacking:
            raise CodsaError(f"oracle: simulation '{self.simulation}' has no column '{lacking[0]}'; the data have it")
        fresh = cast_columns(simulate(self.simulation, self.rows, self.rows, integer(stream)), schema.modelled)
        wide = {c.name: merged(schema.column(c.name), c) for c in described(schema, fresh).modelled}
        self.schema = replace(schema, columns=[wide.get(c.name, c) for c in schema.columns])
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        rows_of_region: list[pd.DataFrame] = []
        for attempt in range(TRIES):
            drawn = simulate(self.simulation, self.rows, self.rows, integer(child(stream, attempt)))
            rows = cast_columns(drawn, self.schema.modelled)
            rows_of_region.append(rows[self.schema.regions.assign(rows) == region])
            if sum(map(len, rows_of_region)) >= count:
                return pd.concat(rows_of_region, ignore_index=True).iloc[:count]
        raise CodsaError(
            f"oracle: region '{self.schema.regions.names[region]}' is too rare in simulation '{self.simulation}'"
        )

    def save(self, folder: Path) -> None:
        """Write the simulation's name (see `Generator.save`)."""
        write_json(folder / "oracle.json", {"simulation": self.simulation})

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Make it again (see `Generator.load`)."""
        generator = cls(**settings)
        generator.schema = schema
        return generator
