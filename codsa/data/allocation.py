"""How many synthetic rows go to which region: Eq. (5), π, the two indices, integer counts."""

from __future__ import annotations

import numpy as np


def region_shares(m: float, n_r: float, alpha: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the region shares π of the augmented sample.

    π_k = (m·α_k + n_r·p_k) / (m + n_r), arXiv 2504.07426.

    Parameters
    ----------
    m, n_r : float
        Synthetic and reserved rows; not both 0.
    alpha, p : ndarray of shape (K,)
        The allocation and the training law's region weights.

    Returns
    -------
    ndarray of shape (K,)
    """
    return (m * alpha + n_r * p) / (m + n_r)


def balancing_allocation(m: float, n_r: float, q: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the allocation that makes the augmented sample follow the target law, Eq. (5).

    α_k = q_k + (n_r/m)·(q_k − p_k). Where m is too small for that, the negative entries are
    clipped at 0 and the rest is scaled to sum to 1.

    Parameters
    ----------
    m, n_r : float
        Synthetic (above 0) and reserved rows.
    q, p : ndarray of shape (K,)
        Region weights of the target law and of the training law.

    Returns
    -------
    alpha : ndarray of shape (K,)
    exact : bool
        False where clipping was needed.

    Examples
    --------
    >>> import numpy as np
    >>> from codsa.data.allocation import balancing_allocation
    >>> alpha, exact = balancing_allocation(m=80, n_r=100, q=np.array([0.5, 0.5]), p=np.array([0.2, 0.8]))
    >>> alpha.round(3).tolist(), exact
    ([0.875, 0.125], True)
    """
    alpha = q + (n_r / m) * (q - p)
    exact = bool(np.all(alpha >= -1e-12))
    alpha = np.clip(alpha, 0.0, None)
    return alpha / alpha.sum(), exact


def least_balancing_m(n_r: float, q: np.ndarray, p: np.ndarray) -> float:
    """Return the least m at which Eq. (5) is feasible: n_r·max_k (p_k − q_k)/q_k.

    Infinite where a region that the target law leaves out (q_k = 0) has training rows.
    """
    present = (p > 0) | (q > 0)
    with np.errstate(divide="ignore"):
        excess = (p[present] - q[present]) / q[present]
    return float(max(0.0, n_r * excess.max()))


def domain_adaptation_index(q: np.ndarray, pi: np.ndarray) -> float:
    """Return Σ_k |q_k − π_k|, the first index of Theorem 1."""
    return float(np.abs(q - pi).sum())


def generation_error_index(m: float, n_r: float, alpha: np.ndarray, tau: np.ndarray) -> float:
    """Return Σ_k [m·α_k/(m + n_r)]·τ_k, the second index of Theorem 1.

    Parameters
    ----------
    tau : ndarray of shape (K,)
        Wasserstein-1 distance of the real and the generated law of each region.
    """
    share = m * alpha / (m + n_r)
    used = share > 0
    return float((share[used] * tau[used]).sum())


def whole_counts(total: int, weights: np.ndarray) -> np.ndarray:
    """Divide an integer by weights, by largest remainders.

    Parameters
    ----------
    total : int
    weights : ndarray of shape (K,)
        Not negative, summing to 1.

    Returns
    -------
    ndarray of int64, shape (K,)
        Summing to `total`; ties go to the lower index.

    Examples
    --------
    >>> import numpy as np
    >>> from codsa.data.allocation import whole_counts
    >>> whole_counts(10, np.array([0.5, 0.25, 0.25])).tolist()
    [5, 3, 2]
    """
    exact = total * weights
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return counts


def focused(region: int, weight: float, others: np.ndarray) -> np.ndarray:
    """Return the allocation that gives one region a weight and shares the rest as `others`.

    Parameters
    ----------
    region : int
        The region in focus.
    weight : float
        Its share of the synthetic rows, between 0 and 1.
    others : ndarray of shape (K,)
        Weights in whose proportion the other regions share 1 − weight; not all 0 unless that is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from codsa.data.allocation import focused
    >>> focused(0, 0.6, np.array([0.2, 0.4, 0.4])).round(6).tolist()
    [0.6, 0.2, 0.2]
    """
    rest = others.astype(float).copy()
    rest[region] = 0.0
    alpha = (1.0 - weight) * rest / (rest.sum() or 1.0)
    alpha[region] = weight
    return alpha
