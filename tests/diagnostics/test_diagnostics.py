"""Distances between synthetic and real rows, on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from codsa.data.dataset import Dataset
from codsa.diagnostics.distances import marginals, nearest_ratio, two_sample_auc, wasserstein
from codsa.modalities import Comparison, modalities_of
from codsa.modalities.compare import compare


def test_wasserstein_of_a_shift_is_its_length() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert wasserstein(x, x + np.array([3.0, 4.0, 0.0])) == pytest.approx(5.0)
    assert wasserstein(x, x[::-1]) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(wasserstein(x, x[:0]))


def test_a_classifier_tells_apart_only_what_differs() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 200, 2))
    assert two_sample_auc(a, b, 0) == pytest.approx(0.5, abs=0.1)
    assert two_sample_auc(a, b + 6, 0) > 0.95
    assert np.isnan(two_sample_auc(a[:5], b, 0))


def test_copies_lie_on_training_rows_and_held_out_rows_do_not() -> None:
    training, held_out, other = np.random.default_rng(0).normal(size=(3, 300, 3))
    assert nearest_ratio(training[:50], held_out, training) == 0.0
    assert nearest_ratio(other, held_out, training) == pytest.approx(1.0, abs=0.2)
    assert np.isnan(nearest_ratio(other, training, training))


def test_real_rows_pass_and_noise_does_not(dataset: Dataset) -> None:
    columns = [c.name for c in dataset.schema.modelled]
    rows = dataset.rows[columns][dataset.regions() == np.bincount(dataset.regions()).argmax()].sample(
        frac=1.0, random_state=0
    )
    third = len(rows) // 3
    synthetic, test, training = (rows.iloc[i * third : (i + 1) * third] for i in range(3))
    modalities = modalities_of(dataset.schema)
    good = compare(Comparison(synthetic, test, training), modalities, np.random.default_rng(0))
    maxima = {c.name: synthetic[c.name].max() for c in dataset.schema.modelled if c.type in ("numeric", "integer")}
    constant = synthetic.assign(**maxima).astype(dict(synthetic.dtypes))
    bad = compare(Comparison(constant, test, training), modalities, np.random.default_rng(0))
    assert bad["wasserstein"] > good["wasserstein"] and bad["two_sample_auc"] > good["two_sample_auc"]
    assert good["wasserstein"] == pytest.approx(good["wasserstein_floor"], rel=0.2)


def test_marginals_are_shares_of_rows(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]]
    for marginal in marginals(rows, rows, dataset.schema).values():
        assert np.allclose(marginal["real"], marginal["synthetic"])
        assert 0.2 < sum(marginal["real"]) <= 1.0 + 1e-9
