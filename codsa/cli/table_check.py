"""A look at a study's table before its first job: columns, regions, the law and the region in focus."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from codsa.io.names import SCHEMA

if TYPE_CHECKING:
    from codsa.data.dataset import Dataset
    from codsa.workflow.study import Study

MOST_BYTES = 20_000_000
"""Larger tables are left to the first job, which says the same, but later."""


def check_table(study: Study, folder: Path) -> None:
    """Prepare and split a study's table in a temporary folder, as its first two jobs will, unless the first has.

    Parameters
    ----------
    study : Study
    folder : Path
        The study's results.

    Raises
    ------
    CodsaError
        As these jobs, and for a region in focus, or in an allocation, that the table does not have.
    """
    from codsa.workflow.arms import plain_table

    data = study.experiment.data
    path = Path(data.path) if data.path is not None else None
    if path is None or not path.is_file() or path.stat().st_size > MOST_BYTES or not plain_table(study.experiment):
        return
    if (folder / "data" / SCHEMA).is_file():
        return
    with tempfile.TemporaryDirectory(prefix="codsa-check-") as scratch, _quiet():
        _check_grid(study, _prepared(study, Path(scratch)))


def _prepared(study: Study, scratch: Path) -> Dataset:
    """Run the first two stages and return the dataset."""
    from codsa.cli import prepare, split
    from codsa.data.dataset import load_dataset

    rows, roles = scratch / "data", scratch / "split.parquet"
    arguments = [*study.prepare(study.experiment.data), "--out", str(rows)]
    prepare.app(arguments, standalone_mode=False)
    split.app(["--data", str(rows), *study.split(0), "--out", str(roles)], standalone_mode=False)
    return load_dataset(rows)


def _check_grid(study: Study, dataset: Dataset) -> None:
    """Raise where a grid names a region that is not there."""
    regions = dataset.schema.regions
    for method in study.methods.values():
        grid = study.grid(method)
        names = [grid["focus"], *(name for alpha in grid["alpha"] if isinstance(alpha, dict) for name in alpha)]
        for name in names:
            if name is not None:
                regions.index(name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the stages say of the table for their own logs."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
