"""YAML and JSON of a user, read strictly: no repeated keys, limited depth and size, plain values only.

Values are those of YAML 1.1 (yes, no, on and off are booleans) with three differences: 1e-4 is a number as in JSON,
a number that begins with 0 (007) and a time (12:30) are text as written, and a date is its ISO text.

Keys are text. `no:`, `on:`, `1e3:`, `007:` and `2020-01-01:` are keys as written; `true:` and `false:` are True and
False, the names of regions of a boolean column. `0:` is a number, and its text is the same.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from codsa.errors import CodsaError, shortened

MAX_BYTES = 1 << 20
"""The longest file of settings."""
MAX_DEPTH = 40
"""The deepest nesting of lists and mappings."""
MAX_DIGITS = 1000
"""The most characters of a number."""
MAX_NODES = 50_000
"""The most values and keys of a text; an alias counts as often as the values that it repeats."""

TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]*[01]_*|0x[0-9a-fA-F_]*[0-9a-fA-F]_*)")


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses repeated keys, deep nesting, aliases that multiply, and tags beyond plain values."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    yaml_constructors = {
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag not in {TAG + name for name in ("binary", "omap", "pairs", "set")}
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.nodes = 0
        self.sizes: dict[str, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node while the text is neither too deep nor too large."""
        event: Any = self.peek_event()
        if self.check_event(yaml.AliasEvent):
            if event.anchor in self.anchors and event.anchor not in self.sizes:
                _refuse(event, f"'*{event.anchor}' stands for something that holds it")
            self.nodes += self.sizes.get(event.anchor, 0)
        before = self.nodes
        self.nodes, self.depth = self.nodes + 1, self.depth + 1
        if self.depth > MAX_DEPTH:
            _refuse(event, f"lists and mappings lie more than {MAX_DEPTH} deep in each other")
        if self.nodes > MAX_NODES:
            _refuse(event, f"holds more than {MAX_NODES} values")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self.sizes[event.anchor] = self.nodes - before
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Compose a mapping whose keys are distinct texts."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            _call_by_text(self, key)
            line = key.start_mark.line + 1
            if key.value in lines:
                _refuse(key, f"the key '{key.value}' stands twice (first in line {lines[key.value]}); keep one of them")
            lines[key.value] = line
        return node


class _Refused(yaml.MarkedYAMLError):
    """Valid YAML that this loader refuses."""


def _refuse(place: Any, problem: str) -> NoReturn:
    raise _Refused(None, None, problem, place.start_mark)


def _call_by_text(loader: StrictLoader, key: Node) -> None:
    """Turn a key's node into text as written, unless the text of its value is the same."""
    if not isinstance(key, ScalarNode):
        _refuse(key, "a list or a mapping stands where a key is needed; write text (or quote {…})")
    kind = key.tag.removeprefix(TAG)
    if kind in ("str", "merge"):
        return
    if kind not in ("int", "float", "bool", "null", "timestamp"):
        _refuse(key, f"the tag '{key.tag}' is not known; write plain values")
    if kind == "null" and not key.value:
        _refuse(key, "a key is empty; write one before the colon")
    if kind in ("int", "float") and str(_number(loader, key)) == key.value:
        return
    if kind == "bool" and key.value.lower() in ("true", "false"):
        key.value = key.value.capitalize()
    key.tag = TAG + "str"


def _number(loader: StrictLoader, node: ScalarNode) -> float:
    pattern, constructor = (
        (_INT, loader.construct_yaml_int) if node.tag == TAG + "int" else (_FLOAT, loader.construct_yaml_float)
    )
    if not pattern.fullmatch(node.value):
        _refuse(node, f"'{shortened(node.value)}' is not a number")
    try:
        return _usable(lambda _: constructor(node), node.value)
    except CodsaError as error:
        _refuse(node, str(error))


def _usable(convert: Callable[[str], float], text: str) -> float:
    """Return a number within the range of a double; infinity only if written so, and never NaN."""
    if len(text) > MAX_DIGITS:
        raise CodsaError(f"{shortened(text)} is too long for a number; quote it if it is text")
    number = convert(text)
    if number != number:
        raise CodsaError(f"{text} is not a number; leave it out, or quote it if it is text")
    if number == 0 and re.search("[1-9]", text.lower().partition("e")[0]):
        raise CodsaError(f"{shortened(text)} is too small for a number; write 0, or quote it if it is text")
    if not (abs(number) <= sys.float_info.max or "inf" in text.lower()):
        raise CodsaError(f"{shortened(text)} is too large for a number; quote it if it is text")
    return number


def _truth(loader: StrictLoader, node: ScalarNode) -> bool:
    if node.value.lower() not in loader.bool_values:
        _refuse(node, f"'{shortened(node.value)}' is not true or false")
    return loader.bool_values[node.value.lower()]


