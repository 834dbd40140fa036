"""The stage that fits the estimator at every point (m, α) of a grid and chooses λ̂ on validation rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.allocation import domain_adaptation_index, region_shares
from codsa.data.grid import GridPoint, points, real_rows
from codsa.data.metrics import HIGHER_IS_BETTER, OVERALL, by_region, law_weights
from codsa.data.pool import Pool
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.split import FOLDS, TRAIN, VALIDATION, Split, check_ratio
from codsa.errors import CodsaError
from codsa.estimators import Predictor, WeightedRows, average_predictors, fit_all
from codsa.estimators.base import layout_of, weighted_rows
from codsa.estimators.store import save_fitted
from codsa.io.artifacts import new_folder
from codsa.io.manifests import write_manifest
from codsa.io.names import CHOSEN, FIT, FITS, MANIFEST
from codsa.io.records import write_json
from codsa.io.seeds import SeedContext
from codsa.io.tables import write_parquet
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """All grid points, fitted and scored on validation rows.

    Attributes
    ----------
    table : DataFrame
        One row per grid point.
    fitted : list of Fitted or Average
        In the order of the table.
    best : int
        The grid point with the best validation metric; the first of equals.
    """

    table: pd.DataFrame
    fitted: list[Predictor]
    best: int


@dataclass(frozen=True)
class FitFold:
    """What one estimator is fitted on: its real rows, its pool, and the points of the grid.

    Without cross-fitting there is one fold. With it there are `FOLDS`: each has the fold's rows, and the pool of the
    generator that did not see them.

    Attributes
    ----------
    real : ndarray of int64
        row_ids.
    rows : DataFrame
        Their modelled columns.
    pool : Pool, optional
    points : list of GridPoint
    """

    real: np.ndarray
    rows: pd.DataFrame
    pool: Pool | None
    points: list[GridPoint]


def fit_grid(
    dataset: AnyDataset,
    split: Split,
    pools: Sequence[Pool],
    r: float,
    grid: Grid,
    spec: EstimatorSpec,
    choose_by: str,
    seeds: SeedContext,
    weighted: bool = False,
    cores: int = 1,
) -> Outcome:
    """Fit every grid point on its real and synthetic rows, and score it on the validation rows.

    Parameters
    ----------
    pools : sequence of Pool
        Empty for a method without synthetic rows (m = 0); one pool; or one per fold for cross-fitting,
        where each grid point is the average of the folds' estimators (appendix D.1).
    r : float
        The split ratio that the pools' generators were trained at.
    choose_by : str
        The metric of validation rows.
    weighted : bool
        Weigh each real row by q_k/p_k of its region.
    cores : int
        Grid points that are fitted at the same time. The results do not depend on this number.

    Returns
    -------
    Outcome
    """
    check_ratio(r)
    fit_folds = _fit_folds(dataset, split, pools, r=r, grid=grid)
    weight = (split.q / split.p)[dataset.regions()] if weighted else np.ones(len(dataset))
    grid_points, real_count = fit_folds[0].points, len(fit_folds[0].real)
    problems = [_problem(point, fit_fold, weight, dataset) for fit_fold in fit_folds for point in fit_fold.points]
    validation = evaluation_set(dataset, split, VALIDATION)
    layout = layout_of(dataset.schema, split.n)
    log.info("fitting %s at %d grid points, r = %s", spec.name, len(grid_points), r)
    # One stream for every method and r of a replicate: grid points differ by their rows alone.
    fold_fits = fit_all(spec, problems, validation.problem, layout, stream=seeds.stream("fit"), cores=cores)
    fitted = [average_predictors(fold_fits[point :: len(grid_points)]) for point in range(len(grid_points))]
    scores = [validation.score(choose_by, predictor, split.q, dataset.schema.regions.names) for predictor in fitted]
    records = [
        _record(point, score, r=r, real_count=real_count, split=split)
        for point, score in zip(grid_points, scores, strict=True)
    ]
    table = pd.DataFrame(records)
    return Outcome(table, fitted, best_point(table["validation"].to_numpy(), choose_by))


def check_pool(pool: Pool, dataset: AnyDataset, split: Split, r: float) -> None:
    """Raise a `CodsaError` unless a pool's generator was trained on S_g of this dataset, split and r.

    Any other generator may have seen the rows that the estimator is fitted or scored on.
    """
    if pool.dataset != dataset.digest:
        raise CodsaError("the pool comes from a generator of another dataset or schema; train and sample again")
    if pool.split != split.digest:
        raise CodsaError("the pool comes from a generator trained on another split; train and sample again")
    if pool.r != r:
        raise CodsaError(f"the pool comes from a generator trained at r = {pool.r}, not {r}; give --r {pool.r}")


def best_point(values: np.ndarray, metric: str) -> int:
    """Return the index of the best value: the first of equals, and never a NaN unless all are NaN."""
    if np.isnan(values).all():
        return 0
    return int(np.nanargmax(values) if metric in HIGHER_IS_BETTER else np.nanargmin(values))


def _fit_folds(dataset: AnyDataset, split: Split, pools: Sequence[Pool], r: float, grid: Grid) -> list[FitFold]:
    """Return one `FitFold`, or one per fold where every fold has its pool."""
    for pool in pools:
        check_pool(pool, dataset, split, r)
    folds = [pool.fold for pool in pools]
    if len(pools) > 1 and sorted(fold for fold in folds if fold is not None) != list(range(FOLDS)):
        raise CodsaError(
            f"{len(pools)} pools, of folds {folds}: cross-fitting takes one pool of each fold 0 to {FOLDS - 1}; "
            "without it give one pool"
        )

    def fit_fold(pool: Pool | None) -> FitFold:
        fold = None if pool is None else pool.fold
        real = real_rows(split, r, grid.reserve, fold)
        grid_points = points(grid, r, split, dataset.schema, fold=fold)
        return FitFold(real, in_memory(dataset.part(real)), pool, grid_points)

    return [fit_fold(pool) for pool in pools] or [fit_fold(None)]


def _problem(point: GridPoint, fit_fold: FitFold, weight: np.ndarray, dataset: AnyDataset) -> WeightedRows:
    if point.m == 0:
        return weighted_rows(fit_fold.rows, dataset.schema, weight[fit_fold.real])
    if fit_fold.pool is None:
        raise CodsaError(f"m = {point.m} synthetic rows, but no pool; give --pool")
    synthetic = fit_fold.pool.prefix(point.counts, dataset.schema.regions.names)
    rows = pd.concat([fit_fold.rows, synthetic], ignore_index=True)
    return weighted_rows(rows, dataset.schema, np.r_[weight[fit_fold.real], np.ones(len(synthetic))])


@dataclass(frozen=True)
class EvaluationSet:
    """Rows on which fitted estimators are scored.

    Attributes
    ----------
    problem : WeightedRows
    region : ndarray of int64, shape (n,)
    """

    problem: WeightedRows
    region: np.ndarray

    def score(self, metric: str, fitted: Predictor, q: np.ndarray, names: list[str]) -> dict[str, float]:
        """Return the metric per region and under Q."""
        prediction = fitted.predict(self.problem.x)
        return by_region(metric, self.problem.y, prediction, self.region, q=q, names=names)


def evaluation_set(dataset: AnyDataset, split: Split, role: str) -> EvaluationSet:
    """Return the rows of a role, weighted so that they follow Q."""
    assert role != TRAIN
    rows = split.rows(role)
    region = dataset.regions()[rows]
    return EvaluationSet(
        weighted_rows(in_memory(dataset.part(rows)), dataset.schema, law_weights(region, split.q)), region
    )


def _record(point: GridPoint, score: dict[str, float], r: float, real_count: int, split: Split) -> dict[str, Any]:
    """Return a grid point's row of `fits.parquet`."""
    pi = region_shares(point.m, real_count, point.alpha, split.p)
    return {
        "r": r,
        "m": point.m,
        "m_ratio": point.m_ratio,
        "alpha": point.label,
        "alpha_vector": json.dumps([round(float(a), 9) for a in point.alpha]),
        "counts": json.dumps([int(c) for c in point.counts]),
        "exact": point.exact,
        "real_rows": real_count,
        "domain_adaptation_index": domain_adaptation_index(split.q, pi),
        "validation": score[OVERALL],
        **{f"validation: {name}": value for name, value in score.items() if name != OVERALL},
    }


