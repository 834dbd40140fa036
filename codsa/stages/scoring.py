"""Rows on which fitted estimators are scored, and the help that every arm gets alike on validation rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codsa.data.choice import ScoredRows
from codsa.data.metrics import by_region, law_weights
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, Split, training_schema
from codsa.estimators import Predictor, WeightedRows
from codsa.estimators.base import target_vector, weighted_rows
from codsa.estimators.recalibration import Thresholds, label_shares, thresholds

DECISIONS = ("balanced-accuracy", "f1", "kappa", "quadratic-kappa")
"""Metrics of decisions, for which thresholds are tuned on validation rows."""


@dataclass(frozen=True)
class EvaluationSet:
    """Rows on which fitted estimators are scored.

    Attributes
    ----------
    problem : WeightedRows
    region : ndarray of int64, shape (n,)
    q : ndarray of shape (K,)
    names : list of str
        The regions' names.
    row_id : ndarray of int64, shape (n,)
    """

    problem: WeightedRows
    region: np.ndarray
    q: np.ndarray
    names: list[str]
    row_id: np.ndarray

    @property
    def rows(self) -> ScoredRows:
        """The rows as the choice among candidates takes them."""
        return ScoredRows(self.problem.y, self.region, self.q)

    def predict(self, predictor: Predictor) -> np.ndarray:
        """Return an estimator's predictions, of shape (n, C) or (n,)."""
        return predictor.predict(self.problem.x)

    def score(self, metric: str, predicted: np.ndarray) -> dict[str, float]:
        """Return the metric of predictions per region and under Q."""
        return by_region(metric, self.problem.y, predicted, self.region, q=self.q, names=self.names)


def evaluation_set(dataset: AnyDataset, split: Split, role: str, schema: Schema | None = None) -> EvaluationSet:
    """Return the rows of a role, weighted so that they follow Q.

    Parameters
    ----------
    dataset : AnyDataset
    split : Split
    role : {'validation', 'test'}
    schema : Schema, optional
        What the rows are encoded by, where it is at hand: `training_schema(dataset, split)`.
    """
    assert role != TRAIN
    rows = split.rows(role)
    region = dataset.regions()[rows]
    schema = schema or training_schema(dataset, split)
    problem = weighted_rows(in_memory(dataset.part(rows)), schema, law_weights(region, split.q))
    return EvaluationSet(problem, region, split.q, dataset.schema.regions.names, rows)


def target_shares(dataset: AnyDataset, split: Split) -> np.ndarray | None:
    """Return the classes' shares under Q as the training rows tell them, ndarray of shape (C,); None for no classes."""
    if dataset.schema.task != "classification":
        return None
    rows = split.rows(TRAIN)
    y = target_vector(in_memory(dataset.part(rows)), dataset.schema)
    return label_shares(y, law_weights(dataset.regions()[rows], split.q), len(dataset.schema.classes))


def tuned_thresholds(
    validation: EvaluationSet, predicted: np.ndarray, metrics: Mapping[str, object]
) -> dict[str, Thresholds]:
    """Return the thresholds of each metric of decisions that are best on validation rows."""
    if predicted.ndim == 1:
        return {}
    rows = validation.rows
    return {
        metric: thresholds(lambda tried, metric=metric: rows.measure(metric, tried), predicted)  # type: ignore[misc]
        for metric in metrics
        if metric in DECISIONS
    }
