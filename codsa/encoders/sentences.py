"""Sentence encoders by name or folder, and a cache of their embeddings."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.io.digests import digest, file_digest
from codsa.io.files import atomic_write
from codsa.io.hub import parted, warn_unless_pinned
from codsa.io.records import read_as
from codsa.io.tensors import load_tensors

log = logging.getLogger(__name__)

CHUNK_TEXTS = 4096
"""Texts whose embeddings are one file of the cache; a killed run loses at most one such file."""
BATCH_TEXTS = 64
"""Texts that go through the encoder together."""
WEIGHT_SUFFIXES = (".safetensors", ".bin")


class SentenceEncoder:
    """A sentence-transformers model, loaded when it is first needed.

    Parameters
    ----------
    name_or_path : str
        A folder, or a name of the Hugging Face hub, `owner/name` or `owner/name@revision`.
    precision : {'auto', 'no', 'bf16'}
        auto: bf16 where the hardware computes in it; the embeddings are float32.
    """

    def __init__(self, name_or_path: str, precision: str = "auto") -> None:
        from codsa.io.devices import mixed_precision

        self.name_or_path, self.precision = name_or_path, mixed_precision(precision)
        self.folder = model_folder(
            name_or_path, "modules.json, config.json, model.safetensors, tokenizer.json and the folders"
        )

    @cached_property
    def digest(self) -> str:
        """The digest of the model's files."""
        return model_digest(self.folder)

    @cached_property
    def model(self) -> Any:
        """The model, on the GPU where there is one."""
        import torch

        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise CodsaError("texts need sentence-transformers; install it with pip install 'codsa[text]'") from None
        if not (self.folder / "config.json").exists() and not (self.folder / "modules.json").exists():
            raise CodsaError(f"{self.name_or_path}: not a sentence encoder (no modules.json, no config.json)")
        check_modules(self.folder)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = SentenceTransformer(str(self.folder), device=device, trust_remote_code=False, local_files_only=True)
        except Exception as error:  # each library below raises its own kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CodsaError(
                f"{self.name_or_path}: cannot be loaded as a sentence encoder ({reason}); fetch it anew"
            ) from None
        return model.bfloat16() if self.precision == "bf16" else model

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.model.tokenizer

    def truncated(self, texts: Sequence[str]) -> int:
        """Return how many texts have more tokens than the model reads."""
        max_tokens = self.model.max_seq_length
        if max_tokens is None:
            return 0
        counts = [len(ids) for ids in self.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]]
        return sum(count > max_tokens for count in counts)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return embeddings, ndarray of float32, shape (n, d)."""
        tensor = self.model.encode(
            list(texts), batch_size=BATCH_TEXTS, show_progress_bar=sys.stderr.isatty(), convert_to_tensor=True
        )
        embeddings: np.ndarray = tensor.float().cpu().numpy()
        if not np.isfinite(embeddings).all():
            raise CodsaError(f"{self.name_or_path}: gives embeddings that are not finite; its weights are broken")
        return embeddings


MODULES = re.compile(
    r"sentence_transformers\.(models|base\.modules|sentence_transformer\.modules)(\.\w+)?"
    r"\.(Dense|LayerNorm|Normalize|Pooling|StaticEmbedding|Transformer)"
)
"""The parts that an encoder may consist of, under the names of all versions of sentence-transformers."""


@dataclass(frozen=True)
class Module:
    """One part of an encoder, as `modules.json` names it: its class, and its folder."""

    type: str
    path: str = ""


def check_modules(folder: Path) -> None:
    """Raise a `CodsaError` for an encoder whose `modules.json` names other code, or files outside its folder."""
    if not (folder / "modules.json").exists():
        return
    for module in read_as(folder / "modules.json", list[Module]):
        if not MODULES.fullmatch(module.type):
            raise CodsaError(f"{folder}: modules.json names {module.type}, which is no part of a sentence encoder")
        if Path(module.path).is_absolute() or ".." in Path(module.path).parts:
            raise CodsaError(f"{folder}: modules.json names {module.path}, which lies outside the folder")


def embed(encoder: SentenceEncoder, texts: Sequence[str], cache: Path) -> np.ndarray:
    """Return texts' embeddings, ndarray of float32, shape (n, d), from the cache where it has them.

    The cache holds a file for each `CHUNK_TEXTS` texts, named after the digest of model, precision and texts.
    """
    from safetensors.numpy import save_file

    parts: list[np.ndarray] = []
    for first in range(0, len(texts), CHUNK_TEXTS):
        chunk = list(texts[first : first + CHUNK_TEXTS])
        path = cache / f"{digest([encoder.digest, encoder.precision, chunk])[:40]}.safetensors"
        if not path.exists():
            start = time.perf_counter()
            embeddings = encoder.encode(chunk)
            rate = len(chunk) / (time.perf_counter() - start)
            log.info("%d of %d texts encoded (%.0f texts/s)", first + len(chunk), len(texts), rate)
            with atomic_write(path) as temporary:
                save_file({"embeddings": np.ascontiguousarray(embeddings)}, temporary)
        parts.append(_read_embeddings(path, len(chunk)))
    return np.concatenate(parts)


def _read_embeddings(path: Path, count: int) -> np.ndarray:
    try:
        embeddings: np.ndarray = load_tensors(path, "numpy").expect("embeddings", count, None)
    except CodsaError as error:
        raise CodsaError(f"{path}: not whole; delete it and run again ({error})") from None
    return embeddings


def model_folder(name_or_path: str, files: str) -> Path:
    """Return a model's folder: a local one, or the download from the Hugging Face hub of that name and revision.

    Parameters
    ----------
    name_or_path : str
        A folder, or a name of the hub, `owner/name` or `owner/name@revision`.
    files : str
        The files to fetch by hand where there is no network, for the error message.

    Raises
    ------
    CodsaError
        Where there is no such folder and the hub cannot be reached.
    """
    path = Path(name_or_path)
    if path.exists():
        if path.is_dir():
            return path
        raise CodsaError(f"{name_or_path}: a file; give the model's folder")
    if path.is_absolute() or name_or_path.startswith(".") or name_or_path.count("/") > 1 or not name_or_path:
        raise CodsaError(f"{name_or_path}: no such folder; give a model's folder or its name on the Hugging Face hub")
    from huggingface_hub import snapshot_download

    name, revision = parted(name_or_path)
    try:
        folder = Path(snapshot_download(name, revision=revision))
        warn_unless_pinned(name_or_path, folder)
        return folder
    except Exception as error:  # the hub's client raises many kinds without network
        pinned = f" --revision {revision}" if revision else ""
        local = f"models/{Path(name).name}"
        raise CodsaError(
            f"{name_or_path}: no such folder, and it cannot be fetched from the Hugging Face hub "
            f"({type(error).__name__}); on a machine with network run "
            f"'hf download {name}{pinned} --local-dir {local}', bring that folder here ({files}) and give its path"
        ) from None


def model_digest(folder: Path) -> str:
    """Return the SHA-256 of a model's weights and settings, with their file names, without its documentation."""
    suffixes = (*WEIGHT_SUFFIXES, ".json", ".txt", ".model")
    files = sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())
    return digest([[path.relative_to(folder).as_posix(), file_digest(path)] for path in files])
