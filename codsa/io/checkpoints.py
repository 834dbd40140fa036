"""Checkpoints: the state of a killed run, with a checksum, in a folder beside its output."""

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
MARKER = "checkpoint.json"
"""The file that marks a folder as one of checkpoints."""


@contextmanager
def checkpoint_dir(out: Path, inputs: Mapping[str, str], parameters: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a folder for checkpoints beside `out`, and remove it when the block ends without an error.

    Its name depends on inputs, settings and versions, so that a run never resumes from another run's checkpoints.
    Other folders of checkpoints for `out` are removed with it; other files beside it stay.
    """
    folder = out.with_name(f"{out.name}.checkpoints")
    own_folder = folder / digest([inputs, parameters, versions()])[:16]
    if is_main() and not (own_folder / MARKER).exists():
        write_json(own_folder / MARKER, {"inputs": inputs, "parameters": parameters})
    try:
        yield own_folder
    except BaseException:
        if is_main() and [path.name for path in own_folder.glob("*")] == [MARKER]:
            _remove(folder, own_folder)
        raise
    if is_main():
        others = [path for path in folder.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name) and path != own_folder]
        _remove(folder, own_folder, *(path for path in others if (path / MARKER).is_file()))


def _remove(folder: Path, *folders: Path) -> None:
    for path in folders:
        remove_own(path)
    with suppress(OSError):  # the folder holds other files
        folder.rmdir()


def save_checkpoint(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON-like facts as one safetensors file, with a checksum of both.

    Where another run for the same output has removed the folder, the run goes on without a checkpoint.
    """
    from safetensors.torch import save_file

    text = json.dumps(facts)
    try:
        with atomic_write(path) as part:
            save_file(dict(tensors), part, metadata={"facts": text, "sha256": _checksum(tensors, text)})
    except FileNotFoundError:
        log.warning("%s: not written, another run has removed its folder", path)


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Read what `save_checkpoint` wrote; None for a missing or a damaged file, which is removed."""
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

    checksum = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        checksum.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        checksum.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return checksum.hexdigest()
