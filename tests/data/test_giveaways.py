"""Columns from which the target was made, or that were made from it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from codsa.data.giveaways import giveaways

N = 200
RNG = np.random.default_rng(0)
A, B, NOISE = RNG.uniform(1, 9, N).round(2), RNG.uniform(1, 9, N).round(2), RNG.normal(size=N)


def said(target: object, **columns: object) -> list[str]:
    frame = pd.DataFrame({"noise": NOISE, "site": np.where(NOISE > 0, "u", "v"), **columns})
    return giveaways(frame, pd.Series(target))


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda a, b: a + b, "'a' + 'b' is the target"),
        (lambda a, b: a - b, "'a' - 'b' is the target"),
        (lambda a, b: b - a, "'b' - 'a' is the target"),
        (lambda a, b: a * b, "'a' * 'b' is the target"),
        (lambda a, b: b / a, "'b' / 'a' is the target"),
    ],
)
def test_two_columns_that_make_the_target(made: Callable[..., np.ndarray], words: str) -> None:
    notes = said(made(A, B), a=A, b=B)
    assert len(notes) == 1 and notes[0].startswith(words)
    assert not said(made(A, B) + 0.01 * NOISE, a=A, b=B)


def test_missing_cells_hide_no_relation() -> None:
    a = np.where(np.arange(N) % 5 == 0, np.nan, A)
    assert "'a' + 'b' is the target" in said(A + B, a=a, b=B)[0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (A, "column 'a' is the target itself"),
        (A * 2.54 + 1, "column 'a' is the target in another unit"),
        (np.log(A), "the target rises with column 'a'"),
        (-np.exp(A / 9), "the target falls with column 'a'"),
        ((A > 4).astype(int), "column 'a' parts the target into ranges"),
        (np.where(A > 4, "high", "low"), "column 'a' parts the target into ranges"),
    ],
)
def test_one_column_that_gives_a_number_away(column: np.ndarray, words: str) -> None:
    notes = said(A, a=column)
    assert len(notes) == 1 and notes[0].startswith(words) and "--drop" in notes[0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (np.where(NOISE > 0, 1.0, 2.0) + A / 100, "column 'a' alone parts the classes"),
        (np.where(NOISE > 0, 7, 3), "each value of column 'a' has one class alone"),
        (np.where(NOISE > 0, np.where(A > 4, "p", "q"), "r"), "each value of column 'a' has one class alone"),
    ],
)
def test_one_column_that_gives_a_class_away(column: np.ndarray, words: str) -> None:
    notes = giveaways(pd.DataFrame({"b": B, "a": column}), pd.Series(np.where(NOISE > 0, "sick", "well")))
    assert len(notes) == 1 and notes[0].startswith(words)


def test_plain_columns_give_nothing_away() -> None:
    names = [f"P{i}" for i in range(N)]
    assert not said(A + RNG.normal(size=N), a=A, b=B, name=names, day=pd.date_range("2020-01-01", periods=N))
    assert not said(np.where(RNG.normal(size=N) + A > 5, "s", "w"), a=A, b=B, name=names)
    assert not said(np.arange(N) % 3, a=A, b=np.nan)
