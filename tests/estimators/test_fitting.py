"""Averages over seeds, settings that validation chooses, the budget of a fit, and the weights it is true to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codsa.errors import CodsaError
from codsa.estimators import Average, Fitted, WeightedRows, average_predictors, fit_all
from codsa.estimators.base import FeatureLayout, check_spec
from codsa.estimators.fitting import effective_rows
from codsa.estimators.store import load_fitted, save_fitted
from codsa.estimators.temperature import best_temperature, columns_of
from codsa.io.records import read_json
from codsa.io.seeds import stream
from codsa.settings.estimator import EstimatorSpec

LAYOUT = FeatureLayout("classification", 2, [0, 1, 2], [], 200)
MLP = {"hidden": [8], "epochs": 4, "batch": 50}
SMALL, LARGE = {"max_iter": 2}, {"max_iter": 40}


def problem(n: int, seed: int, noise: float = 0.0) -> WeightedRows:
    """Two classes that the first feature tells apart, some of them exchanged."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3))
    y = (x[:, 0] > 0).astype(np.int64)
    return WeightedRows(x, np.where(random.random(n) < noise, 1 - y, y), np.ones(n))


TRAIN, VALIDATION = problem(200, 0), problem(150, 1)


def fit(
    spec: EstimatorSpec, *sets: WeightedRows, check: WeightedRows = VALIDATION, layout: FeatureLayout = LAYOUT
) -> Any:
    return fit_all(spec, list(sets or (TRAIN,)), check, layout, stream(0, "fit"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_first_of_an_average_is_the_fit_without_one_byte_by_byte(tmp_path: Path) -> None:
    one = EstimatorSpec(name="mlp", settings=MLP)
    several = one.model_copy(update={"average": 3})
    (alone,), (average,) = fit(one), fit(several)
    assert isinstance(alone, Fitted) and isinstance(average, Average) and average.count == 3
    save_fitted(tmp_path / "alone", alone, one)
    save_fitted(tmp_path / "average", average, several)
    assert files_of(tmp_path / "average" / "member~0") == files_of(tmp_path / "alone")
    predictions = [member.predict(TRAIN.x) for member in average.members]
    assert not np.array_equal(predictions[0], predictions[1]) and not np.array_equal(predictions[1], predictions[2])
    np.testing.assert_allclose(average.predict(TRAIN.x), np.mean(predictions, axis=0))


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("logistic", {}, 1),
        ("gradient-boosting", {"max_iter": 3}, 1),
        ("gradient-boosting", {"max_iter": 3, "max_features": 0.5}, 3),
        ("gradient-boosting", {"max_iter": 3, "early_stopping": True}, 3),
        ("random-forest", {"n_estimators": 3}, 3),
        ("random-forest", {"n_estimators": 3, "random_state": 5}, 1),
        ("sklearn.naive_bayes:GaussianNB", {}, 1),
        ("sklearn.ensemble:ExtraTreesClassifier", {"n_estimators": 3}, 3),
    ],
)
def test_what_depends_on_no_seed_is_fitted_once(name: str, settings: dict[str, Any], count: int) -> None:
    (fitted,) = fit(EstimatorSpec(name=name, settings=settings, average=3), problem(400, 6, noise=0.3))
    members = fitted.members if isinstance(fitted, Average) else [fitted]
    predictions = {member.predict(VALIDATION.x).tobytes() for member in members}
    assert len(members) == len(predictions) == fitted.count == count


def test_each_training_set_takes_the_settings_that_validation_rows_prefer(tmp_path: Path) -> None:
    clear, noise = TRAIN, problem(200, 2, noise=0.5)
    spec = EstimatorSpec(name="gradient-boosting", settings={"min_samples_leaf": 5}, search=[SMALL, LARGE])
    fitted = fit(spec, clear, noise)
    assert [one.model.max_iter for one in fitted] == [40, 2]
    for one, tried in zip(fitted, (LARGE, SMALL), strict=True):
        settings = {"min_samples_leaf": 5, **tried}
        (direct,) = fit(EstimatorSpec(name=spec.name, settings=settings), clear if tried is LARGE else noise)
        assert np.array_equal(one.predict(VALIDATION.x), direct.predict(VALIDATION.x))
    save_fitted(tmp_path / "kept", fitted[0], spec)
    kept = read_json(tmp_path / "kept" / "estimator.json")["estimator"]
    assert kept["settings"] == {"min_samples_leaf": 5, **LARGE} and kept["search"] == []


