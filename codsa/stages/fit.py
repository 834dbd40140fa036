"""The stage that fits estimators at every point (m, α) of a grid and chooses λ̂ on validation rows."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.allocation import domain_adaptation_index
from codsa.data.choice import GENERATOR, NONE, WEIGHTS, Candidate, simplest
from codsa.data.grid import GridPoint, points, real_rows
from codsa.data.metrics import COLUMNS, OVERALL, RAW, RECALIBRATED
from codsa.data.pool import Pool
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.schema import Schema
from codsa.data.split import FOLDS, TRAIN, VALIDATION, Split, check_ratio, training_schema
from codsa.errors import CodsaError
from codsa.estimators import Predictor, WeightedRows, average_predictors, fit_all
from codsa.estimators.base import FeatureLayout, layout_of, weighted_rows
from codsa.estimators.fitting import effective_rows
from codsa.estimators.recalibration import Recalibration, recalibration
from codsa.estimators.store import save_fitted
from codsa.io.artifacts import new_folder
from codsa.io.manifests import write_manifest
from codsa.io.names import CHOSEN, ESTIMATORS, FIT, FITS, MANIFEST, PREDICTIONS
from codsa.io.records import write_json
from codsa.io.seeds import SeedContext
from codsa.io.tables import write_parquet
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.stages.predictions import prediction_columns
from codsa.stages.scoring import EvaluationSet, evaluation_set, target_shares

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FittedPoint:
    """One grid point, fitted by one estimator, with its figures on validation rows.

    Attributes
    ----------
    record : dict
        Its row of `fits.parquet`.
    predictor : Predictor
    recalibration : Recalibration, optional
        None for detection.
    predicted : dict of str to ndarray
        Column ('raw', 'recalibrated') → predictions of the validation rows.
    values : dict of str to float
        Column → the validation metric under Q.
    """

    record: dict[str, Any]
    predictor: Predictor
    recalibration: Recalibration | None
    predicted: dict[str, np.ndarray]
    values: dict[str, float]


@dataclass(frozen=True)
class EstimatorFits:
    """All grid points of one estimator.

    Attributes
    ----------
    spec : EstimatorSpec
    points : list of FittedPoint
    chosen : dict of str to int
        Column → the index of the point that validation chooses.
    """

    spec: EstimatorSpec
    points: list[FittedPoint]
    chosen: dict[str, int]

    def point(self, column: str) -> FittedPoint:
        """Return the chosen point of a column."""
        return self.points[self.chosen[column]]


@dataclass(frozen=True)
class FitFold:
    """What one estimator is fitted on: its real rows, its pool, and the points of the grid.

    Without cross-fitting there is one fold. With it there are `FOLDS`: each has the fold's rows, and the pool of the
    generator that did not see them.

    Attributes
    ----------
    real : ndarray of int64
        row_ids of the rows beside synthetic ones; a point without these gets every training row.
    pool : Pool, optional
    points : list of GridPoint
    """

    real: np.ndarray
    pool: Pool | None
    points: list[GridPoint]


@dataclass(frozen=True)
class TrainingSet:
    """The rows of one grid point in one fold.

    Attributes
    ----------
    rows : WeightedRows
    real : int
        The number of real rows.
    pi : ndarray of shape (K,)
        The regions' shares of the rows, by weight.
    """

    rows: WeightedRows
    real: int
    pi: np.ndarray


class TrainingSets:
    """Puts together the rows of grid points.

    Parameters
    ----------
    dataset : AnyDataset
    split : Split
    schema : Schema
        What rows are encoded by: `training_schema(dataset, split)`.
    grid : Grid
    weighted : bool
        Weigh each real row by q_k/p_k of its region, p being the shares of the real rows at hand.
    """

    def __init__(self, dataset: AnyDataset, split: Split, schema: Schema, grid: Grid, weighted: bool) -> None:
        self.dataset, self.split, self.schema, self.grid, self.weighted = dataset, split, schema, grid, weighted
        self.region = dataset.regions()

    @cached_property
    def training(self) -> pd.DataFrame:
        """The modelled columns of every training row."""
        return in_memory(self.dataset.part(self.split.rows(TRAIN)))

    def of(self, point: GridPoint, fit_fold: FitFold) -> TrainingSet:
        """Return the rows of a grid point: real ones first, then the pool's."""
        every = self.split.rows(TRAIN)
        real = every if point.m == 0 else fit_fold.real
        frame = self.training if len(real) == len(every) else self.training[np.isin(every, real)]
        weight, region = self._weights(self.region[real]), self.region[real]
        if point.m:
            synthetic = self._synthetic(point, fit_fold)
            frame = pd.concat([frame, synthetic], ignore_index=True)
            weight = np.r_[weight, np.full(len(synthetic), point.pool_weight)]
            region = np.r_[region, np.repeat(np.arange(len(point.counts)), point.counts)]
        rows = self.weighted_rows(frame, weight)
        if self.grid.domain:
            rows = rows.with_domain(np.arange(len(frame)) >= len(real))
        pi = np.bincount(region, weights=weight, minlength=len(self.split.q)) / weight.sum()
        return TrainingSet(rows, len(real), pi)

    def weighted_rows(self, frame: pd.DataFrame, weight: np.ndarray) -> WeightedRows:
        """Return rows in the schema's types as the arrays that estimators compute with."""
        return weighted_rows(frame, self.schema, weight)

    def _weights(self, region: np.ndarray) -> np.ndarray:
        if not self.weighted or not len(region):
            return np.ones(len(region))
        p = np.bincount(region, minlength=len(self.split.q)) / len(region)
        return np.asarray((self.split.q / np.where(p > 0, p, 1.0))[region])

    def _synthetic(self, point: GridPoint, fit_fold: FitFold) -> pd.DataFrame:
        if fit_fold.pool is None:
            raise CodsaError(f"m = {point.m} synthetic rows, but no pool; give --pool")
        return fit_fold.pool.prefix(point.counts, self.dataset.schema.regions.names)


