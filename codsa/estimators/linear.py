"""Linear models of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, Layout, Problem
from codsa.registry import check_settings


class Penalised:
    """Logistic regression whose penalty validation rows decide, for every arm by itself.

    Parameters
    ----------
    penalties : sequence of float
        Values of C, the inverse of the weight of the L2 penalty, that are tried from the smallest on; that of the
        lowest cross-entropy on the validation rows is taken.
    settings : mapping
        Further keyword arguments of scikit-learn's LogisticRegression.
    """

    def __init__(self, penalties: Sequence[float], settings: Mapping[str, Any]) -> None:
        self.penalties, self.settings = sorted(penalties), dict(settings)

    def fit_many(self, arms: list[Problem], checks: list[Problem], seed: int) -> list[Any]:
        """Fit every arm with every penalty; return each arm's best model."""
        return [self._best(arm, check) for arm, check in zip(arms, checks, strict=True)]

    def _best(self, arm: Problem, check: Problem) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

        found, lowest, coefficients = None, np.inf, None
        for c in self.penalties:
            model = LogisticRegression(**{**self.settings, "C": c, "warm_start": True})
            if coefficients is not None:
                model.coef_, model.intercept_ = coefficients
            model.fit(arm.x, arm.y, arm.weight)
            coefficients = model.coef_.copy(), model.intercept_.copy()
            predicted = np.full((len(check.y), int(max(arm.y.max(), check.y.max())) + 1), 1e-12)
            predicted[:, model.classes_] = np.clip(model.predict_proba(check.x), 1e-12, None)
            classes = np.arange(predicted.shape[1])
            predicted /= predicted.sum(axis=1, keepdims=True)
            loss = log_loss(check.y, predicted, sample_weight=check.weight, labels=classes)
            if found is None or loss < lowest:
                found, lowest = model, loss
        return found


def _linear(layout: Layout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    call = Ridge if layout.task == "regression" else LogisticRegression
    check_settings("estimator", "logistic", call, settings)
    default = {} if layout.task == "regression" else {"max_iter": 1000}
    several = settings.get("C")
    if isinstance(several, Sequence) and not isinstance(several, str):
        if not several or not all(isinstance(c, (int, float)) and c > 0 for c in several):
            raise CodsaError(f"estimator 'logistic': C = {list(several)}; give numbers above 0")
        return Penalised(several, {**default, **settings})
    return call(**{**default, **settings})


logistic = EstimatorKind(_linear, "standard")
"""Logistic regression; its counterpart for a number is ridge regression. Of several C validation chooses."""
