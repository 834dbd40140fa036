"""The verdict: whether CoDSA helped, by how much, and whether something simpler does as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER, paired_interval
from codsa.evidence.wording import counted, decimals_of, enough, listed, metric_name, named, number, percent

PLAIN = "none"
ORACLE = "oracle"
"""The method whose pool holds fresh true rows: no rival, but an upper bound."""
SIMPLE = ("weighted", "bootstrap", "smote", "adasyn", "smogn", "gaussian", "non-adaptive")
Values = Mapping[str, pd.Series]
"""Method → its figures under Q, indexed by replicate."""


@dataclass(frozen=True)
class Difference:
    """Paired differences a − b of two methods over their common replicates.

    Attributes
    ----------
    mean, low, high : float
        Mean and 95 % interval; the bounds are NaN with fewer than two replicates.
    each : tuple of float
        One difference per common replicate.
    mean_a, mean_b : float
        Means of both methods over the common replicates.
    gain : float
        The mean, with the sign that makes a positive value favour a.
    """

    metric: str
    mean: float
    low: float
    high: float
    each: tuple[float, ...]
    mean_a: float
    mean_b: float

    @property
    def gain(self) -> float:
        """The mean, positive where a is better."""
        return self.mean if self.metric in HIGHER_IS_BETTER else -self.mean

    @property
    def clear(self) -> int:
        """1 where the interval excludes 0 in favour of a, −1 where in favour of b, else 0."""
        if not (self.low > 0 or self.high < 0):
            return 0
        return 1 if self.gain > 0 else -1


@dataclass(frozen=True)
class Verdict:
    """What the study says.

    Attributes
    ----------
    kind : {'gain', 'matched', 'no-gain', 'open'}
        CoDSA gains; a simpler method does as well; nothing beats the plain model; undecided.
    headline : str
        The first line of the report.
    details : list of str
        Further sentences under the headline.
    best : str, optional
        The CoDSA method with the best mean.
    rival : str, optional
        The method other than CoDSA and the plain model with the best mean.
    """

    kind: str
    headline: str
    details: list[str] = field(default_factory=list)
    best: str | None = None
    rival: str | None = None


def is_codsa(method: str) -> bool:
    """Say whether a method is one of CoDSA's."""
    return method.startswith("codsa")


def compare(metric: str, values: Values, a: str, b: str) -> Difference | None:
    """Compare two methods on their common replicates; None where there is none or one is absent."""
    if a not in values or b not in values:
        return None
    pairs = pd.concat([values[a], values[b]], axis=1, join="inner").dropna().to_numpy(dtype=float)
    if not len(pairs):
        return None
    differences = pairs[:, 0] - pairs[:, 1]
    mean, low, high = paired_interval(differences)
    mean_a, mean_b = map(float, pairs.mean(axis=0))
    each = tuple(differences.tolist())
    return Difference(metric, mean, low, high, each=each, mean_a=mean_a, mean_b=mean_b)


def best_of(metric: str, values: Values, methods: Iterable[str]) -> str | None:
    """Return the method with the best mean over the replicates that all methods have; the first of equals.

    Where the methods share no replicate, each mean is over the method's own replicates.
    """
    defined = {name: values[name].dropna() for name in methods if name in values and values[name].notna().any()}
    if not defined:
        return None
    shared = pd.concat(defined, axis=1, join="inner")
    means = shared.mean() if len(shared) else pd.Series({name: series.mean() for name, series in defined.items()})
    return str(means.idxmax() if metric in HIGHER_IS_BETTER else means.idxmin())


def rivals_of(values: Values) -> list[str]:
    """Return the methods that are neither CoDSA nor the plain model nor the oracle."""
    return [name for name in values if name not in (PLAIN, ORACLE) and not is_codsa(name)]


def share_of_way(metric: str, values: Values, method: str) -> float:
    """Return a method's gain over the plain model as a share of the oracle's gain; NaN without an oracle.

    Means are over the replicates that all three have. 1 is as good as fresh true rows.
    """
    if not {PLAIN, ORACLE, method} <= set(values):
        return float("nan")
    plain, oracle, mean = pd.concat([values[name] for name in (PLAIN, ORACLE, method)], axis=1).dropna().mean()
    return float((plain - mean) / (plain - oracle)) if plain != oracle else float("nan")