def fit_grid(
    dataset: AnyDataset,
    split: Split,
    pools: Sequence[Pool],
    r: float,
    grid: Grid,
    specs: Mapping[str, EstimatorSpec],
    choose_by: str,
    seeds: SeedContext,
    weighted: bool = False,
    cores: int = 1,
) -> dict[str, EstimatorFits]:
    """Fit every grid point on its real and synthetic rows, and score it on the validation rows.

    Parameters
    ----------
    pools : sequence of Pool
        Empty for a method without synthetic rows (m = 0); one pool; or one per fold for cross-fitting,
        where each grid point is the average of the folds' estimators (appendix D.1).
    r : float
        The split ratio that the pools' generators were trained at.
    specs : mapping of label to EstimatorSpec
        The study's own estimator first; all are fitted on the same rows.
    choose_by : str
        The metric of validation rows.
    weighted : bool
        Weigh each real row by q_k/p_k of its region.
    cores : int
        Grid points that are fitted at the same time. The results do not depend on this number.

    Returns
    -------
    dict of label to EstimatorFits
    """
    check_ratio(r)
    fit_folds = _fit_folds(dataset, split, pools, r=r, grid=grid)
    schema = training_schema(dataset, split)
    training_sets = TrainingSets(dataset, split, schema, grid, weighted)
    sets = [[training_sets.of(point, fold) for point in fold.points] for fold in fit_folds]
    validation = evaluation_set(dataset, split, VALIDATION, schema)
    scorer = ValidationScorer(
        validation, choose_by, target_shares(dataset, split), dataset.schema.task, weighted, seeds
    )
    layout = layout_of(schema, split.n)
    if grid.domain:
        layout = layout.with_domain()
    fits = {}
    for label, spec in specs.items():
        log.info("fitting %s at %d grid points, r = %s", label, len(sets[0]), r)
        predictors = _fit(_share(spec, len(fit_folds)), sets, validation, layout, seeds, cores)
        records = [point_record(point, r) for point in fit_folds[0].points]
        scored = [
            scorer.scored(predictor, spec, [fold_sets[k] for fold_sets in sets], records[k])
            for k, predictor in enumerate(predictors)
        ]
        fits[label] = EstimatorFits(spec, scored, {column: scorer.choice(scored, column) for column in COLUMNS})
    return fits


