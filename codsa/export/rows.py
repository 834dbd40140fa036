"""The rows of an export, with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema

SYNTHETIC, REGION, WEIGHT, FOLD = "synthetic", "region", "weight", "fold"
"""The columns that an export adds, where the table has no column of that name."""


@dataclass(frozen=True)
class ExportedRows:
    """Rows to be written.

    Attributes
    ----------
    frame : DataFrame of shape (n, d + 2)
        The columns of the table, in its order and types, then those that are added.
    columns : list of Column
        Of the table.
    added : dict of str to str
        Name of an added column → what it says.
    synthetic : ndarray of bool, shape (n,)
    region : ndarray of str, shape (n,)
    """

    frame: pd.DataFrame
    columns: list[Column]
    added: dict[str, str]
    synthetic: np.ndarray
    region: np.ndarray

    def without(self, names: list[str]) -> ExportedRows:
        """Return the rows without some columns of the table."""
        kept = [column for column in self.columns if column.name not in names]
        return ExportedRows(self.frame.drop(columns=names), kept, self.added, self.synthetic, self.region)


@dataclass(frozen=True)
class Provenance:
    """Where exported rows come from.

    Attributes
    ----------
    study, method, summary : str
        The study's name, the method, and what validation rows chose for it.
    replicate, seed : int
    estimator, column : str
        The estimator whose choice it is, and by which figures.
    what : {'augmented', 'synthetic'}
    generator : str, optional
        None where no row is synthetic.
    resamples : bool
        Whether the generator's rows are real ones, drawn again or changed by a rule.
    source : bool
        Whether the method uses a source set.
    held_back : dict of str to int
        Role → rows of the study that are in no export.
    copies : int
        Synthetic rows that equal a training row.
    fidelity : dict
        Region → figures of the synthetic rows beside test rows; empty where they were not measured.
    notes : list of str
        What was left out.
    licence, url : str
    versions : dict
    """

    study: str
    method: str
    summary: str
    replicate: int
    seed: int | None
    estimator: str
    column: str
    what: str
    generator: str | None
    resamples: bool
    source: bool
    held_back: Mapping[str, int]
    copies: int
    fidelity: Mapping[str, Mapping[str, float | None]]
    notes: list[str] = field(default_factory=list)
    licence: str = ""
    url: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def free_name(name: str, taken: list[str]) -> str:
    """Return a name that no column has."""
    while name in taken:
        name += "_"
    return name


def exported(
    parts: list[tuple[pd.DataFrame, int, np.ndarray, np.ndarray]], schema: Schema, what: str, days: list[str]
) -> ExportedRows:
    """Put together the rows of all folds.

    Parameters
    ----------
    parts : list of (rows, real, weight, region)
        Per fold: its rows, the number of real ones, which stand first, their weights and regions.
    schema : Schema
    what : {'augmented', 'synthetic'}
    days : list of str
        Columns of dates that are written without a time of day, as `day_columns` gives them.
    """
    frame = pd.concat([rows for rows, _, _, _ in parts], ignore_index=True)
    synthetic = np.concatenate([np.arange(len(rows)) >= real for rows, real, _, _ in parts])
    weight = np.concatenate([weight for _, _, weight, _ in parts])
    region = np.array(schema.regions.names, dtype=object)[np.concatenate([region for *_, region in parts])]
    fold = np.repeat(np.arange(len(parts)), [len(rows) for rows, *_ in parts])
    chosen = synthetic if what == SYNTHETIC else np.ones(len(frame), dtype=bool)
    values: dict[str, Any] = {SYNTHETIC: synthetic, REGION: region}
    says = {SYNTHETIC: "whether the row is synthetic", REGION: "the region of the sample space"}
    if not np.all(weight[chosen] == 1):
        values[WEIGHT], says[WEIGHT] = weight, "the weight with which the estimator was fitted"
    if len(parts) > 1:
        values[FOLD], says[FOLD] = fold, "the fold of cross-fitting: one generator and one estimator each"
    columns = [column for column in schema.modelled if column.name in frame]
    names = {name: free_name(name, list(frame.columns)) for name in values}
    frame = frame.assign(**{name: frame[name].dt.floor("D") for name in days})
    frame = frame.assign(**{names[name]: column for name, column in values.items()})[chosen].reset_index(drop=True)
    added = {names[name]: text for name, text in says.items()}
    return ExportedRows(frame, columns, added, synthetic[chosen], region[chosen])


def day_columns(training: pd.DataFrame, schema: Schema) -> list[str]:
    """Return the columns of dates in which no training row has a time of day, but for one that parts the regions."""
    dates = [c.name for c in schema.modelled if c.type == "datetime" and c.name != schema.regions.column]
    present = {name: training[name].dropna() for name in dates}
    return [name for name, values in present.items() if len(values) and (values == values.dt.floor("D")).all()]
