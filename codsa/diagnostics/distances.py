"""Distances of synthetic rows from real ones: of distributions, to a classifier, and to single training rows."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, is_ordered
from codsa.encoders.values import to_float

MAX_COLUMNS = 24
"""At most this many columns have their marginals recorded."""
BINS = 24
"""Bins of a number's histogram."""
MAX_LEVELS = 12
"""At most this many levels of a category are recorded, the most frequent ones."""


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two samples under Euclidean cost, by exact optimal transport.

    Parameters
    ----------
    a : ndarray of shape (n, d)
    b : ndarray of shape (k, d)

    Returns
    -------
    float
        In the units of the columns; NaN where a sample is empty.
    """
    os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")  # arrays only; torch is slow to import
    import ot

    if not len(a) or not len(b):
        return float("nan")
    cost = ot.dist(a.astype(float), b.astype(float), metric="euclidean")
    return float(ot.emd2(ot.unif(len(a)), ot.unif(len(b)), cost))


def two_sample_auc(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return the cross-validated AUC of a classifier of two samples (a classifier two-sample test, Lopez-Paz 2017).

    Parameters
    ----------
    a : ndarray of shape (n, d)
    b : ndarray of shape (k, d)
    seed : int
        Of the folds and of the classifier.

    Returns
    -------
    float
        About 0.5 where the samples cannot be told apart, 1 where they always can; NaN where either has fewer than 10
        rows.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(a), len(b)) < 10:
        return float("nan")
    x, y = np.vstack([a, b]), np.r_[np.zeros(len(a), dtype=int), np.ones(len(b), dtype=int)]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(max_iter=50, min_samples_leaf=5, early_stopping=False, random_state=seed)
    probability = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, probability))


def nearest_ratio(synthetic: np.ndarray, held_out: np.ndarray, training: np.ndarray) -> float:
    """Return how near synthetic rows lie to training rows, relative to held-out real rows.

    Parameters
    ----------
    synthetic, held_out, training : ndarray of shape (n, d), (k, d) and (l, d)

    Returns
    -------
    float
        The median distance of synthetic rows to their nearest training row, divided by that of held-out rows: about 1
        for new rows, 0 for copies. NaN where a set is empty, or the held-out rows' median distance is 0.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(synthetic) or not len(held_out) or not len(training):
        return float("nan")
    search = NearestNeighbors(n_neighbors=1).fit(training)
    ours, reference = (float(np.median(search.kneighbors(x)[0])) for x in (synthetic, held_out))
    return ours / reference if reference > 0 else float("nan")


def normal_rows(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the real rows that a generator models: for detection the normal ones, else all."""
    return rows[rows[schema.target].isin(schema.normal)].reset_index(drop=True) if schema.normal else rows


def marginals(synthetic: pd.DataFrame, test: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """Return histograms of real and synthetic values, column by column.

    Returns
    -------
    dict
        Column → {kind: 'ordered', edges, real, synthetic} or {kind: 'levels', levels, real,
        synthetic}, with shares of rows; at most `MAX_COLUMNS` columns.
    """
    columns = [column for column in schema.modelled if not column.is_array and column.type != "text"]
    return {c.name: _marginal(synthetic[c.name], test[c.name], c) for c in columns[:MAX_COLUMNS]}


def _marginal(synthetic: pd.Series, test: pd.Series, column: Column) -> dict[str, Any]:
    """Return one column's histograms (see `marginals`)."""
    if not is_ordered(column):
        levels = test.astype(object).value_counts(dropna=False).index[:MAX_LEVELS]
        shares = [[_share(values, level) for level in levels] for values in (test, synthetic)]
        names = ["missing" if pd.isna(level) else str(level) for level in levels]
        return {"kind": "levels", "levels": names, "real": shares[0], "synthetic": shares[1]}
    real, generated = to_float(test), to_float(synthetic)
    present = real[~np.isnan(real)]
    low, high = np.quantile(present, [0.005, 0.995]) if len(present) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = [np.histogram(np.clip(x, low, high), edges)[0] / max(len(x), 1) for x in (real, generated)]
    return {"kind": "ordered", "edges": edges, "real": counts[0], "synthetic": counts[1]}


def _share(values: pd.Series, level: Any) -> float:
    """Return the share of values that are a level; a missing level stands for missing values."""
    equal = values.isna() if pd.isna(level) else values == level
    return float(equal.fillna(False).mean()) if len(values) else 0.0
