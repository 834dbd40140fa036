"""Models from strangers: a folder is read and nothing more; code is the user's own word on the command line."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import torch
from conftest import Ended, call
from safetensors.numpy import save_file
from skops.io import _trusted_types
from test_artifacts import resealed
from test_bad_input import given, refused, study  # noqa: F401
from toy_pipeline import make_pipeline

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.sample import main as codsa_sample
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.encoders.sentences import SentenceEncoder, model_folder
from codsa.errors import CodsaError
from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import PREPROCESSING, FeatureLayout
from codsa.estimators.store import EstimatorRecord, _type_names, load_fitted, save_fitted
from codsa.estimators.types import FURTHER, SKLEARN, TYPES
from codsa.io.digests import file_digest
from codsa.io.hub import parted
from codsa.io.records import read_json, write_json
from codsa.io.seeds import stream
from codsa.io.tensors import load_tensors
from codsa.nn.stable import load_pipeline
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import trusted_types
from codsa.workflow.config import Experiment
from codsa.workflow.study import Study

ROWS = 40
TABLES = {"classification": 2, "many": 3, "regression": 0}
REGRESSION_LOSSES = ("absolute_error", "gamma", "poisson", "quantile")
BOOSTING: dict[str, list[dict[str, Any]]] = {
    "classification": [{}, {"early_stopping": True}, {"categorical_features": [2]}, {"max_features": 0.5}],
    "many": [{}],
    "regression": [{"loss": x, "quantile": 0.3} for x in ("squared_error", *REGRESSION_LOSSES)],
}
LIKES = {"gradient-boosting": {"max_iter": 2}, "random-forest": {"n_estimators": 2}}


def table(kind: str, preprocess: str = "auto") -> tuple[FeatureLayout, WeightedRows]:
    random = np.random.default_rng(0)
    coded = random.integers(0, 3, ROWS).astype(float)
    x = np.column_stack([random.normal(size=(ROWS, 2)), coded])
    classes = TABLES[kind]
    y = random.integers(0, classes, ROWS) if classes else np.abs(random.normal(size=ROWS)) + 0.1
    task = "classification" if classes else "regression"
    if preprocess == "none":
        return FeatureLayout(task, classes, [0, 1], [], ROWS), WeightedRows(x[:, :2], y, np.ones(ROWS))
    return FeatureLayout(task, classes, [0, 1], [2], ROWS), WeightedRows(x, y, np.ones(ROWS))


def saved(folder: Path, judge: EstimatorSpec, layout: FeatureLayout, point: WeightedRows) -> Any:
    (fitted,) = fit_all(judge, [point], point, layout, stream(0, "fit"))
    save_fitted(folder, fitted, judge)
    return fitted


def cases() -> Iterator[tuple[EstimatorSpec, FeatureLayout, WeightedRows]]:
    """Every registered scikit-learn estimator, with every preprocessing and the settings that change its types."""
    for kind in TABLES:
        for preprocess in PREPROCESSING:
            for name in ("gradient-boosting", "random-forest", "logistic"):
                yield (
                    EstimatorSpec(name=name, preprocess=preprocess, settings=LIKES.get(name, {})),
                    *table(kind, preprocess),
                )
        for settings in BOOSTING[kind]:
            yield EstimatorSpec(name="gradient-boosting", settings={"max_iter": 2, **settings}), *table(kind)
    for name in ("balanced-forest", "balanced-boosting"):
        yield EstimatorSpec(name=name, settings={"n_estimators": 2}), *table("classification")
    words = WeightedRows(np.array([["good word"], ["bad word"]] * 9, dtype=object), np.array([0, 1] * 9), np.ones(18))
    yield (
        EstimatorSpec(name="tfidf-logistic", settings={"min_df": 1}),
        FeatureLayout("classification", 2, [], [], 18, [], True),
        words,
    )
    for side, rows in ((4, 40), (3, 12)):
        pixels = np.random.default_rng(0).integers(0, 255, (rows, side * side)).astype(np.uint8)
        layout = FeatureLayout("detection", 0, list(range(side * side)), [], rows, [side, side, 1])
        point = WeightedRows(pixels, np.zeros(rows, dtype=np.int64), np.ones(rows))
        yield EstimatorSpec(name="local-outliers", settings={"neighbours": 3, "cells": [2]}), layout, point


def test_the_types_that_are_trusted_are_those_that_are_needed(tmp_path: Path) -> None:
    """No name is on the list in vain, and none is lacking: all are read back, to the same predictions."""
    untrusted, of_sklearn = set(), set()
    for place, (judge, layout, point) in enumerate(cases()):
        folder = tmp_path / str(place)
        fitted = saved(folder, judge, layout, point)
        for path in folder.glob("*.skops"):
            untrusted |= set(skops.io.get_untrusted_types(file=path))
            of_sklearn |= {name for name in names_in(path) if name.startswith("sklearn.")}
        assert np.array_equal(load_fitted(folder).predict(point.x), fitted.predict(point.x)), judge
    assert untrusted == TYPES
    assert of_sklearn == SKLEARN


def names_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as file:
        return set(_type_names(json.loads(file.read("schema.json"))))


def test_what_skops_trusts_by_itself_runs_nothing() -> None:
    known = _trusted_types
    assert set(known.PRIMITIVE_TYPE_NAMES) == {f"builtins.{n}" for n in ("int", "float", "str", "bool")}
    assert set(known.CONTAINER_TYPE_NAMES) <= {f"builtins.{n}" for n in ("list", "set", "map", "tuple")}
    for names, base in (
        (known.SKLEARN_ESTIMATOR_TYPE_NAMES + known.SKLEARN_INTERNAL_TYPE_NAMES, type),
        (known.NUMPY_UFUNC_TYPE_NAMES + known.SCIPY_UFUNC_TYPE_NAMES, np.ufunc),
        (known.NUMPY_DTYPE_TYPE_NAMES, type),
    ):
        for name in names:
            module, _, attribute = name.rpartition(".")
            assert module.startswith(("sklearn.", "numpy", "scipy.special")), name
            assert isinstance(getattr(importlib.import_module(module), attribute), base), name
    for name in FURTHER:
        module, _, attribute = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), attribute), type), name


@pytest.fixture
def forest(tmp_path: Path) -> Path:
    """A folder of fits: a forest of two trees."""
    saved(
        tmp_path / "fits", EstimatorSpec(name="random-forest", settings={"n_estimators": 2}), *table("classification")
    )
    return tmp_path / "fits"


def replaced(folder: Path, model: Any, name: str | None = None, file: str = "model.skops") -> Path:
    """Put another model, and another name of its estimator, into a folder of fits."""
    skops.io.dump(model, folder / file)
    record = read_json(folder / "estimator.json")
    record["estimator"]["name"] = name or record["estimator"]["name"]
    write_json(folder / "estimator.json", record)
    return folder


def hostile(function: Any) -> Any:
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(function)


def strange_functions() -> list[tuple[str, Any]]:
    from numpy.testing._private.utils import runstring

    return [("builtins.eval", eval), ("runstring", runstring), ("subprocess.call", subprocess.call), ("os", os.system)]


@pytest.mark.parametrize("file", ["model.skops", "transform.skops"])
@pytest.mark.parametrize(("word", "function"), strange_functions())
@pytest.mark.parametrize(
    "name", ["random-forest", "subprocess:call", "builtins:eval", "os:system", "numpy.testing:run"]
)
def test_a_stranger_s_function_is_not_loaded(
    word: str, function: Any, name: str, file: str, forest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced(forest, hostile(function), name, file)
    load = skops.io.load
    monkeypatch.setattr(skops.io, "load", lambda path, **k: pytest.fail(path) if path.name == file else load(path, **k))
    if file == "model.skops" or name != "random-forest":
        with pytest.raises(CodsaError, match="trust"):
            load_fitted(forest)
    else:
        with pytest.raises(CodsaError, match=f"{file}: holds .*{word}"):
            load_fitted(forest)


def test_a_registered_estimator_s_file_holds_no_other_estimator(forest: Path) -> None:
    from sklearn.svm import SVC

    _, point = table("classification")
    replaced(forest, SVC().fit(point.x, point.y))
    with pytest.raises(CodsaError, match=r"model.skops: holds sklearn.svm._classes.SVC, which is not trusted"):
        load_fitted(forest)


OWN = """
from pathlib import Path
Path({marker!r}).write_text("imported")
import numpy as np
class Part:
    def __init__(self): self.rate = 1.0
