"""The help that every arm gets alike: prior shift to Q, and one temperature fitted on validation rows.

A model that is too sure of itself, or that was fitted under other shares of the classes than Q has, can rank rows well
and still have a large cross-entropy. Neither is a lack of data, so both are mended for every arm before arms are
compared. A regression gets a line instead: slope and intercept by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codsa.data.choice import cross_entropies
from codsa.estimators.base import WeightedRows

LEAST_PROBABILITY = 1e-12
"""Probabilities are at least this before their logarithm is taken."""
FEWEST_ROWS = 10
"""With fewer validation rows than this nothing is fitted to them."""
THRESHOLDS = np.linspace(0.05, 0.95, 19)
"""The shares of the total weight that a class may get where thresholds are tuned."""
SWEEPS = 2
"""Passes over the classes where thresholds of more than two classes are tuned."""


@dataclass(frozen=True)
class Recalibration:
    """What is done to the predictions of one fitted estimator.

    Attributes
    ----------
    shift : ndarray of shape (C,), optional
        log Q(y)/P(y), P being the law of the labels in the rows that the estimator was fitted on; None for regression.
    temperature : float
        The divisor of the shifted log-probabilities (Guo 2017).
    slope, intercept : float
        Of a regression.
    """

    shift: np.ndarray | None = None
    temperature: float = 1.0
    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, predicted: np.ndarray) -> np.ndarray:
        """Return recalibrated class probabilities of shape (n, C), or values of shape (n,)."""
        from scipy.special import softmax

        if self.shift is None:
            return np.asarray(self.slope * predicted + self.intercept)
        return np.asarray(softmax(self.logits(predicted) / self.temperature, axis=1))

    def logits(self, predicted: np.ndarray) -> np.ndarray:
        """Return the shifted log-probabilities, ndarray of shape (n, C)."""
        assert self.shift is not None
        return np.log(np.clip(predicted, LEAST_PROBABILITY, None)) + self.shift


def label_shares(y: np.ndarray, weight: np.ndarray, classes: int) -> np.ndarray:
    """Return the weighted shares of the classes, ndarray of shape (C,)."""
    counts = np.bincount(y, weights=weight, minlength=classes)
    return np.asarray(counts / counts.sum())


def recalibration(
    predicted: np.ndarray, validation: WeightedRows, fitted_on: WeightedRows, target_shares: np.ndarray | None
) -> Recalibration:
    """Fit the recalibration of one estimator on validation rows.

    Parameters
    ----------
    predicted : ndarray of shape (n, C) or (n,)
        The estimator's predictions of the validation rows.
    validation : WeightedRows
        Weighted to Q.
    fitted_on : WeightedRows
        The rows that the estimator was fitted on, with their weights.
    target_shares : ndarray of shape (C,), optional
        The classes' shares under Q, from training rows alone; None for regression.

    Returns
    -------
    Recalibration
    """
    if target_shares is None:
        return _line(predicted, validation)
    own = label_shares(fitted_on.y, fitted_on.weight, predicted.shape[1])
    known = (own > 0) & (target_shares > 0)
    shift = np.zeros(len(own))
    shift[known] = np.log(target_shares[known] / own[known])
    return refitted(Recalibration(shift), predicted, validation)


def refitted(helped: Recalibration, predicted: np.ndarray, validation: WeightedRows) -> Recalibration:
    """Return the recalibration of another estimator that was fitted on the same rows.

    The shift is left out where validation rows are better predicted without: some estimators, forests on balanced
    samples for one, are not true to the shares of any rows.
    """
    if helped.shift is None:
        return _line(predicted, validation)
    if len(validation.y) < FEWEST_ROWS:
        return Recalibration(helped.shift)
    shifts = [helped.shift, np.zeros_like(helped.shift)]
    tried = [
        _with_temperature(shift, predicted, validation) for shift in (shifts if helped.shift.any() else shifts[:1])
    ]
    losses = [_cross_entropy(one.apply(predicted), validation) for one in tried]
    return tried[int(np.argmin(losses))]


def _with_temperature(shift: np.ndarray, predicted: np.ndarray, validation: WeightedRows) -> Recalibration:
    return Recalibration(shift, temperature=_temperature(Recalibration(shift).logits(predicted), validation))


def _cross_entropy(predicted: np.ndarray, validation: WeightedRows) -> float:
    return float(np.average(cross_entropies(validation.y, predicted), weights=validation.weight))


def _line(predicted: np.ndarray, validation: WeightedRows) -> Recalibration:
    from sklearn.linear_model import LinearRegression

    if len(validation.y) < FEWEST_ROWS or np.ptp(predicted) == 0 or not np.isfinite(predicted).all():
        return Recalibration()
    line = LinearRegression().fit(predicted[:, None], validation.y, validation.weight)
    return Recalibration(slope=float(line.coef_[0]), intercept=float(line.intercept_))


def _temperature(logits: np.ndarray, validation: WeightedRows) -> float:
    """Return the temperature that scikit-learn's calibration finds for softened labels.

    Where every validation row is predicted rightly, hard labels would ask for temperature 0, at which the first wrong
    test row costs any loss. So a row of a class with N validation rows counts as its own class with (N + 1)/(N + 2) of
    its weight, and with the rest as the others, as in Platt (1999).
    """
    from sklearn.calibration import CalibratedClassifierCV

    n, classes = logits.shape
    own = np.eye(classes)[validation.y]
    rest = 1 / (np.bincount(validation.y, minlength=classes)[validation.y] + 2)
    softened = own * (1 - rest)[:, None] + (1 - own) * (rest / max(classes - 1, 1))[:, None]
    x, y = np.repeat(logits, classes, axis=0), np.tile(np.arange(classes), n)
    every_row = np.arange(len(x))
    calibrated = CalibratedClassifierCV(
        _given(classes), method="temperature", cv=[(every_row, every_row)], ensemble=True
    )
    calibrated.fit(x, y, sample_weight=(validation.weight[:, None] * softened).ravel())
    return float(1.0 / calibrated.calibrated_classifiers_[0].calibrators[0].beta_)


def _given(classes: int) -> Any:
    """Return a classifier of scikit-learn's protocol whose decision function is its input.

    Of two classes scikit-learn takes a decision d as the logits (−d, d).
    """
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.arange(classes)

        def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Given:
            return self

        def decision_function(self, x: np.ndarray) -> np.ndarray:
            return x if classes > 2 else (x[:, 1] - x[:, 0]) / 2

        def predict(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(x.argmax(axis=1))

    return Given()


@dataclass(frozen=True)
class Thresholds:
    """Weights of the classes under which a metric of decisions is best on validation rows.

    Attributes
    ----------
    weights : list of float
        The class of the largest weighted probability is decided on; they sum to 1.
    """

    weights: list[float] = field(default_factory=list)

    def apply(self, predicted: np.ndarray) -> np.ndarray:
        """Return the probabilities weighted and brought to sum 1 again, ndarray of shape (n, C)."""
        weighted = predicted * np.array(self.weights)
        return np.asarray(weighted / np.maximum(weighted.sum(axis=1, keepdims=True), np.finfo(float).tiny))


def thresholds(score: Any, predicted: np.ndarray) -> Thresholds:
    """Tune the weights of the classes for one metric of decisions, class after class.

    Parameters
    ----------
    score : callable
        Probabilities of the validation rows → the metric, of which more is better.
    predicted : ndarray of shape (n, C)

    Returns
    -------
    Thresholds
        Even weights where nothing else is better.
    """
    classes = predicted.shape[1]
    best = np.full(classes, 1.0 / classes)
    highest = score(Thresholds(best.tolist()).apply(predicted))
    for c in range(classes) if classes > 2 else range(1):
        for share in np.tile(THRESHOLDS, SWEEPS if classes > 2 else 1):
            others = np.delete(best, c)
            tried = np.insert((1 - share) * others / others.sum(), c, share)
            value = score(Thresholds(tried.tolist()).apply(predicted))
            if value > highest:
                best, highest = tried, value
    return Thresholds(best.tolist())
