"""A run of studies by Snakemake, in any folder: the command, its configuration, its progress and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml
from tqdm import tqdm

from codsa.errors import CodsaError
from codsa.workflow.run_log import RunLog, approximately
from codsa.workflow.shipped import workflow_root

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 20.0, 300.0
"""The wait between two lines of progress where there is no terminal; each is twice as long as the one before."""
GRACE_SECONDS = 15.0
"""Time for stages and Snakemake to end in order before they are killed."""
LAST_LINES = 12
"""Lines of Snakemake's that are shown where it fails without naming a job."""
LOG_LINES = 5
"""Lines of a failed job's log that are shown."""
LOCKED = "cannot be locked"


@dataclass(frozen=True)
class Run:
    """What to run, and how.

    Attributes
    ----------
    experiments : sequence of str
        Experiment files, relative to the current folder.
    results : str
        The folder of all results.
    scale : str
    cores : int
    """

    experiments: Sequence[str]
    results: str
    scale: str
    cores: int

    def configuration(self) -> str:
        """Return the content of a `config.yaml`."""
        content = {"results": self.results, "scale": self.scale, "experiments": list(self.experiments)}
        return yaml.safe_dump({**content, "container": "none"})


class Stopped(Exception):
    """The user ended the run: by Ctrl-C, or by a signal.

    Attributes
    ----------
    number : int
        The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def snakemake(run: Run, *options: str) -> Generator[str]:
    """Run Snakemake over the current folder and yield its lines.

    Raises
    ------
    Stopped
        When the user ends the run; all that it started has ended then.
    subprocess.CalledProcessError
        Where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="codsa-run-") as folder:
        configuration = Path(folder, "config.yaml")
        configuration.write_text(run.configuration(), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(workflow_root() / "Snakefile")),
            *("--directory", os.getcwd(), "--cores", str(run.cores), "--scheduler", "greedy"),
            *("--profile", "none", "--workflow-profile", "none", "--rerun-incomplete"),
            *("--configfile", str(configuration), "--replace-workflow-config", *options),
        ]
        with _stoppable(), _started(command) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
            code = process.wait()
        if code:
            raise subprocess.CalledProcessError(code, command)


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own; end the whole group where the block is left early."""
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        process_group=0,
    )
    try:
        yield process
    finally:
        _end(process)
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    """End a process group: in order by SIGTERM, after which a training writes its checkpoint, or else at once."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        deadline = time.monotonic() + GRACE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
                process.communicate(timeout=0.2)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into `Stopped`; a second one while the run ends is ignored."""

    def stop(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    before = dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    handlers: dict[int, Any] = {number: signal.signal(number, stop) for number in before}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def follow(run: Run) -> None:
    """Run studies, showing the progress.

    Raises
    ------
    Stopped
        As `snakemake`.
    CodsaError
        Where a job, or the workflow, fails; with the last lines of what it said.
    """
    log, last = RunLog(run.cores), deque[str](maxlen=200)
    try:
        with Shown() as shown, contextlib.closing(snakemake(run)) as lines:
            for line in lines:
                log.read(line)
                last.append(line)
                shown.update(log)
    except subprocess.CalledProcessError:
        raise CodsaError(failure(log, list(last))) from None


def unlock(run: Run) -> None:
    """Take away the lock of a run that was killed.

    Raises
    ------
    CodsaError
        Where Snakemake cannot.
    """
    lines: list[str] = []
    try:
        lines.extend(snakemake(run, "--unlock"))
    except subprocess.CalledProcessError:
        raise CodsaError(failure(RunLog(1), lines)) from None


def failure(log: RunLog, lines: list[str]) -> str:
    """Return what a user needs to know of a run that failed."""
    if any(LOCKED in line for line in lines):
        return "another run is at work in this folder; if none is, since it was killed: codsa run … --unlock"
    if log.failed:
        said = _tail(Path(log.failed_log)) if log.failed_log else []
        return f"{log.failed} failed: {' / '.join(said) or 'it said nothing'} ({log.failed_log or 'no log'})"
    kept = [line.strip() for line in lines if line.strip()]
    begin = next((i for i, line in enumerate(kept) if "Error" in line), max(0, len(kept) - LAST_LINES))
    return " / ".join(kept[begin : begin + LAST_LINES]) or "Snakemake ended without a word"


def _tail(path: Path) -> list[str]:
    """Return the last lines of a log, or of them the errors alone where there are some."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    last = [line for line in lines if line.strip() and not line.endswith("MB at most")][-LOG_LINES:]
    return [line.removeprefix("error: ") for line in last if line.startswith("error: ")] or last


class Shown:
    """The progress of a run: a bar on a terminal, else a line from time to time."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.bar = tqdm(
            disable=not self.terminal, leave=False, bar_format="{percentage:3.0f} % {bar:24} {desc}", total=1
        )
        self.wait, self.last = FIRST_WAIT_SECONDS, time.monotonic()

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def update(self, log: RunLog) -> None:
        """Show the state of a run."""
        if not log.total:
            return
        state = f"{log.done} of {log.total} steps, {approximately(log.seconds_left())}"
        if self.terminal:
            self.bar.total, self.bar.n = log.total, log.done
            self.bar.set_description_str(f"{state}: {log.message}")
        elif time.monotonic() - self.last >= self.wait:
            print(state, file=sys.stderr, flush=True)
            self.last, self.wait = time.monotonic(), min(2 * self.wait, MAX_WAIT_SECONDS)