def verdict_of(metric: str, values: Values) -> Verdict:
    """Return the verdict on paired differences of the test metric under Q.

    The headline names a simple method that CoDSA does not clearly beat, or the plain model where no method clearly
    beats it. "Clearly" means that the paired 95 % t-interval over replicates excludes 0.

    Parameters
    ----------
    metric : str
    values : mapping of str to Series of float64
        Method → its figures under Q, indexed by replicate.
    """
    verdict = _verdict_of(metric, values)
    share = share_of_way(metric, values, verdict.best) if verdict.best else float("nan")
    if np.isfinite(share):
        way = "the way from the plain model to the oracle, whose pool are fresh true rows"
        verdict.details.append(f"{named(str(verdict.best))} goes {percent(share)} of {way}.")
    return verdict


def _verdict_of(metric: str, values: Values) -> Verdict:
    best = best_of(metric, values, filter(is_codsa, values))
    rival = best_of(metric, values, rivals_of(values))
    if best is None:
        return Verdict("open", "No CoDSA method was evaluated, so there is nothing to judge.", rival=rival)
    plain = compare(metric, values, best, PLAIN)
    if plain is None:
        kind, headline, details = _without_plain(metric, values, best, rival)
    elif len(plain.each) < 2:
        kind, headline, details = _single(metric, values, best, rival=rival, plain=plain)
    else:
        kind, headline, details = _decide(metric, values, best, rival=rival, plain=plain)
    return Verdict(kind, headline, details, best=best, rival=rival)


def matching(metric: str, values: Values, best: str) -> list[str]:
    """Return the rivals that the best CoDSA method does not clearly beat, the best one first."""
    differences = {name: compare(metric, values, best, name) for name in rivals_of(values)}
    gains = {name: d.gain for name, d in differences.items() if d is not None and d.clear < 1}
    return sorted(gains, key=lambda name: gains[name])


_Finding = tuple[str, str, list[str]]
"""Kind, headline and details of a `Verdict`."""


def _decide(metric: str, values: Values, best: str, rival: str | None, plain: Difference) -> _Finding:
    against = {name: compare(metric, values, name, PLAIN) for name in values if name not in (PLAIN, ORACLE)}
    winners = [name for name, gain in against.items() if gain is not None and gain.clear == 1]
    matches = matching(metric, values, best)
    if not winners:
        return (
            "no-gain",
            _no_gain(metric, best, plain),
            _against_plain(metric, values, [rival] if rival else []),
        )
    if matches:
        others = [named(name) for name in matches[1:]]
        further = [f"CoDSA does not clearly beat {listed(others)} either."] if others else []
        return (
            "matched",
            _matched(metric, values, best, matches[0]),
            _against_plain(metric, values, [best, matches[0]]) + further,
        )
    if plain.clear < 1:
        shown = listed(named(name) for name in winners)
        shift = _shift(metric, best, plain)
        line = f"The gain of the best CoDSA method is not certain: {shift} against the plain model."
        return "open", line, [f"Against the plain model, the interval excludes 0 for {shown}."]
    return "gain", _gain(metric, values, best, rival=rival, plain=plain), []


def _gain(metric: str, values: Values, best: str, rival: str | None, plain: Difference) -> str:
    start = f"{named(best)} {_moved(metric, plain, relative=True)} against the plain model"
    other = compare(metric, values, best, rival) if rival else None
    if rival is None or other is None:
        return f"{start}; no simple method was run on its replicates to compare with."
    return f"{start}, and by {_by(other)} against the best {_noun(rival)} method ({rival})."


def _no_gain(metric: str, best: str, plain: Difference) -> str:
    worse = "; the plain model is better" if plain.clear == -1 else ""
    return f"No method beats the plain model here: {_pair(metric, best, 'without augmentation', plain)}{worse}."


