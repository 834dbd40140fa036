"""The report: tables, figures, the page, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from synthetic_study import LEVELS, change, histogram, make_study, metrics_of, study_of, write_evaluation
from typer.testing import CliRunner

from codsa.cli.report import app
from codsa.errors import CodsaError
from codsa.evidence.ladder import ladder, ranking_ladder
from codsa.evidence.reading import read_study
from codsa.evidence.verdict import verdict_of
from codsa.evidence.wording import decimals_of, enough, listed, number, percent
from codsa.io.image_codec import encode
from codsa.io.manifests import write_manifest
from codsa.io.records import write_json
from codsa.io.tables import read_parquet, write_parquet
from codsa.report.quality import quality_table
from codsa.report.sheets import metrics_table, plain_text, spreadsheet_cell, summary_table
from codsa.report.surfaces import alpha_order, surface, surface_figure, sweeps
from codsa.report.tables import (
    budget_text,
    choice_note,
    clipped_note,
    edge_note,
    estimators_table,
    ladder_table,
    main_table,
)
from codsa.stages.report import summarise, write_report


def test_numbers_read_well() -> None:
    assert number(-0.0001, 2) == "0.00" and number(-0.25, 2) == "−0.25" and number(float("nan"), 2) == "–"
    assert number(0.1, 1, signed=True) == "+0.1" and percent(0.206) == "21 %" and percent(0.004) == "0.4 %"
    assert [decimals_of([v]) for v in (0.5, 12.0, 150.0, 2000.0, 0.02)] == [3, 1, 0, 0, 4]
    assert enough(3, 0.00004) == 5 and enough(3, 0.0) == 3
    assert listed(["a"]) == "a" and listed("abc") == "a, b and c" and listed([]) == ""


def test_tables_hold_every_figure() -> None:
    study = study_of(replicates=3, labels=("mlp", "boosting"))
    found = metrics_table(study)
    arm = ["experiment", "method", "kind", "estimator", "column"]
    assert list(found) == [*arm, "replicate", "region", "metric", "value", "m", "r", "alpha"]
    assert len(found) == 8 * 3 * 2 * 2 * 3 * 3
    assert set(found["column"]) == {"raw", "recalibrated"} and set(found["estimator"]) == {"mlp", "boosting"}
    assert dict(found[["method", "kind"]].drop_duplicates().to_numpy())["codsa-auto"] == "primary"
    summary = summary_table(study)
    assert list(summary) == [*arm, "region", "metric", "mean", "sd", "replicates"]
    own = "method == 'smote' and region == 'overall' and metric == 'cross-entropy' and estimator == 'mlp'"
    for column in ("raw", "recalibrated"):
        row = summary.query(f"{own} and column == '{column}'").iloc[0]
        values = study.values("smote", column=column)
        assert row["mean"] == pytest.approx(values.mean()) and row["sd"] == pytest.approx(values.std())
    assert summary.query("metric == 'f1' and region == 'minority'")["replicates"].eq(0).all()


def test_methods_stand_in_the_order_of_tables() -> None:
    names = ["oracle", "codsa-auto", "codsa", "control-auto", "label-model", "smote", "none", "weighted"]
    study = study_of(dict.fromkeys(names, 0.5), 1)
    ordered = ["none", "weighted", "smote", "label-model", "control-auto", "codsa", "codsa-auto", "oracle"]
    assert study.methods == ordered


def test_main_table_has_both_columns_and_what_is_clear() -> None:
    study = study_of()
    table = main_table(study, verdict_of(study))
    assert [cell.text for cell in table.header[:6]] == ["Method", "Kind", "Under Q", "Under Q", "majority", "minority"]
    assert [cell.small for cell in table.header[2:6]] == ["raw", "recalibrated", "recalibrated", "recalibrated"]
    assert [row[1].text for row in table.rows] == ["control"] * 5 + ["exploratory"] * 2 + ["primary"]
    assert [row[6].tone for row in table.rows] == ["good"] * 5 + [""] * 3
    assert [row[7].text for row in table.rows][4:] == ["<0.001", "–", "–", "–"]
    assert table.marked == 7 and table.rows[7][6].text == "–"
    raw, recalibrated = (float(table.rows[0][k].text) for k in (2, 3))
    assert raw == pytest.approx(recalibrated + 0.03, abs=0.002)
    assert {row[-1].text for row in table.rows} == {"5 × 1,200"}


def test_the_budget_of_an_arm(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"none": 0.5}, 2)
    change(folders[0], lambda own: own["recalibrated"]["chosen"].update(members=1, steps=400))
    assert budget_text(read_study(folders).chosen("none").values()) == "1–5 × 400–1,200"
    change(folders[0], lambda own: own["recalibrated"]["chosen"].update(members=3, steps=None))
    change(folders[1], lambda own: own["recalibrated"]["chosen"].update(members=3, steps=None))
    assert budget_text(read_study(folders).chosen("none").values()) == "3"


def test_estimators_stand_side_by_side() -> None:
    table = estimators_table(study_of(labels=("mlp", "boosting", "perceptrons")))
    assert table is not None and [cell.text for cell in table.header] == ["Method", "mlp", "boosting", "perceptrons"]
    assert len(table.rows) == 8 and table.rows[0][1].text == table.rows[0][2].text
    assert estimators_table(study_of(replicates=1)) is None


def test_ladder_table_has_gains_and_their_sum() -> None:
    study = study_of(spread=0.0)
    steps = ladder(study)
    assert steps is not None
    table = ladder_table(steps, ranking_ladder(study))
    assert [row[0].text for row in table.rows][:3] == ["Plain model", "Weights", "Calibration"]
    assert [row[3].text for row in table.rows] == [
        "–", "+0.071", "+0.030", "+0.020", "+0.025", "+0.016", "+0.005", "+0.167",
    ]  # fmt: skip
    assert table.rows[1][5].text == "+0.014" and table.rows[-1][0].text == "All rungs"


def test_terminal_table_has_raw_then_regions_then_overall() -> None:
    lines = plain_text(study_of()).splitlines()
    assert lines[0].split() == ["cross-entropy", "↓", "raw", "majority", "minority", "overall"]
    assert [line.split()[0] for line in lines[2:]] == list(LEVELS)
    assert re.fullmatch(r"none( +0\.\d{3} \(0\.\d{3}\)){4}", lines[2])


def test_a_choosing_arm_says_what_it_chose() -> None:
    study = study_of(replicates=5)
    assert choice_note(study, "codsa-auto") == "Validation chose codsa in 3 and relabelled in 2 of 5 replicates."
    assert choice_note(study, "codsa") == ""


def test_a_clipped_allocation_is_said(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"codsa": 0.5}, 2)
    assert clipped_note(read_study(folders), "codsa") == ""
    change(folders[1], lambda own: own["recalibrated"]["chosen"].update(exact=False))
    assert clipped_note(read_study(folders), "codsa").startswith("In 1 of 2 replicates Eq. (5) gives a region")
    write_report(tmp_path / "out", read_study(folders))
    assert "Eq. (5) gives a region" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_surface_counts_where_lambda_fell() -> None:
    found = surface(study_of(replicates=4), "codsa")
    hit = found[found["chosen"] > 0]
    assert hit[["r", "m_ratio", "alpha", "chosen"]].to_numpy().tolist() == [[0.5, 1.0, "0.7", 4]]
    assert found.sort_values("value")["alpha"].iloc[0] == "0.7" and len(found) == 14


def test_surface_is_of_the_studys_own_estimator(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"codsa": 0.5}, 1, labels=("mlp", "boosting"))
    table = read_parquet(folders[0] / "fits.parquet")
    other = table["estimator"] == "boosting"
    write_parquet(folders[0] / "fits.parquet", table.assign(**{"validation recalibrated": other * 9.0}))
    write_manifest(folders[0] / "manifest.json", "eval", {}, {})
    assert surface(read_study(folders), "codsa")["value"].eq(0).all()


def test_every_panel_of_the_surface_has_the_same_columns(tmp_path: Path) -> None:
    folders = make_study(tmp_path, {"codsa": 0.5}, 1)
    fits = pd.read_parquet(folders[0] / "fits.parquet")
    write_parquet(folders[0] / "fits.parquet", fits[(fits["r"] != 0.8) | (fits["m"] > 0)])
    write_manifest(folders[0] / "manifest.json", "eval", {}, {})
    figure = surface_figure(read_study(folders), "codsa")
    assert figure is not None
    meshes: list[Any] = [np.ma.asarray(axes.collections[0].get_array()) for axes in figure.axes[:2]]
    assert [mesh.shape for mesh in meshes] == [(3, 3), (3, 3)]
    assert [mesh.mask.sum(axis=0).tolist() for mesh in meshes] == [[0, 0, 0], [3, 0, 0]]


def test_sweeps_take_the_other_two_at_their_best(tmp_path: Path) -> None:
    found = sweeps(read_study(make_study(tmp_path)).of("codsa"), "cross-entropy")
    assert found["r"]["r"].tolist() == [0.5, 0.8]
    assert found["r"]["mean"].round(2).tolist() == [0.47, 0.57]
    assert found["m_ratio"]["mean"].round(2).tolist() == [0.67, 0.57, 0.47]
    worst = sweeps(read_study(make_study(tmp_path)).of("codsa"), "roc-auc")
    assert worst["r"]["mean"].round(2).tolist() == [0.67, 0.77]


def test_allocations_are_ordered_numbers_first() -> None:
    assert alpha_order(["training", "0.7", "none", "balance", "0.3", "10"]) == [
        "0.3",
        "0.7",
        "10",
        "balance",
        "training",
    ]


def test_quality_leaves_out_methods_without_synthetic_rows(tmp_path: Path) -> None:
    found = quality_table(read_study(make_study(tmp_path)))
    assert found is not None and len(found.rows) == 12
    assert [cell.text for cell in found.rows[0][2:]] == ["2,000", "1.20", "1.10", "0.61", "–", "3.0 %"]
    assert quality_table(read_study(make_study(tmp_path / "plain", {"none": 0.5}))) is None


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write one full report, twice: the second time into the same folder."""
    root = tmp_path_factory.mktemp("report")
    folders = make_study(root / "in")
    for _ in range(2):
        write_report(root / "out", read_study(folders), title="Toy <study>")
    write_report(root / "again", read_study(folders[::-1]), title="Toy <study>")
    yield root


