"""The figures that pages give are those of the committed results."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
OWN = {"random-forest", "mlp", "gradient-boosting"}
"""Estimators of README's table: each study's own."""


def means() -> pd.DataFrame:
    """Return the mean recalibrated figure of every study, estimator and method, of the metric of the page."""
    table = pd.read_csv(ROOT / "benchmarks/results/court.csv")
    table = table[table["metric"].isin(["cross-entropy", "mse"])]
    by = table.groupby(["experiment", "estimator", "method"])["recalibrated"].mean()
    return by.unstack("method")


def rows(page: str, columns: int) -> list[list[str]]:
    """Return the cells of the tables of a page that have a number of columns, heads left out."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    return [row for row in cells if len(row) == columns and not set(row[0]) <= set("- |")]


def agrees(shown: str, value: float) -> bool:
    """Say whether a number is a value, of which six digits are kept, rounded to the places that are shown."""
    decimals = len(shown.partition(".")[2])
    return abs(float(shown) - value) <= 0.500001 * 10.0**-decimals + 5e-6 * abs(value)


def test_the_courts_page_shows_the_means_of_its_csv() -> None:
    expected, checked = means(), 0
    for study, estimator, *_, plain, control, primary, _, _, _, _ in rows("docs/court.md", 10):
        if (study, estimator) in expected.index:
            found = expected.loc[(study, estimator)]
            for shown, method in ((plain, "none"), (control, "control-auto"), (primary, "codsa-auto")):
                assert agrees(shown, found[method]), (study, estimator, method)
            checked += 1
    assert checked == len(expected)


def test_readmes_first_table_shows_the_means_of_the_court() -> None:
    expected, checked = means(), 0
    for study, plain, control, primary, *_ in rows("README.md", 6):
        name = re.match(r"`(\w+)`", study)
        if name is None:
            continue
        own = next(key for key in expected.index if key[0] == name.group(1) and key[1] in OWN)
        for shown, method in ((plain, "none"), (control, "control-auto"), (primary, "codsa-auto")):
            assert agrees(shown, expected.loc[own, method]), (study, method)
        checked += 1
    assert checked == len(expected.index.unique("experiment"))


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_files_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target
