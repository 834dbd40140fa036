"""One process that imports the libraries once, and forks for every stage that a workflow runs on this machine.

A start of Python and its libraries takes about three CPU-seconds, which is most of the time of a stage on a small
table. The forked process runs the same command with the same arguments in the same folder, so its artefacts have the
same bytes. The server ends when the process that started it does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codsa.cli import common  # noqa: F401  sets the number of threads before a library starts them
from codsa.cli.stage_client import STARTED

COMMANDS = ("prepare", "split", "train-gen", "train-inverter", "sample", "fit", "eval", "report")
NOT_RUN = 127
"""Exit code for a command that is none of these."""
REQUEST_SECONDS = 60.0
"""Time that a client has to send its request."""
FORK_SAFE = ("jemalloc_bg_thd",)
"""Threads whose library starts them anew after a fork: that of pyarrow's memory allocator."""
SET_PARENT_DEATH_SIGNAL = 1
"""prctl's PR_SET_PDEATHSIG."""


@dataclass
class Stage:
    """A command to run: its arguments, working folder, environment, and its standard streams' descriptors."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    streams: list[int]


def received(connection: socket.socket) -> Stage | None:
    """Read a request; None where the client ended before it was whole."""
    connection.settimeout(REQUEST_SECONDS)
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    try:
        content = _read(connection, int.from_bytes(head, "big")) if len(head) == 8 and len(streams) == 3 else None
    except OSError:
        content = None
    if content is None:
        for stream in streams:
            os.close(stream)
        return None
    return Stage(streams=list(streams), **json.loads(content))


def _read(connection: socket.socket, length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(min(length - len(parts), 1 << 16))
        if not part:
            return None
        parts += part
    return bytes(parts)


class Server:
    """Forks a process for every request.

    Parameters
    ----------
    listener : socket
    parent : int
        A descriptor that ends when the process that started the server does.
    """

    def __init__(self, listener: socket.socket, parent: int) -> None:
        self.listener, self.parent = listener, parent
        self.clients: dict[int, socket.socket] = {}
        self.woken, self.waker = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        for source in (listener, parent, self.woken):
            self.selector.register(source, selectors.EVENT_READ)

    def serve(self) -> Stage | None:
        """Answer requests; return the stage to run in each forked process, and None in the server at its end."""
        self._watch_children()
        alive = True
        while alive or self.clients:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    stage = self._accept()
                    if stage is not None:
                        return stage
                elif key.fileobj is self.woken:
                    self._reap()
                elif key.fileobj == self.parent:
                    self.selector.unregister(self.parent)
                    alive = False
                else:
                    self._pass_on(key.data, key.fileobj)
        return None

    def _watch_children(self) -> None:
        for end in (self.woken, self.waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self.waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # meant for the stages; the server ends with its parent

    def _accept(self) -> Stage | None:
        """Fork for a new client; return its stage in the forked process alone."""
        client, _ = self.listener.accept()
        stage = received(client)
        if stage is None:
            client.close()
            return None
        child = os.fork()
        if child == 0:
            self._close(client)
            return stage
        for stream in stage.streams:
            os.close(stream)
        with contextlib.suppress(OSError):
            client.sendall(STARTED)
        self.clients[child] = client
        self.selector.register(client, selectors.EVENT_READ, child)
        return None

    def _close(self, client: socket.socket) -> None:
        """Close in a forked process what belongs to the server."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        for end in (self.listener, self.woken, self.waker, client, *self.clients.values()):
            end.close()

    def _reap(self) -> None:
        """Tell the clients of ended stages their exit codes."""
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)
        for child in list(self.clients):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                client = self.clients.pop(child)
                self._forget(client)
                with contextlib.suppress(OSError):
                    client.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
                client.close()

    def _forget(self, client: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self.selector.unregister(client)

    def _pass_on(self, child: int, client: Any) -> None:
        """Send a stage the signals that its client received; SIGTERM where the client is gone."""
        try:
            numbers = client.recv(16)
        except OSError:
            numbers = b""
        for number in numbers or [signal.SIGTERM]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
        if not numbers:
            self._forget(client)


def run(stage: Stage) -> None:
    """Run a stage's command in this process, as its script would."""
    with contextlib.suppress(OSError, AttributeError):  # Linux: end with the server, which nothing else can wait for
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    for number, stream in enumerate(stage.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(stage.folder)
    os.environ.clear()
    os.environ.update(stage.environment)
    name = Path(stage.arguments[0]).name.removeprefix("codsa-")
    if name not in COMMANDS:
        print(f"{stage.arguments[0]}: no stage; one of {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(NOT_RUN)
    sys.argv = stage.arguments
    try:
        importlib.import_module(f"codsa.cli.{name.replace('-', '_')}").main()
    finally:  # Snakemake's own figures are those of the client
        used = resource.getrusage(resource.RUSAGE_SELF)
        megabytes = used.ru_maxrss / 1024
        print(f"{used.ru_utime + used.ru_stime:.1f} CPU-seconds, {megabytes:.0f} MB at most", file=sys.stderr)


def lost_threads() -> list[str]:
    """Return the names of this process's threads that a forked process would need and lack."""
    tasks = [Path("/proc/self/task", task) for task in os.listdir("/proc/self/task") if int(task) != os.getpid()]
    return sorted({name for task in tasks if (name := (task / "comm").read_text().strip()) not in FORK_SAFE})


def main() -> None:
    """Serve at the address that is given, once the modules of standard input's first line are imported."""
    address, modules = sys.argv[1], json.loads(sys.stdin.readline())
    sys.path[0] = str(Path(sys.executable).parent)  # as for a command's own script
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    for module in modules:
        with contextlib.suppress(Exception):  # the stage that needs it says what is wrong
            importlib.import_module(module)
    if threads := lost_threads():
        raise SystemExit(f"a fork would lose the threads {', '.join(threads)}: every stage starts by itself")
    gc.collect()
    gc.freeze()
    stage = Server(listener, sys.stdin.fileno()).serve()
    if stage is not None:
        run(stage)
    else:
        Path(address).unlink(missing_ok=True)
        Path(address).parent.rmdir()


if __name__ == "__main__":
    main()
