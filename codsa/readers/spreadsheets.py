"""Spreadsheets: one sheet of an Excel or OpenDocument file as a table, read by python-calamine."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from codsa.errors import CodsaError, suggest
from codsa.readers.dialects import title_rows
from codsa.readers.headers import refuse_values_as_names
from codsa.settings.tables import TableOptions

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MOST_BYTES = 2 << 30
"""A larger spreadsheet, unpacked, is refused."""


def read_sheet(path: Path, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, TableOptions]:
    """Read a sheet: the one asked for, or the first that has cells.

    Parameters
    ----------
    path : Path
    options : TableOptions
    notes : list of str
        Notes for the user are appended to it.

    Returns
    -------
    table : DataFrame
    options : TableOptions
        With the sheet, the header and what stands above it settled.

    Raises
    ------
    CodsaError
        For a missing package, another kind of file, no such sheet, or one without cells or header.
    """
    sheets = _sheets(path)
    name = options.sheet or next((name for name, cells in sheets.items() if cells.size), next(iter(sheets), ""))
    if name not in sheets:
        raise CodsaError(f"{path}: no sheet '{name}'; {suggest(name, sheets)}")
    others = [other for other, cells in sheets.items() if other != name and cells.size]
    if others and options.sheet is None:
        notes.append(f"sheet '{name}' is read; others are left: {', '.join(others)} (--sheet)")
    rows = [[None if _is_blank(cell) else cell for cell in row] for row in sheets[name].to_numpy(dtype=object)]
    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise CodsaError(f"{path}: sheet '{name}' has no cells")
    skip = options.skip or (title_rows(rows[:400]) if options.guess else 0)
    if options.header is None and options.guess:
        refuse_values_as_names(rows[skip : skip + 400], f"{path}: sheet '{name}'")
    if skip and not options.skip:
        notes.append(f"{skip} rows above the header are left out (--skip)")
    header = options.header is not False
    frame = pd.DataFrame(rows[skip + header :], columns=_names(rows[skip], header), dtype=object).infer_objects()
    return frame, options.model_copy(update={"sheet": name, "skip": skip, "header": header})


def _names(row: list[Any], header: bool) -> list[str]:
    if not header:
        return [f"column_{k + 1}" for k in range(len(row))]
    return [f"Unnamed: {k}" if cell is None else str(cell).strip() for k, cell in enumerate(row)]


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or bool(pd.isna(cell))


def _sheets(path: Path) -> dict[str, pd.DataFrame]:
    """Return all sheets, their cells as they are."""
    kind = path.suffix.lower()
    if importlib.util.find_spec("python_calamine") is None:
        raise CodsaError(
            f"{path}: reading {kind} needs python-calamine; pip install 'codsa[spreadsheets]', or save it as .csv"
        )
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(part.file_size for part in archive.infolist())
            if size > MOST_BYTES:
                raise CodsaError(f"{path}: {size >> 20} MiB unpacked, more than {MOST_BYTES >> 20}; save it as .csv")
        return pd.read_excel(path, sheet_name=None, header=None, dtype=object, na_filter=False, engine="calamine")
    except CodsaError:
        raise
    except Exception as error:  # a damaged file may raise anything in the package that reads it
        raise CodsaError(f"{path}: not readable as {path.suffix} ({type(error).__name__}: {error})") from None
