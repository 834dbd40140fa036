"""Rows to arrays and back: types, bounds, point masses, missing values, many levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from codsa.data.dataset import Dataset
from codsa.data.schema import Column, cast, describe
from codsa.encoders.blocks import ONE_HOT_LIMIT, LevelBlock, OrderedBlock
from codsa.encoders.evidence import determines, log_multinomial, step_function_cuts
from codsa.encoders.linear import LinearDependency, find_linear, solve
from codsa.encoders.mixed import MixedTable
from codsa.encoders.numeric_precision import NumericPrecision
from codsa.encoders.scaling import Asinh, NormalScore, suited
from codsa.encoders.tabular import TabularEncoder
from codsa.encoders.values import from_float
from codsa.errors import CodsaError


def column_of(values: pd.Series, kind: str) -> tuple[Column, pd.Series]:
    stored = cast(values, Column("c", kind))
    return describe(Column("c", kind), stored), stored


def test_neural_encoding_comes_back_as_it_was(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]].reset_index(drop=True)
    encoder = TabularEncoder.fit(rows, dataset.schema.modelled)
    array = encoder.encode(rows)
    assert array.dtype == np.float32 and array.shape == (len(rows), encoder.width) and np.isfinite(array).all()
    decoded = encoder.decode(array)
    assert (decoded.dtypes == rows.dtypes).all()
    for column in dataset.schema.modelled:
        pd.testing.assert_series_equal(decoded[column.name].isna(), rows[column.name].isna())
        if column.type in ("categorical", "boolean", "integer"):
            pd.testing.assert_series_equal(decoded[column.name], rows[column.name])
        if column.type == "numeric":
            spread = rows[column.name].std()
            assert np.nanmax(np.abs(decoded[column.name] - rows[column.name])) < 0.05 * spread


def test_encoder_survives_its_arrays(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]]
    encoder = TabularEncoder.fit(rows, dataset.schema.modelled)
    restored = TabularEncoder.from_arrays(encoder.to_arrays(), dataset.schema.modelled)
    assert np.array_equal(restored.encode(rows), encoder.encode(rows))


def test_resamplers_encoding_comes_back_as_it_was(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]].reset_index(drop=True)
    table = MixedTable.fit(rows, dataset.schema.modelled)
    pd.testing.assert_frame_equal(table.decode(*table.encode(rows)), rows, rtol=1e-9)


def test_noise_never_leaves_the_bounds() -> None:
    column, values = column_of(pd.Series([1.0, 2.0, 5.0, 100.0]), "numeric")
    block = OrderedBlock.fit(column, values)
    decoded = block.decode(np.random.default_rng(0).normal(scale=10, size=(500, 1)))
    assert decoded.between(1.0, 100.0).all() and decoded.min() == 1.0 and decoded.max() == 100.0


def test_a_point_mass_comes_back_exactly() -> None:
    """80 % zeros: scores around the mass decode to 0 itself."""
    column, values = column_of(pd.Series([0.0] * 800 + list(np.linspace(1, 9, 200))), "numeric")
    block = OrderedBlock.fit(column, values)
    score = block.encode(pd.Series([0.0]))
    assert (block.decode(score + np.linspace(-0.5, 0.5, 11)[:, None]) == 0.0).all()


def test_scores_are_about_normal() -> None:
    column, values = column_of(pd.Series(np.exp(np.random.default_rng(0).normal(size=2000) * 3)), "numeric")
    score = OrderedBlock.fit(column, values).encode(values)
    assert abs(score.mean()) < 0.02 and score.std() == pytest.approx(1.0, abs=0.02) and np.abs(score).max() < 4.5


@pytest.mark.parametrize("count", [2, 5, ONE_HOT_LIMIT, ONE_HOT_LIMIT + 1, 1000])
def test_levels_come_back_with_few_and_many(count: int) -> None:
    column, values = column_of(pd.Series([f"level {i}" for i in range(count)] * 2), "categorical")
    block = LevelBlock.fit(column, values)
    array = block.encode(values)
    assert array.shape[1] == block.width <= max(ONE_HOT_LIMIT, 1)
    noise = np.random.default_rng(0).normal(scale=0.1, size=array.shape)
    pd.testing.assert_series_equal(block.decode(array + noise), values, check_names=False)


def test_a_constant_and_an_empty_column_are_harmless() -> None:
    for values in (pd.Series([3.0, 3.0, 3.0]), pd.Series([np.nan, np.nan, 2.0]).iloc[:2]):
        stored = cast(values, Column("c", "numeric"))
        column = describe(Column("c", "numeric"), stored)
        block = OrderedBlock.fit(column, stored)
        array = block.encode(stored)
        assert np.isfinite(array).all()
        if column.missing == 0:
            assert (block.decode(array) == 3.0).all()


def test_a_value_that_the_source_lacks_is_named() -> None:
    column, values = column_of(pd.Series(["a", "b", "c"]), "categorical")
    block = LevelBlock.fit(column, values.iloc[:2])
    with pytest.raises(CodsaError, match="value 'c' does not occur"):
        block.encode(values)


def test_an_unknown_scaling_is_refused() -> None:
    column, values = column_of(pd.Series([1.0, 2.0]), "numeric")
    with pytest.raises(CodsaError, match="scaling 'log' is not known"):
        OrderedBlock.fit(column, values, scaling="log")


def test_a_jump_is_scored_at_its_middle() -> None:
    """Of 10 values half are 0: their share is 1/4 after the half-row edges, the largest one's 0.95."""
    scaling = NormalScore.fit(np.array([0.0] * 5 + [1.0, 2.0, 3.0, 4.0, 5.0]))
    score = scaling.encode(np.array([0.0, 5.0, 99.0]))
    jump = 0.05 + 0.9 * (4 / 9) / 2
    assert score == pytest.approx([norm.ppf(jump), norm.ppf(0.95), norm.ppf(0.95)])


