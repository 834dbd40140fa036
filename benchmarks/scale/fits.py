"""What fitting an estimator takes for each row of a grid point, measured on rows made up on the spot."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

import numpy as np

from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout
from codsa.io.seeds import rng, stream
from codsa.readers.simulations import simulate
from codsa.settings.estimator import EstimatorSpec

ROWS = 8000
"""Real rows that a grid point has where a fit is measured."""
STACKED = 4
"""Arms that are fitted together where the estimator fits many at once."""


class Fit(NamedTuple):
    """Of one estimator: CPU seconds and megabytes of memory for each row of a grid point."""

    cpu: float
    memory: float


def measured(estimator: EstimatorSpec) -> Fit:
    """Fit an estimator of an experiment once, in a fresh process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measure, estimator.name, estimator.preprocess, estimator.settings).result()


def _measure(name: str, preprocess: str, settings: dict[str, Any]) -> Fit:
    layout, x, y = MADE.get(name, _numbers)(name)
    shorter = 1.0
    if name == "autoencoder":  # so many passes are no more than so many times one
        shorter = settings["epochs"] / 10
        settings = {**settings, "epochs": 10}
    weight = np.ones(len(x))
    point, check = WeightedRows(x[:ROWS], y[:ROWS], weight[:ROWS]), WeightedRows(x[ROWS:], y[ROWS:], weight[ROWS:])
    points = STACKED if name == "mlp" else 1
    before, begin = _peak(), time.process_time()
    fit_all(
        EstimatorSpec(name=name, preprocess=preprocess, settings=settings),
        [point] * points,
        check,
        layout,
        stream(0, "scale"),
    )
    rows = points * ROWS
    return Fit(shorter * (time.process_time() - begin) / rows, (_peak() - before) / rows)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _numbers(name: str) -> tuple[FeatureLayout, np.ndarray, np.ndarray]:
    """Rows of the paper's simulation for the estimator: 4.2 for a forest, else 4.1."""
    regression = name == "random-forest"
    rows = simulate("undersampled-regression" if regression else "imbalanced-classification", 3000, 6600, 0)
    target = "y" if "y" in rows else rows.columns[-1]
    x = rows.drop(columns=[target]).to_numpy(dtype=float)
    y = rows[target].to_numpy(dtype=float if regression else np.int64)
    order = rng(stream(0, "order")).permutation(len(x))
    task = "regression" if regression else "classification"
    return FeatureLayout(task, 0 if regression else 2, list(range(x.shape[1])), [], ROWS), x[order], y[order]


def _texts(_: str) -> tuple[FeatureLayout, np.ndarray, np.ndarray]:
    """Texts of 40 words, as often as in a language (Zipf), of which some tell the class."""
    random = rng(stream(0, "texts"))
    y = random.integers(0, 5, ROWS + 1000)
    words = np.minimum(random.zipf(1.3, (len(y), 40)), 30_000)
    words[:, :3] = 40_000 + 10 * y[:, None] + random.integers(0, 10, (len(y), 3))
    x = np.array([[" ".join(f"w{word}" for word in row)] for row in words], dtype=object)
    return FeatureLayout("classification", 5, [], [], ROWS, texts=True), x, y


def _images(_: str) -> tuple[FeatureLayout, np.ndarray, np.ndarray]:
    """Images of 28 by 28 pixels; those to choose by are half anomalous."""
    random = rng(stream(0, "images"))
    x = random.integers(0, 256, (ROWS + 400, 28 * 28)).astype(np.uint8)
    y = np.where(np.arange(len(x)) < ROWS, 0, np.arange(len(x)) % 2)
    return FeatureLayout("detection", 2, [], [], ROWS, shape=[28, 28, 1]), x, y


MADE: dict[str, Callable[[str], tuple[FeatureLayout, np.ndarray, np.ndarray]]] = {
    "tfidf-logistic": _texts,
    "autoencoder": _images,
}
