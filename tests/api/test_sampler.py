"""CoDSAOverSampler beyond imbalanced-learn's contract: types, regions, targets, and what is synthetic."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression

from codsa import CoDSAOverSampler

DTYPES = {
    "age": "Int64",
    "dose": "float32",
    "count": "int16",
    "site": "category",
    "note": "object",
    "smokes": "bool",
    "seen": "datetime64[ns]",
}


@pytest.fixture
def patients() -> tuple[pd.DataFrame, pd.Series]:
    random = np.random.default_rng(0)
    n = 90
    table = pd.DataFrame(
        {
            "age": pd.array([None if k % 9 == 0 else 20 + k % 50 for k in range(n)], dtype="Int64"),
            "dose": np.where(random.random(n) < 0.1, np.nan, random.normal(size=n)).astype("float32"),
            "count": random.integers(0, 40, n).astype("int16"),
            "site": pd.Categorical(random.choice(["b", "a"], n), categories=["b", "a", "c"], ordered=True),
            "note": pd.Series(random.choice(["x", "y"], n), dtype=object).where(random.random(n) > 0.2, None),
            "smokes": random.random(n) < 0.5,
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 300, n), unit="D"),
        }
    ).astype({"seen": "datetime64[ns]"})
    return table, pd.Series(np.where(np.arange(n) % 6 == 0, "ill", "well"), name="outcome")


@pytest.mark.parametrize("generator", ["gaussian", "smote", "bootstrap"])
def test_a_table_keeps_names_dtypes_and_its_own_rows(patients, generator):
    X, y = patients
    sampler = CoDSAOverSampler(generator=generator, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert X_new.dtypes.astype(str).to_dict() == DTYPES
    assert X_new["site"].cat.categories.tolist() == ["b", "a", "c"]
    pd.testing.assert_frame_equal(X_new.iloc[: len(X)], X)
    assert y_new.name == "outcome"
    assert y_new.value_counts().to_dict() == {"ill": 75, "well": 75}
    assert sampler.synthetic_.tolist() == [False] * 90 + [True] * 60
    assert set(X_new["note"][sampler.synthetic_].dropna()) <= {"x", "y"}
    assert y_new[sampler.synthetic_].unique().tolist() == ["ill"]


def test_missing_values_are_generated_where_the_table_has_them(patients):
    X, y = patients
    X_new, _ = CoDSAOverSampler(generator="bootstrap", sampling_strategy="all", random_state=0).fit_resample(X, y)
    below = X_new.iloc[len(X) :]
    assert below["age"].isna().any() and not below["smokes"].isna().any()


@pytest.mark.parametrize(
    ("strategy", "added"),
    [
        ({"ill": 40}, {"ill": 25}),
        (0.5, {"ill": 22}),
        (lambda y: {"ill": 20}, {"ill": 5}),
        ("minority", {"ill": 60}),
        ("not majority", {"ill": 60}),
    ],
)
def test_every_sampling_strategy_counts_as_in_imbalanced_learn(patients, strategy, added):
    sampler = CoDSAOverSampler(generator="bootstrap", sampling_strategy=strategy, random_state=0)
    sampler.fit_resample(*patients)
    assert sampler.sampling_strategy_ == added
    assert sampler.synthetic_.sum() == sum(added.values())


def test_regions_by_column_are_filled_and_the_class_is_drawn_with_the_row(patients):
    X, y = patients
    X = X.assign(site=np.where(np.arange(90) % 5 == 0, "c", "a"))
    sampler = CoDSAOverSampler(generator="gaussian", regions="site", random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert X_new["site"].value_counts().to_dict() == {"a": 72, "c": 72}
    assert (sampler.regions_ == X_new["site"]).all()
    assert set(y_new) == {"ill", "well"}


def test_a_continuous_target_with_regions_by_a_function(patients):
    X, _ = patients
    y = X["count"] * 2.0 + 1.0

    def half(rows, target):
        return np.where(target > 60, "high", "low")

    sampler = CoDSAOverSampler(generator="gaussian", regions=half, random_state=0)
    _, y_new = sampler.fit_resample(X, y)
    labels, counts = np.unique(half(None, np.asarray(y_new)), return_counts=True)
    assert labels.tolist() == ["high", "low"] and counts[0] == counts[1]
    assert y_new.dtype == float and sampler.synthetic_.sum() > 0


def test_a_continuous_target_in_regions_by_quantile():
    random = np.random.default_rng(1)
    X = random.normal(size=(120, 3))
    y = X[:, 0] + random.normal(size=120)
    rule = {"by": "range", "edges": [1.0]}
    sampler = CoDSAOverSampler(generator="gaussian", regions=rule, random_state=0)
    _, y_new = sampler.fit_resample(X, y)
    assert (y_new > 1).sum() == (y_new <= 1).sum() == (y <= 1).sum()


def test_m_and_alpha_share_rows_out_as_the_paper_does(patients):
    sampler = CoDSAOverSampler(generator="bootstrap", m=1.0, alpha="balance", random_state=0)
    _, y_new = sampler.fit_resample(*patients)
    assert y_new.value_counts().to_dict() == {"ill": 90, "well": 90}


def test_the_same_seed_gives_the_same_rows_and_another_does_not(patients):
    def drawn(seed):
        return CoDSAOverSampler(generator="gaussian", random_state=seed).fit_resample(*patients)[0]

    pd.testing.assert_frame_equal(drawn(3), drawn(3))
    assert not drawn(3)["dose"].equals(drawn(4)["dose"])


def test_it_stands_in_a_pipeline_where_smote_would():
    random = np.random.default_rng(0)
    X = random.normal(size=(100, 3))
    y = (np.arange(100) % 8 == 0).astype(int)
    X[y == 1] += 2.0
    pipeline = make_pipeline(CoDSAOverSampler(generator="gaussian", random_state=0), LogisticRegression())
    plain = LogisticRegression().fit(X, y)
    assert pipeline.fit(X, y).predict(X).sum() > plain.predict(X).sum()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": "gausian"}, "gaussian"),
        ({"regions": "sight"}, "site"),
        ({"generator": "gaussian", "settings": {"depth": 3}}, "depth"),
    ],
)
def test_a_mistake_is_a_value_error_that_says_what_to_do(patients, settings, message):
    with pytest.raises(ValueError, match=message):
        CoDSAOverSampler(**settings).fit_resample(*patients)


def test_diffusion_draws_rows_of_the_thin_class(patients):
    X, y = patients
    settings = {"steps": 5, "batch": 32, "width": 16, "depth": 1, "sampler_steps": 4}
    sampler = CoDSAOverSampler(settings=settings, sampling_strategy={"ill": 20}, random_state=0)
    X_new, y_new = sampler.fit_resample(X, y)
    assert len(X_new) == 95 and y_new[90:].tolist() == ["ill"] * 5
    assert X_new.dtypes.astype(str).to_dict() == DTYPES


def test_importing_codsa_imports_none_of_it():
    code = "import sys, codsa; print(sorted({'sklearn', 'numpy', 'torch', 'codsa.api'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