def test_bounds_of_dates_and_long_integers_hold_to_the_last_digit() -> None:
    latest = "2020-01-01T00:00:00.123456700"  # the nearest float64 lies above
    date = Column("c", "datetime", minimum="2019-01-01", maximum=latest)
    assert from_float(np.array([1e19, np.nan]), date)[0] == pd.Timestamp(latest)
    integer = Column("c", "integer", minimum=-(2**63), maximum=2**60 + 1)
    decoded = from_float(np.array([1e19, -1e19, np.nan]), integer)
    assert decoded[0] == 2**60 + 1 and decoded[1] == -(2**63) + 1024 and decoded.isna()[2]


def test_evidence_counts_arrangements() -> None:
    assert log_multinomial(np.array([0, 0, 1, 1])) == pytest.approx(np.log(6))
    a, b = np.arange(40) % 4, np.arange(40) % 2
    evidence = log_multinomial(b) - 4 * np.log(2)
    assert determines(a, b, evidence - 0.01) and not determines(a, b, evidence + 0.01)
    assert not determines(b, a, 0.0)


def test_steps_are_cut_half_way() -> None:
    a = np.r_[np.arange(20.0), 7.0]
    cuts = step_function_cuts(a, (a > 7).astype(int), 0.0)
    assert cuts is not None and cuts.tolist() == [7.5]
    assert step_function_cuts(a, np.r_[np.zeros(20, int), 1], 0.0) is None
    assert step_function_cuts(a, np.arange(21) % 2, 0.0) is None


def test_sums_are_solved_with_plain_weights() -> None:
    x = np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 1e6]
    solution = solve(3 * x[:, 0] - x[:, 1] + 0.25, x)
    assert solution is not None
    weights, offset = solution
    assert weights.tolist() == [3.0, -1.0] and offset == 0.25
    assert solve(x[:, 0] + 1e-6 * np.random.default_rng(1).normal(size=50), x[:, :1]) is None


