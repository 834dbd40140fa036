"""Tables of the page on figures: methods, estimators, the ladder, and λ̂."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from codsa.evidence.judgement import Comparison, compare, share_of_way
from codsa.evidence.ladder import RUNGS, Ladder
from codsa.evidence.records import ChosenRecord
from codsa.evidence.statistics import Estimate
from codsa.evidence.studies import CONTROL_AUTO, StudyResults
from codsa.evidence.verdict import Verdict
from codsa.evidence.wording import (
    DASH,
    arrow,
    counted,
    decimals_of,
    enough,
    listed,
    method_name,
    metric_name,
    number,
    percent,
)
from codsa.report.cells import (
    Cell,
    Table,
    difference_cell,
    header,
    interval_text,
    mean_cell,
    name_cell,
    study_decimals,
)

KIND_NAMES = {"primary": "primary", "codsa": "exploratory", "control": "control", "oracle": "oracle"}


def main_table(study: StudyResults, verdict: Verdict) -> Table:
    """Return methods × figures: raw and recalibrated under Q, regions, and the primary arm's differences to each."""
    decimals = study_decimals(study, study.metric)
    primary, comparisons = verdict.primary, comparisons_of(study, verdict)
    rows = []
    for method in study.methods:
        cells = [name_cell(method), Cell(KIND_NAMES[study.kind(method)])]
        cells += [mean_cell(study.values(method, column=column), decimals) for column in study.columns[::-1]]
        cells += [mean_cell(study.values(method, region), decimals) for region in study.regions]
        if primary is not None:
            cells += _difference_cells(comparisons.get(method), verdict, decimals)
        if study.oracle is not None:
            cells.append(Cell(percent(share_of_way(study.metric, study.overall(), method, study.oracle))))
        rows.append([*cells, Cell(budget_text(study.chosen(method).values()))])
    heads = [Cell("Method"), Cell("Kind"), *(Cell("Under Q", column) for column in study.columns[::-1])]
    heads += [Cell(region, study.column) for region in study.regions]
    interval = "with 95 % CI" if len(study.replicates) > 1 else "with 95 % over test rows"
    heads += [Cell(f"{method_name(primary)} less this", interval), Cell("p", "Holm")] if primary is not None else []
    heads += [Cell("Way to the oracle")] if study.oracle is not None else []
    marked = study.methods.index(primary) if primary is not None else None
    return Table([*heads, Cell("Estimators × steps")], rows, groups=_first_of_kinds(study), marked=marked)


def _first_of_kinds(study: StudyResults) -> set[int]:
    kinds = [study.kind(method) for method in study.methods]
    return {place for place in range(1, len(kinds)) if kinds[place] != kinds[place - 1]}


def comparisons_of(study: StudyResults, verdict: Verdict) -> dict[str, Comparison]:
    """Return the primary arm's comparisons with every other method; outside the family without adjustment."""
    judgement = verdict.judgement
    if judgement is None:
        return {}
    values, primary = study.overall(), judgement.primary
    found = {
        name: compare(study.metric, values, primary, name, study.ratio) for name in study.methods if name != primary
    }
    others = {name: comparison for name, comparison in found.items() if comparison is not None}
    return others | judgement.family


def _difference_cells(comparison: Comparison | None, verdict: Verdict, decimals: int) -> list[Cell]:
    """Return the cells of a difference and of its adjusted p-value; outside the family no p-value, and no colour."""
    family = verdict.judgement.family if verdict.judgement is not None else {}
    cell = difference_cell(comparison, decimals)
    if comparison is None or comparison.other not in family:
        return [Cell(cell.text, cell.small), Cell(DASH)]
    return [cell, Cell(p_text(comparison.adjusted) if len(comparison.each) > 1 else DASH)]


def p_text(p: float) -> str:
    """Write a p-value: three decimals, or that it is smaller than 0.001."""
    return "<0.001" if p < 0.0005 else number(p, 3)


def budget_text(chosen: Iterable[ChosenRecord]) -> str:
    """Write the averaged fits and their gradient steps over replicates: '5 × 1,200', '1–5 × 400', '5' without steps."""
    points = list(chosen)
    steps = [point.steps for point in points if point.steps is not None]
    members = _span([point.members for point in points])
    return f"{members} × {_span(steps)}" if steps else members


def _span(counts: list[int]) -> str:
    if not counts:
        return DASH
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def other_metrics(study: StudyResults) -> Table | None:
    """Return the other test metrics under Q, in the column that the verdict is about; None where there is none."""
    names = study.other_metrics
    if not names:
        return None
    rows = [
        [name_cell(m), *(mean_cell(study.values(m, metric=n), study_decimals(study, n)) for n in names)]
        for m in study.methods
    ]
    return Table(header(["Method", *(f"{metric_name(n)} {arrow(n)}" for n in names)]), rows)


def estimators_table(study: StudyResults) -> Table | None:
    """Return methods × estimators under Q, recalibrated where there is that; None with one estimator."""
    labels = study.estimators
    if len(labels) < 2:
        return None
    rows = []
    for method in study.methods:
        values = [study.values(method, estimator=label) for label in labels]
        rows.append([name_cell(method), *(mean_cell(part, study_decimals(study, study.metric)) for part in values)])
    return Table([Cell("Method"), Cell(labels[0], "the study’s own"), *header(labels[1:])], rows)