class Own:
    {listed}
    def fit(self, x, y):
        self.classes_ = np.unique(y)
        self.part = Part()
        return self
    def predict(self, x): return np.full(len(x), self.classes_[0])
    def save(self, folder): raise AssertionError("registered estimators alone write themselves")
"""


@pytest.mark.parametrize("lists", [True, False])
def test_the_user_s_own_estimator_is_trusted_by_a_word_alone(
    lists: bool,
    study: Path,  # noqa: F811
    given: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its class is imported where --trust names it, and its parts where the class or --trust names these."""
    module, marker = f"own_estimator_{lists}", tmp_path / "marker"
    listed = f'trusted_types = ["{module}.Part"]' if lists else ""
    (tmp_path / f"{module}.py").write_text(OWN.format(marker=str(marker), listed=listed))
    monkeypatch.syspath_prepend(tmp_path)
    options = ("--estimator", f"{module}:Own", "--reserve", "all", "--out", tmp_path / "fits")
    ended = call(codsa_fit, *given, *options)
    assert ended.code == 0 and marker.exists()
    assert ("which codsa-eval reads with --trust" in ended.err or lists) or not ended.err
    marker.unlink()
    monkeypatch.delitem(importlib.import_module("sys").modules, module)

    def evaluated(*trust: str) -> Ended:
        words = [word for name in trust for word in ("--trust", name)]
        return call(codsa_eval, *given, "--fits", tmp_path / "fits", *words, "--out", tmp_path / "eval")

    for wrong in ((), ("another.module:Own",), (f"{module}.Part",)):
        if wrong == ("another.module:Own",) or not wrong:
            assert refused(evaluated(*wrong), f"give --trust {module}:Own")
        else:
            assert refused(evaluated(*wrong), "Own")
        assert not marker.exists() and not (tmp_path / "eval").exists()
    if not lists:
        assert refused(evaluated(f"{module}:Own"), f"holds {module}.Part, which is not trusted")
    parts = () if lists else (f"{module}:Part",)
    assert evaluated(f"{module}:Own", *parts).code == 0
    assert marker.exists()


