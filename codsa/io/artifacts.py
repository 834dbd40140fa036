"""Artefacts on disk: files under a manifest, written together, and never over files of another origin.

An artefact is either a folder of its own (a generator, fits), or some files beside others in a folder (a split, a
shard of a pool, an evaluation, a report). Both are written into a staging folder and moved into place at the
end. What is in the way is replaced only where the manifest of the same stage lists it. A listed file that was
changed since is moved aside under a name that says so.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.files import real_path, staging, sync, sync_folder
from codsa.io.manifests import Manifest, listed_files, read_manifest
from codsa.io.names import MANIFEST

log = logging.getLogger(__name__)

CHANGED = "changed"
"""The suffix of the name of a file that was moved aside because it differs from its manifest."""
TIMESTAMP = ".snakemake_timestamp"
"""Snakemake leaves this file in a folder that a rule has made."""
SHOWN_NAMES = 3
"""An error lists at most this many names of files in the way."""
ATTEMPTS = 20
"""How often a folder is moved into place while other processes do the same."""


@contextmanager
def new_folder(folder: Path, stage: str) -> Iterator[Path]:
    """Yield a staging folder that becomes `folder` at the end; the caller writes the manifest into it, last.

    The old folder is moved aside first and removed once the new one stands.

    Parameters
    ----------
    folder : Path
        A link is followed.
    stage : str
        The stage that its manifest names.

    Raises
    ------
    CodsaError
        When `folder` holds anything but an artefact of this stage.
    """
    folder = folder_output(folder, stage)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging(folder) as staged:
        staged.mkdir()
        yield staged
        sync(staged)
        for attempt in range(ATTEMPTS):  # another process may put its own result there meanwhile
            try:
                with _moved_aside(folder, stage):
                    os.rename(staged, folder)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or attempt == ATTEMPTS - 1:
                    raise
        sync_folder(folder.parent)


@contextmanager
def _moved_aside(folder: Path, stage: str) -> Iterator[None]:
    """Move an old folder aside; after an error it comes back, otherwise it is removed, or kept if it was changed."""
    if not folder.exists():
        yield
        return
    folder_output(folder, stage)
    changed = _changed(folder / MANIFEST) if (folder / MANIFEST).exists() else []
    if changed:
        kept_as = free_name(folder)
        os.rename(folder, kept_as)
        log.warning("%s was changed since it was made (%s); it is kept as %s", folder, _shown(changed), kept_as)
        yield
        return
    with staging(folder.with_name(f"{folder.name}.old")) as aside:
        os.rename(folder, aside)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                os.rename(aside, folder)
            raise


def folder_output(folder: Path, stage: str) -> Path:
    """Return the path of an artefact's folder, links followed, or raise where other files are in the way.

    Call it before the work begins, too.

    Raises
    ------
    CodsaError
        For the working folder, the home folder, their parents, a file, or a folder that holds anything but an
        artefact of this stage.
    """
    target = real_path(folder)
    for name, protected in (("working folder", Path.cwd()), ("home folder", Path.home())):
        if protected.resolve().is_relative_to(target):
            raise CodsaError(f"{folder}: is the {name} or one above it and would be replaced; give a folder of its own")
    if target.exists() and not target.is_dir():
        raise CodsaError(f"{folder}: is not a folder; give another name or move it away")
    if not target.exists() or not any(target.iterdir()):
        return target
    if not (target / MANIFEST).exists():
        raise CodsaError(f"{folder}: holds {_shown(_content(target))}, not made by this command; give another folder")
    record = _own_manifest(target / MANIFEST, stage, folder)
    foreign = [name for name in _content(target) if name not in (*record.outputs, MANIFEST)]
    if foreign:
        raise CodsaError(f"{folder}: also holds {_shown(foreign)}, not made by this command; move it away first")
    return target


def _own_manifest(path: Path, stage: str, shown: Path) -> Manifest:
    try:
        return read_manifest(path, stage)
    except CodsaError as error:
        raise CodsaError(f"{shown}: cannot be replaced: {error}; give another folder or move it away") from None


def _content(folder: Path) -> list[str]:
    """Return all files of a folder, hidden ones too, except Snakemake's time stamp."""
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(path.relative_to(folder).as_posix() for path in files if path != folder / TIMESTAMP)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in names[:SHOWN_NAMES]) + more


def _changed(manifest: Path) -> list[str]:
    """Return the files of a manifest's folder that differ from it, or that it does not list."""
    record = read_manifest(manifest)
    present = [name for name in _content(manifest.parent) if name != manifest.name]
    return [
        name
        for name in present
        if name not in record.outputs or file_digest(manifest.parent / name) != record.outputs[name]
    ]


