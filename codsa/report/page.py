"""The page: one self-contained HTML file with the tables and figures of a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from matplotlib.figure import Figure

from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.verdict import PLAIN, Verdict
from codsa.evidence.wording import arrow, better_word, counted, listed, method_name, metric_name
from codsa.report import tables
from codsa.report.drawing import png_bytes, style, svg_uri
from codsa.report.figures import MAX_COLUMNS, differences_figure, marginals_figure, richest_region
from codsa.report.panels import first_panels, panels_figure
from codsa.report.surfaces import surface_figure, sweep_figure


@dataclass(frozen=True)
class Picture:
    """One figure: its file name and PNG, and for the page its SVG as a data URI and its alternative text."""

    name: str
    png: bytes
    uri: str
    alt: str
    width: int
    """In CSS pixels, 96 to the inch."""


def render(study: StudyResults, verdict: Verdict, pictures: list[Picture], title: str) -> str:
    """Return the page as HTML; all text from the data is escaped."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("codsa.report").joinpath("template.html").read_text(encoding="utf-8")
    text = page.from_string(source).render(
        title=title,
        study=study,
        verdict=verdict,
        figures={picture.name: picture for picture in pictures},
        facts=_facts(study),
        remarks=pairing_notes(study),
        notes=_notes(study),
        metric=metric_name(study.metric),
        chooser=metric_name(study.choose_by),
        arrow=arrow(study.metric),
        better=better_word(study.metric),
        plain=PLAIN,
        several=len(study.replicates) > 1,
        main=tables.main_table(study, verdict),
        others=tables.other_metrics(study),
        chosen=[
            (
                method,
                method_name(method),
                f"surface-{_file_name(method)}",
                tables.chosen_table(study, method),
                tables.edge_note(study, method),
            )
            for method in tables.codsa_methods(study)
        ],
        quality=tables.quality_table(study),
        arrays=tables.arrays_table(study),
        texts=tables.texts_table(study),
        examples=list(_examples(study)),
        panels=[(method_name(method), f"images-{_file_name(method)}") for method in study.methods],
        indices=tables.index_table(study),
        marginals=_marginals_of(study, verdict),
        sizes=tables.sizes_table(study),
        settings=tables.settings_table(study),
        versions=tables.versions_table(study),
    )
    return text.lstrip() + "\n"


def _facts(study: StudyResults) -> list[tuple[str, str]]:
    seeds = sorted({str(result.metrics["seed"]) for result in study.evaluations if "seed" in result.metrics})
    task = str(study.first.metrics.get("task", ""))
    facts = [("Experiment", study.experiment), ("Task", task), ("Chosen by", metric_name(study.choose_by))]
    facts += [("Methods", str(len(study.methods))), ("Replicates", str(len(study.replicates)))]
    facts += [("Seed", ", ".join(seeds))]
    return [(name, text) for name, text in facts if text]


def pairing_notes(study: StudyResults) -> list[str]:
    """Say which methods lack replicates, and which replicates have no figure under Q."""
    notes = []
    for method, values in study.overall().items():
        lacking = [str(k) for k in study.replicates if k not in values.index]
        undefined = [str(k) for k in values.index[values.isna()]]
        if lacking:
            notes.append(f"{method_name(method)} has no replicate {listed(lacking)}")
        if undefined:
            notes.append(f"{method_name(method)} has no figure under Q in replicate {listed(undefined)}")
    if notes:
        notes.append(
            "differences are paired on the replicates that both methods have; means are over each method’s own"
        )
    return notes


def _notes(study: StudyResults) -> list[str]:
    notes = dict.fromkeys(str(note) for result in study.evaluations for note in result.metrics.get("notes") or [])
    sizes = [result.metrics["sizes"] for result in study.evaluations]
    differ = any(size != sizes[0] for size in sizes)
    size_note = f"Sizes differ between replicates; those of replicate {study.first.replicate} are shown."
    return [*notes, size_note] if differ else list(notes)


def _with_marginals(study: StudyResults, verdict: Verdict) -> tuple[EvaluationResults, str] | None:
    """Return the first replicate of the best CoDSA method that has marginals, and its richest region."""
    for result in study.of(verdict.best) if verdict.best else []:
        region = richest_region(result.metrics)
        if region is not None:
            return result, region
    return None


def _marginals_of(study: StudyResults, verdict: Verdict) -> dict[str, Any] | None:
    shown = _with_marginals(study, verdict)
    if shown is None:
        return None
    result, region = shown
    total = len(result.metrics["marginals"][region])
    return {
        "method": method_name(result.method),
        "replicate": result.replicate,
        "region": region,
        "left_out": counted(total - MAX_COLUMNS, "more column") if total > MAX_COLUMNS else "",
    }


def pictures_of(study: StudyResults, verdict: Verdict) -> list[Picture]:
    """Draw every figure of the page, in its order."""
    with style():
        return list(_pictures(study, verdict))


def _pictures(study: StudyResults, verdict: Verdict) -> Iterator[Picture]:
    under = f"{metric_name(study.metric)} under Q"
    figure = differences_figure(study, verdict)
    yield from _picture(figure, "differences", f"Paired differences in {under} per method, with 95 % intervals")
    for method in tables.codsa_methods(study):
        alt = f"Validation {metric_name(study.choose_by)} over m/n and α for each r, {method_name(method)}"
        yield from _picture(surface_figure(study, method), f"surface-{_file_name(method)}", alt)
    yield from _picture(sweep_figure(study), "grid-on-test", f"Mean test {under} over m/n, α and r")
    shown = _with_marginals(study, verdict)
    if shown is not None:
        result, region = shown
        figure = marginals_figure(result.metrics["marginals"][region])
        yield from _picture(figure, "marginals", f"Real and synthetic marginals in region {region}")
    yield from _panels(study)


def _examples(study: StudyResults) -> Iterator[tuple[str, tables.Table]]:
    """Yield the table of example texts of each method's first replicate that has texts."""
    for method in study.methods:
        table = next(filter(None, map(tables.examples_table, study.of(method))), None)
        if table is not None:
            yield method_name(method), table


def _panels(study: StudyResults) -> Iterator[Picture]:
    """Yield the images of each method's first replicate that has images."""
    for method in study.methods:
        panels = next(filter(None, (first_panels(result.metrics) for result in study.of(method))), None)
        if panels is not None:
            alt = f"Real and generated images by region, {method_name(method)}"
            yield from _picture(panels_figure(panels), f"images-{_file_name(method)}", alt)


def _picture(figure: Figure | None, name: str, alt: str) -> Iterator[Picture]:
    if figure is not None:
        yield Picture(name, png_bytes(figure), svg_uri(figure), alt=alt, width=round(96 * figure.get_figwidth()))


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in method)
