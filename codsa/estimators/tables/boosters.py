"""Gradient boosting of XGBoost, LightGBM and CatBoost, where these are installed.

The number of rounds is found on training rows alone: a part of them is held out, rounds stop once they no longer lower
its loss, and the model is fitted on all training rows with the rounds that were best. Every library runs on one thread
and writes its own format of plain numbers, whose trees are checked when they are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout
from codsa.estimators.tables import booster_files
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, rng, stream
from codsa.settings.registry import check_settings, installed
from codsa.settings.types import Count, Depth, NonNegative, PositiveInt, Rate, Share

RECORD = "booster.json"
FEWEST_HELD_OUT = 10
"""With fewer rows held out than this no rounds are left out."""


@dataclass(frozen=True)
class BoosterRecord:
    """What `booster.json` holds: the classes that the model has met; none for regression."""

    classes: list[int]


class Booster(ABC):
    """One library's boosting behind scikit-learn's protocol.

    Parameters
    ----------
    classification : bool
    seed : int
    validation_fraction : float
        The share of the training rows that is held out to find the number of rounds; 0: all rounds are taken.
    n_iter_no_change : int
        Rounds without a lower loss on these rows after which none is added.
    rounds : int
        The number of rounds at most.
    settings : mapping
        In the library's own words.
    """

    file: ClassVar[str]

    def __init__(
        self,
        classification: bool,
        seed: int,
        validation_fraction: float,
        n_iter_no_change: int,
        rounds: int,
        settings: Mapping[str, Any],
    ) -> None:
        self.classification, self.seed, self.rounds, self.settings = classification, seed, rounds, dict(settings)
        self.validation_fraction, self.n_iter_no_change = validation_fraction, n_iter_no_change
        self.classes_ = np.arange(0)
        self.model: Any = None

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Find the rounds on held-out training rows, and fit all training rows."""
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        target = np.asarray(y, dtype=float)
        if self.classification:
            self.classes_, target = np.unique(y, return_inverse=True)
            if len(self.classes_) == 1:
                return self  # `Fitted` predicts the only class
        rounds, held = self.rounds, self._held_out(target)
        if held.sum() >= FEWEST_HELD_OUT:
            rounds = self._best_rounds((x[~held], target[~held], weight[~held]), (x[held], target[held], weight[held]))
        self.model = self._train(x, target, weight, rounds=max(rounds, 1))
        return self

    def _held_out(self, target: np.ndarray) -> np.ndarray:
        """Choose rows of every class, or of all rows, but never the last row of a class; ndarray of bool."""
        held = np.zeros(len(target), dtype=bool)
        random = rng(child(stream(self.seed, "booster"), "held out"))
        for group in np.unique(target) if self.classification else [None]:
            members = np.flatnonzero(target == group) if group is not None else np.arange(len(target))
            held[random.permutation(members)[: int(self.validation_fraction * len(members))]] = True
        return held

    @property
    def _count(self) -> int:
        return len(self.classes_)

    @abstractmethod
    def _train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int) -> Any:
        """Fit so many rounds; classes are numbered without gaps."""

    @abstractmethod
    def _best_rounds(self, train: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...]) -> int:
        """Return the rounds with which held-out rows are predicted best."""

    @abstractmethod
    def _predicted(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities of shape (n, C) or of class 1 of shape (n,), or values."""

    @abstractmethod
    def _write(self, path: Path) -> None:
        """Write the library's own format."""

    @abstractmethod
    def _read(self, path: Path) -> Any:
        """Read it; the trees are known to be sound."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return values of shape (n,)."""
        return self._predicted(x)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C)."""
        predicted = self._predicted(x)
        return np.column_stack([1 - predicted, predicted]) if predicted.ndim == 1 else predicted

    def save(self, folder: Path) -> None:
        """Write the trees and the classes into an existing folder."""
        write_json(folder / RECORD, {"classes": self.classes_.tolist()})
        if self.model is not None:
            self._write(folder / self.file)

    @classmethod
    def load(cls, folder: Path, layout: FeatureLayout) -> Self:
        """Read what `save` wrote, once the trees are known to lead from their roots to leaves."""
        classes = read_as(folder / RECORD, BoosterRecord).classes
        if any(not 0 <= c < layout.classes for c in classes) or len(set(classes)) != len(classes):
            raise CodsaError(f"{folder / RECORD}: classes {classes} are none of {layout.classes}; run codsa-fit again")
        booster = cls(layout.classes > 0, 0, 0.0, 1, rounds=1, settings={})
        booster.classes_ = np.array(classes, dtype=np.int64)
        if not booster.classification or len(classes) > 1:
            booster.model = booster._read(folder / cls.file)
        return booster


class XGBoost(Booster):
    """Boosting of XGBoost by histograms."""

    file = "xgboost.json"

    def _parameters(self) -> dict[str, Any]:
        objective: dict[str, Any] = {"objective": "reg:squarederror"}
        if self.classification and self._count == 2:
            objective = {"objective": "binary:logistic"}
        elif self.classification:
            objective = {"objective": "multi:softprob", "num_class": self._count}
        fixed = {"tree_method": "hist", "device": "cpu", "nthread": 1, "seed": self.seed, "verbosity": 0}
        return {**self.settings, **objective, **fixed}

    def _matrix(self, x: np.ndarray, y: np.ndarray | None = None, weight: np.ndarray | None = None) -> Any:
        return installed("xgboost").DMatrix(x, label=y, weight=weight, nthread=1)

    def _train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int) -> Any:
        return installed("xgboost").train(self._parameters(), self._matrix(x, y, weight), rounds)

    def _best_rounds(self, train: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...]) -> int:
        model = installed("xgboost").train(
            self._parameters(),
            self._matrix(*train),
            self.rounds,
            evals=[(self._matrix(*held), "held_out")],
            early_stopping_rounds=self.n_iter_no_change,
            verbose_eval=False,
        )
        return int(model.best_iteration) + 1

    def _predicted(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(self._matrix(x)))

    def _write(self, path: Path) -> None:
        path.write_bytes(bytes(self.model.save_raw(raw_format="json")))

    def _read(self, path: Path) -> Any:
        booster_files.check_xgboost(path, self._count)
        model = installed("xgboost").Booster({"nthread": 1, "device": "cpu"})
        model.load_model(bytearray(path.read_bytes()))
        return model


class LightGBM(Booster):
    """Boosting of LightGBM."""

    file = "lightgbm.txt"

    def _parameters(self) -> dict[str, Any]:
        objective: dict[str, Any] = {"objective": "regression"}
        if self.classification and self._count == 2:
            objective = {"objective": "binary"}
        elif self.classification:
            objective = {"objective": "multiclass", "num_class": self._count}
        fixed = {"deterministic": True, "force_row_wise": True, "num_threads": 1, "seed": self.seed, "verbosity": -1}
        return {**self.settings, **objective, **fixed}

    def _data(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, reference: Any = None) -> Any:
        return installed("lightgbm").Dataset(x, y, weight=weight, reference=reference, params=self._parameters())

    def _train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int) -> Any:
        return installed("lightgbm").train(self._parameters(), self._data(x, y, weight), rounds)

    def _best_rounds(self, train: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...]) -> int:
        library = installed("lightgbm")
        data = self._data(*train)
        stop = library.early_stopping(self.n_iter_no_change, verbose=False)
        x, y, weight = held
        watched = [self._data(x, y, weight, reference=data)]
        model = library.train(self._parameters(), data, self.rounds, valid_sets=watched, callbacks=[stop])
        return int(model.best_iteration)

    def _predicted(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(x, num_threads=1))

    def _write(self, path: Path) -> None:
        path.write_text(self.model.model_to_string(), encoding="utf-8")

    def _read(self, path: Path) -> Any:
        booster_files.check_lightgbm(path, self._count)
        return installed("lightgbm").Booster(model_str=path.read_text(encoding="utf-8"))


class CatBoost(Booster):
    """Boosting of CatBoost with symmetric trees."""

    file = "catboost.json"

    def _new(self, rounds: int, **more: Any) -> Any:
        loss = "RMSE" if not self.classification else "Logloss" if self._count == 2 else "MultiClass"
        fixed = {"thread_count": 1, "random_seed": self.seed, "allow_writing_files": False, "logging_level": "Silent"}
        return installed("catboost").CatBoost(
            {**self.settings, "loss_function": loss, "iterations": rounds, **fixed, **more}
        )

    def _pool(self, x: np.ndarray, y: np.ndarray | None = None, weight: np.ndarray | None = None) -> Any:
        return installed("catboost").Pool(x, label=y, weight=weight, thread_count=1)

    def _train(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, rounds: int) -> Any:
        return self._new(rounds).fit(self._pool(x, y, weight))

    def _best_rounds(self, train: tuple[np.ndarray, ...], held: tuple[np.ndarray, ...]) -> int:
        model = self._new(self.rounds, od_type="Iter", od_wait=self.n_iter_no_change, use_best_model=True)
        model.fit(self._pool(*train), eval_set=self._pool(*held))
        return int(model.tree_count_)

    def _predicted(self, x: np.ndarray) -> np.ndarray:
        kind = "Probability" if self.classification else "RawFormulaVal"
        return np.asarray(self.model.predict(self._pool(x), prediction_type=kind, thread_count=1))

    def _write(self, path: Path) -> None:
        self.model.save_model(str(path), format="json")
        booster_files.forget_run(path)

    def _read(self, path: Path) -> Any:
        booster_files.check_catboost(path, self._count)
        return installed("catboost").CatBoost().load_model(str(path), format="json")


def xgboost_settings(
    n_estimators: PositiveInt = 500,
    learning_rate: Rate = 0.05,
    max_depth: Depth = 4,
    min_child_weight: NonNegative = 2.0,
    reg_lambda: NonNegative = 2.0,
    reg_alpha: NonNegative = 0.0,
    gamma: NonNegative = 0.0,
    subsample: Rate = 0.8,
    colsample_bytree: Rate = 0.8,
    max_bin: PositiveInt = 256,
    validation_fraction: Share = 0.15,
    n_iter_no_change: PositiveInt = 30,
) -> dict[str, Any]:
    """Return all settings of `xgboost`, in XGBoost's words; the last two find the rounds (see `Booster`)."""
    return dict(locals())


