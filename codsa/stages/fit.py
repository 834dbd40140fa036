"""The stage that fits the estimator over the whole (m, α) grid of one pool, and judges on validation."""

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
    """All arms of one grid, fitted and judged on validation rows.

    Attributes
    ----------
    table : DataFrame
        One row per arm.
    fitted : list of Fitted or Average
    best : int
        The arm with the best validation metric; the first of equals.
    """

    table: pd.DataFrame
    fitted: list[Predictor]
    best: int


@dataclass(frozen=True)
class FitFold:
    """One estimator's part of the training rows: its real rows, its pool, and the arms of the grid.

    Without cross-fitting there is one. With it there is one per fold: the fold's rows, and the
    pool of the generator that did not see them.

    Attributes
    ----------
    real : ndarray of int64
        row_ids.
    rows : DataFrame
        Their modelled columns.
    pool : Pool, optional
    points : list of Arm
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
    """Fit every arm on its real and synthetic rows, and measure it on the validation rows.

    Parameters
    ----------
    pools : sequence of Pool
        None for a method without synthetic rows (m = 0); one; or one per fold for cross-fitting,
        where each arm is the average of the folds' estimators (appendix D.1).
    r : float
        The split ratio that the pools were made with.
    choose_by : str
        The metric.
    weighted : bool
        Weigh each real row by q_k/p_k of its region.
    cores : int
        So many arms are fitted side by side; the results do not depend on it.

    Returns
    -------
    Outcome
    """
    check_ratio(r)
    fit_folds = _fit_folds(dataset, split, pools, r, grid)
    weight = (split.q / split.p)[dataset.regions()] if weighted else np.ones(len(dataset))
    wanted, real = fit_folds[0].points, len(fit_folds[0].real)
    problems = [_problem(point, fit_fold, weight, dataset) for fit_fold in fit_folds for point in fit_fold.points]
    validation = evaluation_set(dataset, split, VALIDATION)
    layout = layout_of(dataset.schema, split.n)
    log.info("fitting %s on %d arms at r = %s", spec.name, len(wanted), r)
    # One stream for every method and r of a replicate: arms differ by their rows alone.
    each = fit_all(spec, problems, validation.problem, layout, seeds.stream("fit"), cores)
    fitted = [average_predictors(each[point :: len(wanted)]) for point in range(len(wanted))]
    scores = [validation.score(choose_by, one, split.q, dataset.schema.regions.names) for one in fitted]
    rows = [_record(point, score, r, real, split) for point, score in zip(wanted, scores, strict=True)]
    found = pd.DataFrame(rows)
    return Outcome(found, fitted, best_point(found["validation"].to_numpy(), choose_by))


def check_pool(pool: Pool, dataset: AnyDataset, split: Split, r: float) -> None:
    """Raise a `CodsaError` unless a pool's generator was trained on S_g of this dataset, split and r.

    Any other may have seen the rows that the estimator is fitted or judged on.
    """
    if pool.dataset != dataset.digest:
        raise CodsaError("the pool comes from a generator of another dataset or schema; train and sample again")
    if pool.split != split.digest:
        raise CodsaError("the pool comes from a generator trained on another split; train and sample again")
    if pool.r != r:
        raise CodsaError(f"the pool comes from a generator trained at r = {pool.r}, not {r}; give --r {pool.r}")


def best_point(values: np.ndarray, metric: str) -> int:
    """Return the place of the best value; the first of equals, and never a NaN unless all are."""
    if np.isnan(values).all():
        return 0
    return int(np.nanargmax(values) if metric in HIGHER_IS_BETTER else np.nanargmin(values))


def _fit_folds(dataset: AnyDataset, split: Split, pools: Sequence[Pool], r: float, grid: Grid) -> list[FitFold]:
    """Part the training rows: one share, or one per fold where every fold has its pool."""
    for pool in pools:
        check_pool(pool, dataset, split, r)
    folds = [pool.fold for pool in pools]
    if len(pools) > 1 and sorted(f for f in folds if f is not None) != list(range(FOLDS)):
        raise CodsaError(
            f"{len(pools)} pools, of folds {folds}: cross-fitting takes one pool of each fold 0 to {FOLDS - 1}; "
            "without it give one pool"
        )

    def fit_fold(pool: Pool | None) -> FitFold:
        fold = None if pool is None else pool.fold
        real = real_rows(split, r, grid.reserve, fold)
        return FitFold(real, in_memory(dataset.part(real)), pool, points(grid, r, split, dataset.schema, fold))

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
    """Rows on which fitted estimators are judged.

    Attributes
    ----------
    problem : WeightedRows
    region : ndarray of int64, shape (n,)
    """

    problem: WeightedRows
    region: np.ndarray

    def score(self, metric: str, fitted: Predictor, q: np.ndarray, names: list[str]) -> dict[str, float]:
        """Return the metric per region and under Q."""
        return by_region(metric, self.problem.y, fitted.predict(self.problem.x), self.region, q, names)


def evaluation_set(dataset: AnyDataset, split: Split, role: str) -> EvaluationSet:
    """Return the rows of a role, weighted so that they follow Q."""
    assert role != TRAIN
    rows = split.rows(role)
    region = dataset.regions()[rows]
    return EvaluationSet(
        weighted_rows(in_memory(dataset.part(rows)), dataset.schema, law_weights(region, split.q)), region
    )


def _record(point: GridPoint, score: dict[str, float], r: float, real: int, split: Split) -> dict[str, Any]:
    pi = region_shares(point.m, real, point.alpha, split.p)
    return {
        "r": r,
        "m": point.m,
        "m_ratio": point.m_ratio,
        "alpha": point.label,
        "alpha_vector": json.dumps([round(float(a), 9) for a in point.alpha]),
        "counts": json.dumps([int(c) for c in point.counts]),
        "exact": point.exact,
        "real_rows": real,
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
    """Write `fits.parquet`, `chosen.json`, `estimator/` and, if asked for, every arm's estimator.

    Parameters
    ----------
    metric : str
        What test rows will be judged by.
    choose_by : str, optional
        What validation rows were judged by; default: the same.
    keep_grid : bool
        Also write `grid/ARM/`, so that the whole grid can be shown on test rows afterwards.
    """
    with new_folder(folder, FIT) as part:
        write_parquet(part / FITS, outcome.table.rename_axis("point").reset_index())
        row = {str(name): value for name, value in outcome.table.iloc[outcome.best].items()}
        chosen = {"point": outcome.best, "metric": metric, "choose_by": choose_by or metric, **row}
        write_json(part / CHOSEN, chosen)
        save_fitted(part / "estimator", outcome.fitted[outcome.best], spec)
        for point, fitted in enumerate(outcome.fitted if keep_grid else []):
            save_fitted(part / "grid" / f"{point:04d}", fitted, spec)
        write_manifest(part / MANIFEST, FIT, inputs, parameters)
