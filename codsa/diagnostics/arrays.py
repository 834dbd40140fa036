"""How near generated arrays are to real ones: in law, in coverage, to single training rows; and some to look at."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.encoders.similarity import nearest_rows
from codsa.io.array_columns import arrays

NEIGHBOURS = 5
SHOWN = 10
"""Images of each kind that a panel has."""
SEARCHED = 20_000
"""Training images at most among which the nearest is looked for."""


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Fréchet distance of two samples taken as Gaussian (Heusel 2017): squared, in the units of the codes.

    Parameters
    ----------
    a : ndarray of shape (n, d)
    b : ndarray of shape (k, d)

    Returns
    -------
    float
        NaN with fewer than two rows on a side.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    s, t = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(s)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ t @ root)
    cross = float(np.sqrt(np.clip(middle, 0, None)).sum())
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * cross)


def coverage(made: np.ndarray, real: np.ndarray, neighbours: int = NEIGHBOURS) -> dict[str, float]:
    """Return precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020).

    Parameters
    ----------
    made : ndarray of shape (n, d)
    real : ndarray of shape (k, d)
    neighbours : int
        A row's ball reaches to so many of its own side's rows.

    Returns
    -------
    dict
        precision: share of made rows in a ball of a real one; recall: of real rows in a ball of a made
        one; density: balls of real rows that a made one lies in, by `neighbours`; coverage: share of
        real rows whose ball holds a made one. NaN where a side has too few rows.
    """
    from sklearn.metrics import pairwise_distances

    if min(len(made), len(real)) <= neighbours:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
    apart = pairwise_distances(real, made)
    each = (pairwise_distances(side) for side in (real, made))
    real_ball, made_ball = (np.partition(own, neighbours, axis=1)[:, neighbours] for own in each)
    inside = apart <= real_ball[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((apart <= made_ball[None, :]).any(axis=1).mean()),
        "density": float(inside.sum(axis=0).mean() / neighbours),
        "coverage": float(inside.any(axis=1).mean()),
    }


def panel(synthetic: pd.DataFrame, test: pd.DataFrame, training: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """Return some images to look at: generated ones, the training image nearest to each, and real test images.

    Returns
    -------
    dict
        'generated', 'nearest' and 'real': PNG images in base64; empty where there are no images.
    """
    column = next((c for c in schema.array_columns if c.type == "image" and (c.shape or [0])[-1] in (1, 3)), None)
    if column is None:
        return {}
    from codsa.io.image_codec import encode

    made, real = (arrays(rows[column.name])[:SHOWN] for rows in (synthetic, test))
    known = arrays(training[column.name])[:SEARCHED]
    shown = {"generated": made, "nearest": known[nearest_rows(made, known)] if len(known) else made[:0], "real": real}
    return {kind: [base64.b64encode(encode(image)).decode() for image in images] for kind, images in shown.items()}
