"""The page of the paper's tables and figures: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources

import pandas as pd

from codsa.data.metrics import RAW, RECALIBRATED
from codsa.evidence.wording import DASH, method_name
from codsa.paper.experiments import EXPERIMENTS

KINDS = {"codsa": "CoDSA", "primary": "chosen by validation", "control": "control", "oracle": "oracle", "": "not run"}
DIGITS = 4


@dataclass(frozen=True)
class Entry:
    """One table or figure on the page.

    Attributes
    ----------
    item, study, caption : str
    data : DataFrame
        As the CSV file holds it; empty where the study has no results, or none that the item is about.
    missing : str
        Why it is empty, and how to make it; '' where it is not.
    header, rows : list
        The cells of its table on the page, as text.
    picture : str
        The figure as a data URI, '' for a table.
    """

    item: str
    study: str
    caption: str
    data: pd.DataFrame = field(repr=False)
    missing: str = ""
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    picture: str = ""

    @property
    def key(self) -> str:
        """Its name in files and in --only: 'table1'."""
        return key_of(self.item)


def key_of(item: str) -> str:
    """Return 'table1' of 'Table 1'."""
    return item.replace(" ", "").lower()


def shown(mean: float | None, sd: float | None = None) -> str:
    """Return 'mean (sd)', or a dash."""
    if mean is None or pd.isna(mean):
        return DASH
    return f"{mean:.{DIGITS}f}" if sd is None or pd.isna(sd) else f"{mean:.{DIGITS}f} ({sd:.{DIGITS}f})"


def comparison_cells(data: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a comparison, a row for each method (and m)."""
    regions = list(dict.fromkeys(data["region"]))
    by_m = data["m"].notna().any()
    header = ["Method", "Kind", *(["m"] if by_m else []), *(f"Published, {region}" for region in regions)]
    header += [*(f"Here, {region}" for region in regions), *([] if by_m else ["Recalibrated, overall"]), "Replicates"]
    rows = []
    for method, part in _by_row(data):
        m = part["m"].iloc[0]
        cells = part.set_index("region")
        row = [method_name(method), KINDS.get(str(part["kind"].iloc[0]), str(part["kind"].iloc[0]))]
        row += [f"{int(m):,}"] if by_m else []
        row += [shown(cells["published_mean"][region], cells["published_sd"][region]) for region in regions]
        row += [shown(cells[f"{RAW}_mean"][region], cells[f"{RAW}_sd"][region]) for region in regions]
        if not by_m:
            name = f"{RECALIBRATED}_mean"
            row.append(shown(cells[name]["overall"], cells[f"{RECALIBRATED}_sd"]["overall"]))
        rows.append([*row, str(int(part[f"{RAW}_replicates"].max()))])
    return header, rows


def _by_row(data: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give the parts of a comparison that make a row of the page, with their method."""
    for (method, _), part in data.groupby(["method", "m"], sort=False, dropna=False):  # type: ignore[misc]
        yield str(method), part


def figure_cells(published: Sequence[tuple[str, float, str]]) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of what is published about a figure: (what, figure, source)."""
    return ["Published", "Figure", "Source"], [[what, f"{figure:g}", source] for what, figure, source in published]


def how_to_make(study: str, scale: str) -> str:
    """Say that a study has no results, and how to make them."""
    experiment = EXPERIMENTS[study]
    command = f"snakemake paper --cores 2 --config scale={scale}"
    return (
        f"No results of {study}-{scale} (section {experiment.section}). It needs {experiment.needs}. "
        f"Then run: {command} (it runs those of the paper's experiments that have this scale and whose data are there)."
    )


def render(entries: Sequence[Entry], scale: str) -> str:
    """Return the page as HTML; all text is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("codsa.paper").joinpath("paper.html").read_text(encoding="utf-8")
    missing = list(dict.fromkeys(entry.study for entry in entries if entry.missing))
    return environment.from_string(source).render(entries=entries, scale=scale, missing=missing) + "\n"
