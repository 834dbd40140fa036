"""What `codsa new` finds in a table and writes down, so that every later run reads the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Ended, call, make_mixed_table
from test_bad_input import refused

from codsa.cli.main import main as codsa
from codsa.cli.prepare import main as codsa_prepare
from codsa.io.records import read_json
from codsa.settings.tables import TableOptions
from codsa.workflow.config import Experiment, load_experiment
from codsa.workflow.study import Study
from codsa.workflow.template import write_experiment

N = 90


def clinic(folder: Path) -> Path:
    """A table as a hospital would export it."""
    random = np.random.default_rng(1)
    lines = []
    for i in range(N):
        crp = "<5" if i % 9 == 0 else f"{random.uniform(5, 200):.1f}"
        weight = f"{random.uniform(45, 120):.1f} kg"
        smoker = ["ja", "nein", "unbekannt"][i % 3]
        age = -999 if i % 30 == 0 else random.integers(20, 90)
        outcome = "" if i == 11 else ["gesund", "krank"][int(random.random() < 0.4)]
        lines.append(f"P{i:03d};{1 + i % 28}.{1 + i % 12}.2021;{crp};{weight};{smoker};{age};{outcome}\n")
    text = "Patient;Aufnahme;CRP;Gewicht;Raucher;Alter;Befund\n" + "".join(lines)
    path = folder / "klinik.csv"
    path.write_text(text, encoding="utf-8")
    return path


def new(table: Path, *arguments: object) -> tuple[Ended, Path]:
    out = table.with_suffix(".yaml")
    out.unlink(missing_ok=True)
    return call(codsa, "new", table, "--out", out, *arguments), out


def made(table: Path, *arguments: object) -> tuple[Experiment, str]:
    ended, out = new(table, *arguments)
    assert ended.code == 0, ended.err
    return load_experiment(out, "quick")[1], out.read_text(encoding="utf-8")


def table_of(folder: Path, **columns: Any) -> Path:
    frame = pd.DataFrame({"x": np.linspace(0, 1, N), "y": ["a", "b"] * (N // 2), **columns})
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def test_how_the_table_is_written_is_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment, text = made(clinic(tmp_path), "--target", "Befund", "--missing", "-999")
    assert experiment.data.table.model_dump(exclude_defaults=True) == {
        "guess": False, "sep": ";", "decimal": ".", "encoding": "utf-8", "header": True,
        "missing": ["-999", "unbekannt"], "numbers": {"CRP": "<1234.5", "Gewicht": "1234.5 kg"},
        "dates": {"Aufnahme": "%d.%m.%Y"},
    }  # fmt: skip
    for note in ("10 limits, as '<5'", "30 cells are taken as missing: 'unbekannt'", "missing in 1 of 90 rows"):
        assert note in text and note in caplog.text


def test_the_file_is_read_as_it_was_seen(tmp_path: Path) -> None:
    raw = clinic(tmp_path)
    experiment, _ = made(raw, "--target", "Befund")
    arguments = Study("klinik", experiment).prepare(experiment.data)
    assert "--no-guess" in arguments and "--number" in arguments
    assert call(codsa_prepare, *arguments, "--out", tmp_path / "study").code == 0
    assert call(codsa_prepare, raw, "--target", "Befund", "--out", tmp_path / "found").code == 0
    assert (tmp_path / "study/rows.parquet").read_bytes() == (tmp_path / "found/rows.parquet").read_bytes()
    # A later row in another format is an error, not another guess.
    raw.write_text(raw.read_text().replace("P003;4.4.2021", "P003;4/4/2021"), encoding="utf-8")
    assert refused(call(codsa_prepare, *arguments, "--out", tmp_path / "later"), "'4/4/2021'", "'%d.%m.%Y'")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_plain_table_of_every_kind_is_written_down(suffix: str, tmp_path: Path) -> None:
    frame, path = make_mixed_table(), tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    elif suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    experiment, text = made(path, "--target", "y")
    assert "guess: false" in text and experiment.data.table.sep == {".csv": ",", ".tsv": "\t"}.get(suffix)
    arguments = Study("t", experiment).prepare(experiment.data)
    assert call(codsa_prepare, *arguments, "--out", tmp_path / "out").code == 0


def test_keep_and_drop_leave_columns_out(tmp_path: Path) -> None:
    raw = table_of(tmp_path, u=np.arange(N) % 7, v=np.arange(N) % 5, site=["p", "q", "r"] * (N // 3))
    experiment, text = made(raw, "--target", "y", "--drop", "u", "--drop", "v")
    assert {name: c.role for name, c in experiment.data.columns.items()} == {"u": "ignored", "v": "ignored"}
    assert "# x: {type: numeric, role: feature}" in text and "# u:" not in text
    experiment, _ = made(raw, "--target", "y", "--region", "site", "--keep", "x", "--keep", "u", "--drop", "u")
    assert set(experiment.data.columns) == {"u", "v"} and experiment.regions.column == "site"
    assert refused(new(raw, "--target", "y", "--drop", "y")[0], "--drop y: it is the target")
    assert refused(new(raw, "--target", "y", "--region", "site", "--drop", "site")[0], "it is the region")
    assert refused(new(raw, "--target", "y", "--keep", "sote")[0], "no column 'sote'", "did you mean 'site'")


@pytest.mark.parametrize("kind", ["numbers", "dates"])
def test_a_continuous_region_becomes_thirds(kind: str, tmp_path: Path) -> None:
    values = np.arange(N) ** 2 if kind == "numbers" else pd.date_range("2020-01-01", periods=N).strftime("%d.%m.%Y")
    experiment, text = made(table_of(tmp_path, age=values), "--target", "y", "--region", "age")
    assert (experiment.regions.by, experiment.regions.column, experiment.regions.quantiles) == ("quantile", "age", 3)
    assert "'age' has 90 different values: it is parted into 3 ranges" in text and "they hold 30, 30, 30 rows" in text
    arguments = Study("t", experiment).prepare(experiment.data)
    assert call(codsa_prepare, *arguments, "--out", tmp_path / "out").code == 0
    assert len(read_json(tmp_path / "out/schema.json")["regions"]["names"]) == 3


@pytest.mark.parametrize("name", ["age", "age in years", "class"])
def test_rows_without_a_region_are_left_out_where_they_are_few(name: str, tmp_path: Path) -> None:
    raw = table_of(tmp_path, **{name: [None] * 3 + [i + 0.5 for i in range(N - 3)]})
    experiment, text = made(raw, "--target", "y", "--region", name)
    assert f"region '{name}': missing in 3 rows, too few for a region, which are left out" in text
    arguments = Study("t", experiment).prepare(experiment.data)
    assert call(codsa_prepare, *arguments, "--out", tmp_path / "out").code == 0
    assert len(pd.read_parquet(tmp_path / "out/rows.parquet")) == N - 3


def test_a_region_of_few_numbers_is_by_value(tmp_path: Path) -> None:
    experiment, _ = made(table_of(tmp_path, ward=np.arange(N) % 3), "--target", "y", "--region", "ward")
    assert (experiment.regions.by, experiment.regions.column) == ("column", "ward")


def test_other_says_what_it_pools(tmp_path: Path) -> None:
    cantons = ["ZH"] * 40 + ["BE"] * 25 + [f"K{i}" for i in range(5) for _ in range(5)]
    _, text = made(table_of(tmp_path, canton=cantons), "--target", "y", "--region", "canton")
    assert "  # region 'other' pools K0 (5 rows), K1 (5 rows), K2 (5 rows), K3 (5 rows), K4 (5 rows)\n" in text


def test_what_gives_the_target_away_is_pointed_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    casual, registered = random.integers(0, 100, N), random.integers(0, 500, N)
    raw = table_of(tmp_path, casual=casual, registered=registered, count=casual + registered)
    _, text = made(raw, "--target", "count")
    assert "  # 'casual' + 'registered' is the target in every row; --drop one of them?" in text
    assert "is the target" not in made(raw, "--target", "count", "--drop", "casual")[1]


def test_a_category_of_many_levels_is_pointed_out(tmp_path: Path) -> None:
    raw = table_of(tmp_path, code=[f"c{i % 80}" for i in range(N)])
    assert "column 'code' is a category of 80 levels in 90 rows" in made(raw, "--target", "y")[1]


def test_a_table_without_a_header_names_the_way_on(tmp_path: Path) -> None:
    raw = tmp_path / "iris.csv"
    raw.write_text("".join(f"{i / 10},{i % 7 / 3:.2f},{'uv'[i % 2]}\n" for i in range(N)))
    assert refused(new(raw, "--target", "column_3")[0], "reads as values", "--no-header", "--header")
    experiment, _ = made(raw, "--target", "column_3", "--no-header")
    assert experiment.data.table.header is False and experiment.data.target == "column_3"
    arguments = Study("iris", experiment).prepare(experiment.data)
    assert call(codsa_prepare, *arguments, "--out", tmp_path / "out").code == 0
    assert (
        sum(column["name"].startswith("column_") for column in read_json(tmp_path / "out/schema.json")["columns"]) == 3
    )


def test_names_and_marks_that_yaml_would_read_otherwise(tmp_path: Path) -> None:
    names = ["no: 1", "a,b", "{x}"]
    frame = pd.DataFrame({name: [f"{i},5 €" if i % 4 else "-" for i in range(N)] for name in names})
    frame["y"] = ["a", "b"] * (N // 2)
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    experiment, _ = made(tmp_path / "t.csv", "--target", "y")
    assert experiment.data.table.numbers == dict.fromkeys(names, "1234,5 €")
    assert experiment.data.table.missing == ["-"]


def test_options_are_taken_by_the_function_too(tmp_path: Path) -> None:
    raw = table_of(tmp_path, n=[-9, 5, 7] * (N // 3))
    said = {"options": TableOptions(missing=["n=-9"]), "keep": ["n"], "drop": ()}
    path = write_experiment(raw, "y", None, None, tmp_path / "mine.yaml", **said)
    data = load_experiment(path, "quick")[1].data
    assert data.table.missing == ["n=-9"] and set(data.columns) == {"x"}
