"""The source set's rows as they are: the transfer that needs no generator, and the one to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema, cast_columns
from codsa.errors import CodsaError
from codsa.generators.tables.bootstrap import Bootstrap
from codsa.io.tables import read_parquet


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
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the source rows that `codsa-train-gen --pretrain rows` wrote (see `Generator.fit`)."""
        if pretrained is None:
            return super().fit(rows, regions, schema, stream, checkpoint_dir)
        source, source_regions = source_rows(schema, pretrained)
        if self.mixed:
            source, source_regions = pd.concat([source, rows[source.columns]]), np.r_[source_regions, regions]
        return super().fit(source, source_regions, schema, stream, checkpoint_dir)


def source_rows(schema: Schema, folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Read the source rows that `codsa-train-gen --pretrain rows` wrote.

    Returns
    -------
    rows : DataFrame of shape (n, d)
        The modelled columns, in the schema's types; rows of other regions or levels than the study's are left out.
    regions : ndarray of int64, shape (n,)
    """
    if not (folder / "rows.parquet").exists():
        raise CodsaError(f"{folder}: holds no rows; make it with codsa-train-gen --pretrain rows")
    rows = read_parquet(folder / "rows.parquet")
    lacking = [c.name for c in schema.modelled if c.name not in rows]
    if lacking:
        raise CodsaError(f"{folder}: the source set has no column '{lacking[0]}', which the data have")
    rows = cast_columns(rows, schema.modelled)
    regions = schema.regions.assign(rows)
    levels = schema.normal or schema.classes
    in_study = (regions >= 0) & (rows[schema.target].isin(levels).to_numpy(dtype=bool) if levels else True)
    return rows[in_study], regions[in_study]


def with_source(
    rows: pd.DataFrame, regions: np.ndarray, schema: Schema, pretrained: Path | None
) -> tuple[pd.DataFrame, np.ndarray, Path | None]:
    """Add the source rows to those of S_g where `pretrained` holds some; another folder is given back as it is."""
    if pretrained is None or not (pretrained / "rows.parquet").exists():
        return rows, regions, pretrained
    source, source_regions = source_rows(schema, pretrained)
    return pd.concat([rows, source], ignore_index=True), np.concatenate([regions, source_regions]), None
