"""The rows of the fit that a study chose: its real training rows and its synthetic ones, or these alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.grid import points, real_rows
from codsa.data.pool import Pool, load_pool
from codsa.data.rows import in_memory
from codsa.data.schema import Column
from codsa.data.split import TRAIN, training_schema
from codsa.errors import CodsaError
from codsa.settings.grid import Grid
from codsa.stages.chosen import ChosenFit
from codsa.stages.fit import FitFold, TrainingSets

SYNTHETIC, WEIGHT, FOLD = "synthetic", "weight", "fold"
"""Columns that are added: whether a row is synthetic, its weight in the fit, and its fold after cross-fitting."""


@dataclass(frozen=True)
class ExportedRows:
    """The rows that are handed out.

    Attributes
    ----------
    frame : DataFrame of n rows
        The study's modelled columns, in its types, and those that are added.
    columns : list of Column
        The study's columns in `frame`.
    added : dict
        What each added column says, by its name.
    real, synthetic : dict
        The numbers of rows by region.
    pools : list of Pool
        Which the synthetic rows are of.
    notes : list of str
    """

    frame: pd.DataFrame
    columns: list[Column]
    added: dict[str, str]
    real: dict[str, int]
    synthetic: dict[str, int]
    pools: list[Pool]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    """The rows of one fold, or of the only one: real ones first."""

    frame: pd.DataFrame
    synthetic: np.ndarray
    weight: np.ndarray
    region: np.ndarray
    fold: int | None


def exported_rows(fit: ChosenFit, what: str) -> ExportedRows:
    """Return the rows that the chosen fit was fitted on, or the synthetic ones among them.

    Real rows are training rows: no validation row and no test row is read.

    Parameters
    ----------
    fit : ChosenFit
    what : {'augmented', 'synthetic'}

    Raises
    ------
    CodsaError
        Where synthetic rows are asked for and validation chose none, or their pool is not there.
    """
    notes, name = [], f"{fit.method}, replicate {fit.replicate}"
    if fit.choice.row["m"] == 0:
        if what == "synthetic":
            raise CodsaError(
                f"{name}: validation chose no synthetic rows ({fit.fitted_method}), so there are none to export; "
                "give another --method or --replicate, or --what augmented for the real rows"
            )
        notes.append(f"validation chose no synthetic rows ({name}: {fit.fitted_method}); all rows are real")
    pools = chosen_pools(fit)
    parts = _parts(fit, pools)
    if what == "synthetic":
        parts = [_only_synthetic(part) for part in parts]
    schema = fit.dataset.schema
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    of_pool = np.concatenate([part.synthetic for part in parts])
    weight = np.concatenate([part.weight for part in parts])
    more: dict[str, tuple[Any, str]] = {}
    if what == "augmented":
        more[SYNTHETIC] = of_pool, "whether the row is synthetic; the others are real training rows"
    if (weight != 1).any():
        more[WEIGHT] = weight, "the row's weight in the fit"
    if len(parts) > 1:
        folds = np.concatenate([np.full(len(part.frame), part.fold) for part in parts])
        more[FOLD] = folds, "of cross-fitting: an estimator was fitted on each fold's rows, and all were averaged"
    names = {_free_name(key, [*map(str, frame)]): column for key, column in more.items()}
    region = np.concatenate([part.region for part in parts])
    counts = [np.bincount(region[of_pool == one], minlength=len(schema.regions)) for one in (False, True)]
    real, synthetic = (dict(zip(schema.regions.names, map(int, c), strict=True)) for c in counts)
    return ExportedRows(
        frame.assign(**{key: values for key, (values, _) in names.items()}),
        schema.modelled,
        {key: said for key, (_, said) in names.items()},
        real,
        synthetic,
        pools,
        notes,
    )


def chosen_pools(fit: ChosenFit) -> list[Pool]:
    """Return the pools that the chosen fit drew on, in the order of its folds; none where it has no synthetic rows.

    Raises
    ------
    CodsaError
        Where a pool is no longer there.
    """
    if fit.choice.row["m"] == 0:
        return []
    fits = fit.choice.fits
    wanted = [value for name, value in sorted(fits.record.inputs.items()) if name.startswith("pool")]
    found: dict[str, Pool] = {}
    ratio = fits.folder.name.removesuffix("-cross")
    for folder in sorted(fit.folder.glob("gen~*/r~*/pool")):
        if folder.parent.name.partition("-fold")[0] == ratio and len(found) < len(wanted):
            pool = load_pool(folder, fit.dataset.schema)
            if pool.digest in wanted:
                found[pool.digest] = pool
    if len(found) < len(set(wanted)):
        raise CodsaError(f"{fit.folder}: the pool that {fits.folder.parent.name} drew on is gone; run the study again")
    return [found[value] for value in wanted]


def _parts(fit: ChosenFit, pools: list[Pool]) -> list[_Part]:
    dataset, split, fits = fit.dataset, fit.split, fit.choice.fits
    parameters, schema = fits.record.parameters, dataset.schema
    grid = Grid.read({key: parameters[key] for key in Grid.model_fields if key in parameters}, f"{fits.folder}: grid")
    r = float(fit.choice.row["r"])
    sets = TrainingSets(dataset, split, training_schema(dataset, split), grid, bool(parameters.get("weighted")))
    region, parts = dataset.regions(), []
    of_folds: list[Pool | None] = [*pools] or [None]
    for pool in of_folds:
        fold = None if pool is None else pool.fold
        fit_fold = FitFold(real_rows(split, r, grid.reserve, fold), pool, points(grid, r, split, schema, fold))
        point = fit_fold.points[fit.choice.facts.point]
        real = split.rows(TRAIN) if point.m == 0 else fit_fold.real
        frames = [in_memory(dataset.part(real))]
        if pool is not None:
            frames.append(pool.prefix(point.counts, schema.regions.names))
        frame = pd.concat(frames, ignore_index=True)
        regions = np.r_[region[real], np.repeat(np.arange(len(point.counts)), point.counts)]
        weight = sets.of(point, fit_fold).rows.weight
        parts.append(_Part(frame, np.arange(len(frame)) >= len(real), weight, regions, fold))
    return parts


def _only_synthetic(part: _Part) -> _Part:
    keep = part.synthetic
    return _Part(part.frame[keep], part.synthetic[keep], part.weight[keep], part.region[keep], part.fold)


def _free_name(name: str, taken: list[str]) -> str:
    """Return a name that no column has yet."""
    while name in taken:
        name += "_"
    return name
