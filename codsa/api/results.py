"""What a search found, as scikit-learn's searches show it, and in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from codsa.api.pools import generator_name
from codsa.api.search import Plan, Search
from codsa.data.choice import WEIGHTS, best_of
from codsa.data.metrics import HIGHER_IS_BETTER, RAW

NOTHING: dict[str, Any] = {"r": None, "m": 0.0, "alpha": None, "rows": {}, "weights": False}
"""λ of the real rows as they are."""
CAUTION = "The same validation rows chose it, so the figure flatters it: judge by rows that were held out."


def best_params(found: Search) -> dict[str, Any]:
    """Return the λ̂ that was chosen: r, m, α, the synthetic rows of each region, and whether real rows are weighted."""
    return _params(found, found.chosen)


def _params(found: Search, place: int) -> dict[str, Any]:
    record = found.fitted[place].record
    if not record["m"]:
        return {**NOTHING, "weights": found.ranks[place] == WEIGHTS}
    rows = {n: c for n, c in zip(found.validation.names, json.loads(record["counts"]), strict=True) if c}
    return {"r": record["r"], "m": record["m_ratio"], "alpha": record["alpha"], "rows": rows, "weights": False}


def cv_results(found: Search, plan: Plan) -> dict[str, Any]:
    """Return one entry for each point that was tried, the first of which adds nothing.

    `mean_test_score` is the validation metric under Q, negated where less is better, so that greater is better as
    everywhere in scikit-learn; `std_test_score` is the standard error of its paired difference from adding nothing.
    """
    params = [_params(found, place) for place in range(len(found.fitted))]
    sign = 1.0 if plan.metric in HIGHER_IS_BETTER else -1.0
    scores = sign * found.values
    prefix = "validation: " if found.column == RAW else "validation recalibrated: "
    by_region = {
        f"{plan.metric}: {name}": np.array([point.record.get(prefix + name, np.nan) for point in found.fitted])
        for name in found.validation.names
    }
    worse = np.where(np.isnan(scores), np.inf, -scores)
    return {
        "params": params,
        **{f"param_{key}": np.array([p[key] for p in params], dtype=object) for key in ("r", "m", "alpha", "weights")},
        "real_rows": np.array([point.record["real_rows"] for point in found.fitted]),
        "synthetic_rows": np.array([point.record["m"] for point in found.fitted]),
        plan.metric: found.values,
        **by_region,
        "mean_test_score": scores,
        "std_test_score": found.errors,
        "rank_test_score": 1 + (worse[None, :] < worse[:, None]).sum(axis=1),
    }


def verdict(found: Search, plan: Plan) -> str:
    """Say in a few sentences what the validation rows tell of adding rows, and of the controls beside it."""
    values, rows = found.values, len(found.validation.region)
    name = plan.metric if found.column == RAW else f"recalibrated {plan.metric}"
    added = [place for place, point in enumerate(found.fitted) if point.record["m"]]
    parts = [f"{values[0]:.4g} with the real rows as they are"]
    if found.weighted is not None:
        parts.append(f"{values[found.weighted]:.4g} with these weighted")
    if added:
        best = added[best_of(values[added], plan.metric)]
        parts.append(f"{values[best]:.4g} with {_described(found, plan, best)}, the best of {len(added)} such tried")
    figures = f"On {rows} validation rows, weighted to Q, the {name} is {', '.join(parts)}."
    if found.chosen == 0:
        why = "nothing is better beyond one standard error" if len(values) > 1 else "nothing else was tried"
        return f"Nothing is added: {why}. {figures}"
    first = "Synthetic rows are added" if found.fitted[found.chosen].record["m"] else "The real rows are weighted"
    chosen = _described(found, plan, found.chosen)
    beside = [
        _beside(found, plan, place) for place in dict.fromkeys((0, found.weighted)) if place not in (None, found.chosen)
    ]
    return f"{first}: {chosen}, {'; '.join(beside)}. {figures} {CAUTION}"


def _described(found: Search, plan: Plan, place: int) -> str:
    point = found.fitted[place].record
    if not point["m"]:
        return "by q/p of their region"
    return (
        f"{point['m']} rows of {generator_name(plan.generator)} (r = {point['r']:g}, m = {point['m_ratio']:g} n, "
        f"α = {point['alpha']})"
    )


def _beside(found: Search, plan: Plan, place: int | None) -> str:
    """Say how far the choice is ahead of a simpler candidate."""
    assert place is not None
    gain = (found.values[found.chosen] - found.values[place]) * (1 if plan.metric in HIGHER_IS_BETTER else -1)
    error = found.error(found.chosen, place, plan.metric)
    weak = ", which is weak evidence" if gain < 2 * error else ""
    other = "weights" if place else "nothing added"
    return (
        f"{abs(gain):.2g} {'better' if gain > 0 else 'worse'} than {other}, with a standard error of {error:.2g}{weak}"
    )
