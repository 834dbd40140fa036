"""The paper's tables: published figures beside those of our studies, and beside the controls of the same study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from codsa.data.metrics import RAW, RECALIBRATED
from codsa.paper.published import Published, of_item
from codsa.paper.results import PLAIN, Results

NEAR = 0.1
"""Numbers of synthetic rows are compared with the paper's where they differ by this share of it at most."""
STATISTICS = ("mean", "sd", "replicates")


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Attributes
    ----------
    item : str
        'Table 1'.
    study, metric : str
    regions : tuple of str
        Its columns, by the paper's names.
    methods : tuple of str
        The methods that it has, or had to have, in its order.
    caption : str
    by_m : bool
        A row for each number of synthetic rows, in place of the one that validation chose.
    """

    item: str
    study: str
    metric: str
    regions: tuple[str, ...]
    methods: tuple[str, ...]
    caption: str
    by_m: bool = False


HALVES = ("majority", "minority", "overall")
TABLES = (
    PaperTable(
        "Table 1",
        "sim41",
        "cross-entropy",
        HALVES,
        ("none", "smote", "adasyn", "codsa", "codsa-transfer"),
        "Imbalanced classification: test cross-entropy",
    ),
    PaperTable(
        "Table 2",
        "sim42",
        "mse",
        HALVES,
        ("none", "smogn", "codsa", "codsa-transfer"),
        "Regression with an undersampled region: mean squared error, which the paper calls RMSE",
    ),
    PaperTable(
        "Table 3",
        "mnist-usps",
        "roc-auc",
        ("usps", "mnist", "overall"),
        ("none", "codsa-composed"),
        "Anomaly detection on digits: AUC by the number m of synthetic rows",
        by_m=True,
    ),
    PaperTable(
        "Table 5",
        "sim42-d1",
        "mse",
        ("overall",),
        ("codsa", "codsa-crossfit"),
        "One fit at r = 0.8 against cross-fitting over five folds: mean squared error, which the paper calls RMSE",
    ),
)


def comparison(table: PaperTable, results: Results) -> pd.DataFrame:
    """Return a table's published figures beside ours, and ours for every other method of the study.

    Returns
    -------
    DataFrame
        A row for each method, region and, in a table by m, m; first the paper's methods, then the study's others.
        Columns item, study, method, kind, metric, m, region; published_mean, published_sd, source; and for raw and for
        recalibrated predictions mean, sd and replicates, with the column's name in front.
    """
    others = [method for method in results.methods if method not in table.methods]
    rows = [
        {
            "item": table.item,
            "study": results.label,
            "method": method,
            "kind": results.kind(method),
            "metric": table.metric,
            "m": m,
            "region": region,
            **_published(table, method, region, m),
            **_measured(table, results, method, region, m),
        }
        for method in [*table.methods, *others]
        for m in _rows_of(table, results, method)
        for region in table.regions
    ]
    return pd.DataFrame(rows)


def _rows_of(table: PaperTable, results: Results, method: str) -> Sequence[int | None]:
    """Return the values of m that a method has a row for; [None] in a table that is not by m."""
    if not table.by_m:
        return [None]
    ours = {int(m) for m in _by_m(table, results, method, "overall")["m"]}
    theirs = {m for m in (figure.m for figure in of_item(table.item) if figure.method == method) if m is not None}
    unmatched = {m for m in theirs if not any(_near(m, own) for own in ours)}
    return sorted(ours | unmatched)


def _near(published: int, own: int) -> bool:
    return abs(published - own) <= NEAR * published


def _published(table: PaperTable, method: str, region: str, m: int | None) -> dict[str, float | str | None]:
    figure = next((f for f in of_item(table.item) if (f.method, f.region) == (method, region) and _same(f, m)), None)
    if figure is None:
        return {"published_mean": None, "published_sd": None, "source": ""}
    return {"published_mean": figure.mean, "published_sd": figure.sd, "source": figure.source}


def _same(figure: Published, m: int | None) -> bool:
    return figure.m is None or m is None or _near(figure.m, m)


def _measured(
    table: PaperTable, results: Results, method: str, region: str, m: int | None
) -> dict[str, float | int | None]:
    if table.by_m:
        by_m = _by_m(table, results, method, region)
        return {f"{RAW}_{name}": value for name, value in _statistics(by_m.loc[by_m["m"] == m, "value"]).items()}
    figures: dict[str, float | int | None] = {}
    for column in (RAW, RECALIBRATED):
        values = results.values(method, table.metric, results.region(region), column)["value"]
        figures |= {f"{column}_{name}": value for name, value in _statistics(values).items()}
    return figures


def _statistics(values: pd.Series) -> dict[str, float | int | None]:
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "replicates": len(values),
    }


def _by_m(table: PaperTable, results: Results, method: str, region: str) -> pd.DataFrame:
    """Return a method's test figures by m: replicate, m, value.

    From the grid, where its fits were kept; at each m the point that is best on validation rows. Else at the m that
    validation chose in each replicate.
    """
    grid, name = results.grid(method), results.region(region)
    test = "test" if region == "overall" else f"test: {name}"
    if method == PLAIN or test not in grid:
        return results.values(method, table.metric, name)[["replicate", "m", "value"]]
    best = grid.loc[grid.groupby(["replicate", "m"])["validation"].idxmax()]
    added = best[best["m"] > 0]
    return added[["replicate", "m", test]].rename(columns={test: "value"}).reset_index(drop=True)
