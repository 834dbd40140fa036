"""The report: verdicts, tables, figures, the page, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from codsa.cli.report import app
from codsa.errors import CodsaError
from codsa.evidence.studies import read_study
from codsa.evidence.verdict import best_of, compare, rivals_of, share_of_way, verdict_of
from codsa.evidence.wording import decimals_of, enough, listed, number, percent
from codsa.io.image_codec import encode
from codsa.io.manifests import write_manifest
from codsa.io.records import write_json
from codsa.io.tables import read_parquet, write_parquet
from codsa.report.surfaces import alpha_order, surface, surface_figure, sweeps
from codsa.report.tables import (
    edge_note,
    main_table,
    metrics_table,
    plain_text,
    quality_table,
    spreadsheet_cell,
    summary_table,
)
from codsa.stages.report import write_report

REGIONS = ["majority", "minority"]
LEVELS = {"none": 0.576, "bootstrap": 0.510, "smote": 0.474, "codsa": 0.464, "codsa-transfer": 0.459}


def arm_table(rng: np.random.Generator, ratios: Sequence[float] = (0.0, 0.5, 1.0)) -> pd.DataFrame:
    """Make a table of fits over r, m/n and α with a known best arm at (0.5, 1, 0.7)."""
    rows = []
    for r in (0.5, 0.8):
        for ratio in ratios:
            for alpha in ("0.3", "0.7", "balance") if ratio else ("none",):
                bad = 0.1 * (r != 0.5) + 0.1 * (ratio != 1.0) + 0.1 * (alpha != "0.7")
                value = 0.45 + bad + rng.normal(0, 0.001)
                rows.append({"r": r, "m": int(4000 * ratio), "m_ratio": ratio, "alpha": alpha, "validation": value})
    return pd.DataFrame(rows).rename_axis("point").reset_index()


def histogram(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Make one column's recorded marginals."""
    if kind == "levels":
        shares = [rng.dirichlet(np.ones(3)).tolist() for _ in range(2)]
        return {
            "kind": "levels",
            "levels": ["a", "b & c", "missing"],
            "real": shares[0],
            "synthetic": shares[1],
        }
    edges = np.linspace(-2, 2, 25)
    bell = np.exp(-((edges[:-1] + 0.1) ** 2))
    return {
        "kind": "ordered",
        "edges": edges,
        "real": bell / bell.sum(),
        "synthetic": np.roll(bell, 1) / bell.sum(),
    }


def metrics_of(method: str, replicate: int, value: float, metric: str = "cross-entropy") -> dict[str, Any]:
    """Make the content of one metrics.json, as codsa-eval writes it."""
    rng = np.random.default_rng(replicate)
    augmented = method not in ("none", "weighted")
    quality: dict[str, Any] = {
        "wasserstein": 1.2,
        "wasserstein_floor": 1.1,
        "two_sample_auc": 0.61,
        "nearest_ratio": None,
    }
    chosen: dict[str, Any] = {
        "point": 4,
        "r": 0.5,
        "m": 4000 if augmented else 0,
        "m_ratio": 1.0 if augmented else 0.0,
    }
    chosen |= {"alpha": "0.7" if augmented else "none", "alpha_vector": [0.3, 0.7], "counts": [1200, 2800]}
    chosen |= {
        "exact": True,
        "real_rows": 2000,
        "domain_adaptation_index": 0.1,
        "generation_error_index": None,
    }
    columns = {f"x{k}": histogram("levels" if k == 3 else "ordered", rng) for k in range(14)}
    return {
        "experiment": "toy",
        "method": method,
        "replicate": replicate,
        "seed": 0,
        "metric": metric,
        "task": "classification",
        "chosen": chosen,
        "validation": {"overall": value - 0.01, "majority": value, "minority": value},
        "test": {
            metric: {"majority": value - 0.1, "minority": value + 0.1, "overall": value},
            "f1": {"majority": None, "minority": None, "overall": 1 - value},
        },
        "diagnostics": {name: {**quality, "rows": 2000, "violations": 0.03} for name in REGIONS} if augmented else {},
        "marginals": {"minority": columns} if augmented else {},
        "regions": REGIONS,
        "law": {"majority": 0.5, "minority": 0.5},
        "training_law": {"majority": 0.8, "minority": 0.2},
        "sizes": {role: {"majority": 3200, "minority": 800} for role in ("train", "validation", "test")},
        "notes": ["column 'id' left out: <b>all values differ</b>"],
        "settings": {"estimator": "mlp", "r": 0.5, "m": [0.0, 1.0]},
        "versions": {"numpy": "2.0.0"},
    }


