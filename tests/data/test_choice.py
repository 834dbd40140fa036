"""The choice among candidates: the simplest within one standard error of the best."""

from __future__ import annotations

import numpy as np
import pytest

from codsa.data.choice import GENERATOR, NONE, RESAMPLING, WEIGHTS, Candidate, ScoredRows, simplest, standard_error
from codsa.io.seeds import rng, stream

HALF = np.array([0.5, 0.5])
N = 400


def binary(seed: int = 0) -> ScoredRows:
    y = rng(stream(seed, "y")).integers(2, size=N)
    return ScoredRows(y, np.arange(N) % 2, HALF)


def predictions(rows: ScoredRows, sharpness: float, seed: int = 1) -> np.ndarray:
    """Return class probabilities that are the better, the sharper they are."""
    noise = rng(stream(seed, "noise")).normal(size=N)
    one = 1 / (1 + np.exp(-(sharpness * (2 * rows.y - 1) + noise)))
    return np.column_stack([1 - one, one])


def candidate(rank: int, rows: ScoredRows, predicted: np.ndarray, metric: str = "cross-entropy") -> Candidate:
    return Candidate(rank, rows.measure(metric, predicted), predicted)


@pytest.mark.parametrize("metric", ["cross-entropy", "roc-auc"])
def test_a_clear_gain_is_taken_and_an_unclear_one_is_not(metric: str) -> None:
    rows = binary()
    plain, better = predictions(rows, 0.5), predictions(rows, 1.5)
    none = candidate(NONE, rows, plain, metric)
    assert simplest([none, candidate(GENERATOR, rows, better, metric)], metric, rows, stream(0)) == 1
    others = [predictions(rows, 0.5, seed=seed) for seed in range(2, 12)]
    close = max(others, key=lambda predicted: -abs(rows.measure(metric, predicted) - none.value))
    assert simplest([candidate(GENERATOR, rows, close, metric), none], metric, rows, stream(0)) == 1


def test_among_equally_simple_ones_the_best_then_the_first() -> None:
    rows = binary()
    good, better = predictions(rows, 1.0), predictions(rows, 3.0)
    candidates = [candidate(WEIGHTS, rows, predicted) for predicted in (good, better, better)]
    assert simplest(candidates, "cross-entropy", rows, stream(0)) == 1


def test_ranks_are_in_order() -> None:
    rows = binary()
    same = [candidate(rank, rows, predictions(rows, 1.0)) for rank in (GENERATOR, RESAMPLING, WEIGHTS)]
    assert simplest(same, "cross-entropy", rows, stream(0)) == 2


def test_an_undefined_figure_is_never_chosen() -> None:
    rows = binary()
    undefined = Candidate(NONE, float("nan"), predictions(rows, 1.0))
    assert (
        simplest([undefined, candidate(GENERATOR, rows, predictions(rows, 1.0))], "cross-entropy", rows, stream(0)) == 1
    )


def test_the_standard_error_is_that_of_the_paired_mean() -> None:
    rows = binary()
    a, b = predictions(rows, 0.5), predictions(rows, 0.6, seed=2)
    losses = [-np.log(predicted[np.arange(N), rows.y]) for predicted in (a, b)]
    expected = (losses[0] - losses[1]).std() / np.sqrt(N)
    assert standard_error("cross-entropy", rows, a, b, stream(0)) == pytest.approx(expected, rel=1e-6)
    assert standard_error("cross-entropy", rows, a, a, stream(0)) == 0


def test_the_standard_error_of_a_root_is_that_of_the_roots() -> None:
    random = rng(stream(0, "values"))
    rows = ScoredRows(random.normal(size=N), np.arange(N) % 2, HALF)
    a, b = rows.y + random.normal(size=N), rows.y + 2 * random.normal(size=N)
    samples = [random.integers(N, size=N) for _ in range(400)]
    spread = np.std([rows.measure("rmse", a, s) - rows.measure("rmse", b, s) for s in samples])
    assert standard_error("rmse", rows, a, b, stream(0)) == pytest.approx(spread, rel=0.2)


def test_a_bootstrapped_standard_error_depends_on_the_stream_alone() -> None:
    rows = binary()
    a, b = predictions(rows, 0.5), predictions(rows, 0.8, seed=2)
    first = standard_error("kappa", rows, a, b, stream(0))
    assert first > 0
    assert standard_error("kappa", rows, a, b, stream(0)) == first
