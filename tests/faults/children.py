"""Commands in processes of their own, forked from one that has imported everything, so that each costs little."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

SECONDS = 120
"""A command that takes longer hangs."""
TESTS = Path(__file__).parents[1]
WARM = (
    "codsa.stages.train_generator",
    "codsa.stages.sample",
    "codsa.stages.evaluate",
    "codsa.stages.report",
    "codsa.generators.tables.tabular_diffusion",
    "codsa.generators.tables.smote",
    "codsa.estimators.store",
    "sklearn.ensemble",
    "codsa.nn.trainer",
)
"""What commands import while they work."""


def start(argv: Sequence[object], log: Path, limits: dict[int, int] | None = None) -> BaseProcess:
    """Start a command, and return once it is about to begin.

    Parameters
    ----------
    argv : sequence
        Its module, and its arguments.
    log : Path
        Where its output goes.
    limits : dict of int to int, optional
        Limits of the process, as `resource.setrlimit` takes them; the address space's is what may come on top of
        what it has.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["faults.children", *WARM])
    ready = context.Event()
    words = [str(word) for word in argv]
    process = context.Process(target=run, args=(words, str(log), limits or {}, os.getcwd(), ready))
    process.start()
    assert ready.wait(SECONDS)
    return process


def run(argv: list[str], log: str, limits: dict[int, int], folder: str, ready: Event) -> None:
    """Run a command in this process, its output in a file."""
    import importlib

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(folder)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.argv = ["command", *argv[1:]]
    main = importlib.import_module(argv[0]).main
    ready.set()
    for kind, value in limits.items():
        most = value + (taken() if kind == resource.RLIMIT_AS else 0)
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def taken() -> int:
    """Return the bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def ended(process: BaseProcess, seconds: float = SECONDS) -> int:
    """Wait for a process and return its exit code, negative for a signal; one that hangs is killed and fails."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"not ended after {seconds:.0f} s")
    assert process.exitcode is not None
    return process.exitcode


def timed(argv: Sequence[object], log: Path) -> float:
    """Run a command to its end and return its seconds."""
    begin = time.monotonic()
    assert ended(start(argv, log)) == 0, log.read_text()
    return time.monotonic() - begin
