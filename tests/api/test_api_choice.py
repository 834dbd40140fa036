"""What the wrappers choose among, and what is said of it: the controls, too few rows, and every parameter's effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from codsa import CoDSAClassifier, CoDSAOverSampler, CoDSARegressor

FEW: dict[str, Any] = {"generator": "gaussian", "r": 0.5, "m": 1.0, "random_state": 0}


def patients(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers, a category, and a class of which 15 % are 'sick'."""
    random = np.random.default_rng(seed)
    sick = np.arange(n) % 20 < 3
    x = pd.DataFrame(
        {
            "score": random.normal(np.where(sick, 1.5, 0.0), 1.0),
            "site": pd.Categorical(random.choice(["north", "south", "west"], n)),
            "visits": random.poisson(3, n),
        }
    )
    return x, np.where(sick, "sick", "well")


def pipeline() -> Any:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["site"]),
        (StandardScaler(), make_column_selector(dtype_include="number")),
    )
    return make_pipeline(columns, LogisticRegression())


def test_a_shift_of_the_classes_shares_is_no_gain_of_synthetic_rows() -> None:
    x, y = patients()
    as_fitted = CoDSAClassifier("logistic", recalibrate=False, weights=False, **FEW).fit(x, y)
    assert as_fitted.best_params_["m"] > 0 and "better than nothing added" in as_fitted.verdict_
    alike = CoDSAClassifier("logistic", **FEW).fit(x, y)
    assert alike.best_params_["m"] == 0.0 and alike.generator_ is None
    assert "the recalibrated cross-entropy is" in alike.verdict_


def test_weights_are_chosen_where_they_do_as_well() -> None:
    x, y = patients()
    model = CoDSAClassifier("logistic", recalibrate=False, **FEW).fit(x, y)
    assert model.best_params_["weights"] and model.best_params_["m"] == 0.0 and model.generator_ is None
    assert model.verdict_.startswith("The real rows are weighted: by q/p of their region, ")
    assert [p["weights"] for p in CoDSAClassifier(pipeline(), **FEW).fit(x, y).cv_results_["params"]] == [False, False]
    same_law = CoDSAClassifier("logistic", law="training", **FEW).fit(x, y)  # q = p: there is nothing to weigh
    assert not any(p["weights"] for p in same_law.cv_results_["params"])


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
    assert not hasattr(model, "predict_proba") and "balanced-accuracy" in model.verdict_


def test_every_parameter_has_its_effect() -> None:
    x, y = patients()
    base = CoDSAClassifier(pipeline(), **FEW).fit(x, y)
    for change in (
        {"law": {"sick": 0.1, "well": 0.9}},
        {"recalibrate": False},
        {"validation": 0.4},
        {"random_state": 1},
    ):
        changed = clone(base).set_params(**change).fit(x, y)
        assert not np.allclose(changed.predict_proba(x), base.predict_proba(x)), change
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
        own, changed = base.cv_results_, clone(base).set_params(**change).fit(x, y).cv_results_
        assert changed["cross-entropy"][-1] != own["cross-entropy"][-1], change
        assert changed["cross-entropy"][0] == own["cross-entropy"][0], change


def test_averaged_fits_are_averaged() -> None:
    x, y = patients()
    x, tree = x[["score", "visits"]], DecisionTreeClassifier(max_features=1, min_samples_leaf=5)
    one, many = (CoDSAClassifier(tree, average=k, recalibrate=False, **FEW).fit(x, y).predict_proba(x) for k in (1, 5))
    assert len(np.unique(many)) > len(np.unique(one))
    with pytest.raises(ValueError, match="average = 0"):
        CoDSAClassifier(tree, average=0, **FEW).fit(x, y)


def test_too_few_rows_are_fitted_plainly_and_said(tmp_path) -> None:
    x, y = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 0, 0, 1, 1])
    with pytest.warns(UserWarning, match="Nothing was tried"):
        model = CoDSAClassifier(LogisticRegression(C=2.0), **FEW).fit(x, y)
    assert "region '1' has 2 rows" in model.verdict_ and model.best_params_["m"] == 0.0
    assert (model.predict_proba(x) == LogisticRegression(C=2.0).fit(x, y).predict_proba(x)).all()
    model.save(tmp_path / "model")
    assert (CoDSAClassifier.load(tmp_path / "model").predict(x) == model.predict(x)).all()
    with pytest.warns(UserWarning, match="its quantiles all fall together"):
        flat = CoDSARegressor("logistic", **FEW).fit(np.arange(40.0)[:, None], np.r_[np.ones(39), 0.0])
    assert flat.predict(np.arange(40.0)[:, None]).shape == (40,)


@pytest.mark.parametrize("estimator", [pipeline(), LinearSVC(), None])
def test_a_saved_one_is_fitted_again_as_the_first_was(estimator: Any, tmp_path) -> None:
    x, y = patients(160)
    x = x[["score", "visits"]] if isinstance(estimator, LinearSVC) else x
    model = CoDSAClassifier(estimator, average=2, **FEW).fit(x, y)
    model.save(tmp_path / "model")
    loaded = CoDSAClassifier.load(tmp_path / "model")
    assert set(loaded.get_params()) == set(model.get_params())
    assert loaded.get_params()["average"] == 2 and str(loaded.estimator)[:40] == str(model.estimator)[:40]
    assert (clone(loaded).fit(x, y).predict(x) == model.predict(x)).all()


def test_whole_numbers_are_a_continuous_target_where_regions_are_ranges_of_them() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(150, 3))
    price = (100 * np.exp(x[:, 0])).astype(int)
    _, few = CoDSAOverSampler(generator="gaussian", regions={"by": "range", "edges": [300]}).fit_resample(x, price)
    assert few.dtype == price.dtype and (few > 300).sum() == (few <= 300).sum()
    stars = random.integers(1, 4, 150)
    sampler = CoDSAOverSampler(generator="gaussian", regions=lambda x: x[:, 1] > 1, random_state=0)
    assert set(sampler.fit_resample(x, stars)[1]) == {1, 2, 3}
