"""Texts and mappings as an experiment file writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from codsa.io.yamls import parse_yaml


def quote(text: str) -> str:
    """Return text as YAML: quoted where it is not plain, or where YAML would read a number, a boolean or null."""
    if re.fullmatch(r"[A-Za-z_./][A-Za-z0-9_./-]*", text) and _reads_as_itself(text):
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=math.inf).strip()


def _reads_as_itself(text: str) -> bool:
    return parse_yaml(text, text) == text and next(iter(parse_yaml(f"{text}: 0", text))) == text


def comment(text: str) -> str:
    """Return text with blanks for the characters that would end a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


def written(setting: Any) -> str:
    """Return a setting as YAML on one line."""
    if isinstance(setting, Mapping):
        return "{" + ", ".join(f"{quote(str(key))}: {written(value)}" for key, value in setting.items()) + "}"
    if isinstance(setting, list):
        return "[" + ", ".join(written(item) for item in setting) + "]"
    return quote(setting) if isinstance(setting, str) else str(setting).lower()
