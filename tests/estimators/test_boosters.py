"""Boosters and in-context learners: rounds from training rows alone, files that are data, weights, missing packages."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codsa.errors import CodsaError
from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout
from codsa.estimators.store import load_fitted, save_fitted
from codsa.estimators.tables import in_context
from codsa.estimators.tables.booster_files import check_catboost, check_lightgbm, check_xgboost
from codsa.estimators.tables.in_context import InContext, drawn_by_weight
from codsa.io.seeds import stream
from codsa.settings import registry
from codsa.settings.estimator import EstimatorSpec
from codsa.workflow.config import Experiment
from codsa.workflow.study import Study

BOOSTERS = [
    pytest.param(name, marks=pytest.mark.skipif(not registry.is_installed(name), reason=f"{name} is not installed"))
    for name in ("catboost", "lightgbm", "xgboost")
]
LAYOUT = FeatureLayout("classification", 3, [0, 1, 2], coded=[], steps_rows=200)


def three_classes(n: int = 200) -> WeightedRows:
    random = np.random.default_rng(3)
    y = np.arange(n) % 3
    x = random.normal(size=(n, 3)) + 1.5 * np.eye(3)[y]
    x[::11, 0] = np.nan
    return WeightedRows(x, y, np.ones(n))


def fitted(name: str, rows: WeightedRows, validation: WeightedRows, **settings: Any) -> Any:
    spec = EstimatorSpec(name=name, settings=settings)
    return fit_all(spec, [rows], validation, LAYOUT, stream(0, "fit"))[0]


@pytest.mark.parametrize("name", BOOSTERS)
def test_rounds_stop_early_and_validation_rows_have_no_say(name: str, tmp_path: Path) -> None:
    rows = three_classes()
    others = WeightedRows(rows.x + 3, (rows.y + 1) % 3, rows.weight)
    sizes = []
    for place, (validation, settings) in enumerate(((rows, {}), (others, {}), (rows, {"validation_fraction": 0.0}))):
        spec = EstimatorSpec(name=name, settings={"n_estimators": 200, "learning_rate": 0.2, **settings})
        save_fitted(tmp_path / str(place), fitted(name, rows, validation, **spec.settings), spec)
        model = next(path for path in (tmp_path / str(place)).iterdir() if path.stem == name)
        sizes.append(model.read_bytes())
    assert sizes[0] == sizes[1]
    assert len(sizes[0]) < 0.6 * len(sizes[2])


def loop_of_xgboost(path: Path) -> None:
    model = json.loads(path.read_text())
    tree = model["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["left_children"][0] = 0
    path.write_text(json.dumps(model))


def far_feature_of_lightgbm(path: Path) -> None:
    lines = path.read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("split_feature="))
    count = len(lines[place].split("=")[1].split())
    lines[place] = "split_feature=" + " ".join(["999"] * count)
    path.write_text("\n".join(lines) + "\n")


def short_leaves_of_catboost(path: Path) -> None:
    model = json.loads(path.read_text())
    model["oblivious_trees"][0]["leaf_values"].pop()
    path.write_text(json.dumps(model))


DAMAGE: dict[str, Callable[[Path], None]] = {
    "catboost": short_leaves_of_catboost,
    "lightgbm": far_feature_of_lightgbm,
    "xgboost": loop_of_xgboost,
}


@pytest.mark.parametrize("name", BOOSTERS)
def test_trees_of_a_stranger_are_checked_before_their_library_reads_them(name: str, tmp_path: Path) -> None:
    rows = three_classes()
    save_fitted(tmp_path / "fit", fitted(name, rows, rows, n_estimators=5), EstimatorSpec(name=name))
    model = next(path for path in (tmp_path / "fit").iterdir() if path.stem == name)
    whole = model.read_text()
    DAMAGE[name](model)
    with pytest.raises(CodsaError, match="no trees that lead from a root to leaves"):
        load_fitted(tmp_path / "fit")
    for cut in ("", whole[: len(whole) // 2], "[]", "{}"):
        model.write_text(cut)
        with pytest.raises(CodsaError, match=name):
            load_fitted(tmp_path / "fit")
    model.unlink()
    with pytest.raises(CodsaError, match="no such file"):
        load_fitted(tmp_path / "fit")


def lightgbm_text(left: str, right: str, feature: str = "0 1", leaves: str = "0.1 0.2 0.3") -> str:
    tree = f"Tree=0\nnum_leaves=3\nnum_cat=0\nsplit_feature={feature}\nthreshold=0 0\ndecision_type=2 2\n"
    tree += f"left_child={left}\nright_child={right}\nleaf_value={leaves}\n"
    return f"tree\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\ntree_sizes=9\n\n{tree}\nend of trees\n"


def test_lightgbm_trees_are_followed_to_their_leaves(tmp_path: Path) -> None:
    path = tmp_path / "lightgbm.txt"
    path.write_text(lightgbm_text("1 -1", "-3 -2"))
    check_lightgbm(path, 0)
    for wrong in (
        lightgbm_text("0 -1", "-3 -2"),  # a loop
        lightgbm_text("1 -1", "-3 2"),  # a node that is not there
        lightgbm_text("1 -1", "-4 -2"),  # a leaf that is not there
        lightgbm_text("1 -1", "-3 -2", feature="0 2"),
        lightgbm_text("1 -1", "-3 -2", leaves="0.1 0.2"),
    ):
        path.write_text(wrong)
        with pytest.raises(CodsaError, match=r"lightgbm\.txt: holds no trees"):
            check_lightgbm(path, 0)


def xgboost_json(left: list[int], right: list[int], feature: list[int]) -> str:
    count = len(left)
    tree = {"left_children": left, "right_children": right, "split_indices": feature, "split_type": [0] * count}
    tree |= {key: [0.0] * count for key in ("split_conditions", "default_left", "base_weights", "sum_hessian")}
    tree |= {"parents": [0] * count, "categories": [], "tree_param": {"num_nodes": str(count), "size_leaf_vector": "1"}}
    model = {"trees": [tree], "tree_info": [0], "iteration_indptr": [0, 1], "gbtree_model_param": {"num_trees": "1"}}
    about = {"num_feature": "2", "num_class": "0"}
    return json.dumps(
        {"learner": {"gradient_booster": {"name": "gbtree", "model": model}, "learner_model_param": about}}
    )


def test_xgboost_trees_are_followed_to_their_leaves(tmp_path: Path) -> None:
    path = tmp_path / "xgboost.json"
    path.write_text(xgboost_json([1, -1, -1], [2, -1, -1], [1, 0, 0]))
    check_xgboost(path, 2)
    for left, right, feature in (
        ([0, -1, -1], [2, -1, -1], [1, 0, 0]),
        ([1, -1, -1], [3, -1, -1], [1, 0, 0]),
        ([1, -1, -1], [-1, -1, -1], [1, 0, 0]),
        ([1, -1, -1], [2, -1, -1], [2, 0, 0]),
    ):
        path.write_text(xgboost_json(left, right, feature))
        with pytest.raises(CodsaError, match=r"xgboost\.json: holds no trees"):
            check_xgboost(path, 2)
    with pytest.raises(CodsaError, match="holds no trees"):
        check_xgboost(path, 3)
    with pytest.raises(CodsaError, match="no such file"):
        check_catboost(tmp_path / "catboost.json", 0)


def test_a_missing_package_stops_the_plan_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in registry.PACKAGES else found(name))
    for name, wanted in (("lightgbm", r"codsa\[boosters\]"), ("tabpfn", "tabpfn")):
        own = {"name": "toy", "data": {"path": "t.csv"}, "estimator": {"name": name}}
        with pytest.raises(CodsaError, match=f"needs the package {name}, .*: pip install '{wanted}'"):
            Study("toy", Experiment.model_validate(own)).checked()
        with pytest.raises(CodsaError, match="pip install"):
            fitted(name, three_classes(), three_classes())


def test_rows_are_drawn_in_proportion_to_their_weights() -> None:
    weight = np.array([1.0, 2.0, 4.0, 1.0])
    drawn = np.bincount(drawn_by_weight(np.tile(weight, 50), 200, seed=5), minlength=200).reshape(50, 4)
    expected = weight / weight.sum() * 4
    assert (np.abs(drawn - expected) < 1).all() and drawn.sum() == 200
    assert np.array_equal(drawn_by_weight(np.full(7, 3.0), 7, seed=5), np.arange(7))


def test_what_is_kept_of_an_in_context_learner_are_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nearest neighbour stands in for the network: what is tested is what is kept and read back."""
    from sklearn.neighbors import KNeighborsClassifier

    monkeypatch.setattr(in_context, "check_settings", lambda *given: None)
    monkeypatch.setattr(in_context, "installed", lambda name: SimpleNamespace())
    monkeypatch.setattr(in_context, "NETWORKS", {"tabpfn": lambda task, seed, passes: KNeighborsClassifier(1)})
    rows = three_classes()
    rows = WeightedRows(np.nan_to_num(rows.x), rows.y, 1.0 + rows.y)
    model = fitted("tabpfn", rows, rows)
    save_fitted(tmp_path / "fit", model, EstimatorSpec(name="tabpfn"))
    again = load_fitted(tmp_path / "fit")
    np.testing.assert_array_equal(again.predict(rows.x), model.predict(rows.x))
    assert isinstance(again.model, InContext) and np.bincount(again.model.y)[2] > np.bincount(again.model.y)[0]
    (tmp_path / "fit/context.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CodsaError, match="not readable as safetensors"):
        load_fitted(tmp_path / "fit")
