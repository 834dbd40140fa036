"""Where the workflow's files lie: at the top of a clone, or inside an installed package (see `setup.py`)."""

from __future__ import annotations

from pathlib import Path

import codsa
from codsa.errors import CodsaError, suggest

PACKAGE = Path(codsa.__file__).parent


def workflow_root() -> Path:
    """Return the folder that holds the Snakefile and `workflow/`.

    Raises
    ------
    CodsaError
        Where an installation lacks them.
    """
    for folder in (PACKAGE.parent, PACKAGE / "workflow" / "files"):
        if (folder / "Snakefile").is_file() and (folder / "workflow" / "rules").is_dir():
            return folder
    raise CodsaError("this installation of codsa holds no workflow; install it again, from a wheel or a clone")


def shipped_experiments() -> dict[str, Path]:
    """Return the experiment files that come with the package and read none of the clone's data, by name."""
    return {path.stem: path for path in sorted((workflow_root() / "workflow" / "experiments").glob("sim*.yaml"))}


def experiment_file(name: str) -> Path:
    """Return the experiment file that a user names: a path, or the name of a shipped one.

    Raises
    ------
    CodsaError
        Where there is neither.
    """
    path, shipped = Path(name), shipped_experiments()
    if path.is_file():
        return path
    if name in shipped:
        return shipped[name]
    looks_shipped = path.suffix == "" and len(path.parts) == 1
    raise CodsaError(f"{name}: no such file" + (f"; {suggest(name, shipped)}" if looks_shipped else ""))
