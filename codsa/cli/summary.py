"""codsa summary: print the tables of all reports after a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def summary(
    config: Annotated[Path, typer.Option("--config", help="The configuration of the run.")] = Path("config.yaml"),
) -> None:
    """Print, for every experiment of a configuration, its table, its verdict, where its gain comes from, and its report."""
    from codsa.io.yamls import read_yaml
    from codsa.settings.section import validated
    from codsa.stages.report import summarise
    from codsa.workflow.config import Config, load_experiment

    settings = validated(Config, read_yaml(config), str(config))
    for file in settings.experiments:
        label, _ = load_experiment(Path(file), settings.scale)
        typer.echo(f"{summarise(Path(settings.results) / label)}\n")