def is_set_aside(path: Path) -> bool:
    """Say whether a file, or a folder that it is in, was moved aside because it was changed."""
    return any(re.search(rf"\.{CHANGED}-\d+$", part) for part in path.parts)


def free_name(path: Path) -> Path:
    """Return an unused name beside `path` that marks it as changed."""
    number = 1
    while True:
        name = path.with_name(f"{path.name}.{CHANGED}-{number}")
        if not name.exists() and not name.is_symlink():
            return name
        number += 1


@contextmanager
def new_files(manifest: Path, stage: str) -> Iterator[Path]:
    """Yield a staging folder whose files go beside `manifest` at the end; the caller writes the manifest, last.

    Parameters
    ----------
    manifest : Path
        Other files of its folder stay. A link is followed.
    stage : str
        The stage that the manifest names.

    Raises
    ------
    CodsaError
        When a file in the way was not written by this stage.
    """
    manifest = real_path(manifest)
    listed = files_output(manifest, stage)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with staging(manifest) as staged:
        staged.mkdir()
        yield staged
        sync(staged)
        names = [name for name in listed_files(staged) if name != manifest.name]
        _refuse_foreign(manifest, names, listed)
        _keep_changed(manifest, listed)
        for name in (manifest.name, *names):  # whatever happens in between, the manifest shows that files are missing
            target = manifest.parent / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / name, target)
        for name in listed.keys() - set(names):
            (manifest.parent / name).unlink(missing_ok=True)
            remove_empty((manifest.parent / name).parent, manifest.parent)
        for folder in {(manifest.parent / name).parent for name in (manifest.name, *names)}:
            sync_folder(folder)


def files_output(manifest: Path, stage: str, names: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the files of an earlier artefact, name to digest, or raise where another file is in the way.

    Call it before the work begins, too.

    Parameters
    ----------
    manifest : Path
    stage : str
    names : tuple of str
        Files that will be written beside it.

    Raises
    ------
    CodsaError
        Where `manifest` or a file of these names is there and was not made by this stage.
    """
    manifest = real_path(manifest)
    for folder in manifest.parents:
        if folder.exists() and not folder.is_dir():
            raise CodsaError(f"{folder}: is not a folder; give another name or move it away")
    listed = _own_manifest(manifest, stage, manifest).outputs if manifest.exists() or manifest.is_symlink() else {}
    _refuse_foreign(manifest, names, listed)
    return listed


def _refuse_foreign(manifest: Path, names: list[str] | tuple[str, ...], listed: dict[str, str]) -> None:
    for name in names:
        target = manifest.parent / name
        if (target.exists() or target.is_symlink()) and name not in listed:
            raise CodsaError(f"{target}: was not made by this command; move it away or give another place with --out")


def _keep_changed(manifest: Path, listed: dict[str, str]) -> None:
    """Move files of an earlier artefact that were changed since under another name."""
    for name, expected in listed.items():
        file = manifest.parent / name
        if file.is_symlink() or (file.exists() and not (file.is_file() and file_digest(file) == expected)):
            kept_as = free_name(file)
            os.rename(file, kept_as)
            log.warning("%s was changed since it was made; it is kept as %s", file, kept_as)


def remove_empty(folder: Path, above: Path) -> None:
    """Remove a folder and those around it up to `above`, as far as they are empty."""
    while folder != above and folder.is_relative_to(above):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def remove_files(manifest: Path, stage: str) -> None:
    """Remove an artefact among other files: the unchanged files of its manifest, and the manifest."""
    for name, expected in _own_manifest(manifest, stage, manifest).outputs.items():
        file = manifest.parent / name
        with suppress(FileNotFoundError):  # another process may remove the same files
            if not file.is_symlink() and file_digest(file) == expected:
                file.unlink()
        remove_empty(file.parent, manifest.parent)
    manifest.unlink(missing_ok=True)


def set_aside(manifest: Path) -> list[Path]:
    """Move an artefact that differs from its manifest to names that mark it as changed, and return these.

    An artefact with a folder of its own moves with the folder, another with the files that its manifest lists.
    """
    if manifest.name == MANIFEST:
        files = [manifest.parent]
    else:
        try:
            names = [*read_manifest(manifest).outputs]
        except CodsaError:
            names = []
        files = [manifest.parent / name for name in (*names, manifest.name)]
    new_names = []
    for file in files:
        if file.exists() or file.is_symlink():
            new_names.append(free_name(file))
            os.rename(file, new_names[-1])
    return new_names
