"""YAML and JSON from outside: keys but once, nothing deep or endless, values that are what they look like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from codsa.cli.common import parse_settings
from codsa.errors import CodsaError, shortened
from codsa.io.yamls import MAX_BYTES, MAX_DEPTH, parse_decimal, parse_value, parse_yaml, read_yaml

LAUGHS = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{', '.join([f'*{chr(97 + k)}'] * 9)}]\n" for k in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\ndata: 2\nseed: 3\n", r"line 3: the key 'seed' stands twice \(first in line 1\)"),
        ("a: {b: 1, c: 2, b: 3}", "line 1: the key 'b' stands twice"),
        ("- {0: 1}\n- {0: 1, '0': 2}", "line 2: the key '0' stands twice"),
        ("{true: 1, True: 2}", "the key 'True' stands twice"),
        ("{<<: {a: 1}, <<: {b: 1}}", "the key '<<' stands twice"),
        ("[" * 100_000, f"more than {MAX_DEPTH} deep"),
        ("- " * 100_000, f"more than {MAX_DEPTH} deep"),
        ("{a: " * 5_000, f"more than {MAX_DEPTH} deep"),
        (LAUGHS, r"line 5: holds more than 50000 values"),
        ("&a [*a]", r"'\*a' stands for something that holds it"),
        ("&a {b: *a}", r"'\*a' stands for something that holds it"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("!!binary aGk=", "could not determine a constructor"),
        ("!!set {a}", "could not determine a constructor"),
        ("!!int abc", "'abc' is not a number"),
        ("!!bool maybe", "'maybe' is not true or false"),
        ("{[1]: 2}", "line 1: a list or a mapping stands where a key is needed"),
        ("{? : 1}", "line 1: a key is empty"),
        ("a\x00b", "cannot be read as YAML"),
        ("a: \x07", "cannot be read as YAML"),
        ("a: \ud800", "cannot be read as YAML"),
        ('a: "\\ud800"', "is not Unicode text"),
        ('a: "\\UFFFFFFFF"', "cannot be read as YAML"),
        (f"%YAML {'1' * 5000}.1\n---\na", "cannot be read as YAML"),
        ("a: .nan", "line 1: .nan is not a number"),
        ("a: 1e400", "line 1: 1e400 is too large"),
        ("a: 1e-400", "line 1: 1e-400 is too small"),
        (f"a: {'1' * 400}", "too large for a number"),
        (f"a: {'1' * 5000}", "too long for a number"),
        ("--- a\n--- b", "line 2: but found another document"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CodsaError, match=f"x.yaml: .*{message}") as caught:
        parse_yaml(text, "x.yaml")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' stands twice"),
        ("{a: 1, a: 2}", "the key 'a' stands twice"),
        ('{"a":' * 100_000, f"more than {MAX_DEPTH} deep"),
        ("[" * 100_000, f"more than {MAX_DEPTH} deep"),
        ("[" * 100 + "]" * 100, f"more than {MAX_DEPTH} deep"),
        ("NaN", "NaN is not a number"),
        ("[1e400]", "1e400 is too large"),
        ("9" * 400, "too large"),
        ("9" * 5000, "too long"),
        ('"\\ud800"', "is not Unicode text"),
    ],
)
def test_what_is_refused_of_an_option(text: str, message: str) -> None:
    with pytest.raises(CodsaError, match=message) as caught:
        parse_value(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{no: 0.5, yes: 0.5}", {"no": 0.5, "yes": 0.5}),
        ("{on: 1, off: 1, null: 1, ~: 1, y: 1}", {"on": 1, "off": 1, "null": 1, "~": 1, "y": 1}),
        ("{true: 0.5, FALSE: 0.5}", {"True": 0.5, "False": 0.5}),
        ("{0: 1, 1: 3, -2: 1}", {0: 1, 1: 3, -2: 1}),
        ("{007: 1, 0x1F: 1, 1_000: 1, 12:30: 1}", {"007": 1, "0x1F": 1, "1_000": 1, "12:30": 1}),
        ("{1e3: 1, 0.5: 1, 0.50: 1}", {"1e3": 1, 0.5: 1, "0.50": 1}),
        ("{2020-01-01: 1, =: 1}", {"2020-01-01": 1, "=": 1}),
        ("{<<: {a: 1, b: 1}, a: 2}", {"a": 2, "b": 1}),
        ("[1e-4, 1E5, -2.5e+3, .5, 1., +7, 0x1f, 1_000]", [1e-4, 1e5, -2.5e3, 0.5, 1.0, 7, 31, 1000]),
        ("[007, 08, 12:30, 1:1, 0x, e5, 1e]", ["007", "08", "12:30", "1:1", "0x", "e5", "1e"]),
        ("[2020-01-01, 2020-13-45, 2020-01-01 12:00:00]", ["2020-01-01", "2020-13-45", "2020-01-01T12:00:00"]),
        ("[yes, No, on, TRUE, ~, null, '']", [True, False, True, True, None, None, ""]),
        ("[1.7976931348623157e+308, 5.0e-324]", [1.7976931348623157e308, 5e-324]),
        ("[.inf, -.inf]", [float("inf"), float("-inf")]),
        ("!!str 007", "007"),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    ],
)
def test_what_yaml_says(text: str, value: Any) -> None:
    parsed = parse_yaml(text, "x")
    assert parsed == value and repr(parsed) == repr(value)


def test_deep_and_long_up_to_the_bounds() -> None:
    assert parse_value("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)) is not None
    assert len(parse_value(str(list(range(9999))))) == 9999


def refused(path: Path, message: str) -> bool:
    with pytest.raises(CodsaError, match=message) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)
    return True


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    assert refused(path, "no such file")
    path.mkdir()
    assert refused(path, "not a file")
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo", "not a file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert refused(tmp_path / "loop", "not readable")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    assert refused(tmp_path / "dangling", "no such file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: é".encode("latin-1"), r"not UTF-8 text \(byte 6\)"),
        ("name: a".encode("utf-16"), "not UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "longer than"),
        (b"a: 1\0", "cannot be read"),
    ],
)
def test_files_of_other_content(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    assert refused(tmp_path / "x.yaml", message)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes("name: é".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "x.yaml") == {"name": "é"}


@pytest.mark.parametrize("pair", ["=1", "a b=1", "a", "1a=2"])
def test_settings_are_keyword_arguments(pair: str) -> None:
    with pytest.raises(CodsaError, match="write it as KEY=VALUE"):
        parse_settings([pair])


def test_a_setting_is_set_once() -> None:
    with pytest.raises(CodsaError, match="'steps' is set twice"):
        parse_settings(["steps=1", "width=2", "steps=3"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("20", 20), ("0.2", 0.2), (".5", 0.5), ("1e3", 1000), ("-2.", -2), ("+1E-2", 0.01)]
    + [(text, None) for text in ("０.２", "1_000", " 0.2 ", "nan", "inf", "1e400", "", ".", "0x1", "1e", "²")],
)
def test_decimals(text: str, number: float | None) -> None:
    assert parse_decimal(text) == number


def test_values_in_errors_are_short_and_on_one_line() -> None:
    assert shortened("a\n\x1b[31m b") == "a \\x1b[31m b"
    assert len(shortened("x" * 10_000)) == 61
