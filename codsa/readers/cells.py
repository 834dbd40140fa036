"""What the cells of a table hold: which are missing, which texts are numbers or dates. Found, or as the user says.

A rule is found by the way in which a column's cells are written, and then holds for all rows alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from codsa.errors import CodsaError, shortened, suggest
from codsa.readers import date_formats, missing_marks
from codsa.readers.number_formats import NumberFormat, are_codes, bodies_of, is_ambiguous, separators, shows_decimal
from codsa.settings.tables import TableOptions

NUMBERS_AMONG = 0.5
"""From this share of numbers on, a note says which cells keep a column from being one."""
FEW_LEVELS, SAMPLED = 20, 1000
MOSTLY = 0.8
"""Of ten numbers of thousands, one ends in a zero."""


@dataclass
class Settled:
    """A table whose cells are settled.

    Attributes
    ----------
    frame : DataFrame
    missing : list of str
        Marks, as the option takes them.
    numbers, dates : dict
        Column → its format.
    notes : list of str
        What was found, for the user.
    """

    frame: pd.DataFrame
    missing: list[str] = field(default_factory=list)
    numbers: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def settle(frame: pd.DataFrame, options: TableOptions, decimal: str, day_first: bool = True) -> Settled:
    """Make marks missing, and read texts as numbers and dates.

    Parameters
    ----------
    frame : DataFrame of shape (n, d)
    options : TableOptions
        What the user says; unless its `guess` is false, other formats and marks are found.
    decimal : {'.', ','}
        The file's decimal sign, by which ambiguous numbers are read.
    day_first : bool
        How ambiguous dates are read.

    Raises
    ------
    CodsaError
        For an option of a column that is not there, or a cell that its column's format does not admit.
    """
    for name in [*options.numbers, *options.dates]:
        if name not in frame:
            raise CodsaError(f"table: no column '{name}'; {suggest(name, map(str, frame.columns))}")
    settled = Settled(frame, list(options.missing), dict(options.numbers), dict(options.dates))
    changes = _without_marks(settled)
    texts = {str(name): cells for name in frame if (cells := texts_of(changes.get(str(name), frame[name]))) is not None}
    if options.guess:
        for name, found in _find(settled, texts, decimal, day_first).items():
            changes[name] = missing_marks.without(changes.get(name, frame[name]), sorted(found))[0]
    for name, cells in texts.items():
        if name in settled.numbers or name in settled.dates:
            changes[name] = _converted(settled, name, changes.get(name, frame[name]), cells)
    if changes:
        settled.frame = frame.assign(**changes)
    if options.guess:
        settled.notes += [
            note for n in settled.frame if (note := missing_marks.sentinel_note(str(n), settled.frame[n]))
        ]
    return settled


def texts_of(values: pd.Series) -> pd.Series | None:
    """Return a column's texts without blanks around them, other cells missing; None where it has no text."""
    if isinstance(values.dtype, pd.StringDtype):
        return values.str.strip() if values.notna().any() else None
    if values.dtype != object:
        return None
    are_texts = values.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    return values.where(are_texts).astype("str").str.strip() if are_texts.any() else None


def file_decimal(frame: pd.DataFrame, sep: str) -> str:
    """Return the decimal sign of a text file, from columns that were read with a decimal point.

    Columns that admit one sign alone decide; where both occur, or neither, a semicolon between fields speaks for ','.
    """
    points = any(_has_decimals(frame[name]) for name in frame if pd.api.types.is_float_dtype(frame[name]))
    commas = ambiguous = False
    for name in frame:
        cells = texts_of(frame[name])
        found = None if cells is None else bodies_of(_distinct(cells, beside_numbers=True)[0])
        if found is not None and found[0]:
            commas |= shows_decimal(found[0], ",")
            points |= shows_decimal(found[0], ".")
            ambiguous |= is_ambiguous(found[0])
    if commas != points:
        return "," if commas else "."
    return "," if sep.startswith(";") and (commas or ambiguous) else "."


def thousands_notes(frame: pd.DataFrame, sep: str) -> list[str]:
    """Say which numbers, read with a decimal point, have three decimals and so may be thousands, as 1.234."""
    notes = []
    for name in frame if not sep.startswith(",") else ():
        present = frame[name].dropna() if pd.api.types.is_float_dtype(frame[name]) else pd.Series(dtype=float)
        fractions = present[present % 1 != 0]
        three = (fractions.abs() >= 1) & (fractions.round(2) != fractions) & (fractions.round(3) == fractions)
        if len(fractions) and three.mean() >= MOSTLY:
            notes.append(
                f"column '{name}': {fractions[three].iloc[0]:.3f} and the like are read with a decimal point; if these "
                "are thousands: --decimal ,"
            )
    return notes


def _has_decimals(values: pd.Series) -> bool:
    """Say whether numbers have decimals other than three, which could be thousands."""
    present = values.dropna()
    fractions = present[present % 1 != 0]
    return bool(((fractions.abs() < 1) | (fractions.round(2) == fractions) | (fractions.round(3) != fractions)).any())


def _distinct(cells: pd.Series, beside_numbers: bool) -> tuple[list[str], set[str]]:
    """Return a column's distinct cells less those that usually are missing, and these."""
    distinct = cells.dropna().unique().tolist()
    marks = missing_marks.usual(distinct, beside_numbers)
    return [cell for cell in distinct if cell not in marks], marks


