"""No value of a user's table changes on its way: whole numbers beyond floats, and texts in two spellings."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import call, write_prepared
from test_bad_input import refused

from codsa.cli.prepare import main as codsa_prepare
from codsa.data import rows as stored
from codsa.data.dataset import load_dataset
from codsa.data.preparation import prepare
from codsa.data.rows import open_dataset
from codsa.data.schema import Column, cast, describe, infer_type
from codsa.data.unicode import composed_table
from codsa.encoders.mixed import MixedTable
from codsa.encoders.tabular import TabularEncoder
from codsa.encoders.values import from_codes, level_codes
from codsa.errors import CodsaError
from codsa.readers.datasets import Origin, kept, read_origin, read_parts
from codsa.readers.stored import read_raw
from codsa.readers.tables import read_table
from codsa.settings.columns import ColumnOptions
from codsa.settings.images import ImageOptions
from codsa.settings.regions import RegionRule
from codsa.settings.sources import Part, SimulationSize
from codsa.stages.prepare import prepare_to

N = 60
LARGE = 2**60
KEPT: dict[str, tuple[list[Any], str]] = {
    "floats beyond 64 bits": ([1e19, 1e300] * 30, "numeric"),
    "floats beyond 2^53": ([2.0**53, 2.0**60] * 30, "numeric"),
    "ids": ([LARGE + i for i in range(N)], "integer"),
    "ids with a gap": ([LARGE + i % 50 for i in range(N - 1)] + [None], "integer"),
    "the 64-bit bounds": ([-(2**63), 2**63 - 1, None] * 20, "integer"),
    "just beyond 2^53": ([2**53 + 1, None] * 30, "integer"),
    "small, with gaps": ([1, 2, None] * 20, "integer"),
    "unsigned": ([2**64 - 1 - i for i in range(N)], "categorical"),
    "unsigned with gaps": ([2**64 - 1 - i for i in range(N - 1)] + [None], "categorical"),
    "long": ([10**25 + i for i in range(N)], "categorical"),
    "long with gaps": ([10**25 + i for i in range(N - 1)] + [None], "categorical"),
    "below 64 bits": ([-(2**63) - 5 + i for i in range(N)], "categorical"),
    "long, of both signs": ([10**25, -(10**25)] * 30, "categorical"),
    "long and exact": ([10**20, None] * 30, "numeric"),
}


def text_of(value: Any) -> str:
    return "" if value is None else str(value)


def as_csv(values: list[Any], path: Path) -> Path:
    lines = [f"{text_of(v)},{i / N},{'ab'[i % 2]}\n" for i, v in enumerate(values)]
    path.write_text("x,z,y\n" + "".join(lines), encoding="utf-8")
    return path


def as_lines(values: list[Any], path: Path) -> Path:
    records = [{"z": i / N, "y": "ab"[i % 2], **({} if v is None else {"x": v})} for i, v in enumerate(values)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def as_parquet(values: list[Any], path: Path) -> Path:
    """As other programs write it, without a word for pandas."""
    kind = pa.uint64() if max(v for v in values if v is not None) >= 2**63 and isinstance(values[0], int) else None
    table = pa.table(
        {"x": pa.array(values, kind), "z": [i / N for i in range(len(values))], "y": ["ab"[i % 2] for i in range(N)]}
    )
    pq.write_table(table, path)
    return path


WRITERS: dict[str, Callable[[list[Any], Path], Path]] = {".csv": as_csv, ".jsonl": as_lines, ".parquet": as_parquet}


def unchanged(stored_values: pd.Series, values: list[Any]) -> bool:
    plain = [None if pd.isna(v) else v for v in stored_values]
    assert [v is None for v in plain] == [v is None for v in values]
    pairs = [(a, b) for a, b in zip(plain, values, strict=True) if b is not None]
    for a, b in pairs:
        assert a == b if isinstance(b, float) else int(a) == b, (a, b)
    return True


BEYOND_PARQUET = {case for case in KEPT if "long" in case or "below" in case}


@pytest.mark.parametrize(
    ("case", "suffix"), [(c, w) for c in KEPT for w in WRITERS if w != ".parquet" or c not in BEYOND_PARQUET]
)
def test_numbers_are_stored_as_they_were_written(case: str, suffix: str, tmp_path: Path) -> None:
    values, kind = KEPT[case]
    longest = max(abs(v) for v in values if isinstance(v, int)) if kind != "numeric" else 0
    path = WRITERS[suffix](values, tmp_path / f"raw{suffix}")
    if suffix == ".jsonl" and (case == "long and exact" or longest >= 2**64 or "below" in case):
        with pytest.raises(CodsaError, match="Value is too"):
            read_table(path)
        return
    declared = ColumnOptions(target="y", columns={"x": {"role": "feature"}})
    prepare_to(tmp_path / "data", read_table(path), declared, RegionRule(), {})
    dataset = load_dataset(tmp_path / "data")
    assert dataset.schema.column("x").type == kind
    assert unchanged(dataset.rows["x"], values)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("suffix", WRITERS)
def test_no_whole_number_changes(suffix: str, seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    bits = int(random.integers(1, 64))
    values: list[Any] = [int(v) for v in random.integers(-(2**bits) // 2, 2**bits // 2, N)]
    values = [None if random.random() < (seed % 3) / 5 else v for v in values]
    values[:2] = [2**bits // 2 - 1, -(2**bits) // 2]
    table = read_table(WRITERS[suffix](values, tmp_path / f"raw{suffix}"))
    rows, schema = prepare(table, ColumnOptions(target="y", columns={"x": {"role": "feature"}}), RegionRule())
    assert schema.column("x").type == "integer" and unchanged(rows["x"], values)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_lines_keep_their_digits(ending: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    values = [LARGE + 1, None] * 30
    plain = as_lines(values, tmp_path / "raw.jsonl").read_bytes()
    (tmp_path / f"raw.jsonl{ending}").write_bytes(pack(plain))
    assert unchanged(read_table(tmp_path / f"raw.jsonl{ending}")["x"], values)


def test_zipped_and_zstandard_lines_keep_their_digits(tmp_path: Path) -> None:
    import zipfile

    values = [LARGE + 1, None] * 30
    plain = as_lines(values, tmp_path / "raw.jsonl")
    with zipfile.ZipFile(tmp_path / "raw.jsonl.zip", "w") as archive:
        archive.write(plain, "raw.jsonl")
    with pa.output_stream(str(tmp_path / "raw.jsonl.zst"), compression="zstd") as out:
        out.write(plain.read_bytes())
    for ending in ("zip", "zst"):
        assert unchanged(read_table(tmp_path / f"raw.jsonl.{ending}")["x"], values)


def test_what_is_kept_as_text_or_rounded_is_said(tmp_path: Path) -> None:
    ended = call(codsa_prepare, as_csv(KEPT["unsigned with gaps"][0], tmp_path / "a.csv"), "--out", tmp_path / "a")
    assert ended.code == 0
    assert any("kept as texts" in note for note in load_dataset(tmp_path / "a").schema.notes)
    ended = call(codsa_prepare, as_csv([LARGE + 1] + [0.5] * 59, tmp_path / "b.csv"), "--out", tmp_path / "b")
    assert ended.code == 0
    assert any(f"as {LARGE + 1}; they are rounded" in note for note in load_dataset(tmp_path / "b").schema.notes)


def test_a_target_beyond_64_bits_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "raw.csv"
    lines = [f"{1e19 * (1 + i)!r},{i / N}\n" for i in range(N)]
    path.write_text("y,z\n" + "".join(lines), encoding="utf-8")
    assert call(codsa_prepare, path, "--out", tmp_path / "data").code == 0
    dataset = load_dataset(tmp_path / "data")
    assert dataset.schema.task == "regression" and dataset.schema.column("y").type == "numeric"
    assert dataset.rows["y"].tolist() == [1e19 * (1 + i) for i in range(N)]


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([1e19, 1.0], "integer", "beyond a 64-bit whole number"),
        ([-1e19, 1.0], "integer", "beyond a 64-bit whole number"),
        ([2.0**63, 1.0], "integer", "beyond a 64-bit whole number"),
        (["99999999999999999999", "1"], "integer", "more digits|beyond a 64-bit"),
        (np.array([2**64 - 1, 1], dtype=np.uint64), "integer", "beyond a 64-bit whole number"),
        ([LARGE + 1, 1], "numeric", "more digits than a 64-bit float holds"),
        ([str(LARGE + 1), None], "numeric", "more digits than a 64-bit float holds"),
        ([str(LARGE + 1), "0.5"], "numeric", "more digits than a 64-bit float holds"),
        ([str(LARGE + 1), "0.5"], "integer", "more digits than a 64-bit float holds"),
    ],
)
def test_a_number_that_a_type_cannot_hold_is_refused(values: Any, kind: str, words: str) -> None:
    with pytest.raises(CodsaError, match=rf"column 'x': not readable as {kind} .*({words})"):
        cast(pd.Series(values), Column("x", kind))


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        ([1e19, 2e19], "categorical", None),
        ([1e19, 1.0], "categorical", [1, 2]),
        ([str(LARGE + 1), None, str(LARGE + 2)], "integer", None),
        ([-(2.0**63), None], "integer", None),
    ],
)
def test_casts_never_wrap(values: list[Any], kind: str, levels: list[int] | None) -> None:
    try:
        stored_values = cast(pd.Series(values), Column("x", kind, levels=levels))
    except CodsaError:
        assert levels is not None
        return
    plain = [None if pd.isna(v) else v for v in stored_values]
    assert [v if v is None else float(v) for v in plain] == [v if v is None else float(v) for v in values]
    assert kind == "categorical" or [v if v is None else int(v) for v in plain] == [
        v if v is None else int(v) for v in values
    ]


def test_types_of_large_numbers() -> None:
    assert infer_type(pd.Series([1e19, 2e19])) == "numeric"
    assert infer_type(pd.Series([2.0**53 - 1, 2.0])) == "integer"
    assert infer_type(pd.Series([LARGE, 5])) == "integer"
    assert infer_type(pd.Series([2**64 - 1], dtype="uint64")) == "categorical"
    assert infer_type(pd.Series([2**63], dtype="uint64")) == "numeric"


@pytest.mark.parametrize("gap", [False, True])
def test_levels_near_2_to_the_60_stay_apart(gap: bool) -> None:
    levels = [LARGE + i for i in range(50)]
    values = pd.Series(pd.array([*levels, None] if gap else levels, dtype="Int64"))
    column = describe(Column("x", "categorical"), values)
    codes = level_codes(values, column)
    assert column.levels == levels and codes.tolist() == list(range(51 if gap else 50))
    pd.testing.assert_series_equal(from_codes(codes, column), values)


SPREADS: dict[str, list[int]] = {
    "near 2^60": [LARGE + i for i in range(50)],
    "scattered": [-(2**62), -(2**61) - 3, 7, 2**60 + 1, 2**62 - 5],
    "as wide as 64 bits": [-(2**63), -(2**61) - 3, 7, 2**60 + 1, 2**63 - 1],
}


@pytest.mark.parametrize("case", SPREADS)
@pytest.mark.parametrize("gap", [False, True])
def test_large_numbers_come_back_from_the_encoders(case: str, gap: bool) -> None:
    values = pd.Series(pd.array(np.resize(SPREADS[case], 300), dtype="Int64")).mask(np.arange(300) % 7 == gap - 1)
    column = describe(Column("x", "integer"), values)
    rows = pd.DataFrame({"x": values})
    for table in (TabularEncoder.fit(rows, [column]), MixedTable.fit(rows, [column])):
        encoded = table.encode(rows)
        decoded = table.decode(*encoded) if isinstance(encoded, tuple) else table.decode(encoded)
        pd.testing.assert_series_equal(decoded["x"], values, check_names=False)
    encoder = TabularEncoder.fit(rows, [column])
    again = TabularEncoder.from_arrays(encoder.to_arrays(), [column])
    pd.testing.assert_frame_equal(again.decode(encoder.encode(rows)), encoder.decode(encoder.encode(rows)))


def test_regions_of_large_numbers(tmp_path: Path) -> None:
    sites = [LARGE, LARGE + 1, None] * 20
    table = read_table(as_csv(sites, tmp_path / "raw.csv"))
    dataset = write_prepared(tmp_path / "data", table, RegionRule(by="column", column="x", min_rows=5))
    assert dataset.schema.regions.names == [str(LARGE), str(LARGE + 1), "missing"]
    assert dataset.regions().tolist() == [0, 1, 2] * 20


def test_a_file_too_large_for_memory_keeps_its_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [LARGE + i for i in range(N - 1)] + [None]
    path = as_parquet(values, tmp_path / "raw.parquet")
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    monkeypatch.setattr(stored, "CHUNK_ROWS", 7)
    declared = ColumnOptions(target="y", columns={"x": {"role": "feature"}})
    assert read_raw(path) == path
    prepare_to(tmp_path / "data", path, declared, RegionRule(), {})
    assert unchanged(load_dataset(tmp_path / "data").rows["x"], values)
    assert unchanged(open_dataset(tmp_path / "data").column("x"), values)


def test_parts_are_put_together_without_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"x,y\n{LARGE + 1},a\n{LARGE + 2},b\n")
    (tmp_path / "b.csv").write_text("x,y\n5,a\n,b\n")
    (tmp_path / "c.csv").write_text("y\na\n")
    parts = [Part(path=tmp_path / f"{name}.csv") for name in "abc"]
    table = read_parts(parts, ImageOptions()).table
    assert isinstance(table, pd.DataFrame)
    assert unchanged(table["x"], [LARGE + 1, LARGE + 2, 5, None, None])
    (tmp_path / "b.csv").write_text("x,y\n0.5,a\n,b\n")
    with pytest.raises(CodsaError, match="column 'x': whole numbers beyond 2\\^53 in one table"):
        read_parts(parts, ImageOptions())


def test_small_numbers_are_read_as_before(tmp_path: Path) -> None:
    """Their types decide what an expression says of missing values."""
    (tmp_path / "a.csv").write_text("k,g,t,b,c,m\n1,1,a,True,True,5\n2,,,,False,x\n")
    table = read_table(tmp_path / "a.csv")
    assert [str(kind) for kind in table.dtypes] == ["int64", "float64", "str", "object", "bool", "str"]
    assert table["b"].tolist()[0] is True and table["m"].tolist() == ["5", "x"]
    raw = read_origin(Origin(str(tmp_path / "a.csv")), ImageOptions(), SimulationSize(), tmp_path)
    kept_rows = kept(raw, "g != 1").table
    assert len(kept_rows) == 1


# ------------------------------------------------------------------ spellings

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_two_spellings_are_one_level_and_one_region(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"site": [COMPOSED, DECOMPOSED, "bar"] * 40, DECOMPOSED: np.arange(120) % 7, "y": ["a", "b"] * 60}
    )
    path = tmp_path / f"raw{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True, force_ascii=False)
    options = ("--regions", "column", "--region-column", "site", "--keep", f"site in ['{DECOMPOSED}', 'bar']")
    more = ("--column", f"{DECOMPOSED}=numeric", "--out", tmp_path / "data")
    ended = call(codsa_prepare, path, *options, *more)
    assert ended.code == 0, ended.err
    dataset = load_dataset(tmp_path / "data")
    assert dataset.schema.regions.names == ["bar", COMPOSED] and len(dataset) == 120
    assert dataset.schema.column("site").levels == ["bar", COMPOSED]
    assert dataset.schema.column(COMPOSED).type == "numeric"
    for words in ("1 column names brought to", "column 'site': 40 texts brought to"):
        assert any(words in note for note in dataset.schema.notes)


def test_two_spellings_of_a_name_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({COMPOSED: range(60), DECOMPOSED: range(60), "y": ["a", "b"] * 30})
    frame.to_csv(tmp_path / "raw.csv", index=False)
    frame.to_parquet(tmp_path / "raw.parquet")
    for suffix in ("csv", "parquet"):
        ended = call(codsa_prepare, tmp_path / f"raw.{suffix}", "--out", tmp_path / "data")
        assert refused(ended, f"column name '{COMPOSED}' stands 2 times")
    with pytest.raises(CodsaError, match="stands 2 times"):
        prepare(frame, ColumnOptions(target="y"), RegionRule())


def test_a_large_file_is_spelt_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    frame = pd.DataFrame({"site": [COMPOSED, DECOMPOSED] * 30, "z": np.linspace(0, 1, 60), "y": ["a", "b"] * 30})
    frame.to_parquet(tmp_path / "raw.parquet")
    prepare_to(tmp_path / "data", tmp_path / "raw.parquet", ColumnOptions(target="y"), RegionRule(), {})
    schema = load_dataset(tmp_path / "data").schema
    assert schema.column("site").levels == [COMPOSED] and "30 texts brought to" in schema.notes[0]
    frame.rename(columns={"z": DECOMPOSED}).to_parquet(tmp_path / "raw.parquet")
    with pytest.raises(CodsaError, match="not in Unicode's composed form"):
        prepare_to(tmp_path / "data", tmp_path / "raw.parquet", ColumnOptions(target="y"), RegionRule(), {})


def test_classes_and_normal_levels_may_be_spelt_either_way() -> None:
    frame = pd.DataFrame({"z": np.linspace(0, 1, 80), "g": ["u", "v"] * 40, "y": [DECOMPOSED, "b", "b", COMPOSED] * 20})
    declared = ColumnOptions(target="y", classes=[DECOMPOSED, "b"])
    assert prepare(frame, declared, RegionRule())[1].classes == ["b", COMPOSED]
    declared = ColumnOptions(target="y", task="detection", normal=[DECOMPOSED])
    assert prepare(frame, declared, RegionRule(by="column", column="g"))[1].normal == [COMPOSED]


def test_other_values_are_left_as_they_are() -> None:
    objects = pd.Series([DECOMPOSED, 1, None, (1, 2), b"x"], dtype=object)
    table, notes = composed_table(
        pd.DataFrame({"a": objects, "b": pd.Series(["u"] * 5, dtype="category"), 3: range(5)})
    )
    assert table["a"].tolist() == [COMPOSED, 1, None, (1, 2), b"x"] and list(table) == ["a", "b", "3"]
    assert notes == ["column 'a': 1 texts brought to Unicode's composed form (NFC)"]
    assert table["b"].dtype == "category" and table["3"].tolist() == list(range(5))