def test_same_inputs_give_the_same_bytes(written: Path) -> None:
    files = sorted(p.relative_to(written / "out") for p in (written / "out").rglob("*") if p.is_file())
    assert [str(p) for p in files] == [
        "figures/differences.png",
        "figures/grid-on-test.png",
        "figures/ladder.png",
        "figures/marginals.png",
        "figures/surface-codsa-transfer.png",
        "figures/surface-codsa.png",
        "metrics.csv",
        "report.html",
        "report.json",
        "summary.csv",
        "summary.txt",
    ]
    assert all((written / "out" / p).read_bytes() == (written / "again" / p).read_bytes() for p in files)


def test_page_is_self_contained_and_starts_with_the_verdict(written: Path) -> None:
    page = (written / "out" / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "url(" not in page and "@import" not in page
    body = re.sub(r"<[^>]+>", " ", page.split("<body>")[1]).split()
    assert " ".join(body).startswith("CoDSA (codsa-auto) is clearly better than the plain model and every")
    assert page.count("data:image/svg+xml;base64,") == 6


def test_page_escapes_text_and_shows_no_nan(written: Path) -> None:
    page = (written / "out" / "report.html").read_text(encoding="utf-8")
    assert "Toy &lt;study&gt;" in page and "&lt;b&gt;all values differ" in page and "<b>" not in page
    text = re.sub(r"<[^>]+>", " ", page.split("<body>")[1])
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_page_without_synthetic_rows_still_stands(tmp_path: Path) -> None:
    write_report(tmp_path / "out", read_study(make_study(tmp_path, {"none": 0.5, "weighted": 0.4}, 1)))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No CoDSA method was evaluated" in page and "How λ was chosen" not in page


def test_the_page_says_what_chose(tmp_path: Path) -> None:
    write_report(tmp_path / "out", read_study(make_study(tmp_path, replicates=2, choose_by="roc-auc")))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "chosen by validation ROC AUC under Q" in page
    assert "Validation ROC AUC over m/n" in page and "Cross-entropy (lower is better) on test rows" in page


def test_a_choice_at_the_end_of_the_grid_is_said(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "a", replicates=3))
    said = "In 3 of 3 replicates λ̂ has the most synthetic rows that were tried (m/n = 1); more may be better still."
    assert edge_note(study, "codsa") == said and edge_note(study, "none") == ""
    write_report(tmp_path / "out", study)
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for k in range(2):
        change(tmp_path / f"a/rep~{k}/eval~codsa", lambda own: own["recalibrated"]["chosen"].update(m_ratio=0.5))
    again = [result.folder for result in study.evaluations]
    assert edge_note(read_study(again), "codsa") == ""


