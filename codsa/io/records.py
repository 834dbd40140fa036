"""JSON files: canonical bytes, and errors that name the file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from codsa.errors import CodsaError, quoted_value
from codsa.io.files import atomic_write

T = TypeVar("T")


def _plain(value: Any) -> Any:
    """Convert numpy values to Python's, tuples to lists, and non-finite numbers to None."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(content: Any) -> str:
    """Return canonical JSON: sorted keys, two spaces, non-finite numbers as null."""
    return json.dumps(_plain(content), sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, atomically."""
    text = to_json(content)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or broken one is a `CodsaError` naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodsaError(f"{path}: not readable as JSON ({error}); delete it and re-run") from None


def read_as(path: Path, kind: type[T]) -> T:
    """Read a JSON file into a dataclass, a pydantic model or any other type, checking every value's type.

    Parameters
    ----------
    path : Path
    kind : type
        Its annotations say what each key holds; keys that it does not name are left out.

    Raises
    ------
    CodsaError
        For a missing or broken file, and for a key that is missing or of another type, naming both.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; run the stage that writes it first") from None
    return parse_as(content, kind, str(path))


def parse_as(content: bytes | str, kind: type[T], where: str) -> T:
    """Read JSON text as `read_as` does; `where` names it in errors."""
    from pydantic import ValidationError

    adapter: Any = _adapter(kind)  # type: ignore[arg-type]
    try:
        parsed: T = adapter.validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise CodsaError(f"{where}: not readable as JSON ({first['msg']}); delete it and re-run") from None
        value_seen = "missing" if first["type"] == "missing" else quoted_value(first["input"])
        fault = f"'{key or 'content'}' is {value_seen}"
        raise CodsaError(f"{where}: {fault}: {first['msg']}; delete it and re-run the stage that writes it") from None
    return parsed


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
