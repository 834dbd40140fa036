"""TabPFN and TabICL, where these are installed: networks that read the training rows with the rows to predict.

Nothing is trained, so what is kept of a fit are its rows: arrays of numbers, and no weight of the network, which comes
from the library. Both take no weights of rows. Rows are drawn in proportion to their weights instead, as often as that
comes out even, so that the number of rows stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout
from codsa.io.records import read_as, write_json
from codsa.io.seeds import rng, stream
from codsa.io.tensors import load_tensors
from codsa.settings.registry import check_settings, installed
from codsa.settings.types import PositiveInt

RECORD, ROWS = "context.json", "context.safetensors"
SMALLEST_WEIGHT = 1e-9
"""Weights whose spread is below this share of their mean count as equal."""


@dataclass(frozen=True)
class ContextRecord:
    """What `context.json` holds."""

    seed: int
    n_estimators: int


class InContext:
    """A pretrained network that is given the training rows, behind scikit-learn's protocol.

    Parameters
    ----------
    name : {'tabpfn', 'tabicl'}
    task : {'classification', 'regression'}
    seed : int
    n_estimators : int
        Passes over permuted columns that are averaged.
    """

    def __init__(self, name: str, task: str, seed: int, n_estimators: int) -> None:
        self.name, self.task, self.seed, self.n_estimators = name, task, seed, n_estimators
        self.x, self.y = np.empty((0, 0)), np.empty(0)
        self.classes_ = np.arange(0)
        self._network: Any = None

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Keep the rows, drawn by their weights."""
        rows = drawn_by_weight(sample_weight, len(y), self.seed)
        return self._given(np.asarray(x[rows], dtype=np.float64), np.asarray(y[rows]))

    def _given(self, x: np.ndarray, y: np.ndarray) -> Self:
        self.x, self.y = x, y
        if self.task == "classification":
            self.classes_ = np.unique(y)
        self._network = None
        return self

    def _fitted(self) -> Any:
        if self._network is None:
            self._network = NETWORKS[self.name](self.task, self.seed, self.n_estimators).fit(self.x, self.y)
        return self._network

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return values of shape (n,)."""
        return np.asarray(self._fitted().predict(x), dtype=float)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C)."""
        return np.asarray(self._fitted().predict_proba(x), dtype=float)

    def save(self, folder: Path) -> None:
        """Write the rows and the settings into an existing folder."""
        from safetensors.numpy import save_file

        target = self.y.astype(np.int64 if self.task == "classification" else np.float64)
        save_file({"x": np.ascontiguousarray(self.x), "y": target}, folder / ROWS)
        write_json(folder / RECORD, {"seed": self.seed, "n_estimators": self.n_estimators})

    @classmethod
    def load(cls, name: str, folder: Path, layout: FeatureLayout) -> Self:
        """Read what `save` wrote."""
        record, tensors = read_as(folder / RECORD, ContextRecord), load_tensors(folder / ROWS, "numpy")
        x, y = tensors.expect("x", None, None), tensors.expect("y", None)
        if len(x) != len(y) or (layout.classes and not ((y >= 0) & (y < layout.classes)).all()):
            raise CodsaError(f"{folder / ROWS}: its rows do not fit the task; run codsa-fit again")
        installed(name)
        return cls(name, layout.task, record.seed, record.n_estimators)._given(x, y)


def drawn_by_weight(weight: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """Return rows, each as often as its share of the weight asks for, rounded down or up, ndarray of int64.

    Systematic resampling (Kitagawa 1996): one random offset, then even steps along the summed weights.
    """
    if weight is None or np.ptp(weight) <= SMALLEST_WEIGHT * np.mean(weight):
        return np.arange(count)
    steps = (np.arange(count) + rng(stream(seed, "rows by weight")).random()) / count
    ends = np.cumsum(weight) / np.sum(weight)
    return np.minimum(np.searchsorted(ends, steps, side="right"), count - 1)


def _tabpfn(task: str, seed: int, n_estimators: int) -> Any:
    library = installed("tabpfn")
    cls = library.TabPFNRegressor if task == "regression" else library.TabPFNClassifier
    return cls(n_estimators=n_estimators, random_state=seed, device="cpu", ignore_pretraining_limits=True)


def _tabicl(task: str, seed: int, n_estimators: int) -> Any:
    library = installed("tabicl")
    name = "TabICLRegressor" if task == "regression" else "TabICLClassifier"
    if not hasattr(library, name):
        raise CodsaError("estimator 'tabicl': this version takes no regression; pip install 'tabicl>=2'")
    return getattr(library, name)(n_estimators=n_estimators, random_state=seed, device="cpu", n_jobs=1)


NETWORKS: Mapping[str, Callable[[str, int, int], Any]] = {"tabpfn": _tabpfn, "tabicl": _tabicl}


def in_context_settings(n_estimators: PositiveInt = 4) -> dict[str, Any]:
    """Return all settings of `tabpfn` and `tabicl`."""
    return dict(locals())


def _kind(name: str) -> EstimatorKind:
    def build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> InContext:
        check_settings("estimator", name, in_context_settings, settings)
        installed(name)
        return InContext(name, layout.task, seed & 0x7FFFFFFF, **in_context_settings(**settings))

    return EstimatorKind(
        build,
        "ordinal",
        lambda folder, layout: InContext.load(name, folder, layout),
        members=lambda model: model.n_estimators,
    )


tabpfn = _kind("tabpfn")
tabicl = _kind("tabicl")