def _share(spec: EstimatorSpec, folds: int) -> EstimatorSpec:
    """Return the estimator with its share of the fits that are averaged: folds are averaged, too."""
    return spec.model_copy(update={"average": math.ceil(spec.average / folds)})


def _fit(
    spec: EstimatorSpec,
    sets: list[list[TrainingSet]],
    validation: EvaluationSet,
    layout: FeatureLayout,
    seeds: SeedContext,
    cores: int,
) -> list[Predictor]:
    """Fit every training set of every fold, and average each grid point over the folds."""
    # One stream for every method and r of a replicate: grid points differ by their rows alone.
    rows = [training_set.rows for fold_sets in sets for training_set in fold_sets]
    held_out = validation.problem.with_domain() if layout.domain else validation.problem
    fitted = fit_all(spec, rows, held_out, layout, stream=seeds.stream("fit"), cores=cores)
    count = len(sets[0])
    return [average_predictors(fitted[k::count]) for k in range(count)]


class ValidationScorer:
    """Scores fitted grid points on validation rows, raw and recalibrated, and chooses among them.

    Parameters
    ----------
    validation : EvaluationSet
    metric : str
    shares : ndarray of shape (C,), optional
        The classes' shares under Q.
    task : str
    weighted : bool
    seeds : SeedContext
    """

    def __init__(
        self,
        validation: EvaluationSet,
        metric: str,
        shares: np.ndarray | None,
        task: str,
        weighted: bool,
        seeds: SeedContext,
    ) -> None:
        self.validation, self.metric, self.shares, self.task = validation, metric, shares, task
        self.weighted, self.seeds = weighted, seeds

    def scored(
        self, predictor: Predictor, spec: EstimatorSpec, sets: list[TrainingSet], record: dict[str, Any]
    ) -> FittedPoint:
        """Return a grid point with its figures."""
        predicted = {RAW: self.validation.predict(predictor)}
        fitted_on = effective_rows(spec, _together(sets))
        helped = None
        if self.task != "detection":
            helped = recalibration(predicted[RAW], self.validation.problem, fitted_on, self.shares)
        predicted[RECALIBRATED] = predicted[RAW] if helped is None else helped.apply(predicted[RAW])
        scores = {column: self.validation.score(self.metric, predicted[column]) for column in COLUMNS}
        pi = np.mean([training_set.pi for training_set in sets], axis=0)
        record = {
            **record,
            "real_rows": sets[0].real,
            "domain_adaptation_index": domain_adaptation_index(self.validation.q, pi),
            "pi": json.dumps([round(float(share), 9) for share in pi]),
            "steps": predictor.steps,
            "members": predictor.count,
            "validation": scores[RAW][OVERALL],
            "validation recalibrated": scores[RECALIBRATED][OVERALL],
            **{f"validation: {name}": value for name, value in scores[RAW].items() if name != OVERALL},
            **{
                f"validation recalibrated: {name}": value
                for name, value in scores[RECALIBRATED].items()
                if name != OVERALL
            },
        }
        values = {column: scores[column][OVERALL] for column in COLUMNS}
        return FittedPoint(record, predictor, helped, predicted, values)

    def choice(self, fitted: list[FittedPoint], column: str) -> int:
        """Return the point of a column: the best, or that without synthetic rows where it is as good."""
        plain = WEIGHTS if self.weighted else NONE
        candidates = [
            Candidate(GENERATOR if point.record["m"] else plain, point.values[column], point.predicted[column])
            for point in fitted
        ]
        stream = self.seeds.stream("choose", self.metric, column)
        return simplest(candidates, self.metric, self.validation.rows, stream)


