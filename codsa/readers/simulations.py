"""The paper's two simulations (arXiv 2504.07426, sections 4.1 and 4.2), of any size and seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from codsa.errors import CodsaError, suggest
from codsa.io.seeds import rng, stream

MINORITY_SHARE = 2000 / 6400
"""The share of the minority in the paper's pool of 2,000 + 4,400 rows (4.1)."""


def classification_features(u: np.ndarray) -> np.ndarray:
    """Map the three latents of 4.1 to its ten features.

    Parameters
    ----------
    u : ndarray of shape (n, 3)

    Returns
    -------
    ndarray of shape (n, 10)
    """
    a, b, c = u.T
    return np.stack([a * b, a * c, b * c, a**2, b**2, c**2, a * b * c, a**3, b**3, c**3], axis=1)


def classification_score(x: np.ndarray) -> np.ndarray:
    """Return the score of 4.1, whose extreme ranks are the minority.

    Parameters
    ----------
    x : ndarray of shape (n, 10)

    Returns
    -------
    ndarray of shape (n,)
    """
    w = np.linspace(-1.0, 1.0, 5)
    s1, s2 = x[:, :5] @ w, x[:, 5:] @ w
    t1, t2 = s1 / (1 + np.abs(s1)), s2 / (1 + np.abs(s2))
    return np.asarray(np.sin(2 * np.pi * t1) ** 2 - np.cos(3 * np.pi * t2) ** 2)


def imbalanced_classification(minority: int, majority: int, seed: int) -> pd.DataFrame:
    """Draw the simulation of section 4.1.

    The minority (label 0) is the lowest and the highest half of `MINORITY_SHARE` by rank of the
    score. As many rows are drawn as give both counts, so the law of each class does not depend on
    the counts asked for; with the paper's 2,000 + 4,400 no row is left over.

    Parameters
    ----------
    minority, majority : int
        Rows of label 0 and of label 1.
    seed : int

    Returns
    -------
    DataFrame of shape (minority + majority, 11)
        x1..x10 and the label `y`, minority first.
    """
    random = rng(stream(seed, "simulation", "imbalanced-classification"))
    n = int(max(np.ceil(minority / MINORITY_SHARE), np.ceil(majority / (1 - MINORITY_SHARE))))
    u1 = random.normal(random.choice([-2.0, 2.0], size=n), 1.0)
    u2 = random.uniform(size=n) + random.choice([0.0, 2.0], size=n)
    u3 = random.exponential(size=n) - 1.0
    x = classification_features(np.stack([u1, u2, u3], axis=1))
    rank = np.argsort(np.argsort(classification_score(x)))
    half = round(n * MINORITY_SHARE / 2)
    label = ((rank >= half) & (rank < n - half)).astype(int)
    keep = np.r_[np.flatnonzero(label == 0)[:minority], np.flatnonzero(label == 1)[:majority]]
    frame = pd.DataFrame(x[keep], columns=[f"x{i}" for i in range(1, 11)])
    return frame.assign(y=label[keep])


def undersampled_regression(minority: int, majority: int, seed: int) -> pd.DataFrame:
    """Draw the simulation of section 4.2.

    Parameters
    ----------
    minority, majority : int
        Rows with u1 ~ U(0, ½) and with u1 ~ U(½, 1).
    seed : int

    Returns
    -------
    DataFrame of shape (minority + majority, 6)
        x1..x5, of which x1 is u1, and the target `y`, minority first.
    """
    random = rng(stream(seed, "simulation", "undersampled-regression"))
    u1 = np.r_[random.uniform(0.0, 0.5, minority), random.uniform(0.5, 1.0, majority)]
    u2 = u1**2 + random.normal(size=len(u1))
    u3 = 0.2 * random.normal(size=len(u1))
    above = (u1 > 0.5).astype(float)
    x = np.stack([u1, above * u1 + u2, above * u2 + np.log1p(np.abs(u2)), np.abs(u2), u1 - u2], axis=1)
    s = x @ np.array([3.0, 2.0, -1.0, 0.5, 1.0])
    y = 2 * s**2 + np.where(above > 0, -s, s) + u3
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(1, 6)]).assign(y=y)


SIMULATIONS: dict[str, Callable[[int, int, int], pd.DataFrame]] = {
    "imbalanced-classification": imbalanced_classification,
    "undersampled-regression": undersampled_regression,
}


def simulate(name: str, minority: int, majority: int, seed: int) -> pd.DataFrame:
    """Draw a simulation by its name.

    Raises
    ------
    CodsaError
        For a name that is not known, or counts below 1.

    Examples
    --------
    >>> from codsa.readers.simulations import simulate
    >>> table = simulate("imbalanced-classification", minority=20, majority=40, seed=0)
    >>> table.shape, table["y"].value_counts().to_dict()
    ((60, 11), {1: 40, 0: 20})
    """
    if name not in SIMULATIONS:
        raise CodsaError(f"no simulation '{name}'; {suggest(name, SIMULATIONS)}")
    if min(minority, majority) < 1:
        raise CodsaError(f"simulation '{name}': {minority} + {majority} rows; each needs at least 1")
    return SIMULATIONS[name](minority, majority, seed)
