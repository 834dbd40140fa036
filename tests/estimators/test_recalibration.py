"""The help that every arm gets alike: prior shift, temperature, a line, thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from codsa.estimators.base import WeightedRows
from codsa.estimators.recalibration import Recalibration, label_shares, recalibration, refitted, thresholds
from codsa.io.seeds import rng, stream


def rows_of(y: np.ndarray, weight: np.ndarray | None = None) -> WeightedRows:
    return WeightedRows(np.empty((len(y), 0)), y, np.ones(len(y)) if weight is None else weight)


def labelled(classes: int, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Return true log-probabilities and labels drawn by them."""
    random = rng(stream(0, classes))
    logits = 2 * random.normal(size=(n, classes))
    probabilities = softmax(logits, axis=1)
    y = (probabilities.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return logits, y.astype(np.int64)


def cross_entropy(predicted: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log(predicted[np.arange(len(y)), y]).mean())


@pytest.mark.parametrize("classes", [2, 4])
def test_an_overconfident_model_gets_its_temperature(classes: int) -> None:
    logits, y = labelled(classes)
    sure = softmax(3 * logits, axis=1)
    balanced = np.repeat(np.arange(classes), 5)
    found = recalibration(sure, rows_of(y), rows_of(balanced), np.full(classes, 1 / classes))
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert cross_entropy(found.apply(sure), y) == pytest.approx(cross_entropy(softmax(logits, axis=1), y), abs=0.01)
    assert found.apply(sure).argmax(axis=1).tolist() == sure.argmax(axis=1).tolist()


def test_the_prior_is_shifted_from_the_rows_fitted_on_to_q() -> None:
    logits, y = labelled(2)
    own = np.array([0.9, 0.1])
    skewed = softmax(logits + np.log(own / 0.5), axis=1)
    fitted_on = rows_of(np.repeat([0, 1], [90, 10]))
    found = recalibration(skewed, rows_of(y), fitted_on, np.array([0.5, 0.5]))
    assert found.apply(skewed) == pytest.approx(softmax(logits / found.temperature, axis=1), abs=1e-9)
    assert found.temperature == pytest.approx(1, rel=0.1)


def test_weights_of_rows_count_in_the_shares() -> None:
    y = np.array([0, 0, 0, 1])
    assert label_shares(y, np.array([1.0, 1.0, 1.0, 3.0]), 3).tolist() == [0.5, 0.5, 0.0]


def test_a_class_without_validation_rows_or_training_rows_does_no_harm() -> None:
    logits, y = labelled(3)
    predicted = softmax(logits, axis=1)
    lacking = y != 2
    found = recalibration(predicted[lacking], rows_of(y[lacking]), rows_of(y[lacking]), np.full(3, 1 / 3))
    assert np.isfinite(found.apply(predicted)).all()
    assert found.shift is not None
    assert found.shift[2] == 0


def test_few_validation_rows_fit_no_temperature() -> None:
    logits, y = labelled(2)
    few = slice(0, 5)
    assert (
        recalibration(softmax(3 * logits[few], axis=1), rows_of(y[few]), rows_of(y), np.full(2, 0.5)).temperature == 1
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_validation_rows_without_a_fault_ask_for_no_certainty(classes: int) -> None:
    y = np.repeat(np.arange(classes), 20)
    predicted = softmax(4 * np.eye(classes)[y], axis=1)
    found = recalibration(predicted, rows_of(y), rows_of(y), np.full(classes, 1 / classes))
    assert found.apply(predicted)[np.arange(len(y)), y] == pytest.approx(21 / 22)
    never_wrong = np.eye(classes)[y]
    helped = recalibration(never_wrong, rows_of(y), rows_of(y), np.full(classes, 1 / classes))
    assert cross_entropy(helped.apply(never_wrong), (y + 1) % classes) < 6


def test_a_regression_gets_a_line() -> None:
    random = rng(stream(0, "line"))
    y = random.normal(size=500)
    predicted = (y - 3) / 2
    found = recalibration(predicted, rows_of(y), rows_of(y), None)
    assert (found.slope, found.intercept) == pytest.approx((2, 3))
    assert found.apply(predicted) == pytest.approx(y)
    assert recalibration(np.zeros(500), rows_of(y), rows_of(y), None) == Recalibration()


def test_a_shift_that_validation_rows_contradict_is_left_out() -> None:
    logits, y = labelled(2)
    predicted = softmax(2 * logits, axis=1)
    own = refitted(Recalibration(np.array([0.3, -0.3])), predicted, rows_of(y))
    assert own.shift is not None
    assert own.shift.tolist() == [0, 0]
    assert own.temperature == pytest.approx(2, rel=0.15)
    shift = np.array([0.3, -0.3])
    kept = refitted(Recalibration(shift), softmax(logits - shift, axis=1), rows_of(y))
    assert kept.shift is shift


@pytest.mark.parametrize("classes", [2, 3])
def test_thresholds_raise_a_metric_of_decisions(classes: int) -> None:
    logits, y = labelled(classes)
    skewed = softmax(logits + np.log(np.r_[0.9, np.full(classes - 1, 0.1 / (classes - 1))]), axis=1)

    def accuracy(predicted: np.ndarray) -> float:
        return float((predicted.argmax(axis=1) == y).mean())

    tuned = thresholds(accuracy, skewed)
    assert accuracy(tuned.apply(skewed)) > accuracy(skewed) + 0.02
    assert tuned.apply(skewed).sum(axis=1) == pytest.approx(1)
    assert sum(tuned.weights) == pytest.approx(1)


def test_even_thresholds_where_nothing_is_better() -> None:
    assert thresholds(lambda predicted: 1.0, np.full((4, 2), 0.5)).weights == [0.5, 0.5]
