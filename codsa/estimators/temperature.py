"""One temperature for a model's probabilities: how sure it is of itself says nothing of its decisions."""

from __future__ import annotations

import numpy as np

LEAST = 1e-300
"""Probabilities are at least this before their logarithm is taken."""


def best_temperature(probabilities: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the factor of the logits that is best for given rows (Guo 2017), and their cross-entropy with it.

    Parameters
    ----------
    probabilities : ndarray of shape (n, C)
        Of the classes that the model has met.
    y : ndarray of int64, shape (n,)
        Columns of `probabilities`; −1 for a class that the model has never met. Such rows are left out.
    weight : ndarray of shape (n,)

    Returns
    -------
    factor : float
        1 / temperature; 1 without any rows.
    loss : float
        The weighted mean; infinite without any rows.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    met = y >= 0
    if not met.any():
        return 1.0, np.inf
    logits, own = np.log(np.clip(probabilities[met], LEAST, None)), y[met, None]

    def loss(power: float) -> float:
        log_likelihoods = np.take_along_axis(log_softmax(np.exp(power) * logits, axis=1), own, axis=1)[:, 0]
        return -float(np.average(log_likelihoods, weights=weight[met]))

    best = minimize_scalar(loss, bounds=(-4.0, 2.0), method="bounded")
    return float(np.exp(best.x)), float(best.fun)


def columns_of(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return where each class stands among sorted classes, −1 for one that is not there, ndarray of int64."""
    place = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[place] == y, place, -1)
