"""Fitted trees from a stranger: scikit-learn follows their indices unchecked, so that a bad one crashes or hangs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.io.library_internals import tree_types

LEAF = -1
"""What scikit-learn writes as a leaf's child."""


def check_trees(model: Any, path: Path) -> None:
    """Raise a `CodsaError` unless every tree in a model leads from its root to leaves, and asks for known features.

    Parameters
    ----------
    model : estimator
        Just read; nothing of it has been called.
    path : Path
        For the error.
    """
    tree, predictor = tree_types()
    for part, features in _parts(model):
        if isinstance(part, tree):
            sound = _tree_is_sound(part, features)
        elif isinstance(part, predictor):
            sound = _predictor_is_sound(part, features)
        else:
            continue
        if not sound:
            raise CodsaError(f"{path}: holds a tree that leads nowhere; delete it and re-run codsa-fit")


def _parts(model: Any) -> Iterator[tuple[Any, float]]:
    """Give each object in a model, with the fewest features that any estimator around it takes."""
    stack: list[tuple[Any, float]] = [(model, np.inf)]
    seen: dict[int, float] = {}
    while stack:
        part, features = stack.pop()
        own = getattr(part, "__dict__", {})
        if "n_features_in_" in own:
            features = min(features, _count(own["n_features_in_"]))
        if isinstance(part, (str, bytes, int, float)) or (id(part) in seen and seen[id(part)] <= features):
            continue
        seen[id(part)] = features
        yield part, features
        stack += [(inner, features) for inner in _within(part, own)]


def _count(value: Any) -> float:
    return float(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else 0.0


def _within(part: Any, own: dict[str, Any]) -> list[Any]:
    if isinstance(part, dict):
        return [*part.keys(), *part.values()]
    if isinstance(part, (list, tuple, set, frozenset)):
        return list(part)
    if isinstance(part, np.ndarray):
        return list(part.flat) if part.dtype == object else []
    return list(own.values())


def _tree_is_sound(tree: Any, features: float) -> bool:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != LEAF
    if not np.array_equal(inner, right != LEAF) or not len(left):
        return False
    return _leads_on(
        left[inner], right[inner], feature[inner], own=np.flatnonzero(inner), count=len(left), features=features
    )


def _predictor_is_sound(tree: Any, features: float) -> bool:
    nodes = tree.nodes
    inner = nodes["is_leaf"] == 0
    branch = nodes[inner]
    bitsets = min(len(tree.raw_left_cat_bitsets), len(tree.binned_left_cat_bitsets))
    bitsets_exist = not (branch["bitset_idx"][branch["is_categorical"] != 0] >= bitsets).any()
    left, right, feature = (branch[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
    return (
        bool(len(nodes))
        and bitsets_exist
        and _leads_on(left, right, feature, own=np.flatnonzero(inner), count=len(nodes), features=features)
    )


def _leads_on(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, own: np.ndarray, count: int, features: float
) -> bool:
    """Say whether inner nodes' children come after them, within the tree, and their features are known."""
    onward = (left > own) & (right > own) & (left < count) & (right < count)
    return bool((onward & (feature >= 0) & (feature < features)).all())
