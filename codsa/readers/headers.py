"""Whether a table's first row names its columns, and which rows at its end are notes."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.errors import CodsaError, shortened
from codsa.io.yamls import parse_decimal
from codsa.settings.tables import TableOptions


def refuse_duplicates(names: list[str], path: Path) -> None:
    """Raise a `CodsaError` for one name of two columns."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise CodsaError(f"{path}: column name '{repeated[0]}' stands {names.count(repeated[0])} times; rename")


def refuse_values_as_names(rows: Sequence[Sequence[object]], where: str) -> None:
    """Raise a `CodsaError` for a first row that reads as values, not as the names of columns.

    It does where every column of numbers has a number there, unless these count up or are years; or where the columns
    are texts and the first row's are among their values.

    Parameters
    ----------
    rows : sequence of sequences
        The first row and some that follow.
    where : str
        The file.
    """
    names, body = [_text(cell) for cell in rows[0]], [row for row in rows[1:] if len(row) >= len(rows[0])]
    columns = [{text for row in body if (text := _text(row[k])) != ""} for k in range(len(names))]
    numeric = [k for k, column in enumerate(columns) if column and all(_number(text) is not None for text in column)]
    heads = [_number(names[k]) for k in numeric]
    are_values = bool(heads) and all(head is not None for head in heads) and not _are_labels(heads)
    if not heads and len(names) > 1:
        among = [names[k] in column for k, column in enumerate(columns) if len(column) <= len(body) / 2]
        are_values = sum(among) > len(names) / 2
    if are_values:
        quoted = ", ".join([*(shortened(name, 20) for name in names[:4]), *(["…"] if len(names) > 4 else [])])
        raise CodsaError(
            f"{where}: the first row ({quoted}) reads as values, not as names of columns; "
            "say --no-header (they are then called column_1, column_2, …), or --header if these are the names"
        )


def _are_labels(heads: Sequence[float | None]) -> bool:
    """Say whether numbers may be names: years, or numbers that count up by one."""
    numbers = [head for head in heads if head is not None]
    whole = all(number.is_integer() for number in numbers)
    years = all(1000 < number < 2200 for number in numbers) and len(set(numbers)) == len(numbers)
    counting = len(numbers) > 1 and all(b - a == 1 for a, b in itertools.pairwise(numbers)) and numbers[0] in (0, 1)
    return whole and (years or counting)


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _number(text: str) -> float | None:
    text = text.replace(",", ".", 1) if re.fullmatch(r"[-+]?\d+,\d+", text) else text
    return parse_decimal(text)


def notes_at_end(frame: pd.DataFrame) -> int:
    """Return how many rows at the end are notes: a sentence in the first column, and nothing in at least two others."""
    if frame.shape[1] < 3 or frame.shape[0] < 3:
        return 0
    empty = frame.iloc[:, 1:].isna().all(axis=1).to_numpy()
    count = int(np.argmin(empty[::-1])) if not empty.all() else 0
    while count and not _is_note(frame.iloc[-count, 0]):
        count -= 1
    return count


def _is_note(cell: object) -> bool:
    text = _text(cell)
    return text.startswith(("©", "*", "(", "[")) or bool(re.search(r":|\s\S+\s\S+\s", text))


def without_end(frame: pd.DataFrame, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, TableOptions]:
    """Leave out the rows at the end that are notes, and say which options leave them out."""
    count = options.skip_end or (notes_at_end(frame) if options.guess else 0)
    if not count:
        return frame, options
    if count != options.skip_end:
        first = shortened(str(frame.iloc[-count, 0]))
        notes.append(
            f"{count} rows at the end are left out as notes: '{first}'{' …' if count > 1 else ''} (--skip-end)"
        )
    return frame.iloc[:-count], options.model_copy(update={"skip_end": count})
