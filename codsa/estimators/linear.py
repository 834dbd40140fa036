"""Linear models of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codsa.estimators.base import EstimatorKind, Layout
from codsa.registry import check_settings


def _linear(layout: Layout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    call = Ridge if layout.task == "regression" else LogisticRegression
    check_settings("estimator", "logistic", call, settings)
    default = {} if layout.task == "regression" else {"max_iter": 1000}
    return call(**{**default, **settings})


logistic = EstimatorKind(_linear, "standard")
"""Logistic regression; its counterpart for a number is ridge regression."""
