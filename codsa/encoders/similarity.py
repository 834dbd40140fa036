"""How alike the rows of two arrays are: cosine similarity, and the nearest row."""

from __future__ import annotations

import numpy as np

CHUNK_ROWS = 1024
"""Rows whose nearest ones are searched for at a time."""


def paired_cosine_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine of each row of one array with the row of another at the same place.

    Parameters
    ----------
    a, b : ndarray of shape (n, d)
        One of them may have a single row, which is then compared with every row of the other.

    Returns
    -------
    ndarray of shape (n,)
        0 where a row is all zeros.
    """
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1) / np.maximum(length, 1e-12))


def nearest_rows(queries: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the place of the known row that is nearest to each query, by Euclidean distance.

    Parameters
    ----------
    queries : ndarray of shape (n, ...)
    known : ndarray of shape (k, ...)
        At least one row.

    Returns
    -------
    ndarray of int64, shape (n,)
        Of equally near rows the first.
    """
    flat = known.reshape(len(known), -1).astype(np.float32, copy=False)
    half_squares = (flat**2).sum(axis=1) / 2
    wanted = queries.reshape(len(queries), flat.shape[1]).astype(np.float32, copy=False)
    parts = [wanted[i : i + CHUNK_ROWS] @ flat.T - half_squares for i in range(0, len(wanted), CHUNK_ROWS)]
    return np.concatenate([part.argmax(axis=1) for part in parts] or [np.empty(0, dtype=np.int64)])
