"""Reads the results of the paper's experiments and writes its tables and figures: a page, CSV files and pictures."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from codsa.errors import CodsaError, suggest
from codsa.evidence.wording import method_name
from codsa.io.artifacts import folder_output, new_folder
from codsa.io.manifests import write_manifest
from codsa.io.names import MANIFEST
from codsa.paper.experiments import EXPERIMENTS
from codsa.paper.figures import FIGURES, PaperFigure, figure_data
from codsa.paper.page import Entry, comparison_cells, figure_cells, how_to_make, key_of, render
from codsa.paper.published import Published, of_item, published
from codsa.paper.results import Results, read_results
from codsa.paper.tables import TABLES, PaperTable, comparison

STAGE = "paper"
PAGE = "paper.html"
ITEMS: dict[str, PaperTable | PaperFigure] = {key_of(part.item): part for part in (*TABLES, *FIGURES)}
"""Tables and figures by their names in --only."""


@dataclass(frozen=True)
class Written:
    """What was written: the entries of the page, and its path."""

    entries: list[Entry]
    page: Path


def chosen_items(only: Collection[str]) -> list[PaperTable | PaperFigure]:
    """Return the tables and figures of some names; all where none is given.

    Raises
    ------
    CodsaError
        For a name that is none of them.
    """
    for name in only:
        if name not in ITEMS:
            raise CodsaError(f"--only {name}: the paper has no such table or figure here; {suggest(name, ITEMS)}")
    return [part for name, part in ITEMS.items() if not only or name in only]


def write_paper(results: Path, scale: str, only: Collection[str] = ()) -> Written:
    """Write `paper.html`, a CSV file of each table and figure, and a PNG of each figure to RESULTS/paper-SCALE.

    The same results give the same bytes.

    Raises
    ------
    CodsaError
        Where no study that is asked for has results, or a table of theirs cannot be read.
    """
    parts, out = chosen_items(only), results / f"paper-{scale}"
    folder_output(out, STAGE)
    studies = {part.study: read_results(results, EXPERIMENTS[part.study], scale) for part in parts}
    there = [study for study in studies.values() if study is not None]
    if not there:
        names = ", ".join(f"{name}-{scale}" for name in studies)
        raise CodsaError(f"{results}: no report of {names}; run snakemake paper --cores 2 --config scale={scale}")
    with new_folder(out, STAGE) as staged:
        entries = [_entry(part, studies[part.study], scale, staged) for part in parts]
        (staged / PAGE).write_text(render(entries, scale), encoding="utf-8")
        inputs = {name: digest for study in there for name, digest in study.digests.items()}
        write_manifest(staged / MANIFEST, STAGE, inputs, {"scale": scale, "only": sorted(only)})
    return Written(entries, out / PAGE)


def _entry(part: PaperTable | PaperFigure, results: Results | None, scale: str, folder: Path) -> Entry:
    """Make a table or figure, and write its files."""
    if results is None:
        empty = Entry(part.item, part.study, part.caption, data=pd.DataFrame(), missing=how_to_make(part.study, scale))
        header, rows = figure_cells(_published_lines(part.item))
        return replace(empty, header=header, rows=rows)
    if isinstance(part, PaperTable):
        data = comparison(part, results)
        header, rows = comparison_cells(data)
        entry = Entry(part.item, part.study, part.caption, data=data, header=header, rows=rows)
    else:
        entry = _figure_entry(part, results, folder)
    if len(entry.data):
        entry.data.to_csv(folder / f"{entry.key}.csv", index=False, lineterminator="\n")
    return entry


def _figure_entry(figure: PaperFigure, results: Results, folder: Path) -> Entry:
    from codsa.paper.drawings import draw
    from codsa.report.drawing import png_bytes, style, svg_uri

    data = figure_data(figure, results)
    header, rows = figure_cells(_published_lines(figure.item))
    entry = Entry(figure.item, figure.study, figure.caption, data=data, header=header, rows=rows if rows else [])
    if data.empty:
        names = ", ".join(figure.methods)
        return replace(entry, missing=f"{results.label} has none of the methods {names}, or kept no grid of theirs.")
    levels = {p.method: p.mean for p in published() if _level(p, figure)}
    with style():
        drawn = draw(figure, data, levels)
        (folder / f"{entry.key}.png").write_bytes(png_bytes(drawn))
        return replace(entry, picture=svg_uri(drawn))


def _level(figure: Published, of: PaperFigure) -> bool:
    """Say whether a published figure is the overall mean of a table about the same study."""
    table = figure.item.startswith("Table") and figure.m is None
    return table and (figure.study, figure.metric, figure.region) == (of.study, of.metric, "overall")


def _published_lines(item: str) -> list[tuple[str, float, str]]:
    return [(_what(figure), figure.mean, figure.source) for figure in of_item(item)]


def _what(figure: Published) -> str:
    r = "" if figure.r is None else f", r = {figure.r:g}"
    m = "" if figure.m is None else f", m = {figure.m:,}"
    return f"{method_name(figure.method)}{r}{m}: {figure.metric}, {figure.region}"
