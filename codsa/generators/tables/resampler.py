"""What the resamplers share: their model is the rows of S_g themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema, cast_columns
from codsa.encoders.mixed import MixedTable
from codsa.errors import CodsaError
from codsa.generators.base import Generator, complete
from codsa.io.seeds import child, rng
from codsa.io.tables import read_parquet, write_parquet

REGION = "__region__"
WORKING_ROWS = 5000
"""Rows of a region among which a neighbour-based block searches."""


class Resampler(Generator):
    """A generator whose model is its training rows; a subclass says how to draw from them."""

    uses_gpu: ClassVar[bool] = False
    resamples: ClassVar[bool] = True
    min_rows = 1
    """The fewest rows of a region in S_g from which it can draw."""
    mixes = True
    """Whether rows are mixed as numbers and codes; such a generator has no use for arrays."""

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the rows; nothing is learned but scales (see `Generator.fit`)."""
        if pretrained is not None:
            raise CodsaError(f"generator '{type(self).__name__.lower()}' has no use for a pretrained model")
        self.rows = rows.reset_index(drop=True)
        self.regions = np.asarray(regions)
        self.schema = schema
        if self.mixes:
            self._mix(schema)
        return self

    def _mix(self, schema: Schema) -> None:
        unmixable = next((c for c in schema.modelled if c.is_array or c.type == "text"), None)
        if unmixable is not None:
            content = "texts" if unmixable.type == "text" else "arrays"
            raise CodsaError(
                f"generator '{type(self).__name__.lower()}' mixes numbers and categories; column "
                f"'{unmixable.name}' holds {content}: use bootstrap, distortions, "
                "text-noise or a diffusion model"
            )
        self.table = MixedTable.fit(self.rows, schema.generated)
        self.numbers, self.codes = self.table.encode(self.rows)

    def working_members(self, region: int, stream: np.random.SeedSequence) -> np.ndarray:
        """Return the places of the rows that one block works on: all, or `WORKING_ROWS` drawn of a large region.

        Neighbours are searched anew for every block, so the search must stay small.
        """
        members = self.members(region)
        if len(members) <= WORKING_ROWS:
            return members
        return np.sort(rng(child(stream, "working")).permutation(members)[:WORKING_ROWS])

    def rebuild(self, numbers: np.ndarray, codes: np.ndarray, region: int) -> pd.DataFrame:
        """Return rows of a region from numbers and codes as `MixedTable.encode` gives them."""
        return complete(self.table.decode(numbers, codes), region, self.schema)

    def members(self, region: int) -> np.ndarray:
        """Return the places of a region's rows, or raise a `CodsaError` where they are too few."""
        members = np.flatnonzero(self.regions == region)
        if len(members) < self.min_rows:
            raise CodsaError(
                f"region '{self.schema.regions.names[region]}' has {len(members)} rows in S_g; "
                f"{type(self).__name__.lower()} needs {self.min_rows}: raise r or pool small regions"
            )
        return members

    def save(self, folder: Path) -> None:
        """Write the rows with their regions (see `Generator.save`)."""
        write_parquet(folder / "members.parquet", self.rows.assign(**{REGION: self.regions}))

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read the rows back (see `Generator.load`)."""
        rows = read_parquet(folder / "members.parquet")
        regions = rows.pop(REGION).to_numpy()
        return cls(**settings).fit(cast_columns(rows, schema.modelled), regions, schema, np.random.SeedSequence(0))
