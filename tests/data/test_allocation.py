"""Eq. (5), π, the two indices and whole counts by hand; the grid's arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codsa.data.allocation import (
    balancing_allocation,
    domain_adaptation_index,
    focused,
    generation_error_index,
    least_balancing_m,
    region_shares,
    whole_counts,
)
from codsa.data.grid import label, points, pool_counts, real_rows
from codsa.data.regions import Regions
from codsa.data.schema import Column, Schema
from codsa.data.split import TRAIN, Split
from codsa.errors import CodsaError
from codsa.settings.grid import Grid
from codsa.stages.split import rank_training

Q = np.array([0.5, 0.5])
P = np.array([0.2, 0.8])


def test_region_shares() -> None:
    # (1500·0.7 + 1000·0.2)/2500 = 1250/2500
    assert region_shares(1500, 1000, np.array([0.7, 0.3]), P) == pytest.approx([0.5, 0.5])
    assert region_shares(0, 1000, np.array([0.7, 0.3]), P) == pytest.approx(P)
    assert region_shares(100, 0, np.array([0.9, 0.1]), P) == pytest.approx([0.9, 0.1])


def test_balancing_allocation() -> None:
    # 0.5 + (1000/1500)·(0.5 − 0.2) = 0.7
    alpha, exact = balancing_allocation(1500, 1000, Q, P)
    assert alpha == pytest.approx([0.7, 0.3]) and exact
    assert region_shares(1500, 1000, alpha, P) == pytest.approx(Q)


def test_balancing_allocation_without_real_rows_is_q() -> None:
    alpha, exact = balancing_allocation(10, 0, np.array([0.3, 0.7]), P)
    assert alpha == pytest.approx([0.3, 0.7]) and exact


def test_least_m_is_where_the_allocation_reaches_zero() -> None:
    # 1000·(0.8 − 0.5)/0.5 = 600; there α = 0.5 + (1000/600)·0.3 = 1
    assert least_balancing_m(1000, Q, P) == pytest.approx(600)
    alpha, exact = balancing_allocation(600, 1000, Q, P)
    assert alpha == pytest.approx([1.0, 0.0]) and exact
    assert not balancing_allocation(599, 1000, Q, P)[1]


def test_least_m_without_need_and_without_limit() -> None:
    assert least_balancing_m(1000, P, P) == 0
    assert least_balancing_m(1000, np.array([1.0, 0.0]), P) == np.inf
    assert least_balancing_m(1000, np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0


def test_balancing_allocation_clips_and_renormalises() -> None:
    # ⅓ + 1.5·(⅓ − p) = 0.68333, 0.53333, −0.21667; the first two sum to 1.21667
    alpha, exact = balancing_allocation(600, 900, np.full(3, 1 / 3), np.array([0.1, 0.2, 0.7]))
    assert not exact
    assert alpha == pytest.approx([0.683333 / 1.216667, 0.533333 / 1.216667, 0.0], abs=1e-6)


def test_domain_adaptation_index() -> None:
    assert domain_adaptation_index(Q, np.array([0.3, 0.7])) == pytest.approx(0.4)
    assert domain_adaptation_index(Q, Q) == 0


def test_generation_error_index() -> None:
    # (1050·2 + 450·1)/2500
    value = generation_error_index(1500, 1000, np.array([0.7, 0.3]), np.array([2.0, 1.0]))
    assert value == pytest.approx(1.02)


def test_generation_error_index_skips_regions_without_synthetic_rows() -> None:
    value = generation_error_index(1000, 1000, np.array([1.0, 0.0]), np.array([3.0, np.nan]))
    assert value == pytest.approx(1.5)
    assert generation_error_index(0, 10, np.array([0.5, 0.5]), np.array([np.nan, np.nan])) == 0


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),  # a tie goes to the lower index
        (7, [0.5, 0.25, 0.25], [3, 2, 2]),  # remainders 0.5, 0.75, 0.75
        (1, [0.5, 0.5], [1, 0]),
        (10, [0.7, 0.2, 0.1], [7, 2, 1]),
        (100, [0.29, 0.71], [29, 71]),  # 0.29·100 = 28.999… in floating point
        (0, [0.5, 0.5], [0, 0]),
        (5, [0.0, 1.0], [0, 5]),
    ],
)
def test_whole_counts(total: int, weights: list[float], expected: list[int]) -> None:
    assert whole_counts(total, np.array(weights)).tolist() == expected


def test_whole_counts_sum_and_stay_within_one() -> None:
    random = np.random.default_rng(0)
    for total in (1, 17, 999):
        weights = random.dirichlet(np.ones(7))
        counts = whole_counts(total, weights)
        assert counts.sum() == total
        assert np.abs(counts - total * weights).max() < 1


def test_focused_shares_the_rest_in_proportion() -> None:
    # 0.6·(0.2, 0.5)/0.7
    assert focused(1, 0.4, np.array([0.2, 0.3, 0.5])) == pytest.approx([0.171429, 0.4, 0.428571], abs=1e-6)


SCHEMA = Schema(
    [Column("y", "categorical", "target", levels=["a", "b"])],
    "classification",
    Regions("values", ["a", "b"], "y", [["a"], ["b"]]),
)


def split_of(a: int, b: int, q: np.ndarray = Q) -> Split:
    """A split of which only the training rows matter: `a` and `b` rows of two regions."""
    import pandas as pd

    region = np.r_[np.zeros(a, dtype=np.int64), np.ones(b, dtype=np.int64)]
    n = a + b
    frame = pd.DataFrame({"row_id": np.arange(n), "region": np.array(["a", "b"])[region], "role": "train"})
    frame = frame.assign(**rank_training(region, np.arange(n), np.ones(n, dtype=bool)))
    return Split(frame, q, np.array([a, b]) / n, "digest")


SPLIT = split_of(20, 80)


@pytest.mark.parametrize(
    ("alpha", "reserve", "focus", "expected"),
    [
        ("balance", "disjoint", None, [65, 35]),  # n_r = 50: 0.5 + (50/100)·0.3
        ("balance", "all", None, [80, 20]),  # n_r = 100: 0.5 + 0.3
        ("training", "disjoint", None, [20, 80]),
        ("target", "disjoint", None, [50, 50]),
        (0.9, "disjoint", None, [90, 10]),  # region a has the largest q/p
        (0.9, "disjoint", "b", [10, 90]),
        (1, "disjoint", None, [100, 0]),
        ({"b": 0.25, "a": 0.75}, "disjoint", None, [75, 25]),
        ({"b": 1}, "disjoint", None, [0, 100]),
    ],
)
def test_arm_counts(alpha: object, reserve: str, focus: str | None, expected: list[int]) -> None:
    (point,) = points(Grid(m=[1.0], alpha=[alpha], reserve=reserve, focus=focus), 0.5, SPLIT, SCHEMA)  # type: ignore[list-item]
    assert (point.m, point.m_ratio, point.exact) == (100, 1.0, True)
    assert point.counts.tolist() == expected
    assert point.alpha * 100 == pytest.approx(expected)


def test_arms_are_every_m_with_every_alpha_in_order() -> None:
    found = points(Grid(m=[0.5, 2.0], alpha=["target", 0.3]), 0.5, SPLIT, SCHEMA)
    assert [(point.m, point.label) for point in found] == [(50, "target"), (50, "0.3"), (200, "target"), (200, "0.3")]
    assert all(point.counts.sum() == point.m for point in found)


def test_a_clipped_allocation_is_marked_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    (point,) = points(Grid(m=[0.2], alpha=["balance"]), 0.5, SPLIT, SCHEMA)  # needs 50·0.6 = 30, has 20
    assert not point.exact and point.counts.tolist() == [20, 0]
    assert "clipped" in caplog.text and "m ≥ 30" in caplog.text


@pytest.mark.parametrize("m", [[0.0], [0.0, 0.0], [0.0, 1e-6]])
def test_without_synthetic_rows_there_is_one_arm_whatever_alpha(m: list[float]) -> None:
    found = points(Grid(m=m, alpha=[0.1, 0.5, "balance"]), 0.5, SPLIT, SCHEMA)
    assert [(point.m, point.label, point.counts.tolist()) for point in found] == [(0, "none", [0, 0])]


def test_nothing_is_added_to_all_rows_whatever_is_reserved() -> None:
    assert [point.m for point in points(Grid(m=[0.0, 1.0], alpha=[0.5]), 1.0, SPLIT, SCHEMA)] == [0, 100]
    assert len(points(Grid(m=[0.0], alpha=[0.5], reserve="all"), 1.0, SPLIT, SCHEMA)) == 1


def test_a_weight_of_the_pool_is_a_point_of_its_own() -> None:
    found = points(Grid(m=[0.0, 1.0], alpha=[0.5], pool_weight=[0.1, 1.0]), 0.5, SPLIT, SCHEMA)
    assert [(point.m, point.pool_weight) for point in found] == [(0, 1.0), (100, 0.1), (100, 1.0)]


def test_eq_5_takes_the_shares_of_the_rows_at_hand() -> None:
    frame = SPLIT.frame.copy()
    reserved = frame.index[(frame["role"] == TRAIN) & (frame["min_ratio"] > 0.5)]
    frame.loc[reserved[:10], "min_ratio"] = 0.1  # ten rows less are reserved, and of one region
    lopsided = replace(SPLIT, frame=frame)
    rows = lopsided.reserved_rows(0.5)
    share = (frame.loc[rows, "region"] == "a").mean()
    (point,) = points(Grid(m=[2.0], alpha=["balance"]), 0.5, lopsided, SCHEMA)
    assert point.alpha[0] == pytest.approx(0.5 + len(rows) / 200 * (0.5 - share))


def test_pool_counts_cover_every_arm_and_no_more() -> None:
    grids = [Grid(m=[1.0, 2.0], alpha=[0.1, 0.9]), Grid(m=[1.0], alpha=["training"])]
    counts = pool_counts(grids, 0.5, SPLIT, SCHEMA)
    assert counts.tolist() == [180, 180]  # 0.9·200 for either region
    for grid in grids:
        assert all((point.counts <= counts).all() for point in points(grid, 0.5, SPLIT, SCHEMA))


def test_real_rows_are_the_reserved_or_all_training_rows() -> None:
    assert len(real_rows(SPLIT, 0.25, "disjoint")) == 75
    assert len(real_rows(SPLIT, 1.0, "disjoint")) == 0
    assert len(real_rows(SPLIT, 0.25, "all")) == 100
    with pytest.raises(CodsaError, match="did you mean 'disjoint'"):
        real_rows(SPLIT, 0.5, "disjunct")


def test_labels() -> None:
    assert [label(a) for a in (0.5, 1, "balance", {"a": 0.25, "b": 0.75})] == [
        "0.5",
        "1",
        "balance",
        "a: 0.25, b: 0.75",
    ]


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        (1.5, r"alpha = 1.5: .*\[0, 1\]"),
        (-0.1, r"alpha = -0.1: .*\[0, 1\]"),
        (float("nan"), "alpha = nan"),
        ("balanced", "did you mean 'balance'"),
        ({"a": 0.5, "b": 0.6}, "not on the simplex .*sum to 1.1"),
        ({"a": 1.5, "b": -0.5}, "not on the simplex"),
        ({"a": float("nan"), "b": 1.0}, "not on the simplex"),
        ({"a": "much"}, "alpha"),
        ({"aa": 1.0}, "no region 'aa'; did you mean 'a'"),
        ([0.5, 0.5], r"alpha = \[0.5, 0.5\]"),
        (None, "alpha = None"),
    ],
)
def test_an_allocation_off_the_simplex_is_refused(alpha: object, message: str) -> None:
    with pytest.raises(CodsaError, match=message):
        points(Grid(m=[1.0], alpha=[alpha]), 0.5, SPLIT, SCHEMA)  # type: ignore[list-item]


@pytest.mark.parametrize("m", [-1.0, float("nan"), float("inf")])
def test_a_number_of_rows_that_is_none_is_refused(m: float) -> None:
    with pytest.raises(CodsaError, match=f"m.0 = {m}"):
        Grid.read({"m": [m]}, "grid")


def test_a_focus_that_holds_all_of_q_leaves_nobody_to_share_the_rest() -> None:
    split = split_of(20, 80, np.array([1.0, 0.0]))
    (point,) = points(Grid(m=[1.0], alpha=[1.0]), 0.5, split, SCHEMA)
    assert point.counts.tolist() == [100, 0]
    with pytest.raises(CodsaError, match=r"alpha = 0.5: .*no other region"):
        points(Grid(m=[1.0], alpha=[0.5]), 0.5, split, SCHEMA)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"m": [1], "alfa": ["balance"]}, "did you mean 'alpha'"),
        ({"m": 1, "alpha": ["balance"]}, "m"),
        ({"m": [1], "alpha": "balance"}, "alpha"),
        ({"m": ["one"], "alpha": ["balance"]}, "m"),
        (5, "grid"),
    ],
)
def test_a_grid_that_is_none_is_refused(record: object, message: str) -> None:
    with pytest.raises(CodsaError, match=message):
        Grid.read(record, "grid")


def test_a_grid_is_read_from_its_record() -> None:
    record = {"m": [0.5], "alpha": ["balance", 0.3], "reserve": "all", "focus": "b"}
    assert Grid.read(record, "grid") == Grid(m=[0.5], alpha=["balance", 0.3], reserve="all", focus="b")
