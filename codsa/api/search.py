"""The search of λ = (m, α, r) in memory: split, generators, pools and fits, and the choice on validation rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.pools import pool_of, resampling, trained_on
from codsa.api.problem import Problem
from codsa.data.choice import GENERATOR, NONE, RESAMPLING, Candidate, simplest, standard_error
from codsa.data.grid import GridPoint, points, pool_counts, real_rows
from codsa.data.metrics import RAW, RECALIBRATED, law_weights
from codsa.data.rows import in_memory
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, VALIDATION, Split, in_regions_of, settled_regions, training_schema, training_shares
from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import layout_of, target_vector
from codsa.generators.base import Generator
from codsa.io.seeds import SeedContext, rng
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.grid import Grid
from codsa.stages.fit import FitFold, FittedPoint, TrainingSets, ValidationScorer, point_record
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
    """

    fitted: list[FittedPoint]
    generators: list[Generator | None]
    ranks: list[int]
    chosen: int
    validation: EvaluationSet
    column: str
    schema: Schema
    errors: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The validation metric of every point under Q."""
        return np.array([point.values[self.column] for point in self.fitted])


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
    frame = split(dataset, q, parse_size(validation), None, rng(seeds.stream("split")))
    regions = settled_regions(dataset, (frame["role"] != VALIDATION).to_numpy())
    roles = Split(frame, q, training_shares(frame, dataset.schema), "", regions)
    settled = replace(dataset, schema=in_regions_of(roles, dataset).schema)
    return replace(problem, dataset=settled), roles


def search(problem: Problem, plan: Plan, seeds: SeedContext, cores: int = 1) -> Search:
    """Split the rows, train a generator for each r, fit every point and choose λ̂ on validation rows.

    Adding nothing is among the points. The simplest one within one standard error of the best is chosen.
    """
    problem, roles = in_memory_split(problem, plan.law, plan.validation, seeds)
    dataset, schema = problem.dataset, training_schema(problem.dataset, roles)
    if isinstance(plan.spec, ObjectEstimator):
        sets: TrainingSets = GivenRows(problem, roles, schema, plan.grid, False)
    else:
        sets = TrainingSets(dataset, roles, schema, plan.grid, False)
    held_out = _validation(sets, roles, schema)
    tried, rows, generators = _tried(problem, roles, plan, sets, seeds)
    layout = layout_of(schema, roles.n)
    predictors = fit_all(plan.spec, [s.rows for s in rows], held_out.problem, layout, seeds.stream("fit"), cores)
    shares = target_shares(dataset, roles)
    scorer = ValidationScorer(held_out, plan.metric, shares, dataset.schema.task, False, seeds)
    fitted = [
        scorer.scored(predictor, plan.spec, [training], point_record(point, r))
        for predictor, training, (r, point) in zip(predictors, rows, tried, strict=True)
    ]
    column = RECALIBRATED if plan.recalibrate else RAW
    beyond = RESAMPLING if resampling(plan.generator, plan.settings) else GENERATOR
    ranks = [beyond if point.m else NONE for _, point in tried]
    stream = seeds.stream("choose", plan.metric, column)
    candidates = [Candidate(rank, p.values[column], p.predicted[column]) for rank, p in zip(ranks, fitted, strict=True)]
    chosen = simplest(candidates, plan.metric, held_out.rows, stream)
    plain = candidates[0].predicted
    errors = [standard_error(plan.metric, held_out.rows, plain, c.predicted, stream) for c in candidates]
    return Search(fitted, generators, ranks, chosen, held_out, column, schema, errors=np.array(errors))


def _validation(sets: TrainingSets, roles: Split, schema: Schema) -> EvaluationSet:
    rows = roles.rows(VALIDATION)
    region = sets.region[rows]
    frame = in_memory(sets.dataset.part(rows))
    return EvaluationSet(
        sets.weighted_rows(frame, law_weights(region, roles.q)), region, roles.q, schema.regions.names, rows
    )


def _tried(
    problem: Problem, roles: Split, plan: Plan, sets: TrainingSets, seeds: SeedContext
) -> tuple[list[tuple[float, GridPoint]], list[Any], list[Generator | None]]:
    """Return the points with their r, their training sets and their generators; adding nothing is the first."""
    dataset, schema = problem.dataset, problem.dataset.schema
    nothing = points(Grid(m=[0.0]), 1.0, roles, schema)[0]
    tried = [(1.0, nothing)]
    rows = [sets.of(nothing, FitFold(roles.rows(TRAIN), None, [nothing]))]
    found: list[Generator | None] = [None]
    for r in plan.ratios:
        of_r = [point for point in points(plan.grid, r, roles, schema) if point.m]
        if not of_r:
            continue
        trained = trained_on(dataset, roles, r, plan.generator, plan.settings, seeds)
        pool = pool_of(problem, trained, pool_counts([plan.grid], r, roles, schema), seeds)
        fold = FitFold(real_rows(roles, r, plan.grid.reserve), pool, of_r)
        tried += [(r, point) for point in of_r]
        rows += [sets.of(point, fold) for point in of_r]
        found += [trained.generator] * len(of_r)
    return tried, rows, found
