"""Types, roles and tasks: inferred, corrected, enforced, and kept through Parquet."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import write_prepared

from codsa.data.dataset import Dataset, load_dataset
from codsa.data.preparation import prepare
from codsa.data.regions import Regions
from codsa.data.schema import Column, Schema, cast, cast_columns, empty_table, infer_role, infer_type
from codsa.errors import CodsaError
from codsa.io.records import read_json, write_json
from codsa.io.tables import read_parquet, write_parquet
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule

ALL = RegionRule()


def table(**columns: Any) -> pd.DataFrame:
    """60 rows with the given columns, a number `z` and a class `y`."""
    return pd.DataFrame({**columns, "z": np.linspace(0, 1, 60), "y": ["a", "b"] * 30})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2.0], "numeric"),
        ([1.5, None], "numeric"),
        ([1, 2], "integer"),
        ([1.0, None, 3.0], "integer"),  # whole numbers with gaps
        ([True, False], "boolean"),
        ([True, None, False], "boolean"),
        (["red", "blue"], "categorical"),
        (["2020-01-01", "2021-12-31"], "datetime"),
        (["2020-01-01T10:20:30Z", None], "datetime"),
        (["2020-01-01 10:20", "2020-01-02 11:00"], "datetime"),
        (["2020-01-01", "soon"], "categorical"),
        (["2020-1-1"], "categorical"),
        ([pd.Timestamp("2020-01-01")], "datetime"),
        ([datetime.date(2020, 1, 1), None], "datetime"),
        (["1", "2"], "categorical"),  # text stays text
    ],
)
def test_inferred_types(values: list[Any], expected: str) -> None:
    assert infer_type(pd.Series(values)) == expected


def test_types_and_roles_of_the_mixed_table(dataset: Dataset) -> None:
    assert {c.name: (c.type, c.role) for c in dataset.schema.columns} == {
        "patient_id": ("categorical", "ignored"),
        "income": ("numeric", "feature"),
        "score": ("numeric", "feature"),
        "visits": ("integer", "feature"),
        "site": ("categorical", "feature"),
        "smoker": ("boolean", "feature"),
        "seen": ("datetime", "feature"),
        "empty": ("categorical", "ignored"),
        "y": ("categorical", "target"),
    }
    assert dataset.schema.features == ["income", "score", "visits", "site", "smoker", "seen"]
    assert [c.name for c in dataset.schema.modelled] == [*dataset.schema.features, "y"]
    assert dataset.schema.notes == [
        "column 'patient_id' left out: identifier: every value is different",
        "column 'empty' left out: every value is missing",
    ]


def test_columns_are_described(dataset: Dataset, mixed_table: pd.DataFrame) -> None:
    score, site = dataset.schema.column("score"), dataset.schema.column("site")
    assert (score.minimum, score.maximum) == (mixed_table["score"].min(), mixed_table["score"].max())
    assert (score.missing, score.levels) == (24, None)
    assert (site.levels, site.missing, site.minimum) == (["north", "south", "west"], 15, None)
    assert dataset.schema.column("smoker").levels == [False, True]
    assert dataset.schema.column("seen").minimum == mixed_table["seen"].min() + "T00:00:00"
    assert dataset.schema.classes == ["sick", "well"]


@pytest.mark.parametrize(
    ("name", "values", "role"),
    [
        ("order_id", [7, 3, 5], "ignored"),
        ("uuid", [7, 3, 5], "ignored"),
        ("Unnamed: 0", [7, 3, 5], "ignored"),
        ("count", [5, 6, 7], "ignored"),  # counts the rows
        ("dose", [7, 3, 5], "feature"),
        ("acid", [7, 3, 5], "feature"),  # ends in "id" and is none
        ("id", [7, 3, 7], "feature"),  # not different
        ("height_id", [7.5, 3.5, 5.5], "feature"),  # measured
    ],
)
def test_identifiers(name: str, values: list[float], role: str) -> None:
    series = pd.Series(values)
    assert infer_role(name, series, infer_type(series))[0] == role


def test_long_text_that_never_repeats_is_an_identifier() -> None:
    assert infer_role("town", pd.Series([f"t{i}" for i in range(21)]), "categorical")[0] == "ignored"
    assert infer_role("town", pd.Series([f"t{i}" for i in range(20)]), "categorical")[0] == "feature"


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ([0, 1] * 30, "classification"),
        (list(range(20)) * 3, "classification"),
        (list(range(30)) * 2, "regression"),
        (np.linspace(0, 1, 60), "regression"),
        ([0.5, 1.5] * 30, "regression"),
        ([True, False] * 30, "classification"),
        (["a", "b"] * 30, "classification"),
    ],
)
def test_inferred_task(target: Any, task: str) -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 1, 60), "y": target})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule(min_rows=1))
    assert schema.task == task
    assert (schema.column("y").levels is not None) == (task == "classification")
    assert len(rows) == 60


def test_integer_classes_stay_integers() -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 1, 60), "y": [3, 7] * 30})
    rows, schema = prepare(frame, ColumnOptions(target="y"), ALL)
    assert schema.classes == [3, 7] and schema.column("y").type == "categorical"
    assert str(rows["y"].dtype) == "Int64" and schema.regions.names == ["3", "7"]


def test_a_declared_task_wins() -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 1, 60), "y": list(range(10)) * 6})
    assert prepare(frame, ColumnOptions(target="y", task="regression"), ALL)[1].task == "regression"
    halves = pd.DataFrame({"x": np.linspace(0, 1, 60), "y": [0.5, 1.5] * 30})
    assert prepare(halves, ColumnOptions(target="y", task="classification"), ALL)[1].classes == ["0.5", "1.5"]


@pytest.mark.parametrize(
    ("said", "name", "expected"),
    [
        ({"x": {"type": "categorical"}}, "x", ("categorical", "feature")),
        ({"x": {"type": "numeric"}}, "x", ("numeric", "feature")),
        ({"x": {"role": "ignored"}}, "x", ("integer", "ignored")),
        ({"key": {"role": "feature"}}, "key", ("integer", "feature")),
        ({"key": {"role": "feature", "type": "categorical"}}, "key", ("categorical", "feature")),
    ],
)
def test_corrections_win(said: dict[str, dict[str, str]], name: str, expected: tuple[str, str]) -> None:
    frame = table(x=[1, 2, 3] * 20, key=list(range(60)))
    column = prepare(frame, ColumnOptions(target="y", columns=said), ALL)[1].column(name)
    assert (column.type, column.role) == expected


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"target": "Y2"}, "no column 'Y2'"),
        ({"target": "y", "task": "clasification"}, "did you mean 'classification'"),
        ({"target": "y", "task": "regression"}, "target 'y' is categorical; regression needs a number"),
        ({"target": "y", "group": "gruop"}, "no column 'gruop' in the table; did you mean 'group'"),
        ({"target": "y", "columns": {"xx": {"type": "numeric"}}}, "no column 'xx'"),
        ({"target": "y", "columns": {"x": {"type": "number"}}}, "did you mean 'numeric'"),
        ({"target": "y", "columns": {"x": {"role": "features"}}}, "did you mean 'feature'"),
        ({"target": "y", "columns": {"x": {"kind": "numeric"}}}, "unknown key 'kind'"),
        ({"target": "y", "columns": {"group": {"type": "integer"}}}, "column 'group': not readable as integer"),
        ({"target": "y", "columns": {"group": {"type": "datetime"}}}, "column 'group': not readable as datetime"),
        ({"target": "y", "columns": {"x": {"role": "target"}}}, "x.role = 'target'"),
        ({"target": "y", "columns": {"x": {"role": "group"}}}, "x.role = 'group'"),
        ({"target": "day"}, "target 'day' is datetime"),
        ({"target": "void"}, r"column 'void' \(target\): every value is missing"),
        ({"target": "y", "columns": {"void": {"role": "feature"}}}, "column 'void' .*every value is missing"),
        ({"target": "y", "columns": {"void": {"type": "numeric"}}}, "column 'void' .*every value is missing"),
        ({"target": "same"}, r"target 'same' is constant \(1\)"),
    ],
)
def test_wrong_declarations_are_refused(declared: dict[str, Any], message: str) -> None:
    frame = table(x=[1.5, 2.5] * 30, group=["u", "v"] * 30, void=np.nan, same=1)
    frame["day"] = pd.date_range("2020-01-01", periods=60)
    with pytest.raises(CodsaError, match=message):
        prepare(frame, ColumnOptions.read(declared, "data"), ALL)


def test_rows_without_a_target_are_left_out_with_a_note() -> None:
    frame = pd.DataFrame({"x": np.arange(60) / 4, "y": [None, "a", "b"] * 20})
    rows, schema = prepare(frame, ColumnOptions(target="y"), ALL)
    assert rows["x"].tolist() == [i / 4 for i in range(60) if i % 3] and rows.index.tolist() == list(range(40))
    assert "target 'y': missing in 20 of 60 rows, which are left out" in schema.notes


def test_without_features_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(CodsaError, match="no feature column is left"):
        prepare(pd.DataFrame({"key": range(60), "y": ["a", "b"] * 30}), ColumnOptions(target="y"), ALL)


def test_a_void_column_may_be_declared_ignored() -> None:
    schema = prepare(
        table(x=range(60), void=np.nan), ColumnOptions(target="y", columns={"void": {"role": "ignored"}}), ALL
    )[1]
    assert schema.column("void").role == "ignored"


def test_values_that_are_lists_are_refused() -> None:
    with pytest.raises(CodsaError, match=r"column 'x': .*list"):
        prepare(table(x=[[1, 2]] * 60), ColumnOptions(target="y"), ALL)


@pytest.mark.parametrize(
    ("kind", "values", "dtype", "expected"),
    [
        ("numeric", [1, None, 2.5], "float64", [1.0, None, 2.5]),
        ("numeric", ["1", "2.5"], "float64", [1.0, 2.5]),
        ("integer", [1.0, None, 3.0], "Int64", [1, None, 3]),
        ("integer", [0.6, 2.4], "Int64", [1, 2]),  # generated numbers are rounded
        ("integer", [2**60 + 1, 5], "Int64", [2**60 + 1, 5]),  # beyond what a float64 holds
        ("boolean", [True, None, False], "boolean", [True, None, False]),
        ("boolean", [1, 0], "boolean", [True, False]),
        ("categorical", ["u", None], "str", ["u", None]),
        ("categorical", [1.0, None, 3.0], "Int64", [1, None, 3]),
        ("categorical", [0.5, 1.5], "str", ["0.5", "1.5"]),
        ("datetime", ["2020-01-02", None], "datetime64[ns]", [pd.Timestamp("2020-01-02"), None]),
        ("datetime", ["2020-01-02T01:00:00+02:00"], "datetime64[ns]", [pd.Timestamp("2020-01-01T23:00:00")]),
        ("datetime", [datetime.date(2020, 1, 2)], "datetime64[ns]", [pd.Timestamp("2020-01-02")]),
    ],
)
def test_casts_and_their_way_through_parquet(
    kind: str, values: list[Any], dtype: str, expected: list[Any], tmp_path: Path
) -> None:
    column = Column("x", kind)
    found = cast(pd.Series(values, name="x"), column)
    assert str(found.dtype) == dtype
    assert [None if pd.isna(v) else v for v in found] == expected
    write_parquet(tmp_path / "x.parquet", found.to_frame())
    pd.testing.assert_series_equal(found, cast(read_parquet(tmp_path / "x.parquet")["x"], column))
    pd.testing.assert_series_equal(found, cast(found, column))


def test_a_dataset_comes_back_as_it_was(mixed_table: pd.DataFrame, tmp_path: Path) -> None:
    rows, schema = prepare(mixed_table, ColumnOptions(target="y"), ALL)
    dataset = write_prepared(tmp_path / "d", mixed_table)
    pd.testing.assert_frame_equal(dataset.rows, rows)
    assert dataset.schema == schema
    assert Schema.from_dict(schema.to_dict()) == schema
    assert load_dataset(tmp_path / "d").digest == dataset.digest


def test_a_changed_value_or_type_changes_the_digest(mixed_table: pd.DataFrame, tmp_path: Path) -> None:
    first = write_prepared(tmp_path / "a", mixed_table)
    mixed_table.loc[5, "income"] += 1e-9
    assert write_prepared(tmp_path / "b", mixed_table).digest != first.digest
    correct(tmp_path / "a", "visits", type="numeric")
    assert load_dataset(tmp_path / "a").digest != first.digest


def correct(folder: Path, name: str, /, **changes: Any) -> None:
    """Edit one column in a dataset's schema.json, as a user does."""
    record = read_json(folder / "schema.json")
    next(c for c in record["columns"] if c["name"] == name).update(changes)
    write_json(folder / "schema.json", record)


