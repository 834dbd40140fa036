"""Where the gain comes from: a ladder from the plain model to CoDSA, one ingredient a rung, paired by replicate.

1. plain: `none`, one fit, as fitted. 2. balance: `weighted` in its place. 3. calibration: its recalibrated figures.
4. averaging and steps: all of its averaged fits. 5. labels: real features with the label model's labels
(`relabelled`). 6. generated features: the CoDSA arm without a source set that validation chooses, replicate by
replicate. 7. source set: the same among all CoDSA arms. A rung whose method the study lacks is left out; so is one of
5 to 7 where validation adds nothing in any replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER, OVERALL, RAW, RECALIBRATED
from codsa.evidence.statistics import Estimate, corrected
from codsa.evidence.studies import PLAIN, WEIGHTED, StudyResults
from codsa.evidence.wording import counted, decimals_of, enough, listed, metric_name, number

RELABELLED = "relabelled"
RUNGS = {
    "plain": "plain model",
    "balance": "weights",
    "calibration": "calibration",
    "averaging": "averaging and steps",
    "labels": "labels of the label model",
    "generated": "generated features",
    "source": "source set",
}
"""Key → name in sentences, from the bottom up."""
RANKING = "roc-auc"
"""What a change of ranking is measured by, apart from a change of calibration."""


@dataclass(frozen=True)
class Rung:
    """One rung: its figures, and what it gains over the rung below.

    Attributes
    ----------
    key : str
        A key of `RUNGS`.
    source : str
        Where the figures come from, in words.
    mean : float
        Mean figure under Q.
    gain : Estimate, optional
        The paired gain over the rung below, positive where this rung is better; None for the first rung.
    """

    key: str
    source: str
    mean: float
    gain: Estimate | None = None


@dataclass(frozen=True)
class Ladder:
    """The rungs of one metric, from the plain model up.

    Attributes
    ----------
    metric : str
    rungs : list of Rung
    total : Estimate
        The paired gain of the last rung over the first.
    left_out : dict of str to str
        Rung → why it is left out.
    replicates : list of int
        The replicates that all rungs have.
    without_weights : Estimate, optional
        The paired gain of the last rung over the plain model with calibration and averaging, but without weights; given
        where weights do harm there, so that later rungs only make up for it.
    """

    metric: str
    rungs: list[Rung]
    total: Estimate
    left_out: dict[str, str] = field(default_factory=dict)
    replicates: list[int] = field(default_factory=list)
    without_weights: Estimate | None = None


ADDS_NOTHING = "validation adds nothing in any replicate"


@dataclass(frozen=True)
class _Figures:
    """Figures of a rung by replicate, and where they come from."""

    key: str
    source: str
    values: pd.Series


_Values = tuple[pd.Series, list[int]]
"""Figures by replicate, and the replicates in which the arm adds nothing."""


def ladder(study: StudyResults, metric: str | None = None) -> Ladder | None:
    """Return the ladder of a metric, by default the study's; None without a plain model or without a second rung."""
    name = metric or study.metric
    if PLAIN not in study.methods:
        return None
    found, left_out = _all_figures(study, name)
    table = pd.concat([rung.values for rung in found], axis=1, join="inner").dropna()
    if len(found) < 2 or not len(table):
        return None
    sign = 1.0 if name in HIGHER_IS_BETTER else -1.0
    values = sign * table.to_numpy(dtype=float)
    means = table.to_numpy(dtype=float).mean(axis=0)
    gains = [None, *(corrected(step, study.ratio) for step in np.diff(values, axis=1).T)]
    rungs = [Rung(f.key, f.source, float(mean), gain) for f, mean, gain in zip(found, means, gains, strict=True)]
    total = corrected(values[:, -1] - values[:, 0], study.ratio)
    replicates = [int(k) for k in table.index]
    return Ladder(name, rungs, total, left_out, replicates, _without_weights(study, name, sign, table))


def ranking_ladder(study: StudyResults) -> Ladder | None:
    """Return the ladder of ROC AUC for a classification whose own metric is another one; else None."""
    other = study.first.record.task == "classification" and study.metric != RANKING
    return ladder(study, RANKING) if other and RANKING in study.other_metrics else None