def test_training_rows_alone_do_not_choose() -> None:
    """Settings that fit training rows best, noise and all, are not taken."""
    noisy = problem(200, 3, noise=0.3)
    spec = EstimatorSpec(
        name="gradient-boosting",
        settings={"min_samples_leaf": 1},
        search=[{"max_iter": 300}, {"max_iter": 20, "max_leaf_nodes": 2}],
    )
    assert fit(spec, noisy)[0].model.max_iter == 20
    assert fit(spec, noisy, check=noisy)[0].model.max_iter == 300


def test_of_equal_alternatives_the_first_is_taken() -> None:
    spec = EstimatorSpec(name="gradient-boosting", search=[{**SMALL, "verbose": 0}, {**SMALL, "tol": 1e-6}])
    assert fit(spec)[0].model.tol != 1e-6


def test_overconfidence_alone_decides_no_search() -> None:
    """A sure and a hesitant model that rank rows alike are as good: a temperature makes them equal."""
    y = np.array([0, 1, 1, 0, 1, 1])
    mild = np.array([0.4, 0.6, 0.7, 0.55, 0.6, 0.3])
    odds = (mild / (1 - mild)) ** 3
    losses = [best_temperature(np.column_stack([1 - p, p]), y, np.ones(6)) for p in (mild, odds / (1 + odds))]
    assert losses[0][1] == pytest.approx(losses[1][1], abs=1e-6)
    assert losses[0][0] == pytest.approx(3 * losses[1][0], rel=1e-2)


def test_rows_of_a_class_that_was_never_met_are_left_out_of_the_temperature() -> None:
    assert columns_of(np.array([0, 2, 5, 7]), np.array([2, 7])).tolist() == [-1, 0, -1, 1]
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]])
    both = best_temperature(probabilities[:2], np.array([0, 1]), np.ones(2))
    assert best_temperature(probabilities, np.array([0, 1, -1]), np.ones(3)) == both
    assert best_temperature(probabilities, np.full(3, -1), np.ones(3)) == (1.0, np.inf)


def test_a_search_for_a_number_takes_the_least_squared_error() -> None:
    layout = replace(LAYOUT, task="regression", classes=0)
    rows, check = (replace(part, y=3 * part.x[:, 0] + part.x[:, 1]) for part in (TRAIN, VALIDATION))
    spec = EstimatorSpec(name="logistic", search=[{"alpha": 1e6}, {"alpha": 0.1}])
    assert fit(spec, rows, check=check, layout=layout)[0].model.alpha == 0.1


def test_the_seeds_of_the_alternative_that_won_are_averaged() -> None:
    spec = EstimatorSpec(name="random-forest", search=[{"n_estimators": 1}, {"n_estimators": 20}], average=2)
    (average,) = fit(spec, problem(200, 4, noise=0.2))
    assert [len(member.model.estimators_) for member in average.members] == [20, 20]


def test_a_search_of_a_table_with_a_column_of_the_domain() -> None:
    layout = LAYOUT.with_domain()
    rows = TRAIN.with_domain(np.arange(200) >= 100)
    spec = EstimatorSpec(name="gradient-boosting", search=[SMALL, LARGE])
    (fitted,) = fit(spec, rows, check=VALIDATION.with_domain(), layout=layout)
    assert fitted.predict(VALIDATION.x).shape == (150, 2)


def test_every_alternative_is_checked() -> None:
    spec = EstimatorSpec(name="gradient-boosting", search=[SMALL, {"max_itre": 3}])
    with pytest.raises(CodsaError, match="no setting 'max_itre'; did you mean 'max_iter'"):
        check_spec(spec)
    with pytest.raises(CodsaError, match="search chooses by the loss of a target"):
        check_spec(EstimatorSpec(name="local-outliers", search=[{"neighbours": 3}]), "detection")


