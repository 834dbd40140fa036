"""The strong baseline of one split, recalibrated, fitted on shares of the thin regions' rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codsa.data.dataset import Dataset
from codsa.data.metrics import OVERALL, by_region, default_metric, law_weights
from codsa.data.rows import described
from codsa.data.schema import Schema
from codsa.estimators import Predictor, WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout, layout_of, weighted_rows
from codsa.estimators.fitting import effective_rows
from codsa.estimators.recalibration import label_shares, recalibration
from codsa.io.seeds import child, rng
from codsa.settings.estimator import EstimatorSpec

SHARES = (0.25, 0.5, 1.0)
"""Shares of the thin regions' training rows on which the baseline is fitted."""
FEWEST_ROWS = 2
"""A share takes at least this many rows of each thin region."""
LEARNERS = {
    "linear": EstimatorSpec(name="logistic", preprocess="standard"),
    "boosting": EstimatorSpec(
        name="gradient-boosting",
        settings={"l2_regularization": 1.0, "min_samples_leaf": 5, "max_leaf_nodes": 8},
        search=[{"max_iter": 50, "min_samples_leaf": 20}, {"max_iter": 150}],
    ),
    "perceptrons": EstimatorSpec(
        name="mlp",
        preprocess="standard",
        settings={"hidden": [128, 128], "batch": 256, "learning_rate": 0.002, "patience": 15},
        average=2,
    ),
}
"""The learners of which validation rows choose one, for every split by itself."""
PENALTIES = [0.01, 0.1, 1.0, 10.0]
"""C of logistic regression, or 1 / alpha of ridge regression, of which validation rows choose."""


@dataclass(frozen=True)
class Parts:
    """The rows of one split, by their row_ids: they are disjoint.

    Attributes
    ----------
    train, validation, test : ndarray of int64
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class SplitLosses:
    """What one split measured on its test rows.

    Attributes
    ----------
    losses : ndarray of shape (3, K + 1)
        For every share of `SHARES`: the loss of each region, and under Q. NaN for a region without test rows.
    guess : float
        The loss under Q of a prediction that knows no feature: the classes' shares, or the mean.
    learner : str
        The one of `LEARNERS` that was chosen.
    """

    losses: np.ndarray
    guess: float
    learner: str


class BaselineSplit:
    """The baseline on one split of a dataset.

    Levels and bounds are those of the split's training rows; validation rows choose the learner and recalibrate it.

    Parameters
    ----------
    dataset : Dataset
    region : ndarray of int64, shape (n,)
    q : ndarray of shape (K,)
    thin : ndarray of bool, shape (K,)
        The regions of which shares are taken.
    parts : Parts
    stream : numpy.random.SeedSequence
    """

    def __init__(
        self,
        dataset: Dataset,
        region: np.ndarray,
        q: np.ndarray,
        thin: np.ndarray,
        parts: Parts,
        stream: np.random.SeedSequence,
    ) -> None:
        self.region, self.q, self.thin, self.parts, self.stream = region, q, thin, parts, stream
        self.dataset = dataset
        self.schema: Schema = described(dataset.schema, dataset.part(parts.train))
        self.layout: FeatureLayout = layout_of(self.schema, len(parts.train))
        self.metric = default_metric(self.schema.task)
        self.validation = self._rows(parts.validation)

    def _rows(self, row_ids: np.ndarray) -> WeightedRows:
        """Return rows, weighted so that they follow Q."""
        return weighted_rows(self.dataset.part(row_ids), self.schema, law_weights(self.region[row_ids], self.q))

    def measure(self) -> SplitLosses:
        """Choose the learner on all training rows, and measure it on every share of the thin regions' rows."""
        sets = [self._rows(rows) for rows in self._subsamples()]
        test = self._rows(self.parts.test)
        full = {name: self._fit(name, sets[-1:])[0] for name in self._learners()}
        scores = {name: self._validation_loss(fitted, name, sets[-1]) for name, fitted in full.items()}
        learner = min(scores, key=lambda name: scores[name])
        fits = [*self._fit(learner, sets[:-1]), full[learner]]
        predicted = [self._predict(fit, learner, rows, test) for fit, rows in zip(fits, sets, strict=True)]
        losses = np.array([self._scores(test, values) for values in predicted])
        return SplitLosses(losses, self._scores(test, self._guess(sets[-1], len(test.y)))[-1], learner)

    def _learners(self) -> dict[str, EstimatorSpec]:
        tried = [{"C": c} if self.layout.task == "classification" else {"alpha": 1 / c} for c in PENALTIES]
        return {**LEARNERS, "linear": LEARNERS["linear"].model_copy(update={"search": tried})}

    def _subsamples(self) -> list[np.ndarray]:
        """Return the training rows at every share, each a part of the next; weights come after, so that π stays Q."""
        train = self.parts.train
        place = rng(child(self.stream, "subsample")).permutation(len(train))
        rank = np.empty(len(train))
        for k in np.unique(self.region[train]):
            members = np.flatnonzero(self.region[train] == k)
            rank[members[np.argsort(place[members])]] = np.arange(len(members))
        counts = np.bincount(self.region[train], minlength=len(self.q))
        thin = self.thin[self.region[train]]
        limits = [np.maximum(np.ceil(share * counts), FEWEST_ROWS)[self.region[train]] for share in SHARES]
        return [train[~thin | (rank < limit)] for limit in limits]

    def _fit(self, learner: str, sets: list[WeightedRows]) -> list[Predictor]:
        spec = self._learners()[learner]
        return fit_all(spec, sets, self.validation, self.layout, stream=child(self.stream, learner))

    def _predict(self, fitted: Predictor, learner: str, rows: WeightedRows, others: WeightedRows) -> np.ndarray:
        """Return recalibrated predictions."""
        shares = None if self.layout.classes == 0 else label_shares(rows.y, rows.weight, self.layout.classes)
        fitted_on = effective_rows(LEARNERS[learner], rows)
        helped = recalibration(fitted.predict(self.validation.x), self.validation, fitted_on, shares)
        return helped.apply(fitted.predict(others.x))

    def _validation_loss(self, fitted: Predictor, learner: str, rows: WeightedRows) -> float:
        predicted = self._predict(fitted, learner, rows, self.validation)
        scores = by_region(
            self.metric,
            self.validation.y,
            predicted,
            self.region[self.parts.validation],
            q=self.q,
            names=self.schema.regions.names,
        )
        return scores[OVERALL]

    def _scores(self, test: WeightedRows, predicted: np.ndarray) -> list[float]:
        names = self.schema.regions.names
        scores = by_region(self.metric, test.y, predicted, self.region[self.parts.test], q=self.q, names=names)
        return [*(scores[name] for name in names), scores[OVERALL]]

    def _guess(self, rows: WeightedRows, count: int) -> np.ndarray:
        if self.layout.classes == 0:
            return np.full(count, np.average(rows.y, weights=rows.weight))
        return np.tile(label_shares(rows.y, rows.weight, self.layout.classes), (count, 1))