def _all_figures(study: StudyResults, metric: str) -> tuple[list[_Figures], dict[str, str]]:
    """Return the figures of every rung that the study has, and why others are left out."""
    base = WEIGHTED if WEIGHTED in study.methods else PLAIN
    recalibrated = RECALIBRATED in study.columns
    averaged = any(result.single(metric, OVERALL, study.estimators[0], RAW) is not None for result in study.of(base))
    plain_arms, all_arms = _arms(study, source=False), _arms(study, source=True)
    single = " (one fit)" if averaged else ""
    steps: dict[str, tuple[str, str, Callable[[], _Values]]] = {
        "plain": ("", f"{PLAIN}{single}, raw", lambda: _single(study, PLAIN, metric, RAW)),
        "balance": (
            _absent(study, WEIGHTED),
            f"{WEIGHTED}{single}, raw",
            lambda: _single(study, WEIGHTED, metric, RAW),
        ),
        "calibration": (
            "" if recalibrated else "nothing is recalibrated for this task",
            f"{base}{single}, {study.column}",
            lambda: _single(study, base, metric, study.column),
        ),
        "averaging": (
            "" if averaged else f"the fits of {base} are single ones",
            f"{base}, {study.column}",
            lambda: (study.values(base, metric=metric), []),
        ),
        "labels": (
            _absent(study, RELABELLED),
            f"{RELABELLED}, {study.column}",
            lambda: _chosen_arm(study, [RELABELLED], metric),
        ),
        "generated": (
            "" if plain_arms else "there is no CoDSA arm without a source set",
            f"the best on validation of {listed(plain_arms)}, {study.column}",
            lambda: _chosen_arm(study, plain_arms, metric),
        ),
        "source": (
            "" if len(all_arms) > len(plain_arms) else "no CoDSA arm has a source set",
            f"the best on validation of {listed(all_arms)}, {study.column}",
            lambda: _chosen_arm(study, all_arms, metric),
        ),
    }
    found, left_out = [], {}
    for key, (why, source, read) in steps.items():
        values, empty = read() if not why else (pd.Series(dtype=float), [])
        if why or len(empty) == len(values):
            left_out[key] = why or ADDS_NOTHING
        else:
            nothing = f" (adds nothing in {counted(len(empty), 'replicate')})" if empty else ""
            found.append(_Figures(key, source + nothing, values))
    return found, left_out


def _without_weights(study: StudyResults, metric: str, sign: float, table: pd.DataFrame) -> Estimate | None:
    """Return the last rung's gain over the plain model with all but weights, where that is better than with weights."""
    if WEIGHTED not in study.methods:
        return None
    plain, weighted = (sign * study.values(name, metric=metric).reindex(table.index) for name in (PLAIN, WEIGHTED))
    if not (plain - weighted).mean() > 0:
        return None
    return corrected((sign * table.iloc[:, -1] - plain).dropna().to_numpy(dtype=float), study.ratio)


def _absent(study: StudyResults, method: str) -> str:
    return "" if method in study.methods else f"the study has no method {method}"


def _single(study: StudyResults, method: str, metric: str, column: str) -> _Values:
    """Return the figures of the first of several averaged fits; where nothing was averaged, those of the arm."""
    label = study.estimators[0]
    values = {}
    for result in study.of(method):
        alone = result.single(metric, OVERALL, label, column)
        values[result.replicate] = result.value(metric, OVERALL, label, column) if alone is None else alone
    return pd.Series(values, dtype=float), []


def _arms(study: StudyResults, source: bool) -> list[str]:
    """Return the arms with a generator of their own; with `source` those that use a source set, too."""
    return [
        method
        for method in study.kinds("codsa", "primary")
        if not study.chooses(method) and (source or not study.of(method)[0].record.source)
    ]


def _chosen_arm(study: StudyResults, arms: Sequence[str], metric: str) -> _Values:
    """Return in every replicate the test figure of the arm with the best validation figure; the first of equals."""
    validations = pd.concat({arm: study.validations(arm) for arm in arms}, axis=1)
    defined = validations.dropna(how="all")
    higher = study.choose_by in HIGHER_IS_BETTER
    best = defined.idxmax(axis=1) if higher else defined.idxmin(axis=1)
    tests = {arm: study.values(arm, metric=metric) for arm in arms}
    values = pd.Series({k: tests[str(arm)].get(k, np.nan) for k, arm in best.items()}, dtype=float)
    chosen = {arm: study.chosen(arm) for arm in arms}
    return values, [int(str(k)) for k, arm in best.items() if chosen[str(arm)][int(str(k))].m == 0]


def sentence(steps: Ladder) -> str:
    """Return one sentence that says what each rung gives of the gain, with the intervals of the last rungs.

    Intervals are corrected 95 % ones; with one replicate there are none.
    """
    decimals = enough(decimals_of([rung.mean for rung in steps.rungs]), steps.total.mean)
    gains = [(rung.key, rung.gain) for rung in steps.rungs if rung.gain is not None]
    verb = "give" if gains[0][0] != "calibration" else "gives"
    parts = [_part(key, gain, decimals, f" {verb}" if place == 0 else "") for place, (key, gain) in enumerate(gains)]
    total, name = steps.total.mean, f"{metric_name(steps.metric)} under Q"
    empty = [RUNGS[key] for key, why in steps.left_out.items() if why == ADDS_NOTHING]
    rest = f"; validation chose no {' and no '.join(empty)}" if empty else ""
    alone = steps.without_weights
    if alone is not None:
        rest += "; against the plain model calibrated and averaged without weights, the last rung gains "
        rest += f"{number(alone.mean, decimals)}{_bounds(alone, decimals)}"
    if total > 0:
        return f"Of the {number(total, decimals)} gained in {name}, {listed(parts)}{rest}."
    lost = f"loses {number(-total, decimals)}" if total < 0 else "changes nothing"
    return f"The way from the plain model to {RUNGS[steps.rungs[-1].key]} {lost} in {name}: {listed(parts)}{rest}."


def _part(key: str, gain: Estimate, decimals: int, verb: str) -> str:
    text = f"{RUNGS[key]}{verb} {number(gain.mean, decimals)}"
    return text + (_bounds(gain, decimals) if key in ("generated", "source") else "")


def _bounds(gain: Estimate, decimals: int) -> str:
    if not np.isfinite(gain.low):
        return ""
    return f" [{number(gain.low, decimals)}, {number(gain.high, decimals)}]"
