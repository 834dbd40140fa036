"""The words of a command line: options from values, and from the sections of an experiment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codsa.errors import CodsaError
from codsa.io.yamls import parse_value
from codsa.settings.section import Section


def value(thing: Any) -> str:
    """Return a value as the commands read it: JSON, which is YAML, and words bare."""
    return thing if isinstance(thing, str) else json.dumps(thing, sort_keys=True)


def options(**given: Any) -> list[str]:
    """Return options of a command line, no word empty; None and False are left out, lists repeat the option."""
    made: list[str] = []
    for name, thing in given.items():
        option = "--" + name.replace("_", "-")
        for one in thing if isinstance(thing, list) else [thing]:
            if one is True:
                made.append(option)
            elif one is not None and one is not False:
                made += [option, text] if (text := value(one)) else [f"{option}="]  # Snakemake drops empty words
    return made


def settings(given: Mapping[str, Any]) -> list[str]:
    """Return settings as repeated --set KEY=VALUE, which `parse_settings` reads back as they are."""
    for key in given:
        if not key.isidentifier():
            raise CodsaError(f"setting '{key}': its name must be letters, digits and _, as a keyword argument's is")
    return [word for key, thing in sorted(given.items()) for word in ("--set", f"{key}={_quoted(thing)}")]


def _quoted(thing: Any) -> str:
    """Return a value as `value` does, but text that would be read as another value in quotes."""
    if not isinstance(thing, str):
        return value(thing)
    try:
        return thing if parse_value(thing) == thing else json.dumps(thing)
    except CodsaError:
        return json.dumps(thing)


def section_options(section: Section, model: type[Section] | None = None, without: tuple[str, ...] = ()) -> list[str]:
    """Return the options that set a section, which `codsa.cli.sections` reads back: those that are not as by default.

    Parameters
    ----------
    model : Section class, optional
        The class that declares the keys to write, where `section` inherits from it; default: that of `section`.
    without : tuple of str
        Keys that the command takes by other means.
    """
    default = {name: field.get_default() for name, field in (model or type(section)).model_fields.items()}
    given = {name: getattr(section, name) for name in default if name not in without}
    return [word for name, v in given.items() if v != default[name] for word in _field_options(section, name, v)]


def _field_options(section: Section, name: str, given: Any) -> list[str]:
    flag = section.flag(name)
    if flag.read == "settings":
        return settings(given)
    if flag.read == "pair":
        return [flag.name, *map(str, given)]
    if flag.read == "pairs":
        given = [f"{key}={text}" for key, text in given.items()]
    if flag.read == "choices":
        given = [f"{key}={choice}" for key, entry in given.items() for _, choice in entry if choice is not None]
    positive, _, negative = flag.name.partition("/")
    if negative:
        return [positive if given else negative]
    if name == "size" and isinstance(given, list):
        given = "x".join(map(str, given))
    return options(**{positive.lstrip("-").replace("-", "_"): given})
