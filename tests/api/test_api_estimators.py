"""CoDSAClassifier and CoDSARegressor: the choice of λ, folds that do not leak, and folders without pickle."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from codsa import CoDSAClassifier, CoDSARegressor

CHEAP = {"generator": "gaussian", "r": [0.5, 0.8], "m": [1.0], "random_state": 0}


@pytest.fixture
def numbers() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = (np.arange(160) % 8 == 0).astype(int)
    return random.normal(size=(160, 3)) + 1.5 * y[:, None], y


@pytest.fixture
def mixed(numbers) -> tuple[pd.DataFrame, np.ndarray]:
    X, y = numbers
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(site=np.where(np.arange(160) % 3 == 0, "u", "v"))
    return table, np.where(y == 1, "ill", "well")


def content(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_adding_nothing_is_tried_first_and_every_point_is_in_the_results(numbers):
    model = CoDSAClassifier(LogisticRegression(), **CHEAP).fit(*numbers)
    results = model.cv_results_
    assert [p["m"] for p in results["params"]] == [0.0, 0.0, 1.0, 1.0]
    assert [p["r"] for p in results["params"]] == [None, None, 0.5, 0.8]
    assert [p["weights"] for p in results["params"]] == [False, True, False, False]
    assert results["synthetic_rows"].tolist()[0] == 0 and results["real_rows"][0] == 128
    np.testing.assert_allclose(results["mean_test_score"], -results["cross-entropy"])
    assert model.best_params_ == results["params"][model.best_index_]


def test_nothing_is_added_where_it_does_not_help():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    y = np.exp(X[:, 0]) * 3 + X[:, 1]
    model = CoDSARegressor("random-forest", **{**CHEAP, "law": "training"}).fit(X, y)
    assert model.best_params_ == {"r": None, "m": 0.0, "alpha": None, "rows": {}, "weights": False}
    assert model.verdict_.startswith("Nothing is added: nothing is better") and model.generator_ is None


def test_rows_are_added_where_they_help_and_the_verdict_says_so(numbers):
    tree = DecisionTreeClassifier(min_samples_leaf=5)  # rows are normal given the class, as the generator is
    model = CoDSAClassifier(tree, **CHEAP).fit(*numbers)
    values = model.cv_results_["cross-entropy"]
    error = model.cv_results_["std_test_score"][model.best_index_]
    assert model.best_index_ and values[0] - values[model.best_index_] > error
    assert model.verdict_.startswith("Synthetic rows are added: 128 rows of gaussian") and "held out" in model.verdict_
    assert f"{values[0]:.4g}" in model.verdict_ and "better than weights" in model.verdict_
    assert sum(model.best_params_["rows"].values()) == model.cv_results_["synthetic_rows"][model.best_index_]


def test_any_pipeline_of_the_users_gets_the_columns_as_they_are(mixed):
    X, y = mixed
    encode = make_column_transformer((OneHotEncoder(), ["site"]), (StandardScaler(), ["a", "b", "c"]))
    model = CoDSAClassifier(make_pipeline(encode, LogisticRegression()), **CHEAP).fit(X, y)
    assert model.classes_.tolist() == ["ill", "well"] and model.feature_names_in_.tolist() == ["a", "b", "c", "site"]
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert (model.predict(X) == model.classes_[proba.argmax(axis=1)]).all()
    assert model.score(X, y) > 0.6


def test_registered_estimators_take_categories_missing_values_and_unseen_levels(mixed):
    X, y = mixed
    X.loc[::7, "a"] = np.nan
    model = CoDSAClassifier("logistic", regions="site", law={"u": 0.7, "v": 0.3}, **CHEAP).fit(X, y)
    new = X.assign(site="w").iloc[:5]
    assert model.predict_proba(new).shape == (5, 2)
    assert set(model.best_params_["rows"]) <= {"u", "v"}


@pytest.mark.parametrize("estimator", ["logistic", LogisticRegression()])
def test_altered_held_out_rows_change_no_byte_of_what_is_fitted(tmp_path, numbers, estimator):
    X, y = numbers
    train, test = next(KFold(4, shuffle=True, random_state=0).split(X))
    altered, other = X.copy(), y.copy()
    altered[test], other[test] = 1e3, 1 - y[test]
    for name, (x, target) in {"one": (X, y), "two": (altered, other)}.items():
        model = CoDSAClassifier(estimator, **CHEAP)
        fitted = cross_validate(model, x, target, cv=[(train, test)], return_estimator=True, error_score="raise")
        fitted["estimator"][0].save(tmp_path / name)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_cross_validation_fits_each_fold_from_its_own_rows(numbers):
    X, y = numbers
    seen: list[int] = []

    class Watched(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(len(set(map(bytes, X)) & held))
            return super().fit(X, y)

    cv = [(np.arange(80, 160), np.arange(80)), (np.arange(80, 160)[::-1], np.arange(80))]
    held = set(map(bytes, X[:80]))
    scores = cross_val_score(CoDSAClassifier(Watched(), **CHEAP), X, y, cv=cv, error_score="raise")
    assert len(scores) == 2 and len(seen) >= 6 and not any(seen)


def test_a_class_that_no_module_has_cannot_be_saved(tmp_path, numbers):
    class Local(LogisticRegression):
        pass

    model = CoDSAClassifier(Local(), **{**CHEAP, "r": 0.5}).fit(*numbers)
    with pytest.raises(ValueError, match="Local"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_grid_search_tries_its_parameters_and_those_of_the_estimator(numbers):
    grid = {"m": [0.5, 1.0], "estimator__C": [0.1, 1.0]}
    search = GridSearchCV(CoDSAClassifier(LogisticRegression(), **{**CHEAP, "r": 0.5}), grid, cv=2, error_score="raise")
    search.fit(*numbers)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all() and len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    "estimator", ["logistic", None, RandomForestClassifier(5), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_what_is_saved_predicts_the_same_after_loading(tmp_path, mixed, estimator):
    X, y = mixed
    X = X if estimator in ("logistic", None) else X[["a", "b", "c"]]
    model = CoDSAClassifier(estimator, recalibrate=True, **{**CHEAP, "r": 0.5}).fit(X, y)
    model.save(tmp_path / "model")
    loaded = CoDSAClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert (loaded.predict(X) == model.predict(X)).all()
    assert loaded.verdict_ == model.verdict_ and loaded.best_params_ == model.best_params_
    assert loaded.get_params()["generator"] == "gaussian" and loaded.feature_names_in_.tolist() == X.columns.tolist()
    with pytest.raises(ValueError, match=r"CoDSAClassifier\.load"):
        CoDSARegressor.load(tmp_path / "model")
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X.rename(columns={"a": "z"}))


def test_an_altered_folder_is_refused(tmp_path, numbers):
    model = CoDSAClassifier(LogisticRegression(), **CHEAP).fit(*numbers)
    model.save(tmp_path / "model")
    assert not list((tmp_path / "model").rglob("*.pkl"))
    path = tmp_path / "model" / "model.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "order": [1, 0]}))
    with pytest.raises(ValueError, match="differs from its manifest"):
        CoDSAClassifier.load(tmp_path / "model")


def test_a_regressor_predicts_values_and_keeps_its_rows_by_thirds_of_the_target(tmp_path):
    random = np.random.default_rng(0)
    X = random.normal(size=(150, 2))
    y = X @ [2.0, -1.0] + 0.1 * random.normal(size=150)
    model = CoDSARegressor(Ridge(), metric="rmse", **CHEAP).fit(X, y)
    assert model.score(X, y) > 0.9
    assert {key for key in model.cv_results_ if key.startswith("rmse: ")} == {
        "rmse: y 0–33 %",
        "rmse: y 33–67 %",
        "rmse: y 67–100 %",
    }
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(CoDSARegressor.load(tmp_path / "model").predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"estimator": Ridge()}, "no estimator for classification"),
        ({"estimator": "logistc"}, "logistic"),
        ({"metric": "mse"}, "mse"),
        ({"law": {"2": 1.0}}, "2"),
        ({"r": 1.5}, "1.5"),
    ],
)
def test_a_mistake_is_a_value_error_that_names_it(numbers, settings, message):
    with pytest.raises(ValueError, match=message):
        CoDSAClassifier(**{"estimator": LogisticRegression(), **CHEAP, **settings}).fit(*numbers)
