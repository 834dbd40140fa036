"""The stage that hands out what a study chose, with a data card and metadata."""

from __future__ import annotations

from pathlib import Path

from codsa.io.artifacts import folder_output, new_folder
from codsa.io.files import atomic_write
from codsa.io.manifests import write_manifest
from codsa.io.names import EXPORT, MANIFEST
from codsa.io.records import write_json
from codsa.settings.export import ExportOptions
from codsa.stages.chosen import ChosenFit
from codsa.stages.chosen_rows import ExportedRows, exported_rows
from codsa.stages.croissant import croissant
from codsa.stages.export_card import card
from codsa.stages.export_files import check_format, write_rows

CARD, CROISSANT = "README.md", "croissant.json"


def export(folder: Path, fit: ChosenFit, options: ExportOptions) -> ExportedRows:
    """Write the rows, a data card (README.md), Croissant metadata (croissant.json) and a manifest into a new folder.

    Parameters
    ----------
    folder : Path
    fit : ChosenFit
    options : ExportOptions

    Raises
    ------
    CodsaError
        As `exported_rows`; for a format that the rows do not admit; where the folder holds something else.
    """
    folder_output(folder, EXPORT)
    check_format(options.format, fit.dataset.schema.modelled)
    rows = exported_rows(fit, options.what)
    with new_folder(folder, EXPORT) as staged:
        files = write_rows(staged, rows.frame, rows.columns, options.format)
        with atomic_write(staged / CARD) as part:
            part.write_text(card(fit, rows, files, options), encoding="utf-8")
        write_json(staged / CROISSANT, croissant(staged, fit, rows, files, options))
        inputs = {"dataset": fit.dataset.digest, **fit.inputs}
        inputs |= {f"pool {k}": pool.digest for k, pool in enumerate(rows.pools)}
        facts = {"fit": fit.facts, "rows": len(rows.frame), "real": rows.real, "synthetic": rows.synthetic}
        write_manifest(staged / MANIFEST, EXPORT, inputs, options.model_dump(), **facts)
    return rows
