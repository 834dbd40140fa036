"""Preparing a Parquet file that stays in its file gives the dataset that a table in memory gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data import rows as stored
from codsa.data.dataset import load_dataset
from codsa.data.rows import StoredDataset, open_dataset
from codsa.data.split import Split, load_split
from codsa.errors import CodsaError
from codsa.io.seeds import SeedContext
from codsa.readers import stored as reading
from codsa.readers.stored import read_raw
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.settings.regions import RegionRule
from codsa.stages.fit import fit_grid
from codsa.stages.prepare import prepare_to

RULES = {
    "by class": RegionRule(),
    "a column's values": RegionRule(by="column", column="site"),
    "ranges": RegionRule(by="range", column="amount", edges=[0.0]),
    "expressions": RegionRule(by="expression", expressions={"many": "amount > 0", "few": "amount <= 0"}),
}


def awkward_table() -> pd.DataFrame:
    """Return 200 rows whose parts look different from the whole: gaps, whole numbers, an all-missing column."""
    random = np.random.default_rng(0)
    n = 200
    late = np.arange(n) >= n // 2
    return pd.DataFrame(
        {
            "amount": random.normal(size=n),
            "late": pd.Series(np.where(late, "seen", None), dtype=object),
            "ticks": np.where(late, random.integers(0, 5, n) + 0.5, random.integers(0, 5, n)),
            "count": np.where(late, np.nan, random.integers(0, 900, n)),
            "flag": pd.Series(np.where(random.random(n) < 0.1, None, random.random(n) < 0.5), dtype=object),
            "when": pd.date_range("2020-01-01", periods=n, freq="D").where(random.random(n) < 0.9),
            "empty": pd.Series([None] * n, dtype=object),
            "site": random.choice(["a", "b", "c"], n),
            "id": np.arange(n),
            "y": random.choice(["no", "yes"], n, p=[0.7, 0.3]),
        }
    )


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table as a Parquet file that counts as too large for memory."""
    path = tmp_path / "raw.parquet"
    awkward_table().to_parquet(path)
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    monkeypatch.setattr(stored, "CHUNK_ROWS", 30)
    return path


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("columns", [{}, {"ticks": {"type": "categorical"}, "count": {"type": "categorical"}}])
def test_the_dataset_is_the_same(
    rule: RegionRule, columns: dict[str, dict[str, str]], raw: Path, tmp_path: Path
) -> None:
    declared = ColumnOptions(target="y", columns=columns)
    kept = read_raw(raw)
    assert kept == raw
    prepare_to(tmp_path / "kept", kept, declared, rule, {})
    prepare_to(tmp_path / "held", pd.read_parquet(raw), declared, rule, {})
    assert (tmp_path / "kept/schema.json").read_bytes() == (tmp_path / "held/schema.json").read_bytes()
    a, b = load_dataset(tmp_path / "kept"), load_dataset(tmp_path / "held")
    pd.testing.assert_frame_equal(a.rows, b.rows)
    assert a.digest == b.digest == open_dataset(tmp_path / "kept").digest


def spelt_table() -> pd.DataFrame:
    """The table with texts in two spellings, an identifier, sentences, and classes written as decimals."""
    table = awkward_table()
    accented = np.where(np.arange(len(table)) % 2, "caf\u00e9", "cafe\u0301")
    grade = np.where(table["y"] == "yes", "1.50", "2.0")
    return table.assign(place=accented, told=[f"row {i} says so" for i in range(len(table))], grade=grade)


