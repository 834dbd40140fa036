"""`codsa paper`: published values, what is read of results, tables, figures, and what is said of missing results."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from conftest import call

from codsa.cli.main import main as codsa
from codsa.errors import CodsaError
from codsa.paper.experiments import EXPERIMENTS, runnable
from codsa.paper.figures import FIGURES, figure_data
from codsa.paper.published import of_item, published
from codsa.paper.results import Results, read_metrics, read_results
from codsa.paper.tables import TABLES, comparison
from codsa.paper.write import ITEMS, write_paper
from codsa.settings.registry import GENERATORS
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study

ROOT = Path(__file__).parents[2]
TABLE = {table.item: table for table in TABLES}
FIGURE = {figure.item: figure for figure in FIGURES}
METHODS = {"none": 0.6, "smote": 0.5, "adasyn": 0.48, "codsa": 0.44, "codsa-transfer": 0.42, "weighted": 0.43}


def write_metrics(folder: Path, methods: dict[str, float], regions: tuple[str, ...], metric: str, **more: str) -> None:
    """Write a report's table of two replicates: replicate k adds 0.1·k to a value, region j 0.01·j."""
    rows = [
        {
            "experiment": folder.name, "method": method, "replicate": k, "region": region, "metric": metric,
            "value": value + 0.1 * k + 0.01 * j, "m": 0 if method == "none" else 100, "r": 0.8, "alpha": "0.5", **more,
        }
        for method, value in methods.items()
        for k in range(2)
        for j, region in enumerate(regions)
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.csv"
    table = pd.DataFrame(rows)
    old = pd.read_csv(path, dtype={"region": str}) if path.exists() else None
    (table if old is None else pd.concat([old, table])).to_csv(path, index=False)


def write_grid(folder: Path, method: str, points: list[dict[str, object]], name: str = "grid.parquet") -> None:
    for k in range(2):
        out = folder / f"rep~{k}/eval~{method}"
        out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(points).to_parquet(out / name)


def sim41(root: Path, scale: str = "toy") -> Results:
    folder = root / f"sim41-{scale}"
    write_metrics(folder, METHODS, ("0", "1", "overall"), "cross-entropy")
    results = read_results(root, EXPERIMENTS["sim41"], scale)
    assert results is not None
    return results


def test_published_values_name_methods_that_the_experiments_have_and_add_up() -> None:
    by_table = {(f.item, f.method, f.region): f for f in published() if f.m is None and f.sd is not None}
    assert by_table["Table 1", "codsa-transfer", "overall"].mean == 0.4589
    assert by_table["Table 2", "codsa-transfer", "minority"].sd == 0.5011
    for (item, method, region), figure in by_table.items():
        if item in ("Table 1", "Table 2") and region == "overall":  # under Q each region weighs one half
            halves = [by_table[item, method, half].mean for half in ("majority", "minority")]
            agree = sum(halves) / 2 == pytest.approx(figure.mean, abs=1.01e-4)
            assert agree == (method != "smogn")  # the paper's row of SMOGN does not add up: 0.8923, published as 0.8414
    assert all(figure.study in EXPERIMENTS and figure.source for figure in published())
    assert Counter(figure.item for figure in published())["Table 3"] == 9


@pytest.mark.parametrize("scale", ["smoke", "table", "full"])
def test_every_scale_of_the_paper_has_the_methods_of_its_tables(scale: str) -> None:
    for table in TABLES:
        label, experiment = load_experiment(ROOT / EXPERIMENTS[table.study].file, scale)
        methods = Study(label, experiment).methods
        wanted = set(table.methods) - ({"smogn", "adasyn"} if scale == "smoke" else set())
        assert wanted <= set(methods)
        assert "weighted" in methods or table.study == "mnist-usps"


def test_runnable_experiments_are_those_whose_data_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    monkeypatch.chdir(tmp_path)
    simulated = {f"{name}-smoke" for name in ("sim41", "sim42", "sim42-d1", "sim42-d2")}
    assert set(runnable("smoke")) == simulated
    for path in ("data/mnist/train-images-idx3-ubyte.gz", "data/mnist/t10k-images-idx3-ubyte.gz", "data/usps/usps.npz"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert set(runnable("smoke")) == {*simulated, "mnist-usps-smoke"}
    assert runnable("no-such-scale") == {}


def test_a_comparison_has_published_and_own_figures_and_the_controls(tmp_path: Path) -> None:
    results = sim41(tmp_path)
    table = comparison(TABLE["Table 1"], results).set_index(["method", "region"])
    assert list(dict.fromkeys(table.index.get_level_values(0))) == list(METHODS)
    overall = table.loc["codsa-transfer", "overall"]
    assert overall["published_mean"] == 0.4589 and overall["published_sd"] == 0.0153
    assert overall["raw_mean"] == pytest.approx(0.42 + 0.05 + 0.02)
    assert overall["raw_sd"] == pytest.approx(0.1 / 2**0.5)
    assert table.loc[("codsa", "minority"), "raw_mean"] == pytest.approx(0.44 + 0.05)  # region "0"
    assert table.loc[("codsa", "majority"), "raw_mean"] == pytest.approx(0.44 + 0.05 + 0.01)
    assert table.loc[("weighted", "overall"), "kind"] == "control"
    assert pd.isna(table.loc[("weighted", "overall"), "published_mean"])
    assert table["recalibrated_replicates"].eq(0).all()


def test_the_own_estimator_is_compared_raw_and_recalibrated_figures_stand_beside_it(tmp_path: Path) -> None:
    folder, regions = tmp_path / "sim41-toy", ("0", "1", "overall")
    for estimator, column, shift in (("mlp", "raw", 0.0), ("mlp", "recalibrated", -0.1), ("boosting", "raw", 5.0)):
        values = {method: value + shift for method, value in METHODS.items()}
        write_metrics(folder, values, regions, "cross-entropy", estimator=estimator, column=column, kind="codsa")
    more = {"estimator": "label-model", "column": "raw", "kind": "control"}
    write_metrics(folder, {"label-model": 0.41}, regions, "cross-entropy", **more)
    results = read_results(tmp_path, EXPERIMENTS["sim41"], "toy")
    assert results is not None
    table = comparison(TABLE["Table 1"], results).set_index(["method", "region"])
    assert table.loc[("codsa", "overall"), "raw_mean"] == pytest.approx(0.44 + 0.05 + 0.02)
    assert table.loc[("codsa", "overall"), "recalibrated_mean"] == pytest.approx(0.34 + 0.05 + 0.02)
    assert table.loc[("label-model", "overall"), "raw_mean"] == pytest.approx(0.41 + 0.05 + 0.02)


def test_table_3_has_a_row_for_each_m_its_point_chosen_on_validation_rows(tmp_path: Path) -> None:
    folder = tmp_path / "mnist-usps-toy"
    write_metrics(folder, {"none": 0.8, "codsa-composed": 0.9}, ("mnist", "usps", "overall"), "roc-auc")
    tests = {"test: mnist": 0.91, "test: usps": 0.92}
    points = [
        {"r": 1.0, "m": m, "m_ratio": m / 6283, "alpha": "balance", "validation": 0.5, "test": test, **tests}
        for m, test in ((6000, 0.93), (500, 0.7))
    ]
    write_grid(folder, "codsa-composed", points)
    results = read_results(tmp_path, EXPERIMENTS["mnist-usps"], "toy")
    assert results is not None
    table = comparison(TABLE["Table 3"], results).set_index(["method", "m", "region"])
    of_composed = table.loc["codsa-composed"]
    assert sorted(set(of_composed.index.get_level_values("m"))) == [500, 6000, 12000]
    assert of_composed.loc[(6000, "overall"), ["published_mean", "raw_mean"]].tolist() == [0.886, 0.93]
    assert of_composed.loc[(12000, "overall"), "published_mean"] == 0.9014
    assert of_composed.loc[(12000, "overall"), "raw_replicates"] == 0
    assert pd.isna(of_composed.loc[(500, "overall"), "published_mean"])
    assert table.loc[("none", 0, "usps"), "published_mean"] == 0.8321


POINTS = [
    {"estimator": estimator, "r": r, "m": m, "m_ratio": m / 100, "alpha": alpha, "validation": v, "test": t}
    for estimator, r, m, alpha, v, t in [
        ("mlp", 1.0, 0, "none", 0.60, 0.61),
        ("mlp", 0.5, 100, "0.5", 0.50, 0.52),
        ("mlp", 0.5, 100, "0.7", 0.40, 0.47),
        ("mlp", 0.8, 100, "0.5", 0.45, 0.41),
        ("mlp", 0.8, 200, "0.7", 0.55, 0.40),
        ("boosting", 0.8, 200, "0.7", 0.01, 0.01),
    ]
]


def test_a_marginal_curve_chooses_the_other_two_parameters_on_validation_rows(tmp_path: Path) -> None:
    results = sim41(tmp_path)
    write_grid(results.folder, "codsa", POINTS)
    curves = figure_data(FIGURE["Figure 2"], results)
    assert set(curves["method"]) == {"codsa"} and set(curves["rows"]) == {"test"}
    by_parameter = {name: part.set_index("value") for name, part in curves.groupby("parameter")}
    assert by_parameter["m_ratio"]["mean"].to_dict() == {0.0: 0.61, 1.0: 0.47, 2.0: 0.40}
    assert by_parameter["m_ratio"].loc[1.0, ["chosen r", "chosen alpha"]].tolist() == [0.5, 0.7]
    assert by_parameter["alpha"]["mean"].to_dict() == {0.5: 0.41, 0.7: 0.47}
    assert by_parameter["r"]["mean"].to_dict() == {0.5: 0.47, 0.8: 0.41}
    assert by_parameter["r"]["replicates"].tolist() == [2, 2]


def test_without_test_figures_a_curve_shows_validation_figures_and_says_so(tmp_path: Path) -> None:
    results = sim41(tmp_path)
    without = [{key: value for key, value in point.items() if key != "test"} for point in POINTS]
    write_grid(results.folder, "codsa", without, name="fits.parquet")
    curves = figure_data(FIGURE["Figure 2"], results)
    assert set(curves["rows"]) == {"validation"}
    assert curves.loc[(curves["parameter"] == "r") & (curves["value"] == 0.5), "mean"].tolist() == [0.40]


def test_the_page_holds_what_is_there_and_names_what_is_missing(tmp_path: Path) -> None:
    results = sim41(tmp_path)
    write_grid(results.folder, "codsa", POINTS)
    write_metrics(tmp_path / "sim42-d1-toy", {"none": 1.2, "codsa": 1.1, "codsa-crossfit": 1.0}, ("overall",), "mse")
    sizes = {"none": 1.2, "codsa": 1.1, "codsa-encoder-1000": 1.0, "codsa-encoder-3000": 0.9}
    write_metrics(tmp_path / "sim42-d2-toy", sizes, ("overall",), "mse")
    write_metrics(tmp_path / "yelp-toy", {"none": 0.3, "weighted": 0.35, "codsa": 0.36}, ("overall",), "kappa")
    call(codsa, "paper", "--results", tmp_path, "--scale", "toy")
    out = tmp_path / "paper-toy"
    names = {path.name for path in out.iterdir()}
    shown = {"table1", "table5", "figure2", "figure4", "figure7", "figure8"}
    assert {f"{name}.csv" for name in shown} == {name for name in names if name.endswith(".csv")}
    assert {f"{name}.png" for name in shown if "figure" in name} == {name for name in names if name.endswith(".png")}
    page = (out / "paper.html").read_text()
    assert "Without results: sim42, mnist-usps, utkface" in page and "codsa download mnist" in page
    assert "0.4589 (0.0153)" in page and "0.4900 (0.0707)" in page and "http" not in page.replace("http://www.w3", "")
    assert pd.read_csv(out / "figure8.csv")["method"].nunique() == 4
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    call(codsa, "paper", "--results", tmp_path, "--scale", "toy")
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    inputs = json.loads((out / "manifest.json").read_text())["inputs"]
    assert {"sim41-toy/metrics.csv", "sim41-toy/rep~0/eval~codsa/grid.parquet"} <= set(inputs)


def test_only_some_items_are_made(tmp_path: Path) -> None:
    sim41(tmp_path)
    written = write_paper(tmp_path, "toy", ["table1"])
    assert [entry.item for entry in written.entries] == ["Table 1"]
    assert "Figure 2" not in written.page.read_text()


def test_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CodsaError, match="no report of sim41-toy"):
        write_paper(tmp_path, "toy", ["table1"])
    with pytest.raises(CodsaError, match=r"--only tabel1.*did you mean 'table1'"):
        write_paper(tmp_path, "toy", ["tabel1"])
    path = tmp_path / "metrics.csv"
    path.write_text("method,value\nnone,1\n")
    with pytest.raises(CodsaError, match=r"column 'replicate' is missing"):
        read_metrics(path)
    assert set(ITEMS) == {"table1", "table2", "table3", "table5"} | {f"figure{k}" for k in (2, 3, 4, 5, 7, 8)}
    assert of_item("Figure 8") == [] and "vp-diffusion" in GENERATORS


@pytest.mark.long
def test_the_target_paper_runs_the_experiments_and_makes_the_page(tmp_path: Path) -> None:
    from test_workflow import snakemake

    (tmp_path / "workflow").symlink_to(ROOT / "workflow")
    (tmp_path / "config.yaml").write_text("experiments: [workflow/experiments/sim41.yaml]\nscale: smoke\n")
    run: subprocess.CompletedProcess[str] = snakemake(tmp_path, "paper", "--cores", "2", "--show-failed-logs")
    assert run.returncode == 0, run.stderr[-3000:]
    out = tmp_path / "results/paper-smoke"
    written = {path.stem for path in out.glob("*.csv")}
    assert {"table1", "table2", "table5"} <= written <= set(ITEMS)
    table = pd.read_csv(out / "table1.csv").set_index(["method", "region"])
    assert table.loc[[("codsa-transfer", "overall"), ("weighted", "overall")], "raw_mean"].gt(0).all()
