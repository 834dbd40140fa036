"""Files that are whole or absent: atomic writes."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary file or folder name and rename it to `path` at the end.

    After an error (a full disk, say) neither `path` nor the temporary one is left half-written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{_writer()}.part"
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        _share(temporary)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


@contextmanager
def atomic_write_all(*paths: Path) -> Iterator[list[Path]]:
    """Give temporary names for files that belong together, and rename all of them at the end.

    When the writing of one fails, what was there before is left as it was. A file that is not
    written takes its old one away.
    """
    parts = [path.parent / f".{path.name}.{_writer()}.new" for path in paths]
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            if part.exists():
                _share(part)
                os.replace(part, path)
            else:
                path.unlink(missing_ok=True)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _share(written: Path) -> None:
    """Give files the permissions that the umask leaves others; some libraries keep theirs to the owner."""
    mask = os.umask(0o077)
    os.umask(mask)
    for path in [written] if written.is_file() else written.rglob("*"):
        wanted = 0o666 & ~mask
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777 != wanted:
            with suppress(OSError):  # a file system without permissions
                path.chmod(wanted)


def _writer() -> str:
    """Return a name that no other process has at the moment, on whatever machine that shares the folder."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
