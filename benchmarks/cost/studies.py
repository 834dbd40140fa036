"""What the default studies cost from raw data to reports, in this checkout and in another one."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared import Section, Spent, scratch, timed

ROOT = Path(__file__).parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".snakemake", "results", "*_cache", "__pycache__")
FIGURES = ("chosen", "validation", "test", "diagnostics", "sizes")
"""The parts of metrics.json that are compared: not its versions and settings."""
SHOWN = 10
"""So many differences are listed."""


def workflow(out: Section, against: Path | None = None, settings: list[str] | None = None) -> None:
    """Run the studies of config.yaml in this checkout and in another, one after the other, and compare.

    Parameters
    ----------
    against : Path, optional
        Another checkout.
    settings : list of str, optional
        KEY=VALUE for Snakemake's --config.
    """
    folders = {"this checkout": ROOT, **({"the other": against} if against else {})}
    runs = {name: run(folder, settings or []) for name, folder in folders.items()}
    out.say(f"`snakemake --cores {os.cpu_count()}` in an empty results folder; CPU seconds of all processes.\n")
    rows = [(name, commit(folders[name]), f"{s.cpu:.0f}", f"{s.wall:.0f}") for name, (s, _) in runs.items()]
    out.table(["checkout", "commit", "CPU s", "wall s"], rows)
    if against:
        (mine, here), (other, there) = runs.values()
        out.say(f"\nCPU seconds, this / the other: {mine.cpu / other.cpu:.2f}")
        for line in differences(here, there):
            out.say(line)


def run(folder: Path, settings: list[str]) -> tuple[Spent, Path]:
    """Run a checkout's studies in a copy of it, and return what that cost, and the results."""
    copy = scratch() / "checkout"
    shutil.copytree(folder, copy, ignore=LEFT_OUT, symlinks=True)
    command = ["snakemake", "--cores", str(os.cpu_count()), "--quiet", "all"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONNOUSERSITE": "1"}
    with timed() as spent:
        subprocess.run(
            [*command, *(["--config", *settings] if settings else [])], cwd=copy, env=environment, check=True
        )
    return spent, copy / "results"


def commit(folder: Path) -> str:
    """Return a checkout's commit, with a + where files were changed since."""
    words = ["git", "-C", str(folder), "describe", "--always", "--exclude=*", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "none"


def differences(here: Path, there: Path) -> Iterator[str]:
    """Say where the figures of two results folders differ."""
    mine, others = figures(here), figures(there)
    lone = sorted(mine.keys() ^ others.keys())
    both = sorted(mine.keys() & others.keys())
    unequal = [name for name in both if mine[name] != others[name]]
    yield f"\n{len(both)} figures are in both, {len(unequal)} of them differ; {len(lone)} are in one alone."
    for name in unequal[:SHOWN]:
        yield f"- {name}: {mine[name]} here, {others[name]} there"
    for name in lone[:SHOWN]:
        yield f"- {name}: only {'here' if name in mine else 'there'}"
    numbers = [(mine[n], others[n]) for n in unequal if isinstance(mine[n], float) and isinstance(others[n], float)]
    if numbers:
        largest = max(abs(a - b) / max(abs(a), abs(b)) for a, b in numbers)
        yield f"The largest relative difference is {largest:.1e}."


def figures(results: Path) -> dict[str, Any]:
    """Return all figures of the metrics of a results folder by file and key."""
    found = {}
    for path in sorted(results.glob("*/rep~*/eval~*/metrics.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for part in FIGURES:
            for key, value in leaves(content.get(part), part):
                found[f"{path.relative_to(results).parent}: {key}"] = value
    return found


def leaves(content: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Give the values in nested mappings and lists, each with its path; numbers as float, NaN as None."""
    if isinstance(content, dict | list):
        for name, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(value, f"{key}.{name}")
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield key, float(content) if math.isfinite(content) else None
    else:
        yield key, content
