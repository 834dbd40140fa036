"""The judgement on one arm: paired comparisons with the plain model and every control, and what they allow to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from codsa.data.metrics import HIGHER_IS_BETTER
from codsa.evidence.statistics import LEVEL, Estimate, corrected, holm
from codsa.evidence.studies import CONTROL_AUTO, PLAIN, StudyResults, Values

BAND = 0.01
"""Half the width of the band of practical equivalence, as a share of the plain model's figure."""
Within = Mapping[str, Mapping[int, Estimate]]
"""Method → replicate → the primary arm's difference to it, with its bootstrap standard error over test rows."""
VerdictKind = Literal["better", "same", "worse", "open"]


@dataclass(frozen=True)
class Comparison:
    """Paired differences a − b of two methods over their common replicates.

    Attributes
    ----------
    metric : str
    other : str
        The name of b.
    mean_a, mean_b : float
        Means of both methods over the common replicates.
    each : dict of int to float
        Replicate → difference.
    estimate : Estimate
        The mean difference with its corrected standard error; of one replicate, with its bootstrap standard error.
    adjusted : float
        The p-value of no difference after Holm's adjustment; unadjusted outside a family.
    """

    metric: str
    other: str
    mean_a: float
    mean_b: float
    each: dict[int, float]
    estimate: Estimate
    adjusted: float

    @property
    def mean(self) -> float:
        """The mean difference."""
        return self.estimate.mean

    @property
    def gain(self) -> float:
        """The mean difference, positive where a is better."""
        return self.mean if self.metric in HIGHER_IS_BETTER else -self.mean

    @property
    def clear(self) -> int:
        """1 where a is clearly better, −1 where b is, else 0; one replicate makes nothing clear."""
        if len(self.each) < 2 or not self.adjusted <= 1 - LEVEL:
            return 0
        return 1 if self.gain > 0 else -1


@dataclass(frozen=True)
class Judgement:
    """What one estimator and column say about the primary arm.

    Attributes
    ----------
    kind : {'better', 'same', 'worse', 'open'}
        Clearly better than the plain model and every control; practically the same as the reference; clearly worse than
        some control; none of these.
    primary : str
    family : dict of str to Comparison
        The plain model and every control, adjusted together.
    reference : str, optional
        The control against which 'the same' is judged.
    band : float
        Half the width of the band of practical equivalence, in units of the metric.
    lacking : list of str
        Controls that share no replicate with the primary arm.
    """

    kind: VerdictKind
    primary: str
    family: dict[str, Comparison] = field(default_factory=dict)
    reference: str | None = None
    band: float = float("nan")
    lacking: list[str] = field(default_factory=list)

    @property
    def replicates(self) -> int:
        """The most replicates that the primary arm shares with a member of the family."""
        return max((len(comparison.each) for comparison in self.family.values()), default=0)

    def of(self, clear: int) -> list[str]:
        """Return the members of the family over which the primary arm is clear in this way, the clearest first."""
        found = [name for name, comparison in self.family.items() if comparison.clear == clear]
        return sorted(found, key=lambda name: self.family[name].adjusted)


def compare(
    metric: str, values: Values, a: str, b: str, ratio: float, within: Within | None = None
) -> Comparison | None:
    """Compare two methods on their common replicates; None where there is none or one is absent.

    Parameters
    ----------
    ratio : float
        n_test / n_train (see `codsa.evidence.statistics.corrected`).
    within : mapping, optional
        Bootstrap estimates, of which one replicate takes its interval.
    """
    if a not in values or b not in values:
        return None
    pairs = pd.concat([values[a], values[b]], axis=1, join="inner").dropna()
    if not len(pairs):
        return None
    table = pairs.to_numpy(dtype=float)
    differences = table[:, 0] - table[:, 1]
    estimate = corrected(differences, ratio)
    replicates = [int(k) for k in pairs.index]
    if len(replicates) == 1 and within is not None:
        estimate = within.get(b, {}).get(replicates[0], estimate)
    each = dict(zip(replicates, differences.tolist(), strict=True))
    mean_a, mean_b = map(float, table.mean(axis=0))
    return Comparison(metric, b, mean_a, mean_b, each, estimate, adjusted=estimate.p)


def compared(
    metric: str, values: Values, a: str, others: Iterable[str], ratio: float, within: Within | None = None
) -> dict[str, Comparison]:
    """Return the family of comparisons of one arm, adjusted by Holm; methods that share no replicate are absent."""
    found = {name: compare(metric, values, a, name, ratio, within) for name in others}
    family = {name: comparison for name, comparison in found.items() if comparison is not None}
    adjusted = holm({name: comparison.estimate.p for name, comparison in family.items()})
    return {name: replace(comparison, adjusted=adjusted[name]) for name, comparison in family.items()}


def kind_of(family: Mapping[str, Comparison], reference: str | None, band: float) -> VerdictKind:
    """Return what a family of comparisons allows to say of its arm."""
    clear = [comparison.clear for comparison in family.values()]
    if clear and all(one == 1 for one in clear):
        return "better"
    if -1 in clear:
        return "worse"
    held = family.get(reference or "")
    return "same" if held is not None and len(held.each) > 1 and held.estimate.within(band) else "open"


def band_of(family: Mapping[str, Comparison], reference: str | None) -> float:
    """Return half the width of the band: a share of the plain model's figure, or without one of the reference's."""
    held = family.get(PLAIN, family.get(reference or ""))
    return BAND * abs(held.mean_b) if held is not None else float("nan")


def reference_of(controls: Sequence[str], validations: Values, metric: str) -> str | None:
    """Return the control to which the primary arm is held: the one that chooses, else the best on validation rows.

    Test figures have no part in it.

    Parameters
    ----------
    controls : sequence of str
    validations : mapping of str to Series
        Control → its validation figures by replicate.
    metric : str
        The metric of the validation figures.
    """
    if CONTROL_AUTO in controls:
        return CONTROL_AUTO
    means = {name: float(validations[name].mean()) for name in controls if validations[name].notna().any()}
    if not means:
        return None
    return max(means, key=lambda name: means[name] if metric in HIGHER_IS_BETTER else -means[name])


def judge(
    study: StudyResults,
    primary: str,
    estimator: str | None = None,
    column: str | None = None,
    within: Within | None = None,
) -> Judgement:
    """Judge the primary arm by one estimator and column; by default those that the verdict is about."""
    controls = study.kinds("control")
    values = study.overall(estimator, column)
    family = compared(study.metric, values, primary, controls, study.ratio, within)
    members = [name for name in controls if name in family]
    validations = {name: study.validations(name, estimator, column) for name in members}
    reference = reference_of(members, validations, study.choose_by)
    band = band_of(family, reference)
    lacking = [name for name in controls if name not in family]
    return Judgement(kind_of(family, reference, band), primary, family, reference, band, lacking)


def share_of_way(metric: str, values: Values, method: str, oracle: str | None) -> float:
    """Return a method's gain over the plain model as a share of the oracle's gain; NaN without an oracle.

    Means are over the replicates that all three have. 1 is as good as fresh true rows.
    """
    names = [PLAIN, oracle or "", method]
    if not set(names) <= set(values):
        return float("nan")
    plain, best, mean = pd.concat([values[name] for name in names], axis=1, join="inner").dropna().mean()
    return float((plain - mean) / (plain - best)) if np.isfinite(plain) and plain != best else float("nan")