def make_eval(folder: Path, metrics: Mapping[str, Any], grid: bool = False) -> Path:
    """Write one evaluation folder."""
    rng = np.random.default_rng(metrics["replicate"])
    fits = arm_table(rng, (0.0, 0.5, 1.0) if metrics["chosen"]["m"] else (0.0,))
    write_json(folder / "metrics.json", metrics)
    write_parquet(folder / "fits.parquet", fits)
    if grid:
        write_parquet(folder / "grid.parquet", fits.assign(test=fits["validation"] + 0.02))
    write_manifest(folder / "manifest.json", "eval", {}, {})
    return folder


def make_study(root: Path, levels: Mapping[str, float] = LEVELS, replicates: int = 6, **more: Any) -> list[Path]:
    """Write evaluations whose overall values are known up to a small paired noise."""
    folders = []
    for replicate in range(replicates):
        shared = np.random.default_rng(replicate).normal(0, 0.02)
        for k, (method, level) in enumerate(levels.items()):
            own = np.random.default_rng(1000 * k + replicate).normal(0, 0.002)
            metrics = metrics_of(method, replicate, round(level + shared + own, 6))
            place = root / f"rep~{replicate}" / f"eval~{method}"
            folders.append(make_eval(place, metrics | more, method.startswith("codsa")))
    return folders


def series(*values: float) -> pd.Series:
    """Return figures of replicates 0, 1, …."""
    return pd.Series(values, dtype=float)


BASE = {"none": series(0.60, 0.61, 0.62)}


def test_gain_names_the_best_codsa_and_the_best_simple_method() -> None:
    values = BASE | {"smote": series(0.55, 0.56, 0.57), "codsa": series(0.50, 0.51, 0.53)}
    found = verdict_of("cross-entropy", values)
    assert found.kind == "gain"
    assert found.headline == (
        "CoDSA lowers cross-entropy under Q by 0.097 (95 % CI 0.082 to 0.111; 16 %) against the plain model, "
        "and by 0.047 (95 % CI 0.032 to 0.061) against the best simple method (smote)."
    )


def test_gain_without_a_simple_method_says_so() -> None:
    found = verdict_of("cross-entropy", BASE | {"codsa-transfer": series(0.50, 0.51, 0.53)})
    assert found.kind == "gain" and found.headline.startswith("CoDSA (codsa-transfer) lowers")
    assert "no simple method" in found.headline


@pytest.mark.parametrize(
    ("simple", "words"),
    [
        ((0.49, 0.50, 0.52), "Plain oversampling (bootstrap) does better than CoDSA here:"),
        ((0.48, 0.53, 0.52), "Plain oversampling (bootstrap) does as well as CoDSA here:"),
        (
            (0.54, 0.50, 0.53),
            "CoDSA is not clearly better than Plain oversampling (bootstrap) here, as far as 3 replicates can tell:",
        ),
    ],
)
def test_simple_method_that_does_as_well_comes_first(simple: tuple[float, ...], words: str) -> None:
    values = BASE | {"bootstrap": series(*simple), "codsa": series(0.50, 0.51, 0.53)}
    found = verdict_of("cross-entropy", values)
    assert found.kind == "matched"
    assert found.headline.startswith(words)


def test_every_match_is_named_and_a_method_of_another_kind_counts() -> None:
    values = BASE | {"smote": series(0.50, 0.52, 0.52), "ctgan": series(0.51, 0.5, 0.51)}
    found = verdict_of("cross-entropy", values | {"codsa": series(0.50, 0.51, 0.53)})
    assert found.headline.startswith("ctgan does as well as CoDSA")
    assert "CoDSA does not clearly beat SMOTE either." in found.details


