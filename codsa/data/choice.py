"""The choice among candidates on validation rows: the simplest one that is within one standard error of the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codsa.data.metrics import HIGHER_IS_BETTER, KNOWN, law_weights
from codsa.io.seeds import rng

RESAMPLES = 200
"""Bootstrap samples of the validation rows, for metrics that are no mean over rows."""
NONE, WEIGHTS, RESAMPLING, GENERATOR = range(4)
"""Ranks of simplicity: nothing is added; rows are weighted; real rows are resampled or changed by rule; a generator."""


@dataclass(frozen=True)
class ScoredRows:
    """Validation rows, with what is needed to measure a metric under Q on them.

    Attributes
    ----------
    y : ndarray of shape (n,)
    region : ndarray of int64, shape (n,)
    q : ndarray of shape (K,)
    """

    y: np.ndarray
    region: np.ndarray
    q: np.ndarray

    def measure(self, metric: str, predicted: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        """Return a metric under Q on all rows, or on some."""
        metrics = {name: measure for known in KNOWN.values() for name, measure in known.items()}
        return metrics[metric](self.y[rows], predicted[rows], law_weights(self.region[rows], self.q))


@dataclass(frozen=True)
class Candidate:
    """What may be chosen: its rank of simplicity, its validation figure, and its predictions of validation rows.

    Attributes
    ----------
    rank : int
        One of NONE, WEIGHTS, RESAMPLING, GENERATOR.
    value : float
    predicted : ndarray of shape (n, C) or (n,)
    """

    rank: int
    value: float
    predicted: np.ndarray


def cross_entropies(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return each row's cross-entropy, from class indices of shape (n,) and probabilities of shape (n, C)."""
    own = np.take_along_axis(predicted, y[:, None].astype(np.int64), axis=1)[:, 0]
    return np.asarray(-np.log(np.clip(own, np.finfo(predicted.dtype).eps, 1.0)))


def row_losses(metric: str, y: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
    """Return each row's loss where the metric is a mean of such losses (or its root); None elsewhere."""
    if metric == "cross-entropy":
        return cross_entropies(y, predicted)
    return (predicted - y) ** 2 if metric in ("mse", "rmse") else None


def standard_error(
    metric: str, rows: ScoredRows, a: np.ndarray, b: np.ndarray, stream: np.random.SeedSequence
) -> float:
    """Return the standard error of the paired difference of a metric between two predictions of the same rows.

    Of a mean loss, or the root of one, it is that of the weighted mean of the rows' differences; of any other metric it
    is the spread over `RESAMPLES` bootstrap samples, drawn within regions.
    """
    losses = [row_losses(metric, rows.y, predicted) for predicted in (a, b)]
    if losses[0] is None or losses[1] is None:
        return _bootstrapped(metric, rows, a, b, stream)
    weight = law_weights(rows.region, rows.q)
    terms = [_term(metric, part, weight) for part in (losses[0], losses[1])]
    difference = terms[0] - terms[1]
    deviation = difference - np.average(difference, weights=weight)
    return float(np.sqrt(np.sum((weight * deviation) ** 2)) / weight.sum())


def _term(metric: str, losses: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return each row's part of a metric, to first order: its loss, or for a root its loss over twice the root."""
    if metric != "rmse":
        return losses
    root = float(np.sqrt(np.average(losses, weights=weight)))
    return losses / max(2 * root, float(np.finfo(float).tiny))


def _bootstrapped(metric: str, rows: ScoredRows, a: np.ndarray, b: np.ndarray, stream: np.random.SeedSequence) -> float:
    random = rng(stream)
    members = [np.flatnonzero(rows.region == k) for k in np.unique(rows.region)]
    differences = []
    for _ in range(RESAMPLES):
        drawn = np.concatenate([random.choice(m, size=len(m)) for m in members])
        differences.append(rows.measure(metric, a, drawn) - rows.measure(metric, b, drawn))
    return float(np.nanstd(differences, ddof=1)) if np.isfinite(differences).sum() > 1 else 0.0


def best_of(values: np.ndarray, metric: str) -> int:
    """Return the index of the best value: the first of equals, and never a NaN unless all are NaN."""
    if np.isnan(values).all():
        return 0
    return int(np.nanargmax(values) if metric in HIGHER_IS_BETTER else np.nanargmin(values))


def simplest(candidates: Sequence[Candidate], metric: str, rows: ScoredRows, stream: np.random.SeedSequence) -> int:
    """Return the index of the simplest candidate that is within one standard error of the best.

    Among equally simple ones that are within it the best is taken, of equally good ones the first. The standard error
    is that of the paired difference on the validation rows (Breiman 1984, for trees).

    Parameters
    ----------
    candidates : sequence of Candidate
    metric : str
    rows : ScoredRows
        The validation rows.
    stream : numpy.random.SeedSequence
        For metrics whose standard error is bootstrapped.
    """
    values = np.array([candidate.value for candidate in candidates], dtype=float)
    best = best_of(values, metric)
    within = [best]
    for place, candidate in enumerate(candidates):
        if candidate.rank < candidates[best].rank and np.isfinite(candidate.value):
            error = standard_error(metric, rows, candidate.predicted, candidates[best].predicted, stream)
            within += [place] if abs(candidate.value - candidates[best].value) <= error else []
    lowest = min(candidates[place].rank for place in within)
    simple = [place for place in within if candidates[place].rank == lowest]
    return simple[best_of(values[simple], metric)]