def lightgbm_settings(
    n_estimators: PositiveInt = 500,
    learning_rate: Rate = 0.05,
    num_leaves: PositiveInt = 15,
    max_depth: int = -1,
    min_child_samples: PositiveInt = 10,
    reg_lambda: NonNegative = 2.0,
    reg_alpha: NonNegative = 0.0,
    subsample: Rate = 0.8,
    subsample_freq: Count = 1,
    colsample_bytree: Rate = 0.8,
    max_bin: PositiveInt = 255,
    validation_fraction: Share = 0.15,
    n_iter_no_change: PositiveInt = 30,
) -> dict[str, Any]:
    """Return all settings of `lightgbm`, in LightGBM's words; the last two find the rounds (see `Booster`)."""
    return dict(locals())


def catboost_settings(
    n_estimators: PositiveInt = 500,
    learning_rate: Rate = 0.05,
    depth: Depth = 5,
    l2_leaf_reg: NonNegative = 3.0,
    random_strength: NonNegative = 1.0,
    bagging_temperature: NonNegative = 1.0,
    rsm: Rate = 1.0,
    border_count: PositiveInt = 128,
    validation_fraction: Share = 0.15,
    n_iter_no_change: PositiveInt = 30,
) -> dict[str, Any]:
    """Return all settings of `catboost`, in CatBoost's words; the last two find the rounds (see `Booster`)."""
    return dict(locals())


def _kind(name: str, cls: type[Booster], known: Callable[..., dict[str, Any]]) -> EstimatorKind:
    """Return the kind of one library's boosting."""

    def build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Booster:
        check_settings("estimator", name, known, settings)
        installed(name)
        own = known(**settings)
        search = {key: own.pop(key) for key in ("validation_fraction", "n_iter_no_change")}
        classification = layout.task == "classification"
        return cls(classification, seed & 0x7FFFFFFF, **search, rounds=own.pop("n_estimators"), settings=own)

    return EstimatorKind(build, "ordinal", cls.load, steps=lambda model, rows: model.rounds)


xgboost = _kind("xgboost", XGBoost, xgboost_settings)
lightgbm = _kind("lightgbm", LightGBM, lightgbm_settings)
catboost = _kind("catboost", CatBoost, catboost_settings)
