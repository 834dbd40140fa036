"""The source set's rows as they are: the transfer that needs no generator, and the one to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from codsa.artefacts import read_parquet
from codsa.errors import CodsaError
from codsa.generators.bootstrap import Bootstrap
from codsa.schema import Schema, cast


class SourceRows(Bootstrap):
    """Draw real rows of the region with replacement, from the source set.

    A row of the source whose target the data do not have, or that is anomalous to them, is left out.

    Parameters
    ----------
    mixed : bool
        Draw from the rows of S_g too, and so also for a region that the source lacks.
    """

    def __init__(self, *, mixed: bool = False) -> None:
        self.mixed = mixed

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        work: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the source rows that `codsa-train-gen --pretrain rows` wrote (see `Generator.fit`)."""
        if pretrained is None:
            return super().fit(rows, regions, schema, stream, work)
        if not (pretrained / "rows.parquet").exists():
            raise CodsaError(f"{pretrained}: holds no rows; make it with codsa-train-gen --pretrain rows")
        theirs = read_parquet(pretrained / "rows.parquet")
        lacking = [c.name for c in schema.modelled if c.name not in theirs]
        if lacking:
            raise CodsaError(f"{pretrained}: the source set has no column '{lacking[0]}', which the data have")
        theirs = pd.DataFrame({c.name: cast(theirs[c.name], c) for c in schema.modelled})
        found = schema.regions.assign(theirs)
        levels = schema.normal or schema.classes
        kept = (found >= 0) & (theirs[schema.target].isin(levels).to_numpy(dtype=bool) if levels else True)
        theirs, found = theirs[kept], found[kept]
        if self.mixed:
            theirs, found = pd.concat([theirs, rows[theirs.columns]]), np.r_[found, regions]
        return super().fit(theirs, found, schema, stream, work)
