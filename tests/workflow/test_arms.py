"""The arms of a study: the controls that it has unless it says otherwise, and what choosing arms choose from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codsa.errors import CodsaError
from codsa.workflow.arms import kind_of, rank_of
from codsa.workflow.config import Experiment
from codsa.workflow.study import Study

TABLE: dict[str, Any] = {
    "name": "toy",
    "data": {"path": "x.csv"},
    "regions": {"by": "class"},
    "methods": ["codsa-reuse"],
}
SOURCE = {"simulation": {"name": "imbalanced-classification"}}


def study(**changes: Any) -> Study:
    return Study("toy", Experiment.model_validate({**TABLE, **changes}))


def test_a_study_of_a_table_has_controls_and_the_primary_arm() -> None:
    made = study()
    controls = {"none", "weighted", "bootstrap", "smote", "relabelled", "smote-labelled", "label-model"}
    controls |= {"balanced-forest", "balanced-boosting"}
    assert set(made.methods) == {"codsa-reuse", "codsa-denoiser", "control-auto", "codsa-auto", *controls}
    assert made.primary == "codsa-auto"
    assert set(made.candidates("control-auto")) == controls
    assert set(made.candidates("codsa-auto")) == {"codsa-reuse", "codsa-denoiser", *controls}
    assert [name for name, method in made.methods.items() if kind_of(method, made.primary) == "primary"] == [
        "codsa-auto"
    ]


def test_a_source_set_brings_the_ways_to_add_its_rows() -> None:
    made = study(source=SOURCE, data=SOURCE, methods=["codsa-finetune", "oracle"])
    assert {"source-rows", "source-domain", "source-weighted", "source-ratio"} <= set(made.candidates("control-auto"))
    assert "oracle" not in made.candidates("codsa-auto")
    assert "--domain" in made.fit(0, "source-domain", "1.0")
    weights = made.fit(0, "source-weighted", "1.0")
    assert [weights[k + 1] for k, word in enumerate(weights) if word == "--pool-weight"] == [
        "0.03",
        "0.1",
        "0.3",
        "1.0",
    ]
    shared = {made.generator_of(made.methods[name]) for name in ("source-rows", "source-domain", "source-weighted")}
    assert len(shared) == 1  # one pool for all three


@pytest.mark.parametrize(
    ("changes", "present", "absent"),
    [
        ({"controls": []}, set(), {"none", "weighted", "control-auto", "codsa-auto"}),
        ({"controls": ["weighted"]}, {"weighted"}, {"none", "smote", "control-auto"}),
        (
            {"regions": {"by": "quantile"}, "data": {"path": "x.csv", "task": "regression"}},
            {"label-model"},
            {"balanced-forest"},
        ),
        (
            {"data": {"path": "x.csv", "task": "detection"}, "estimator": {"name": "autoencoder"}},
            {"none"},
            {"weighted", "smote"},
        ),
        ({"methods": ["smote"]}, {"control-auto"}, {"codsa-auto", "codsa-denoiser"}),
    ],
)
def test_controls_follow_the_data_and_what_the_experiment_says(
    changes: dict[str, Any], present: set[str], absent: set[str]
) -> None:
    methods = set(study(**changes).methods)
    assert present <= methods
    assert not absent & methods


def test_the_primary_arm_is_one_of_the_methods() -> None:
    assert study(primary="codsa-reuse").primary == "codsa-reuse"
    with pytest.raises(CodsaError, match="primary: no method 'codsa-resue'; did you mean 'codsa-reuse'"):
        study(primary="codsa-resue")


def test_simpler_methods_have_lower_ranks() -> None:
    methods = study(methods=["none", "weighted", "smote", "gaussian", "codsa"]).methods
    assert [rank_of(methods[name]) for name in ("none", "weighted", "label-model", "smote", "gaussian", "codsa")] == [
        *(0, 1, 2, 2, 2, 3)
    ]


def test_an_evaluation_says_what_the_method_is_and_how_simple_its_candidates_are() -> None:
    made = study(controls=["none", "smote"])
    asked = json.loads(made.evaluation("codsa-reuse", fits=["a", "b"], out="c"))
    assert (asked["kind"], asked["source"], asked["ranks"]) == ("codsa", False, [0, 3])
    assert asked["estimators"] == ["gradient-boosting", "perceptrons"]
    assert json.loads(made.evaluation("smote", fits=["a", "b"], out="c"))["kind"] == "control"


def test_every_arm_averages_as_many_fits_as_a_bagged_one() -> None:
    assert {spec.average for spec in study(methods=["codsa-bagged"]).estimators.values()} == {5}
    assert study().estimators["gradient-boosting"].average == 1


def test_a_method_may_have_an_estimator_of_its_own() -> None:
    made = study()
    options = made.fit(0, "label-model", "1.0")
    assert options[options.index("--estimator") + 1] == "label-model"
    assert "--further" not in options
    assert sum(word == "--further" for word in made.fit(0, "none", "1.0")) == 1


def test_two_estimators_of_one_label_are_refused() -> None:
    with pytest.raises(CodsaError, match="'gradient-boosting' is the label of the study's own estimator"):
        study(further_estimators={"gradient-boosting": {"name": "logistic"}}).checked()


def test_a_pool_is_asked_for_where_its_rows_are_weighed() -> None:
    with pytest.raises(CodsaError, match="domain and pool_weight are about a pool; give generator"):
        study(methods=[{"name": "mine", "reserve": "all", "pool_weight": [0.5]}])
