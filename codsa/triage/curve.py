"""The learning curve L(x) = a + b x^(−c) of a loss by the rows of the thin regions, extrapolated to twice as many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codsa.evidence.statistics import LEVEL
from codsa.io.seeds import rng

EXPONENTS = np.linspace(0.2, 1.5, 27)
"""The exponents c that are tried: from slow nonparametric rates to somewhat above the parametric rate of 1."""
DRAWS = 1000
"""Draws of the mean losses, each of which is fitted anew, for the interval."""


@dataclass(frozen=True)
class Curve:
    """Fitted power laws, one per row of losses.

    Attributes
    ----------
    a, b, c : ndarray of shape (s,)
        a ≥ 0 and b ≥ 0: more rows never do harm.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def at(self, x: float) -> np.ndarray:
        """Return the loss with x times the rows, ndarray of shape (s,)."""
        return np.asarray(self.a + self.b * x**-self.c)


def fit_curve(shares: np.ndarray, losses: np.ndarray) -> Curve:
    """Fit a + b x^(−c) by least squares, for every row of losses.

    For a given c the law is linear in a and b, so that c is found on the grid of `EXPONENTS`.

    Parameters
    ----------
    shares : ndarray of shape (k,)
        x, the shares of the rows at which losses were measured.
    losses : ndarray of shape (s, k)

    Examples
    --------
    >>> import numpy as np
    >>> from codsa.triage.curve import fit_curve
    >>> x = np.array([0.25, 0.5, 1.0])
    >>> curve = fit_curve(x, (0.3 + 0.1 / x)[None])
    >>> curve.a.round(3), curve.b.round(3), curve.c.round(3), curve.at(2.0).round(3)
    (array([0.3]), array([0.1]), array([1.]), array([0.35]))
    """
    fits = [_linear(losses, shares**-c) for c in EXPONENTS]
    best = np.argmin(np.stack([error for _, _, error in fits]), axis=0)
    every = np.arange(len(losses))
    a, b = (np.stack([fit[part] for fit in fits])[best, every] for part in (0, 1))
    return Curve(a, b, EXPONENTS[best])


def _linear(losses: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the least-squares a ≥ 0 and b ≥ 0 of a + b·basis, and the squared errors, each of shape (s,)."""
    centred = basis - basis.mean()
    b = losses @ centred / (centred @ centred)
    a = losses.mean(axis=1) - b * basis.mean()
    through_zero = losses @ basis / (basis @ basis)
    a, b = np.where(a < 0, 0.0, a), np.where(a < 0, through_zero, b)
    a, b = np.where(b < 0, losses.mean(axis=1), a), np.maximum(b, 0.0)
    return a, b, ((losses - a[:, None] - b[:, None] * basis) ** 2).sum(axis=1)


@dataclass(frozen=True)
class Doubling:
    """What twice the rows of the thin regions would give.

    Attributes
    ----------
    now : float
        The loss with the rows that there are: as measured, or extrapolated from there where the table was thinned.
    gain, low, high : float
        How much lower the loss would be with twice the rows of the thin regions, and the interval of that.
    limit : float
        How much lower it would be with any number of them.
    """

    now: float
    gain: float
    low: float
    high: float
    limit: float

    @property
    def twice(self) -> tuple[float, float, float]:
        """The loss with twice the rows, and the ends of its interval."""
        return self.now - self.gain, self.now - self.high, self.now - self.low

    @property
    def share(self) -> tuple[float, float, float]:
        """The gain and the ends of its interval, as shares of the loss now."""
        scale = self.now if self.now > 0 else float("nan")
        return self.gain / scale, self.low / scale, self.high / scale


def doubling(
    shares: np.ndarray, losses: np.ndarray, full: float, ratio: float, stream: np.random.SeedSequence
) -> Doubling:
    """Extrapolate the mean learning curve of several splits to twice the rows.

    The interval is that of the curve fitted to mean losses drawn from their law: Student's t about the means, with the
    covariance of the splits' losses, widened since re-splits share rows (Nadeau and Bengio 2003).

    Parameters
    ----------
    shares : ndarray of shape (k,)
    losses : ndarray of shape (J, k)
        The loss of every split at every share.
    full : float
        The rows that there are, as a multiple of those that share 1 stands for: above 1 where the table was thinned.
    ratio : float
        n_test / n_train of a split.
    stream : numpy.random.SeedSequence
    """
    mean = losses.mean(axis=0)
    curve = fit_curve(shares, mean[None])
    now = max(float(mean[-1] - curve.at(1.0)[0] + curve.at(full)[0]), 0.0)
    gains = _drawn_gains(shares, losses, full=full, ratio=ratio, stream=stream)
    low, high = np.quantile(gains, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    gain = float(curve.at(full)[0] - curve.at(2 * full)[0])
    limit = float(curve.at(full)[0] - curve.a[0])
    gain, low, high, limit = (min(float(value), now) for value in (gain, min(low, gain), max(high, gain), limit))
    return Doubling(now, gain, low, high, limit)


def _drawn_gains(
    shares: np.ndarray, losses: np.ndarray, full: float, ratio: float, stream: np.random.SeedSequence
) -> np.ndarray:
    random, count = rng(stream), len(losses)
    covariance = np.cov(losses, rowvar=False) * (1 / count + ratio)
    normal = random.multivariate_normal(np.zeros(len(shares)), covariance, size=DRAWS, method="eigh")
    scale = np.sqrt(random.chisquare(count - 1, size=DRAWS) / (count - 1))
    curve = fit_curve(shares, losses.mean(axis=0) + normal / scale[:, None])
    return curve.at(full) - curve.at(2 * full)