def test_a_type_corrected_in_the_file_is_described_anew(dataset: Dataset, tmp_path: Path) -> None:
    correct(tmp_path / "data", "visits", type="categorical")
    column = load_dataset(tmp_path / "data").schema.column("visits")
    assert column.levels == sorted(set(dataset.rows["visits"]))
    assert column.minimum is None and column.maximum is None


def test_a_role_corrected_in_the_file_is_obeyed(dataset: Dataset, tmp_path: Path) -> None:
    correct(tmp_path / "data", "income", role="ignored")
    assert "income" not in load_dataset(tmp_path / "data").schema.features


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("site", {"type": "categorial"}, "did you mean 'categorical'"),
        ("site", {"role": "feture"}, "did you mean 'feature'"),
        ("site", {"type": "numeric"}, "column 'site': not readable as numeric"),
        ("site", {"role": "target"}, "2 columns have the role target"),
        ("y", {"role": "feature"}, "0 columns have the role target"),
        ("site", {"colour": "red"}, "not a CoDSA schema"),
        ("site", {"name": "place"}, "lacking: \\['place'\\]; not in the schema: \\['site'\\]"),
    ],
)
def test_a_wrongly_corrected_file_is_refused(
    name: str, changes: dict[str, str], message: str, dataset: Dataset, tmp_path: Path
) -> None:
    correct(tmp_path / "data", name, **changes)
    with pytest.raises(CodsaError, match=message):
        load_dataset(tmp_path / "data")


