"""Expressions on columns: what pandas' query gives, and nothing but what is allowed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import call, make_mixed_table, write_prepared
from test_bad_input import files, refused

from codsa.cli.prepare import main as codsa_prepare
from codsa.cli.split import main as codsa_split
from codsa.data.expressions import MAX_CHARACTERS, MAX_DEPTH, Expression, parse
from codsa.data.regions import Regions
from codsa.errors import CodsaError
from codsa.io.records import read_json, write_json
from codsa.settings.regions import RegionRule


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """60 rows of every type, most with missing values."""
    random = np.random.default_rng(0)
    n = 60

    def gaps(values: Any) -> np.ndarray:
        return np.where(random.random(n) < 0.2, None, values)

    return pd.DataFrame(
        {
            "x": pd.to_numeric(pd.Series(gaps(random.normal(size=n)))),
            "k": random.integers(0, 6, n),
            "n": pd.array(gaps(random.integers(0, 9, n)), dtype="Int64"),
            "site": pd.Series(gaps(random.choice(["north", "south", "b&c"], n))).astype("str"),
            "flag": pd.array(gaps(random.random(n) < 0.5), dtype="boolean"),
            "b": random.random(n) < 0.5,
            "seen": pd.Series(pd.date_range("2020-01-01", periods=n)).where(random.random(n) < 0.8),
            "a col": random.normal(size=n),
            "obj": pd.Series(gaps(random.choice(["u", "v"], n)), dtype=object),
            "_x1": random.normal(size=n),
        }
    )


SAME = """
x > 0 | x != 0 | ~(x > 0) | not x > 0 | 0 < x <= 1 | 0 < x <= 1 < k | x == None | x == x | -x > 0.5 | x > -1e3
k in [1, 2] | k not in (1, 2) | k == [1, 2] | k != [1, 2] | k == '1' | k == True | k in [1] or k in [2, 3]
site == 'north' | site != 'north' | site in ['north', "south"] | 'north' == site | site not in ['north'] | site > 'o'
site == 'b&c' | site == None | obj == 'u' | obj != 'u' | obj in ['u', None] | n in [3, 4] | n == [3] | n == n
n > 3 | n != 3 | ~(n > 3) | n + 1 > 3 | n / 2 > 1 | n.between(2, 5) | flag | ~flag | flag and b | flag == True
flag != True | not b | b == True | not (b or flag) | ~b and ~flag | (x > 0) == b | True | x > 0 and True | 1 < 2
b & x > 0 | x < k & k < n | k == 1 == True | x < k < n | -1 < x < +1 | x + k * 2 - 1 > k / 3 | k // 2 == 1 | k % 2 == 0
seen > '2020-01-10' | seen == '2020-01-05' | seen != '2020-01-05' | seen in ['2020-01-05', '2020-01-06'] | seen.isna()
'2020-01-10' < seen | seen.dt.year == 2020 | seen.dt.month == 1 and x > 0 | seen.dt.quarter == 1 | _x1 > 0
x ** 2 > 1 | abs(x) > 1 | x.abs() > 1 | log1p(k) > 1 | sqrt(k) > 1 | floor(x) == 0 | x.round() == 0 | x.round(1) == 0.1
x.isna() | x.notna() and k > 1 | x.between(0, 1) | x.between(0, k) | k.isin([1, 2]) | k > 10 ** 2 - 99 | k != -1
site.str.contains('or') | site.str.startswith('n') | site.str.endswith('h') | site.str.lower() == 'north'
site.str.len() > 3 | site.str.strip() == 'north' | site.str.upper() in ['NORTH']
""".replace("\n", " | ").split(" | ")
SAME = [text for text in SAME if text] + [
    "`a col` > 0 and `a col` < x",
    "flag | b",
    "x > 0 & k < 3 | b",
    "b & x > 0 | flag & n > 2",
]


@pytest.mark.parametrize("text", SAME)
def test_the_rows_are_those_of_pandas(text: str, frame: pd.DataFrame) -> None:
    theirs = pd.Series(frame.eval(text, engine="python"), index=frame.index)
    assert theirs.dtype in ("bool", "boolean")
    np.testing.assert_array_equal(Expression(text).truth(frame), theirs.astype("boolean").fillna(False).to_numpy(bool))


def test_the_text_of_contains_is_no_pattern() -> None:
    frame = pd.DataFrame({"site": ["a.b", "axb", None, "a" * 40 + "!"]})
    assert parse("site.str.contains('a.b')").truth(frame).tolist() == [True, False, False, False]
    begun = time.perf_counter()
    assert not parse(f"site.str.contains('{'(a+)+' * 20}$')").truth(frame).any()
    assert time.perf_counter() - begun < 1


REFUSED = [
    ("@pd.io.common.os.system('touch p') == 0", "'@' is not allowed"),
    ("x.to_csv('p')", "'to_csv' is not allowed"),
    ("x.to_csv('p') == 1", "'to_csv' is not allowed"),
    ("x.values.tofile('p')", "'tofile' is not allowed"),
    ("x.eval('1')", "'eval' is not allowed"),
    ("x.__class__", "'__class__' is not allowed"),
    ("x.str.__class__", "'__class__' is not allowed"),
    ("x.dt.__class__", "'__class__' is not allowed"),
    ("x.dt.foo", "'foo' is not allowed"),
    ("x.isnaa()", "did you mean 'isna'?"),
    ("x.apply(abs)", "'apply' is not allowed"),
    ("x > x.mean()", "'mean' is not allowed"),
    ("x.str", "'.str' lacks"),
    ("__import__('os').system('touch p')", "'system' is not allowed"),
    ("eval('1')", "'eval' is not allowed"),
    ("open('p', 'w')", "'open' is not allowed"),
    ("(lambda: 1)()", "is not allowed"),
    ("lambda: 1", "'lambda' is not allowed"),
    ("[c for c in k]", "'[… for …]' is not allowed"),
    ("x[0] > 1", "'[…] behind a value' is not allowed"),
    ("f'{x}' == 'a'", "is not allowed"),
    ("b'a' == site", "is not allowed"),
    ("1j > x", "'1j' is not allowed"),
    ("x if b else k", "'if … else' is not allowed"),
    ("(x := 5)", "':=' is not allowed"),
    ("x ^ k", "'^' is not allowed"),
    ("x is None", "'is' is not allowed"),
    ("x == ...", "is not allowed"),
    ("x.round(decimals=1)", "'decimals=' is not allowed"),
    ("x = 5", "write =="),
    ("x = 5 and k > 1", "write =="),
    ("site = '=='", "write =="),
    ("site in site", "a list of constants"),
    ("k in [k]", "constants only"),
    ("k in [[1]]", "constants only"),
    ("k.isin(k)", "a list of constants"),
    ("site.str.contains(site)", "constants only"),
    ("k, x", "a list may only stand behind"),
    ("x.between(1)", "'between' takes 2 arguments, not 1"),
    ("site * 1000000000", "'*' is not for texts"),
    ("'a' * 1000000000 == site", "'*' is not for texts"),
    ("'%s' % x == 'a'", "'%' is not for texts"),
    ("9 ** 9 ** 9 ** 9 > x", "too large"),
    ("1 / 0 > x", "ZeroDivisionError"),
    ("x > 'a'", "cannot be evaluated"),
    ("x.str.len() > 1", "cannot be evaluated"),
    ("k.dt.year > 1", "cannot be evaluated"),
    ("(1).isna()", "a method of columns"),
    ("x + 1", "gives float64, not true or false"),
    ("'text'", "not true or false"),
    ("zz > 1", "no column 'zz'"),
    ("index > 5", "no column 'index'"),
    ("sit == 1", "did you mean 'site'"),
    ("x <", "cannot be evaluated"),
    ("", "cannot be evaluated"),
    ("`a col > 1", "a backtick is not closed"),
    ("x > 'a", "cannot be evaluated"),
    ("\0", "cannot be evaluated"),
    ("(" * 300 + "x" + ")" * 300 + " > 0", "cannot be evaluated"),
    ("-" * (MAX_CHARACTERS - 10) + "x > 0", ""),
    ("+".join(["x"] * (MAX_DEPTH + 2)) + " > 0", f"more than {MAX_DEPTH} levels"),
    ("x > 0" + " " * MAX_CHARACTERS + "or x < 1", "characters long"),
]


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_anything_else_is_refused_by_name(
    text: str, words: str, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = frame.copy()
    with pytest.raises(CodsaError) as error:
        Expression(text).truth(frame)
    assert words in str(error.value) and "\n" not in str(error.value).replace(text.strip(), "")
    assert not list(tmp_path.iterdir())
    pd.testing.assert_frame_equal(frame, before)


def test_names_are_found_whatever_their_spelling() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    frame = pd.DataFrame({composed: [1, 2], "\ufb01": [1, 2], "column_0": [1, 2], "a.b": [2, 1]})
    assert parse(f"{decomposed} > 1").truth(frame).tolist() == [False, True]
    assert parse("\ufb01 > 1").truth(frame).tolist() == [False, True]  # Python reads it as 'fi'
    assert parse("`a.b` > 1 and column_0 < 2").truth(frame).tolist() == [True, False]
    assert parse("`a.b` > 1 and column_0 < 2").columns(map(str, frame)) == ["a.b", "column_0"]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "raw.csv"
    make_mixed_table().to_csv(path, index=False)
    return path


CODE = "@pd.io.common.os.system('touch taken') == 0"


@pytest.mark.parametrize(
    "options",
    [
        ("--keep", CODE),
        ("--keep", "visits.to_csv('taken') == 1"),
        ("--regions", "expression", "--expression", f"a={CODE}"),
        ("--regions", "expression", "--expression", "a=visits.to_csv('taken') == 1"),
    ],
)
def test_no_option_runs_code(
    options: tuple[str, ...], raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(call(codsa_prepare, raw, "--out", tmp_path / "out", *options), "is not allowed in an expression")
    assert list(files(tmp_path)) == ["raw.csv"]


def test_an_assignment_says_what_to_write(raw: Path, tmp_path: Path) -> None:
    ended = call(codsa_prepare, raw, "--out", tmp_path / "out", "--keep", "visits = 5")
    assert refused(ended, "keep 'visits = 5'", "write ==")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (CODE, "is not allowed"),
        ("visits.to_csv('taken') == 1", "is not allowed"),
        ("visit > 3", "did you mean 'visits'"),
    ],
)
def test_a_strangers_schema_runs_no_code(
    expression: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rule = RegionRule(by="expression", expressions={"few": "visits < 3"})
    write_prepared(tmp_path / "data", make_mixed_table(), rule)
    record = read_json(tmp_path / "data" / "schema.json")
    record["regions"]["members"][0] = [expression]
    write_json(tmp_path / "data" / "schema.json", record)
    ended = call(codsa_split, "--data", tmp_path / "data", "--out", tmp_path / "split.parquet")
    assert refused(ended, words) and not (tmp_path / "taken").exists()


def test_an_expression_that_is_no_text_is_refused() -> None:
    record = {"kind": "expressions", "names": ["a", "b"], "column": None, "members": [[["x > 1"]], []]}
    with pytest.raises(CodsaError, match="is no text"):
        Regions.from_dict(record)
