"""Command-line options from values, and from the sections of an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codsa.errors import CodsaError
from codsa.io.yamls import parse_value
from codsa.settings.section import Section


def value(setting: Any) -> str:
    """Return a setting as the commands read it: text as it is, anything else as JSON, which YAML includes."""
    return setting if isinstance(setting, str) else json.dumps(setting, sort_keys=True)


def options(**settings_by_name: Any) -> list[str]:
    """Return options of a command line. None and False are left out; a list repeats the option.

    No word is empty, since Snakemake drops empty words: an empty text becomes `--option=`.
    """
    arguments: list[str] = []
    for name, setting in settings_by_name.items():
        option = "--" + name.replace("_", "-")
        for item in setting if isinstance(setting, list) else [setting]:
            if item is True:
                arguments.append(option)
            elif item is not None and item is not False:
                arguments += [option, text] if (text := value(item)) else [f"{option}="]
    return arguments


def settings(values: Mapping[str, Any]) -> list[str]:
    """Return settings as repeated --set KEY=VALUE options, which `parse_settings` reads back unchanged."""
    for key in values:
        if not key.isidentifier():
            raise CodsaError(f"setting '{key}': its name must be letters, digits and _, as a keyword argument's is")
    return [argument for key, item in sorted(values.items()) for argument in ("--set", f"{key}={_quoted(item)}")]


def _quoted(setting: Any) -> str:
    """Return a setting as `value` does, but quote text that YAML would read as another value."""
    if not isinstance(setting, str):
        return value(setting)
    try:
        return setting if parse_value(setting) == setting else json.dumps(setting)
    except CodsaError:
        return json.dumps(setting)


def section_options(section: Section, model: type[Section] | None = None, without: tuple[str, ...] = ()) -> list[str]:
    """Return an option for every key of a section that is not at its default; `codsa.cli.sections` reads them.

    Parameters
    ----------
    model : Section class, optional
        The class that declares the keys to write, where `section` inherits from it; default: that of `section`.
    without : tuple of str
        Keys for which the command has no option.
    """
    defaults = {name: field.get_default() for name, field in (model or type(section)).model_fields.items()}
    values = {name: getattr(section, name) for name in defaults if name not in without}
    changed = {name: field_value for name, field_value in values.items() if field_value != defaults[name]}
    return [option for name, field_value in changed.items() for option in _field_options(section, name, field_value)]


def _field_options(section: Section, name: str, field_value: Any) -> list[str]:
    flag = section.flag(name)
    if flag.read == "settings":
        return settings(field_value)
    if flag.read == "pair":
        return [flag.name, *map(str, field_value)]
    if flag.read == "pairs":
        field_value = [f"{key}={text}" for key, text in field_value.items()]
    if flag.read == "choices":
        field_value = [
            f"{key}={choice}" for key, entry in field_value.items() for _, choice in entry if choice is not None
        ]
    positive, _, negative = flag.name.partition("/")
    if negative:
        return [positive if field_value else negative]
    if name == "size" and isinstance(field_value, list):
        field_value = "x".join(map(str, field_value))
    return options(**{positive.lstrip("-").replace("-", "_"): field_value})


def refuse_unwritable(content: Any, where: str) -> None:
    """Raise where a configuration holds a text that no command line can carry: with NUL, or with a lone surrogate.

    Raises
    ------
    CodsaError
        Naming the key that leads to the text.
    """
    if isinstance(content, Mapping):
        for key, value_of_key in content.items():
            refuse_unwritable(str(key), f"{where}, a key")
            refuse_unwritable(value_of_key, f"{where}: {key}")
    elif isinstance(content, list | tuple):
        for item in content:
            refuse_unwritable(item, where)
    elif isinstance(content, str) and ("\0" in content or any("\ud800" <= sign <= "\udfff" for sign in content)):
        raise CodsaError(f"{where} = {content!a}: no text; take out the characters that are written with a backslash")
