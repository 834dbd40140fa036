"""codsa run: from a table or an experiment file to the verdict, in any folder; stopped, gone on with, refused."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunCli, made_once, make_mixed_table
from test_workflow import BIN, ROOT, snakemake

from codsa.cli.main import main as codsa
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study
from codsa.workflow.template_methods import offered_m

TOY: dict[str, Any] = {
    "name": "toy",
    "replicates": 1,
    "data": {"path": "patients.csv", "target": "y"},
    "split": {"validation": 0.25, "test": 0.25},
    "methods": ["none", "smote"],
    "controls": ["weighted"],
    "further_estimators": {},
    "grid": {"r": [1.0], "m": [1.0], "alpha": ["balance"]},
    "estimator": {"name": "gradient-boosting", "settings": {"max_iter": 10}},
}
NETWORK = {"steps": 10**6, "batch": 64, "width": 64, "depth": 1, "holdout": 0}


def write_study(folder: Path, **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    make_mixed_table().to_csv(folder / "patients.csv", index=False)
    (folder / "toy.yaml").write_text(yaml.safe_dump({**TOY, **changes}))


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BIN / "codsa"), "run", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(folder), timeout=600)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `codsa run toy.yaml` was called, beside a config.yaml that is about something else."""

    def make(folder: Path) -> None:
        write_study(folder)
        (folder / "config.yaml").write_text("something: else\n")
        ended = run(folder, "toy.yaml", "--cores", "2")
        assert ended.returncode == 0, ended.stderr[-3000:]
        (folder / "said.txt").write_text(ended.stdout)

    return made_once(tmp_path_factory, "run-study", make)


def test_a_run_ends_with_verdict_and_report(finished: Path, run_cli: RunCli) -> None:
    said = (finished / "said.txt").read_text()
    assert said.rstrip().endswith("results/toy/report.html") and "cross-entropy under Q" in said
    assert (finished / "results/toy/report.html").is_file()
    again = run_cli(codsa, "summary", finished / "results/toy")
    assert again.code == 0 and again.out.strip().splitlines()[:-1] == said.strip().splitlines()[:-1]
    assert run_cli(codsa, "summary", finished / "results").out == again.out
    assert "no report there" in run_cli(codsa, "summary", finished).err


