"""The verdict: whether the primary arm helped, by how much, and whether something simpler does as well."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from codsa.data.metrics import RAW, RECALIBRATED
from codsa.evidence.judgement import BAND, Comparison, Judgement, VerdictKind, Within, judge, share_of_way
from codsa.evidence.studies import CONTROL_AUTO, PLAIN, StudyResults
from codsa.evidence.wording import counted, decimals_of, enough, listed, metric_name, named, number, percent

KIND_WORDS = {
    "better": "clearly better than the plain model and every control",
    "same": "practically the same as the control",
    "worse": "clearly worse than a control",
    "open": "undecided",
}


@dataclass(frozen=True)
class Verdict:
    """What the study says about its primary arm.

    Attributes
    ----------
    kind : {'better', 'same', 'worse', 'open'}
    headline : str
        The first line of the report.
    details : list of str
        Further sentences under the headline.
    statistics : str
        Which statistics were used; empty where nothing was judged.
    judgement : Judgement, optional
        Of the study's own estimator and of the column that the verdict is about; None where there is no primary arm.
    """

    kind: VerdictKind
    headline: str
    details: list[str] = field(default_factory=list)
    statistics: str = ""
    judgement: Judgement | None = None

    @property
    def primary(self) -> str | None:
        """The arm that the verdict is about."""
        return None if self.judgement is None else self.judgement.primary

    @property
    def reference(self) -> str | None:
        """The control to which the primary arm is held."""
        return None if self.judgement is None else self.judgement.reference


def verdict_of(study: StudyResults, within: Within | None = None) -> Verdict:
    """Return the verdict on the primary arm.

    The study's own estimator decides, by its recalibrated figures where there are any; the other column and the other
    estimators are details.

    Parameters
    ----------
    within : mapping, optional
        Bootstrap estimates within replicates; a study of one replicate takes its intervals from them.
    """
    primary = study.primary
    if primary is None:
        return Verdict("open", _nothing_to_judge(study))
    judgement = judge(study, primary, within=within)
    if not judgement.family:
        line = f"No control shares a replicate with {named(primary)}, so there is nothing to hold it to."
        return Verdict("open", line, _standing(study, judgement), judgement=judgement)
    details = [*_further(judgement), *_standing(study, judgement), *_other_judgements(study, primary)]
    return Verdict(judgement.kind, _headline(judgement), details, _statistics(study, judgement), judgement)


def _nothing_to_judge(study: StudyResults) -> str:
    arms = study.kinds("codsa")
    if not arms:
        return "No CoDSA method was evaluated, so there is nothing to judge."
    return (
        f"No primary arm was named among {listed(map(named, arms))}, so there is no verdict; name one before the run."
    )


def _headline(judgement: Judgement) -> str:
    write = {"better": _better, "worse": _worse, "same": _same, "open": _open}
    return write[judgement.kind](judgement) if judgement.replicates > 1 else _one_replicate(judgement)


def _better(judgement: Judgement) -> str:
    arm = named(judgement.primary)
    shown = [judgement.family[name] for name in dict.fromkeys((PLAIN, judgement.reference)) if name in judgement.family]
    moves = " and by ".join(f"{_by(c, relative=c is shown[0])} against {_whom(c.other)}" for c in shown)
    verb = "raises" if shown[0].mean > 0 else "lowers"
    alone = set(judgement.family) == {PLAIN}
    against = "the plain model; no control was run to hold it to" if alone else "the plain model and every control"
    return f"{arm} is clearly better than {against}: it {verb} {metric_name(shown[0].metric)} under Q by {moves}."


def _worse(judgement: Judgement) -> str:
    ahead = judgement.of(-1)
    first = judgement.reference if judgement.reference in ahead else ahead[0]
    comparison = judgement.family[str(first)]
    start = f"{_capital(_whom(str(first)))} is clearly better than {named(judgement.primary)}"
    small = ", for practical purposes none" if comparison.estimate.within(judgement.band) else ""
    return f"{start}: {_pair(comparison, judgement.primary)}{small}."


def _same(judgement: Judgement) -> str:
    comparison = judgement.family[str(judgement.reference)]
    decimals = enough(_decimals(comparison), judgement.band)
    whose = "the plain model’s" if PLAIN in judgement.family else "its"
    if not any(comparison.each.values()):
        figure = f"{metric_name(comparison.metric)} under Q is {number(comparison.mean_a, decimals)} with both"
        return f"{named(judgement.primary)} does exactly the same as {_whom(comparison.other)}: {figure}."
    return (
        f"{named(judgement.primary)} does the same as {_whom(comparison.other)}, for practical purposes: "
        f"{_pair(comparison, judgement.primary)}, within ±{number(judgement.band, decimals)}, "
        f"{100 * BAND:g} % of {whose} figure."
    )


def _open(judgement: Judgement) -> str:
    arm, family = named(judgement.primary), judgement.family
    comparison = family[judgement.reference] if judgement.reference in family else next(iter(family.values()))
    ahead = PLAIN in judgement.of(1) and comparison.other != PLAIN
    over = "is clearly better than the plain model, but not than every control" if ahead else "is not clearly better"
    start = f"{arm} {over}" if ahead else f"{arm} {over} than {_whom(comparison.other)}, nor clearly worse or the same"
    return f"{start}: {_pair(comparison, judgement.primary)}."


def _one_replicate(judgement: Judgement) -> str:
    """Return the figures of one replicate; it tells nothing of how results vary between splits."""
    family = judgement.family
    shown = [family[name] for name in dict.fromkeys((PLAIN, judgement.reference)) if name in family]
    shown = shown or list(family.values())[:1]
    decimals = max(map(_decimals, shown))
    figures = [f"{number(c.mean_b, decimals)} with {_whom(c.other)}{_aside(c)}" for c in shown]
    own = f"{number(shown[0].mean_a, decimals)} with {named(judgement.primary)}"
    start = "One replicate cannot show how results vary between splits, so nothing is concluded"
    return f"{start}: {metric_name(shown[0].metric)} under Q is {own}, {listed(figures)}."


def _aside(comparison: Comparison) -> str:
    return f" (difference {_signed(comparison)}{_interval(comparison, ', 95 % over test rows ')})"


def _further(judgement: Judgement) -> list[str]:
    """Say which members of the family the primary arm is clearly better or worse than, beside the headline's."""
    if judgement.kind == "better" or judgement.replicates < 2:
        return []
    better, worse = judgement.of(1), judgement.of(-1)
    unclear = [name for name in judgement.family if name not in (*better, *worse)]
    if not better and not worse:
        return [f"{named(judgement.primary)} is neither clearly better nor clearly worse than any control."]
    parts = [
        f"clearly better than {listed(map(_whom, better))}" if better else "",
        f"clearly worse than {listed(map(_whom, worse))}" if worse else "",
        f"neither of these than {listed(map(_whom, unclear))}" if unclear else "",
    ]
    return [f"{named(judgement.primary)} is {'; '.join(filter(None, parts))}."]


