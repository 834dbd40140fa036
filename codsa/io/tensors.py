"""Safetensors files: read completely, or refused by an error that names the file."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

from codsa.errors import CodsaError

REMEDY = "delete it and re-run the stage that writes it"


class Tensors(dict[str, Any]):
    """Tensors by name; a missing one is a `CodsaError` that names the file.

    Parameters
    ----------
    path : Path
        The file of the tensors.
    tensors : mapping of name to array or tensor
    """

    def __init__(self, path: Path, tensors: dict[str, Any]) -> None:
        super().__init__(tensors)
        self.path = path

    def __missing__(self, name: str) -> NoReturn:
        raise CodsaError(f"{self.path}: has no tensor '{name}'; {REMEDY}")

    def under(self, prefix: str) -> Tensors:
        """Return the tensors whose names start with a prefix, without the prefix."""
        return Tensors(self.path, {k.removeprefix(prefix): v for k, v in self.items() if k.startswith(prefix)})

    def expect(self, name: str, *shape: int | None) -> Any:
        """Return a tensor, or raise a `CodsaError` unless it has this shape; None stands for any length."""
        tensor = self[name]
        actual = tuple(tensor.shape)
        if len(actual) != len(shape) or any(b not in (None, a) for a, b in zip(actual, shape, strict=True)):
            expected = ", ".join("any" if length is None else str(length) for length in shape)
            raise CodsaError(f"{self.path}: '{name}' has shape {actual}, not ({expected}); {REMEDY}")
        return tensor


def load_tensors(path: Path, framework: Literal["numpy", "torch"]) -> Tensors:
    """Read a safetensors file.

    Parameters
    ----------
    framework : {'numpy', 'torch'}
        The type of the tensors.

    Raises
    ------
    CodsaError
        Where it is missing, truncated or no safetensors file.
    """
    try:
        return Tensors(path, importlib.import_module(f"safetensors.{framework}").load_file(path))
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    except Exception as error:  # safetensors raises its own kind, and each framework others
        raise CodsaError(f"{path}: not readable as safetensors ({_reason(error)}); {REMEDY}") from None


def fill(model: Any, tensors: Tensors, assign: bool = False) -> None:
    """Load a network's weights, or raise a `CodsaError` where they do not fit.

    Parameters
    ----------
    model : torch.nn.Module
    assign : bool
        Use the tensors without a copy, for a network on the device 'meta'.
    """
    try:
        model.load_state_dict(dict(tensors), assign=assign)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise CodsaError(f"{tensors.path}: not the weights of this network ({_reason(error)}); {REMEDY}") from None


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn any error while a model is read into a `CodsaError` that names its folder."""
    try:
        yield
    except (CodsaError, MemoryError):
        raise
    except OSError as error:
        raise CodsaError(f"{error.filename or folder}: {error.strerror or error}; {REMEDY}") from error
    except Exception as error:  # libraries raise many kinds for damaged files
        raise CodsaError(f"{folder}: cannot be read as a model ({_reason(error)}); {REMEDY}") from error


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if len(lines) > 1 else lines[0]}" if lines else type(error).__name__
