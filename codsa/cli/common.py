"""Shared by the commands: options, settings from the command line, errors without tracebacks."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codsa import __version__
from codsa.cli.limits import reserve_buffers
from codsa.errors import CodsaError, shortened, system_reason
from codsa.io.processes import is_main
from codsa.io.yamls import is_unicode
from codsa.io.yamls import parse_value as parse_value
from codsa.settings.limits import LONGEST_NAME, LONGEST_TITLE, MOST_SEED, check_line

if TYPE_CHECKING:
    from codsa.io.seeds import SeedContext

# One thread per job: sums do not depend on the number of cores, and parallel jobs do not compete for
# cores. Parallelism comes from running jobs at the same time.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"


def _show_version(version: bool) -> None:
    if version:
        typer.echo(f"codsa {__version__}")
        raise typer.Exit


def one_line(parameter: typer.CallbackParam, text: str | None) -> str | None:
    """Check that a name or a title is one line of text; the callback of their options."""
    longest = LONGEST_TITLE if parameter.name == "title" else LONGEST_NAME
    return None if text is None else check_line(f"--{parameter.name}", text, longest)


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]
Data = Annotated[Path, typer.Option("--data", help="Folder written by codsa-prepare.", show_default=False)]
SplitFile = Annotated[Path, typer.Option("--split", help="split.parquet written by codsa-split.", show_default=False)]
Ratio = Annotated[float, typer.Option("--r", help="Split ratio in (0, 1]: the share of training rows in S_g.")]
Fold = Annotated[
    int | None,
    typer.Option(
        "--fold", min=0, max=4, help="Cross-fitting: S_g is all training rows outside this fold; instead of --r."
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MOST_SEED, help="Root seed of the study.")]
Experiment = Annotated[
    str,
    typer.Option("--experiment", callback=one_line, help="Name of the study; part of every random stream."),
]
Replicate = Annotated[
    int, typer.Option("--replicate", min=0, max=10**6, help="Replicate; part of every random stream.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting of what is trained or fitted; repeatable."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="MODULE:CLASS",
        help="A class of your own that the folder may import and run; repeatable. Without it a folder runs no code.",
        show_default=False,
    ),
]


def parse_settings(pairs: list[str] | None) -> dict[str, Any]:
    """Return KEY=VALUE pairs as a dict, the values read as YAML."""
    settings: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise CodsaError(f"--set {shortened(pair)}: write it as KEY=VALUE")
        if key in settings:
            raise CodsaError(f"--set {shortened(pair)}: '{key}' is set twice; keep one of them")
        settings[key] = parse_value(value)
    return settings


def seed_context(seed: int, experiment: str, replicate: int) -> SeedContext:
    """Return the context of all random streams: seed, study and replicate."""
    from codsa.io.seeds import SeedContext

    return SeedContext(seed, experiment, replicate)


def new_app() -> typer.Typer:
    """Return a Typer application with the settings of all commands."""
    return typer.Typer(
        add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True
    )


EXIT_INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
MESSAGE_CHARACTERS = 1500
"""Length of an error message; text of the user's in it may be longer."""


def runner(app: typer.Typer) -> Callable[[], None]:
    """Return an entry point that turns a user's mistake into one line and exit code 2."""

    def main() -> None:
        level = logging.INFO if is_main() else logging.ERROR  # one of several processes logs
        logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
        logging.captureWarnings(True)
        try:
            reserve_buffers()
            _check_arguments(sys.argv[1:])
            app()
        except KeyboardInterrupt:
            raise SystemExit(EXIT_INTERRUPTED) from None
        except CodsaError as error:
            _fail(str(error))
        except Exception as error:
            reason = system_reason(error)
            if reason is None:
                raise
            _fail(reason)

    return main


def _check_arguments(arguments: list[str]) -> None:
    """Refuse an empty argument, which a path would take for the current folder, and bytes that are not UTF-8."""
    for previous, argument in zip(["argument", *arguments], arguments, strict=False):
        if not argument:
            raise CodsaError(f"{shortened(previous)}: an empty value; leave it out or fill it (is a variable unset?)")
        if not is_unicode(argument):
            raise CodsaError(f"{shortened(previous)}: {shortened(ascii(argument))} is not UTF-8 text; rename the file")


def _fail(message: str) -> None:
    if is_main():
        print("error:", shortened(message, MESSAGE_CHARACTERS), file=sys.stderr)
    raise SystemExit(2)