@pytest.mark.parametrize(
    ("name", "settings", "steps", "count"),
    [
        ("mlp", MLP, [16, 16], 1),
        ("mlp", {**MLP, "budget": "epochs"}, [16, 32], 1),
        ("gradient-boosting", {"max_iter": 7}, [7, 7], 1),
        ("random-forest", {"n_estimators": 6}, [6, 6], 1),
        ("logistic", {}, [None, None], 1),
        ("balanced-forest", {"n_estimators": 6}, [6, 6], 1),
        ("balanced-boosting", {"n_estimators": 2, "max_iter": 3}, [3, 3], 2),
    ],
)
def test_a_fit_says_what_it_was_allowed(
    name: str, settings: dict[str, Any], steps: list[int | None], count: int, tmp_path: Path
) -> None:
    spec = EstimatorSpec(name=name, settings=settings)
    fitted = fit(spec, TRAIN, problem(400, 5))
    assert [one.steps for one in fitted] == steps and [one.count for one in fitted] == [count, count]
    save_fitted(tmp_path / "kept", average_predictors(fitted), spec)
    kept = load_fitted(tmp_path / "kept")
    assert kept.steps == max((s for s in steps if s is not None), default=None) and kept.count == 2 * count


def test_the_average_of_averages_is_one_of_all_members(tmp_path: Path) -> None:
    spec = EstimatorSpec(name="logistic")
    parts = [WeightedRows(TRAIN.x[i::13], TRAIN.y[i::13], TRAIN.weight[i::13]) for i in range(13)]
    fitted = fit(spec, *parts)
    average = average_predictors([average_predictors(fitted[:6]), average_predictors(fitted[6:])])
    assert isinstance(average, Average) and average.members == fitted
    save_fitted(tmp_path / "kept", average, spec)
    kept = load_fitted(tmp_path / "kept")
    assert isinstance(kept, Average)  # read in order, the tenth after the second
    for one, other in zip(kept.members, fitted, strict=True):
        assert np.array_equal(one.predict(TRAIN.x), other.predict(TRAIN.x))


def test_a_training_set_of_one_class_predicts_it() -> None:
    rows = replace(TRAIN, y=np.ones(200, dtype=np.int64))
    for name in ("gradient-boosting", "random-forest"):
        assert fit(EstimatorSpec(name=name), rows)[0].predict(VALIDATION.x)[:, 1].min() == 1.0


STUMPS = {"max_iter": 20, "max_leaf_nodes": 2}
SKEWED = WeightedRows(TRAIN.x[:5], np.array([0, 0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 1.0, 2.0]))


@pytest.mark.parametrize(
    ("name", "settings", "ratio"),
    [
        ("gradient-boosting", {}, 2 / 4),
        ("logistic", {"class_weight": "balanced"}, 1.0),
        ("gradient-boosting", {"class_weight": "balanced"}, 2.0),
        ("balanced-forest", {}, 2.0),
        ("balanced-boosting", {}, 2.0),
        ("tfidf-logistic", {}, 1.0),
        ("tfidf-logistic", {"class_weight": None}, 2 / 4),
    ],
)
def test_the_weights_that_probabilities_are_true_to(name: str, settings: dict[str, Any], ratio: float) -> None:
    weight = effective_rows(EstimatorSpec(name=name, settings=settings), SKEWED).weight
    assert weight[4] / weight[:4].sum() == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gradient-boosting", {"class_weight": "balanced", **STUMPS}),
        ("logistic", {"class_weight": "balanced"}),
        ("balanced-boosting", STUMPS),
        ("balanced-forest", {"min_samples_leaf": 20}),
        ("logistic", {}),
    ],
)
@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_mean_probabilities_have_the_shares_of_these_weights(
    name: str, settings: dict[str, Any], weight: float
) -> None:
    """Where features say nothing, rows are given the classes' effective shares, by small models at least."""
    random = np.random.default_rng(0)
    y = (np.arange(1500) % 5 == 0).astype(np.int64)
    rows = WeightedRows(random.normal(size=(1500, 3)), y, np.where(y == 1, weight, 1.0))
    spec = EstimatorSpec(name=name, settings=settings)
    effective = effective_rows(spec, rows).weight
    predicted = fit(spec, rows, layout=replace(LAYOUT, steps_rows=1500))[0].predict(random.normal(size=(2000, 3)))
    assert predicted[:, 1].mean() == pytest.approx(effective[y == 1].sum() / effective.sum(), abs=0.06)


def test_a_balanced_forest_rules_no_class_out() -> None:
    fitted = fit(EstimatorSpec(name="balanced-forest", settings={"n_estimators": 5}))[0]
    assert fitted.predict(VALIDATION.x).min() == pytest.approx(1 / 7)