def test_a_repair_moves_columns_within_their_bounds() -> None:
    """total = a + b of at most 5: a gives way first, by whole steps, then b; the fixed one never."""
    dependency = LinearDependency(
        name="total",
        terms=["a", "b"],
        weights=[1.0, 1.0],
        offset=0.0,
        low=0.0,
        high=5.0,
        lows=[1.0, 0.0],
        highs=[4.0, 4.0],
        resolutions=[1.0, 1.0],
        fixed=[False, False],
    )
    numbers = {"a": np.array([4.0, 3.0, 2.0]), "b": np.array([4.0, 4.5, 2.0])}
    dependency.repair(numbers)
    assert numbers["a"].tolist() == [1.0, 1.0, 2.0] and numbers["b"].tolist() == [4.0, 3.5, 2.0]
    fixed = replace(dependency, fixed=[True, False])
    numbers = {"a": np.array([4.0]), "b": np.array([4.0])}
    fixed.repair(numbers)
    assert numbers["a"].tolist() == [4.0] and numbers["b"].tolist() == [1.0]


def test_the_total_is_rebuilt_and_not_its_parts() -> None:
    """Whatever the order of the columns, and never the one that defines the regions."""
    random = np.random.default_rng(0)
    a, b, c = random.normal(size=(3, 200)) * [[3.0], [2.0], [1.0]]
    numbers = {"total": a + b + c, "a": a, "b": b, "c": c, "other": b - 2 * c}
    codes = {name: np.arange(200) for name in numbers}
    precisions = {name: NumericPrecision(Column(name, "numeric")) for name in numbers}
    sums = find_linear(numbers, codes, precisions, 20.0, None)
    assert {dependency.name: sorted(dependency.terms) for dependency in sums} == {
        "total": ["a", "b", "c"],
        "other": ["b", "c"],
    }
    others = find_linear(numbers, codes, precisions, 20.0, "total")
    assert "total" not in {dependency.name for dependency in others} and len(others) == 2


def test_a_rounded_column_is_not_rebuilt_from_finer_ones() -> None:
    """b = total - a would lose its two decimals, or the sum; total is rebuilt unless it defines the regions."""
    random = np.random.default_rng(0)
    numbers = {"a": random.normal(size=200), "b": np.round(random.normal(size=200), 2)}
    numbers["total"] = numbers["a"] + numbers["b"]
    codes = {name: np.arange(200) for name in numbers}
    precisions = {
        name: NumericPrecision(Column(name, "numeric"), decimals=2 if name == "b" else -1) for name in numbers
    }
    for region_column, dependent in ((None, "total"), ("total", "a")):
        sums = find_linear(numbers, codes, precisions, 20.0, region_column)
        assert [dependency.name for dependency in sums] == [dependent]


def test_asinh_is_monotone_of_unit_variance_and_keeps_what_was_seen() -> None:
    numbers = np.random.default_rng(0).standard_t(2, 3000)
    scaling = Asinh.fit(numbers)
    scores = scaling.encode(np.sort(numbers))
    assert (np.diff(scores) > 0).all() and abs(scores.mean()) < 1e-9 and abs(scores.std() - 1) < 1e-9
    assert np.allclose(scaling.decode(scaling.encode(numbers)), numbers)
    assert scaling.decode(np.array([-1e3, 1e3])).tolist() == [numbers.min(), numbers.max()]


def test_asinh_keeps_a_linear_relation_linear_in_the_bulk() -> None:
    """What ranks would bend: y = 2x of a bimodal x."""
    random = np.random.default_rng(1)
    x = np.r_[random.normal(-3, 0.3, 500), random.normal(3, 0.3, 500)]
    assert np.allclose(Asinh.fit(x).encode(x), Asinh.fit(2 * x).encode(2 * x))


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e90])
def test_asinh_is_finite(scale: float) -> None:
    numbers = scale * np.r_[np.linspace(-1, 1, 60), 1e6]
    scores = Asinh.fit(numbers).encode(numbers)
    assert np.isfinite(scores).all() and np.isfinite(Asinh.fit(numbers).decode(scores)).all()


def test_the_scaling_suits_the_column() -> None:
    random = np.random.default_rng(2)
    smooth = random.normal(size=500)
    assert suited(smooth) == "asinh"
    assert suited(np.r_[smooth, np.full(100, np.nan)]) == "asinh"
    assert suited(np.where(random.random(500) < 0.3, 0.0, smooth)) == "normal-score"  # a point mass
    assert suited(smooth[:20]) == "normal-score" and suited(1e200 * smooth) == "normal-score"
