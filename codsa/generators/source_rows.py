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
    """Draw real rows of the region with replacement, from the source set."""

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
        kept = found >= 0
        return super().fit(theirs[kept], found[kept], schema, stream, work)