def digests(folder: Path) -> dict[str, str]:
    files = [p for p in (folder / "results/toy").rglob("*") if p.is_file()]
    kept = [p for p in files if not {"logs", "benchmarks"} & set(p.parts) and p.name != ".snakemake_timestamp"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def test_forked_stages_give_the_bytes_of_stages_that_start_by_themselves(finished: Path, tmp_path: Path) -> None:
    write_study(tmp_path)
    (tmp_path / "config.yaml").write_text("forks: false\nexperiments: [toy.yaml]\n")
    ended = snakemake(tmp_path, "--cores", "1")
    assert ended.returncode == 0, ended.stderr[-3000:]
    logs = [folder / "results/toy/rep~0/logs/evaluate.log" for folder in (finished, tmp_path)]
    assert ["CPU-seconds" in log.read_text() for log in logs] == [True, False]
    expected, found = digests(finished), digests(tmp_path)
    assert len(expected) > 30 and found == expected


def test_more_replicates_are_noticed_without_snakemakes_memory_too(finished: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", f"{finished}/.", str(tmp_path)], check=True)
    for remembered in (True, False):
        if not remembered:
            subprocess.run(["rm", "-r", str(tmp_path / ".snakemake")], check=True)
        assert run(tmp_path, "-n", "toy.yaml").stdout == "nothing to do: all is there\n"
        content = {**TOY, "replicates": 3}
        (tmp_path / "more.yaml").write_text(yaml.safe_dump(content))
        assert "2 × split" in run(tmp_path, "-n", "more.yaml").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_at_once_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    write_study(tmp_path, methods=["codsa-reuse"], controls=[], generators={"tabular-diffusion": NETWORK})
    command = [sys.executable, str(BIN / "codsa"), "run", "toy.yaml", "--cores", "1"]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started: Any = subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), **said)
    log = tmp_path / "results/toy/rep~0/gen~tabular-diffusion/r~1.0/logs/train.log"
    deadline = time.monotonic() + 120
    while not (log.exists() and "training tabular-diffusion" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(2)
    begin = time.monotonic()
    started.send_signal(number)
    out, _ = started.communicate(timeout=60)
    assert started.returncode == 128 + number and time.monotonic() - begin < 40
    assert out.strip().splitlines()[-1] == ("stopped; what was done is kept. To go on: codsa run toy.yaml --cores 1")
    assert "Traceback" not in out and not list((tmp_path / ".snakemake/locks").glob("*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"path": "patients.csv", "target": "yy"}}, "no column 'yy' in the table; did you mean 'y'?"),
        ({"regions": {"by": "column", "column": "sitee"}}, "no column 'sitee'; did you mean 'site'?"),
        ({"split": {"law": {"sick": 0.5, "wel": 0.5}}}, "no region 'wel'; did you mean 'well'?"),
        ({"grid": {"alpha": [0.5], "focus": "sik"}}, "no region 'sik'; did you mean 'sick'?"),
        (
            {"methods": ["none", "codsa"], "generators": {"tabular-diffusion": {"stpes": 5}}},
            "generator 'tabular-diffusion' has no setting 'stpes'; did you mean 'steps'?",
        ),
        (
            {"methods": ["none", "codsa"], "generators": {"tabular-diffusion": {"steps": "many"}}},
            "steps = 'many': should be a whole number of at least 1",
        ),
        ({"data": {"path": "gone.csv", "target": "y"}}, "gone.csv: no such file"),
    ],
)
def test_a_mistake_stops_a_dry_run(
    changes: dict[str, Any], message: str, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, **changes)
    monkeypatch.chdir(tmp_path)
    ended = run_cli(codsa, "run", "-n", "toy.yaml")
    assert ended.code == 2 and message in ended.err and ended.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["patients.csv", "toy.yaml"]


def test_snakemake_stops_at_a_mistake_of_the_table_too(tmp_path: Path) -> None:
    write_study(tmp_path, regions={"by": "column", "column": "sitee"})
    (tmp_path / "config.yaml").write_text("experiments: [toy.yaml]\n")
    ended = snakemake(tmp_path, "-n")
    assert ended.returncode != 0 and "no column 'sitee'; did you mean 'site'?" in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["patients.csv"], "give --target"),
        (["toy.yaml", "--target", "y"], "--target is for a table"),
        (["toy.yaml", "patients.csv", "--target", "y"], "run it alone"),
        (["sim4"], "no such file; did you mean 'sim42'?"),
        (["gone.csv", "--target", "y"], "gone.csv: no such file"),
        (["toy.yaml", "--results", "../up"], "a folder's path has"),
    ],
)
def test_calls_that_say_too_little_or_too_much(
    arguments: list[str], message: str, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = run_cli(codsa, "run", "-n", *arguments)
    assert ended.code == 2 and message in ended.err


def test_a_table_gets_an_experiment_file_which_is_not_overwritten(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    ended = run_cli(codsa, "run", "-n", "patients.csv", "--target", "y")
    assert ended.code == 0 and "wrote patients.yaml" in ended.out and "steps to do" in ended.out
    path = tmp_path / "patients.yaml"
    path.write_text(path.read_text() + "# mine\n")
    refused = run_cli(codsa, "run", "-n", "patients.csv", "--target", "y")
    assert refused.code == 2 and "patients.yaml is there already and differs" in refused.err
    assert path.read_text().endswith("# mine\n")


def test_the_experiment_of_a_table_names_the_primary_arm_and_feasible_m(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run_cli(codsa, "new", "patients.csv", "--target", "y").code == 0
    for scale in ("quick", "full"):
        label, experiment = load_experiment(Path("patients.yaml"), scale)
        study = Study(label, experiment).checked()
        assert study.primary == "codsa-auto" and {"none", "codsa-reuse", "weighted"} <= set(
            study.candidates("codsa-auto")
        )
        assert experiment.grid.m[0] == 0 and max(experiment.grid.m) >= 2 * 204 / 240 - 1
        study.check_all_settings()
    assert "min on two cores" in Path("patients.yaml").read_text()


@pytest.mark.parametrize("counts", [[120, 120], [36, 204], [10, 20, 300], [1, 999]])
def test_an_offered_m_balances_the_regions(counts: list[int]) -> None:
    m, least = offered_m(counts)
    assert m[0] == 0 and m == sorted(set(m))
    assert least == pytest.approx(len(counts) * max(counts) / sum(counts) - 1)
    assert any(ratio >= least for ratio in m)
