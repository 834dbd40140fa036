"""How near the synthetic rows are to real ones: in law, to a classifier, and to single records."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, is_ordered
from codsa.encoders.values import to_float

COLUMNS = 24
"""Columns whose marginals are recorded."""
BINS = 24
LEVELS = 12


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Wasserstein-1 distance of two samples, by exact optimal transport.

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
    """Return the cross-validated AUC of a classifier that tells two samples apart.

    0.5: it cannot; 1: it always can. NaN with fewer than 10 rows on a side.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(a), len(b)) < 10:
        return float("nan")
    x, y = np.vstack([a, b]), np.r_[np.zeros(len(a), dtype=int), np.ones(len(b), dtype=int)]
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(max_iter=50, min_samples_leaf=5, early_stopping=False, random_state=seed)
    share = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, share))


def nearest_ratio(synthetic: np.ndarray, fresh: np.ndarray, training: np.ndarray) -> float:
    """Return how near synthetic rows lie to training rows, relative to fresh real rows.

    The ratio of the median distances to the nearest training row: about 1 is what fresh rows do,
    0 is copying. NaN where a side is empty or fresh rows lie on training rows.
    """
    from sklearn.neighbors import NearestNeighbors

    if not len(synthetic) or not len(fresh) or not len(training):
        return float("nan")
    search = NearestNeighbors(n_neighbors=1).fit(training)
    near, usual = (float(np.median(search.kneighbors(x)[0])) for x in (synthetic, fresh))
    return near / usual if usual > 0 else float("nan")


def normal_rows(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the rows that generated ones are to be like: for detection those that are normal."""
    return rows[rows[schema.target].isin(schema.normal)].reset_index(drop=True) if schema.normal else rows


def marginals(synthetic: pd.DataFrame, test: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """Return histograms of real and synthetic values, column by column.

    Returns
    -------
    dict
        Column → {kind: 'ordered', edges, real, synthetic} or {kind: 'levels', levels, real,
        synthetic}, with shares of rows; at most `COLUMNS` columns.
    """
    plain = [c for c in schema.modelled if not c.is_array and c.type != "text"]
    return {c.name: _marginal(synthetic[c.name], test[c.name], c) for c in plain[:COLUMNS]}


def _marginal(synthetic: pd.Series, test: pd.Series, column: Column) -> dict[str, Any]:
    if not is_ordered(column):
        levels = test.astype(object).value_counts(dropna=False).index[:LEVELS]
        shares = [[_share(side, level) for level in levels] for side in (test, synthetic)]
        names = ["missing" if pd.isna(level) else str(level) for level in levels]
        return {"kind": "levels", "levels": names, "real": shares[0], "synthetic": shares[1]}
    real, made = to_float(test), to_float(synthetic)
    present = real[~np.isnan(real)]
    low, high = np.quantile(present, [0.005, 0.995]) if len(present) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = [np.histogram(np.clip(x, low, high), edges)[0] / max(len(x), 1) for x in (real, made)]
    return {"kind": "ordered", "edges": edges, "real": counts[0], "synthetic": counts[1]}


def _share(values: pd.Series, level: Any) -> float:
    here = values.isna() if pd.isna(level) else values == level
    return float(here.fillna(False).mean()) if len(values) else 0.0
