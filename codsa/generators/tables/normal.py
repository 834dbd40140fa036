"""Normal laws of regions with one covariance, their means smoothed by empirical Bayes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EM_STEPS = 200
"""Steps of expectation and maximisation; the variances have settled long before."""
FLAT_VARIANCE = 1e6
"""The prior variance of what the regions have in common."""


@dataclass(frozen=True)
class NormalLaw:
    """x in region k ~ N(mean_k, U diag(values) U').

    Attributes
    ----------
    means : ndarray of float64, shape (K, d)
    vectors : ndarray of float64, shape (d, d)
        U, the eigenvectors as columns.
    values : ndarray of float64, shape (d,)
        The covariance's eigenvalues, not negative.
    """

    means: np.ndarray
    vectors: np.ndarray
    values: np.ndarray

    @property
    def root(self) -> np.ndarray:
        """U diag(values)^½, ndarray of shape (d, d)."""
        return np.asarray(self.vectors * np.sqrt(self.values))


def fit_normal(x: np.ndarray, region: np.ndarray, count: int, shrinkage: float | None, means: str) -> NormalLaw:
    """Estimate the regions' means and their common covariance.

    Parameters
    ----------
    x : ndarray of float64, shape (n, d)
    region : ndarray of int64, shape (n,)
    count : int
        K; a region without rows has the mean 0, or what its neighbours say where means are not free.
    shrinkage : float, optional
        Weight of the scaled identity in the covariance; by Ledoit and Wolf (2004) if not given.
    means : {'free', 'shrunk', 'ordered'}
        free: the averages; shrunk and ordered: see `smoothed`.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

    rows = np.bincount(region, minlength=count)
    averages = np.zeros((count, x.shape[1]))
    averages[rows > 0] = [x[region == k].mean(axis=0) for k in np.flatnonzero(rows)]
    residuals = x - averages[region]
    raw = residuals.T @ residuals / len(residuals)
    weight = ledoit_wolf_shrinkage(residuals, assume_centered=True) if shrinkage is None else shrinkage
    values, vectors = np.linalg.eigh(shrunk_covariance(raw, weight))
    law = NormalLaw(averages, vectors, np.clip(values, 0.0, None))
    if means == "free" or count < 2:
        return law
    scale = np.sqrt(np.maximum(law.values, 1e-12 * max(law.values.max(), 1e-300)))
    noise = float(np.mean(np.einsum("ij,ik,kj->j", vectors, raw, vectors) / scale**2))
    white = smoothed(averages @ vectors / scale, noise / np.maximum(rows, 1e-9), means == "ordered")
    return NormalLaw((white * scale) @ vectors.T, vectors, law.values)


def smoothed(means: np.ndarray, noise: np.ndarray, ordered: bool) -> np.ndarray:
    """Return the posterior means of regions of which averages are known, by empirical Bayes (Efron 1973).

    The regions' means are a common part and contrasts, normal with variances that are estimated from all
    coordinates together. In order: contrasts are the orthogonal polynomials of the region's place, each with a
    variance of its own, so that a noisy zigzag along the scale is smoothed out; else one variance for all.

    Parameters
    ----------
    means : ndarray of shape (K, d)
        In coordinates of about equal noise.
    noise : ndarray of shape (K,)
        The variance of each average in every coordinate.
    ordered : bool

    Returns
    -------
    ndarray of shape (K, d)
    """
    count = len(means)
    contrasts = np.linalg.qr(np.vander(np.arange(count, dtype=float), count, increasing=True))[0].T
    variances = np.r_[FLAT_VARIANCE, np.full(count - 1, max(means.var(axis=0).mean(), 1e-12))]
    for _ in range(EM_STEPS):
        prior = (contrasts.T * variances) @ contrasts
        gain = prior @ np.linalg.inv(prior + np.diag(noise))
        posterior, posterior_variance = gain @ means, prior - gain @ prior
        squares = ((contrasts @ posterior) ** 2).mean(axis=1) + np.diag(contrasts @ posterior_variance @ contrasts.T)
        variances[1:] = np.maximum(squares[1:] if ordered else squares[1:].mean(), 1e-12)
    return np.asarray(posterior)
