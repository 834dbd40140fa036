"""The search for λ = (r, m, α) on rows in memory: split, train, draw, fit, and the choice on validation rows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.api.pools import pool_of, resampling, trained_on
from codsa.api.problem import Problem
from codsa.data.choice import GENERATOR, NONE, RESAMPLING, WEIGHTS, Candidate, simplest
from codsa.data.dataset import Dataset
from codsa.data.grid import GridPoint, points, pool_counts, real_rows
from codsa.data.metrics import RAW, RECALIBRATED, law_weights
from codsa.data.rows import described
from codsa.data.schema import Schema
from codsa.data.split import (
    TRAIN,
    VALIDATION,
    Split,
    check_ratio,
    in_regions_of,
    settled_regions,
    training_schema,
    training_shares,
)
from codsa.errors import CodsaError
from codsa.estimators import Predictor, WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout, layout_of, target_vector, weighted_rows
from codsa.generators.base import Generator
from codsa.io.seeds import SeedContext, rng
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.grid import Grid
from codsa.settings.registry import ESTIMATORS
from codsa.settings.types import NAME
from codsa.stages.fit import FitFold, FittedPoint, TrainingSet, TrainingSets, ValidationScorer, point_record
from codsa.stages.scoring import EvaluationSet, target_shares
from codsa.stages.split import parse_size, target_law
from codsa.stages.split import split as split_rows
from codsa.workflow.arms import STRONG

NOTHING, WEIGHTED, ADDED = "nothing", "weights", "synthetic rows"
"""What a candidate does with the real rows: leaves them as they are, weighs them by q/p, or adds to them."""


@dataclass(frozen=True)
class Plan:
    """What the search tries.

    Attributes
    ----------
    spec : EstimatorSpec
    generator : str or Generator
    settings : mapping
    r : sequence of float
    grid : Grid
    law : str or mapping
    validation : float
        A share of every region, or a number of rows under Q.
    metric : str
    weights : bool
        Whether weighting the real rows by q/p is tried, too.
    recalibrate : bool
    seeds : SeedContext
    """

    spec: EstimatorSpec
    generator: str | Generator
    settings: Mapping[str, Any]
    r: Sequence[float]
    grid: Grid
    law: Any
    validation: float
    metric: str
    weights: bool
    recalibrate: bool
    seeds: SeedContext

    @property
    def column(self) -> str:
        """Which figures choose: as fitted, or after recalibration."""
        return RECALIBRATED if self.recalibrate else RAW


@dataclass(frozen=True)
class Tried:
    """One candidate: what it does with the real rows, its rank of simplicity, and its fit."""

    action: str
    rank: int
    fitted: FittedPoint

    def candidate(self, column: str) -> Candidate:
        """Return it as the choice takes it."""
        return Candidate(self.rank, self.fitted.values[column], self.fitted.predicted[column])

    @property
    def parameters(self) -> dict[str, Any]:
        """Its λ."""
        record = self.fitted.record
        if self.action != ADDED:
            return {"action": self.action, "r": None, "m": 0.0, "alpha": None}
        return {"action": self.action, "r": record["r"], "m": record["m_ratio"], "alpha": record["alpha"]}


@dataclass(frozen=True)
class Outcome:
    """What the search found.

    Attributes
    ----------
    tried : list of Tried
        Adding nothing comes first.
    chosen : int
    validation : EvaluationSet
    problem : Problem
        In the regions of the split.
    split : Split
    schema : Schema
        By which rows are encoded for the estimator.
    """

    tried: list[Tried]
    chosen: int
    validation: EvaluationSet
    problem: Problem
    split: Split
    schema: Schema

    @property
    def point(self) -> FittedPoint:
        """The chosen fit."""
        return self.tried[self.chosen].fitted


def estimator_spec(estimator: Any, average: int) -> EstimatorSpec:
    """Return the estimator of a wrapper: by default boosting whose size validation rows choose.

    Parameters
    ----------
    estimator : str, mapping, estimator or None
        A registered name; keys of the section `estimator` of an experiment; or an unfitted estimator of scikit-learn's
        protocol, which gets rows as the user's table has them.
    """
    if estimator is None:
        return STRONG["boosting"].model_copy(update={"average": average})
    if isinstance(estimator, str):
        return EstimatorSpec.read({"name": estimator, "average": average}, "estimator")
    if isinstance(estimator, Mapping):
        return EstimatorSpec.read({"average": average, **estimator}, "estimator")
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise InputError(
            f"estimator = {estimator!r}: give an unfitted estimator, one of {', '.join(ESTIMATORS)}, or None"
        )
    name = f"{type(estimator).__module__}:{type(estimator).__qualname__}"
    named = name if re.fullmatch(rf"{NAME}:{NAME}", name) and len(name) <= 100 else "object"
    return ObjectEstimator(name=named, average=average, unfitted=estimator)


class Features:
    """Rows as an estimator takes them: a registered one as numbers and codes, an object as the user's table.

    Parameters
    ----------
    problem : Problem
    schema : Schema
        Of the training rows.
    spec : EstimatorSpec
    n : int
        Training rows.
    """

    def __init__(self, problem: Problem, schema: Schema, spec: EstimatorSpec, n: int) -> None:
        self.problem, self.schema, self.as_given, self.n = problem, schema, isinstance(spec, ObjectEstimator), n

    def __call__(self, rows: pd.DataFrame, weight: np.ndarray) -> WeightedRows:
        """Return rows of the schema's types with their targets and weights."""
        if not self.as_given:
            return weighted_rows(rows, self.schema, weight)
        return WeightedRows(self.problem.form.restored(rows), target_vector(rows, self.schema), weight)

    @cached_property
    def layout(self) -> FeatureLayout:
        """What the estimator is told of its columns: of the user's own table, nothing."""
        layout = layout_of(self.schema, self.n)
        return (
            replace(layout, ordered=[], coded=[], shape=[], texts=True, missing_codes=[]) if self.as_given else layout
        )


