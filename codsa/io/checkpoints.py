"""Checkpoints: where a killed run left off, with a checksum, in a folder beside what it was making."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codsa.io.digests import digest
from codsa.io.files import atomic_write, remove_own
from codsa.io.manifests import versions
from codsa.io.processes import is_main
from codsa.io.records import write_json

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
MARK = "checkpoint.json"
"""This file says of a folder that it was made here."""


@contextmanager
def checkpoint_dir(out: Path, inputs: Mapping[str, str], parameters: Mapping[str, Any]) -> Iterator[Path]:
    """Give a folder for checkpoints beside `out`, and remove it when the work has ended well.

    Its name depends on inputs, settings and versions, so that a run never resumes from another's. Others that were
    made here for `out` are removed with it; what else lies there stays.
    """
    folder = out.with_name(f"{out.name}.checkpoints")
    mine = folder / digest([inputs, parameters, versions()])[:16]
    if is_main() and not (mine / MARK).exists():
        write_json(mine / MARK, {"inputs": inputs, "parameters": parameters})
    try:
        yield mine
    except BaseException:
        if is_main() and [path.name for path in mine.glob("*")] == [MARK]:
            _remove(folder, mine)
        raise
    if is_main():
        others = [path for path in folder.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name) and path != mine]
        _remove(folder, mine, *(path for path in others if (path / MARK).is_file()))


def _remove(folder: Path, *made: Path) -> None:
    for path in made:
        remove_own(path)
    with suppress(OSError):  # something else lies there
        folder.rmdir()


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON-like facts as one safetensors file, with a checksum of both.

    Where another run for the same output ends meanwhile and removes the folder, the work goes on without.
    """
    from safetensors.torch import save_file

    text = json.dumps(facts)
    try:
        with atomic_write(path) as part:
            save_file(dict(tensors), part, metadata={"facts": text, "sha256": _checksum(tensors, text)})
    except FileNotFoundError:
        log.warning("%s: not written, another run has removed its folder", path)


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what `save_checkpoint` wrote; None where nothing is there, or where it is damaged, which removes it."""
    from safetensors import safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        if metadata["sha256"] == _checksum(tensors, metadata["facts"]):
            return tensors, json.loads(metadata["facts"])
        reason = "its checksum is another"
    except Exception as error:  # safetensors raises its own kinds for a damaged file
        reason = str(error)
    log.warning("%s: damaged (%s), so it is discarded and the work begins anew", path, reason)
    path.unlink(missing_ok=True)
    return None


def _checksum(tensors: Mapping[str, torch.Tensor], facts: str) -> str:
    import torch

    total = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
