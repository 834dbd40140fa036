"""The page: one self-contained HTML file with the tables and figures of a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

from matplotlib.figure import Figure

from codsa.evidence.judgement import Within
from codsa.evidence.ladder import Ladder, sentence
from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.evidence.verdict import Verdict
from codsa.evidence.wording import arrow, better_word, counted, method_name, metric_name
from codsa.report import facts, quality, tables
from codsa.report.cells import Table
from codsa.report.drawing import png_bytes, style, svg_uri
from codsa.report.figures import MAX_COLUMNS, differences_figure, marginals_figure, richest_region
from codsa.report.panels import panels_figure
from codsa.report.stairs import ladder_figure
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


@dataclass(frozen=True)
class Findings:
    """What a page says of a study.

    Attributes
    ----------
    steps : Ladder, optional
        Where the gain comes from, by the study's metric.
    ranking : Ladder, optional
        The same by ROC AUC.
    within : mapping
        The primary arm's differences within each replicate, with bootstrap standard errors.
    """

    verdict: Verdict
    steps: Ladder | None = None
    ranking: Ladder | None = None
    within: Within | None = None


def render(study: StudyResults, findings: Findings, pictures: list[Picture], title: str) -> str:
    """Return the page as HTML; all text from the data is escaped."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("codsa.report").joinpath("template.html").read_text(encoding="utf-8")
    verdict = findings.verdict
    text = page.from_string(source).render(
        title=title,
        study=study,
        verdict=verdict,
        figures={picture.name: picture for picture in pictures},
        facts=_facts(study),
        remarks=tables.pairing_notes(study),
        notes=_notes(study),
        metric=metric_name(study.metric),
        chooser=metric_name(study.choose_by),
        arrow=arrow(study.metric),
        better=better_word(study.metric),
        primary=method_name(verdict.primary) if verdict.primary else "",
        several=len(study.replicates) > 1,
        recalibrated=len(study.columns) > 1,
        main=tables.main_table(study, verdict),
        others=tables.other_metrics(study),
        estimators=tables.estimators_table(study),
        ladder=_ladder(findings),
        chosen=[_arm(study, method) for method in tables.arms_of(study)],
        quality=quality.quality_table(study),
        arrays=quality.arrays_table(study),
        texts=quality.texts_table(study),
        examples=list(_examples(study)),
        panels=[(method_name(method), f"images-{_file_name(method)}") for method in study.methods],
        indices=quality.index_table(study),
        marginals=_marginals_of(study),
        sizes=facts.sizes_table(study),
        settings=facts.settings_table(study),
        versions=facts.versions_table(study),
    )
    return text.lstrip() + "\n"


def _facts(study: StudyResults) -> list[tuple[str, str]]:
    records = [result.record for result in study.evaluations]
    seeds = sorted({str(record.seed) for record in records if record.seed is not None})
    shown = [("Experiment", study.experiment), ("Task", records[0].task), ("Estimator", study.estimators[0])]
    shown += [("Chosen by", metric_name(study.choose_by)), ("Methods", str(len(study.methods)))]
    shown += [("Replicates", str(len(study.replicates))), ("Seed", ", ".join(seeds))]
    return [(name, text) for name, text in shown if text]


def _ladder(findings: Findings) -> dict[str, Any] | None:
    if findings.steps is None:
        return None
    return {
        "sentence": sentence(findings.steps),
        "table": tables.ladder_table(findings.steps, findings.ranking),
        "left_out": tables.left_out_note(findings.steps),
        "ranking": findings.ranking is not None,
        "replicates": counted(len(findings.steps.replicates), "replicate"),
    }


def _arm(study: StudyResults, method: str) -> dict[str, Any]:
    notes = (tables.choice_note(study, method), tables.clipped_note(study, method), tables.edge_note(study, method))
    return {
        "name": method_name(method),
        "picture": f"surface-{_file_name(method)}",
        "table": tables.chosen_table(study, method),
        "notes": [note for note in notes if note],
    }


def _notes(study: StudyResults) -> list[str]:
    notes = dict.fromkeys(note for result in study.evaluations for note in result.record.notes)
    sizes = [result.record.sizes for result in study.evaluations]
    differ = any(size != sizes[0] for size in sizes)
    size_note = f"Sizes differ between replicates; those of replicate {study.first.replicate} are shown."
    return [*notes, size_note] if differ else list(notes)


def _with_marginals(study: StudyResults) -> tuple[EvaluationResults, str] | None:
    """Return the first replicate of the primary arm that has marginals, else of another one, and its richest region."""
    arms = [*([study.primary] if study.primary else []), *study.kinds("codsa")]
    for result in (result for method in arms for result in study.of(method)):
        region = richest_region(result.record)
        if region is not None:
            return result, region
    return None


def _marginals_of(study: StudyResults) -> dict[str, Any] | None:
    shown = _with_marginals(study)
    if shown is None:
        return None
    result, region = shown
    total = len(result.record.marginals[region])
    return {
        "method": method_name(result.method),
        "replicate": result.replicate,
        "region": region,
        "left_out": counted(total - MAX_COLUMNS, "more column") if total > MAX_COLUMNS else "",
    }


def pictures_of(study: StudyResults, findings: Findings) -> list[Picture]:
    """Draw every figure of the page, in its order."""
    with style():
        return list(_pictures(study, findings))


def _pictures(study: StudyResults, findings: Findings) -> Iterator[Picture]:
    under = f"{metric_name(study.metric)} under Q"
    figure = differences_figure(study, findings.verdict, findings.within or {})
    yield from _picture(figure, "differences", f"Paired differences in {under} per method, with 95 % intervals")
    if findings.steps is not None:
        alt = f"From the plain model to CoDSA in {under}, rung by rung, with 95 % intervals"
        yield from _picture(ladder_figure(findings.steps, findings.ranking), "ladder", alt)
    for method in tables.arms_of(study):
        alt = f"Validation {metric_name(study.choose_by)} over m/n and α for each r, {method_name(method)}"
        yield from _picture(surface_figure(study, method), f"surface-{_file_name(method)}", alt)
    yield from _picture(sweep_figure(study), "grid-on-test", f"Mean test {under} over m/n, α and r")
    shown = _with_marginals(study)
    if shown is not None:
        result, region = shown
        figure = marginals_figure(result.record.marginals[region])
        yield from _picture(figure, "marginals", f"Real and synthetic marginals in region {region}")
    yield from _panels(study)


def _examples(study: StudyResults) -> Iterator[tuple[str, Table]]:
    """Yield the table of example texts of each method's first replicate that has texts."""
    for method in study.methods:
        table = next(filter(None, map(quality.examples_table, study.of(method))), None)
        if table is not None:
            yield method_name(method), table


def _panels(study: StudyResults) -> Iterator[Picture]:
    """Yield the images of each method's first replicate that has images."""
    for method in study.methods:
        panels = next(filter(None, (result.record.panels for result in study.of(method))), None)
        if panels is not None:
            alt = f"Real and generated images by region, {method_name(method)}"
            yield from _picture(panels_figure(panels), f"images-{_file_name(method)}", alt)


def _picture(figure: Figure | None, name: str, alt: str) -> Iterator[Picture]:
    if figure is not None:
        yield Picture(name, png_bytes(figure), svg_uri(figure), alt=alt, width=round(96 * figure.get_figwidth()))


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in method)
