"""How a text file is written: its encoding, its separator, what stands above its header."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import csv
import gzip
import io
import itertools
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from codsa.errors import CodsaError, shortened
from codsa.settings.tables import TableOptions

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 400
CHUNK = 1 << 22
ORDER = ["\t", ";", "|", ","]
"""Separators by how seldom they stand in a text by chance."""
WINDOWS, LATIN = "cp1252", "latin-1"


@contextlib.contextmanager
def opened(path: Path, compression: str | None) -> Iterator[Any]:
    """Open a file's bytes, compressed or not; zstandard is decompressed in memory."""
    openers: dict[Any, Any] = {None: open, "gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    if compression in openers:
        with openers[compression](path, "rb") as lines:
            yield lines
    elif compression == "zstd":
        with pa.input_stream(str(path), compression="zstd") as stream:
            yield io.BytesIO(stream.read())
    else:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as lines:
            yield lines


def encoding_of(path: Path, compression: str | None) -> str:
    """Return a text's encoding: by its byte order mark, or UTF-8 if it can be, or Windows' cp1252, or latin-1."""
    with opened(path, compression) as file:
        first = file.read(4)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        decoder = codecs.getincrementaldecoder("utf-8")()
        possible = {"utf-8", WINDOWS}
        for block in itertools.chain([first], iter(lambda: file.read(CHUNK), b"")):
            if "utf-8" in possible and not _decodes(decoder, block):
                possible.discard("utf-8")
            if WINDOWS in possible and not _decodes(codecs.getincrementaldecoder(WINDOWS)(), block):
                possible.discard(WINDOWS)
        if "utf-8" in possible and _decodes(decoder, b"", final=True):
            return "utf-8"
        return WINDOWS if WINDOWS in possible else LATIN


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def encoding_note(path: Path, compression: str | None, encoding: str) -> str:
    """Say by which encoding a text is read, with a word that shows it."""
    if encoding == "utf-16":
        return "the file is read as utf-16, by its byte order mark (--encoding)"
    with opened(path, compression) as file:
        for line in file:
            word = re.search(rb"\w*[\x80-\xff][\w\x80-\xff]*", line)
            if word:
                shown = word[0].decode(encoding, errors="replace")
                return (
                    f"the file is not UTF-8 and is read as {encoding}, as in '{shortened(shown)}'; else give --encoding"
                )
    return f"the file is not UTF-8 and is read as {encoding}; else give --encoding"


def sample(path: Path, compression: str | None, encoding: str) -> list[str]:
    """Return the first whole lines of a text file."""
    with opened(path, compression) as file:
        content = file.read(SAMPLE_BYTES)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(content).removeprefix("\ufeff")
    lines = list(io.StringIO(text, newline=""))
    return lines[: SAMPLE_ROWS * 4] if len(content) < SAMPLE_BYTES else lines[: min(len(lines) - 1, SAMPLE_ROWS * 4)]


def fields(lines: Iterable[str], sep: str) -> list[list[str]]:
    """Return the fields of lines; a blank line has none."""
    if sep == "whitespace":
        return [line.split() for line in itertools.islice(lines, SAMPLE_ROWS)]
    try:
        return list(itertools.islice(csv.reader(lines, delimiter=sep[0], skipinitialspace=sep[1:] == " "), SAMPLE_ROWS))
    except csv.Error:
        return []


def separator(lines: Sequence[str], usual: str) -> str:
    """Return the separator by which the most rows have equally many fields, two or more.

    Parameters
    ----------
    lines : sequence of str
    usual : str
        The separator that the file's name suggests; taken where no other suits better.
    """
    shares = {sep: _evenness(fields(lines, sep)) for sep in ORDER}
    whole = [sep for sep in ORDER if shares[sep] == 1]
    if whole:
        return _with_blank(lines, whole[0])
    best = max(ORDER, key=lambda sep: (shares[sep], sep == usual))
    if shares[best] >= 0.5:
        return _with_blank(lines, best)
    return "whitespace" if _evenness(fields(lines, "whitespace")) == 1 else usual


def _evenness(rows: Sequence[Sequence[str]]) -> float:
    """Return the share of rows that have the most frequent number of fields; 0 where that is one field."""
    counts = Counter(len(row) for row in rows if row)
    if not counts:
        return 0.0
    width, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    return count / counts.total() if width > 1 else 0.0


def _with_blank(lines: Sequence[str], sep: str) -> str:
    """Return ', ' for ',' where a blank follows each."""
    later = [field for row in fields(lines, sep) for field in row[1:] if field]
    blanks = bool(later) and sep in ",;" and all(field.startswith(" ") for field in later)
    return f"{sep} " if blanks else sep


def title_lines(lines: Sequence[str], sep: str) -> int:
    """Return how many lines above the header are titles: rows of one field at most, where the table has more."""
    rows = fields(lines, sep)
    above = title_rows(rows)
    if sep == "whitespace" or not above:
        return above
    reader = csv.reader(lines, delimiter=sep[0])
    for _ in range(above):
        next(reader)
    return reader.line_num


def title_rows(rows: Sequence[Sequence[object]]) -> int:
    """Return how many rows at the top have one filled field at most, where most rows have more."""
    filled = [sum(str(cell).strip() != "" for cell in row if cell is not None) for row in rows]
    if sorted(filled)[len(filled) // 2 :][:1] < [2]:
        return 0
    above = next(k for k, count in enumerate(filled) if count > 1)
    return above if any(filled[:above]) else 0


def refuse_other(path: Path, options: TableOptions, *names: str) -> None:
    """Raise a `CodsaError` for an option that says nothing of a file of this kind."""
    given = [name for name in names if getattr(options, name) not in (None, 0)]
    if given:
        raise CodsaError(f"{path}: --{given[0].replace('_', '-')} does not suit this kind of file; leave it out")
