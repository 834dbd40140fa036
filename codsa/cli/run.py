"""codsa run: a whole study, from a table or an experiment file to its report, in any folder."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codsa.errors import CodsaError

if TYPE_CHECKING:
    from codsa.workflow.running import Run
    from codsa.workflow.study import Study

EXPERIMENT_SUFFIXES = (".yaml", ".yml")


def run(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Experiment files, or the name of a shipped one (sim41); or one table, with --target.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str | None, typer.Option("--target", help="Of a table: the column to be predicted.", show_default=False)
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Of a table: the column whose values are the regions; default: by class."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of a table: the study's name; default: the file's.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="Jobs at once; default: all cores.", show_default=False)
    ] = None,
    scale: Annotated[str, typer.Option("--scale", help="Which of the experiment's scales.")] = "quick",
    results: Annotated[str, typer.Option("--results", help="Folder of all results.")] = "results",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything and say what would be done; do nothing.")
    ] = False,
    unlock: Annotated[
        bool, typer.Option("--unlock", help="After a run that was killed: free the folder, then run.")
    ] = False,
) -> None:
    """Run a study from its data to its report, here on this machine, and print its verdict.

    What exists already is not done again: the same command goes on where it was stopped, and after an edit of the
    experiment file it does what the edit asks for.

    **Writes** RESULTS/STUDY; for a table NAME.yaml first, the experiment file, as `codsa new` does.

    **Examples**

    codsa run patients.csv --target outcome --region site

    codsa run patients.yaml --scale full --cores 8
    """
    from codsa.workflow.running import Stopped, follow
    from codsa.workflow.running import unlock as unlock_folder

    experiments = _experiments(files, target, region, name)
    asked, studies = _asked(experiments, results, scale, cores)
    try:
        if unlock:
            unlock_folder(asked)
        if dry_run:
            _show_plan(asked)
            return
        follow(asked)
    except Stopped as stopped:
        _say_how_to_go_on(experiments, results, scale, cores)
        raise SystemExit(128 + stopped.number) from None
    _conclude(asked, studies)


def _experiments(files: list[str], target: str | None, region: str | None, name: str | None) -> list[str]:
    """Return the experiment files to run; for a table, write one."""
    from codsa.workflow.shipped import experiment_file

    tables = [file for file in files if Path(file).suffix not in EXPERIMENT_SUFFIXES and Path(file).exists()]
    if not tables:
        experiments = [str(experiment_file(file)) for file in files]
        if given := next((o for o, v in (("target", target), ("region", region), ("name", name)) if v), None):
            raise CodsaError(f"--{given} is for a table; of an experiment file, edit the file itself")
        return experiments
    if len(files) > 1:
        raise CodsaError(f"{tables[0]} is a table: run it alone, or several experiment files")
    if target is None:
        raise CodsaError(f"{tables[0]} is a table: give --target, the column to be predicted")
    return [str(_experiment_of(Path(tables[0]), target, region, name))]


def _experiment_of(table: Path, target: str, region: str | None, name: str | None) -> Path:
    """Write the experiment file of a table, unless the same one is there.

    Raises
    ------
    CodsaError
        Where a file of that name is there that says something else: the user's own, or one that was edited.
    """
    import tempfile

    from codsa.workflow.template import write_experiment

    with tempfile.TemporaryDirectory(prefix="codsa-new-") as folder:
        out = Path(folder, "experiment.yaml")
        write_experiment(table, target, region, name=name, out=out)
        text = out.read_text(encoding="utf-8")
    path = Path(f"{_study_name(text)}.yaml")
    if path.exists() or path.is_symlink():
        if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
            raise CodsaError(
                f"{path} is there already and differs from what would be written; "
                f"use it by `codsa run {shlex.quote(str(path))}`, or give another --name"
            )
        return path
    from codsa.io.files import atomic_write

    with atomic_write(path) as staged:
        staged.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {path}, the experiment: edit it and run again to change what is done")
    return path


def _study_name(text: str) -> str:
    from codsa.io.yamls import parse_yaml

    return str(parse_yaml(text, "experiment.yaml")["name"])


def _asked(experiments: list[str], results: str, scale: str, cores: int | None) -> tuple[Run, list[Study]]:
    """Return the run and its studies, once all that can be checked before the first job is."""
    from codsa.cli.table_check import check_table
    from codsa.settings.section import validated
    from codsa.workflow.config import Config, load_experiment
    from codsa.workflow.running import Run
    from codsa.workflow.stage_code import StageCode
    from codsa.workflow.study import Study

    content = {"results": results, "scale": scale, "experiments": experiments, "container": "none"}
    settings = validated(Config, content, "codsa run")
    studies = [Study(*load_experiment(Path(file), settings.scale)).checked() for file in experiments]
    for study in studies:
        StageCode(study).checked()
        _check_files(study)
        study.check_all_settings()
        check_table(study, Path(settings.results) / study.label)
    return Run(experiments, settings.results, settings.scale, cores or _all_cores()), studies


def _check_files(study: Study) -> None:
    """Raise where a file or folder of the data is not there."""
    from codsa.workflow.study import raw_files

    for file in [file for data in study.row_sets for file in raw_files(data)]:
        if not Path(file).exists():
            raise CodsaError(f"{file}: no such file; paths in an experiment are relative to the current folder")


def _all_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _show_plan(asked: Run) -> None:
    """Say how many steps of which kind are to be done."""
    import subprocess

    from codsa.workflow.run_log import RunLog
    from codsa.workflow.running import failure, snakemake

    log, lines = RunLog(asked.cores), []
    try:
        for line in snakemake(asked, "--dry-run", "--quiet", "rules"):
            log.read(line)
            lines.append(line)
    except subprocess.CalledProcessError:
        raise CodsaError(failure(log, lines)) from None
    steps = {stage: count for stage, count in log.left.items() if stage != "all"}
    listed = ", ".join(f"{count} × {stage}" for stage, count in steps.items())
    typer.echo(f"{sum(steps.values())} steps to do: {listed}" if steps else "nothing to do: all is there")


def _say_how_to_go_on(experiments: list[str], results: str, scale: str, cores: int | None) -> None:
    changed = {"--results": results, "--scale": scale} if (results, scale) != ("results", "quick") else {}
    words = ["codsa", "run", *experiments, *(word for pair in changed.items() for word in pair)]
    words += ["--cores", str(cores)] if cores else []
    print(f"\nstopped; what was done is kept. To go on: {shlex.join(words)}", file=sys.stderr)


def _conclude(asked: Run, studies: list[Study]) -> None:
    """Print each study's table, verdict and report path."""
    from codsa.stages.report import summarise

    typer.echo("\n\n".join(summarise(Path(asked.results) / study.label) for study in studies))
