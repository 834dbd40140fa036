"""Fitting one estimator on many training sets: its seeds are averaged, its settings chosen on validation rows."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from codsa.errors import CodsaError
from codsa.estimators.base import (
    FeatureLayout,
    FitFacts,
    Fitted,
    Predictor,
    WeightedRows,
    alternatives,
    average_predictors,
    estimator_kind,
    preprocessor,
)
from codsa.estimators.temperature import best_temperature, columns_of
from codsa.io.seeds import child, integer
from codsa.settings.estimator import EstimatorSpec


def fit_all(
    spec: EstimatorSpec,
    train_sets: list[WeightedRows],
    validation: WeightedRows,
    layout: FeatureLayout,
    stream: np.random.SeedSequence,
    cores: int = 1,
) -> list[Predictor]:
    """Fit the estimator on every training set.

    With `spec.search` each training set takes the alternative whose fit has the lowest loss on validation rows, the
    first of equal ones. With `spec.average` that many fits with different seeds are averaged, the first of which is the
    one that an average of 1 gives; an estimator without a seed is fitted once. All fits start from the same stream,
    so that they differ by their rows alone.

    Parameters
    ----------
    train_sets : list of WeightedRows
        One per point of the grid.
    validation : WeightedRows
        For estimators that stop early, and for the search; the others do not see it.
    cores : int
        Changes the time taken and nothing else.

    Returns
    -------
    list of Fitted or Average
        In the order of the training sets.
    """
    tried = alternatives(spec)
    first = [_fit_once(one, train_sets, validation, layout=layout, stream=stream, cores=cores) for one in tried]
    won = [0] * len(train_sets)
    if len(tried) > 1:
        rows_fits = list(zip(train_sets, zip(*first, strict=True), strict=True))
        won = [int(np.argmin([_loss(fit, rows, validation) for fit in fits])) for rows, fits in rows_fits]
    fits: list[list[Predictor]] = [[first[k][g]] for g, k in enumerate(won)]
    for k, one in enumerate(tried):
        chosen = [g for g in range(len(train_sets)) if won[g] == k]
        for number in range(1, spec.average) if chosen and _is_seeded(one) else ():
            seed = child(stream, "average", number)
            sets = [train_sets[g] for g in chosen]
            further = _fit_once(one, sets, validation, layout=layout, stream=seed, cores=cores)
            for g, fit in zip(chosen, further, strict=True):
                fits[g].append(fit)
    return [average_predictors(members) for members in fits]


def _is_seeded(spec: EstimatorSpec) -> bool:
    """Say whether another seed gives another fit."""
    return "random_state" not in spec.settings and estimator_kind(spec).seeded(spec.settings)


def _loss(fit: Fitted, rows: WeightedRows, validation: WeightedRows) -> float:
    """Return the squared error on validation rows, or the cross-entropy at the temperature that suits them best.

    A temperature is fitted since a model that is merely too sure of itself is mended afterwards; rows of a class that
    the training set lacks are left out.
    """
    if fit.layout.task == "detection":
        raise CodsaError("estimator: search chooses by the loss of a target, which a detector does not predict")
    predicted = fit.predict(validation.x[:, :-1] if fit.layout.domain else validation.x)
    if not np.isfinite(predicted).all():
        return np.inf
    if fit.layout.task == "regression":
        return float(np.average((predicted - validation.y) ** 2, weights=validation.weight))
    classes = np.unique(rows.y)
    return best_temperature(predicted[:, classes], columns_of(validation.y, classes), validation.weight)[1]


def _fit_once(
    spec: EstimatorSpec,
    train_sets: list[WeightedRows],
    validation: WeightedRows,
    layout: FeatureLayout,
    stream: np.random.SeedSequence,
    cores: int,
) -> list[Fitted]:
    """Fit every training set with one seed.

    An estimator with `fit_many` gets all training sets at once; of the others `cores` are fitted side by side, each on
    one thread.
    """
    kind = estimator_kind(spec)
    preprocess = kind.preprocess if spec.preprocess == "auto" else spec.preprocess
    seed = integer(stream)
    model = kind.build(layout, seed, spec.settings)
    transforms = [preprocessor(preprocess, layout).fit(rows.x) for rows in train_sets]
    transformed = [
        replace(rows, x=transform.transform(rows.x)) for transform, rows in zip(transforms, train_sets, strict=True)
    ]
    if hasattr(model, "fit_many"):
        validation_sets = [replace(validation, x=transform.transform(validation.x)) for transform in transforms]
        models = model.fit_many(transformed, validation_sets, seed)
    else:
        from sklearn.utils.parallel import Parallel, delayed

        jobs = (delayed(_fit_one)(kind.build(layout, seed, spec.settings), rows, spec.name) for rows in transformed)
        models = Parallel(n_jobs=cores, prefer="threads")(jobs)
    return [
        Fitted(transform, fitted, layout, facts=FitFacts(kind.steps(model, len(rows.y)), kind.members(model), spec))
        for transform, fitted, rows in zip(transforms, models, train_sets, strict=True)
    ]


def _fit_one(model: Any, rows: WeightedRows, name: str) -> Any:
    if "n_jobs" in inspect.signature(type(model)).parameters:
        model.n_jobs = None  # fits side by side already take the cores; more threads would only wait for each other
    weighted = not np.all(rows.weight == rows.weight[0])
    if weighted and "sample_weight" not in inspect.signature(model.fit).parameters:
        raise CodsaError(f"estimator '{name}' takes no weights; leave the method 'weighted' out")
    try:
        return model.fit(rows.x, rows.y, sample_weight=rows.weight) if weighted else model.fit(rows.x, rows.y)
    except ValueError as error:
        raise CodsaError(f"estimator '{name}' cannot be fitted: {error}") from None


def effective_rows(spec: EstimatorSpec, rows: WeightedRows) -> WeightedRows:
    """Return training rows with the weights that the estimator's class probabilities are true to.

    An estimator that balances its classes predicts as if they were equally frequent, whatever the rows. A correction
    for the classes' shares starts from these weights, not from those that the estimator was given.
    """
    return replace(rows, weight=estimator_kind(spec).effective_weight(spec.settings, rows))
