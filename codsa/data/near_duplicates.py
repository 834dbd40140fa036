"""Texts that are nearly the same: found by MinHash (Broder 1997), so that they stay on one side of a split."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.errors import CodsaError
from codsa.io.seeds import rng, stream

SHINGLE_WORDS = 3
"""Consecutive words that make a shingle."""
BANDS, ROWS = 20, 4
"""Candidates share one of `BANDS` bands of `ROWS` minima: at a similarity of 0.8 all but one of 30,000 pairs do."""
CHUNK_SHINGLES = 1 << 20
"""Shingles that are hashed at once."""
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return a text's words in lower case; a text without letters and digits is a word."""
    return _WORD.findall(text.casefold()) or [text]


def shingles(text: str) -> np.ndarray:
    """Return the distinct hashes of a text's runs of `SHINGLE_WORDS` words, ndarray of uint64, sorted.

    Case and punctuation do not count. A shorter text is one run.
    """
    text_words = words(text)
    runs = [" ".join(text_words[i : i + SHINGLE_WORDS]) for i in range(max(len(text_words) - SHINGLE_WORDS + 1, 1))]
    return np.unique(pd.util.hash_array(np.array(runs, dtype=object)))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of common elements of two sorted arrays of distinct values."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def near_groups(texts: Sequence[str], threshold: float) -> np.ndarray:
    """Return numbers of the groups of nearly equal texts, directly or through others.

    Parameters
    ----------
    texts : sequence of str
    threshold : float
        Two texts with at least this Jaccard similarity of their shingles share a group, in (0, 1].

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0 < threshold <= 1:
        raise CodsaError(f"texts: near = {threshold}; the least similarity must lie in (0, 1]")
    sets = [shingles(text) for text in texts]
    pairs = [(a, b) for a, b in _candidates(_minima(sets)) if jaccard(sets[a], sets[b]) >= threshold]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    weights = np.ones(len(edges), dtype=np.int8)
    graph = coo_array((weights, (edges[:, 0], edges[:, 1])), shape=(len(sets), len(sets)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _minima(sets: list[np.ndarray]) -> np.ndarray:
    """Return the least hash of each set under each of BANDS · ROWS hash functions, shape (n, BANDS · ROWS)."""
    random = rng(stream(0, "minhash"))
    factors = random.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    minima = np.empty((len(sets), BANDS * ROWS), dtype=np.uint64)
    cumulative_sizes = np.cumsum([len(s) for s in sets])
    cuts = np.searchsorted(
        cumulative_sizes,
        np.arange(CHUNK_SHINGLES, cumulative_sizes[-1] if len(cumulative_sizes) else 0, CHUNK_SHINGLES),
    )
    for members in np.split(np.arange(len(sets)), cuts):
        if len(members) == 0:
            continue
        hashes = np.concatenate([sets[i] for i in members])
        starts = np.cumsum([0, *(len(sets[i]) for i in members[:-1])])
        for j, factor in enumerate(factors):
            mixed = hashes * factor
            minima[members, j] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts)
    return minima


def _candidates(minima: np.ndarray) -> set[tuple[int, int]]:
    """Return pairs of texts that agree in a band: each text with the first one of the same band."""
    pairs: set[tuple[int, int]] = set()
    for band in range(BANDS):
        keys = np.ascontiguousarray(minima[:, band * ROWS : (band + 1) * ROWS])
        _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        partner = first[index.reshape(-1)]
        followers = np.flatnonzero(partner != np.arange(len(partner)))
        pairs.update(zip(partner[followers].tolist(), followers.tolist(), strict=True))
    return pairs
