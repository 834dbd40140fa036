"""A table with a column of texts: cleaned, with groups of nearly equal texts, and with embeddings."""

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
GROUP = "together"
"""The column of groups of rows that may not straddle roles."""


def read_texts(
    raw: Raw, columns: ColumnOptions, options: TextOptions, cache: Path, exclude_near: Path | None = None
) -> tuple[Raw, ColumnOptions]:
    """Clean the texts of a raw table, group nearly equal ones, and embed them where an encoder is set.

    Parameters
    ----------
    raw : Raw
    columns : ColumnOptions
    options : TextOptions
    cache : Path
        The folder of computed embeddings.
    exclude_near : Path, optional
        A dataset's folder: rows with a text nearly equal to one of its texts are left out.

    Returns
    -------
    raw : Raw
        With cleaned texts, a column `together` and, with an encoder, a column `embedding`.
    columns : ColumnOptions
        With the types and roles of these columns.
    """
    name, raw_rows = options.column, raw.held
    if name not in raw_rows:
        raise CodsaError(f"texts: no column '{name}' in the table; {suggest(name, map(str, raw_rows.columns))}")
    clashing = [n for n in (EMBEDDING, GROUP) if n in raw_rows]
    if clashing:
        raise CodsaError(f"texts: column '{clashing[0]}' is there already; rename it")
    texts, kept, notes = clean(raw_rows[name], options)
    table = raw_rows[kept].reset_index(drop=True).assign(**{name: texts})
    if exclude_near is not None:
        table, exclusion_notes = _exclude_near(table, name, exclude_near, options.similarity_threshold)
        notes += exclusion_notes
    text_groups = near_groups(table[name].tolist(), options.similarity_threshold)
    n_near = len(text_groups) - len(np.unique(text_groups))
    if n_near:
        notes.append(
            f"column '{name}': {n_near} texts are nearly the same as others (similarity of "
            f"{options.similarity_threshold:g} or more of their runs of words); they stay on one side of every split"
        )
    table[GROUP] = _joined_groups(text_groups, table, columns.group)
    encoded: dict[str, Encoding] = {}
    if options.encoder is not None:
        encoder = SentenceEncoder(options.encoder, options.precision)
        vectors = embed(encoder, table[name].tolist(), cache)
        table[EMBEDDING] = array_columns.column("vector", vectors)
        notes += _truncation_notes(encoder, table[name].tolist(), name)
        encoded[EMBEDDING] = Encoding(name, encoder.digest)
    for note in notes:
        log.info("%s", note)
    prepared = Raw(table, {**raw.origin, "texts": name}, [*raw.notes, *notes], encoded)
    return prepared, _with_text_columns(columns, options)


def _truncation_notes(encoder: SentenceEncoder, texts: list[str], name: str) -> list[str]:
    count = encoder.truncated(texts)
    return [f"column '{name}': {count} texts have more tokens than the encoder reads; it cuts them"] if count else []


def near_theirs(texts: Sequence[str], name: str, folder: Path, threshold: float) -> np.ndarray:
    """Return which texts nearly equal a text of another dataset, in its column of the same name.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    CodsaError
        Where all texts do, or the dataset has no such column.
    """
    path = folder / "rows.parquet"
    try:
        other_texts = read_parquet(path, [name])[name].tolist()
    except CodsaError as error:
        raise CodsaError(f"{path}: holds no texts '{name}' to keep apart from ({error})") from None
    groups = near_groups([*other_texts, *texts], threshold)
    near = np.isin(groups[len(other_texts) :], groups[: len(other_texts)])
    if near.all():
        raise CodsaError(f"column '{name}': every text is nearly one of {path}; give an independent source set")
    return near


def _exclude_near(table: pd.DataFrame, name: str, folder: Path, threshold: float) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rows with a text nearly equal to one of another dataset."""
    near = near_theirs(table[name].tolist(), name, folder, threshold)
    if not near.any():
        return table, []
    note = f"column '{name}': {int(near.sum())} texts left out: nearly the same as some of the study's own data"
    return table[~near].reset_index(drop=True), [note]


def _joined_groups(text_groups: np.ndarray, table: pd.DataFrame, group: str | None) -> np.ndarray:
    """Return group numbers that join rows of nearly equal texts and rows of the same group, ndarray of int64."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if group is None:
        return text_groups
    if group not in table:
        raise CodsaError(f"no column '{group}' in the table; {suggest(group, map(str, table.columns))}")
    group_codes = pd.factorize(table[group], use_na_sentinel=False)[0]
    missing = table[group].isna().to_numpy()
    group_codes[missing] = group_codes.max() + 1 + np.arange(missing.sum())
    n_nodes = int(text_groups.max()) + int(group_codes.max()) + 2
    graph = coo_array(
        (np.ones(len(text_groups)), (text_groups, int(text_groups.max()) + 1 + group_codes)), shape=(n_nodes, n_nodes)
    )
    return np.asarray(connected_components(graph, directed=False)[1][text_groups], dtype=np.int64)


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
    return columns.model_copy(update={"group": GROUP, "columns": corrections})
