"""Ensembles whose members are fitted on as many rows of every class: imbalanced-learn's under-sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from imblearn.ensemble import BalancedRandomForestClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows, evenly, validated
from codsa.settings.registry import check_settings
from codsa.settings.types import Count, PositiveInt, Rate


class BalancedBoosting(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of gradient boosting on balanced samples, each the smallest class and as many rows of the others.

    It is EasyEnsemble (Liu 2009), with boosting by histograms in the place of AdaBoost of stumps: the members are as
    strong as the `gradient-boosting` that they are compared with. imbalanced-learn's RandomUnderSampler draws the
    samples; its own BalancedBaggingClassifier would do the same, but takes no weights of rows. These count on top of
    the balance.

    Parameters
    ----------
    n_estimators : int
        Members.
    max_iter, learning_rate, max_leaf_nodes, min_samples_leaf, l2_regularization
        Of each member's HistGradientBoostingClassifier.
    random_state : int
    """

    def __init__(
        self,
        n_estimators: PositiveInt = 10,
        max_iter: PositiveInt = 100,
        learning_rate: Rate = 0.1,
        max_leaf_nodes: PositiveInt | None = 31,
        min_samples_leaf: PositiveInt = 20,
        l2_regularization: float = 0.0,
        random_state: Count = 0,
    ) -> None:
        self.n_estimators, self.max_iter, self.learning_rate = n_estimators, max_iter, learning_rate
        self.max_leaf_nodes, self.min_samples_leaf = max_leaf_nodes, min_samples_leaf
        self.l2_regularization, self.random_state = l2_regularization, random_state

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Fit the members.

        Parameters
        ----------
        x : ndarray of shape (n, d)
        y : ndarray of int64, shape (n,)
        sample_weight : ndarray of shape (n,), optional
        """
        from imblearn.under_sampling import RandomUnderSampler

        self.classes_, self.n_features_in_ = np.unique(y), x.shape[1]
        self.estimators_ = []
        for number in range(self.n_estimators):
            sampler = RandomUnderSampler(random_state=(self.random_state + number) % 2**32)
            sampler.fit_resample(np.zeros((len(y), 1)), y)
            rows = sampler.sample_indices_
            weight = None if sample_weight is None else sample_weight[rows]
            self.estimators_.append(self.member(number).fit(x[rows], y[rows], weight))
        return self

    def member(self, number: int) -> Any:
        """Return an unfitted member."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=False,
            random_state=(self.random_state + number) % 2**32,
        )

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of the members' class probabilities, ndarray of shape (n, C)."""
        return np.asarray(np.mean([member.predict_proba(x) for member in self.estimators_], axis=0))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the likeliest classes, ndarray of shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])


class SmoothedForest(BalancedRandomForestClassifier):  # type: ignore[misc]
    """imbalanced-learn's random forest with one vote more for every class (Laplace).

    A class that no tree votes for has else a probability of exactly 0, an infinite loss where it turns up, which no
    temperature mends.
    """

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities, ndarray of shape (n, C)."""
        shares = np.asarray(super().predict_proba(x))
        return (self.n_estimators * shares + 1) / (self.n_estimators + shares.shape[1])


def _need_classes(name: str, layout: FeatureLayout) -> None:
    if layout.task != "classification":
        raise CodsaError(f"estimator '{name}' balances classes: the task must be classification, not {layout.task}")


def _boosting(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> BalancedBoosting:
    check_settings("estimator", "balanced-boosting", BalancedBoosting, settings)
    _need_classes("balanced-boosting", layout)
    model = BalancedBoosting(**{"random_state": seed, **settings})
    validated("balanced-boosting", model.member(0))
    return model


def _forest(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    check_settings("estimator", "balanced-forest", SmoothedForest, settings)
    _need_classes("balanced-forest", layout)
    balance = {"sampling_strategy": "all", "replacement": True, "bootstrap": False}
    return validated("balanced-forest", SmoothedForest(**{**balance, "random_state": seed, **settings}))


def _effective_weight(settings: Mapping[str, Any], rows: WeightedRows) -> np.ndarray:
    return evenly(rows)


balanced_forest = EstimatorKind(
    _forest,
    "ordinal",
    tasks=("classification",),
    steps=lambda model, rows: model.n_estimators,
    effective_weight=_effective_weight,
)
"""A balanced random forest (Chen 2004): every tree draws as many rows of each class as the smallest has."""

balanced_boosting = EstimatorKind(
    _boosting,
    "ordinal",
    tasks=("classification",),
    steps=lambda model, rows: model.max_iter,
    members=lambda model: model.n_estimators,
    effective_weight=_effective_weight,
)
"""10 members of 100 rounds each unless said otherwise."""