def write_fits(
    folder: Path,
    outcome: Outcome,
    spec: EstimatorSpec,
    metric: str,
    inputs: dict[str, str],
    parameters: dict[str, Any],
    keep_grid: bool,
    choose_by: str | None = None,
) -> None:
    """Write `fits.parquet`, `chosen.json`, `estimator/` and, if asked for, the estimator of every grid point.

    Parameters
    ----------
    metric : str
        The metric of test rows.
    choose_by : str, optional
        The metric of validation rows; default: the same.
    keep_grid : bool
        Also write `grid/POINT/`, so that the report can show the whole grid on test rows.
    """
    with new_folder(folder, FIT) as staged:
        write_parquet(staged / FITS, outcome.table.rename_axis("point").reset_index())
        row = {str(name): value for name, value in outcome.table.iloc[outcome.best].items()}
        chosen = {"point": outcome.best, "metric": metric, "choose_by": choose_by or metric, **row}
        write_json(staged / CHOSEN, chosen)
        save_fitted(staged / "estimator", outcome.fitted[outcome.best], spec)
        for point, fitted in enumerate(outcome.fitted if keep_grid else []):
            save_fitted(staged / "grid" / f"{point:04d}", fitted, spec)
        write_manifest(staged / MANIFEST, FIT, inputs, parameters)
