"""Rows to arrays and back: types, bounds, point masses, missing values, many levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from codsa.encoders.blocks import ONE_HOT_LIMIT, LevelBlock, OrderedBlock
from codsa.encoders.mixed import MixedTable
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.prepare import Dataset
from codsa.schema import Column, cast, describe


def column_of(values: pd.Series, kind: str) -> tuple[Column, pd.Series]:
    stored = cast(values, Column("c", kind))
    return describe(Column("c", kind), stored), stored


def test_neural_encoding_comes_back_as_it_was(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]].reset_index(drop=True)
    encoder = TabularEncoder.fit(rows, dataset.schema.modelled)
    array = encoder.encode(rows)
    assert array.dtype == np.float32 and array.shape == (len(rows), encoder.width) and np.isfinite(array).all()
    back = encoder.decode(array)
    assert (back.dtypes == rows.dtypes).all()
    for column in dataset.schema.modelled:
        pd.testing.assert_series_equal(back[column.name].isna(), rows[column.name].isna())
        if column.type in ("categorical", "boolean", "integer"):
            pd.testing.assert_series_equal(back[column.name], rows[column.name])
        if column.type == "numeric":
            spread = rows[column.name].std()
            assert np.nanmax(np.abs(back[column.name] - rows[column.name])) < 0.05 * spread


def test_encoder_survives_its_arrays(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]]
    encoder = TabularEncoder.fit(rows, dataset.schema.modelled)
    again = TabularEncoder.from_arrays(encoder.to_arrays(), dataset.schema.modelled)
    assert np.array_equal(again.encode(rows), encoder.encode(rows))


def test_resamplers_encoding_comes_back_as_it_was(dataset: Dataset) -> None:
    rows = dataset.rows[[c.name for c in dataset.schema.modelled]].reset_index(drop=True)
    table = MixedTable.fit(rows, dataset.schema.modelled)
    pd.testing.assert_frame_equal(table.decode(*table.encode(rows)), rows, rtol=1e-9)


def test_noise_never_leaves_the_bounds() -> None:
    column, values = column_of(pd.Series([1.0, 2.0, 5.0, 100.0]), "numeric")
    block = OrderedBlock.fit(column, values)
    back = block.decode(np.random.default_rng(0).normal(scale=10, size=(500, 1)))
    assert back.between(1.0, 100.0).all() and back.min() == 1.0 and back.max() == 100.0


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