def test_two_group_columns_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    correct(tmp_path / "data", "site", role="group")
    assert load_dataset(tmp_path / "data").schema.group == "site"
    correct(tmp_path / "data", "smoker", role="group")
    with pytest.raises(CodsaError, match="2 columns have the role group"):
        load_dataset(tmp_path / "data")


def test_an_unknown_column_suggests_the_nearest(dataset: Dataset) -> None:
    with pytest.raises(CodsaError, match="did you mean 'income'"):
        dataset.schema.column("incme")


def test_a_foreign_record_is_no_schema() -> None:
    with pytest.raises(CodsaError, match="not a CoDSA schema"):
        Schema.from_dict({"columns": []})
    with pytest.raises(CodsaError, match="did you mean 'ranges'"):
        Regions.from_dict({"kind": "range", "names": [], "column": None, "members": []})


def test_a_table_is_cast_column_by_column(dataset: Dataset) -> None:
    rows, columns = dataset.rows, dataset.schema.modelled
    raw = rows.astype({"visits": "float64", "smoker": object})[::-1]
    made = cast_columns(raw.assign(stranger=1), columns)
    pd.testing.assert_frame_equal(made, rows[[c.name for c in columns]][::-1])
    empty = empty_table(columns)
    assert len(empty) == 0 and list(empty) == list(made)
    assert (empty.dtypes[["visits", "score"]] == made.dtypes[["visits", "score"]]).all()


def of_columns(*columns: Column) -> Schema:
    target = Column("y", "categorical", "target", levels=["a", "b"])
    return Schema([*columns, target], "classification", Regions("values", ["a", "b"], "y", [["a"], ["b"]]))


def test_the_embedding_of_a_modelled_text_comes_first() -> None:
    text, other = Column("text", "text", "attribute"), Column("v", "vector", shape=[3])
    own = Column("e", "vector", shape=[4], of="text")
    assert own.is_text_embedding and not other.is_text_embedding
    assert of_columns(text, other, own).embedding == own
    assert of_columns(other, own).embedding == other  # no text is modelled, so the first vector is taken
    assert of_columns(text).embedding is None
    assert of_columns(text, Column("e", "vector", "ignored", shape=[4], of="text")).embedding is None
