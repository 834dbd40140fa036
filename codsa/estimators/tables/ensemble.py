"""The ensemble that decides labels of generated rows, as an estimator too: perceptrons and boosted trees, cross-fitted.

Each kind of model is fitted on all folds but one, in turn, and stops early on that one. The kinds are mixed by the
weights that are best on the rows that each model did not see.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import Average, EstimatorKind, FeatureLayout, Fitted, WeightedRows
from codsa.estimators.fitting import fit_all
from codsa.estimators.store import load_fitted, save_fitted
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, rng, stream
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import check_settings

FOLDS = 5
"""Folds of the rows. Each model of a kind is fitted without one of them, and stops early on it."""
BATCH_ROWS, MAX_EPOCHS, MAX_STEPS = 256, 100, 1500
"""Rows of a perceptron's batch; its passes over the rows at most; its gradient steps at most, about."""
MODELS = (
    EstimatorSpec(name="mlp", preprocess="smooth", settings={"batch": BATCH_ROWS, "patience": 15}),
    EstimatorSpec(name="gradient-boosting", preprocess="ordinal"),
)
WEIGHT_STEPS = 4
"""The weights tried on held-out rows are multiples of one over this number."""


@dataclass
class WeightedEnsemble:
    """The weighted mean of models, each of which is the average over folds.

    Attributes
    ----------
    models : list of Average or WeightedEnsemble
        One of each of `MODELS`; then, after pretraining, the ensemble of the source set.
    weights : list of float
        Not negative, summing to 1; chosen on rows that the models did not see.
    """

    models: list[Average | WeightedEnsemble]
    weights: list[float]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C), or values of shape (n,)."""
        weighted_models = [(w, model) for w, model in zip(self.weights, self.models, strict=True) if w > 0]
        return np.asarray(sum(w * model.predict(x) for w, model in weighted_models))

    def save(self, folder: Path) -> None:
        """Write the models of each of `MODELS` into an existing folder."""
        for spec, model in zip(MODELS, self.models, strict=False):
            assert isinstance(model, Average)
            save_fitted(folder / spec.name, model, spec)

    @staticmethod
    def load(folder: Path) -> list[Any]:
        """Read the models that `save` wrote, one of each of `MODELS`."""
        return [load_fitted(folder / spec.name) for spec in MODELS]


def fit_weighted_ensemble(
    rows: WeightedRows, layout: FeatureLayout, stream: np.random.SeedSequence, source: WeightedEnsemble | None = None
) -> tuple[WeightedEnsemble, np.ndarray]:
    """Fit an ensemble fold by fold.

    Parameters
    ----------
    source : WeightedEnsemble, optional
        One that was fitted on a source set. It is mixed in as far as that lowers the held-out loss.

    Returns
    -------
    ensemble : WeightedEnsemble
    held_out : ndarray of shape (n, C) or (n,)
        Each row's prediction by the models that did not see it.
    """
    fold = rng(child(stream, "folds")).permutation(len(rows.y)) % FOLDS
    parts = [(_subset(rows, fold != j), _subset(rows, fold == j)) for j in range(FOLDS)]
    passes = {"epochs": int(np.clip(MAX_STEPS * BATCH_ROWS // layout.steps_rows, 1, MAX_EPOCHS))}
    perceptron = MODELS[0].model_copy(update={"settings": {**MODELS[0].settings, **passes}})
    models_by_fold = [_fit_by_fold(spec, parts, layout, child(stream, spec.name)) for spec in (perceptron, *MODELS[1:])]
    held_out = np.stack([_held_out(fold_models, parts, fold) for fold_models in models_by_fold])
    models: list[Average | WeightedEnsemble] = [Average(fold_models) for fold_models in models_by_fold]
    if source is not None:
        models, held_out = [*models, source], np.concatenate([held_out, source.predict(rows.x)[None]])
    mixtures = _mixtures(len(models))
    losses = [_loss(np.tensordot(w, held_out, 1), rows) for w in mixtures]
    best = mixtures[int(np.argmin(losses))]
    return WeightedEnsemble(models, best.tolist()), np.tensordot(best, held_out, 1)


def _mixtures(count: int) -> list[np.ndarray]:
    """Return all weights on the simplex whose entries are multiples of 1/`WEIGHT_STEPS`."""
    steps = itertools.product(range(WEIGHT_STEPS + 1), repeat=count)
    return [np.array(step) / WEIGHT_STEPS for step in steps if sum(step) == WEIGHT_STEPS]


def _subset(rows: WeightedRows, chosen: np.ndarray) -> WeightedRows:
    return WeightedRows(rows.x[chosen], rows.y[chosen], rows.weight[chosen])


def _fit_by_fold(
    spec: EstimatorSpec,
    parts: list[tuple[WeightedRows, WeightedRows]],
    layout: FeatureLayout,
    stream: np.random.SeedSequence,
) -> list[Fitted]:
    """Fit one model per fold; a perceptron stops early on its own fold."""
    fitted = [
        fit_all(spec, [seen], held, layout=layout, stream=child(stream, j))[0] for j, (seen, held) in enumerate(parts)
    ]
    return [model for model in fitted if isinstance(model, Fitted)]


def _held_out(
    fold_models: list[Fitted], parts: list[tuple[WeightedRows, WeightedRows]], fold: np.ndarray
) -> np.ndarray:
    predictions = [model.predict(held.x) for model, (_, held) in zip(fold_models, parts, strict=True)]
    held_out = np.empty((len(fold), *predictions[0].shape[1:]))
    for j, values in enumerate(predictions):
        held_out[fold == j] = values
    return held_out


def _loss(predicted: np.ndarray, rows: WeightedRows) -> float:
    """Return the weighted cross-entropy of probabilities, or the squared error of values."""
    if predicted.ndim == 2:
        losses = -np.log(np.clip(predicted[np.arange(len(rows.y)), rows.y], 1e-12, 1.0))
    else:
        losses = (predicted - rows.y) ** 2
    return float(np.average(losses, weights=rows.weight))


@dataclass(frozen=True)
class EnsembleRecord:
    """What `ensemble.json` holds: the weights of the kinds of model."""

    weights: list[float]


class EnsembleModel:
    """A fitted ensemble, of scikit-learn's protocol for prediction.

    Parameters
    ----------
    ensemble : WeightedEnsemble
    classes : int
        0 for regression.
    """

    def __init__(self, ensemble: WeightedEnsemble, classes: int) -> None:
        self.ensemble, self.classes_ = ensemble, np.arange(classes)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return values of shape (n,)."""
        return self.ensemble.predict(x)

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C)."""
        return self.ensemble.predict(x)

    def save(self, folder: Path) -> None:
        """Write the models and their weights into an existing folder."""
        self.ensemble.save(folder)
        write_json(folder / "ensemble.json", {"weights": self.ensemble.weights})

    @classmethod
    def load(cls, folder: Path, layout: FeatureLayout) -> EnsembleModel:
        """Read what `save` wrote."""
        weights, models = read_as(folder / "ensemble.json", EnsembleRecord).weights, WeightedEnsemble.load(folder)
        if len(weights) != len(models):
            raise CodsaError(f"{folder}: {len(weights)} weights of {len(models)} models; run codsa-fit again")
        return cls(WeightedEnsemble(models, weights), layout.classes)


class Ensembles:
    """Fits one ensemble per training set, on its rows with their weights; validation rows are not read.

    Parameters
    ----------
    layout : FeatureLayout
    """

    def __init__(self, layout: FeatureLayout) -> None:
        self.layout = replace(layout, domain=False)  # the rows come with that column here

    def fit_many(
        self, train_sets: list[WeightedRows], validation_sets: list[WeightedRows], seed: int
    ) -> list[EnsembleModel]:
        """Fit all training sets, one after the other (see `codsa.estimators.fitting.fit_all`)."""
        return [self._fit(rows, seed) for rows in train_sets]

    def _fit(self, rows: WeightedRows, seed: int) -> EnsembleModel:
        if rows.x.shape[1] != len(self.layout.ordered) + len(self.layout.coded):
            raise CodsaError("estimator 'label-model': each of its models prepares rows itself; take preprocess auto")
        if len(rows.y) < FOLDS:
            raise CodsaError(f"estimator 'label-model': {len(rows.y)} rows; it needs one for each of {FOLDS} folds")
        ensemble, _ = fit_weighted_ensemble(rows, self.layout, stream(seed, "ensemble"))
        return EnsembleModel(ensemble, self.layout.classes)


def _no_settings() -> None:
    """Take the settings of `label-model`: it has none."""


def _build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Ensembles:
    check_settings("estimator", "label-model", _no_settings, settings)
    if layout.texts or layout.task == "detection":
        raise CodsaError("estimator 'label-model' learns a class or a number from numbers and categories")
    return Ensembles(layout)


label_model = EstimatorKind(_build, "ordinal", EnsembleModel.load, members=lambda model: FOLDS * len(MODELS))
"""What decides labels of generated rows, fitted on the study's own: the control that needs no generated row."""