@pytest.mark.parametrize(
    ("declared", "rule"),
    [
        (ColumnOptions(target="y", columns={"told": {"type": "text", "role": "attribute"}}), RegionRule(min_rows=30)),
        (ColumnOptions(target="y", columns={"told": {"type": "text"}, "site": {"role": "attribute"}}), RegionRule()),
        (ColumnOptions(target="y", classes=["no", "yes"]), RegionRule(by="column", column="site")),
        (ColumnOptions(target="grade", task="classification", columns={"grade": {"type": "numeric"}}), RegionRule()),
        (ColumnOptions(target="flag", task="classification", columns={"flag": {"type": "boolean"}}), RegionRule()),
        (ColumnOptions(target="ticks", group="id"), RegionRule(quantiles=4, min_rows=70)),
        (ColumnOptions(target="site", task="detection", normal=["a"]), RegionRule(by="column", column="y")),
    ],
)
def test_schema_and_notes_are_the_same(
    declared: ColumnOptions, rule: RegionRule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "CHUNK_ROWS", 30)
    path = tmp_path / "raw.parquet"
    table = spelt_table() if declared.target != "flag" else spelt_table().dropna(subset="flag").reset_index(drop=True)
    table.to_parquet(path)
    for name, raw in (("kept", path), ("held", pd.read_parquet(path))):
        prepare_to(tmp_path / name, raw, declared, rule, {}, ["3 rows were left out"])
    assert (tmp_path / "kept/schema.json").read_bytes() == (tmp_path / "held/schema.json").read_bytes()
    kept, held = load_dataset(tmp_path / "kept"), load_dataset(tmp_path / "held")
    assert kept.digest == held.digest and kept.schema.notes == held.schema.notes
    respelt = sum(table["place"] != "caf\u00e9")
    said = f"column 'place': {respelt} texts brought to Unicode's composed form (NFC)"
    assert kept.schema.notes[:2] == ["3 rows were left out", said]


def test_a_target_outside_the_declared_classes_is_refused_wherever_it_lies(raw: Path, tmp_path: Path) -> None:
    for table in (raw, pd.read_parquet(raw)):
        with pytest.raises(CodsaError, match="rows lie outside the classes no, maybe; the first is row"):
            prepare_to(tmp_path / "out", table, ColumnOptions(target="y", classes=["no", "maybe"]), RegionRule(), {})


def test_one_column_is_in_memory_at_a_time(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = reading.read_exact

    def one_column(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
        assert columns is not None and len(columns) == 1
        return read(path, columns)

    monkeypatch.setattr(reading, "read_exact", one_column)
    prepare_to(tmp_path / "kept", read_raw(raw), ColumnOptions(target="y"), RegionRule(), {})
    assert (tmp_path / "kept/manifest.json").exists()


@pytest.mark.parametrize(
    ("declared", "rule", "said"),
    [
        (ColumnOptions(target="z"), RegionRule(), "no column 'z'"),
        (ColumnOptions(target="empty"), RegionRule(), "every value is missing"),
        (ColumnOptions(target="y"), RegionRule(by="column", column="sit"), "no column 'sit'; did you mean 'site'"),
    ],
)
def test_mistakes_are_named_as_for_a_table_in_memory(
    declared: ColumnOptions, rule: RegionRule, said: str, raw: Path, tmp_path: Path
) -> None:
    for table in (raw, pd.read_parquet(raw)):
        with pytest.raises(CodsaError, match=said):
            prepare_to(tmp_path / "out", table, declared, rule, {})
    assert not (tmp_path / "out").exists()


def test_a_digest_is_checked(raw: Path) -> None:
    with pytest.raises(CodsaError, match="checksum"):
        read_raw(raw, "0" * 64)


def test_infinite_values_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    table = awkward_table()
    table.loc[7, "amount"] = np.inf
    table.to_parquet(tmp_path / "raw.parquet")
    with pytest.raises(CodsaError, match="infinite"):
        prepare_to(tmp_path / "out", read_raw(tmp_path / "raw.parquet"), ColumnOptions(target="y"), RegionRule(), {})


def test_an_estimator_is_the_same(split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = load_dataset(tmp_path / "data")
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    kept = open_dataset(tmp_path / "data")
    assert isinstance(kept, StoredDataset)
    roles = load_split(tmp_path / "split.parquet", kept)
    judge, grid = EstimatorSpec(name="logistic"), Grid(m=[0.0], alpha=["training"], reserve="all")
    seeds = SeedContext(0, "e", 0)
    fits = [fit_grid(data, roles, [], 0.5, grid, {"own": judge}, "cross-entropy", seeds) for data in (held, kept)]
    tables = [pd.DataFrame([point.record for point in of_data["own"].points]) for of_data in fits]
    pd.testing.assert_frame_equal(*tables)
