"""The search of λ = (m, α, r) in memory: split, generators, pools and fits, and the choice on validation rows."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.api.pools import all_train, pool_of, resampling, trained_on
from codsa.api.problem import Problem
from codsa.data.choice import GENERATOR, NONE, RESAMPLING, WEIGHTS, Candidate, simplest, standard_error
from codsa.data.grid import GridPoint, points, pool_counts, real_rows
from codsa.data.metrics import RAW, RECALIBRATED, law_weights
from codsa.data.rows import in_memory
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, VALIDATION, Split, in_regions_of, settled_regions, training_schema, training_shares
from codsa.errors import CodsaError
from codsa.estimators import Predictor, WeightedRows, fit_all
from codsa.estimators.base import layout_of, target_vector
from codsa.generators.base import Generator
from codsa.io.seeds import SeedContext, rng
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.grid import Grid
from codsa.settings.registry import ESTIMATORS, load
from codsa.stages.fit import FitFold, FittedPoint, TrainingSet, TrainingSets, ValidationScorer, point_record
from codsa.stages.scoring import EvaluationSet, target_shares
from codsa.stages.split import parse_size, split, target_law


@dataclass(frozen=True)
class Plan:
    """What is tried, and how it is judged.

    Attributes
    ----------
    spec : EstimatorSpec
    generator : str or Generator
    settings : mapping
        Of a generator that is given by name.
    ratios : list of float
        The values of r.
    grid : Grid
        The values of (m, α) beyond adding nothing.
    law : str or mapping
    validation : float
        Rows, or a share of every region.
    metric : str
        Of validation rows.
    recalibrate : bool
        Whether all candidates are recalibrated on validation rows before they are compared.
    weights : bool
        Whether weighting the real rows by q/p of their region is tried, where the estimator takes weights.
    """

    spec: EstimatorSpec
    generator: str | Generator
    settings: Mapping[str, Any]
    ratios: Sequence[float]
    grid: Grid
    law: Any
    validation: float
    metric: str
    recalibrate: bool
    weights: bool = True


class TooFewRows(InputError):
    """The rows cannot be parted into training and validation rows."""


@dataclass(frozen=True)
class Tried:
    """One candidate: its point (m, α) and r, its rows, its rank of simplicity, and the generator of its rows."""

    r: float
    point: GridPoint
    rows: TrainingSet
    rank: int
    generator: Generator | None = None


@dataclass(frozen=True)
class Search:
    """What was tried on one set of rows.

    Attributes
    ----------
    fitted : list of FittedPoint
        The first adds nothing.
    generators : list of Generator or None
        The one whose rows each of them has.
    ranks : list of int
        Of simplicity (see `codsa.data.choice`).
    chosen : int
    validation : EvaluationSet
    column : {'raw', 'recalibrated'}
    schema : Schema
        What the estimators' rows are encoded by.
    errors : ndarray
        Of each: the standard error of its paired difference from adding nothing, on the validation rows.
    stream : SeedSequence
        For standard errors that are bootstrapped.
    """

    fitted: list[FittedPoint]
    generators: list[Generator | None]
    ranks: list[int]
    chosen: int
    validation: EvaluationSet
    column: str
    schema: Schema
    errors: np.ndarray
    stream: np.random.SeedSequence

    @property
    def values(self) -> np.ndarray:
        """The validation metric of every point under Q."""
        return np.array([point.values[self.column] for point in self.fitted])

    @property
    def weighted(self) -> int | None:
        """The place of the candidate that weights the real rows, if that was tried."""
        return self.ranks.index(WEIGHTS) if WEIGHTS in self.ranks else None

    def error(self, a: int, b: int, metric: str) -> float:
        """Return the standard error of the paired difference of two candidates on the validation rows."""
        first, second = (self.fitted[place].predicted[self.column] for place in (a, b))
        return standard_error(metric, self.validation.rows, first, second, self.stream)


class GivenRows(TrainingSets):
    """Training sets whose features stand as in the user's own table, for the user's own estimator."""

    def __init__(self, problem: Problem, *rest: Any) -> None:
        super().__init__(problem.dataset, *rest)
        self.problem = problem

    def weighted_rows(self, frame: pd.DataFrame, weight: np.ndarray) -> WeightedRows:
        """Return rows in the schema's types with the user's columns as x."""
        return WeightedRows(self.problem.form.restored(frame), target_vector(frame, self.schema), weight)


def in_memory_split(problem: Problem, law: Any, validation: float, seeds: SeedContext) -> tuple[Problem, Split]:
    """Split the rows into training and validation rows; a test set is the caller's own affair.

    Returns
    -------
    problem : Problem
        In the split's regions.
    split : Split
    """
    dataset = problem.dataset
    q = target_law(law, dataset.schema, dataset.regions())
    size, random = parse_size(validation), rng(seeds.stream("split"))
    try:
        frame = split(dataset, q, size, None, random)
    except CodsaError as error:
        raise TooFewRows(str(error)) from None
    regions = settled_regions(dataset, (frame["role"] != VALIDATION).to_numpy())
    roles = Split(frame, q, training_shares(frame, dataset.schema), "", regions)
    settled = replace(dataset, schema=in_regions_of(roles, dataset).schema)
    return replace(problem, dataset=settled), roles


def search(problem: Problem, plan: Plan, seeds: SeedContext, cores: int = 1) -> Search:
    """Split the rows, train a generator for each r, fit every point and choose λ̂ on validation rows.

    Adding nothing, and weighting the real rows, are among the candidates. The simplest one within one standard error
    of the best is chosen.
    """
    problem, roles = in_memory_split(problem, plan.law, plan.validation, seeds)
    dataset, schema = problem.dataset, training_schema(problem.dataset, roles)
    held_out = _validation(_sets(problem, roles, schema, plan), roles, schema)
    tried = _tried(problem, roles, schema, plan, seeds)
    layout, stream = layout_of(schema, roles.n), seeds.stream("fit")
    predictors = fit_all(plan.spec, [one.rows.rows for one in tried], held_out.problem, layout, stream, cores)
    shares = target_shares(dataset, roles)
    scorer = ValidationScorer(held_out, plan.metric, shares, dataset.schema.task, False, seeds)
    fitted = [
        scorer.scored(predictor, plan.spec, [one.rows], point_record(one.point, one.r))
        for predictor, one in zip(predictors, tried, strict=True)
    ]
    column, ranks = RECALIBRATED if plan.recalibrate else RAW, [one.rank for one in tried]
    stream = seeds.stream("choose", plan.metric, column)
    candidates = [Candidate(rank, p.values[column], p.predicted[column]) for rank, p in zip(ranks, fitted, strict=True)]
    chosen = simplest(candidates, plan.metric, held_out.rows, stream)
    plain = candidates[0].predicted
    errors = [standard_error(plan.metric, held_out.rows, plain, c.predicted, stream) for c in candidates]
    generators = [one.generator for one in tried]
    return Search(fitted, generators, ranks, chosen, held_out, column, schema, errors=np.array(errors), stream=stream)


def plain_fit(problem: Problem, spec: EstimatorSpec, seeds: SeedContext) -> tuple[Predictor, Schema]:
    """Fit the estimator on all rows as they are, where there are too few to part them.

    Returns
    -------
    predictor : Predictor
    schema : Schema
        Of the rows.
    """
    region = problem.dataset.regions()
    roles = all_train(problem.dataset, np.bincount(region) / len(region))
    schema = training_schema(problem.dataset, roles)
    plan = Plan(spec, "bootstrap", {}, [], Grid(m=[0.0]), "training", 0.2, "", False)
    (nothing,) = points(plan.grid, 1.0, roles, schema)
    rows = _sets(problem, roles, schema, plan).of(nothing, FitFold(roles.rows(TRAIN), None, [nothing])).rows
    one = spec.model_copy(update={"search": []})  # no rows are left to choose by
    (fitted,) = fit_all(one, [rows], rows, layout_of(schema, roles.n), seeds.stream("fit"))
    return fitted, schema


def _sets(problem: Problem, roles: Split, schema: Schema, plan: Plan, weighted: bool = False) -> TrainingSets:
    if isinstance(plan.spec, ObjectEstimator):
        return GivenRows(problem, roles, schema, plan.grid, weighted)
    return TrainingSets(problem.dataset, roles, schema, plan.grid, weighted)


def takes_weights(spec: EstimatorSpec) -> bool:
    """Say whether an estimator takes weights of rows: registered ones do."""
    if isinstance(spec, ObjectEstimator):
        return "sample_weight" in inspect.signature(spec.unfitted.fit).parameters
    if spec.name in ESTIMATORS:
        return True
    return "sample_weight" in inspect.signature(load("estimator", spec.name, ESTIMATORS).fit).parameters


def _validation(sets: TrainingSets, roles: Split, schema: Schema) -> EvaluationSet:
    rows = roles.rows(VALIDATION)
    region = sets.region[rows]
    frame = in_memory(sets.dataset.part(rows))
    return EvaluationSet(
        sets.weighted_rows(frame, law_weights(region, roles.q)), region, roles.q, schema.regions.names, rows
    )


def _tried(problem: Problem, roles: Split, schema: Schema, plan: Plan, seeds: SeedContext) -> list[Tried]:
    """Return the candidates, the simplest first: nothing added, the real rows weighted, rows added."""
    dataset = problem.dataset
    sets = _sets(problem, roles, schema, plan)
    (nothing,) = points(Grid(m=[0.0]), 1.0, roles, dataset.schema)
    every = FitFold(roles.rows(TRAIN), None, [nothing])
    tried = [Tried(1.0, nothing, sets.of(nothing, every), NONE)]
    if plan.weights and plan.law != "training" and takes_weights(plan.spec) and not np.allclose(roles.q, roles.p):
        weighted = _sets(problem, roles, schema, plan, weighted=True)
        tried.append(Tried(1.0, nothing, weighted.of(nothing, every), WEIGHTS))
    rank = RESAMPLING if resampling(plan.generator, plan.settings) else GENERATOR
    for r in plan.ratios:
        of_r = [point for point in points(plan.grid, r, roles, dataset.schema) if point.m]
        if not of_r:
            continue
        trained = trained_on(dataset, roles, r, plan.generator, plan.settings, seeds)
        pool = pool_of(problem, trained, pool_counts([plan.grid], r, roles, dataset.schema), seeds)
        fold = FitFold(real_rows(roles, r, plan.grid.reserve), pool, of_r)
        tried += [Tried(r, point, sets.of(point, fold), rank, trained.generator) for point in of_r]
    return tried
