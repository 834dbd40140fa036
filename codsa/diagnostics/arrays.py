"""Quality of generated arrays: Fréchet distance, precision, recall, density, coverage; and example images."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.encoders.similarity import nearest_rows
from codsa.io.array_columns import arrays

N_NEIGHBORS = 5
"""A row's ball reaches to this neighbour, by default."""
PANEL_IMAGES = 10
"""Images of each kind that a panel has."""
MAX_TRAINING_IMAGES = 20_000
"""At most this many training images are searched for the nearest one."""


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Fréchet distance of two samples taken as Gaussian (Heusel 2017).

    Parameters
    ----------
    a : ndarray of shape (n, d)
    b : ndarray of shape (k, d)

    Returns
    -------
    float
        In squared units of the columns; NaN where a sample has fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product_values = np.linalg.eigvalsh(root_a @ cov_b @ root_a)
    trace_root = float(np.sqrt(np.clip(product_values, 0, None)).sum())
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * trace_root)


def coverage(generated: np.ndarray, real: np.ndarray, n_neighbors: int = N_NEIGHBORS) -> dict[str, float]:
    """Return precision and recall (Kynkäänniemi 2019), density and coverage (Naeem 2020).

    Parameters
    ----------
    generated : ndarray of shape (n, d)
    real : ndarray of shape (k, d)
    n_neighbors : int
        The radius of a row's ball is the distance to this neighbour in its own sample.

    Returns
    -------
    dict
        precision: share of generated rows in the ball of a real one; recall: share of real rows in the ball of a
        generated one; density: mean number of real rows' balls that a generated row lies in, divided by `n_neighbors`;
        coverage: share of real rows whose ball contains a generated one. NaN where a sample has at most `n_neighbors`
        rows.
    """
    from sklearn.metrics import pairwise_distances

    if min(len(generated), len(real)) <= n_neighbors:
        return dict.fromkeys(("precision", "recall", "density", "coverage"), float("nan"))
    distances = pairwise_distances(real, generated)
    within = (pairwise_distances(sample) for sample in (real, generated))
    real_radius, generated_radius = (np.partition(own, n_neighbors, axis=1)[:, n_neighbors] for own in within)
    inside = distances <= real_radius[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((distances <= generated_radius[None, :]).any(axis=1).mean()),
        "density": float(inside.sum(axis=0).mean() / n_neighbors),
        "coverage": float(inside.any(axis=1).mean()),
    }


def panel(synthetic: pd.DataFrame, test: pd.DataFrame, training: pd.DataFrame, schema: Schema) -> dict[str, Any]:
    """Return example images: generated ones, the training image nearest to each, and real test images.

    Returns
    -------
    dict
        'generated', 'nearest' and 'real': PNG images in base64; empty where there are no images.
    """
    column = next((c for c in schema.array_columns if c.type == "image" and (c.shape or [0])[-1] in (1, 3)), None)
    if column is None:
        return {}
    from codsa.io.image_codec import encode

    generated, real = (arrays(rows[column.name])[:PANEL_IMAGES] for rows in (synthetic, test))
    candidates = arrays(training[column.name])[:MAX_TRAINING_IMAGES]
    nearest = candidates[nearest_rows(generated, candidates)] if len(candidates) else generated[:0]
    panels = {"generated": generated, "nearest": nearest, "real": real}
    return {kind: [base64.b64encode(encode(image)).decode() for image in images] for kind, images in panels.items()}
