"""Column types and roles of a table: inferred, written down, corrected, enforced.

A dataset is a table (`rows.parquet`) and its `Schema` (`schema.json`). Every later stage reads
values in the types that the schema names, and generated rows are cast back to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.regions import Regions
from codsa.data.unicode import composed_values
from codsa.data.whole_numbers import are_floats, are_whole, parsed, to_floats, to_whole
from codsa.errors import CodsaError, check_choice, suggest
from codsa.io import array_columns

ARRAY_TYPES = tuple(array_columns.ELEMENTS)
"""The types whose values are arrays."""
TYPES = ("numeric", "integer", "categorical", "boolean", "datetime", "text", *ARRAY_TYPES)
ROLES = ("feature", "attribute", "target", "group", "ignored")
TASKS = ("classification", "regression", "detection")
TEXT = pd.StringDtype(na_value=np.nan)
"""How texts are stored."""
CLASS_LIMIT = 20
"""An integer target with at most this many distinct values is taken for classes."""

_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[+-]\d{2}:?\d{2})?$")
_ID_NAME = re.compile(r"(^|[_\s-])(id|uuid|guid|key|index|file)$|^unnamed", re.IGNORECASE)


@dataclass(frozen=True)
class Column:
    """One column: its name, type and role, and the range of values seen.

    Attributes
    ----------
    name : str
    type : {'numeric', 'integer', 'categorical', 'boolean', 'datetime', 'text', 'image', 'vector'}
    role : {'feature', 'attribute', 'target', 'group', 'ignored'}
        An attribute is modelled and may part the rows, but no estimator sees it.
    levels : list, optional
        The distinct values of a categorical column, sorted.
    minimum, maximum : float, int or str, optional
        The bounds of an ordered column (ISO text for dates).
    missing : int
        The number of missing values. A dataset's schema describes all of its rows, for the user: no generator or
        estimator reads these levels, bounds and missing values but the target's classes. Theirs are those of the rows
        that they may see (see `codsa.data.rows.described`).
    note : str
        Why a column is left out.
    shape : list of int, optional
        Of each value of an image (height, width, channels) or vector.
    of, encoder : str, optional
        For a vector: the text column that it encodes, and the digest of the model that did.
    """

    name: str
    type: str
    role: str = "feature"
    levels: list[Any] | None = None
    minimum: Any = None
    maximum: Any = None
    missing: int = 0
    note: str = ""
    shape: list[int] | None = None
    of: str | None = None
    encoder: str | None = None

    @property
    def is_array(self) -> bool:
        """Whether the values are arrays."""
        return self.type in ARRAY_TYPES

    @property
    def is_text_embedding(self) -> bool:
        """Whether the values are vectors that encode a column of texts."""
        return self.type == "vector" and self.of is not None


def is_ordered(column: Column) -> bool:
    """Say whether a column's values are numbers or dates."""
    return column.type in ("numeric", "integer", "datetime")


