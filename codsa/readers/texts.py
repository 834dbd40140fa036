"""A table with a column of texts, made ready: cleaned, nearly equal texts numbered, embeddings beside them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from codsa.data.columns import Encoding
from codsa.data.near_duplicates import near_groups
from codsa.encoders.sentences import SentenceEncoder, embed
from codsa.errors import CodsaError, suggest
from codsa.io import array_columns
from codsa.io.tables import read_parquet
from codsa.readers.clean_texts import clean
from codsa.readers.datasets import Raw
from codsa.settings.columns import ColumnConfig, ColumnOptions
from codsa.settings.texts import TextOptions

log = logging.getLogger(__name__)

EMBEDDING = "embedding"
TOGETHER = "together"
"""The column that numbers the sets of rows which may not straddle roles."""


def read_texts(
    raw: Raw, columns: ColumnOptions, options: TextOptions, cache: Path, exclude_near: Path | None = None
) -> tuple[Raw, ColumnOptions]:
    """Make the texts of a raw table ready.

    Parameters
    ----------
    raw : Raw
    columns : ColumnOptions
    options : TextOptions
    cache : Path
        The folder of embeddings that have been computed.
    exclude_near : Path, optional
        A dataset's folder: rows whose text is nearly one of its texts are left out.

    Returns
    -------
    raw : Raw
        With cleaned texts, a column `together` and, with an encoder, a column `embedding`.
    columns : ColumnOptions
        With the types and roles of these columns.
    """
    name, given = options.column, raw.held
    if name not in given:
        raise CodsaError(f"texts: no column '{name}' in the table; {suggest(name, map(str, given.columns))}")
    taken = [n for n in (EMBEDDING, TOGETHER) if n in given]
    if taken:
        raise CodsaError(f"texts: column '{taken[0]}' is there already; rename it")
    texts, kept, notes = clean(given[name], options)
    table = given[kept].reset_index(drop=True).assign(**{name: texts})
    if exclude_near is not None:
        table, more = _without_near(table, name, exclude_near, options.similarity_threshold)
        notes += more
    near = near_groups(table[name].tolist(), options.similarity_threshold)
    alike = len(near) - len(np.unique(near))
    if alike:
        notes.append(
            f"column '{name}': {alike} texts are nearly the same as others (similarity of "
            f"{options.similarity_threshold:g} or more of their runs of words); they stay on one side of every split"
        )
    table[TOGETHER] = _joined(near, table, columns.group)
    encoded: dict[str, Encoding] = {}
    if options.encoder is not None:
        encoder = SentenceEncoder(options.encoder, options.precision)
        vectors = embed(encoder, table[name].tolist(), cache)
        table[EMBEDDING] = array_columns.column("vector", vectors)
        notes += _cut(encoder, table[name].tolist(), name)
        encoded[EMBEDDING] = Encoding(name, encoder.digest)
    for note in notes:
        log.info("%s", note)
    prepared = Raw(table, {**raw.origin, "texts": name}, [*raw.notes, *notes], encoded)
    return prepared, _with_text_columns(columns, options)


def _cut(encoder: SentenceEncoder, texts: list[str], name: str) -> list[str]:
    count = encoder.truncated(texts)
    return [f"column '{name}': {count} texts have more tokens than the encoder reads; it cuts them"] if count else []


def near_theirs(texts: Sequence[str], name: str, folder: Path, threshold: float) -> np.ndarray:
    """Tell which texts are nearly one of another dataset's, whose column of texts has the same name.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    CodsaError
        Where all of them are, and where the dataset holds no such column.
    """
    path = folder / "rows.parquet"
    try:
        theirs = read_parquet(path, [name])[name].tolist()
    except CodsaError as error:
        raise CodsaError(f"{path}: holds no texts '{name}' to keep apart from ({error})") from None
    group = near_groups([*theirs, *texts], threshold)
    common = np.isin(group[len(theirs) :], group[: len(theirs)])
    if common.all():
        raise CodsaError(f"column '{name}': every text is nearly one of {path}; give an independent source set")
    return common


def _without_near(table: pd.DataFrame, name: str, folder: Path, threshold: float) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rows whose text is nearly one of another dataset's."""
    common = near_theirs(table[name].tolist(), name, folder, threshold)
    if not common.any():
        return table, []
    note = f"column '{name}': {int(common.sum())} texts left out: nearly the same as some of the study's own data"
    return table[~common].reset_index(drop=True), [note]


def _joined(near: np.ndarray, table: pd.DataFrame, group: str | None) -> np.ndarray:
    """Return numbers of the sets of rows that belong together: nearly the same text, or the same group, or both."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if group is None:
        return near
    if group not in table:
        raise CodsaError(f"no column '{group}' in the table; {suggest(group, map(str, table.columns))}")
    own = pd.factorize(table[group], use_na_sentinel=False)[0]
    missing = table[group].isna().to_numpy()
    own[missing] = own.max() + 1 + np.arange(missing.sum())
    size = int(near.max()) + int(own.max()) + 2
    graph = coo_array((np.ones(len(near)), (near, int(near.max()) + 1 + own)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][near], dtype=np.int64)


def _with_text_columns(columns: ColumnOptions, options: TextOptions) -> ColumnOptions:
    """Add the texts' types and roles: without an encoder the texts are the feature, with one the embeddings are."""
    corrections = dict(columns.columns)
    text = corrections.get(options.column, ColumnConfig())
    if text.role is None:
        text = ColumnConfig(role="feature" if options.encoder is None else "attribute")
    corrections[options.column] = ColumnConfig(type="text", role=text.role)
    if columns.group is not None:
        group_type = corrections.get(columns.group, ColumnConfig()).type
        corrections[columns.group] = ColumnConfig(type=group_type, role="ignored")
    return columns.model_copy(update={"group": TOGETHER, "columns": corrections})
