"""What a study measured: the table of its report, and the grid points of its evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from codsa.data.metrics import OVERALL, RAW
from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.names import FITS, GRID, METRICS_TABLE
from codsa.io.tables import read_parquet
from codsa.paper.experiments import PaperExperiment

PLAIN = "none"
NEEDED = ("method", "replicate", "region", "metric", "value", "m", "r")
GRID_COLUMNS = ("r", "m", "m_ratio", "alpha", "validation")


@dataclass(frozen=True)
class Results:
    """The results of one study.

    Attributes
    ----------
    experiment : PaperExperiment
    folder : Path
        The study's, with its report and its evaluations.
    metrics : DataFrame
        Test figures of the study's own estimator: method, kind, replicate, region, metric, column, value, m, r.
    """

    experiment: PaperExperiment
    folder: Path
    metrics: pd.DataFrame = field(repr=False)

    @property
    def label(self) -> str:
        """The name of the study's folder."""
        return self.folder.name

    @property
    def methods(self) -> list[str]:
        """The methods, in the order of the report."""
        return list(dict.fromkeys(self.metrics["method"]))

    def kind(self, method: str) -> str:
        """Return what a method is to the report: primary, codsa, control or oracle."""
        kinds = self.metrics.loc[self.metrics["method"] == method, "kind"]
        return str(kinds.iloc[0]) if len(kinds) else ""

    def region(self, published: str) -> str:
        """Return our name of one of the paper's regions."""
        return self.experiment.regions.get(published, published)

    def values(self, method: str, metric: str, region: str = OVERALL, column: str = RAW) -> pd.DataFrame:
        """Return a method's test figures, a row for each replicate: replicate, value, m, r."""
        table = self.metrics
        chosen = (table["method"] == method) & (table["metric"] == metric) & (table["column"] == column)
        return table[chosen & (table["region"] == region)][["replicate", "value", "m", "r"]].dropna(subset="value")

    def grid(self, method: str) -> pd.DataFrame:
        """Return the grid points of a method over replicates, with test figures where the fits were kept.

        Returns
        -------
        DataFrame
            replicate, r, m, m_ratio, alpha (NaN where it is no number, and for m = 0), validation, and where they are
            there test and 'test: REGION'; empty where there is no evaluation.
        """
        return self._grids.get(method, pd.DataFrame())

    @cached_property
    def _grids(self) -> dict[str, pd.DataFrame]:
        parts: dict[str, list[pd.DataFrame]] = {}
        for folder in sorted(self.folder.glob("rep~*/eval~*"), key=_replicate):
            path = next((folder / name for name in (GRID, FITS) if (folder / name).exists()), None)
            if path is not None:
                method = folder.name.removeprefix("eval~")
                parts.setdefault(method, []).append(_grid_points(path).assign(replicate=_replicate(folder)))
        return {method: _of_one_kind(tables) for method, tables in parts.items()}

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of every table that was read."""
        paths = [self.folder / METRICS_TABLE, *sorted(self.folder.glob("rep~*/eval~*/*.parquet"))]
        read = [path for path in paths if path.name in (METRICS_TABLE, GRID, FITS)]
        return {path.relative_to(self.folder.parent).as_posix(): file_digest(path) for path in read}


def _replicate(folder: Path) -> int:
    number = folder.parent.name.removeprefix("rep~")
    return int(number) if number.isdigit() else -1


def _of_one_kind(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the grids of replicates; without test figures where one replicate lacks them."""
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    return pd.concat([table[shared] for table in tables], ignore_index=True)


def _grid_points(path: Path) -> pd.DataFrame:
    table = read_parquet(path)
    _need(table, GRID_COLUMNS, path)
    if "estimator" in table:
        table = table[table["estimator"] == table["estimator"].iloc[0]]
    without = table["m"] == 0
    tests = [name for name in table if str(name) == "test" or str(name).startswith("test: ")]
    return table[[*GRID_COLUMNS, *tests]].assign(
        alpha=pd.to_numeric(table["alpha"], errors="coerce").mask(without),
        r=table["r"].astype(float).mask(without),
    )


def read_results(results: Path, experiment: PaperExperiment, scale: str) -> Results | None:
    """Read a study's results at a scale; None where it has no report.

    Raises
    ------
    CodsaError
        For a table that lacks a column.
    """
    folder = results / f"{experiment.name}-{scale}"
    path = folder / METRICS_TABLE
    return Results(experiment, folder, read_metrics(path)) if path.exists() else None


def read_metrics(path: Path) -> pd.DataFrame:
    """Read the table of a report: the test figures of the study's own estimator.

    A method with an estimator of its own, which the study's is not, keeps that one.
    """
    try:
        table = pd.read_csv(path, dtype={"method": str, "region": str, "metric": str, "alpha": str})
    except (ValueError, UnicodeDecodeError) as error:
        raise CodsaError(f"{path}: not readable as CSV ({error}); run codsa-report again") from None
    _need(table, NEEDED, path)
    if table.empty:
        raise CodsaError(f"{path}: has no row; run codsa-report again")
    defaults = {"estimator": "", "column": RAW, "kind": [_kind(method) for method in table["method"]]}
    table = table.assign(**{name: default for name, default in defaults.items() if name not in table})
    table["estimator"] = table["estimator"].fillna("").astype(str)
    plain = table.loc[table["method"] == PLAIN, "estimator"]
    own = str((plain if len(plain) else table["estimator"]).iloc[0])
    first = table.groupby("method", sort=False)["estimator"].agg(lambda of: own if own in set(of) else of.iloc[0])
    return table[table["estimator"] == table["method"].map(first)].reset_index(drop=True)


def _kind(method: str) -> str:
    """Return what a method is by its name, for tables that do not say it."""
    return "oracle" if method in ("oracle", "fresh-rows") else "codsa" if method.startswith("codsa") else "control"


def _need(table: pd.DataFrame, columns: Iterable[str], path: Path) -> None:
    for name in columns:
        if name not in table:
            raise CodsaError(f"{path}: column '{name}' is missing; run the study's evaluation and report again")