@dataclass(frozen=True)
class Schema:
    """What a dataset holds: its columns, its task, its regions.

    Attributes
    ----------
    columns : list of Column
        In the order of the table.
    task : {'classification', 'regression', 'detection'}
        In detection, training rows are normal; the target says which validation and test rows are.
    regions : Regions
        The partition of the sample space.
    normal : list
        The target's levels that are normal, for detection.
    """

    columns: list[Column]
    task: str
    regions: Regions
    notes: list[str] = field(default_factory=list)
    normal: list[Any] = field(default_factory=list)

    @property
    def target(self) -> str:
        """The name of the target column."""
        return next(c.name for c in self.columns if c.role == "target")

    @property
    def features(self) -> list[str]:
        """The names of the feature columns, in order."""
        return [c.name for c in self.columns if c.role == "feature"]

    @property
    def group(self) -> str | None:
        """The name of the column whose values may not straddle roles, if there is one."""
        return next((c.name for c in self.columns if c.role == "group"), None)

    @property
    def modelled(self) -> list[Column]:
        """The columns that a generator models: features, attributes and the target, in order."""
        return [c for c in self.columns if c.role in ("feature", "attribute", "target")]

    @property
    def array_columns(self) -> list[Column]:
        """The modelled columns whose values are arrays."""
        return [c for c in self.modelled if c.is_array]

    @property
    def embedding(self) -> Column | None:
        """The modelled column of vectors: that of a modelled text where there is one, else the first."""
        vectors = [c for c in self.modelled if c.type == "vector"]
        return next((c for c in vectors if c.of in self.texts), vectors[0] if vectors else None)

    @property
    def texts(self) -> list[str]:
        """The names of the modelled columns that hold texts."""
        return [c.name for c in self.modelled if c.type == "text"]

    @property
    def without_texts(self) -> Schema:
        """The schema with its texts left out of what is modelled."""
        return replace(self, columns=[replace(c, role="ignored") if c.type == "text" else c for c in self.columns])

    @property
    def identity_columns(self) -> list[str]:
        """The columns whose equality makes two rows the same: texts or arrays if there are any, else all in use."""
        return (
            self.texts or [c.name for c in self.array_columns] or [c.name for c in self.columns if c.role != "ignored"]
        )

    @property
    def generated(self) -> list[Column]:
        """The modelled columns less those that every region fixes to one value."""
        fixed = [set(self.regions.constant(k)) for k in range(len(self.regions))]
        fixed_everywhere = set.intersection(*fixed)
        return [c for c in self.modelled if c.name not in fixed_everywhere]

    @property
    def classes(self) -> list[Any]:
        """The levels of the target, sorted; empty for regression."""
        return [] if self.task == "regression" else list(self.column(self.target).levels or [])

    def column(self, name: str) -> Column:
        """Return the column of that name, or raise a `CodsaError` with the nearest one."""
        for candidate in self.columns:
            if candidate.name == name:
                return candidate
        names = [c.name for c in self.columns]
        raise CodsaError(f"no column '{name}' in the table; {suggest(name, names)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as it is written to `schema.json`."""
        return {
            "columns": [asdict(c) for c in self.columns],
            "task": self.task,
            "regions": self.regions.to_dict(),
            "notes": self.notes,
            **({"normal": self.normal} if self.normal else {}),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Schema:
        """Read a schema from the output of `to_dict`, checking every name."""
        try:
            columns = [Column(**c) for c in record["columns"]]
            regions = Regions.from_dict(record["regions"])
            notes, normal = list(record.get("notes", [])), list(record.get("normal", []))
            schema = cls(columns, record["task"], regions, notes, normal)
        except (KeyError, TypeError) as error:
            raise CodsaError(f"schema: not a CoDSA schema ({error}); run codsa-prepare") from None
        for column in columns:
            check_choice(f"column '{column.name}': type", column.type, TYPES)
            check_choice(f"column '{column.name}': role", column.role, ROLES)
        check_choice("task", schema.task, TASKS)
        roles = [column.role for column in columns]
        if roles.count("target") != 1 or roles.count("group") > 1:
            role = "group" if roles.count("target") == 1 else "target"
            raise CodsaError(f"schema: {roles.count(role)} columns have the role {role}; give it to one")
        for expression in regions.expressions():
            expression.check_names(column.name for column in columns)
        return schema


def refuse_nested(name: str, values: pd.Series) -> None:
    """Raise a `CodsaError` for a column whose values are lists or the like."""
    nested = (v for v in values if isinstance(v, (list, tuple, set, dict, np.ndarray)))
    nested_value = next(nested, None) if values.dtype == object else None
    if nested_value is not None:
        raise CodsaError(
            f"column '{name}': its values are of type {type(nested_value).__name__}; give one value per cell"
        )


def infer_type(values: pd.Series) -> str:
    """Infer a column's type from its values.

    Parameters
    ----------
    values : Series
        As the reader gave them; at least one is present.
    """
    if isinstance(values.dtype, array_columns.ArrayDtype):
        return values.dtype.array_type
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values) or (len(present) and all(isinstance(v, bool) for v in present)):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    if pd.api.types.is_numeric_dtype(values):
        if are_whole(present):
            return "integer"
        return "numeric" if are_floats(present) else "categorical"
    text = present if present.dtype == TEXT else present.astype(str)
    if len(text) and _ISO_DATE.match(text.iloc[0]) and text.str.match(_ISO_DATE).all():
        return "datetime"
    return "categorical"


def infer_role(name: str, values: pd.Series, column_type: str) -> tuple[str, str]:
    """Infer whether a column is a feature or ignored, and why.

    Returns
    -------
    (role, note) : tuple of str
    """
    if column_type in ("text", *ARRAY_TYPES):
        return "feature", ""
    distinct = int(values.nunique())
    if distinct == 0:
        return "ignored", "every value is missing"
    if distinct == len(values) and column_type in ("integer", "categorical"):
        if _ID_NAME.search(name) or (column_type == "categorical" and len(values) > 20):
            return "ignored", "identifier: every value is different"
        if column_type == "integer" and np.array_equal(np.diff(values), np.ones(len(values) - 1)):
            return "ignored", "identifier: counts the rows"
    return "feature", ""


def cast(values: pd.Series, column: Column) -> pd.Series:
    """Cast values to the storage type of a column's type.

    numeric: float64; integer: Int64; categorical: object of str, or Int64 when every level is a
    whole number; boolean: boolean; datetime: datetime64[ns]; text: str; image and vector: arrays.
    Texts come in Unicode's composed form. A number that the type cannot hold is refused, not changed.
    """
    if column.is_array:
        return array_columns.read(values, column.type, column.shape, column.name)
    try:
        if column.type == "numeric":
            return to_floats(parsed(values))
        if column.type == "integer":
            return to_whole(parsed(values))
        if column.type == "boolean":
            return values.astype("boolean")
        if column.type == "text":
            return composed_values(values.astype("str"))[0]
        if column.type == "datetime":
            times = pd.to_datetime(values, utc=True, format="ISO8601")
            return times.dt.tz_localize(None).astype("datetime64[ns]")
        return _cast_levels(values, column.levels)
    except (ValueError, TypeError) as error:
        raise CodsaError(
            f"column '{column.name}': not readable as {column.type} ({error}); correct its type in the schema"
        ) from None


def _cast_levels(values: pd.Series, levels: list[Any] | None) -> pd.Series:
    """Cast to the type of the known levels, which some of the rows alone may not determine."""
    are_integers = not isinstance(levels[0], str) if levels else None
    if are_integers and values.isna().all():
        return pd.Series(pd.NA, index=values.index, dtype="Int64")
    if pd.api.types.is_numeric_dtype(values) and (are_whole(values.dropna()) if are_integers is None else are_integers):
        return to_whole(values)
    if values.dtype == TEXT:
        return composed_values(values)[0]
    objects = values.astype(object).where(values.notna(), None)
    return composed_values(objects.map(lambda v: None if v is None else str(v)).astype("str"))[0]


def cast_columns(rows: pd.DataFrame, columns: Iterable[Column]) -> pd.DataFrame:
    """Return the given columns of a table, each cast to its storage type (see `cast`)."""
    return pd.DataFrame({c.name: cast(rows[c.name], c) for c in columns})


def empty_table(columns: Iterable[Column]) -> pd.DataFrame:
    """Return a table of these columns without rows, in their storage types."""
    return pd.DataFrame({c.name: cast(pd.Series([], dtype=object), c) for c in columns})


def describe(column: Column, values: pd.Series) -> Column:
    """Return the column with its levels, bounds and missing count taken from cast values."""
    if isinstance(values.dtype, array_columns.ArrayDtype):
        return replace(column, shape=list(values.dtype.shape))
    if column.type == "text":
        return _described_texts(column, values)
    present = values.dropna()
    description: dict[str, Any] = {
        "missing": int(values.isna().sum()),
        "levels": None,
        "minimum": None,
        "maximum": None,
    }
    if column.role == "ignored" and column.type == "categorical":
        pass  # an identifier has as many levels as rows, and nothing reads them
    elif column.type in ("categorical", "boolean"):
        description["levels"] = [_plain(v) for v in sorted(present.unique())]
    elif len(present):
        description["minimum"], description["maximum"] = _plain(present.min()), _plain(present.max())
    return replace(column, **description)


def _described_texts(column: Column, values: pd.Series) -> Column:
    missing = int(values.isna().sum())
    if missing and column.role != "ignored":
        raise CodsaError(
            f"column '{column.name}': {missing} texts are missing; leave them out (--text, --on-unreadable skip)"
        )
    return replace(column, missing=missing)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def check_table(frame: pd.DataFrame, schema: Schema, where: str) -> None:
    """Raise a `CodsaError` unless a table has exactly the schema's columns."""
    expected, names = [c.name for c in schema.columns], list(frame.columns)
    if expected == names:
        return
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected]
    raise CodsaError(
        f"{where}: its columns are not those of the schema "
        f"(lacking: {missing or 'none'}; not in the schema: {extra or 'none'}); "
        "write both with one run of codsa-prepare"
    )