def _date(loader: StrictLoader, node: ScalarNode) -> str:
    """Return a date as its ISO text, and an invalid date as written."""
    try:
        return loader.construct_yaml_timestamp(node).isoformat()
    except (ValueError, AttributeError, OverflowError):
        return str(node.value)


def _set_up() -> None:
    replaced = {TAG + name for name in ("int", "float", "value")}
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        others = [(tag, pattern) for tag, pattern in resolvers if tag not in replaced]
        StrictLoader.yaml_implicit_resolvers[first] = others
    for name, pattern in (("float", _FLOAT), ("int", _INT)):
        StrictLoader.add_implicit_resolver(TAG + name, re.compile(f"(?:{pattern.pattern})$"), list("-+.0123456789"))
    for name, constructor in (("int", _number), ("float", _number), ("bool", _truth), ("timestamp", _date)):
        StrictLoader.add_constructor(TAG + name, constructor)


_set_up()


def parse_yaml(text: str, where: str) -> Any:
    """Return the content of a YAML text.

    Parameters
    ----------
    text : str
    where : str
        The subject of errors: a file's name, or an option's value.

    Raises
    ------
    CodsaError
        With the line, for text that is no YAML, a key that stands twice, what is too deep or too large, or values
        other than text, numbers, truths, nothing, lists and mappings.
    """
    try:
        loader = StrictLoader(text)
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = shortened(str(error.problem or error.context), 200)
        reason = f"{line}{problem}" if isinstance(error, _Refused) else f"cannot be read as YAML ({line}{problem})"
        raise CodsaError(f"{where}: {reason}") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise CodsaError(f"{where}: cannot be read as YAML ({shortened(_first_line(error), 200)})") from None
    return _checked(content, where)


def parse_json(text: str, where: str) -> Any:
    """Return the content of a JSON text, as strictly as `parse_yaml` does.

    Raises
    ------
    json.JSONDecodeError
        For text that is no JSON.
    CodsaError
        As `parse_yaml`.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(items)
        if len(content) < len(items):
            keys = [key for key, _ in items]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise CodsaError(f"{where}: the key '{shortened(repeated)}' stands twice; keep one of them")
        return content

    def number(read: Callable[[str], float], written: str) -> float:
        try:
            return _usable(read, written)
        except CodsaError as error:
            raise CodsaError(f"{where}: {error}") from None

    read_float, read_int = partial(number, float), partial(number, int)
    try:
        content = json.loads(
            text, object_pairs_hook=pairs, parse_float=read_float, parse_constant=read_float, parse_int=read_int
        )
    except RecursionError:
        raise CodsaError(f"{where}: lists and mappings lie more than {MAX_DEPTH} deep in each other") from None
    return _checked(content, where)


def parse_value(text: str) -> Any:
    """Return a value that an option gives as JSON or YAML: a number, a word, a list, a mapping."""
    where = f"'{shortened(text)}'"
    try:
        return parse_json(text, where)
    except json.JSONDecodeError:
        return parse_yaml(text, where)


def parse_decimal(text: str) -> float | None:
    """Return a number that is written in ASCII digits, as 20, 0.2 or 1e3; None for anything else, nan and inf too."""
    return float(text) if _DECIMAL.fullmatch(text) and math.isfinite(float(text)) else None


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    CodsaError
        Naming the file: missing, no regular file, too long, not UTF-8, or anything that `parse_yaml` refuses.
    """
    try:
        if path.exists() and not path.is_file():
            raise CodsaError(f"{path}: not a file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file") from None
    except OSError as error:
        raise CodsaError(f"{path}: not readable ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise CodsaError(f"{path}: longer than {MAX_BYTES} bytes; is it a file of settings?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodsaError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    return parse_yaml(text, str(path))


def _checked(content: Any, where: str) -> Any:
    """Return content, or raise where it is too deep or too large, or holds text that UTF-8 cannot encode."""
    for count, (value, depth) in enumerate(_walk(content)):
        if depth > MAX_DEPTH:
            raise CodsaError(f"{where}: lists and mappings lie more than {MAX_DEPTH} deep in each other")
        if count > MAX_NODES:
            raise CodsaError(f"{where}: holds more than {MAX_NODES} values")
        if isinstance(value, str) and not is_unicode(value):
            raise CodsaError(f"{where}: {shortened(ascii(value))} is not Unicode text")
    return content


def _walk(content: Any) -> Iterator[tuple[Any, int]]:
    """Yield every key and value with its depth, without recursion."""
    waiting = [(content, 1)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if isinstance(value, dict):
            yield from ((key, depth) for key in value)
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(item, depth + 1) for item in inner]


def is_unicode(text: str) -> bool:
    """Say whether text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