def _matched(metric: str, values: Values, best: str, rival: str) -> str:
    difference = compare(metric, values, best, rival)
    assert difference is not None
    if difference.gain > 0:
        start = f"{named(best)} is not clearly better than {named(rival)} here"
        reach = f"as far as {counted(len(difference.each), 'replicate')} can tell"
        return f"{start}, {reach}: {_pair(metric, best, f'with {rival}', difference)}."
    word = "does better than" if difference.clear == -1 else "does as well as"
    return f"{named(rival)} {word} CoDSA here: {_pair(metric, best, 'with it', difference)}."


def _pair(metric: str, best: str, other: str, difference: Difference) -> str:
    decimals = _decimals(difference)
    b, a = number(difference.mean_b, decimals), number(difference.mean_a, decimals)
    return (
        f"{metric_name(metric)} under Q is {b} {other} and {a} with {named(best)}, "
        f"a difference of {number(difference.mean, decimals, signed=True)}{_interval(difference)}"
    )


def _against_plain(metric: str, values: Values, methods: Iterable[str]) -> list[str]:
    gains = [(name, compare(metric, values, name, PLAIN)) for name in methods]
    return [f"Against the plain model, {_shift(metric, name, gain)}." for name, gain in gains if gain is not None]


def _single(metric: str, values: Values, best: str, rival: str | None, plain: Difference) -> _Finding:
    """Return the figures of one replicate, and which method does as well as CoDSA in it."""
    other = compare(metric, values, best, rival) if rival else None
    decimals = _decimals(plain)
    shown = [f"{number(plain.mean_b, decimals)} without augmentation"]
    gains = {"the plain model": plain.gain}
    if rival and other:
        shown.append(f"{number(other.mean_b, decimals)} with the best {_noun(rival)} method ({rival})")
        gains[named(rival)] = other.gain
    shown.append(f"{number(plain.mean_a, decimals)} with {named(best)}")
    first = min(gains, key=lambda name: gains[name])
    word = "better than" if gains[first] < 0 else "as well as"
    equal = f"{first} does {word} CoDSA: " if gains[first] <= 0 else ""
    figures = f"{metric_name(metric)} under Q is {listed(shown)}"
    return "open", f"With one replicate no interval can be given; in this one {equal}{figures}.", []


def _without_plain(metric: str, values: Values, best: str, rival: str | None) -> _Finding:
    reason = "The plain model shares no replicate with CoDSA, so no gain over it can be given"
    other = compare(metric, values, best, rival) if rival else None
    if rival is None or other is None:
        return "open", f"{reason}.", []
    if len(other.each) > 1 and matching(metric, values, best):
        first = matching(metric, values, best)[0]
        return "matched", _matched(metric, values, best, first), [f"{reason}."]
    return "open", f"{reason}; {_pair(metric, best, f'with {rival}', other)}.", []


def _noun(rival: str | None) -> str:
    return "simple" if rival in SIMPLE else "other"


def _decimals(difference: Difference) -> int:
    return enough(decimals_of([difference.mean_a, difference.mean_b]), difference.mean)


def _interval(difference: Difference) -> str:
    if not np.isfinite(difference.low):
        return " (one replicate, no interval)"
    decimals = enough(_decimals(difference), difference.low, difference.high)
    return f" (95 % CI {number(difference.low, decimals)} to {number(difference.high, decimals)})"


def _by(difference: Difference, relative: bool = False) -> str:
    """Write a gain as an amount: '0.12 (95 % CI 0.10 to 0.14; 21 %)'."""
    low, high = sorted((abs(difference.low), abs(difference.high)))
    decimals = enough(_decimals(difference), difference.mean, low)
    share = f"; {percent(abs(difference.mean / difference.mean_b))}" if relative and difference.mean_b else ""
    interval = f"95 % CI {number(low, decimals)} to {number(high, decimals)}"
    return f"{number(abs(difference.mean), decimals)} ({interval}{share})"


def _moved(metric: str, difference: Difference, relative: bool = False) -> str:
    verb = "raises" if difference.mean > 0 else "lowers"
    return f"{verb} {metric_name(metric)} under Q by {_by(difference, relative)}"


def _shift(metric: str, method: str, difference: Difference) -> str:
    decimals = _decimals(difference)
    return (
        f"{named(method)} changes {metric_name(metric)} under Q by "
        f"{number(difference.mean, decimals, signed=True)}{_interval(difference)}"
    )