OWN_GENERATOR = """
from pathlib import Path
Path({marker!r}).write_text("imported")
from codsa.generators.tables.bootstrap import Bootstrap
class Own(Bootstrap):
    pass
"""


def test_the_user_s_own_generator_is_trusted_by_a_word_alone(
    study: Path,  # noqa: F811
    given: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "own_generator.py").write_text(OWN_GENERATOR.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    assert call(codsa_train_gen, *given, "--generator", "own_generator:Own", "--out", tmp_path / "g").code == 0
    marker.unlink()
    monkeypatch.delitem(importlib.import_module("sys").modules, "own_generator")
    drawn = ("--generator", tmp_path / "g", "--rows", 5, "--out", tmp_path / "pool")
    for wrong in ((), ("--trust", "own_generator:Other"), ("--trust", "own_generator")):
        assert refused(call(codsa_sample, *drawn, *wrong), "give --trust own_generator:Own")
        assert not marker.exists() and not (tmp_path / "pool").exists()
    assert call(codsa_sample, *drawn, "--trust", "own_generator:Own").code == 0 and marker.exists()


@pytest.mark.parametrize("name", ["os:system", "subprocess:call", "builtins:eval", "antigravity:geohash"])
def test_a_generator_s_folder_names_no_code(name: str, study: Path, tmp_path: Path) -> None:  # noqa: F811
    shutil.copytree(study / "gen", tmp_path / "g")
    manifest = read_json(tmp_path / "g" / "manifest.json")
    manifest["parameters"]["generator"] = name
    resealed(tmp_path / "g" / "manifest.json", manifest)
    ended = call(codsa_sample, "--generator", tmp_path / "g", "--rows", 5, "--out", tmp_path / "pool")
    assert refused(ended, f"give --trust {name}")


@pytest.mark.parametrize("parameters", [{"generator": 3}, {"settings": []}, {"settings": {"k": 1}}, {"r": "x"}, []])
def test_a_generator_s_manifest_is_read_by_type(parameters: Any, study: Path, tmp_path: Path) -> None:  # noqa: F811
    shutil.copytree(study / "gen", tmp_path / "g")
    manifest = read_json(tmp_path / "g" / "manifest.json")
    manifest["parameters"] = parameters and {**manifest["parameters"], **parameters}
    resealed(tmp_path / "g" / "manifest.json", manifest)
    assert refused(call(codsa_sample, "--generator", tmp_path / "g", "--rows", 5, "--out", tmp_path / "pool"))


def test_the_workflow_trusts_what_the_experiment_names() -> None:
    base = {"name": "toy", "data": {"path": "x.csv", "target": "y"}}
    mine = {"name": "mine", "generator": "my.module:Class"}
    own = Study("toy", Experiment.model_validate({**base, "methods": [mine], "estimator": {"name": "my.fit:Own"}}))
    assert own.evaluate(0)[:2] == ["--trust", "my.fit:Own"]
    assert "--trust my.module:Class" in " ".join(own.sample(0, next(iter(own.generators)), "0.5"))
    plain = Study("toy", Experiment.model_validate({**base, "methods": ["smote"]}))
    assert "--trust" not in plain.evaluate(0) + plain.sample(0, "smote", "0.5")


@pytest.mark.parametrize("word", ["nonsense", "a:b:c", "../x:y", "x:", "os:system", "nowhere.at.all:X"])
def test_a_word_of_trust_names_a_class(word: str) -> None:
    with pytest.raises(CodsaError, match=f"--trust {re.escape(word)}: "):
        trusted_types([word])


def with_member(path: Path, name: str, content: bytes) -> None:
    with zipfile.ZipFile(path) as file:
        parts = {n: file.read(n) for n in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for n, data in {**parts, name: content}.items():
            file.writestr(n, data)


BROKEN = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "no zip": lambda path: path.write_text("{}"),
    "no schema": lambda path: zipfile.ZipFile(path, "w").close(),
    "no JSON": lambda path: with_member(path, "schema.json", b"{"),
    "a list": lambda path: with_member(path, "schema.json", b"[]"),
    "deep": lambda path: with_member(path, "schema.json", b"[" * 100_000),
    "no protocol": lambda path: with_member(path, "schema.json", b'{"__class__": "list", "__module__": "builtins"}'),
    "a bomb": lambda path: with_member(path, "zeros.npy", bytes(2**27)),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("file", ["model.skops", "transform.skops"])
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_skops_file_is_one_clear_error(how: str, file: str, forest: Path) -> None:
    BROKEN[how](forest / file)
    with pytest.raises(CodsaError, match=re.escape(file)):
        load_fitted(forest)


def test_a_part_asked_for_again_and_again_is_a_bomb(forest: Path) -> None:
    path = forest / "model.skops"
    with_member(path, "zeros.npy", bytes(2**24))
    state = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "protocol": 2}
    array = {"__class__": "bytes", "__module__": "builtins", "__loader__": "BytesNode", "file": "zeros.npy"}
    with_member(path, "schema.json", json.dumps({**state, "content": [array] * 1000}).encode())
    with pytest.raises(CodsaError, match="unpacks to more than"):
        load_fitted(forest)


def crooked_forest(model: Any, column: str, value: int) -> None:
    tree = model.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][column][0] = value
    tree.__setstate__(state)


