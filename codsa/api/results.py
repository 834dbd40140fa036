"""What a search found, as scikit-learn's searches show it, and in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from codsa.api.pools import generator_name
from codsa.api.search import Plan, Search
from codsa.data.choice import best_of
from codsa.data.metrics import HIGHER_IS_BETTER, RAW
from codsa.stages.fit import FittedPoint


def best_params(found: Search) -> dict[str, Any]:
    """Return the λ̂ that was chosen: r, m, α and the synthetic rows of each region."""
    return _params(found, found.fitted[found.chosen])


def _params(found: Search, point: FittedPoint) -> dict[str, Any]:
    record = point.record
    if not record["m"]:
        return {"r": None, "m": 0.0, "alpha": None, "rows": {}}
    rows = {n: c for n, c in zip(found.validation.names, json.loads(record["counts"]), strict=True) if c}
    return {"r": record["r"], "m": record["m_ratio"], "alpha": record["alpha"], "rows": rows}


def cv_results(found: Search, plan: Plan) -> dict[str, Any]:
    """Return one entry for each point that was tried, the first of which adds nothing.

    `mean_test_score` is the validation metric under Q, negated where less is better, so that greater is better as
    everywhere in scikit-learn; `std_test_score` is the standard error of its paired difference from adding nothing.
    """
    params = [_params(found, point) for point in found.fitted]
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
        **{f"param_{key}": np.array([p[key] for p in params], dtype=object) for key in ("r", "m", "alpha")},
        "real_rows": np.array([point.record["real_rows"] for point in found.fitted]),
        "synthetic_rows": np.array([point.record["m"] for point in found.fitted]),
        plan.metric: found.values,
        **by_region,
        "mean_test_score": scores,
        "std_test_score": found.errors,
        "rank_test_score": 1 + (worse[None, :] < worse[:, None]).sum(axis=1),
    }


def verdict(found: Search, plan: Plan) -> str:
    """Say in two or three sentences what the validation rows tell of adding rows."""
    values, rows = found.values, len(found.validation.region)
    name, plain = generator_name(plan.generator), values[0]
    if len(values) == 1:
        return f"Nothing was tried but the real rows: {plan.metric} {plain:.4g} on {rows} validation rows under Q."
    place = found.chosen or 1 + best_of(values[1:], plan.metric)
    point, error = found.fitted[place].record, found.errors[place]
    gain = (values[place] - plain) * (1 if plan.metric in HIGHER_IS_BETTER else -1)
    added = f"{point['m']} rows of {name} (r = {point['r']:g}, m = {point['m_ratio']:g} n, α = {point['alpha']})"
    figures = (
        f"On {rows} validation rows, weighted to Q, the {plan.metric} is {plain:.4g} without synthetic rows and "
        f"{values[place]:.4g} with {added}: {abs(gain):.2g} {'better' if gain > 0 else 'worse'}, with a standard error "
        f"of {error:.2g}."
    )
    if found.chosen:
        strength = "" if gain >= 2 * error else " Under two standard errors this is weak evidence."
        return (
            f"Synthetic rows are added. {figures}{strength} The same validation rows chose them, so the figure "
            "flatters them: judge by rows that were held out."
        )
    why = "which is not beyond one standard error" if gain > 0 else "so none of those tried is better"
    return f"Nothing is added. {figures[:-1]}, {why}."
