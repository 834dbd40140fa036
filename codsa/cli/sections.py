"""Options of a command from the sections of an experiment: a section's keys are the options."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from codsa.cli.common import parse_settings, parse_value
from codsa.errors import CodsaError, suggest
from codsa.io.yamls import parse_decimal
from codsa.settings.section import Flag, Section

REPEATED = ("pairs", "choices", "settings")


def with_sections(*, optional: tuple[str, ...] = (), **sections: type[Section]) -> Callable[..., Callable[..., Any]]:
    """Return a decorator that gives a command an option for every key of some sections.

    The command gets each section as the keyword argument of its name. An option that is not given takes the section's
    default; `model_fields_set` says which were given. Two sections may share an option.

    Parameters
    ----------
    optional : tuple of str
        Sections that are None where their required key is not given.
    **sections : Section classes, by the name of the command's parameter
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        options = {_key(model, field): (model, field) for model in sections.values() for field in model.model_fields}
        generated = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(model, field))
            for key, (model, field) in options.items()
        ]
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own if p.name not in sections]

        @wraps(command)
        def run(**given: Any) -> Any:
            values = {key: given.pop(key) for key in options}
            read = {name: _section(model, values, name in optional) for name, model in sections.items()}
            return command(**given, **read)

        del run.__wrapped__  # typer would read the signature of the command itself
        run.__signature__ = inspect.Signature([*kept, *generated])  # type: ignore[attr-defined]
        run.__annotations__ = {}
        return run

    return decorate


def _key(model: type[Section], field: str) -> str:
    """Return the name of an option's parameter: the option's own, unless that is a word of Python's."""
    name = model.flag(field).name.partition("/")[0].lstrip("-").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _section(model: type[Section], values: Mapping[str, Any], optional: bool) -> Section | None:
    given = {
        field: _value(model, field, text)
        for field in model.model_fields
        if (text := values[_key(model, field)]) not in (None, [])
    }
    lacking = [name for name, field in model.model_fields.items() if field.is_required() and name not in given]
    if not lacking:
        return model.read(given, model.section)
    alone = [name for name in given if name != "on_unreadable"]
    if optional and not alone:
        return None
    flag = model.flag(lacking[0]).name
    raise CodsaError(f"{model.flag(alone[0]).name if alone else model.section} needs {flag}; give it")


def _value(model: type[Section], field: str, text: Any) -> Any:
    """Return the value of an option from its text, or from the texts of a repeated option."""
    flag = model.flag(field)
    if flag.read == "settings":
        return parse_settings(text)
    if flag.read == "pairs":
        return _pairs(flag.name, text)
    if flag.read == "choices":
        return _choices(flag.name, text, get_args(model.model_fields[field].annotation)[1])
    if isinstance(text, list):
        return [_value(model, field, item) for item in text]
    if flag.read == "yaml":
        return parse_value(text)
    if flag.read == "number":
        number = parse_decimal(text)
        return text if number is None else int(number) if number.is_integer() else number
    return list(text) if isinstance(text, tuple) else text


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CodsaError(f"{option} {text}: write it as NAME=VALUE")
        if name in pairs:
            raise CodsaError(f"{option} {text}: '{name}' is given twice; give one another name")
        pairs[name] = value
    return pairs


def _choices(option: str, texts: list[str], entry: type[Section]) -> dict[str, dict[str, str]]:
    """Return, by name, the keys of `entry` that NAME=CHOICE sets: each key whose values include the choice."""
    keys = {
        choice: key
        for key, field in entry.model_fields.items()
        for part in _parts(field.annotation)
        for choice in get_args(part)
    }
    entries: dict[str, dict[str, str]] = {}
    for text in texts:
        name, _, choice = text.rpartition("=")
        if not name:
            raise CodsaError(f"{option} {text}: write it as NAME=VALUE")
        if choice not in keys:
            raise CodsaError(
                f"{option} {text}: no {' or '.join(entry.model_fields)} '{choice}'; {suggest(choice, keys)}"
            )
        if keys[choice] in entries.setdefault(name, {}):
            raise CodsaError(f"{option} {text}: the {keys[choice]} of '{name}' is given twice; keep one of them")
        entries[name][keys[choice]] = choice
    return entries


def _option(model: type[Section], name: str) -> Any:
    """Return the annotation by which typer makes a field's option."""
    field, flag = model.model_fields[name], model.flag(name)
    kind = _kind(field.annotation, flag)
    bounds = {"min": _bound(field, Ge), "max": _bound(field, Le)} if kind in (int, float) else {}
    return Annotated[
        kind | None,
        typer.Option(flag.name, help=_help(model, field, flag), metavar=flag.metavar, show_default=False, **bounds),
    ]


def _kind(annotation: Any, flag: Flag) -> Any:
    """Return the type of an option's value: a text, unless typer itself reads it."""
    plain = [part for part in _parts(annotation) if part is not type(None)]
    if flag.read == "pair":
        return tuple[int, int]
    if flag.read in REPEATED:
        return list[str]
    if len(plain) == 1 and get_origin(plain[0]) is list:
        return list[float] if _parts(get_args(plain[0])[0]) == [float] else list[str]
    return plain[0] if len(plain) == 1 and plain[0] in (int, float, bool) else str


def _parts(annotation: Any) -> list[Any]:
    """Return the kinds of value that an annotation admits."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (list, dict, Literal) or not get_args(annotation):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def _bound(field: FieldInfo, kind: type[Ge] | type[Le]) -> Any:
    found = next((item for item in field.metadata if isinstance(item, kind)), None)
    return None if found is None else getattr(found, "ge" if kind is Ge else "le")


def _help(model: type[Section], field: FieldInfo, flag: Flag) -> str:
    text = flag.help or f"{model.section.capitalize()}: {field.description or ''}."
    if field.is_required() or field.default in (None, {}, []):
        return text
    default = field.default if not isinstance(field.default, list) else " ".join(map(str, field.default))
    return f"{text} [default: {default}]"
