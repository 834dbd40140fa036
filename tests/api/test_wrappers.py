"""CoDSAClassifier and CoDSARegressor: scikit-learn's contract, the choice, no leak between folds, and files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from codsa import CoDSAClassifier, CoDSARegressor

FEW: dict[str, Any] = {"generator": "gaussian", "r": 0.5, "m": 1.0, "random_state": 0}
BARE = [
    CoDSAClassifier(LogisticRegression(), **FEW),
    CoDSARegressor(Ridge(), **FEW),
    CoDSAClassifier("logistic", **FEW),
]


@parametrize_with_checks(BARE)
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


def patients(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, a category, gaps, and a class of which 15 % are 'sick'."""
    random = np.random.default_rng(seed)
    sick = np.arange(n) % 20 < 3
    x = pd.DataFrame(
        {
            "score": random.normal(np.where(sick, 1.5, 0.0), 1.0),
            "site": pd.Categorical(random.choice(["north", "south", "west"], n)),
            "visits": random.poisson(3, n),
            "income": np.where(random.random(n) < 0.1, np.nan, random.lognormal(1, 1, n)),
        }
    )
    return x, np.where(sick, "sick", "well")


def pipeline() -> Any:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["site"]), (StandardScaler(), ["score", "visits"])
    )
    return make_pipeline(columns, LogisticRegression())


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_table_of_every_kind_needs_no_preparation(tmp_path: Path) -> None:
    x, y = patients()
    model = CoDSAClassifier(**{**FEW, "r": (0.5, 1.0), "m": (0, 1.0, 2.0)}).fit(x, y)
    results = pd.DataFrame(model.cv_results_)
    assert results["param_action"].tolist() == ["nothing", "weights", *["synthetic rows"] * 4]
    assert results["param_r"].tolist()[2:] == [0.5, 0.5, 1.0, 1.0] and results["synthetic_rows"].tolist()[2] == 160
    assert results["real_rows"].tolist() == [160, 160, 80, 80, 0, 0]
    assert model.best_params_ == model.cv_results_["params"][model.best_index_]
    assert model.best_score_ == results["validation_cross-entropy"][model.best_index_]
    assert len(model.validation_indices_) == 40 and model.law_ == {"sick": 0.5, "well": 0.5}
    assert model.verdict_.startswith("On 40 validation rows under the law Q, the recalibrated cross-entropy is")
    assert "only rows that fit never saw" in model.verdict_
    new = x[:5].assign(site="elsewhere", visits=2.5, income=1e9)
    assert np.allclose(model.predict_proba(new).sum(axis=1), 1) and set(model.predict(new)) <= {"sick", "well"}
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(x[["site", "score", "visits", "income"]])


def test_an_estimator_sees_the_table_as_it_is() -> None:
    seen: list[pd.DataFrame] = []

    class Watcher(ClassifierMixin, BaseEstimator):
        def fit(self, X: pd.DataFrame, y: np.ndarray) -> Watcher:
            seen.append(X)
            self.classes_ = np.unique(y)
            return self

        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return np.resize(self.classes_, len(X))

    x, y = patients()
    model = CoDSAClassifier(Watcher(), **FEW).fit(x, y)
    assert [len(one) for one in seen] == [160, 80 + 160]
    assert all(one.dtypes.equals(x.dtypes) and list(one) == list(x) for one in seen)
    training = x.drop(index=model.validation_indices_).reset_index(drop=True)
    pd.testing.assert_frame_equal(seen[0], training)
    assert not hasattr(model, "predict_proba") and "balanced-accuracy" in model.verdict_


def test_more_rows_win_only_beyond_one_standard_error() -> None:
    x, y = patients()
    tree = CoDSAClassifier(DecisionTreeClassifier(min_samples_leaf=5), **FEW).fit(x[["score", "visits"]], y)
    assert (
        tree.best_params_["action"] == "synthetic rows"
    )  # the columns are normal given the class, as the generator is
    ahead = re.findall(r"\((\S+) standard errors\) ahead of (adding nothing|weights)", tree.verdict_)
    assert [name for _, name in ahead] == ["adding nothing", "weights"] and all(float(e) >= 1 for e, _ in ahead)
    noise = CoDSAClassifier(pipeline(), **FEW).fit(x, np.random.default_rng(1).permutation(y))
    assert noise.best_params_["action"] == "nothing" and "nothing is added" in noise.verdict_


