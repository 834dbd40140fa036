"""The source set's rows as they are: the transfer that needs no generator, and the one to beat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from codsa.data.schema import Schema, cast_columns
from codsa.errors import CodsaError
from codsa.estimators.base import feature_matrix, target_vector
from codsa.generators.tables.bootstrap import Bootstrap
from codsa.io.seeds import child, integer, rng
from codsa.io.tables import read_parquet
from codsa.io.tensors import load_tensors

CAP = 0.98
"""The quantile of the density ratio at which it is capped."""
FOLDS = 5
"""Folds of the classifier that estimates it."""
RATIO = "ratio.safetensors"
"""Its file."""


class SourceRows(Bootstrap):
    """Draw real rows of the region with replacement, from the source set.

    A row of the source whose target the data do not have, or that is anomalous to them, is left out.

    Parameters
    ----------
    mixed : bool
        Draw from the rows of S_g too, and so also for a region that the source lacks.
    weighting : {'uniform', 'density-ratio'}
        density-ratio: a source row is drawn in proportion to how much likelier S_g makes it than the source does (see
        `density_ratio`).
    """

    def __init__(self, *, mixed: bool = False, weighting: Literal["uniform", "density-ratio"] = "uniform") -> None:
        if mixed and weighting != "uniform":
            raise CodsaError("generator 'source-rows': mixed draws from S_g, too, where no density ratio is needed")
        self.mixed, self.weighting = mixed, weighting
        self.ratio: np.ndarray | None = None

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
        if self.weighting == "density-ratio":
            self.ratio = density_ratio(rows, regions, source, source_regions, schema, child(stream, "ratio"))
        if self.mixed:
            source, source_regions = pd.concat([source, rows[source.columns]]), np.r_[source_regions, regions]
        return super().fit(source, source_regions, schema, stream, checkpoint_dir)

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        if self.ratio is None:
            return super().sample(region, count, stream)
        members = self.members(region)
        weight = self.ratio[members]
        chosen = rng(stream).choice(members, size=count, p=weight / weight.sum())
        return self.rows.iloc[chosen].reset_index(drop=True)

    def save(self, folder: Path) -> None:
        """Write the rows, and their ratios where there are any (see `Generator.save`)."""
        super().save(folder)
        if self.ratio is not None:
            save_file({"ratio": self.ratio}, folder / RATIO)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = super().load(folder, schema, settings)
        if generator.weighting == "density-ratio":
            generator.ratio = load_tensors(folder / RATIO, "numpy").expect("ratio", len(generator.rows))
        return generator


def density_ratio(
    rows: pd.DataFrame,
    regions: np.ndarray,
    source: pd.DataFrame,
    source_regions: np.ndarray,
    schema: Schema,
    stream: np.random.SeedSequence,
) -> np.ndarray:
    """Estimate how much likelier the law of S_g makes each source row than the source's law does.

    The ratio is the odds of a classifier of S_g against the source (Bickel 2009), which sees features, target and
    region. Each source row's odds are of a fit without it. They are capped at their `CAP` quantile, so that no few rows
    make the pool.

    Parameters
    ----------
    rows, source : DataFrame
        S_g and the source set, in the schema's columns.
    regions, source_regions : ndarray of int64

    Returns
    -------
    ndarray of float64, shape (n_source,)
        Above 0, with mean 1.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if schema.texts:
        raise CodsaError(
            "generator 'source-rows': density-ratio compares numbers and categories, and the data are texts"
        )
    table = pd.concat([rows[source.columns], source], ignore_index=True)
    x = np.column_stack(
        [feature_matrix(table, schema), target_vector(table, schema), np.r_[regions, source_regions]]
    ).astype(float)
    of_target = np.arange(len(table)) < len(rows)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=integer(stream))
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.05, max_leaf_nodes=8, early_stopping=False)
    probability = cross_val_predict(model, x, of_target, cv=folds, method="predict_proba")[len(rows) :, 1]
    odds = probability / np.maximum(1 - probability, 1e-6)
    ratio = np.clip(odds, 1e-9, np.quantile(odds, CAP))
    return np.asarray(ratio / ratio.mean())


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
