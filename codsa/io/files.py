"""Files that are complete or absent: written under a temporary name, forced to disk, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from codsa.errors import CodsaError

STAGED = ".part"
"""The suffix of temporary files and folders."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary name, and rename the file or new folder written there to `path` at the end.

    After an error (a full disk, say) neither `path` nor the temporary file is left half-written. Temporary files of
    killed processes are removed.

    Parameters
    ----------
    path : Path
        A file, which is replaced, or a folder that is not there yet. A link is followed.
    """
    path = real_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with staging(path) as temporary:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Yield the temporary name for `path`, beside it, and remove what remains there at the end."""
    temporary = path.parent / f".{path.name}.{_writer()}{STAGED}"
    remove_abandoned(path)
    remove_own(temporary)
    try:
        yield temporary
    finally:
        remove_own(temporary)


def real_path(path: Path) -> Path:
    """Return a path with its links followed.

    Raises
    ------
    CodsaError
        For a link that leads to itself.
    """
    try:
        return path.resolve()
    except (RuntimeError, OSError):  # which of them depends on Python's version
        raise CodsaError(f"{path}: is a link that leads in a circle; give another place") from None


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files for `path` whose process has ended on this machine without removing them."""
    prefix = f".{path.name}."
    with suppress(FileNotFoundError):
        for entry in list(path.parent.iterdir()):
            if entry.name.startswith(prefix) and entry.name.endswith(STAGED):
                machine, _, process = entry.name[len(prefix) : -len(STAGED)].rpartition("-")
                if machine == _machine() and process.isdigit() and not _is_running(int(process)):
                    remove_own(entry)


def remove_own(path: Path) -> None:
    """Remove a file or folder that this package made under a name of its own; a missing one is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            _remove_in_turn(path)
    else:
        path.unlink(missing_ok=True)


def _remove_in_turn(folder: Path) -> None:
    """Remove a folder with one open file at a time, where the process may not open as many as `shutil.rmtree` needs."""
    with suppress(OSError):
        for place, folders, files in os.walk(folder, topdown=False):
            for name in files + [name for name in folders if os.path.islink(os.path.join(place, name))]:
                os.unlink(os.path.join(place, name))
            os.rmdir(place)


def sync(written: Path) -> None:
    """Force a file, or all files of a folder, to disk, with the permissions of the umask.

    Some libraries write files that only their owner can read.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    for path in [written] if written.is_file() else sorted(written.rglob("*")):
        if path.is_symlink():
            continue
        if path.is_dir():
            sync_folder(path)
            continue
        if path.stat().st_mode & 0o777 != 0o666 & ~mask:
            with suppress(OSError):  # a file system without permissions
                path.chmod(0o666 & ~mask)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if written.is_dir():
        sync_folder(written)


def sync_folder(folder: Path) -> None:
    """Force a folder's list of names to disk, where the system lets a folder be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _writer() -> str:
    """Return a name that is unique among the running processes of all machines that share the folder."""
    return f"{_machine()}-{os.getpid()}"


@cache
def _machine() -> str:
    """Return a name for this machine and its PID namespace, which a container may have of its own."""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
        return hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:12]
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:12]


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def refuse_irregular(path: Path) -> None:
    """Raise a `CodsaError` for a pipe, a socket or a device, whose reading might never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise CodsaError(f"{path}: is a pipe, a socket or a device; give a regular file")
