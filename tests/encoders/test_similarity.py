"""Cosine similarity and the nearest row, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import paired_cosine_distances

from codsa.encoders import similarity
from codsa.encoders.similarity import nearest_rows, paired_cosine_similarity


def test_cosines_of_known_rows() -> None:
    a = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [-2.0, 0.0]])
    assert paired_cosine_similarity(a, np.array([[3.0, 0.0]])) == pytest.approx([1.0, np.sqrt(0.5), 0.0, -1.0])
    random = np.random.default_rng(0)
    b, c = random.normal(size=(2, 20, 7))
    assert paired_cosine_similarity(b, c) == pytest.approx(1 - paired_cosine_distances(b, c))


def test_the_nearest_image_is_returned() -> None:
    references = np.random.default_rng(1).integers(0, 256, (30, 5, 5, 1), dtype=np.uint8)
    queries = references[[7, 3]].copy()
    queries[:, 0, 0] ^= 1
    assert nearest_rows(queries, references).tolist() == [7, 3]


def test_many_queries_are_searched_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "CHUNK_ROWS", 8)
    queries, references = np.random.default_rng(2).normal(size=(2, 30, 4)).astype(np.float32)
    assert nearest_rows(queries, references).tolist() == pairwise_distances_argmin(queries, references).tolist()
    assert nearest_rows(queries[:0], references).tolist() == []


def test_of_equally_near_rows_it_is_the_first() -> None:
    references = np.array([[5.0, 5.0], [1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert nearest_rows(references[2:], references).tolist() == [1]