def _together(sets: list[TrainingSet]) -> WeightedRows:
    """Return labels and weights of the rows of all folds; features are left out."""
    y = np.concatenate([training_set.rows.y for training_set in sets])
    return WeightedRows(np.empty((len(y), 0)), y, np.concatenate([training_set.rows.weight for training_set in sets]))


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
        return FitFold(real, pool, points(grid, r, split, dataset.schema, fold=fold))

    return [fit_fold(pool) for pool in pools] or [fit_fold(None)]


def point_record(point: GridPoint, r: float) -> dict[str, Any]:
    """Return what a grid point's row of `fits.parquet` says of (m, α)."""
    return {
        "r": r,
        "m": point.m,
        "m_ratio": point.m_ratio,
        "alpha": point.label,
        "alpha_vector": json.dumps([round(float(a), 9) for a in point.alpha]),
        "counts": json.dumps([int(c) for c in point.counts]),
        "pool_weight": point.pool_weight,
        "exact": point.exact,
    }


def write_fits(
    folder: Path,
    fits: Mapping[str, EstimatorFits],
    validation_rows: EvaluationSet,
    metric: str,
    inputs: dict[str, str],
    parameters: dict[str, Any],
    keep_grid: bool,
    choose_by: str | None = None,
) -> None:
    """Write `fits.parquet`, `chosen.json`, `predictions.parquet`, `estimators/` and, if asked for, every grid point.

    Parameters
    ----------
    validation_rows : EvaluationSet
        The rows of `predictions.parquet`.
    metric : str
        The metric of test rows.
    choose_by : str, optional
        The metric of validation rows; default: the same.
    keep_grid : bool
        Also write `grid/POINT/` of the first estimator, so that the report can show the whole grid on test rows.
    """
    with new_folder(folder, FIT) as staged:
        write_parquet(staged / FITS, _table(fits))
        chosen = {label: _chosen_record(of_label) for label, of_label in fits.items()}
        write_json(staged / CHOSEN, {"metric": metric, "choose_by": choose_by or metric, "estimators": chosen})
        predictions = {
            (label, column): of_label.point(column).predicted[column]
            for label, of_label in fits.items()
            for column in COLUMNS
        }
        write_parquet(staged / PREDICTIONS, prediction_columns(validation_rows, predictions))
        for label, of_label in fits.items():
            for place in dict.fromkeys(of_label.chosen.values()):
                save_fitted(
                    staged / ESTIMATORS / label / f"{place:04d}", of_label.points[place].predictor, of_label.spec
                )
        first = next(iter(fits.values()))
        for place, point in enumerate(first.points if keep_grid else []):
            save_fitted(staged / "grid" / f"{place:04d}", point.predictor, first.spec)
        write_manifest(staged / MANIFEST, FIT, inputs, parameters)


def _table(fits: Mapping[str, EstimatorFits]) -> pd.DataFrame:
    records = [
        {"estimator": label, "point": place, **point.record}
        for label, of_label in fits.items()
        for place, point in enumerate(of_label.points)
    ]
    return pd.DataFrame(records).astype({"steps": "Int64"})


def _chosen_record(fits: EstimatorFits) -> dict[str, Any]:
    """Return, by column, the chosen point of an estimator, and its recalibration."""
    return {column: _column_record(fits, column) for column in COLUMNS}


def _column_record(fits: EstimatorFits, column: str) -> dict[str, Any]:
    helped = fits.point(column).recalibration
    facts = (
        None if helped is None else {**asdict(helped), "shift": None if helped.shift is None else helped.shift.tolist()}
    )
    return {"point": fits.chosen[column], "recalibration": facts}
