"""Texts that are nearly the same: found by MinHash (Broder 1997), so that they stay on one side of a split."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.errors import CodsaError
from codsa.io.seeds import rng, stream

SHINGLE = 3
"""Words in a row that are compared."""
BANDS, ROWS = 20, 4
"""Candidates share one of `BANDS` bands of `ROWS` minima: at a similarity of 0.8 all but one of 30,000 pairs do."""
CHUNK = 1 << 20
"""Shingles that are hashed at once."""
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return a text's words in lower case; a text without letters and digits is one."""
    return _WORD.findall(text.casefold()) or [text]


def shingles(text: str) -> np.ndarray:
    """Return the distinct hashes of a text's runs of `SHINGLE` words, ndarray of uint64, sorted.

    Case and punctuation do not count. A shorter text is one run.
    """
    own = words(text)
    runs = [" ".join(own[i : i + SHINGLE]) for i in range(max(len(own) - SHINGLE + 1, 1))]
    return np.unique(pd.util.hash_array(np.array(runs, dtype=object)))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of common elements of two sorted arrays of distinct values."""
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)


def near_groups(texts: Sequence[str], least: float) -> np.ndarray:
    """Return numbers of the groups of texts that are nearly the same, directly or through others.

    Parameters
    ----------
    texts : sequence of str
    least : float
        The Jaccard similarity of two texts' runs of words from which they belong together, in (0, 1].

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not 0 < least <= 1:
        raise CodsaError(f"texts: near = {least}; the least similarity must lie in (0, 1]")
    sets = [shingles(text) for text in texts]
    pairs = [(a, b) for a, b in _candidates(_minima(sets)) if jaccard(sets[a], sets[b]) >= least]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(ends), dtype=np.int8)
    graph = coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(len(sets), len(sets)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _minima(sets: list[np.ndarray]) -> np.ndarray:
    """Return the least hash of each set under each of BANDS · ROWS hash functions, shape (n, BANDS · ROWS)."""
    random = rng(stream(0, "minhash"))
    factors = random.integers(0, 2**64, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
    made = np.empty((len(sets), BANDS * ROWS), dtype=np.uint64)
    sizes = np.cumsum([len(s) for s in sets])
    cuts = np.searchsorted(sizes, np.arange(CHUNK, sizes[-1] if len(sizes) else 0, CHUNK))
    for part in np.split(np.arange(len(sets)), cuts):
        if len(part) == 0:
            continue
        whole = np.concatenate([sets[i] for i in part])
        starts = np.cumsum([0, *(len(sets[i]) for i in part[:-1])])
        for j, factor in enumerate(factors):
            mixed = whole * factor
            made[part, j] = np.minimum.reduceat(mixed ^ (mixed >> np.uint64(32)), starts)
    return made


def _candidates(minima: np.ndarray) -> set[tuple[int, int]]:
    """Return pairs of texts that agree in a band: each with the first that does."""
    found: set[tuple[int, int]] = set()
    for band in range(BANDS):
        keys = np.ascontiguousarray(minima[:, band * ROWS : (band + 1) * ROWS])
        _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        partner = first[index.reshape(-1)]
        later = np.flatnonzero(partner != np.arange(len(partner)))
        found.update(zip(partner[later].tolist(), later.tolist(), strict=True))
    return found
