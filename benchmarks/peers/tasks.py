"""The paper's two simulations, and real tables, as work for every method: data, split, grid, estimator, figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from levels import as_codes, as_levels, code_limits

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.grid import focus_region, pool_counts
from codsa.data.metrics import OVERALL, RAW, default_metric
from codsa.data.pool import Pool
from codsa.data.preparation import prepare
from codsa.data.split import TEST, Split, in_regions_of, load_split, write_split
from codsa.errors import CodsaError
from codsa.generators.base import complete
from codsa.io.seeds import SeedContext, integer, rng
from codsa.modalities import Comparison, modalities_of
from codsa.modalities.compare import compare
from codsa.readers.simulations import simulate
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.settings.regions import RegionRule
from codsa.stages.fit import EstimatorFits, fit_grid
from codsa.stages.sample import conform, in_bounds
from codsa.stages.scoring import evaluation_set
from codsa.stages.split import Size, target_law
from codsa.stages.split import split as split_rows

VALIDATION_ROWS, TEST_ROWS = 800, 1600
SIZES = (2000, 4400)
"""Rows of the minority and of the majority, before the split."""


@dataclass(frozen=True)
class Task:
    """A simulation, or a real table, with the estimator that judges the synthetic rows.

    Attributes
    ----------
    name : str
        The paper's section without its dot, or the table's name.
    grid : Grid
        (m, α); every grid point gets all real training rows besides (reserve: all), at r = 1.
    simulation : str, optional
        Its name; None: a table that benchmarks/real_tables.py has prepared and split.
    rule : RegionRule, optional
        The regions of a simulation.
    """

    name: str
    title: str
    grid: Grid
    judge: EstimatorSpec
    simulation: str | None = None
    rule: RegionRule | None = None


def _table(name: str, measure: str, regions: str) -> Task:
    grid = Grid(m=[0.5, 1.0], alpha=["balance", "target", "training"], reserve="all")
    return Task(
        name,
        f"{name}: {measure} of gradient boosting; regions: {regions}",
        grid,
        EstimatorSpec(name="gradient-boosting"),
    )


TASKS = {
    "41": Task(
        "41",
        "4.1, imbalanced classification: cross-entropy of the paper's perceptron on raw features",
        Grid(m=[0.5, 1.0, 2.0], alpha=[0.5, 0.65, 0.8], reserve="all"),
        EstimatorSpec(name="mlp", preprocess="none"),
        "imbalanced-classification",
        RegionRule(by="class"),
    ),
    "42": Task(
        "42",
        "4.2, regression with an undersampled region: mean squared error of a random forest",
        Grid(m=[0.5, 1.0, 2.0], alpha=[0.5, 0.65, 0.8, 0.9], reserve="all"),
        EstimatorSpec(name="random-forest"),
        "undersampled-regression",
        RegionRule(by="range", column="x1", edges=[0.5]),
    ),
    "german_credit": _table("german_credit", "cross-entropy", "both classes"),
    "mammography": _table("mammography", "cross-entropy", "both classes"),
    "wine_quality": _table("wine_quality", "cross-entropy", "classes of quality"),
    "abalone": _table("abalone", "mean squared error", "thirds of the target"),
}
"""Tables with missing values are not among them: half of the libraries refuse those."""


@dataclass(frozen=True)
class Piece:
    """One replicate of a task, with its dataset and split.

    Attributes
    ----------
    folder : Path
        Where the replicate's files are.
    data, split_file : Path
    """

    task: Task
    replicate: int
    folder: Path
    data: Path
    split_file: Path
    dataset: Dataset
    split: Split

    @property
    def seeds(self) -> SeedContext:
        """The names that all random streams of the piece derive from."""
        return seed_context(self.task, self.replicate)

    @property
    def names(self) -> list[str]:
        """The regions' names."""
        return self.dataset.schema.regions.names

    @property
    def minority(self) -> int:
        """The index of the region in focus."""
        return focus_region(None, self.split, self.dataset.schema)

    def counts(self) -> list[int]:
        """Return the rows of each region that a pool must hold, for every grid point."""
        return [int(c) for c in pool_counts([self.task.grid], 1.0, self.split, self.dataset.schema)]

    def training(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the generated columns of the training rows, and their regions."""
        rows = self.split.generator_rows(1.0)
        schema = self.dataset.schema
        columns = [c.name for c in schema.generated]
        generated = self.dataset.rows.iloc[rows][columns].reset_index(drop=True)
        return as_codes(generated, schema), self.dataset.regions()[rows]

    def limits(self, coded: bool = True) -> list[dict[str, list[float]]]:
        """Return, per region, the least and largest value that a row of it may have, by column.

        coded: the levels of a column are integers, as `training` gives them.
        """
        schema = self.dataset.schema
        ordered = {c.name: [float(c.minimum), float(c.maximum)] for c in schema.generated if c.levels is None}
        found = []
        for k in range(len(schema.regions)):
            limits = dict(ordered) | (code_limits(schema) if coded else {})
            if schema.regions.kind == "ranges":
                column = str(schema.regions.column)
                low, high = schema.regions.members[k]
                least, largest = limits[column]
                above = least if low is None else max(least, float(np.nextafter(low, np.inf)))
                limits[column] = [above, largest if high is None else min(largest, float(high))]
            found.append(limits)
        return found


def seed_context(task: Task, replicate: int) -> SeedContext:
    """Return the names of a replicate, those of the workflow's runs: the splits are the same."""
    return SeedContext(0, f"sim{task.name}-quick" if task.simulation else task.name, replicate)


def open_table(task: Task, replicate: int, work_dir: Path, tables: Path) -> Piece:
    """Read a replicate's dataset and split as benchmarks/real_tables.py left them.

    Raises
    ------
    CodsaError
        Where it did not.
    """
    data, file = tables / task.name / "data", tables / task.name / f"rep~{replicate}" / "split.parquet"
    if not file.exists():
        raise CodsaError(f"no file '{file}': run benchmarks/real_tables.py --results {tables} --only {task.name} first")
    folder = work_dir / f"task-{task.name}" / f"rep~{replicate}"
    return _piece(task, replicate, folder, data, file, load_dataset(data))


def open_piece(task: Task, replicate: int, work_dir: Path, tables: Path) -> Piece:
    """Make a replicate's dataset and split, or read those of an earlier run."""
    if task.simulation is None or task.rule is None:
        return open_table(task, replicate, work_dir, tables)
    data, folder = work_dir / f"task{task.name}" / "data", work_dir / f"task{task.name}" / f"rep~{replicate}"
    if not (data / "manifest.json").exists():
        raw = simulate(task.simulation, *SIZES, 0)
        rows, schema = prepare(raw, ColumnOptions(target="y"), task.rule)
        write_dataset(data, rows, schema, {"simulation": task.simulation, "rows": list(SIZES), "seed": 0})
    dataset, file = load_dataset(data), folder / "split.parquet"
    if not file.exists():
        q = target_law("balanced", dataset.schema, dataset.regions())
        random = rng(seed_context(task, replicate).stream("split"))
        frame = split_rows(dataset, q, Size(VALIDATION_ROWS), Size(TEST_ROWS), random)
        folder.mkdir(parents=True, exist_ok=True)
        write_split(file, frame, dataset, q, {"replicate": replicate})
    return _piece(task, replicate, folder, data, file, dataset)


def _piece(task: Task, replicate: int, folder: Path, data: Path, file: Path, dataset: Dataset) -> Piece:
    split = load_split(file, dataset)
    return Piece(task, replicate, folder, data, file, in_regions_of(split, dataset), split)


def read_pool(piece: Piece, parts: Sequence[pd.DataFrame], coded: bool) -> Pool:
    """Return an adapter's rows as a pool, each row checked as codsa checks its own; coded: as `training` gives them.

    Raises
    ------
    ValueError
        When a row lies outside its region or its bounds: the adapter's limits were not kept.
    """
    schema, rows = piece.dataset.schema, []
    for k, part in enumerate(parts):
        made = conform(complete(as_levels(part, schema) if coded else part, k, schema), schema)
        wrong = (schema.regions.assign(made) != k) | ~in_bounds(made, schema)
        if wrong.any():
            raise ValueError(f"{int(wrong.sum())} rows lie outside region '{piece.names[k]}'")
        rows.append(made)
    return Pool(rows, np.zeros(len(rows)), piece.dataset.digest, piece.split.digest, "")


def fitted(piece: Piece, pool: Pool | None, weighted: bool = False) -> EstimatorFits:
    """Fit the grid over a pool; without one, fit the real rows alone."""
    task = piece.task
    grid = Grid(m=[0.0], alpha=["balance"], reserve="all") if pool is None else task.grid
    metric = default_metric(piece.dataset.schema.task)
    pools = [] if pool is None else [pool]
    specs = {"own": task.judge}
    return fit_grid(piece.dataset, piece.split, pools, 1.0, grid, specs, metric, piece.seeds, weighted)["own"]


def losses(piece: Piece, outcome: EstimatorFits) -> dict[str, Any]:
    """Return the test loss of the grid point that validation chose, under Q and in both regions."""
    test = evaluation_set(piece.dataset, piece.split, TEST)
    metric = default_metric(piece.dataset.schema.task)
    point = outcome.point(RAW)
    score, chosen = test.score(metric, test.predict(point.predictor)), point.record
    majority = piece.names[int(np.argmax(piece.split.p))]
    share = json.loads(chosen["alpha_vector"])[piece.minority]
    return {
        "loss": score[OVERALL],
        "loss_minority": score[piece.names[piece.minority]],
        "loss_majority": score[majority],
        "validation": float(chosen["validation"]),
        "m": float(chosen["m_ratio"]),
        "alpha": float(share) if chosen["m"] else np.nan,
    }


def likeness(piece: Piece, pool: Pool) -> dict[str, float]:
    """Compare as many synthetic rows of each region as there are test rows with those, and average.

    Returns
    -------
    dict
        wasserstein, wasserstein_floor, two_sample_auc, nearest_ratio: means over the regions.
    """
    region = piece.dataset.regions()
    test, training = piece.split.rows(TEST), piece.split.generator_rows(1.0)
    columns = [c.name for c in piece.dataset.schema.modelled]
    found = []
    for k, name in enumerate(piece.names):
        real, seen = (piece.dataset.rows.iloc[rows[region[rows] == k]][columns] for rows in (test, training))
        random = rng(piece.seeds.stream("diagnose", name))
        found.append(
            compare(Comparison(pool.rows[k].iloc[: len(real)], real, seen), modalities_of(piece.dataset.schema), random)
        )
    keys = ("wasserstein", "wasserstein_floor", "two_sample_auc", "nearest_ratio")
    return {key: float(np.mean([one[key] for one in found])) for key in keys}


def seed_of(piece: Piece, method: str) -> int:
    """Return the seed that a method's adapter is given."""
    return integer(piece.seeds.stream("peer", method)) >> 1
