"""The stage that turns a raw table into a dataset: typed columns, a task, a partition into regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.data.columns import Encoding
from codsa.data.dataset import write_dataset, write_records
from codsa.data.preparation import NOT_ENCODED, prepare, settle_schema
from codsa.data.rows import stored_chunks
from codsa.io.artifacts import new_files
from codsa.io.digests import parts_digest
from codsa.io.names import MANIFEST, PREPARE, TABLE
from codsa.io.tables import write_parquet_groups
from codsa.readers.stored import StoredTable, arrow_types
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule


def prepare_to(
    folder: Path,
    raw: pd.DataFrame | Path,
    options: ColumnOptions,
    rule: RegionRule,
    origin: Mapping[str, Any],
    notes: Sequence[str] = (),
    encoded: Mapping[str, Encoding] = NOT_ENCODED,
) -> None:
    """Prepare a table and write the dataset.

    Parameters
    ----------
    folder : Path
    raw : DataFrame of shape (n, d), or Path
        A path is that of a Parquet file, which is read in chunks and stays where it is.
    declared, rule, origin, notes
        As `prepare` and `write_dataset` take them.

    Raises
    ------
    CodsaError
        As `prepare`.
    """
    if isinstance(raw, pd.DataFrame):
        rows, schema = prepare(raw, options, rule, notes, encoded)
        write_dataset(folder, rows, schema, origin)
        return
    table = StoredTable(raw)
    schema = settle_schema(table, options, rule, notes=notes, encoded=encoded)
    with new_files(folder / MANIFEST, PREPARE) as staged:
        rows_path = staged / TABLE
        write_parquet_groups(rows_path, table.chunks(schema.columns), arrow_types(schema.columns))
        write_records(staged, parts_digest(stored_chunks(rows_path, schema.columns)), schema, origin)
