"""A detector without training: how thinly normal images lie about an image, seen in several ways."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout
from codsa.estimators.networks import need_images
from codsa.io.library_internals import drop_search_tree, grow_search_tree
from codsa.settings.registry import check_settings
from codsa.settings.types import Cells, PositiveInt

ORIENTATIONS = 9
DIMENSIONS = 150
"""Principal components at most that each view is brought to."""
SOFT = 28
"""The blurred view is smooth over a side by so much."""


class LocalOutliers(BaseEstimator):  # type: ignore[misc]
    """Local outlier factors (Breunig 2000) of an image's pixels, of its blurred pixels and of its gradients.

    Gradients are histograms of their orientations in cells (Dalal 2005), one view for each number of cells. A
    view's factor is taken as its logarithm by that of the normal rows' standard deviation, and a row's score is
    the mean over views. Rows that are alike count once: repeats would make a neighbourhood infinitely dense.

    Parameters
    ----------
    shape : sequence of int
        (height, width, channels).
    neighbours : int
    cells : sequence of int
        Cells of a side; none leaves the pixels alone.
    """

    def __init__(self, shape: Sequence[int], neighbours: int = 10, cells: Sequence[int] = (7, 6, 4)) -> None:
        self.shape, self.neighbours, self.cells = shape, neighbours, cells

    def fit(self, x: np.ndarray, y: np.ndarray | None = None) -> Self:
        """Keep the different rows of x, ndarray of shape (n, elements), in every view."""
        from sklearn.decomposition import PCA
        from sklearn.neighbors import LocalOutlierFactor

        rows = np.unique(x, axis=0)
        if len(rows) <= self.neighbours:
            raise ValueError(f"{len(rows)} different rows are too few for {self.neighbours} neighbours")
        self.reducers_, self.factors_, self.scales_ = [], [], []
        for view in self._views(rows):
            reducer = PCA(min(DIMENSIONS, *view.shape), svd_solver="covariance_eigh").fit(view)
            factor = LocalOutlierFactor(n_neighbors=self.neighbours, novelty=True).fit(reducer.transform(view))
            spread = float(np.log(-factor.negative_outlier_factor_).std())
            self.reducers_.append(reducer)
            self.factors_.append(factor)
            self.scales_.append(spread if spread > 0 else 1.0)
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the search trees, whose inner indices a reader could not trust."""
        state = dict(super().__getstate__())
        if "factors_" in state:
            state["factors_"] = [copy.copy(factor) for factor in self.factors_]
            for factor in state["factors_"]:
                drop_search_tree(factor)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Grow the search trees anew from the rows; they are the same ones."""
        super().__setstate__(state)
        for factor in state.get("factors_", ()):
            grow_search_tree(factor)

    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Return how normal rows are, ndarray of shape (n,)."""
        parts = zip(self._views(x), self.reducers_, self.factors_, self.scales_, strict=True)
        scores = [
            -np.log(-factor.score_samples(reducer.transform(view))) / scale for view, reducer, factor, scale in parts
        ]
        mean_scores: np.ndarray = np.mean(scores, axis=0)
        return mean_scores

    def _views(self, x: np.ndarray) -> list[np.ndarray]:
        """Return a matrix of float32 for each way to see the rows."""
        from scipy.ndimage import gaussian_filter

        images = np.asarray(x, dtype=np.float32).reshape(-1, *self.shape) / 255
        sigma = max(self.shape[:2]) / SOFT
        blurred = gaussian_filter(images, (0, sigma, sigma, 0))
        flat = [images.reshape(len(x), -1), blurred.reshape(len(x), -1)]
        return [*flat, *(oriented_gradients(images.mean(axis=3), cells) for cells in self.cells)]


def oriented_gradients(images: np.ndarray, cells: int, within: float = 0.01) -> np.ndarray:
    """Return histograms of oriented gradients (Dalal 2005): 9 unsigned orientations, blocks of 2 × 2 cells.

    Parameters
    ----------
    images : ndarray of float32, shape (n, height, width)
    cells : int
        Of a side; images are padded by zeros to whole cells.
    within : float
        Added to a block's squared norm, by which it is divided.

    Returns
    -------
    ndarray of float32, shape (n, (cells − 1)² · 36)
    """
    sides = [math.ceil(side / cells) for side in images.shape[1:]]
    lacking = [side * cells - have for side, have in zip(sides, images.shape[1:], strict=True)]
    padded = np.pad(images, [(0, 0), *((gap // 2, gap - gap // 2) for gap in lacking)])
    down, across = np.zeros_like(padded), np.zeros_like(padded)
    down[:, 1:-1] = padded[:, 2:] - padded[:, :-2]
    across[:, :, 1:-1] = padded[:, :, 2:] - padded[:, :, :-2]
    angle = (np.arctan2(down, across) % np.pi) / np.pi * ORIENTATIONS
    lower, size = np.floor(angle), np.hypot(down, across)
    share, lower = angle - lower, lower.astype(np.int64) % ORIENTATIONS
    counted = np.empty((len(images), cells, cells, ORIENTATIONS), dtype=np.float32)
    for k in range(ORIENTATIONS):
        voted = size * np.where(lower == k, 1 - share, np.where((lower + 1) % ORIENTATIONS == k, share, 0))
        counted[..., k] = voted.reshape(-1, cells, sides[0], cells, sides[1]).sum(axis=(2, 4))
    corners = (counted[:, i : cells - 1 + i, j : cells - 1 + j] for i in (0, 1) for j in (0, 1))
    blocks = np.concatenate(list(corners), axis=3)
    scaled: np.ndarray = blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + within)
    return scaled.reshape(len(images), -1)


def _settings(*, neighbours: PositiveInt = 10, cells: list[Cells] | None = None) -> dict[str, Any]:
    """Take the settings of `local-outliers` (see `LocalOutliers`)."""
    return {"neighbours": neighbours, "cells": [7, 6, 4] if cells is None else list(cells)}


def _build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> LocalOutliers:
    check_settings("estimator", "local-outliers", _settings, settings)
    need_images("local-outliers", layout)
    if layout.task != "detection":
        raise CodsaError(f"estimator 'local-outliers' detects anomalies: the task must be detection, not {layout.task}")
    return LocalOutliers(layout.shape, **_settings(**settings))


local_outliers = EstimatorKind(_build, "none", modality="images", tasks=("detection",), seeded=lambda settings: False)