def crooked_boosting(model: Any, column: str, value: int) -> None:
    predictor = model._predictors[0][0]
    predictor.nodes = predictor.nodes.copy()
    predictor.nodes[column][0] = value


@pytest.mark.parametrize(
    ("name", "change", "column", "value"),
    [
        ("random-forest", crooked_forest, "left_child", 10**8),
        ("random-forest", crooked_forest, "right_child", 0),
        ("random-forest", crooked_forest, "left_child", -1),
        ("random-forest", crooked_forest, "left_child", -7),
        ("random-forest", crooked_forest, "feature", 10**6),
        ("random-forest", crooked_forest, "feature", -3),
        ("gradient-boosting", crooked_boosting, "left", 4 * 10**8),
        ("gradient-boosting", crooked_boosting, "right", 0),
        ("gradient-boosting", crooked_boosting, "feature_idx", 10**6),
        ("gradient-boosting", crooked_boosting, "is_categorical", 1),
    ],
)
def test_a_tree_that_would_crash_or_hang_is_refused(
    name: str, change: Any, column: str, value: int, tmp_path: Path
) -> None:
    """scikit-learn follows these indices unchecked: a segmentation fault, or no end."""
    layout, point = table("classification")
    settings = {"random-forest": {"n_estimators": 2}, "gradient-boosting": {"max_iter": 2, "min_samples_leaf": 2}}
    judge = EstimatorSpec(name=name, settings=settings[name])
    (fitted,) = fit_all(judge, [point], point, layout, stream(0, "fit"))
    save_fitted(tmp_path / "sound", fitted, judge)
    load_fitted(tmp_path / "sound")
    change(fitted.model, column, value)
    save_fitted(tmp_path / "crooked", fitted, judge)
    with pytest.raises(CodsaError, match="a tree that leads nowhere"):
        load_fitted(tmp_path / "crooked")


