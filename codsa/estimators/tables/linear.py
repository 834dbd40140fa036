"""Linear models of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows, balanced, validated
from codsa.estimators.temperature import best_temperature, columns_of
from codsa.settings.arguments import admits
from codsa.settings.registry import check_settings
from codsa.settings.types import Rate


class Penalised:
    """Logistic regression whose penalty and confidence validation rows decide, for every training set by itself.

    A weak penalty makes a model too sure of itself, which says nothing of its decisions. So each one is first given
    the temperature (Guo 2017) that suits the validation rows, and the penalty of the lowest cross-entropy is taken.

    Parameters
    ----------
    penalties : sequence of float
        Values of C, the inverse of the weight of the L2 penalty, that are tried from the smallest on.
    settings : mapping
        Further keyword arguments of scikit-learn's LogisticRegression.
    """

    def __init__(self, penalties: Sequence[float], settings: Mapping[str, Any]) -> None:
        self.penalties, self.settings = sorted(penalties), dict(settings)

    def fit_many(self, train_sets: list[WeightedRows], validation_sets: list[WeightedRows], seed: int) -> list[Any]:
        """Fit every training set with every penalty; return the best model of each."""
        return [
            self._best(train_rows, validation_rows)
            for train_rows, validation_rows in zip(train_sets, validation_sets, strict=True)
        ]

    def _best(self, train_rows: WeightedRows, validation_rows: WeightedRows) -> Any:
        from sklearn.linear_model import LogisticRegression

        best_model, lowest, start = None, np.inf, None
        for c in self.penalties:
            model = LogisticRegression(**{**self.settings, "C": c, "warm_start": True})
            if start is not None:
                model.coef_, model.intercept_ = (part.copy() for part in start)
            model.fit(train_rows.x, train_rows.y, train_rows.weight)
            start = model.coef_, model.intercept_
            factor, loss = confidence(model, validation_rows)
            if best_model is None or loss < lowest:
                best_model, lowest = model, loss
                model.coef_, model.intercept_ = factor * model.coef_, factor * model.intercept_
        return best_model


def confidence(model: Any, validation_rows: WeightedRows) -> tuple[float, float]:
    """Return the factor of a model's logits that is best on validation rows, and their cross-entropy with it.

    Rows of a class that the model has never met are left out; without any others the factor is 1.
    """
    own = columns_of(validation_rows.y, model.classes_)
    return best_temperature(model.predict_proba(validation_rows.x), own, validation_rows.weight)


def _linear(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    model_class = Ridge if layout.task == "regression" else LogisticRegression
    check_settings("estimator", "logistic", model_class, settings)
    default = {} if layout.task == "regression" else {"max_iter": 1000}
    penalties = settings.get("C")
    if isinstance(penalties, Sequence) and not isinstance(penalties, str):
        if not penalties or not admits(list[Rate], list(penalties)):
            raise CodsaError(f"estimator 'logistic': C = {list(penalties)}; give numbers above 0")
        validated("logistic", model_class(**{**default, **settings, "C": penalties[0]}))
        return Penalised(penalties, {**default, **settings})
    return validated("logistic", model_class(**{**default, **settings}))


def _effective_weight(settings: Mapping[str, Any], rows: WeightedRows) -> np.ndarray:
    """Return the rows' weights; LogisticRegression balances classes by the sum of their weights."""
    return balanced(rows) if settings.get("class_weight") == "balanced" else rows.weight


logistic = EstimatorKind(_linear, "standard", seeded=lambda settings: False, effective_weight=_effective_weight)
"""Logistic regression; its counterpart for a number is ridge regression. Of several C validation chooses."""
