"""Partitions by class, column, quantile, range and expression; pooling of small regions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.data.regions import MISSING, Regions
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule


def prepared(rule: RegionRule, y: Any = None, task: str | None = None, **columns: Any) -> tuple[pd.DataFrame, Schema]:
    n = len(next(iter(columns.values()))) if columns else len(y)
    y = y if y is not None else np.resize(["a", "b"], n)
    frame = pd.DataFrame({**columns, "z": np.linspace(0, 1, n), "y": y})
    said = {name: {"role": "feature"} for name in columns}
    return prepare(frame, ColumnOptions(target="y", task=task, columns=said), rule)


def sizes(rows: pd.DataFrame, schema: Schema) -> dict[str, int]:
    counts = np.bincount(schema.regions.assign(rows), minlength=len(schema.regions))
    return dict(zip(schema.regions.names, counts.tolist(), strict=True))


def survives_json(regions: Regions, rows: pd.DataFrame) -> bool:
    again = Regions.from_dict(json.loads(json.dumps(regions.to_dict())))
    return again == regions and np.array_equal(again.assign(rows), regions.assign(rows))


def test_classes_are_the_regions_of_a_classification(dataset: Dataset) -> None:
    assert dataset.schema.regions.names == ["sick", "well"]
    assert np.array_equal(dataset.regions() == 0, dataset.rows["y"] == "sick")
    assert dataset.schema.regions.constant(1) == {"y": "well"}
    assert dataset.schema.regions.index("well") == 1
    with pytest.raises(CodsaError, match="no region 'wel'; did you mean 'well'"):
        dataset.schema.regions.index("wel")


def test_boolean_classes() -> None:
    rows, schema = prepared(RegionRule(), y=[True, False, False] * 20, x=np.arange(60.0))
    assert sizes(rows, schema) == {"False": 40, "True": 20}
    assert survives_json(schema.regions, rows)


def test_a_column_with_missing_values_has_a_region_of_them() -> None:
    rule = RegionRule(by="column", column="site", min_rows=1)
    rows, schema = prepared(rule, site=["n", "s", None] * 20)
    assert sizes(rows, schema) == {"n": 20, "s": 20, MISSING: 20}
    assert schema.regions.assign(rows)[:3].tolist() == [0, 1, 2]
    assert survives_json(schema.regions, rows)


def test_an_integer_column() -> None:
    rows, schema = prepared(RegionRule(by="column", column="k", min_rows=1), k=[10, 9, np.nan] * 20)
    assert sizes(rows, schema) == {"9": 20, "10": 20, MISSING: 20}  # in order of number, not of text
    assert survives_json(schema.regions, rows)


def test_a_value_never_seen_lies_in_no_region() -> None:
    rows, schema = prepared(RegionRule(by="column", column="site"), site=["n", "s"] * 30)
    foreign = rows.head(2).assign(site=pd.Series(["x", None], dtype="str"))
    assert schema.regions.assign(foreign).tolist() == [-1, -1]


def test_thirds_of_the_target_are_the_regions_of_a_regression() -> None:
    rows, schema = prepared(RegionRule(), y=np.arange(90.0) + 0.5)
    assert sizes(rows, schema) == {"y 0–33 %": 30, "y 33–67 %": 30, "y 67–100 %": 30}
    assert survives_json(schema.regions, rows)


def test_quantiles_of_a_column_with_missing_values() -> None:
    x = np.r_[np.arange(80.0), np.full(20, np.nan)]
    rows, schema = prepared(RegionRule(by="quantile", column="x", quantiles=4), x=x)
    assert sizes(rows, schema) == {"x 0–25 %": 20, "x 25–50 %": 20, "x 50–75 %": 20, "x 75–100 %": 20, MISSING: 20}
    assert schema.regions.members == [[None, 19.0], [19.0, 39.0], [39.0, 59.0], [59.0, None], [MISSING]]
    assert survives_json(schema.regions, rows)


def test_equal_quantiles_fall_together() -> None:
    x = np.r_[np.zeros(60), np.arange(1.0, 31)]
    rows, schema = prepared(RegionRule(by="quantile", column="x"), x=x)
    assert sizes(rows, schema) == {"x 0–67 %": 60, "x 67–100 %": 30}


def test_explicit_edges_close_on_the_right() -> None:
    rows, schema = prepared(RegionRule(by="range", column="x", edges=[2, 5]), x=np.arange(10.0))
    assert sizes(rows, schema) == {"x ≤ 2": 3, "2 < x ≤ 5": 3, "x > 5": 4}
    assert survives_json(schema.regions, rows)


def test_edges_that_are_dates() -> None:
    days = [*pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d"), *([None] * 20)]
    rows, schema = prepared(RegionRule(by="range", column="day", edges=["2020-01-10"]), day=days)
    assert sizes(rows, schema) == {"day ≤ 2020-01-10": 10, "day > 2020-01-10": 30, MISSING: 20}
    assert survives_json(schema.regions, rows)
    rows, schema = prepared(RegionRule(by="quantile", column="day", quantiles=2), day=days)
    assert list(sizes(rows, schema).values()) == [20, 20, 20]


def test_expressions_decide_in_their_order_and_leave_the_rest() -> None:
    rule = RegionRule(by="expression", expressions={"low": "x < 3", "lowish": "x < 5 or site == 's'"})
    rows, schema = prepared(
        rule, x=[0, 1, 2, 3, 4, 5, 6, np.nan] * 5, site=["n", "n", "n", "n", "n", "n", "s", "n"] * 5
    )
    assert sizes(rows, schema) == {"low": 15, "lowish": 15, "other": 10}
    assert schema.regions.assign(rows)[:8].tolist() == [0, 0, 0, 1, 1, 2, 1, 2]  # missing is false
    assert survives_json(schema.regions, rows)


def test_expressions_that_take_every_row_leave_no_rest() -> None:
    rule = RegionRule(by="expression", expressions={"low": "x < 3", "high": "x >= 3"})
    assert prepared(rule, x=np.arange(10))[1].regions.names == ["low", "high"]


def test_small_ordered_regions_join_their_smaller_neighbour() -> None:
    k = [1] * 30 + [2] * 5 + [3] * 25 + [4] * 40
    rows, schema = prepared(RegionRule(by="column", column="k"), k=k)
    assert sizes(rows, schema) == {"1": 30, "2+3": 30, "4": 40}
    assert schema.regions.pooled == [{"region": "2", "rows": 5, "into": "2+3"}]
    assert schema.notes == ["region '2' has 5 rows (fewer than 20): pooled into '2+3'"]
    assert survives_json(schema.regions, rows)


def test_small_ranges_grow_into_one_range() -> None:
    rule = RegionRule(by="range", column="x", edges=[2, 5, 30], pool=True, min_rows=5)
    rows, schema = prepared(rule, x=np.arange(60.0))
    assert sizes(rows, schema) == {"x ≤ 5": 6, "5 < x ≤ 30": 25, "x > 30": 29}


def test_small_unordered_regions_join_each_other() -> None:
    site = ["big"] * 60 + ["tiny"] * 3 + ["small"] * 8 + ["fair"] * 20
    rows, schema = prepared(RegionRule(by="column", column="site", min_rows=10), site=site)
    assert sizes(rows, schema) == {"big": 60, "fair": 20, "small+tiny": 11}
    assert schema.regions.pooled == [{"region": "tiny", "rows": 3, "into": "small+tiny"}]


def test_many_small_regions_become_other() -> None:
    site = ["big"] * 60 + [f"s{i}" for i in range(6) for _ in range(4)]
    rows, schema = prepared(RegionRule(by="column", column="site"), site=site)
    assert sizes(rows, schema) == {"big": 60, "other": 24}
    assert {p["into"] for p in schema.regions.pooled} == {"other"} and len(schema.regions.pooled) == 5


def test_few_missing_values_join_a_region_of_values() -> None:
    rows, schema = prepared(RegionRule(by="column", column="site"), site=["n"] * 30 + ["s"] * 25 + [None] * 5)
    assert sizes(rows, schema) == {"n": 30, "s+missing": 30}


def test_few_missing_values_of_ranges_are_refused() -> None:
    x = np.r_[np.arange(60.0), [np.nan] * 5]
    with pytest.raises(CodsaError, match="5 rows have it missing"):
        prepared(RegionRule(by="quantile", column="x"), x=x)
    rows, schema = prepared(RegionRule(by="quantile", column="x", pool=False), x=x)
    assert sizes(rows, schema)[MISSING] == 5


def test_pooled_expressions_take_no_rows_from_others() -> None:
    """Joining 'x < 22' to 'x < 63' would take the rows of 'x < 60' between them."""
    expressions = {"a": "x < 22", "b": "x < 60", "c": "x < 63"}
    rows, schema = prepared(RegionRule(by="expression", expressions=expressions, pool=True), x=np.arange(120.0))
    assert sizes(rows, schema) == {"a": 22, "b+c": 41, "other": 57}
    expressions = {"a": "x < 4", "b": "x < 50"}
    rows, schema = prepared(RegionRule(by="expression", expressions=expressions, pool=True), x=np.arange(90.0))
    assert sizes(rows, schema) == {"a+b": 50, "other": 40}


def test_explicit_regions_are_not_pooled_unless_asked() -> None:
    rows, schema = prepared(RegionRule(by="range", column="x", edges=[2]), x=np.arange(60.0))
    assert sizes(rows, schema) == {"x ≤ 2": 3, "x > 2": 57} and schema.notes == []


def test_pooling_can_be_switched_off() -> None:
    rows, schema = prepared(RegionRule(by="column", column="site", pool=False), site=["n"] * 57 + ["s"] * 3)
    assert sizes(rows, schema) == {"n": 57, "s": 3}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (RegionRule(by="column", column="xx"), "no column 'xx'; did you mean 'x'"),
        (RegionRule(by="quantile", column="site"), "column 'site' has no order"),
        (RegionRule(by="column", column="day"), "column 'day'.*date"),
        (RegionRule(by="quantile", column="same"), "fall together"),
        (RegionRule(by="range", column="x"), "must be increasing"),
        (RegionRule(by="range", column="x", edges=[5, 2]), "must be increasing"),
        (RegionRule(by="range", column="x", edges=["soon"]), "soon"),
        (RegionRule(by="range", column="x", edges=[100]), "region 'x > 100' has no row"),
        (RegionRule(by="expression"), "needs expressions"),
        (RegionRule(by="expression", expressions={"a": "x <"}), "'x <': cannot be evaluated"),
        (RegionRule(by="expression", expressions={"a": "zz < 3"}), "'zz < 3': cannot be evaluated"),
        (RegionRule(by="expression", expressions={"a": "x + 1"}), "not true or false"),
        (RegionRule(by="expression", expressions={"a": "x < 3", "b": "x < 2"}), "region 'b' has no row"),
        (RegionRule(by="expression", expressions={"a": "x >= 0"}), "one region only"),
        (RegionRule(by="expression", expressions={"other": "x < 3"}), "'other' stands for two"),
        (RegionRule(by="expression", expressions={"overall": "x < 3"}), "'overall'"),
        (RegionRule(by="column", column="twin", pool=False), "'missing' stands for two"),
        (RegionRule(by="quantile", column="x", min_rows=50), "fewer than 50.*one region only"),
        (RegionRule(by="column", column="site", min_rows=31), "'n' has 30 rows .fewer than 31.*one region only"),
    ],
)
def test_partitions_that_cannot_be_are_refused(rule: RegionRule, message: str) -> None:
    columns = {
        "x": np.arange(60.0),
        "site": ["n", "s"] * 30,
        "same": [1.5] * 60,
        "day": pd.date_range("2020-01-01", periods=60),
        "twin": ["missing", None, "u"] * 20,
    }
    with pytest.raises(CodsaError, match=message):
        prepared(rule, **columns)


@pytest.mark.parametrize(
    ("keys", "message"),
    [({"by": "colunm"}, "did you mean 'column'"), ({"quantiles": 1}, "quantiles = 1: .* 2")],
)
def test_a_rule_that_is_none_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(CodsaError, match=message):
        RegionRule.read(keys, "regions")
