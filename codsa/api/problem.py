"""A user's X and y as a dataset in memory, with its regions."""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.api.forms import TableForm, as_frame
from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.errors import suggest
from codsa.settings.columns import ColumnConfig, ColumnOptions
from codsa.settings.regions import RegionRule

MOST_VALUES = 20
"""A column of decimals with more distinct values than this is no column of regions."""
RegionSpec = str | int | Mapping[str, Any] | Callable[..., Any] | None


@dataclass(frozen=True)
class Problem:
    """Rows of the user's with their target and regions, in the types of a schema.

    Attributes
    ----------
    dataset : Dataset
    form : TableForm
        Of X.
    classes : ndarray of shape (C,), optional
        The user's classes in the order of the schema's; None for regression.
    regions : RegionSpec
        As the user gave them.
    """

    dataset: Dataset
    form: TableForm
    classes: np.ndarray | None
    regions: RegionSpec

    @property
    def target(self) -> str:
        """The name of the target's column."""
        return self.dataset.schema.target

    def restored_target(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the target of rows as the user's y has it."""
        values = rows[self.target]
        if self.classes is None:
            return values.astype("Float64").to_numpy(dtype=float)
        return np.asarray(self.classes[pd.Index(self.dataset.schema.classes).get_indexer(pd.Index(values))])

    def in_region(self, rows: pd.DataFrame, region: int) -> np.ndarray:
        """Say which generated rows the user's own function puts into the region they were drawn for."""
        if not callable(self.regions) or not len(rows):
            return np.ones(len(rows), dtype=bool)
        labels = called(self.regions, self.form.restored(rows), self.restored_target(rows))
        return np.asarray(labels == self.dataset.schema.regions.names[region])


def problem_of(x: Any, y: np.ndarray, classes: np.ndarray | None, regions: RegionSpec) -> Problem:
    """Make the dataset of a table and its target.

    Parameters
    ----------
    x : DataFrame or ndarray of shape (n, d)
    y : ndarray of shape (n,)
    classes : ndarray of shape (C,), optional
        The distinct values of y; None for regression.
    regions : str, int, mapping, callable, optional
        A column of x by name or place; keys of the section `regions` of an experiment, as {"by": "quantile"};
        a function of x, or of x and y, that names each row's region. Default: the class, or thirds of the target.

    Raises
    ------
    CodsaError
        For regions that cannot be made of these rows.
    """
    form = TableForm.of(x)
    raw = form.typed(x)
    target = _free_name("y", form.names)
    labels = None if classes is None else class_labels(classes)
    if classes is None:
        raw[target] = y
    else:
        raw[target] = np.array(labels, dtype=object)[np.searchsorted(classes, y)]
    columns = {column.name: column.config for column in form.columns}
    if callable(regions):
        name = _free_name("region", [*form.names, target])
        raw[name] = called(regions, x, y)
        columns[name] = ColumnConfig(type="categorical", role="attribute")
        rule = RegionRule(by="column", column=name, pool=False)
    else:
        rule = _rule(regions, form, x, classes is not None)
    options = ColumnOptions(
        target=target, task="regression" if classes is None else "classification", columns=columns, classes=labels or []
    )
    rows, schema = prepare(raw, options, rule)
    dataset = Dataset(rows, replace(schema, notes=[]), "")
    if labels is None:
        return Problem(dataset, form, None, regions)
    place = {label: k for k, label in enumerate(labels)}
    in_order = np.asarray(classes)[[place[str(level)] for level in schema.classes]]
    return Problem(dataset, form, in_order, regions)


def class_labels(classes: np.ndarray) -> list[str]:
    """Return the classes as texts, by which regions are named: 0.0 as '0'."""
    whole = classes.dtype.kind == "f" and bool(np.all(classes == np.round(classes)))
    labels = [str(int(c)) if whole else unicodedata.normalize("NFC", str(c)) for c in classes]
    if len(set(labels)) < len(labels):
        raise InputError(f"y: two classes are written '{max(labels, key=labels.count)}'; rename one")
    return labels


def called(function: Callable[..., Any], x: Any, y: np.ndarray) -> np.ndarray:
    """Return the regions that a function of the user's names, ndarray of str, shape (n,)."""
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    named = function(x, y) if len(needed) > 1 else function(x)
    labels = np.array([unicodedata.normalize("NFC", str(name)) for name in np.asarray(named).ravel()], dtype=object)
    if len(labels) != len(y):
        raise InputError(f"regions: the function names {len(labels)} regions of {len(y)} rows; give one for each row")
    return labels


def _rule(regions: Any, form: TableForm, x: Any, classification: bool) -> RegionRule:
    """Return the rule of regions; small ones are not pooled unless the user says so."""
    if regions is None:
        return RegionRule(by="class" if classification else "quantile", pool=False)
    if isinstance(regions, Mapping):
        rule = dict(regions)
        if rule.get("column") is not None:
            rule["column"] = _column(rule["column"], form)
        return RegionRule.read({"pool": False, **rule}, "regions")
    name = _column(regions, form)
    values = as_frame(x).iloc[:, form.names.index(name)]
    if pd.api.types.is_float_dtype(values.dtype) and values.nunique() > MOST_VALUES:
        raise InputError(
            f"regions: column '{name}' has {values.nunique()} distinct values; part it into ranges, as "
            f"{{'by': 'quantile', 'column': '{name}'}}"
        )
    return RegionRule(by="column", column=name, pool=False)


def _column(column: Any, form: TableForm) -> str:
    if isinstance(column, int | np.integer) and (form.index is None or column not in form.index):
        if not -len(form.columns) <= column < len(form.columns):
            raise InputError(f"regions: no column {column}; there are {len(form.columns)}")
        return form.columns[int(column)].name
    name = unicodedata.normalize("NFC", str(column))
    if name not in form.names:
        raise InputError(f"regions: no column '{column}'; {suggest(name, form.names)}")
    return name


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name