@pytest.mark.parametrize(
    "key", ["estimator", "layout", "estimator.name", "estimator.settings", "layout.classes", "layout.ordered"]
)
@pytest.mark.parametrize("value", [None, 3.5, "x", [["x"]], {"a": 1}])
def test_the_record_of_an_estimator_is_read_by_type(key: str, value: Any, forest: Path) -> None:
    record = read_json(forest / "estimator.json")
    outer, _, inner = key.partition(".")
    if inner:
        record[outer][inner] = value
    else:
        record[outer] = value
    write_json(forest / "estimator.json", record)
    if (key, value) == ("estimator.settings", {"a": 1}):
        load_fitted(forest)
        return
    with pytest.raises(CodsaError):
        load_fitted(forest)


def test_a_model_of_other_rows_is_one_clear_error(forest: Path) -> None:
    layout, point = table("many", "none")
    other = saved(
        forest.parent / "other",
        EstimatorSpec(name="random-forest", preprocess="none", settings={"n_estimators": 2}),
        layout,
        point,
    )
    replaced(forest, other.model)
    with pytest.raises(CodsaError, match=re.escape(str(forest))):
        load_fitted(forest).predict(table("classification")[1].x)


NETWORK = EstimatorSpec(name="mlp", settings={"hidden": [4], "epochs": 1, "batch": 16})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "mlp.safetensors").write_bytes(b"\0" * 4), "not readable as safetensors"),
        (lambda f: (f / "mlp.safetensors").write_bytes(b"\xff" * 64), "not readable as safetensors"),
        (lambda f: (f / "mlp.safetensors").unlink(), "no such file"),
        (lambda f: save_file({"x": np.zeros(3)}, f / "mlp.safetensors"), "has no tensor '00'"),
        (lambda f: save_file({}, f / "mlp.safetensors"), "has no tensor '00'"),
        (lambda f: save_file({"00": np.zeros((3, 4)), "01": np.zeros((1, 5))}, f / "mlp.safetensors"), r"not \(1, 4\)"),
        (lambda f: write_json(f / "mlp.json", {"classes": "x"}), "mlp.json: 'classes' is 'x'"),
        (lambda f: write_json(f / "mlp.json", {"classes": 2}), "mlp.json: 'scale' is missing"),
        (lambda f: write_json(f / "mlp.json", []), "mlp.json"),
    ],
)
def test_a_broken_perceptron_is_one_clear_error(change: Any, message: str, tmp_path: Path) -> None:
    saved(tmp_path / "e", NETWORK, *table("classification"))
    change(tmp_path / "e")
    with pytest.raises(CodsaError, match=message):
        load_fitted(tmp_path / "e")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"channels": [2], "hidden": 2**16, "dropout": 0.0, "flip": False, "centre": 0, "scale": 1}, "not the weights"),
        ({"channels": [2], "hidden": 10**12, "dropout": 0.0, "flip": False, "centre": 0, "scale": 1}, "'hidden' is"),
        ({"channels": "x"}, "'channels' is 'x'"),
    ],
)
def test_a_network_of_other_sizes_takes_no_memory(facts: Any, message: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 192)).astype(np.uint8)
    layout = FeatureLayout("classification", 2, list(range(192)), [], 12, [8, 8, 3])
    judge = EstimatorSpec(name="cnn", settings={"channels": [2], "hidden": 2, "epochs": 1})
    point = WeightedRows(pixels, np.arange(12) % 2, np.ones(12))
    fitted = saved(tmp_path / "e", judge, layout, point)
    assert np.array_equal(load_fitted(tmp_path / "e").predict(point.x), fitted.predict(point.x))
    write_json(tmp_path / "e" / "network.json", facts)
    with pytest.raises(CodsaError, match=message):
        load_fitted(tmp_path / "e")


