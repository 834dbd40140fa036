"""Statistics of paired differences over re-splits of one sample.

Re-splits share rows, so their results are correlated, and the ordinary t-interval is too narrow. Nadeau and Bengio
(2003, "Inference for the generalization error") widen its variance from s²/J to s² (1/J + n_test/n_train). Several
comparisons are adjusted by Holm (1979). That two methods do the same is concluded by two one-sided tests
(Schuirmann 1987): both ends of the interval lie within a band of practical equivalence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
"""Level of all intervals; 1 − LEVEL is that of all tests."""


@dataclass(frozen=True)
class Estimate:
    """A mean difference with its standard error.

    Attributes
    ----------
    mean : float
    error : float
        Standard error; NaN where none can be given.
    dof : float
        Degrees of freedom of Student's t; infinite: the normal law.
    """

    mean: float
    error: float = float("nan")
    dof: float = float("inf")

    @property
    def half_width(self) -> float:
        """Half the width of the interval of `LEVEL`."""
        from scipy.stats import t

        return float(self.error * t.ppf((1 + LEVEL) / 2, self.dof))

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half_width

    @property
    def p(self) -> float:
        """The two-sided p-value of no difference."""
        return 2 * min(self._tail(self.mean), self._tail(-self.mean), 0.5)

    def within(self, band: float) -> bool:
        """Say whether two one-sided tests, at (1 − LEVEL)/2 each, both place the difference inside ±band."""
        return max(self._tail(band - self.mean), self._tail(band + self.mean)) <= (1 - LEVEL) / 2

    def _tail(self, distance: float) -> float:
        """Return the probability of an error of at least this size; with no spread it is 0, 1/2 or 1; NaN stays."""
        from scipy.stats import t

        if self.error == 0:
            return float(0.5 * (1 - np.sign(distance)))
        return float(t.sf(distance / self.error, self.dof))


def corrected(differences: np.ndarray, ratio: float) -> Estimate:
    """Return the mean of differences over re-splits with its corrected standard error (Nadeau and Bengio 2003).

    Parameters
    ----------
    differences : ndarray of shape (J,)
        One paired difference per re-split.
    ratio : float
        n_test / n_train; 0 gives the ordinary t-interval, of independent samples.

    Returns
    -------
    Estimate
        With fewer than two re-splits its standard error is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from codsa.evidence.statistics import corrected
    >>> found = corrected(np.array([0.01, 0.02, 0.03]), ratio=0.0)
    >>> round(found.low, 3), round(found.high, 3)
    (-0.005, 0.045)
    """
    mean, count = float(np.mean(differences)), len(differences)
    if count < 2:
        return Estimate(mean)
    error = float(np.std(differences, ddof=1) * np.sqrt(1 / count + ratio))
    return Estimate(mean, error, count - 1)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted for their number (Holm 1979); an undefined one stays so and does not count.

    Examples
    --------
    >>> from codsa.evidence.statistics import holm
    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    defined = sorted((value, name) for name, value in p.items() if np.isfinite(value))
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, (value, name) in enumerate(defined):
        highest = max(highest, min(1.0, (len(defined) - place) * value))
        adjusted[name] = highest
    return {name: adjusted.get(name, float("nan")) for name in p}
