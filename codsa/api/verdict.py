"""What validation rows say of the candidates, in a table and in plain words."""

from __future__ import annotations

from typing import Any

import numpy as np

from codsa.api.search import ADDED, NOTHING, WEIGHTED, Outcome, Plan, Tried
from codsa.data.choice import standard_error
from codsa.data.metrics import HIGHER_IS_BETTER, OVERALL, RAW

CAUTION = (
    "Validation rows made this choice, so its figure flatters it: only rows that fit never saw, a test set or an outer "
    "cross-validation, say what it is worth."
)


def results_of(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    """Return a column per fact and a row per candidate, as `cv_results_` has them."""
    parameters = [one.parameters for one in outcome.tried]
    records = [one.fitted.record for one in outcome.tried]
    values = np.array([one.fitted.values[plan.column] for one in outcome.tried])
    signed = -values if plan.metric in HIGHER_IS_BETTER else values
    start = "validation: " if plan.column == RAW else "validation recalibrated: "
    return {
        "params": parameters,
        **{f"param_{key}": [one[key] for one in parameters] for key in parameters[0]},
        "real_rows": [int(record["real_rows"]) for record in records],
        "synthetic_rows": [int(record["m"]) for record in records],
        f"validation_{plan.metric}": values,
        f"validation_{plan.metric}_as_fitted": np.array([one.fitted.values[RAW] for one in outcome.tried]),
        **{
            f"validation_{plan.metric}: {name}": np.array([record[f"{start}{name}"] for record in records])
            for name in outcome.validation.names
        },
        "rank_validation": np.array([1 + int(np.nansum(signed < own)) for own in signed]),
    }


def verdict_of(outcome: Outcome, plan: Plan) -> str:
    """Return what was chosen, by how much, and what that is worth."""
    chosen, plain = outcome.tried[outcome.chosen], outcome.tried[0]
    n, law = len(outcome.validation.row_id), "under the law Q"
    kind = "" if plan.column == RAW else "recalibrated "
    figures = f"On {n} validation rows {law}, the {kind}{plan.metric} is {_value(plain, plan)} with nothing added"
    simpler = [one for one in outcome.tried if one.action != ADDED]
    if len(simpler) > 1:
        figures += f", {_value(simpler[1], plan)} with the rows weighted"
    added = [one for one in outcome.tried if one.action == ADDED]
    if added:
        best = _best(added, plan)
        figures += f", {_value(best, plan)} with {_described(best)}, the best of {len(added)} tried"
    return f"{figures}. {_conclusion(chosen, simpler, outcome, plan)} {CAUTION}"


def _conclusion(chosen: Tried, simpler: list[Tried], outcome: Outcome, plan: Plan) -> str:
    if chosen.action == NOTHING:
        alone = "There was nothing else to try" if len(outcome.tried) == 1 else ""
        return f"{alone or 'No candidate is better by more than one standard error'}: nothing is added."
    what = "The rows are weighted" if chosen.action == WEIGHTED else f"{_described(chosen).capitalize()} are added"
    named = {NOTHING: "adding nothing", WEIGHTED: "weights"}
    ahead = [f"{_ahead(chosen, one, outcome, plan)} of {named[one.action]}" for one in simpler if one is not chosen]
    return f"{what}: {', '.join(ahead)}."


def _ahead(chosen: Tried, other: Tried, outcome: Outcome, plan: Plan) -> str:
    difference = chosen.fitted.values[plan.column] - other.fitted.values[plan.column]
    better = (difference > 0) == (plan.metric in HIGHER_IS_BETTER)
    errors = abs(difference) / _error(chosen, other, outcome, plan)
    return f"{abs(difference):.3g} ({errors:.1f} standard errors) {'ahead' if better else 'short'}"


def _error(chosen: Tried, other: Tried, outcome: Outcome, plan: Plan) -> float:
    stream = plan.seeds.stream("verdict", plan.metric, plan.column)
    a, b = (one.fitted.predicted[plan.column] for one in (chosen, other))
    return max(standard_error(plan.metric, outcome.validation.rows, a, b, stream), float(np.finfo(float).tiny))


def _best(tried: list[Tried], plan: Plan) -> Tried:
    sign = -1.0 if plan.metric in HIGHER_IS_BETTER else 1.0
    return min(tried, key=lambda one: np.nan_to_num(sign * one.fitted.values[plan.column], nan=np.inf))


def _value(one: Tried, plan: Plan) -> str:
    return f"{one.fitted.values[plan.column]:.4g}"


def _described(one: Tried) -> str:
    record = one.fitted.record
    point = f"r = {record['r']:g}, α {record['alpha']}"
    return f"{record['m']} synthetic rows ({point}) beside {record['real_rows']} real ones"


def too_few(reason: str) -> str:
    """Return the verdict where nothing could be tried."""
    return f"Nothing was tried, and the estimator has all rows as they are: {reason}."


def best_score(outcome: Outcome, plan: Plan) -> float:
    """Return the validation figure of the choice under Q."""
    column = "validation" if plan.column == RAW else "validation recalibrated"
    assert OVERALL not in outcome.validation.names
    return float(outcome.point.record[column])