def test_regions_law_and_grid_have_their_effect() -> None:
    x, y = patients()
    base = CoDSAClassifier(pipeline(), **FEW)
    plain = base.fit(x, y).predict_proba(x)
    for change in (
        {"law": {"sick": 0.1, "well": 0.9}},
        {"recalibrate": False},
        {"validation": 0.4},
        {"random_state": 1},
    ):
        assert not np.allclose(clone(base).set_params(**change).fit(x, y).predict_proba(x), plain), change
    for change, first in (
        ({"regions": "site"}, ["north", "south", "west"]),
        ({"regions": {"by": "range", "column": "score", "edges": [1.0]}}, ["score ≤ 1", "score > 1"]),
        ({"regions": lambda x: x["visits"] > 4}, ["False", "True"]),
    ):
        assert list(clone(base).set_params(**change).fit(x, y).law_) == first
    for change in (
        {"alpha": "training"},
        {"alpha": ["target"]},
        {"alpha": {"sick": 1, "well": 0}},
        {"reserve": "all"},
        {"m": 2.0},
        {"r": 0.8},
        {"generator": "smote"},
        {"settings": {"shrinkage": 0.9}},
    ):
        changed = clone(base).set_params(**change).fit(x.drop(columns="income"), y).cv_results_
        same = clone(base).fit(x.drop(columns="income"), y).cv_results_
        assert changed["validation_cross-entropy"][-1] != same["validation_cross-entropy"][-1], change
        assert changed["validation_cross-entropy"][0] == same["validation_cross-entropy"][0], change
    assert [p["action"] for p in CoDSAClassifier("logistic", weights=False, **FEW).fit(x, y).cv_results_["params"]] == [
        "nothing",
        "synthetic rows",
    ]
    by_area = clone(base).set_params(metric="roc-auc").fit(x, y)
    assert 0.5 < by_area.best_score_ <= 1 and by_area.cv_results_["rank_validation"].min() == 1


def test_averaged_fits_are_averaged() -> None:
    x, y = patients()
    tree = DecisionTreeClassifier(max_features=1, min_samples_leaf=5)
    one, many = (
        CoDSAClassifier(tree, average=k, recalibrate=False, **FEW).fit(x[["score", "visits"]], y) for k in (1, 5)
    )
    assert len(np.unique(many.predict_proba(x[["score", "visits"]]))) > len(
        np.unique(one.predict_proba(x[["score", "visits"]]))
    )


@pytest.mark.parametrize("estimator", ["logistic", "pipeline"])
def test_no_byte_depends_on_held_out_rows(estimator: str, tmp_path: Path) -> None:
    x, y = patients()
    model = CoDSAClassifier(pipeline() if estimator == "pipeline" else estimator, **FEW)
    folds = KFold(3, shuffle=True, random_state=0)
    held_out = next(folds.split(x))[1]
    altered, labels = x.copy(), y.copy()
    altered.loc[held_out, ["score", "income"]] = 1e6
    labels[held_out] = labels[held_out][::-1]
    saved = []
    for place, (table, target) in enumerate(((x, y), (altered, labels))):
        fits = cross_validate(model, table, target, cv=folds, return_estimator=True, error_score="raise")["estimator"]
        for k in (0, 1):
            fits[k].save(tmp_path / f"{place}-{k}")
        saved.append([content(tmp_path / f"{place}-{k}") for k in (0, 1)])
    assert saved[0][0] == saved[1][0]
    assert saved[0][1] != saved[1][1]  # the rows are training rows of another fold


def test_the_generator_sees_no_validation_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from codsa.generators.tables.gaussian import Gaussian

    x, y = patients()
    seen: list[pd.DataFrame] = []
    fit = Gaussian.fit
    monkeypatch.setattr(Gaussian, "fit", lambda self, rows, *a, **k: (seen.append(rows), fit(self, rows, *a, **k))[1])
    model = CoDSAClassifier("logistic", **FEW).fit(x, y)
    validation = x["score"].iloc[model.validation_indices_]
    assert len(seen) == 1 and len(seen[0]) == 80 and not set(seen[0]["score"]) & set(validation)


