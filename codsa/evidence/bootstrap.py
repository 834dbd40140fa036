"""The bootstrap over test rows: how far a difference of two methods within one replicate depends on its test rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codsa.data.choice import RESAMPLES, ScoredRows, row_losses
from codsa.data.metrics import law_weights
from codsa.evidence.statistics import Estimate
from codsa.io.seeds import rng


def resampled_figures(
    metric: str, rows: ScoredRows, predictions: Mapping[str, np.ndarray], stream: np.random.SeedSequence
) -> dict[str, np.ndarray]:
    """Return a metric under Q of several methods on the same bootstrap samples of the test rows.

    Rows are drawn within regions, so that every sample has each region's number of rows.

    Parameters
    ----------
    metric : str
    rows : ScoredRows
    predictions : mapping of str to ndarray of shape (n, C) or (n,)
        Method → its predictions of these rows.
    stream : numpy.random.SeedSequence

    Returns
    -------
    dict of str to ndarray of shape (RESAMPLES,)
        NaN where the metric is not defined on a sample.
    """
    draws = _draws(rows.region, stream)
    losses = {name: row_losses(metric, rows.y, predicted) for name, predicted in predictions.items()}
    if any(part is None for part in losses.values()):
        return {
            name: np.array([rows.measure(metric, predicted, drawn) for drawn in draws])
            for name, predicted in predictions.items()
        }
    weight = law_weights(rows.region, rows.q)
    terms = np.column_stack([weight * part for part in losses.values() if part is not None]) / weight.sum()
    counts = np.stack([np.bincount(drawn, minlength=len(weight)) for drawn in draws]).astype(float)
    means = np.einsum("bn,nm->bm", counts, terms)
    values = np.sqrt(means) if metric == "rmse" else means
    return {name: values[:, place] for place, name in enumerate(losses)}


def _draws(region: np.ndarray, stream: np.random.SeedSequence) -> list[np.ndarray]:
    """Return the rows of every bootstrap sample, drawn within regions."""
    random = rng(stream)
    members = [np.flatnonzero(region == k) for k in np.unique(region)]
    return [np.concatenate([random.choice(m, size=len(m)) for m in members]) for _ in range(RESAMPLES)]


def bootstrap_estimates(
    metric: str,
    rows: ScoredRows,
    predictions: Mapping[str, np.ndarray],
    method: str,
    stream: np.random.SeedSequence,
) -> dict[str, Estimate]:
    """Return the difference of one method to every other within one replicate, with its bootstrap standard error.

    Parameters
    ----------
    method : str
        The key of `predictions` from which the others are subtracted.

    Returns
    -------
    dict of str to Estimate
        Its interval is the normal one; its standard error is NaN where the metric is not defined on two samples.
    """
    figures = resampled_figures(metric, rows, predictions, stream)
    observed = {name: _figure(metric, rows, predicted) for name, predicted in predictions.items()}
    return {
        name: Estimate(observed[method] - observed[name], _spread(figures[method] - figures[name]))
        for name in predictions
        if name != method
    }


def _figure(metric: str, rows: ScoredRows, predicted: np.ndarray) -> float:
    """Return a metric under Q on all rows; a mean loss without the slow import of scikit-learn."""
    losses = row_losses(metric, rows.y, predicted)
    if losses is None:
        return rows.measure(metric, predicted)
    mean = float(np.average(losses, weights=law_weights(rows.region, rows.q)))
    return float(np.sqrt(mean)) if metric == "rmse" else mean


def _spread(differences: np.ndarray) -> float:
    defined = differences[np.isfinite(differences)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else float("nan")
