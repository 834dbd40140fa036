"""Boosted trees in the formats of their libraries, which follow indices unchecked: a bad one would crash or hang.

Each check reads a stranger's file as plain text and numbers, before its library does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.io.records import read_json, write_json

Check = Callable[[Path, int], None]


def _checked(trees_are_sound: Callable[[Path, int], bool]) -> Check:
    """Turn a test of a file into a check that names it, whatever is wrong with it."""

    @wraps(trees_are_sound)
    def check(path: Path, classes: int) -> None:
        try:
            sound = trees_are_sound(path, classes)
        except FileNotFoundError:
            raise CodsaError(f"{path}: no such file; re-run codsa-fit") from None
        except (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            sound = False
        if not sound:
            raise CodsaError(f"{path}: holds no trees that lead from a root to leaves; delete it and re-run codsa-fit")

    return check


def _leads_on(left: np.ndarray, right: np.ndarray, own: np.ndarray, count: int) -> bool:
    """Say whether the children of inner nodes come after them, and are among the tree's nodes."""
    return bool(((left > own) & (right > own) & (left < count) & (right < count)).all())


def _outputs(classes: int) -> int:
    """Return the trees of one round: one per class where there are more than two."""
    return classes if classes > 2 else 1


@_checked
def check_xgboost(path: Path, classes: int) -> bool:
    """Say whether XGBoost's JSON holds trees of numbers alone, each sound, whole rounds of them."""
    learner = read_json(path)["learner"]
    model, features = learner["gradient_booster"]["model"], int(learner["learner_model_param"]["num_feature"])
    outputs, trees = _outputs(classes), model["trees"]
    info, count = model["tree_info"], len(trees)
    parameters = learner["learner_model_param"]
    if learner["gradient_booster"]["name"] != "gbtree" or max(int(parameters["num_class"]), 1) != outputs:
        return False
    whole = info == [k % outputs for k in range(count)] and int(model["gbtree_model_param"]["num_trees"]) == count
    rounds = model["iteration_indptr"] == list(range(0, count + 1, outputs))
    return whole and rounds and count > 0 and all(_xgboost_tree(tree, features) for tree in trees)


def _xgboost_tree(tree: dict[str, Any], features: int) -> bool:
    left, right, feature, kind = (
        np.array(tree[key], dtype=np.int64)
        for key in ("left_children", "right_children", "split_indices", "split_type")
    )
    nodes, inner = int(tree["tree_param"]["num_nodes"]), left != -1
    lengths = {len(tree[key]) for key in ("right_children", "split_indices", "split_conditions", "default_left")}
    lengths |= {len(left), len(kind), len(tree["base_weights"]), len(tree["sum_hessian"]), len(tree["parents"])}
    one_output = int(tree["tree_param"]["size_leaf_vector"]) <= 1 and not tree["categories"]
    known = bool(((feature >= 0) & (feature < features)).all() and (kind == 0).all())
    leaves = np.array_equal(inner, right != -1)
    if not (lengths == {nodes} and nodes > 0 and one_output and known and leaves):
        return False
    return _leads_on(left[inner], right[inner], np.flatnonzero(inner), nodes)


@_checked
def check_lightgbm(path: Path, classes: int) -> bool:
    """Say whether LightGBM's text holds trees of numbers alone, each sound, whole rounds of them."""
    head, *blocks = path.read_text(encoding="utf-8").split("end of trees")[0].split("\nTree=")
    facts, outputs = _facts(head.splitlines()), _outputs(classes)
    features = int(facts["max_feature_idx"]) + 1
    if int(facts["num_tree_per_iteration"]) != outputs or int(facts["num_class"]) != outputs:
        return False
    sizes = facts["tree_sizes"].split()
    whole = bool(blocks) and len(blocks) % outputs == 0 and len(sizes) == len(blocks)
    return whole and all(_lightgbm_tree(_facts(block.splitlines()[1:]), features) for block in blocks)


def _facts(lines: Iterable[str]) -> dict[str, str]:
    return {key: value for key, equals, value in (line.partition("=") for line in lines) if equals}


def _lightgbm_tree(tree: dict[str, str], features: int) -> bool:
    leaves = int(tree["num_leaves"])
    if int(tree["num_cat"]) != 0 or int(tree.get("is_linear", "0")) != 0 or leaves < 1:
        return False
    if len(tree["leaf_value"].split()) != leaves:
        return False
    if leaves == 1:
        return True
    left, right, feature, kind = (
        np.array(tree[key].split(), dtype=np.int64)
        for key in ("left_child", "right_child", "split_feature", "decision_type")
    )
    sizes = {len(left), len(right), len(feature), len(kind), len(tree["threshold"].split())}
    if sizes != {leaves - 1} or not ((feature >= 0) & (feature < features)).all() or (kind & 1).any():
        return False
    own = np.arange(leaves - 1)
    children = [np.where(child < 0, own + 1, child) for child in (left, right)]
    inner = _leads_on(children[0], children[1], own, leaves)
    ends = np.concatenate([left, right])
    return inner and bool((ends < leaves - 1).all() and (ends >= -leaves).all())


@_checked
def check_catboost(path: Path, classes: int) -> bool:
    """Say whether CatBoost's JSON holds symmetric trees over numbers alone, with a value for every leaf."""
    model, outputs = read_json(path), _outputs(classes)
    if set(model) != {"features_info", "model_info", "oblivious_trees", "scale_and_bias"}:
        return False
    features = model["features_info"]["float_features"]
    if set(model["features_info"]) != {"float_features"} or not model["oblivious_trees"]:
        return False
    places = [feature["flat_feature_index"] for feature in features]
    if places != list(range(len(features))) or places != [feature["feature_index"] for feature in features]:
        return False
    return all(_catboost_tree(tree, features, outputs) for tree in model["oblivious_trees"])


def _catboost_tree(tree: dict[str, Any], features: list[dict[str, Any]], outputs: int) -> bool:
    splits = tree["splits"]
    for split in splits:
        known = split["split_type"] == "FloatFeature" and 0 <= split["float_feature_index"] < len(features)
        if not known or split["border"] not in features[split["float_feature_index"]]["borders"]:
            return False
    leaves = 2 ** min(len(splits), 16)
    return len(tree["leaf_values"]) == leaves * outputs and len(tree["leaf_weights"]) in (0, leaves)


def forget_run(path: Path) -> None:
    """Leave out of CatBoost's JSON what differs from run to run, so that equal models have equal bytes."""
    model = read_json(path)
    kept = {key: value for key, value in model["model_info"].items() if key in ("class_params", "params")}
    write_json(path, {**model, "model_info": {**kept, "model_guid": ""}})
