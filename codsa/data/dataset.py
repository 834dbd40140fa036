"""A prepared dataset: its folder, its rows in memory, its digest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data import schema as tables
from codsa.data.columns import settle_columns
from codsa.data.raw_tables import HeldTable
from codsa.data.region_rules import refuse_gaps
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.io.artifacts import files_output, new_files
from codsa.io.digests import digest, frame_digest
from codsa.io.manifests import faults, read_manifest, write_manifest
from codsa.io.names import MANIFEST, PREPARE, SCHEMA, TABLE
from codsa.io.records import read_json, write_json
from codsa.io.tables import read_parquet, write_parquet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """A prepared table with its schema and the digest of its content.

    Attributes
    ----------
    rows : DataFrame of shape (n, d)
        In the schema's types; a row's position is its row_id.
    schema : Schema
    digest : str
        SHA-256 of content and schema; every later artefact remembers it.
    """

    rows: pd.DataFrame
    schema: Schema
    digest: str

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    def regions(self) -> np.ndarray:
        """Return each row's region index, ndarray of int64, shape (n,)."""
        return self.schema.regions.assign(self.rows)

    def part(self, row_ids: np.ndarray) -> pd.DataFrame:
        """Return the modelled columns of some rows, given by their row_ids."""
        return self.rows.iloc[row_ids][[c.name for c in self.schema.modelled]].reset_index(drop=True)

    def column(self, name: str) -> pd.Series:
        """Return one column."""
        return self.rows[name]

    def row_hashes(self, names: list[str]) -> np.ndarray:
        """Return a hash of each row's values in some columns, ndarray of uint64, shape (n,)."""
        return pd.util.hash_pandas_object(self.rows[names], index=False).to_numpy()


def write_dataset(folder: Path, rows: pd.DataFrame, schema: Schema, origin: Mapping[str, Any]) -> None:
    """Write `rows.parquet`, `schema.json` and `manifest.json` into a folder.

    Parameters
    ----------
    folder : Path
    rows : DataFrame of shape (n, d)
        In the schema's types.
    schema : Schema
    origin : mapping
        Where the rows came from: the simulation's settings, or the file's digest.
    """
    with new_files(folder / MANIFEST, PREPARE) as staged:
        write_parquet(staged / TABLE, rows)
        write_records(staged, frame_digest(rows), schema, origin)


def write_records(staged: Path, rows_digest: str, schema: Schema, origin: Mapping[str, Any]) -> None:
    """Write the schema and the manifest beside a table."""
    write_json(staged / SCHEMA, schema.to_dict())
    write_manifest(staged / MANIFEST, PREPARE, {}, origin, rows=rows_digest)


def dataset_output(folder: Path) -> None:
    """Raise a `CodsaError` where a dataset cannot be written because of files that another stage or the user wrote."""
    files_output(folder / MANIFEST, PREPARE, (TABLE, SCHEMA))


def check_table_file(folder: Path) -> Path:
    """Return the path of a dataset's table, after comparing it with the manifest.

    `schema.json` may differ from the manifest: users correct it.
    """
    path = folder / MANIFEST
    record = read_manifest(path, PREPARE)
    for file, fault in faults(path, record):
        if file.name == SCHEMA and file.is_file():
            log.info("%s: corrected since codsa-prepare wrote it", file)
        else:
            raise CodsaError(fault)
    if TABLE not in record.outputs:
        raise CodsaError(f"{path}: lists no {TABLE}; run codsa-prepare again")
    return folder / TABLE


def load_dataset(folder: Path) -> Dataset:
    """Read a prepared dataset and check that table and schema belong together.

    The user may have corrected `schema.json`: values are cast to its types and described anew.
    """
    path = check_table_file(folder)
    schema = Schema.from_dict(read_json(folder / SCHEMA))
    rows = read_parquet(path)
    tables.check_table(rows, schema, str(path))
    table = HeldTable(rows)
    columns, _ = settle_columns(table, schema.columns, schema.target, schema.task)
    rows, schema = table.rows(columns), replace(schema, columns=columns)
    refuse_gaps(schema.regions, schema.regions.assign(rows))
    return Dataset(rows, schema, content_digest(frame_digest(rows), schema))


def content_digest(rows_digest: str, schema: Schema) -> str:
    """Return the digest of a dataset's content and schema."""
    return digest([rows_digest, {k: v for k, v in schema.to_dict().items() if k != "notes"}])