class _Sets(TrainingSets):
    """The rows of grid points, as `Features` gives them."""

    features: Features

    def weighted_rows(self, frame: pd.DataFrame, weight: np.ndarray) -> WeightedRows:
        return self.features(frame, weight)


class Search:
    """Tries every λ of a plan on the rows of a problem.

    Parameters
    ----------
    problem : Problem
    plan : Plan

    Raises
    ------
    TooFewRows
        Where the rows cannot be parted into training and validation.
    """

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.plan = plan
        dataset = problem.dataset
        q = target_law(plan.law, dataset.schema, dataset.regions())
        random = rng(plan.seeds.stream("split"))
        size = parse_size(plan.validation)
        try:
            frame = split_rows(dataset, q, size, None, random)
        except CodsaError as error:
            raise TooFewRows(str(error)) from None
        split = Split(
            frame,
            q,
            training_shares(frame, dataset.schema),
            "",
            settled_regions(dataset, (frame["role"] == TRAIN).to_numpy()),
        )
        self.split = split
        in_regions = in_regions_of(split, dataset)
        assert isinstance(in_regions, Dataset)
        self.problem = replace(problem, dataset=in_regions)
        self.schema = training_schema(self.problem.dataset, split)
        self.features = Features(self.problem, self.schema, plan.spec, split.n)
        self.validation = self._validation()
        self.scorer = ValidationScorer(
            self.validation,
            plan.metric,
            target_shares(self.problem.dataset, split),
            self.schema.task,
            False,
            plan.seeds,
        )

    def _validation(self) -> EvaluationSet:
        dataset, rows = self.problem.dataset, self.split.rows(VALIDATION)
        region = dataset.regions()[rows]
        held_out = self.features(dataset.part(rows), law_weights(region, self.split.q))
        return EvaluationSet(held_out, region, self.split.q, self.schema.regions.names, rows)

    def run(self) -> Outcome:
        """Fit every candidate and choose the simplest within one standard error of the best."""
        plan = self.plan
        tried = self._without_rows()
        for r in dict.fromkeys(plan.r) if any(m > 0 for m in plan.grid.m) else ():
            tried += self._with_rows(check_ratio(r))
        stream = plan.seeds.stream("choose", plan.metric, plan.column)
        candidates = [one.candidate(plan.column) for one in tried]
        chosen = simplest(candidates, plan.metric, self.validation.rows, stream)
        return Outcome(tried, chosen, self.validation, self.problem, self.split, self.schema)

    def _without_rows(self) -> list[Tried]:
        (point,) = points(self._grid([0.0]), 1.0, self.split, self.problem.dataset.schema)
        fold = FitFold(self.split.rows(TRAIN), None, [point])
        tried = [Tried(NOTHING, NONE, one) for one in self._fitted(1.0, fold, False)]
        if self.plan.weights and self._weighable() and not np.allclose(self.split.q, self.split.p):
            tried += [Tried(WEIGHTED, WEIGHTS, one) for one in self._fitted(1.0, fold, True)]
        return tried

    def _weighable(self) -> bool:
        """Say whether the estimator takes weights of rows."""
        spec = self.plan.spec
        return (
            not isinstance(spec, ObjectEstimator) or "sample_weight" in inspect.signature(spec.unfitted.fit).parameters
        )

    def _with_rows(self, r: float) -> list[Tried]:
        plan, dataset = self.plan, self.problem.dataset
        grid = self._grid([m for m in plan.grid.m if m > 0])
        if not any(point.m for point in points(grid, r, self.split, dataset.schema)):
            return []
        trained = trained_on(dataset, self.split, r, plan.generator, plan.settings, plan.seeds)
        pool = pool_of(self.problem, trained, pool_counts([grid], r, self.split, dataset.schema), plan.seeds)
        grid_points = [point for point in points(grid, r, self.split, dataset.schema) if point.m]
        fold = FitFold(real_rows(self.split, r, grid.reserve), pool, grid_points)
        rank = RESAMPLING if resampling(plan.generator, plan.settings) else GENERATOR
        return [Tried(ADDED, rank, one) for one in self._fitted(r, fold, False)]

    def _grid(self, m: list[float]) -> Grid:
        return self.plan.grid.model_copy(update={"m": m})

    def _fitted(self, r: float, fold: FitFold, weighted: bool) -> list[FittedPoint]:
        plan = self.plan
        sets = _Sets(self.problem.dataset, self.split, self.schema, plan.grid, weighted)
        sets.features = self.features
        training = [sets.of(point, fold) for point in fold.points]
        fits = self._fits([one.rows for one in training])
        return [
            self._scored(predictor, one, point, r)
            for predictor, one, point in zip(fits, training, fold.points, strict=True)
        ]

    def _fits(self, rows: list[WeightedRows]) -> list[Predictor]:
        stream = self.plan.seeds.stream("fit")
        return fit_all(self.plan.spec, rows, self.validation.problem, self.features.layout, stream)

    def _scored(self, predictor: Predictor, training: TrainingSet, point: GridPoint, r: float) -> FittedPoint:
        return self.scorer.scored(predictor, self.plan.spec, [training], point_record(point, r))


class TooFewRows(InputError):
    """The rows cannot be parted into training and validation rows."""


def plain_fit(problem: Problem, spec: EstimatorSpec, seeds: SeedContext) -> tuple[Predictor, Schema]:
    """Fit the estimator on all rows as they are, where there are too few to try anything.

    Returns
    -------
    predictor : Predictor
    schema : Schema
        By which rows are encoded for it.
    """
    rows = problem.dataset.part(np.arange(len(problem.dataset)))
    schema = described(problem.dataset.schema, rows)
    features = Features(problem, schema, spec, len(rows))
    training = features(rows, np.ones(len(rows)))
    one = spec.model_copy(update={"search": []})
    (fitted,) = fit_all(one, [training], training, features.layout, seeds.stream("fit"))
    return fitted, schema
