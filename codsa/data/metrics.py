"""Metrics per region and under Q."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codsa.errors import CodsaError, suggest

OVERALL = "overall"
RAW, RECALIBRATED = "raw", "recalibrated"
COLUMNS = (RAW, RECALIBRATED)
"""Every arm has two figures: as it was fitted, and after the recalibration that all arms get alike."""
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def law_weights(region: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return row weights under which a sample follows the target law.

    Parameters
    ----------
    region : ndarray of int64, shape (n,)
    q : ndarray of shape (K,)

    Returns
    -------
    ndarray of shape (n,)
        q_k / (n_k/n): all 1 where the sample was drawn under Q.
    """
    share = np.bincount(region, minlength=len(q)) / len(region)
    return (q / np.where(share > 0, share, 1.0))[region]


def _cross_entropy(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(y, predicted, sample_weight=weight, labels=np.arange(predicted.shape[1])))


def _squared(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    from sklearn.metrics import mean_squared_error

    return float(mean_squared_error(y, predicted, sample_weight=weight))


def _root(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    return float(np.sqrt(_squared(y, predicted, weight)))


def _kappa(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray, weights: str | None = None) -> float:
    """Cohen's κ (1960); NaN where only one class occurs."""
    from sklearn.metrics import cohen_kappa_score

    if len(np.unique(y)) < 2:
        return float("nan")
    labels = np.arange(predicted.shape[1])
    predicted_class = predicted.argmax(axis=1)
    return float(cohen_kappa_score(y, predicted_class, labels=labels, weights=weights, sample_weight=weight))


def _quadratic_kappa(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    """Cohen's κ weighted by squared distances of classes (1968), for classes in order."""
    return _kappa(y, predicted, weight, "quadratic")


def _auc(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    """Area under the ROC curve; with more than two classes the mean of one-versus-rest areas.

    `predicted` may also be scores of shape (n,), larger for class 1.
    """
    from sklearn.metrics import roc_auc_score

    if predicted.ndim == 1:
        predicted = np.column_stack([-predicted, predicted])
    classes = range(predicted.shape[1]) if predicted.shape[1] > 2 else (1,)
    mixed_classes = [c for c in classes if 0 < np.count_nonzero(y == c) < len(y)]
    if not mixed_classes:
        return float("nan")
    return float(np.mean([roc_auc_score(y == c, predicted[:, c], sample_weight=weight) for c in mixed_classes]))


def _precision(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    """Average precision of scores, larger for class 1; NaN where only one class occurs."""
    from sklearn.metrics import average_precision_score

    if len(np.unique(y)) < 2:
        return float("nan")
    return float(average_precision_score(y, predicted, sample_weight=weight))


def _balanced(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    from sklearn.metrics import recall_score

    predicted_class = predicted.argmax(axis=1)
    return float(
        recall_score(y, predicted_class, labels=np.unique(y), average="macro", sample_weight=weight, zero_division=0.0)
    )


def _f1(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    """F1 averaged over the classes that occur."""
    from sklearn.metrics import f1_score

    predicted_class = predicted.argmax(axis=1)
    return float(
        f1_score(y, predicted_class, labels=np.unique(y), average="macro", sample_weight=weight, zero_division=0.0)
    )


CLASSIFICATION: dict[str, Metric] = {
    "cross-entropy": _cross_entropy,
    "roc-auc": _auc,
    "balanced-accuracy": _balanced,
    "f1": _f1,
    "kappa": _kappa,
    "quadratic-kappa": _quadratic_kappa,
}
AGREEMENT = {"kappa", "quadratic-kappa"}
"""Metrics that a region of one class leaves undefined: there that class is scored against all others, on all rows."""
REGRESSION: dict[str, Metric] = {"mse": _squared, "rmse": _root}
DETECTION: dict[str, Metric] = {"roc-auc": _auc, "average-precision": _precision}
KNOWN = {"classification": CLASSIFICATION, "regression": REGRESSION, "detection": DETECTION}
HIGHER_IS_BETTER = {"roc-auc", "average-precision", "balanced-accuracy", "f1", "kappa", "quadratic-kappa"}


def metrics_for(task: str) -> dict[str, Metric]:
    """Return the metrics of a task, the default one first."""
    return KNOWN[task]


def default_metric(task: str) -> str:
    """Return the metric by which λ is chosen unless another one is named."""
    return next(iter(metrics_for(task)))


def check_metric(name: str, task: str) -> str:
    """Return the metric's name, or raise a `CodsaError` with the nearest one of the task."""
    known = metrics_for(task)
    if name not in known:
        raise CodsaError(f"metric '{name}' is not one for {task}; {suggest(name, known)}")
    return name


def by_region(
    name: str, y: np.ndarray, predicted: np.ndarray, region: np.ndarray, q: np.ndarray, names: list[str]
) -> dict[str, float]:
    """Measure a metric in every region and under the target law.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class indices or values.
    predicted : ndarray of shape (n, C) or (n,)
        Class probabilities, values, or anomaly scores.
    region : ndarray of int64, shape (n,)
    q : ndarray of shape (K,)
    names : list of str
        The regions' names.

    Returns
    -------
    dict of str to float
        Region name → value, and 'overall' → value under Q. NaN where a region has no rows or the
        metric is not defined there (the AUC of one class). κ in a region of one class is that of this
        class against the others, on all rows under Q.
    """
    metric = (CLASSIFICATION | REGRESSION | DETECTION)[name]
    values: dict[str, float] = {}
    for k, region_name in enumerate(names):
        in_region = region == k
        values[region_name] = (
            metric(y[in_region], predicted[in_region], np.ones(in_region.sum())) if in_region.any() else np.nan
        )
        if name in AGREEMENT and in_region.any() and (y[in_region] == y[in_region][0]).all():
            values[region_name] = _against_others(y, predicted, int(y[in_region][0]), law_weights(region, q))
    values[OVERALL] = metric(y, predicted, law_weights(region, q))
    return values


def _against_others(y: np.ndarray, predicted: np.ndarray, c: int, weight: np.ndarray) -> float:
    """Return κ of class c against all others."""
    predicted_class = (predicted.argmax(axis=1) == c).astype(np.int64)
    return _kappa((y == c).astype(np.int64), np.eye(2)[predicted_class], weight)