def ladder_table(steps: Ladder, ranking: Ladder | None) -> Table:
    """Return the rungs: where their figures come from, the figures, and what each gains; the same for the ranking."""
    decimals = enough(decimals_of(rung.mean for rung in steps.rungs), steps.total.mean)
    ranked = {rung.key: rung for rung in ranking.rungs} if ranking is not None else {}
    rows = []
    for rung in steps.rungs:
        cells = [Cell(_capital(RUNGS[rung.key])), Cell(rung.source), Cell(number(rung.mean, decimals))]
        cells.append(_gain_cell(rung.gain, decimals))
        if ranking is not None:
            other = ranked.get(rung.key)
            cells += [Cell(DASH)] * 2 if other is None else [Cell(number(other.mean, 3)), _gain_cell(other.gain, 3)]
        rows.append(cells)
    total = [Cell("All rungs"), Cell(""), Cell(""), _gain_cell(steps.total, decimals)]
    total += [Cell(""), _gain_cell(ranking.total, 3)] if ranking is not None else []
    heads = [Cell("Rung"), Cell("Figures of"), Cell(f"{metric_name(steps.metric)} {arrow(steps.metric)}")]
    heads.append(Cell("Gain", "with 95 % CI"))
    if ranking is not None:
        heads += [Cell(f"{metric_name(ranking.metric)} {arrow(ranking.metric)}"), Cell("Gain", "with 95 % CI")]
    return Table(heads, [*rows, total], groups={len(rows)})


def _gain_cell(gain: Estimate | None, decimals: int) -> Cell:
    if gain is None:
        return Cell(DASH)
    tone = "good" if gain.low > 0 else "bad" if gain.high < 0 else ""
    return Cell(number(gain.mean, decimals, signed=True), interval_text(gain.low, gain.high, decimals), tone)


def left_out_note(steps: Ladder) -> str:
    """Say which rungs are left out, and why; an empty text where none is."""
    return "; ".join(f"{RUNGS[key]}: {why}" for key, why in steps.left_out.items())


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def arms_of(study: StudyResults) -> list[str]:
    """Return the arms whose λ̂ the page shows: CoDSA's, and the control that chooses."""
    return [name for name in study.methods if study.kind(name) in ("primary", "codsa") or name == CONTROL_AUTO]


def chosen_table(study: StudyResults, method: str) -> Table:
    """Return λ̂ of every replicate, in the column that the verdict is about, and its validation metric."""
    choices = study.choices(method)
    figures = study.validations(method).reindex(list(choices))
    decimals = decimals_of(figures.dropna())
    lines: list[tuple[str, Callable[[ChosenRecord], str]]] = [
        ("r", lambda point: f"{point.r:g}"),
        ("m/n", lambda point: f"{point.m_ratio:g}"),
        ("α", lambda point: DASH if point.m == 0 else point.alpha),
    ]
    if any(choice.chosen.pool_weight != 1.0 for choice in choices.values()):
        lines.append(("Weight of a synthetic row", lambda point: DASH if point.m == 0 else f"{point.pool_weight:g}"))
    rows = [[Cell(name), *(Cell(text_of(choice.chosen)) for choice in choices.values())] for name, text_of in lines]
    if study.chooses(method):
        rows.insert(0, [Cell("Method"), *(Cell(choice.method) for choice in choices.values())])
    rows.append([Cell("Validation " + metric_name(study.choose_by)), *(Cell(number(v, decimals)) for v in figures)])
    return Table([Cell("Replicate"), *(Cell(str(replicate)) for replicate in choices)], rows)


def choice_note(study: StudyResults, method: str) -> str:
    """Say how often each candidate of a choosing arm was chosen; an empty text for other arms."""
    if not study.chooses(method):
        return ""
    choices = study.choices(method)
    counts = Counter(choice.method for choice in choices.values())
    shown = listed(f"{name} in {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return f"Validation chose {shown} of {counted(len(choices), 'replicate')}."


def clipped_note(study: StudyResults, method: str) -> str:
    """Say in how many replicates Eq. (5) was clipped at λ̂; an empty text where in none."""
    choices = study.choices(method)
    clipped = sum(not choice.chosen.exact for choice in choices.values())
    if not clipped:
        return ""
    return (
        f"In {clipped} of {counted(len(choices), 'replicate')} Eq. (5) gives a region a negative share at λ̂; it was "
        f"clipped at 0, so the augmented sample does not follow the target law exactly."
    )


def edge_note(study: StudyResults, method: str) -> str:
    """Return a sentence where most λ̂ lie at the largest m of the grid; otherwise an empty text."""
    chosen, results = study.chosen(method), study.of(method)
    largest = max(float(result.fits["m_ratio"].max()) for result in results)
    ratios = {ratio for result in results for ratio in result.fits["m_ratio"] if ratio > 0}
    at_edge = sum(point.m_ratio == largest for point in chosen.values())
    if len(ratios) < 2 or 2 * at_edge <= len(chosen):
        return ""
    return (
        f"In {at_edge} of {counted(len(chosen), 'replicate')} λ̂ has the most synthetic rows that were tried "
        f"(m/n = {largest:g}); more may be better still."
    )


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
