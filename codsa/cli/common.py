"""What the commands share: options, settings from the command line, errors without tracebacks."""

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

# One thread per job: sums do not depend on the number of cores, and parallel jobs do not starve
# each other. Parallelism comes from running jobs side by side.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"codsa {__version__}")
        raise typer.Exit


def one_line(parameter: typer.CallbackParam, given: str | None) -> str | None:
    """Check, as the callback of an option, that a name or a title is one line of text."""
    longest = LONGEST_TITLE if parameter.name == "title" else LONGEST_NAME
    return None if given is None else check_line(f"--{parameter.name}", given, longest)


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
    """Return the piece of work that the options name."""
    from codsa.io.seeds import SeedContext

    return SeedContext(seed, experiment, replicate)


def new_app() -> typer.Typer:
    """Return a Typer application in the house's style."""
    return typer.Typer(
        add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False, no_args_is_help=True
    )


INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""
MESSAGE = 1500
"""Characters of a line of error; what a user gave may be longer."""


def runner(app: typer.Typer) -> Callable[[], None]:
    """Return an entry point that turns a user's mistake into one line and exit code 2."""

    def main() -> None:
        level = logging.INFO if is_main() else logging.ERROR  # of several processes one speaks
        logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
        logging.captureWarnings(True)
        try:
            reserve_buffers()
            _check_arguments(sys.argv[1:])
            app()
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except CodsaError as error:
            _fail(str(error))
        except Exception as error:
            reason = system_reason(error)
            if reason is None:
                raise
            _fail(reason)

    return main


def _check_arguments(arguments: list[str]) -> None:
    """Refuse what no option means: nothing at all, of which a path makes the current folder, and bytes that are no text."""
    for before, argument in zip(["argument", *arguments], arguments, strict=False):
        if not argument:
            raise CodsaError(f"{shortened(before)}: an empty value; leave it out or fill it (is a variable unset?)")
        if not is_unicode(argument):
            raise CodsaError(f"{shortened(before)}: {shortened(ascii(argument))} is not UTF-8 text; rename the file")


def _fail(message: str) -> None:
    if is_main():
        print("error:", shortened(message, MESSAGE), file=sys.stderr)
    raise SystemExit(2)
