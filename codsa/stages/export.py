"""The augmented set that a study chose, as files that other tools read, with a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa import __version__
from codsa.data.grid import real_rows
from codsa.data.rows import in_memory
from codsa.data.split import TRAIN
from codsa.errors import CodsaError, check_choice
from codsa.io.artifacts import folder_output, new_folder
from codsa.io.digests import file_digest
from codsa.io.manifests import write_manifest
from codsa.io.names import EXPORT, MANIFEST
from codsa.io.records import write_json
from codsa.io.tables import write_parquet
from codsa.stages.chosen import Chosen

WHATS = ("augmented", "synthetic")
FORMATS = ("csv", "parquet", "jsonl", "huggingface")
SYNTHETIC, REGION = "codsa_synthetic", "codsa_region"
"""Columns beside the study's own: whether a row is synthetic, and its region."""
TYPES = {"numeric": "sc:Float", "integer": "sc:Integer", "boolean": "sc:Boolean", "datetime": "sc:DateTime"}
"""A column's type in Croissant; all others are texts."""


def chosen_rows(chosen: Chosen, what: str) -> pd.DataFrame:
    """Return the rows that λ̂ takes: real training rows first, unless synthetic ones alone are asked for.

    Validation and test rows are never among them.

    Raises
    ------
    CodsaError
        Where the study's columns are arrays, or synthetic rows are asked for and validation chose none.
    """
    schema = chosen.dataset.schema
    if any(column.is_array for column in schema.modelled):
        raise CodsaError("codsa export writes tables and texts; images and embeddings lie in the pool's Parquet files")
    taken = {SYNTHETIC, REGION} & {column.name for column in schema.columns}
    if taken:
        raise CodsaError(f"column '{min(taken)}' is one that codsa export adds; rename it and prepare the table again")
    pool = chosen.pool()
    if pool is None and what == "synthetic":
        raise CodsaError(f"'{chosen.record.method}' chose '{chosen.method}', which adds no synthetic row; try --method")
    names = [column.name for column in schema.modelled]
    frames = [_marked(_real(chosen, pool is not None)[[*names, REGION]], False)]
    if pool is not None:
        counts = np.array(chosen.choice.counts)
        regions = np.repeat(np.array(schema.regions.names, dtype=object), counts)
        drawn = pool.prefix(counts, schema.regions.names)[names].reset_index(drop=True)
        drawn[REGION] = regions
        frames.append(_marked(drawn, True))
    return pd.concat(frames[-1:] if what == "synthetic" else frames, ignore_index=True)


def _marked(rows: pd.DataFrame, synthetic: bool) -> pd.DataFrame:
    rows = rows.copy()
    rows[SYNTHETIC] = synthetic
    return rows


def _real(chosen: Chosen, augmented: bool) -> pd.DataFrame:
    """Return the real rows that the chosen estimator was fitted on: all training rows where nothing is added."""
    parameters, split = chosen.choice.fits.record.parameters, chosen.split
    rows = real_rows(split, parameters["r"], parameters["reserve"]) if augmented else split.rows(TRAIN)
    region = chosen.dataset.regions()[rows]
    names = np.array(chosen.dataset.schema.regions.names, dtype=object)
    return in_memory(chosen.dataset.part(rows)).reset_index(drop=True).assign(**{REGION: names[region]})


def write_export(chosen: Chosen, what: str, file_format: str, licence: str | None, out: Path) -> int:
    """Write the rows, README.md (the data card), croissant.json and a manifest; return the number of rows.

    Parameters
    ----------
    chosen : Chosen
    what : {'augmented', 'synthetic'}
    file_format : {'csv', 'parquet', 'jsonl', 'huggingface'}
    licence : str, optional
        Of the user's data, for the card and the metadata.
    out : Path
        A new folder, or one that an export wrote.
    """
    check_choice("--what", what, WHATS)
    check_choice("--format", file_format, FORMATS)
    folder_output(out, EXPORT)
    rows = chosen_rows(chosen, what)
    with new_folder(out, EXPORT) as staged:
        path = _write_rows(staged, rows, file_format)
        write_json(staged / "croissant.json", croissant(chosen, rows, path.relative_to(staged), path, licence))
        (staged / "README.md").write_text(card(chosen, rows, what, licence, file_format), encoding="utf-8")
        fits = chosen.choice.fits.record
        parameters = {"what": what, "format": file_format, "licence": licence, "method": chosen.record.method}
        write_manifest(staged / MANIFEST, EXPORT, {**fits.inputs, "fits": fits.digest}, parameters)
    return len(rows)


