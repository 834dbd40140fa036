"""The check of keyword arguments against the annotated types of their constructor."""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from codsa.errors import CodsaError, quoted_value, suggest

DESCRIPTIONS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


def check(kind: str, name: str, parameters: Mapping[str, inspect.Parameter], settings: Mapping[str, Any]) -> None:
    """Raise a `CodsaError` for a value that its parameter's annotation does not admit.

    Parameters
    ----------
    kind, name : str
        For the message: 'generator', 'tabular-diffusion'.
    parameters : mapping
        Of the constructor, with their annotations evaluated. Without an annotation only truth values and NaN are
        refused, where the default is a number.
    settings : mapping
    """
    for key, value in settings.items():
        if key not in parameters:
            continue
        expected = _refusal(parameters[key], value)
        if expected is not None:
            raise CodsaError(f"{kind} '{name}': {key} = {quoted_value(value)}: should be {expected}")


def _refusal(parameter: inspect.Parameter, value: Any) -> str | None:
    """Return a description of valid values, or None for a valid value."""
    if parameter.annotation is parameter.empty or isinstance(parameter.annotation, str):
        number = type(parameter.default) in (int, float)
        not_a_number = isinstance(value, bool) or (isinstance(value, float) and value != value)
        return "a number" if number and not_a_number else None
    return None if admits(parameter.annotation, value) else _expected(parameter.annotation, value)


def admits(annotation: Any, value: Any) -> bool:
    """Say whether a value is of an annotated type, as strictly as JSON tells types apart; unknown types admit all."""
    from pydantic import ValidationError

    adapter = _adapter(annotation)
    if adapter is None:
        return True
    try:
        adapter.validate_json(json.dumps(value, default=_as_json), strict=True)
    except (ValidationError, ValueError, TypeError, RecursionError):
        return False
    return True


def _as_json(value: Any) -> Any:
    """Return numpy scalars and arrays as Python's own, and dates as texts."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


@cache
def _adapter(annotation: Any) -> Any:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError):  # a type of the user's own
        return None


def _expected(annotation: Any, value: Any) -> str:
    choices = [str(choice) for choice in _choices(annotation)]
    suggestion = suggest(str(value), choices) if choices and isinstance(value, str) else ""
    return describe(annotation) + (f"; {suggestion}" if suggestion.startswith("did") else "")


def _choices(annotation: Any) -> Sequence[Any]:
    if get_origin(annotation) is Annotated:
        return _choices(get_args(annotation)[0])
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def describe(annotation: Any) -> str:
    """Describe the values that an annotation admits: 'a whole number of at least 1 or null'."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        description = next((m.description for m in parts[1:] if getattr(m, "description", None)), None)
        return description or describe(parts[0])
    if origin is Literal:
        return ("one of " if len(parts) > 1 else "") + ", ".join(map(repr, parts))
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in parts)
    if origin in (list, Sequence):
        return f"a list, each entry {describe(parts[0])}"
    if origin in (dict, Mapping):
        return "a mapping" if len(parts) < 2 or parts[1] is Any else f"a mapping, each value {describe(parts[1])}"
    return DESCRIPTIONS.get(annotation, getattr(annotation, "__name__", str(annotation)))
