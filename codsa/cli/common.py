"""What the commands share: options, settings from the command line, errors without tracebacks."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codsa import __version__
from codsa.cli.limits import reserve_buffers
from codsa.errors import CodsaError, system_reason
from codsa.processes import is_main

if TYPE_CHECKING:
    from codsa.streams import Work

# One thread per job: sums do not depend on the number of cores, and parallel jobs do not starve
# each other. Parallelism comes from running jobs side by side.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"codsa {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]
Data = Annotated[Path, typer.Option("--data", help="Folder written by codsa-prepare.", show_default=False)]
SplitFile = Annotated[Path, typer.Option("--split", help="split.parquet written by codsa-split.", show_default=False)]
Ratio = Annotated[float, typer.Option("--r", help="Split ratio in (0, 1]: the share of training rows in S_g.")]
Fold = Annotated[
    int | None,
    typer.Option("--fold", help="Cross-fitting: S_g is all training rows outside this fold; instead of --r."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Root seed of the study.")]
Experiment = Annotated[str, typer.Option("--experiment", help="Name of the study; part of every random stream.")]
Replicate = Annotated[int, typer.Option("--replicate", min=0, help="Replicate; part of every random stream.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting; give it as often as needed.")
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="MODULE:CLASS",
        help="A class of your own that the folder may import and run; repeatable. Folders alone run no code.",
        show_default=False,
    ),
]
Ratios = Annotated[list[float], typer.Option("--m", help="Synthetic rows as a multiple of n; repeat for a grid.")]
Alphas = Annotated[
    list[str],
    typer.Option(
        "--alpha",
        help="Allocation: a weight for the region in focus, 'balance' (Eq. 5), 'training', 'target', or "
        "'{REGION: WEIGHT, …}'; repeat for a grid.",
    ),
]
Reserve = Annotated[
    str, typer.Option("--reserve", help="Real rows of the estimator: disjoint (S_r) or all (every training row).")
]
Focus = Annotated[str | None, typer.Option("--focus", help="Region that a numeric alpha weighs; default: largest q/p.")]


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """Return KEY=VALUE pairs as a dict, the values read as YAML."""
    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise CodsaError(f"--set {pair}: write it as KEY=VALUE")
        found[key] = parse_value(value)
    return found


def parse_value(text: str) -> Any:
    """Return a value written as JSON or YAML: a number (1e-4 too), a word, a list, a mapping."""
    import yaml

    with contextlib.suppress(ValueError):
        return json.loads(text)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise CodsaError(f"'{text}': cannot be read as a value") from None


def work_of(seed: int, experiment: str, replicate: int) -> Work:
    """Return the piece of work that the options name."""
    from codsa.streams import Work

    return Work(seed, experiment, replicate)


def new_app() -> typer.Typer:
    """Return a Typer application in the house's style."""
    return typer.Typer(
        add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True
    )


def runner(app: typer.Typer) -> Callable[[], None]:
    """Return an entry point that turns a user's mistake into one line and exit code 2."""

    def main() -> None:
        level = logging.INFO if is_main() else logging.ERROR  # of several processes one speaks
        logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
        logging.captureWarnings(True)
        try:
            reserve_buffers()
            app()
        except CodsaError as error:
            _fail(str(error))
        except Exception as error:
            reason = system_reason(error)
            if reason is None:
                raise
            _fail(reason)

    return main


def _fail(message: str) -> None:
    if is_main():
        print("error:", " ".join(message.split()), file=sys.stderr)
    raise SystemExit(2)