def test_it_stands_in_a_search() -> None:
    x, y = patients(160)
    model = CoDSAClassifier(LogisticRegression(), **FEW)
    grid = {"estimator__C": [0.1, 1.0], "regions": [None, 1]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise", scoring="neg_log_loss").fit(x[["score", "visits"]], y)
    assert np.isfinite(search.best_score_) and search.best_estimator_.best_params_["action"]


@pytest.mark.parametrize("estimator", [None, "mlp", "pipeline", "svc"])
def test_what_is_saved_predicts_the_same(estimator: str | None, tmp_path: Path) -> None:
    x, y = patients(160)
    made = {"pipeline": pipeline(), "svc": LinearSVC(random_state=0)}.get(str(estimator), estimator)
    x = x[["score", "visits"]] if estimator == "svc" else x
    model = CoDSAClassifier(made, **FEW, average=2).fit(x, y)
    model.save(tmp_path / "model")
    loaded = CoDSAClassifier.load(tmp_path / "model")
    assert (loaded.predict(x) == model.predict(x)).all() and loaded.verdict_ == model.verdict_
    if estimator != "svc":
        assert (loaded.predict_proba(x) == model.predict_proba(x)).all()
    assert str(loaded.get_params()) == str(model.get_params()) and loaded.best_params_ == model.best_params_
    assert (clone(loaded).fit(x, y).predict(x) == model.predict(x)).all()
    assert not list((tmp_path / "model").rglob("*.pkl"))
    with pytest.raises(ValueError, match="holds a CoDSAClassifier, not a CoDSARegressor"):
        CoDSARegressor.load(tmp_path / "model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds 'notes\.txt', not made by this command"):
        model.save(tmp_path / "mine")


def test_code_of_a_strangers_is_not_run(tmp_path: Path) -> None:
    from toy_estimator import Guess

    x, y = patients(80)
    CoDSAClassifier(Guess(), **FEW).fit(x, y).save(tmp_path / "model")
    with pytest.raises(ValueError, match="if you trust it, name it in trusted: toy_estimator:Guess"):
        CoDSAClassifier.load(tmp_path / "model")
    loaded = CoDSAClassifier.load(tmp_path / "model", trusted=["toy_estimator:Guess"])
    assert loaded.predict(x).tolist() == [loaded.classes_[0]] * 80


def test_regression_with_thirds_of_the_target_or_a_column(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = pd.DataFrame(random.normal(size=(150, 3)), columns=["a", "b", "c"]).assign(d=random.choice(["u", "v"], 150))
    y = x["a"] * 3 + (x["d"] == "u") + random.normal(0, 0.2, 150)
    model = CoDSARegressor(**FEW).fit(x, y)
    assert list(model.law_) == ["y 0–33 %", "y 33–67 %", "y 67–100 %"] and model.score(x, y) > 0.7
    assert "mse is" in model.verdict_ and list(CoDSARegressor("logistic", regions="d", **FEW).fit(x, y).law_) == [
        "u",
        "v",
    ]
    model.save(tmp_path / "model")
    assert (CoDSARegressor.load(tmp_path / "model").predict(x) == model.predict(x)).all()


def test_too_few_rows_are_fitted_plainly_and_said() -> None:
    x, y = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 0, 0, 1, 1])
    with pytest.warns(UserWarning, match="Nothing was tried"):
        model = CoDSAClassifier(LogisticRegression(), **FEW).fit(x, y)
    assert model.verdict_.startswith(
        "Nothing was tried, and the estimator has all rows as they are: region '1' has 2 rows"
    )
    assert (
        model.predict_proba(x)
        == LogisticRegression(random_state=model._predictor.model.random_state).fit(x, y).predict_proba(x)
    ).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"generator": "gausian"}, "did you mean 'gaussian'"),
        ({"estimator": "logistik"}, "did you mean 'logistic'"),
        ({"estimator": LogisticRegression}, "give an unfitted estimator"),
        ({"metric": "mse"}, "metric 'mse' is not one for classification"),
        ({"r": 1.5}, "r = 1.5: the split ratio must lie in"),
        ({"m": -1.0}, "m"),
        ({"law": {"ill": 1}}, "no region 'ill'"),
        ({"reserve": "some"}, "reserve"),
        ({"validation": 2.5}, "size '2.5'"),
        ({"average": 0}, "average"),
    ],
)
def test_a_mistake_is_a_value_error(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        CoDSAClassifier(**{"estimator": "logistic", **FEW}).set_params(**change).fit(*patients(80))
