"""The stage that writes the rows that a study's chosen estimator was fitted on, or the synthetic ones alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from codsa.data.rows import in_memory
from codsa.data.split import TRAIN, role_sizes, training_schema
from codsa.errors import CodsaError
from codsa.export.card import card
from codsa.export.croissant import croissant
from codsa.export.formats import left_out, write_rows, written
from codsa.export.rows import SYNTHETIC, ExportedRows, Provenance, day_columns, exported
from codsa.generators.base import resamples
from codsa.io.artifacts import new_folder
from codsa.io.manifests import versions, write_manifest
from codsa.io.names import EXPORT, MANIFEST
from codsa.io.records import write_json
from codsa.settings.grid import Grid
from codsa.stages.chosen import StudyChoice
from codsa.stages.fit import TrainingSets, fit_folds_of

CARD, METADATA = "README.md", "croissant.json"


def chosen_rows(choice: StudyChoice, what: str) -> tuple[ExportedRows, str | None]:
    """Return the rows on which the chosen estimator was fitted, or the synthetic ones of them.

    Parameters
    ----------
    what : {'augmented', 'synthetic'}

    Returns
    -------
    rows : ExportedRows
    generator : str, optional
        The name of the generator; None where there are no synthetic rows.

    Raises
    ------
    CodsaError
        For the synthetic rows of a choice that has none.
    """
    if what == SYNTHETIC and not choice.choice.row["m"]:
        raise CodsaError(
            f"method '{choice.record.method}', replicate {choice.record.replicate}: validation rows chose "
            f"{choice.summary}; give --what augmented, or a method that adds rows"
        )
    pools = choice.pools()
    parameters = choice.choice.fits.record.parameters
    grid = Grid.read({key: value for key, value in parameters.items() if key in Grid.model_fields}, "grid")
    dataset, split = choice.dataset, choice.split
    folds = fit_folds_of(dataset, split, pools, r=float(choice.choice.row["r"]), grid=grid)
    schema = training_schema(dataset, split)
    sets = TrainingSets(dataset, split, schema, grid, bool(parameters.get("weighted")))
    place = choice.choice.facts.point
    tables = [sets.table(fold.points[place], fold) for fold in folds]
    if [len(table.rows) - table.real for table in tables] != [int(choice.choice.row["m"])] * len(tables):
        raise CodsaError(f"{choice.choice.fits.folder}: its grid is not that of its manifest; run codsa-fit again")
    parts = [(table.rows, table.real, table.weight, table.region) for table in tables]
    days = day_columns(sets.training, schema)
    return exported(parts, schema, what, days), pools[0].generator if pools else None


def provenance(
    choice: StudyChoice, study: Path, rows: ExportedRows, generator: str | None, what: str, licence: str, url: str
) -> Provenance:
    """Return where exported rows come from, and how good they are."""
    sizes = {role: sum(by_region.values()) for role, by_region in role_sizes(choice.split.frame).items()}
    own, fits = choice.record.chosen, "/".join(choice.choice.fits.folder.parts[-2:])
    compared = generator is not None and (own.fits, own.point) == (fits, choice.choice.facts.point)
    kept = {column.name for column in rows.columns}
    names = [column.name for column in choice.dataset.schema.columns if column.name not in kept]
    return Provenance(
        study=study.resolve().name,
        method=choice.record.method,
        summary=choice.summary,
        replicate=choice.record.replicate,
        seed=choice.record.seed,
        estimator=choice.choice.label,
        column=choice.choice.column,
        what=what,
        generator=generator,
        resamples=generator is not None and resamples(generator),
        source=choice.record.source,
        held_back={role: count for role, count in sizes.items() if role != TRAIN},
        copies=copies_of(choice, rows),
        fidelity=choice.record.diagnostics if compared else {},
        notes=[f"column '{name}' of the table is not modelled, and not here" for name in names],
        licence=licence,
        url=url,
        versions=versions(),
    )


def copies_of(choice: StudyChoice, rows: ExportedRows) -> int:
    """Return how many synthetic rows equal a training row in every column."""
    names = [c.name for c in rows.columns]
    training = in_memory(choice.dataset.part(choice.split.rows(TRAIN)))[names]
    known = set(pd.util.hash_pandas_object(training, index=False))
    synthetic = rows.frame.loc[rows.synthetic, names]
    return int(pd.util.hash_pandas_object(synthetic, index=False).isin(known).sum()) if len(synthetic) else 0


def write_export(out: Path, choice: StudyChoice, rows: ExportedRows, origin: Provenance, kind: str) -> None:
    """Write the rows, a data card and Croissant metadata into a folder of their own.

    Parameters
    ----------
    kind : str
        One of `codsa.export.formats.FORMATS`.
    """
    kept = written(rows, kind)
    origin.notes.extend(left_out(rows, kept))
    inputs = {"evaluation": choice.manifest.digest, "fits": choice.choice.fits.record.digest}
    parameters = {"method": origin.method, "replicate": origin.replicate, "what": origin.what, "format": kind}
    with new_folder(out, EXPORT) as staged:
        files = write_rows(staged, kept, kind)
        names = [path.relative_to(staged).as_posix() for path in files]
        text = card(kept, origin, names, choice.dataset.schema.task, header=kind == "huggingface")
        (staged / CARD).write_text(text, encoding="utf-8")
        about = f"Training rows of the study {origin.study}, by {origin.method}: {origin.summary}. See {CARD}."
        write_json(staged / METADATA, croissant(staged, kept, origin, files[0], about))
        write_manifest(staged / MANIFEST, EXPORT, inputs, parameters)