def test_an_estimator_that_needs_pickle_is_refused_when_it_is_kept(tmp_path: Path) -> None:
    judge = EstimatorSpec(
        name="gradient-boosting", settings={"max_iter": 2, "early_stopping": True, "scoring": "neg_log_loss"}
    )
    with pytest.raises(CodsaError, match="cannot be kept without pickle"):
        saved(tmp_path / "e", judge, *table("classification"))


GENERATORS_OF_TABLES = {
    "gaussian": (),
    "tabular-diffusion": ("--set", "steps=2", "--set", "width=8", "--set", "depth=1", "--set", "labels=denoiser"),
}


@pytest.mark.parametrize("name", GENERATORS_OF_TABLES)
@pytest.mark.parametrize("how", ["cut", "header", "empty", "other keys", "other shapes"])
def test_broken_weights_of_a_generator_are_one_clear_error(
    name: str,
    how: str,
    given: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    options = ("--generator", name, "--r", 0.5, *GENERATORS_OF_TABLES[name], "--out", tmp_path / "g")
    assert call(codsa_train_gen, *given, *options).code == 0
    (path,) = (tmp_path / "g").glob("*.safetensors")
    tensors = dict(load_tensors(path, "numpy"))
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif how == "header":
        path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "other keys":
        save_file({"x": np.zeros(3)}, path)
    else:
        shaped = {k: v if k.endswith("facts") else np.zeros((2, 3), dtype=v.dtype) for k, v in tensors.items()}
        save_file(shaped, path)
    manifest = read_json(tmp_path / "g" / "manifest.json")
    manifest["outputs"][path.name] = file_digest(path)  # a stranger's manifest agrees with his files
    write_json(tmp_path / "g" / "manifest.json", manifest)
    assert refused(call(codsa_sample, "--generator", tmp_path / "g", "--rows", 5, "--out", tmp_path / "pool"), "/g")


def test_estimator_records_round_trip() -> None:
    layout, _ = table("classification")
    assert EstimatorRecord(EstimatorSpec(name="mlp"), layout) == EstimatorRecord(
        EstimatorSpec(**EstimatorSpec(name="mlp").model_dump()), FeatureLayout(**asdict(layout))
    )


# ---------------------------------------------------------------- models of texts and images, and of the hub

STRANGE = [
    "os.system",
    "modeling_x.Thing",
    "sentence_transformers.util.misc.import_from_string",
    "sentence_transformers.base.modules.router.Router",
    "sentence_transformers.models.CLIPModel",
    "xsentence_transformers.models.Pooling",
]


def encoder_folder(folder: Path, kind: str, path: str = "") -> Path:
    folder.mkdir(parents=True)
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}]))
    (folder / "modeling_x.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Thing: pass\n")
    return folder


@pytest.mark.parametrize("kind", STRANGE)
def test_an_encoder_s_folder_names_no_code(kind: str, tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "e", kind)
    with pytest.raises(CodsaError, match=re.escape(f"modules.json names {kind}")):
        _ = SentenceEncoder(str(folder)).model
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("path", ["../outside", "/etc"])
def test_an_encoder_s_parts_lie_in_its_folder(path: str, tmp_path: Path) -> None:
    folder = encoder_folder(tmp_path / "e", "sentence_transformers.models.Pooling", path)
    with pytest.raises(CodsaError, match="outside the folder"):
        _ = SentenceEncoder(str(folder)).model


