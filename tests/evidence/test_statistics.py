"""Corrected intervals, Holm's adjustment, equivalence, and the bootstrap over test rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from codsa.data.choice import ScoredRows
from codsa.evidence.bootstrap import bootstrap_estimates, resampled_figures
from codsa.evidence.statistics import Estimate, corrected, holm
from codsa.io.seeds import stream

DIFFERENCES = np.array([0.01, 0.03, 0.02, 0.05, -0.01])


def test_without_shared_rows_it_is_the_ordinary_t_interval() -> None:
    found, expected = corrected(DIFFERENCES, 0.0), ttest_1samp(DIFFERENCES, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval())


def test_corrected_interval_by_hand() -> None:
    found = corrected(np.array([1.0, 2.0, 3.0]), ratio=0.5)
    error = np.sqrt(1 / 3 + 0.5)  # the sample variance is 1
    assert (found.mean, found.error, found.dof) == pytest.approx((2.0, error, 2))
    assert found.low == pytest.approx(2.0 - t.ppf(0.975, 2) * error)
    assert found.p == pytest.approx(2 * t.sf(2.0 / error, 2))


def test_one_split_has_no_interval_and_no_test() -> None:
    found = corrected(np.array([1.0]), ratio=0.5)
    assert found.mean == 1.0 and np.isnan([found.low, found.high, found.p]).all() and not found.within(10.0)


def test_no_spread_at_all() -> None:
    nothing, something = corrected(np.zeros(5), 0.5), corrected(np.full(5, 0.25), 0.5)
    assert nothing.p == 1.0 and nothing.within(0.01)
    assert something.p == 0.0 and something.within(0.5) and not something.within(0.2)


def test_two_one_sided_tests_agree_with_the_interval() -> None:
    found = corrected(DIFFERENCES, 0.3)
    end = max(-found.low, found.high)
    assert found.within(end + 1e-9) and not found.within(end - 1e-9)


def test_the_normal_interval() -> None:
    found = Estimate(0.0, 1.0)
    assert found.high == pytest.approx(1.959964, abs=1e-5) and Estimate(1.959964, 1.0).p == pytest.approx(0.05)


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    found = holm({"a": 0.02, "b": float("nan")})
    assert found["a"] == 0.02 and np.isnan(found["b"])
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0} and holm({}) == {}


def rows_of(n: int = 400) -> tuple[ScoredRows, dict[str, np.ndarray]]:
    """Make rows of two regions, and probabilities of a good and a poor model."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, n)
    region = (np.arange(n) < n // 4).astype(np.int64)
    good = np.clip(np.where(y == 1, 0.7, 0.3) + random.normal(0, 0.1, n), 0.05, 0.95)
    poor = np.clip(0.5 + random.normal(0, 0.2, n), 0.05, 0.95)
    both = {"good": np.column_stack([1 - good, good]), "poor": np.column_stack([1 - poor, poor])}
    return ScoredRows(y, region, np.array([0.5, 0.5])), both


def test_bootstrap_of_a_mean_loss_has_the_error_of_a_stratified_mean() -> None:
    rows, both = rows_of()
    found = bootstrap_estimates("cross-entropy", rows, both, "good", stream(0, "b"))["poor"]
    losses = {name: -np.log(np.take_along_axis(p, rows.y[:, None], axis=1)[:, 0]) for name, p in both.items()}
    difference = losses["good"] - losses["poor"]
    parts = [difference[rows.region == k] for k in (0, 1)]
    assert found.mean == pytest.approx(np.mean([part.mean() for part in parts]))
    expected = np.sqrt(sum(0.25 * part.var() / len(part) for part in parts))
    assert found.error == pytest.approx(expected, rel=0.2)
    assert found.high < 0


@pytest.mark.parametrize("metric", ["roc-auc", "kappa", "f1", "balanced-accuracy"])
def test_other_metrics_stand_in_the_same_frame(metric: str) -> None:
    rows, both = rows_of()
    found = bootstrap_estimates(metric, rows, both, "good", stream(0, "b"))["poor"]
    assert found.mean == pytest.approx(rows.measure(metric, both["good"]) - rows.measure(metric, both["poor"]))
    assert found.low > 0 and 0 < found.error < 0.2


def test_values_have_roots() -> None:
    random = np.random.default_rng(1)
    rows = ScoredRows(random.normal(size=200), np.zeros(200, dtype=np.int64), np.array([1.0]))
    both = {"a": rows.y + random.normal(0, 0.5, 200), "b": rows.y + random.normal(0, 1.0, 200)}
    squares = resampled_figures("mse", rows, both, stream(0, "b"))
    assert resampled_figures("rmse", rows, both, stream(0, "b"))["a"] == pytest.approx(np.sqrt(squares["a"]))
    assert squares["a"].mean() == pytest.approx(0.25, rel=0.3)


def test_the_stream_decides_and_the_same_model_differs_by_nothing() -> None:
    rows, both = rows_of()
    one = bootstrap_estimates("cross-entropy", rows, both, "good", stream(0, "b"))
    assert one == bootstrap_estimates("cross-entropy", rows, both, "good", stream(0, "b"))
    assert one != bootstrap_estimates("cross-entropy", rows, both, "good", stream(1, "b"))
    same = bootstrap_estimates("roc-auc", rows, {"a": both["good"], "b": both["good"]}, "a", stream(0, "b"))["b"]
    assert (same.mean, same.error) == (0.0, 0.0)
