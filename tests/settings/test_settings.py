"""What a setting may be: each is typed, a wrong value is one clear line, and so is a name that is no class."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import call
from pydantic import ValidationError
from test_bad_input import given, refused, study  # noqa: F401

from codsa.cli.fit import main as codsa_fit
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.encoders.scaling import NAMES
from codsa.errors import CodsaError
from codsa.estimators.base import FeatureLayout, check_spec, estimator_kind
from codsa.generators.base import generator_class, make
from codsa.generators.texts.inverting import GIVEN
from codsa.generators.texts.training import train_inverter
from codsa.nn.autoencoder import pretrain
from codsa.settings.arguments import admits, describe
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.limits import MOST_BATCH
from codsa.settings.registry import ESTIMATORS, GENERATORS, METHODS, check_settings, load, locate
from codsa.settings.types import Scaling
from codsa.workflow.config import Experiment
from codsa.workflow.study import Study

IMAGES = FeatureLayout("classification", 2, list(range(48)), [], 8, [4, 4, 3])
NETWORKS = {
    "autoencoder": FeatureLayout("detection", 0, list(range(48)), [], 8, [4, 4, 3]),
    "cnn": IMAGES,
    "local-outliers": FeatureLayout("detection", 0, list(range(48)), [], 8, [4, 4, 3]),
    "mlp": FeatureLayout("classification", 2, [0, 1], [], 8),
}


def settings_of(name: str) -> dict[str, inspect.Parameter]:
    call = load("generator", name, GENERATORS)
    core = getattr(call, "core", None)
    inner = dict(inspect.signature(core, eval_str=True).parameters) if core else {}
    return {k: p for k, p in {**inner, **inspect.signature(call, eval_str=True).parameters}.items() if k != "settings"}


EVERY = [(name, key) for name in sorted(GENERATORS) for key in settings_of(name)]


@pytest.mark.parametrize(("name", "key"), EVERY)
def test_a_setting_says_what_it_takes_and_takes_nothing_else(name: str, key: str) -> None:
    parameter = settings_of(name)[key]
    kind = parameter.annotation
    assert kind is not parameter.empty, "every setting of a registered generator is annotated"
    if parameter.default is not parameter.empty:
        assert admits(kind, parameter.default)
    wrong: list[Any] = [{"a": [1]}, [[1]], math.nan if "number" in describe(kind) else 3.5]
    if "number" in describe(kind) and not describe(kind).startswith("a list"):
        wrong += ["abc", True, [1], math.inf, -1, *([] if "null" in describe(kind) else [None])]
    if "whole number" in describe(kind):
        wrong += [1.5, 1e9, 1e300]
    if describe(kind).startswith("one of"):
        wrong += ["nothing of the kind", 1, True, None]
    for value in wrong:
        with pytest.raises(CodsaError, match=f"^generator '{name}': {key} = .*: should be "):
            generator_class(name, {key: value})(**({"source": "x"} if name == "restyled" else {}), **{key: value})


def test_the_names_of_scalings_are_those_that_there_are() -> None:
    assert set(get_args(Scaling)) == set(NAMES)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": "abc"}, "generator 'tabular-diffusion': steps = 'abc': should be a whole number of at least 1"),
        ({"batch": 1e9}, f"batch = 1000000000.0: should be a whole number between 1 and {MOST_BATCH}"),
        ({"batch": MOST_BATCH + 1}, f"should be a whole number between 1 and {MOST_BATCH}"),
        ({"learning_rate": 0}, "learning_rate = 0: should be a finite number above 0"),
        ({"labels": "ensembel"}, "should be one of 'ensemble', 'denoiser'; did you mean 'ensemble'?"),
        ({"stps": 3}, "has no setting 'stps'; did you mean 'steps'?"),
        ({"self": 3}, "has no setting 'self'"),
    ],
)
def test_the_error_names_setting_value_and_what_it_should_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CodsaError) as refusal:
        make("tabular-diffusion", settings)
    assert message in str(refusal.value)


def test_right_values_are_taken_as_they_are() -> None:
    made: Any = make("tabular-diffusion", {"steps": np.int64(5), "learning_rate": 1, "precision": False, "holdout": 0})
    assert made.recipe.steps == 5 and made.holdout == 0


@pytest.mark.parametrize("value", ["abc", ".nan", "null", "[1]", "1.5", "true", "1e9", "NaN", "Infinity"])
def test_the_command_refuses_it_before_any_work(value: str, given: Any, tmp_path: Path) -> None:  # noqa: F811
    options = ("--set", f"steps={value}", "--out", tmp_path / "out")
    words = ("is not a number",) if value.lower() in (".nan", "nan") else ("tabular-diffusion", "a whole number")
    assert refused(call(codsa_train_gen, *given, *options), *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gradient-boosting", {"max_iter": "abc"}, "max_iter = 'abc': should be an int in the range"),
        ("gradient-boosting", {"max_iter": True}, "max_iter = True: should be a number"),
        ("gradient-boosting", {"learning_rate": math.nan}, "learning_rate = nan: should be a number"),
        ("random-forest", {"n_estimators": 1.5}, "n_estimators = 1.5: should be an int in the range"),
        ("random-forest", {"criterion": "ginni"}, "criterion = 'ginni': should be"),
        ("logistic", {"max_iter": None}, "max_iter = None: should be an int"),
        ("logistic", {"C": [1.0, math.nan]}, "give numbers above 0"),
        ("logistic", {"C": [1.0], "solver": "x"}, "solver = 'x': should be"),
        ("tfidf-logistic", {"min_df": 1.5}, "min_df = 1.5: should be a whole number"),
        ("tfidf-logistic", {"stop_words": "klingon"}, "should be 'english' or a list, each entry a text or null"),
        ("sklearn.svm:SVC", {"C": "abc"}, "estimator 'sklearn.svm:SVC': C = 'abc': should be a float in the range"),
    ],
)
def test_wrong_settings_of_estimators_are_named(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CodsaError) as refusal:
        check_spec(EstimatorSpec(name=name, settings=settings), "classification")
    assert message in str(refusal.value)


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("value", ["abc", True, 1.5, math.nan, -1, [None], {"a": 1}])
def test_wrong_settings_of_networks_are_named(name: str, value: Any) -> None:
    for key in {"local-outliers": ("neighbours", "cells")}.get(name, ("hidden", "batch", "epochs", "patience")):
        with pytest.raises(CodsaError, match=f"^estimator '{name}': {key} = .*: should be "):
            estimator_kind(EstimatorSpec(name=name)).build(NETWORKS[name], 0, {key: value})
    with pytest.raises(CodsaError, match="has no setting 'layout'"):
        estimator_kind(EstimatorSpec(name=name)).build(NETWORKS[name], 0, {"layout": 1})


@pytest.mark.parametrize("value", ["abc", True, 1.5, math.nan, -1])
def test_what_is_pretrained_has_typed_settings(value: Any) -> None:
    for kind, function, filled in (
        ("autoencoder", pretrain, ("rows", "schema", "stream", "folder", "work")),
        ("inverter", train_inverter, GIVEN),
    ):
        for key in ("width", "steps", "batch"):
            with pytest.raises(CodsaError, match=f"{key} = .*: should be a whole number"):
                check_settings("pretrained", kind, function, {key: value}, filled)
        with pytest.raises(CodsaError, match="has no setting 'folder'"):
            check_settings("pretrained", kind, function, {"folder": "x"}, filled)


NO_CLASSES = [
    ("os:system", "is no class but a builtin_function_or_method"),
    ("builtins:dict", "lacks the method fit"),
    ("../x:y", "write it as module:Class"),
    ("x:", "write it as module:Class"),
    (":y", "write it as module:Class"),
    ("a.b:c.d", "write it as module:Class"),
    ("os.path:join.__globals__", "write it as module:Class"),
    ("a b:c", "write it as module:Class"),
    ("nowhere.at.all:Thing", "cannot be imported (ModuleNotFoundError"),
    ("sklearn.svm:Svc", "cannot be imported (AttributeError"),
    ("smoote", "did you mean"),
]


@pytest.mark.parametrize(("name", "message"), NO_CLASSES)
def test_a_name_that_is_no_class_is_refused(
    name: str,
    message: str,
    given: Any,  # noqa: F811
    tmp_path: Path,
) -> None:
    ended = call(codsa_train_gen, *given, "--generator", name, "--out", tmp_path / "g")
    assert refused(ended, f"generator '{name}'", message)
    if name != "smoote":
        ended = call(codsa_fit, *given, "--reserve", "all", "--estimator", name, "--out", tmp_path / "f")
        assert refused(ended, f"'{name}'", message)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize("left_out", ["fit", "sample", "save", "load"])
def test_the_lacking_method_of_a_generator_is_named(
    left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = "".join(f"    def {m}(self, *a): ...\n" for (m,) in METHODS["generator"] if m != left_out)
    (tmp_path / f"own_{left_out}.py").write_text(
        f"from codsa.generators import Generator\nclass Own(Generator):\n{methods}"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CodsaError, match=f"lacks the method {left_out}"):
        make(f"own_{left_out}:Own", {})


def test_a_class_of_the_users_own_is_checked_by_its_annotations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "annotated.py").write_text(
        "class Own:\n    def __init__(self, depth: int, pair: tuple[float, float] = (0.0, 1.0), free=None): ...\n"
        "    def fit(self, x, y): ...\n    def predict(self, x): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    build, layout = estimator_kind(EstimatorSpec(name="annotated:Own")).build, NETWORKS["mlp"]
    build(layout, 0, {"depth": 3, "pair": [0.5, 2], "free": {"any": "thing"}})
    for settings in ({"depth": 1.5}, {"depth": 3, "pair": [1]}):
        with pytest.raises(CodsaError, match="should be"):
            build(layout, 0, settings)


def experiment(**said: Any) -> Experiment:
    base = {"name": "toy", "data": {"path": "x.csv", "target": "y"}, "methods": ["none", "smote"]}
    return Experiment.model_validate({**base, **said})


def test_wrong_settings_of_light_kinds_are_found_before_the_first_job() -> None:
    Study("toy", experiment(generators={"smote": {"k_neighbors": 3}})).checked()
    with pytest.raises(CodsaError, match="k_neighbors = 'abc'"):
        Study("toy", experiment(generators={"smote": {"k_neighbors": "abc"}})).checked()
    with pytest.raises(CodsaError, match="max_iter = 'abc'"):
        Study("toy", experiment(estimator={"name": "gradient-boosting", "settings": {"max_iter": "abc"}})).checked()
    with pytest.raises(ValidationError, match="write it as module:Class"):
        experiment(estimator={"name": "../x:y"})


def test_registered_names_are_located() -> None:
    for name, place in {**GENERATORS, **ESTIMATORS}.items():
        assert locate("x", name, {name: place}) == place