def _write_rows(folder: Path, rows: pd.DataFrame, file_format: str) -> Path:
    if file_format == "csv":
        rows.to_csv(folder / "rows.csv", index=False, lineterminator="\n")
        return folder / "rows.csv"
    if file_format == "jsonl":
        rows.to_json(folder / "rows.jsonl", orient="records", lines=True, force_ascii=False, date_format="iso")
        return folder / "rows.jsonl"
    path = folder / ("data/train.parquet" if file_format == "huggingface" else "rows.parquet")
    path.parent.mkdir(exist_ok=True)
    write_parquet(path, rows)
    return path


def card(chosen: Chosen, rows: pd.DataFrame, what: str, licence: str | None, file_format: str) -> str:
    """Return the data card: what the rows are, how and of which they were made, fidelity, privacy and licence."""
    row, record = chosen.choice.row, chosen.record
    counts = rows.groupby([REGION, SYNTHETIC]).size().unstack(fill_value=0)
    real, drawn = (counts.get(flag, pd.Series(0, counts.index)) for flag in (False, True))
    lines = [
        f"# {record.experiment}: {what} rows",
        "",
        f"{len(rows):,} rows, {int(rows[SYNTHETIC].sum()):,} of them synthetic (`{SYNTHETIC}` tells). Written by codsa "
        f"{__version__} from replicate {record.replicate} of the study '{record.experiment}'.",
        "",
        f"- **Made by** `{chosen.method}`, which validation rows chose for `{record.method}`: r = {row['r']:g}, "
        f"m = {row['m']}, α = {row['alpha']}. Real rows are training rows of that replicate; its validation and test "
        "rows are not here, so that what is fitted on these rows can be judged on those.",
        f"- **Licence**: {licence or 'not stated; that of the original data holds'}.",
        "- **Privacy**: synthetic rows are drawn by a model of real rows and are not anonymous by that. What was "
        "measured of them stands below; no formal guarantee is given.",
        "",
        "| region | real | synthetic |",
        "|---|---|---|",
        *(f"| {_cell(name)} | {real[name]} | {drawn[name]} |" for name in counts.index),
    ]
    figures = _figures(record.diagnostics) if rows[SYNTHETIC].any() else []
    head = ["---", *([f"license: {json.dumps(licence)}"] if licence else []), "tags: [synthetic, tabular]", "---", ""]
    return "\n".join([*(head if file_format == "huggingface" else []), *lines, *figures]) + "\n"


def _figures(diagnostics: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Return the fidelity figures of the evaluation, a line per region and figure."""
    lines = [
        f"| {_cell(region)} | {name} | {value:.4g} |"
        for region, figures in diagnostics.items()
        for name, value in figures.items()
        if value is not None
    ]
    head = ["", "Synthetic rows against test rows:", "", "| region | figure | value |", "|---|---|---|"]
    return [*head, *lines] if lines else []


def _cell(text: str) -> str:
    """Return a text as the cell of a table: on one line, without what would end the cell or be HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def croissant(chosen: Chosen, rows: pd.DataFrame, name: Path, path: Path, licence: str | None) -> dict[str, Any]:
    """Return the metadata in the Croissant vocabulary 1.0 (JSON-LD).

    Parameters
    ----------
    chosen : Chosen
    rows : DataFrame
    name : Path
        The file of the rows within the export.
    path : Path
        That file where it lies now.
    licence : str, optional
    """
    kinds = {column.name: TYPES.get(column.type, "sc:Text") for column in chosen.dataset.schema.modelled}
    kinds |= {SYNTHETIC: "sc:Boolean", REGION: "sc:Text"}
    formats = {".csv": "text/csv", ".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
    identifier = name.as_posix()
    return {
        "@context": {
            "@language": "en",
            "@vocab": "https://schema.org/",
            "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
            "recordSet": "cr:recordSet",
            "field": "cr:field",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
            "source": "cr:source",
            "extract": "cr:extract",
            "fileObject": "cr:fileObject",
            "column": "cr:column",
            "jsonPath": "cr:jsonPath",
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": chosen.record.experiment,
        "description": f"Rows of {chosen.method}: {int(rows[SYNTHETIC].sum())} synthetic of {len(rows)}.",
        "license": licence or "not stated",
        "version": __version__,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": identifier,
                "name": identifier,
                "contentUrl": identifier,
                "encodingFormat": formats[name.suffix],
                "sha256": file_digest(path),
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "field": [_field(column, kinds[column], identifier) for column in map(str, rows)],
            }
        ],
    }


def _field(column: str, kind: str, file: str) -> dict[str, Any]:
    extract = {"jsonPath": f"$.{column}"} if file.endswith("jsonl") else {"column": column}
    return {
        "@type": "cr:Field",
        "@id": f"rows/{column}",
        "name": column,
        "dataType": kind,
        "source": {"fileObject": {"@id": file}, "extract": extract},
    }
