"""Metrics by hand, per region and under Q; intervals over replicates."""

from __future__ import annotations

import numpy as np
import pytest

from codsa.data.metrics import by_region, check_metric, default_metric, law_weights
from codsa.errors import CodsaError

Y = np.array([0, 0, 1, 1])
PROBABILITY = np.array([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
REGION = np.array([0, 0, 1, 1])
NAMES = ["a", "b"]


def measure(
    name: str, y: np.ndarray = Y, predicted: np.ndarray = PROBABILITY, q: tuple[float, float] = (0.5, 0.5)
) -> dict[str, float]:
    return by_region(name, y, predicted, REGION, np.array(q), NAMES)


def test_rows_are_weighted_to_the_law() -> None:
    weights = law_weights(np.array([0, 0, 0, 1]), np.array([0.5, 0.5]))
    assert weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    assert law_weights(REGION, np.array([0.5, 0.5])) == pytest.approx([1.0] * 4)


def test_cross_entropy_by_hand() -> None:
    found = measure("cross-entropy")
    a, b = -(np.log(0.8) + np.log(0.4)) / 2, -(np.log(0.5) + np.log(0.9)) / 2
    assert found == pytest.approx({"a": a, "b": b, "overall": (a + b) / 2})
    assert measure("cross-entropy", q=(0.9, 0.1))["overall"] == pytest.approx(0.9 * a + 0.1 * b)


def test_squared_errors_by_hand() -> None:
    y, predicted = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 4.0, 3.0, 3.0])
    assert measure("mse", y, predicted) == pytest.approx({"a": 2.0, "b": 0.5, "overall": 1.25})
    assert measure("rmse", y, predicted)["overall"] == pytest.approx(np.sqrt(1.25))


def test_metrics_of_classes_by_hand() -> None:
    chosen = np.array([[0.8, 0.2], [0.4, 0.6], [0.4, 0.6], [0.1, 0.9]])
    assert measure("balanced-accuracy", predicted=chosen)["overall"] == pytest.approx(0.75)
    assert measure("roc-auc", predicted=chosen)["overall"] == pytest.approx(3.5 / 4)
    assert measure("f1", predicted=chosen)["overall"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert measure("kappa", predicted=chosen)["overall"] == pytest.approx(0.5)


def test_a_region_of_one_class_has_no_area() -> None:
    assert np.isnan(measure("roc-auc")["a"]) and not np.isnan(measure("roc-auc")["overall"])


@pytest.mark.parametrize("name", ["kappa", "quadratic-kappa"])
def test_a_region_of_one_class_has_the_agreement_of_that_class_with_the_others(name: str) -> None:
    """With two classes of equal weight under Q that is the agreement overall."""
    found = measure(name)
    assert found["a"] == pytest.approx(found["b"]) and found["a"] == pytest.approx(found["overall"])


def test_a_region_without_rows_has_no_figure() -> None:
    found = by_region("mse", np.ones(2), np.ones(2), np.zeros(2, dtype=int), np.array([1.0, 0.0]), NAMES)
    assert found["a"] == 0.0 and np.isnan(found["b"]) and found["overall"] == 0.0


def test_area_of_many_classes_is_the_mean_of_one_versus_rest() -> None:
    y, region = np.array([0, 1, 2]), np.zeros(3, dtype=int)
    assert by_region("roc-auc", y, np.eye(3), region, np.ones(1), ["a"])["overall"] == 1.0
    assert by_region("roc-auc", y, np.full((3, 3), 1 / 3), region, np.ones(1), ["a"])["overall"] == 0.5


def test_metrics_belong_to_a_task() -> None:
    assert default_metric("classification") == "cross-entropy" and default_metric("regression") == "mse"
    with pytest.raises(CodsaError, match="not one for regression"):
        check_metric("roc-auc", "regression")
    with pytest.raises(CodsaError, match="did you mean 'roc-auc'"):
        check_metric("roc-auk", "classification")