def _without_marks(settled: Settled) -> dict[str, pd.Series]:
    """Return the columns in which marks that the user said are missing."""
    frame = settled.frame
    marks = missing_marks.by_column(settled.missing, list(map(str, frame.columns)))
    changes = {}
    for name in frame:
        values, count = missing_marks.without(frame[name], [*marks.get(None, []), *marks.get(str(name), [])])
        if count:
            changes[str(name)] = values
    return changes


def _find(settled: Settled, texts: dict[str, pd.Series], decimal: str, day_first: bool) -> dict[str, set[str]]:
    """Find the formats and marks of columns of texts, and note them; return the marks of those that stay texts."""
    found: dict[str, set[str]] = {}
    for name, cells in texts.items():
        distinct, marks = _distinct(cells, beside_numbers=True)
        said = name in settled.numbers or name in settled.dates
        if (
            said
            or _find_number(settled, name, distinct, cells, decimal)
            or _find_date(settled, name, distinct, day_first)
        ):
            found[name] = marks
        else:
            found[name] = missing_marks.usual(cells.dropna().unique().tolist(), beside_numbers=False)
            settled.notes += _nearly_numbers(name, cells)
        if found[name]:
            count = int(cells.isin(list(found[name])).sum())
            listed = ", ".join(f"'{mark}'" for mark in sorted(found[name]))
            settled.notes.append(f"column '{name}': {count} cells are taken as missing: {listed}")
    new = missing_marks.as_options(found, {name: set(cells.dropna().unique()) for name, cells in texts.items()})
    settled.missing += [mark for mark in new if mark not in settled.missing]
    return {
        name: marks for name, marks in found.items() if marks and not (name in settled.numbers or name in settled.dates)
    }


def _find_number(settled: Settled, name: str, distinct: Sequence[str], cells: pd.Series, decimal: str) -> bool:
    found = bodies_of(distinct) if distinct else None
    pair = None if found is None else separators(found[0], decimal, found[1])
    if found is None or pair is None or are_codes(found[0]):
        return False
    bodies, around = found
    written = NumberFormat(*pair, around.prefix, around.suffix, around.limits)
    settled.numbers[name] = written.example
    note = f"column '{name}': its texts are read as numbers, written as '{written.example}'"
    if around.limits:
        first = next(cell for cell in distinct if cell.lstrip("(")[:1] in "<>≤≥")
        count = int(cells.str.contains(r"^\(?[<>≤≥]", na=False).sum())
        note += f"; {count} limits, as '{first}', are read as the limit itself"
    if is_ambiguous(bodies):
        note += f"; '{bodies[0]}' could be read otherwise, too: say so with --number '{name}=EXAMPLE' or --decimal"
    settled.notes.append(note)
    return True


def _find_date(settled: Settled, name: str, distinct: Sequence[str], day_first: bool) -> bool:
    formats = date_formats.find(distinct)
    if not formats:
        return False
    written = settled.dates[name] = date_formats.settled(formats, distinct, day_first)
    note = f"column '{name}': its texts are read as dates, written as '{written}'"
    others = [other for other in formats if other != written]
    if others:
        note += f"; '{distinct[0]}' could also be '{others[0]}': say so with --date '{name}={others[0]}'"
    settled.notes.append(note)
    return True


def _nearly_numbers(name: str, cells: pd.Series) -> list[str]:
    """Say which cells keep a column of many numbers from being read as numbers."""
    counts = cells.value_counts()
    some = counts.iloc[:: 1 + len(counts) // SAMPLED]
    if sum(bodies_of([cell]) is not None for cell in some.index) < NUMBERS_AMONG * len(some):
        return []
    odd = [cell for cell in counts.index if bodies_of([cell]) is None]
    share = 1 - counts[odd].sum() / max(counts.sum(), 1)
    if len(counts) <= FEW_LEVELS or share < NUMBERS_AMONG:
        return []
    if not odd:
        return [
            f"column '{name}': its {len(counts)} different cells look like numbers, but not in one format; it stays a "
            f"category, unless its format is given with --number '{name}=EXAMPLE'"
        ]
    quoted = ", ".join(shortened(repr(cell)) for cell in odd[:3])
    return [
        f"column '{name}': {share:.0%} of its cells are numbers, and {quoted}{' …' if len(odd) > 3 else ''} are not; "
        f"it stays a category of {len(counts)} levels, unless these are mended or said to be missing (--missing)"
    ]


def _converted(settled: Settled, name: str, values: pd.Series, cells: pd.Series) -> pd.Series:
    """Return a column with its texts as numbers or dates; cells that are no texts stay."""
    marks = missing_marks.by_column(settled.missing, list(map(str, settled.frame.columns)))
    cells = missing_marks.without(cells, ["", *marks.get(None, []), *marks.get(name, [])])[0]
    if name in settled.numbers:
        found = missing_marks.with_gaps(NumberFormat.read(settled.numbers[name], name).numbers(cells, name))
    else:
        found = date_formats.dates(cells, settled.dates[name], name)
    others = values.notna().to_numpy() & ~values.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    if not others.any():
        return found
    try:
        mixed = found.astype(object).where(~others, values)
        return pd.to_numeric(mixed) if name in settled.numbers else pd.to_datetime(mixed)
    except (ValueError, TypeError) as error:
        raise CodsaError(f"column '{name}': texts beside other cells ({error}); write the column alike") from None
