"""What the parts of the benchmark share: clocks, output, the paper's simulation, processes of their own."""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.data.split import Split, load_split, write_split
from codsa.io.seeds import SeedContext, rng, stream
from codsa.readers.simulations import simulate
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.split import Size, target_law
from codsa.stages.split import split as split_rows

SETTINGS: dict[str, Any] = {"steps": 1500, "batch": 512, "holdout": 0.0, "precision": "auto"}
PLAIN_LABELS = {"labels": "denoiser"}
"""With which the denoiser alone makes a row, label and all."""
WORK = SeedContext(0, "cost", 0)
PEAK = "\nimport resource, sys; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"

_SCRATCH = tempfile.TemporaryDirectory(prefix="cost-")
atexit.register(_SCRATCH.cleanup)


def scratch() -> Path:
    """Return a new empty folder, which goes when the run ends."""
    return Path(tempfile.mkdtemp(dir=_SCRATCH.name))


@dataclass
class Spent:
    """CPU and wall seconds of a piece of work, of this process and of those it started."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Measure a piece of work."""
    spent, cpu, wall = Spent(), _cpu(), time.perf_counter()
    yield spent
    spent.cpu, spent.wall = _cpu() - cpu, time.perf_counter() - wall


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass
class Section:
    """What a part prints: lines of text and rows of a table."""

    title: str
    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a line and print it at once."""
        self.lines.append(text)
        print(text, flush=True)

    def table(self, head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Add a table."""
        head = list(head)
        for cells in (head, ["---"] * len(head), *rows):
            self.say("| " + " | ".join(str(c) for c in cells) + " |")


@cache
def simulation() -> tuple[Dataset, Split]:
    """Return the simulation of 4.1 with the paper's rows, and a split with n = 4,000."""
    folder = scratch()
    rows, schema = prepare(
        simulate("imbalanced-classification", 2000, 4400, 0), ColumnOptions(target="y"), RegionRule()
    )
    write_dataset(folder, rows, schema, {})
    dataset = load_dataset(folder)
    q = target_law("balanced", dataset.schema, dataset.regions())
    frame = split_rows(dataset, q, Size(count=1600), Size(count=800), rng(stream(0, "split")))
    write_split(folder / "split.parquet", frame, dataset, q, {})
    return dataset, load_split(folder / "split.parquet", dataset)


def peaks(code: str) -> tuple[Spent, float, float]:
    """Run Python code in a process of its own.

    Returns
    -------
    spent : Spent
    resident, own : float
        Peak memory in MB: all that is resident, and without pages mapped from files.
    """
    with timed() as spent:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        own = 0.0
        while child.poll() is None:
            own = max(own, _anonymous(child.pid))
            time.sleep(0.05)
        error = child.stderr.read().decode() if child.stderr else ""
    if child.returncode:
        raise RuntimeError(error[-2000:])
    resident = float(re.findall(r"PEAK (\d+)", error)[-1]) / 1024
    return spent, resident, own


def _anonymous(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def command(stage: str, arguments: list[object], before: str = "") -> str:
    """Return Python code that runs one of the package's commands and prints its peak memory.

    Parameters
    ----------
    before : str
        Code that comes first.
    """
    given = [f"codsa-{stage.replace('_', '-')}", *map(str, arguments)]
    return (
        f"import sys\n{before}\nfrom codsa.cli.{stage} import main\nsys.argv = {given!r}\ntry:\n    main()\n"
        f"except SystemExit as end:\n    assert not end.code{PEAK}"
    )
