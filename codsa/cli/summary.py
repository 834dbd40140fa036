"""codsa summary: print the tables of reports after a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codsa.errors import CodsaError


def summary(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="A study's folder, or one that holds studies; default: those of --config, or results."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The configuration of the run; default: config.yaml, if it is there."),
    ] = None,
) -> None:
    """Print, for every study, its table, its verdict, where its gain comes from, and its report.

    **Examples**

    codsa summary results/patients-quick

    codsa summary ../elsewhere/results
    """
    from codsa.stages.report import summarise

    if folders:
        studies = [study for folder in folders for study in _studies_in(folder)]
    elif config is not None or Path("config.yaml").is_file():
        studies = _studies_of(config or Path("config.yaml"))
    else:
        studies = _studies_in(Path("results"))
    for study in studies:
        typer.echo(f"{summarise(study)}\n")


def _studies_in(folder: Path) -> list[Path]:
    """Return a folder that holds a report, or the folders in it that do.

    Raises
    ------
    CodsaError
        Where there is none.
    """
    from codsa.io.names import SUMMARY_TEXT

    if (folder / SUMMARY_TEXT).is_file():
        return [folder]
    studies = sorted(path.parent for path in folder.glob(f"*/{SUMMARY_TEXT}"))
    if not studies:
        raise CodsaError(f"{folder}: no report there, nor in a folder of it; run the study first: codsa run")
    return studies


def _studies_of(config: Path) -> list[Path]:
    """Return the folders of the studies that a configuration names."""
    from codsa.io.yamls import read_yaml
    from codsa.settings.section import validated
    from codsa.workflow.config import Config, load_experiment

    settings = validated(Config, read_yaml(config), str(config))
    labels = [load_experiment(Path(file), settings.scale)[0] for file in settings.experiments]
    return [Path(settings.results) / label for label in labels]