def test_unequal_replicates_are_named(tmp_path: Path) -> None:
    folders = [f for f in make_study(tmp_path, replicates=3) if f.name != "eval~smote" or f.parent.name != "rep~1"]
    change(folders[0], lambda own: own["recalibrated"]["test"]["cross-entropy"].update(overall=None))
    write_report(tmp_path / "out", read_study(folders))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "SMOTE has no replicate 1; " in page and "Plain model has no figure under Q in replicate 0" in page


def test_command_prints_table_verdict_and_path(tmp_path: Path) -> None:
    folders = make_study(tmp_path, replicates=2)
    options = [part for folder in folders for part in ("--eval", str(folder))]
    found = CliRunner().invoke(app, [*options, "--out", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    lines = found.stdout.splitlines()
    assert lines[0].startswith("cross-entropy") and lines[-1] == str(tmp_path / "out" / "report.html")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert f">{lines[-3]}</h1>" in page and f">{lines[-2]}</p>" in page and lines[-2].startswith("Of the 0.1")
    assert found.stdout.strip() == summarise(tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"experiment": "other"}, "experiment is 'other'"),
        ({"metric": "f1"}, "metric is 'f1'"),
        ({"metric": "f1", "choose_by": "cross-entropy"}, "metric is 'f1'"),
        ({"choose_by": "f1"}, "chosen by f1, but by cross-entropy"),
        ({"regions": ["minority", "majority"]}, "regions is"),
        ({}, "method 'none', replicate 0"),
    ],
)
def test_evaluations_that_do_not_belong_together(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    folders = make_study(tmp_path / "a", {"none": 0.5}, 1)
    folders += make_study(tmp_path / "b", {"none": 0.5}, 1, **change)
    with pytest.raises(CodsaError, match=words):
        read_study(folders)


def test_missing_or_partial_evaluations(tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match="no such folder"):
        read_study([tmp_path / "nowhere"])
    with pytest.raises(CodsaError, match="no evaluation"):
        read_study([])
    write_json(tmp_path / "part" / "metrics.json", {"method": "none"})
    with pytest.raises(CodsaError, match=r"manifest\.json: no such file"):
        read_study([tmp_path / "part"])
    write_manifest(tmp_path / "part" / "manifest.json", "eval", {}, {})
    with pytest.raises(CodsaError, match="'experiment' is missing"):
        read_study([tmp_path / "part"])


# ------------------------------------------------------------------ names that mean something elsewhere

MATHS = ["cost_$_in_$_", r"$\frac{1}{$", r"$$", "a$b^{$c", "line\nbreak \x01 \x07", "<b> & ]]>"]


@pytest.mark.parametrize("name", MATHS)
def test_names_of_the_data_are_text_in_figures(name: str, tmp_path: Path) -> None:
    import base64
    from xml.etree import ElementTree

    from codsa.report.drawing import style, svg_uri
    from codsa.report.figures import differences_figure, marginals_figure
    from codsa.report.panels import panels_figure
    from codsa.report.stairs import ladder_figure
    from codsa.report.surfaces import sweep_figure

    method = f"codsa-{name}"
    levels = {"none": 0.6, name: 0.55, method: 0.5}
    regions = {"regions": [name, "minority"], "law": {name: 0.5, "minority": 0.5}}
    place = [metrics_of(m, k, v) | regions for k in range(2) for m, v in levels.items()]
    for one in place:
        for record in one["estimators"]["mlp"].values():
            for test in record.get("test", {}).values():
                test[name] = test.pop("majority")
        one["training_law"] = one["law"]
        one["sizes"] = {role: {name: 30, "minority": 20} for role in ("train", "validation", "test")}
        if one["marginals"]:
            levels_of = {**histogram("levels", np.random.default_rng(0)), "levels": [name, "b", "missing"]}
            one["diagnostics"] = {name: one["diagnostics"]["majority"]}
            one["marginals"] = {name: {name: levels_of, f"{name}2": histogram("ordered", np.random.default_rng(1))}}
    folders = [write_evaluation(tmp_path / str(i), one, one["method"] == method) for i, one in enumerate(place)]
    for folder in folders:
        for table in ("fits.parquet", "grid.parquet"):
            if (folder / table).exists():
                frame = read_parquet(folder / table)
                frame["alpha"] = frame["alpha"].replace({"balance": name})
                write_parquet(folder / table, frame)
        write_manifest(folder / "manifest.json", "eval", {}, {})
    study = read_study(folders)
    verdict = write_report(tmp_path / "out", study)
    steps = ladder(study)
    assert steps is not None
    pixel = base64.b64encode(encode(np.zeros((4, 4, 1), dtype=np.uint8))).decode()
    with style():
        figures = [
            differences_figure(study, verdict, {}),
            ladder_figure(steps),
            marginals_figure(study.of(method)[0].record.marginals[name]),
            sweep_figure(study),
            surface_figure(study, method),
            panels_figure({name: {"real": [pixel], "generated": [pixel]}}),
        ]
        for figure in figures:
            assert figure is not None
            uri = svg_uri(figure)
            ElementTree.fromstring(base64.b64decode(uri.partition(",")[2]))
    html = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    for uri in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", html):
        ElementTree.fromstring(base64.b64decode(uri))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        (" =1", "' =1"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
        ("-1.5", "-1.5"),
        ("+3", "+3"),
        ("", ""),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_no_text_cell_is_a_formula(text: Any, cell: Any) -> None:
    assert spreadsheet_cell(text) == cell


def test_csv_files_hold_no_formulas(tmp_path: Path) -> None:
    bad = "=HYPERLINK(1)"
    metrics = metrics_of("codsa", 0, -0.5) | {"experiment": "@x", "regions": [bad, "-1"]}
    for column in ("raw", "recalibrated"):
        record = metrics["estimators"]["mlp"][column]
        for test in record["test"].values():
            test[bad], test["-1"] = test.pop("majority"), test.pop("minority")
        record["chosen"]["alpha"] = "-y"
    study = read_study([write_evaluation(tmp_path / "a", metrics)])
    table, summary = metrics_table(study), summary_table(study)
    assert set(table["region"]) == {f"'{bad}", "-1", "overall"} == set(summary["region"])
    assert set(table["experiment"]) == {"'@x"} == set(summary["experiment"]) and set(table["alpha"]) == {"'-y"}
    assert table["value"].min() < 0 and table["value"].dtype == "float64"
