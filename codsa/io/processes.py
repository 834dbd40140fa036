"""Several processes that train one network together, each on a GPU of its own, or on the CPU."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

from codsa.errors import CodsaError

if TYPE_CHECKING:
    import torch

STOPPED = 128 + signal.SIGTERM
"""Exit code of a command that SIGTERM ended."""
MAX_WAIT = timedelta(days=2)
"""How long a process waits for the others, while the first one encodes a large table, say."""


def joined() -> bool:
    """Say whether this process was started as one of several: by `launch`, torchrun or accelerate."""
    return world() > 1


def world() -> int:
    """Return how many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process among those that train together, from 0."""
    return int(os.environ.get("RANK", "0")) if joined() else 0


def is_main() -> bool:
    """Say whether this process is the one that writes."""
    return rank() == 0


def scheduled() -> bool:
    """Say whether this is a job of Slurm, which gives notice by SIGTERM before it ends, or requeues, a job."""
    return "SLURM_JOB_ID" in os.environ


def wait_for_all() -> None:
    """Wait until every process has called this."""
    if joined():
        _state().wait_for_everyone()


def own_device() -> torch.device:
    """Return the device that this process trains on; each of several processes has a GPU of its own."""
    device: torch.device = _state().device
    return device


def _state() -> Any:
    """Return accelerate's state of the processes, on the CPU where ACCELERATE_USE_CPU says so."""
    from accelerate import PartialState

    return PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU") == "true", timeout=MAX_WAIT)


def check_gpus(wanted: int) -> None:
    """Raise where torch sees fewer GPUs than are asked for."""
    import torch

    available = torch.cuda.device_count()
    if wanted > available:
        raise CodsaError(
            f"--gpus {wanted}: torch sees {available} here; ask the scheduler for more, or leave --gpus away "
            "to train on what is there"
        )


def spread(module: str, subcommand: str, gpus: int | None, processes: int | None) -> int | None:
    """Run this command again in several processes where several are asked for.

    Parameters
    ----------
    module, subcommand : str
        The command's module, and its name where it is called as a subcommand.
    gpus, processes : int, optional
        The number of processes with a GPU each, or of processes on the CPU.

    Returns
    -------
    int, optional
        The exit code; None where one process suffices.

    Raises
    ------
    CodsaError
        Where torch sees fewer GPUs.
    """
    if gpus and processes:
        raise CodsaError("--gpus and --processes: give one; each GPU has a process, --processes is for the CPU")
    if gpus:
        check_gpus(gpus)
    count = gpus or processes or 1
    if count == 1:
        return None
    arguments = sys.argv[2:] if sys.argv[1:2] == [subcommand] else sys.argv[1:]
    return launch(module, arguments, count, on_gpus=bool(gpus))


def launch(module: str, arguments: Sequence[str], count: int, on_gpus: bool) -> int:
    """Run a module's command in several processes on this machine and return its exit code.

    They find each other as torch.distributed's processes do, by RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and
    MASTER_PORT, which accelerate reads. SIGTERM and SIGINT are passed on. When one fails, the others are ended.

    Parameters
    ----------
    module : str
    arguments : sequence of str
        Of the command line.
    count : int
    on_gpus : bool
        Whether each process uses a GPU; otherwise all use the CPU.
    """
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    shared |= {} if on_gpus else {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, **shared, "RANK": str(k), "LOCAL_RANK": str(k)},
        )
        for k in range(count)
    ]
    with _passing_on(running):
        return _ended(running)


def _ended(running: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all, ending the others once one has failed, and return the first exit code that is not 0."""
    exit_code = 0
    waiting = list(running)
    while waiting:
        for process in list(waiting):
            try:
                code = process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            waiting.remove(process)
            if code and not exit_code:
                exit_code = code if code > 0 else 128 - code
                for other in waiting:
                    other.terminate()
    return exit_code


@contextmanager
def _passing_on(running: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in running:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def my_share(*parts: torch.Tensor) -> list[torch.Tensor]:
    """Return this process's rows of a batch that all processes have drawn alike; all rows where it is alone.

    Parameters
    ----------
    *parts : tensors of shape (b, …)

    Raises
    ------
    CodsaError
        Where b is no multiple of the number of processes: shares would weigh differently.
    """
    if not joined():
        return list(parts)
    if len(parts[0]) % world():
        raise CodsaError(f"a batch of {len(parts[0])} cannot be shared evenly by {world()} processes; change batch")
    return [part[rank() :: world()] for part in parts]


class Notice:
    """Records SIGTERM, so that a loop can end in order: `with Notice() as notice: … if notice.given: …`."""

    def __init__(self) -> None:
        self.given = False

    def __enter__(self) -> Notice:
        """Install the handler; only the main thread receives signals."""
        try:
            self._before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:
            self._before = None
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.given = True

    def __exit__(self, *error: object) -> None:
        """Restore the handler that was installed before."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
