"""Similarity of the rows of two arrays: cosine similarity, and the nearest row."""

from __future__ import annotations

import numpy as np

CHUNK_ROWS = 1024
"""Queries that are compared with all references at a time."""


def paired_cosine_similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of each row of one array with the same row of another.

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


def nearest_rows(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the index of the reference row that is nearest to each query, by Euclidean distance.

    Parameters
    ----------
    queries : ndarray of shape (n, ...)
    references : ndarray of shape (k, ...)
        At least one row.

    Returns
    -------
    ndarray of int64, shape (n,)
        The first of equally near rows.
    """
    flat = references.reshape(len(references), -1).astype(np.float32, copy=False)
    half_squares = (flat**2).sum(axis=1) / 2
    flat_queries = queries.reshape(len(queries), flat.shape[1]).astype(np.float32, copy=False)
    chunks = [flat_queries[i : i + CHUNK_ROWS] for i in range(0, len(flat_queries), CHUNK_ROWS)]
    nearest = [(chunk @ flat.T - half_squares).argmax(axis=1) for chunk in chunks]
    return np.concatenate(nearest or [np.empty(0, dtype=np.int64)])