def test_no_gain_when_no_interval_excludes_zero() -> None:
    values = BASE | {"smote": series(0.59, 0.63, 0.60), "codsa": series(0.58, 0.63, 0.59)}
    found = verdict_of("cross-entropy", values)
    assert found.kind == "no-gain"
    assert found.headline.startswith("No method beats the plain model here: cross-entropy under Q is 0.610 without")


def test_plain_model_that_is_clearly_better_is_said_to_be() -> None:
    found = verdict_of("cross-entropy", BASE | {"codsa": series(0.65, 0.66, 0.68)})
    assert found.kind == "no-gain" and found.headline.endswith("the plain model is better.")


def test_uncertain_codsa_beside_a_clear_worse_one() -> None:
    values = {"none": series(0.60, 0.61, 0.62, 0.60), "codsa": series(0.30, 0.61, 0.62, 0.60)}
    found = verdict_of("cross-entropy", values | {"codsa-b": series(0.58, 0.59, 0.599, 0.58)})
    assert found.kind == "open" and found.headline.startswith("The gain of the best CoDSA method is not certain")
    assert "CoDSA (codsa-b)" in found.details[0]


def test_higher_is_better_reads_rightly() -> None:
    values = {
        "none": series(0.70, 0.71, 0.72),
        "smote": series(0.75, 0.76, 0.77),
        "codsa": series(0.80, 0.81, 0.83),
    }
    found = verdict_of("roc-auc", values)
    assert found.kind == "gain"
    assert found.headline.startswith("CoDSA raises ROC AUC under Q by 0.103 (95 % CI 0.089 to 0.118; 15 %)")
    assert verdict_of("cross-entropy", values).kind == "no-gain"


@pytest.mark.parametrize(
    ("smote", "codsa", "words"),
    [
        (
            0.55,
            0.50,
            "is 0.600 without augmentation, 0.550 with the best simple method (smote) and 0.500 with CoDSA.",
        ),
        (0.50, 0.50, "in this one SMOTE does as well as CoDSA"),
        (0.61, 0.62, "in this one the plain model does better than CoDSA"),
    ],
)
def test_one_replicate_has_no_interval(smote: float, codsa: float, words: str) -> None:
    found = verdict_of("cross-entropy", {"none": series(0.6), "smote": series(smote), "codsa": series(codsa)})
    assert found.kind == "open"
    assert found.headline.startswith("With one replicate no interval can be given") and words in found.headline
    assert "CI" not in found.headline


def test_without_codsa_or_without_plain_model() -> None:
    assert verdict_of("mse", BASE).headline.startswith("No CoDSA method was evaluated")
    alone = verdict_of("mse", {"codsa": series(1, 2)})
    assert alone.kind == "open" and "no gain over it" in alone.headline
    two = verdict_of("mse", {"smote": series(1, 2, 3), "codsa": series(1.1, 1.9, 3)})
    assert two.headline.startswith("SMOTE does as well as CoDSA")
    assert verdict_of("mse", {"smote": series(2, 3, 4), "codsa": series(1, 2, 3.1)}).kind == "open"


def test_pairs_use_common_replicates_and_skip_undefined_figures() -> None:
    a = pd.Series({0: 1.0, 1: 2.0, 3: np.nan, 4: 5.0})
    found = compare("mse", {"a": a, "b": pd.Series({1: 1.0, 3: 1.0, 4: 3.0})}, "a", "b")
    assert found is not None and found.each == (1.0, 2.0)
    assert compare("mse", {"a": a, "b": pd.Series({9: 1.0})}, "a", "b") is None


def test_best_is_judged_on_shared_replicates() -> None:
    values = {"a": pd.Series({0: 1.0, 1: 9.0}), "b": pd.Series({1: 8.0})}
    assert best_of("mse", values, values) == "b"
    assert best_of("roc-auc", values, values) == "a"
    assert best_of("mse", values, []) is None


def test_numbers_read_well() -> None:
    assert number(-0.0001, 2) == "0.00" and number(-0.25, 2) == "−0.25" and number(float("nan"), 2) == "–"
    assert number(0.1, 1, signed=True) == "+0.1" and percent(0.206) == "21 %" and percent(0.004) == "0.4 %"
    assert [decimals_of([v]) for v in (0.5, 12.0, 150.0, 2000.0, 0.02)] == [3, 1, 0, 0, 4]
    assert enough(3, 0.00004) == 5 and enough(3, 0.0) == 3
    assert listed(["a"]) == "a" and listed("abc") == "a, b and c" and listed([]) == ""