def _standing(study: StudyResults, judgement: Judgement) -> list[str]:
    """Say what else the reader must know of the arms: who was named, who is exploratory, who is missing."""
    lines = []
    if not study.kinds("primary"):
        lines.append(f"No primary arm was named; {named(judgement.primary)} is the only CoDSA arm.")
    others = [name for name in study.kinds("codsa") if name != judgement.primary]
    if others:
        lines.append(f"Exploratory, without part in the verdict: {listed(map(named, others))}.")
    if judgement.lacking:
        lines.append(f"Without a common replicate, and so not compared: {listed(map(named, judgement.lacking))}.")
    way = share_of_way(study.metric, study.overall(), judgement.primary, study.oracle)
    if np.isfinite(way):
        far = "the way from the plain model to the oracle, whose pool are fresh true rows"
        lines.append(f"{named(judgement.primary)} goes {percent(way)} of {far}.")
    return lines


def _other_judgements(study: StudyResults, primary: str) -> list[str]:
    """Return a line for the other column, and one for each further estimator."""
    own = study.estimators[0]
    lines = []
    for label in study.estimators:
        for column in study.columns if label == own else study.columns[:1]:
            if (label, column) != (own, study.column):
                judgement = judge(study, primary, label, column)
                words = "As fitted, before recalibration" if column == RAW and label == own else f"With {label}"
                lines += [f"{words}: {_short(judgement)}."] if judgement.family else []
    return lines


