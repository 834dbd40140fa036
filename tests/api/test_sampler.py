"""CoDSAOverSampler: imbalanced-learn's and scikit-learn's contracts, and what goes beyond them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import parametrize_with_checks
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_sklearn_checks

from codsa import CoDSAOverSampler
from codsa.generators.tables.gaussian import Gaussian

CHEAP = [
    CoDSAOverSampler(generator="gaussian", random_state=0),
    CoDSAOverSampler(generator="bootstrap", random_state=0),
]


@parametrize_with_checks(CHEAP)
def test_imbalanced_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_sklearn_checks(CHEAP[:1])
def test_scikit_learns_contract(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture
def table() -> tuple[pd.DataFrame, pd.Series]:
    """Every kind of column, missing values, names that are no texts, an index that is no range."""
    random, n = np.random.default_rng(0), 120
    sick = np.arange(n) % 10 < 2
    income = random.lognormal(1, 1, n).astype(np.float32)
    income[::11] = np.nan
    site = random.choice(["north", "sou\u0308d", "west"], n).astype(object)
    site[::7] = None
    grade = pd.Categorical(random.choice(["low", "mid", "high"], n), ["low", "mid", "high", "never"], ordered=True)
    times = pd.Timestamp("2024-01-01", tz="Europe/Berlin") + pd.to_timedelta(random.integers(0, 400, n), unit="D")
    x = pd.DataFrame(
        {
            "income": income,
            "visits": random.poisson(3, n).astype(np.int16) + 2 * sick.astype(np.int16),
            "beds": pd.array(np.where(np.arange(n) % 9, random.integers(1, 9, n), -1), dtype="Int64").copy(),
            "smoker": random.random(n) < 0.4,
            "site": site,
            "grade": grade,
            "seen": times,
            "empty": np.full(n, np.nan),
        }
    )
    x.loc[::9, "beds"] = pd.NA
    x.index = pd.RangeIndex(1000, 1000 + n)
    return x, pd.Series(np.where(sick, "sick", "well"), name="state", index=x.index)


def sampler(**more: Any) -> CoDSAOverSampler:
    return CoDSAOverSampler(**{"generator": "gaussian", "random_state": 0, **more})


def test_a_table_keeps_its_types_its_gaps_and_its_rows(table: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = table
    made = sampler()
    x_new, y_new = made.fit_resample(x, y)
    assert x_new.dtypes.equals(x.dtypes) and list(x_new.columns) == list(x.columns)
    pd.testing.assert_frame_equal(x_new[: len(x)], x.reset_index(drop=True))
    assert y_new.dtype == y.dtype and y_new.name == "state" and y_new[: len(y)].tolist() == y.tolist()
    assert Counter(y_new) == {"sick": 96, "well": 96}
    assert not made.synthetic_[: len(x)].any() and made.synthetic_[len(x) :].all() and len(made.synthetic_) == 192
    synthetic = x_new[made.synthetic_]
    assert synthetic[["income", "beds", "site"]].isna().any().all() and synthetic["empty"].isna().all()
    assert not synthetic[["visits", "smoker", "grade", "seen"]].isna().any().any()
    assert set(synthetic["site"].dropna()) <= set(x["site"].dropna()) and "never" not in set(synthetic["grade"])
    assert synthetic["income"].max() <= x["income"].max() and (y_new[made.synthetic_] == "sick").all()


def test_only_the_seed_decides(table: tuple[pd.DataFrame, pd.Series]) -> None:
    first, again, other = (sampler(random_state=s).fit_resample(*table)[0] for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("strategy", "added"),
    [
        ("not minority", {"sick": 0}),
        ("all", {"sick": 72, "well": 0}),
        (0.5, {"sick": 24}),
        ({"sick": 30, "well": 100}, {"sick": 6, "well": 4}),
        (lambda y: {"sick": 25}, {"sick": 1}),
    ],
)
def test_the_sampling_strategy_counts(table: tuple[pd.DataFrame, pd.Series], strategy: Any, added: Any) -> None:
    made = sampler(sampling_strategy=strategy)
    _, y_new = made.fit_resample(*table)
    assert Counter(y_new[made.synthetic_]) == {name: count for name, count in added.items() if count}
    assert {k: v for k, v in made.sampling_strategy_.items() if v} == {k: v for k, v in added.items() if v}


def test_regions_by_a_column_are_filled_up(table: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = table
    x = x.assign(site=np.where(np.arange(len(x)) % 6 == 0, "west", "north"))
    made = sampler(regions="site")
    x_new, y_new = made.fit_resample(x, y)
    assert Counter(x_new["site"]) == {"north": 100, "west": 100} == Counter(made.regions_.tolist())
    assert made.sampling_strategy_ == {"west": 80} and set(y_new[made.synthetic_]) == {"sick", "well"}
    by_place, by_dict = sampler(regions=4), sampler(regions={"by": "column", "column": "site"})
    for other in (by_place, by_dict):
        pd.testing.assert_frame_equal(other.fit_resample(x, y)[0], x_new)
    assert Counter(sampler(regions="site", sampling_strategy={"west": 30}).fit_resample(x, y)[0]["site"])["west"] == 30


def test_a_continuous_target_takes_regions() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(150, 3)).astype(np.float32)
    y = np.exp(x[:, 0]) + random.normal(0, 0.1, 150)
    with pytest.raises(ValueError, match="Unknown label type"):
        sampler().fit_resample(x, y)
    edge = float(np.quantile(y, 0.9))
    made = sampler(regions={"by": "range", "edges": [edge]})
    x_new, y_new = made.fit_resample(x, y)
    assert x_new.dtype == np.float32 and y_new.dtype == y.dtype and (y_new > edge).sum() == (y_new <= edge).sum() == 135
    assert made.synthetic_.sum() == 120 and (y_new[made.synthetic_] > edge).all()
    as_lists = sampler(regions={"by": "range", "edges": [edge]}).fit_resample(x.tolist(), y.tolist())
    assert isinstance(as_lists[0], list) and isinstance(as_lists[1], list) and len(as_lists[1]) == 270
    whole = (100 * y).astype(int)
    whole_new = sampler(regions={"by": "range", "edges": [100 * edge]}).fit_resample(x, whole)[1]
    assert whole_new.dtype == whole.dtype and (whole_new > 100 * edge).sum() == (whole_new <= 100 * edge).sum()
    with pytest.raises(ValueError, match="'by': 'quantile'"):
        sampler(regions=0).fit_resample(x, y)


def test_a_function_parts_the_rows() -> None:
    random = np.random.default_rng(0)
    x = pd.DataFrame(random.normal(size=(120, 2)), columns=["a", "b"])
    y = (x["a"] + random.normal(size=120) > 0).to_numpy()
    made = sampler(regions=lambda x: np.where(x["a"] > 1, "far", "near"))
    x_new, _ = made.fit_resample(x, y)
    assert ((x_new["a"] > 1) == (made.regions_ == "far")).all() and len(
        set(Counter(made.regions_.tolist()).values())
    ) == 1
    of_both = sampler(regions=lambda x, y: y & (x["a"] < 1)).fit(x, y)
    assert set(of_both.sampling_strategy_) == {"True"}
    with pytest.raises(ValueError, match="119 regions of 120 rows"):
        sampler(regions=lambda x: np.zeros(119)).fit_resample(x, y)


def test_m_and_alpha_share_out_the_rows(table: tuple[pd.DataFrame, pd.Series]) -> None:
    x, y = table
    made = sampler(m=100)
    _, y_new = made.fit_resample(x, y)
    assert Counter(y_new) == {"sick": 110, "well": 110} and made.sampling_strategy_ == {"sick": 86, "well": 14}
    assert Counter(sampler(m=1.0, alpha=0.75).fit_resample(x, y)[1]) == {"sick": 24 + 90, "well": 96 + 30}
    weights = sampler(m=10, alpha={"sick": 0.2, "well": 0.8}).fit(x, y).sampling_strategy_
    assert weights == {"sick": 2, "well": 8}
    law = sampler(m=480, law={"sick": 1, "well": 3}).fit(x, y).sampling_strategy_
    assert law == {"sick": 126, "well": 354}
    with pytest.raises(ValueError, match="alpha 'balanse' is not known; did you mean 'balance'"):
        sampler(m=10, alpha="balanse").fit(x, y)


def test_it_stands_in_a_pipeline_and_a_search() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 3))
    y = (x[:, 0] + random.normal(0, 0.5, 90) > 0.8).astype(int)
    pipeline = make_pipeline(sampler(), HistGradientBoostingClassifier(max_iter=5, random_state=0))
    assert np.isfinite(cross_val_score(pipeline, x, y, cv=3)).all()
    grid = {"codsaoversampler__generator": ["gaussian", "bootstrap"], "codsaoversampler__sampling_strategy": [0.8, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(x, y)
    assert len(search.cv_results_["params"]) == 4


def test_a_generator_may_be_an_object_and_stays_unfitted(table: tuple[pd.DataFrame, pd.Series]) -> None:
    own = Gaussian(shrinkage=0.5)
    made = clone(sampler(generator=own))
    x_new, _ = made.fit_resample(*table)
    assert not hasattr(made.generator, "space") and made.generator_.shrinkage == 0.5
    by_name = sampler(generator="gaussian", settings={"shrinkage": 0.5}).fit_resample(*table)[0]
    assert len(by_name) == len(x_new) and not by_name.equals(sampler().fit_resample(*table)[0])


def test_diffusion_runs_and_mistakes_are_value_errors(table: tuple[pd.DataFrame, pd.Series]) -> None:
    few = {"steps": 5, "width": 16, "sampler_steps": 3, "labels": "denoiser"}
    x_new, y_new = CoDSAOverSampler(settings=few, random_state=0).fit_resample(*table)
    assert Counter(y_new) == {"sick": 96, "well": 96} and x_new.dtypes.equals(table[0].dtypes)
    for wrong, says in (
        ({"generator": "gausian"}, "did you mean 'gaussian'"),
        ({"settings": {"shrink": 1}}, "did you mean 'shrinkage'"),
        ({"regions": "sites"}, "did you mean 'site'"),
        ({"regions": 8}, "no column 8"),
        ({"generator": 3}, "generator"),
    ):
        with pytest.raises(ValueError, match=says):
            sampler(**wrong).fit_resample(*table)