def test_tables_hold_every_figure(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path, replicates=3))
    found = metrics_table(study)
    assert list(found) == [
        "experiment",
        "method",
        "replicate",
        "region",
        "metric",
        "value",
        "m",
        "r",
        "alpha",
    ]
    assert len(found) == 5 * 3 * 3 * 2
    summary = summary_table(study)
    assert list(summary) == ["experiment", "method", "region", "metric", "mean", "sd", "replicates"]
    row = summary.query("method == 'smote' and region == 'overall' and metric == 'cross-entropy'").iloc[0]
    values = study.values("smote")
    assert row["mean"] == pytest.approx(values.mean()) and row["sd"] == pytest.approx(values.std())
    assert summary.query("metric == 'f1' and region == 'minority'")["replicates"].eq(0).all()


def test_methods_stand_in_the_order_of_tables(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path, dict.fromkeys(["codsa", "ctgan", "smote", "none", "weighted"], 0.5), 1))
    assert study.methods == ["none", "weighted", "smote", "ctgan", "codsa"]


def test_main_table_marks_the_best_and_what_is_clear(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path))
    table = main_table(study, verdict_of(study.metric, study.overall()))
    assert [row[3].tone for row in table.rows] == ["", "", "", "", "best"]
    assert [row[4].tone for row in table.rows] == ["", "good", "good", "good", "good"]
    assert table.rows[0][4].text == "–" and table.rows[0][5].tone == "bad"


def test_terminal_table_has_regions_then_overall(tmp_path: Path) -> None:
    lines = plain_text(read_study(make_study(tmp_path))).splitlines()
    assert lines[0].split() == ["cross-entropy", "↓", "majority", "minority", "overall"]
    assert [line.split()[0] for line in lines[2:]] == list(LEVELS)
    assert re.fullmatch(r"none( +0\.\d{3} \(0\.\d{3}\)){3}", lines[2])


def test_surface_counts_where_lambda_fell(tmp_path: Path) -> None:
    found = surface(read_study(make_study(tmp_path, replicates=4)).of("codsa"))
    hit = found[found["chosen"] > 0]
    assert hit[["r", "m_ratio", "alpha", "chosen"]].to_numpy().tolist() == [[0.5, 1.0, "0.7", 4]]
    assert found.sort_values("value")["alpha"].iloc[0] == "0.7" and len(found) == 14


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
    assert found is not None and len(found.rows) == 8
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
    assert " ".join(body).startswith("CoDSA (codsa-transfer) lowers cross-entropy under Q by")
    assert page.count("data:image/svg+xml;base64,") == 5


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
    assert "best validation ROC AUC under Q" in page
    assert "Validation ROC AUC over m/n" in page and "Cross-entropy (lower is better) on test rows" in page


def test_a_choice_at_the_end_of_the_grid_is_said(tmp_path: Path) -> None:
    study = read_study(make_study(tmp_path / "a", replicates=3))
    said = "In 3 of 3 replicates λ̂ has the most synthetic rows that were tried (m/n = 1); more may be better still."
    assert edge_note(study, "codsa") == said and edge_note(study, "none") == ""
    write_report(tmp_path / "out", study)
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for one in list(study.of("codsa"))[:2]:
        one.chosen["m_ratio"] = 0.5
    assert edge_note(study, "codsa") == ""


def test_unequal_replicates_are_named(tmp_path: Path) -> None:
    folders = [f for f in make_study(tmp_path, replicates=3) if f.name != "eval~smote" or f.parent.name != "rep~1"]
    undefined = folders[0] / "metrics.json"
    content = json.loads(undefined.read_text(encoding="utf-8"))
    content["test"]["cross-entropy"]["overall"] = None
    write_json(undefined, content)
    write_manifest(folders[0] / "manifest.json", "eval", {}, {})
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
    assert f">{lines[-2]}</h1>" in page


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