class Pickled:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def real_encoder(folder: Path) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bert = folder / "bert"
    config = BertConfig(vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(bert)
    (bert / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]))
    BertTokenizerFast(vocab_file=str(bert / "vocab.txt")).save_pretrained(bert)
    parts = [Transformer(str(bert)), Pooling(16), Dense(16, 4)]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder / "st"))
    return folder / "st"


def test_an_encoder_of_todays_library_is_read_and_pickles_in_it_run_nothing(tmp_path: Path) -> None:
    folder = real_encoder(tmp_path)
    assert SentenceEncoder(str(folder), "no").encode(["a b"]).shape == (1, 4)
    for weights in [*folder.rglob("*.safetensors")]:
        copy = shutil.copytree(folder, tmp_path / f"copy-{weights.parent.name}")
        here = copy / weights.relative_to(folder)
        here.unlink()
        torch.save({"x": Pickled(tmp_path / "ran")}, here.with_name("pytorch_model.bin"))
        with pytest.raises(CodsaError, match="cannot be loaded as a sentence encoder"):
            _ = SentenceEncoder(str(copy)).model
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pipeline(tmp_path_factory.mktemp("pipelines") / "base")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("_class_name", ["pipeline", "Mine"], "not a StableDiffusionPipeline"),
        ("_class_name", "DDPMPipeline", "a DDPMPipeline, not a StableDiffusionPipeline"),
        ("unet", ["modeling_x", "Mine"], "its part 'unet' is"),
        ("unet", ["os", "system"], "its part 'unet' is"),
        ("text_encoder", ["transformers", "AutoModel"], "its part 'text_encoder' is"),
        ("another", ["transformers", "CLIPTextModel"], "its part 'another' is"),
        ("scheduler", ["diffusers", 3], "its part 'scheduler' is"),
    ],
)
def test_a_pipeline_names_no_code(key: str, value: Any, message: str, base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    index = read_json(folder / "model_index.json")
    (folder / "model_index.json").write_text(json.dumps({**index, key: value}))
    for place in (folder, folder / "unet"):
        (place / "pipeline.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
        shutil.copy(place / "pipeline.py", place / "modeling_x.py")
    with pytest.raises(CodsaError, match=re.escape(message)):
        load_pipeline(str(folder))
    assert not (tmp_path / "ran").exists()


def test_a_pipeline_of_pickles_is_not_loaded(base: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "base")
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.unlink()
    torch.save({"x": Pickled(tmp_path / "ran")}, folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(CodsaError, match="cannot be loaded as a Stable Diffusion pipeline"):
        load_pipeline(str(folder))
    assert not (tmp_path / "ran").exists()


COMMIT = "0123456789" * 4


def test_a_hub_name_has_a_revision() -> None:
    assert parted("owner/name") == ("owner/name", None)
    assert parted(f"owner/name@{COMMIT}") == ("owner/name", COMMIT)
    assert parted("owner/name@") == ("owner/name@", None)


@pytest.mark.parametrize("revision", [None, "v1.0", COMMIT])
def test_the_revision_goes_to_the_hub_and_one_that_is_not_pinned_is_told(
    revision: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Any] = []
    snapshot = tmp_path / COMMIT

    def fetch(name: str, revision: str | None = None) -> str:
        asked.append((name, revision))
        snapshot.mkdir(exist_ok=True)
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    place = "owner/name" + (f"@{revision}" if revision else "")
    with caplog.at_level(logging.WARNING):
        assert model_folder(place, "config.json") == snapshot
    assert asked == [("owner/name", revision)]
    assert (f"to pin it write owner/name@{COMMIT}" in caplog.text) == (revision is None)


def test_the_revision_of_a_pipeline_goes_to_the_hub(
    base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from diffusers import StableDiffusionPipeline

    asked: list[Any] = []

    def fetch(name: str, **options: Any) -> str:
        asked.append((name, options))
        return str(base)

    monkeypatch.setattr(StableDiffusionPipeline, "download", fetch)
    with caplog.at_level(logging.WARNING):
        load_pipeline(f"owner/name@{COMMIT}")
        assert "to pin it" not in caplog.text
        load_pipeline("owner/name")
    assert asked[0] == ("owner/name", {"revision": COMMIT, "use_safetensors": True, "trust_remote_code": False})
    assert asked[1][1]["revision"] is None and "owner/name@COMMIT" in caplog.text