def _short(judgement: Judgement) -> str:
    family = judgement.family
    comparison = family[judgement.reference] if judgement.reference in family else next(iter(family.values()))
    if judgement.kind == "worse" and comparison.clear != -1:
        comparison = family[judgement.of(-1)[0]]
    decimals = _decimals(comparison)
    figures = f"{number(comparison.mean_a, decimals)} against {number(comparison.mean_b, decimals)}"
    interval = _interval(comparison, " (95 % CI ", ")")
    words = f"{figures} with {_whom(comparison.other)}, a difference of {_signed(comparison)}{interval}"
    return f"{KIND_WORDS[judgement.kind]}: {words}"


def _statistics(study: StudyResults, judgement: Judgement) -> str:
    """Say which statistics the verdict rests on."""
    column = "recalibrated" if study.column == RECALIBRATED else "as fitted"
    figures = f"Figures under Q, {column}, with the study’s own estimator ({study.estimators[0]})."
    if judgement.replicates < 2:
        return f"{figures} The interval is of the one replicate, bootstrapped over its test rows within regions."
    band = number(judgement.band, enough(_decimals(next(iter(judgement.family.values()))), judgement.band))
    paired, family = counted(judgement.replicates, "replicate"), counted(len(judgement.family), "comparison")
    return (
        f"{figures} Differences are paired over {paired}; as these are re-splits of the same rows, the variance is "
        f"corrected (Nadeau and Bengio 2003, n_test/n_train = {study.ratio:.2f}). “Clearly” means a p-value of at most "
        f"0.05 after Holm’s adjustment for {family}. “The same” means that the 95 % interval lies within ±{band} "
        f"({100 * BAND:g} % of the plain model’s figure; two one-sided tests)."
    )


def _whom(method: str) -> str:
    if method == CONTROL_AUTO:
        return f"the control that validation chooses ({method})"
    return "the plain model" if method == PLAIN else named(method)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _pair(comparison: Comparison, primary: str) -> str:
    decimals = _decimals(comparison)
    b, a = number(comparison.mean_b, decimals), number(comparison.mean_a, decimals)
    return (
        f"{metric_name(comparison.metric)} under Q is {a} with {named(primary)} and {b} with {_whom(comparison.other)}"
        f", a difference of {_signed(comparison)}{_interval(comparison, ' (95 % CI ', ')')}"
    )


def _decimals(comparison: Comparison) -> int:
    return enough(decimals_of([comparison.mean_a, comparison.mean_b]), comparison.mean)


def _signed(comparison: Comparison) -> str:
    return number(comparison.mean, _decimals(comparison), signed=True)


def _interval(comparison: Comparison, before: str, after: str = "") -> str:
    low, high = comparison.estimate.low, comparison.estimate.high
    if not np.isfinite(low):
        return ""
    decimals = enough(_decimals(comparison), low, high)
    return f"{before}{number(low, decimals)} to {number(high, decimals)}{after}"


def _by(comparison: Comparison, relative: bool = False) -> str:
    """Write a gain as an amount: '0.12 (95 % CI 0.10 to 0.14; 21 %)'."""
    low, high = sorted((abs(comparison.estimate.low), abs(comparison.estimate.high)))
    decimals = enough(_decimals(comparison), comparison.mean, low)
    share = f"; {percent(abs(comparison.mean / comparison.mean_b))}" if relative and comparison.mean_b else ""
    interval = f"95 % CI {number(low, decimals)} to {number(high, decimals)}"
    return f"{number(abs(comparison.mean), decimals)} ({interval}{share})"