def values_of(**levels: Sequence[float]) -> dict[str, pd.Series]:
    return {name: pd.Series(level, dtype=float) for name, level in levels.items()}


def test_the_way_to_the_oracle() -> None:
    values = values_of(none=[0.6, 0.5], smote=[0.5, 0.5], codsa=[0.42, 0.38], oracle=[0.4, 0.3])
    assert share_of_way("cross-entropy", values, "codsa") == pytest.approx((0.55 - 0.40) / (0.55 - 0.35))
    assert np.isnan(share_of_way("cross-entropy", {k: v for k, v in values.items() if k != "oracle"}, "codsa"))
    assert "75 % of the way" in " ".join(verdict_of("cross-entropy", values).details)


def test_the_oracle_is_no_rival() -> None:
    values = values_of(none=[0.60, 0.61, 0.60], smote=[0.5, 0.51, 0.5], codsa=[0.4, 0.41, 0.4], oracle=[0.3, 0.31, 0.3])
    assert rivals_of(values) == ["smote"]
    verdict = verdict_of("cross-entropy", values)
    assert verdict.kind == "gain" and verdict.rival == "smote"


def test_without_a_gain_an_oracle_is_no_winner() -> None:
    values = values_of(none=[0.60, 0.50], codsa=[0.50, 0.60], oracle=[0.3, 0.31])
    assert verdict_of("cross-entropy", values).kind == "no-gain"


# ------------------------------------------------------------------ names that mean something elsewhere

MATHS = ["cost_$_in_$_", r"$\frac{1}{$", r"$$", "a$b^{$c", "line\nbreak \x01 \x07", "<b> & ]]>"]


@pytest.mark.parametrize("name", MATHS)
def test_names_of_the_data_are_text_in_figures(name: str, tmp_path: Path) -> None:
    import base64
    from xml.etree import ElementTree

    from codsa.report.drawing import style, svg_uri
    from codsa.report.figures import differences_figure, marginals_figure
    from codsa.report.panels import panels_figure
    from codsa.report.surfaces import sweep_figure

    method = f"codsa-{name}"
    levels = {"none": 0.6, name: 0.55, method: 0.5}
    regions = {"regions": [name, "minority"], "law": {name: 0.5, "minority": 0.5}}
    place = [metrics_of(m, k, v) | regions for k in range(2) for m, v in levels.items()]
    for one in place:
        for test in one["test"].values():
            test[name] = test.pop("majority")
        one["training_law"] = one["law"]
        one["sizes"] = {role: {name: 30, "minority": 20} for role in ("train", "validation", "test")}
        if one["marginals"]:
            levels_of = {**histogram("levels", np.random.default_rng(0)), "levels": [name, "b", "missing"]}
            one["diagnostics"] = {name: one["diagnostics"]["majority"]}
            one["marginals"] = {name: {name: levels_of, f"{name}2": histogram("ordered", np.random.default_rng(1))}}
    folders = [make_eval(tmp_path / str(i), one, one["method"] == method) for i, one in enumerate(place)]
    for folder in folders:
        for table in ("fits.parquet", "grid.parquet"):
            if (folder / table).exists():
                frame = read_parquet(folder / table)
                frame["alpha"] = frame["alpha"].replace({"balance": name})
                write_parquet(folder / table, frame)
        write_manifest(folder / "manifest.json", "eval", {}, {})
    study = read_study(folders)
    verdict = write_report(tmp_path / "out", study)
    pixel = base64.b64encode(encode(np.zeros((4, 4, 1), dtype=np.uint8))).decode()
    with style():
        figures = [
            differences_figure(study, verdict),
            marginals_figure(place[2]["marginals"][name]),
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
    for test in metrics["test"].values():
        test[bad], test["-1"] = test.pop("majority"), test.pop("minority")
    metrics["chosen"]["alpha"] = "-y"
    study = read_study([make_eval(tmp_path / "a", metrics)])
    table, summary = metrics_table(study), summary_table(study)
    assert set(table["region"]) == {f"'{bad}", "-1", "overall"} == set(summary["region"])
    assert set(table["experiment"]) == {"'@x"} == set(summary["experiment"]) and set(table["alpha"]) == {"'-y"}
    assert table["value"].min() < 0 and table["value"].dtype == "float64"
