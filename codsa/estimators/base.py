"""Fitting one estimator on many training sets, with the preprocessing that a practitioner expects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, is_ordered
from codsa.encoders.values import level_codes, to_float
from codsa.errors import CodsaError, check_choice, quoted_value
from codsa.io.array_columns import arrays
from codsa.io.library_internals import check_parameters
from codsa.io.tensors import readable
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.registry import ESTIMATORS, check_settings, load

TEXTS = "tfidf-logistic"
"""The registered estimator of texts."""
GIVEN = "given"
"""The preprocessing of a caller's own estimator: none, whatever the rows are."""
PREPROCESSING: tuple[str, ...] = get_args(EstimatorSpec.model_fields["preprocess"].annotation)


@dataclass(frozen=True)
class FeatureLayout:
    """Which columns of the feature matrix are ordered and which hold codes.

    Attributes
    ----------
    task : str
    classes : int
        0 for regression.
    ordered, coded : list of int
    missing_codes : list of int
        For each column of codes, the code that stands for a missing value.
    steps_rows : int
        The number of real training rows. Its epochs set the budget of gradient steps of every training set.
    shape : list of int
        Of each row where the only feature is an array: (height, width, channels) or (d,); else empty.
    texts : bool
        Whether the only feature is a text.
    domain : bool
        Whether a last column says which training rows are of the pool; rows that are predicted are not.
    """

    task: str
    classes: int
    ordered: list[int]
    coded: list[int]
    steps_rows: int
    shape: list[int] = field(default_factory=list)
    texts: bool = False
    domain: bool = False
    missing_codes: list[int] = field(default_factory=list)

    def with_domain(self) -> FeatureLayout:
        """Return the layout with a column more, of the rows' domain."""
        if self.texts or len(self.shape) > 1:
            raise CodsaError("domain: the only feature is a text or an image, which takes no further column")
        column = len(self.ordered) + len(self.coded)
        return replace(self, ordered=[*self.ordered, column], shape=[], domain=True)


@dataclass(frozen=True)
class WeightedRows:
    """Rows with targets and weights: a training set, or rows for validation.

    Attributes
    ----------
    x : ndarray of float64, shape (n, d)
        As `feature_matrix` gives it.
    y : ndarray of shape (n,)
        Class indices (int64; 1 is anomalous) or values (float64).
    weight : ndarray of shape (n,)
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def with_domain(self, of_pool: np.ndarray | None = None) -> WeightedRows:
        """Return the rows with a last column that is 1 for rows of the pool; by default there are none."""
        column = np.zeros(len(self.y)) if of_pool is None else of_pool.astype(float)
        return replace(self, x=np.column_stack([self.x, column]))


def evenly(rows: WeightedRows) -> np.ndarray:
    """Return weights that give every class the same number of rows, and count those of the rows within it."""
    _, own, counts = np.unique(rows.y, return_inverse=True, return_counts=True)
    return np.asarray(rows.weight / counts[own])


def balanced(rows: WeightedRows) -> np.ndarray:
    """Return weights whose sum is the same for every class."""
    _, own = np.unique(rows.y, return_inverse=True)
    return np.asarray(rows.weight / np.bincount(own, weights=rows.weight)[own])


def _effective_weight(settings: Mapping[str, Any], rows: WeightedRows) -> np.ndarray:
    """Take scikit-learn's class_weight into account; by most of its estimators the weights of rows count besides."""
    return evenly(rows) if str(settings.get("class_weight")).startswith("balanced") else rows.weight


@dataclass(frozen=True)
class EstimatorKind:
    """A registered estimator.

    Attributes
    ----------
    build : callable
        (layout, seed, settings) → an unfitted estimator.
    preprocess : str
        What 'auto' stands for.
    read : callable, optional
        (folder, layout) → a fitted model that wrote itself there; the others are written by skops.
    modality : {'tables', 'images', 'texts'}
        The features that the contract suite fits it on: columns of numbers and categories, one image, one text.
    tasks : tuple of {'classification', 'regression', 'detection'}
    seeded : callable
        settings → whether fits of the same rows with other seeds differ. Others are fitted once, however many fits are
        to be averaged.
    steps : callable
        (unfitted estimator, training rows) → the gradient steps, boosting rounds or trees that it may take at most;
        None where it has no such number.
    members : callable
        unfitted estimator → the number of models that one fit averages by itself.
    effective_weight : callable
        (settings, training rows) → the weights of the rows that class probabilities are true to: others than those
        of the rows where the estimator balances its classes.
    """

    build: Callable[[FeatureLayout, int, Mapping[str, Any]], Any]
    preprocess: str
    read: Callable[[Path, FeatureLayout], Any] | None = None
    modality: Literal["tables", "images", "texts"] = "tables"
    tasks: tuple[str, ...] = ("classification", "regression")
    seeded: Callable[[Mapping[str, Any]], bool] = lambda settings: True
    steps: Callable[[Any, int], int | None] = lambda model, rows: None
    members: Callable[[Any], int] = lambda model: 1
    effective_weight: Callable[[Mapping[str, Any], WeightedRows], np.ndarray] = _effective_weight


def feature_matrix(rows: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return the features as numbers, ndarray of float64, shape (n, d).

    Ordered columns as they are (missing as NaN, dates in days), arrays element by element, others
    as level codes (-1 for a level that the schema lacks, which `preprocessor` handles). An array or text that is the
    only feature keeps its type.
    """
    matrices = [_numbers(rows[name], schema.column(name)) for name in schema.features]
    return matrices[0] if len(matrices) == 1 else np.column_stack(matrices).astype(float, copy=False)


def _numbers(values: pd.Series, column: Column) -> np.ndarray:
    """Return a column as a matrix: one column wide, or as wide as its arrays are long."""
    if column.is_array:
        return arrays(values).reshape(len(values), -1)
    if column.type == "text":
        return values.to_numpy(dtype=object)[:, None]
    return _as_numbers(values, column)[:, None]


def _as_numbers(values: pd.Series, column: Column) -> np.ndarray:
    if not is_ordered(column):
        return level_codes(values, column).astype(float)
    numbers = to_float(values)
    return numbers / 86_400e9 if column.type == "datetime" else numbers


def target_vector(rows: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return the target: class indices or values (float64), or 1 for anomalous rows (int64), shape (n,)."""
    column = schema.column(schema.target)
    if schema.task == "detection":
        return (~rows[column.name].isin(schema.normal)).to_numpy(dtype=np.int64)
    if schema.task == "classification":
        return level_codes(rows[column.name], column)
    return to_float(rows[column.name])


def weighted_rows(rows: pd.DataFrame, schema: Schema, weight: np.ndarray) -> WeightedRows:
    """Return rows as the arrays that estimators compute with."""
    return WeightedRows(feature_matrix(rows, schema), target_vector(rows, schema), weight)


def layout_of(schema: Schema, steps_rows: int) -> FeatureLayout:
    """Return the layout of `feature_matrix`."""
    columns = [schema.column(name) for name in schema.features]
    widths = [int(np.prod(c.shape)) if c.shape else 1 for c in columns]
    kinds = [c for c, width in zip(columns, widths, strict=True) for _ in range(width)]
    ordered = [j for j, c in enumerate(kinds) if is_ordered(c) or c.is_array]
    unordered = set(range(len(kinds))) - set(ordered)
    coded = sorted(j for j in unordered if kinds[j].type != "text")
    missing_codes = [len(kinds[j].levels or []) for j in coded]
    shape = list(columns[0].shape or []) if len(columns) == 1 else []
    classes = len(schema.classes) if schema.task == "classification" else 0
    return FeatureLayout(
        schema.task,
        classes,
        ordered,
        coded=coded,
        steps_rows=steps_rows,
        shape=shape,
        texts=any(c.type == "text" for c in columns),
        missing_codes=missing_codes,
    )


def preprocessor(kind: str, layout: FeatureLayout) -> Any:
    """Return an unfitted transformer of the feature matrix.

    A level that the training rows lack counts as missing where codes stay codes, and has no column of its own where
    they become one-hot. Numbers beyond the training rows' bounds stay as they are.

    Raises
    ------
    CodsaError
        For an unknown kind, or 'none' where there are categories.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    if kind == GIVEN:
        return FunctionTransformer()
    check_choice("estimator: preprocess", kind, PREPROCESSING)
    if layout.texts and kind != "none":
        raise CodsaError("the feature is a text, which estimators of numbers cannot read; use tfidf-logistic")
    if layout.texts:
        return FunctionTransformer()
    if kind == "none" and layout.coded:
        raise CodsaError("estimator: preprocess none takes numbers only, and the table has categories; use auto")
    if kind in ("none", "ordinal"):
        return FunctionTransformer(fill_empty, kw_args={"coded": layout.coded, "missing_codes": layout.missing_codes})
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    numbers = make_pipeline(imputer, _smooth(layout) if kind == "smooth" else StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", max_categories=50, sparse_output=False)
    return ColumnTransformer([("ordered", numbers, layout.ordered), ("coded", levels, layout.coded)])


def fill_empty(x: np.ndarray, coded: Sequence[int] = (), missing_codes: Sequence[int] = ()) -> np.ndarray:
    """Return the features with columns that are missing throughout set to 0, which trees cannot bin otherwise.

    Parameters
    ----------
    coded : sequence of int
        The columns of codes, in which -1, a level that no training row has, becomes the code of a missing value.
    missing_codes : sequence of int
        These codes, one for each.
    """
    for j, code in zip(coded, missing_codes, strict=False):
        if (x[:, j] < 0).any():
            x = x.copy()
            x[:, j] = np.where(x[:, j] < 0, code, x[:, j])
    empty = np.isnan(x).all(axis=0)
    return np.where(empty, 0.0, x) if empty.any() else x


def _smooth(layout: FeatureLayout) -> Any:
    """Return an unfitted transformer that gives every number as its rank and by asinh, both of about unit scale."""
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, QuantileTransformer, RobustScaler, StandardScaler

    ranks = QuantileTransformer(n_quantiles=min(1000, max(layout.steps_rows // 2, 2)), subsample=None)
    tails = make_pipeline(RobustScaler(), FunctionTransformer(np.arcsinh))
    return make_pipeline(make_union(ranks, tails), StandardScaler())


@dataclass(frozen=True)
class FitFacts:
    """How an estimator was fitted.

    Attributes
    ----------
    steps : int, optional
        Gradient steps, boosting rounds or trees at most.
    members : int
        Models that the fit averages by itself.
    spec : EstimatorSpec, optional
        With the settings that were taken, and no search; None: those that were asked for.
    """

    steps: int | None = None
    members: int = 1
    spec: EstimatorSpec | None = None


class Fitted:
    """A fitted estimator behind its fitted preprocessing.

    Parameters
    ----------
    transform : transformer
    model : estimator
        Of scikit-learn's protocol.
    layout : FeatureLayout
    folder : Path, optional
        Where it was read from.
    facts : FitFacts, optional
        How it was fitted.
    """

    def __init__(
        self,
        transform: Any,
        model: Any,
        layout: FeatureLayout,
        folder: Path | None = None,
        facts: FitFacts | None = None,
    ) -> None:
        self.transform, self.model, self.layout, self.folder = transform, model, layout, folder
        self.facts = facts or FitFacts()

    @property
    def steps(self) -> int | None:
        """The gradient steps, boosting rounds or trees that the fit may take at most; None where there are none."""
        return self.facts.steps

    @property
    def count(self) -> int:
        """The number of models whose predictions are averaged."""
        return self.facts.members

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C), or values or anomaly scores of shape (n,).

        A class without training rows has probability 0. A score is the negative of what
        scikit-learn's detectors call `score_samples`.

        Raises
        ------
        CodsaError
            Where it was read from a folder that holds no estimator of such rows.
        """
        if self.folder is None:
            return self._predict(x)
        with readable(self.folder):
            return self._predict(x)

    def _predict(self, x: np.ndarray) -> np.ndarray:
        if self.layout.domain:
            x = np.column_stack([x, np.zeros(len(x))])
        inner = self.transform.transform(x)
        if self.layout.task == "detection":
            return -np.asarray(self.model.score_samples(inner), dtype=float)
        if self.layout.task == "regression":
            return np.asarray(self.model.predict(inner), dtype=float)
        seen = np.asarray(self.model.classes_, dtype=np.int64)
        probabilities = np.zeros((len(x), self.layout.classes))
        if len(seen) == 1:
            probabilities[:, seen] = 1.0
        elif hasattr(self.model, "predict_proba"):
            predicted = np.asarray(
                self.model.predict_proba(inner), dtype=float
            )  # a model in float32 sums to 1 but nearly
            probabilities[:, seen] = predicted / np.maximum(predicted.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        else:
            probabilities[np.arange(len(x)), np.asarray(self.model.predict(inner), dtype=np.int64)] = 1.0
        return probabilities


@dataclass(frozen=True)
class Average:
    """The average of several fitted estimators' predictions: what cross-fitting ends in.

    Attributes
    ----------
    members : list of Fitted
    """

    members: list[Fitted]

    @property
    def steps(self) -> int | None:
        """What one member may take at most: the most of any, which differ where their rows do."""
        return max((member.steps for member in self.members if member.steps is not None), default=None)

    @property
    def count(self) -> int:
        """The number of models whose predictions are averaged."""
        return sum(member.count for member in self.members)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the mean of the members' class probabilities, or of their values."""
        return np.asarray(np.mean([member.predict(x) for member in self.members], axis=0))


Predictor = Fitted | Average


def average_predictors(predictors: Sequence[Predictor]) -> Predictor:
    """Return the average of several fitted estimators, or of all members of averages; a single one stays as it is."""
    members = [one for part in predictors for one in (part.members if isinstance(part, Average) else [part])]
    return members[0] if len(members) == 1 else Average(members)


def estimator_kind(spec: EstimatorSpec) -> EstimatorKind:
    """Return the registered kind, or one made around a user's `module:Class`, or around an object."""
    if isinstance(spec, ObjectEstimator):
        return _object_kind(spec.unfitted)
    registered = load("estimator", spec.name, ESTIMATORS)
    if isinstance(registered, EstimatorKind):
        return registered
    if not inspect.isclass(registered):
        raise CodsaError(f"estimator '{spec.name}': its plug-in gives neither a class nor an EstimatorKind")

    takes_seed = "random_state" in inspect.signature(registered).parameters

    def build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
        check_settings("estimator", spec.name, registered, settings)
        return validated(spec.name, registered(**{**({"random_state": seed} if takes_seed else {}), **settings}))

    return EstimatorKind(build, "standard", seeded=lambda settings: takes_seed)


def _object_kind(unfitted: Any) -> EstimatorKind:
    """Return the kind of an estimator that is there as an object; its free seeds are set, those it has stay."""
    settings = unfitted.get_params() if hasattr(unfitted, "get_params") else {}
    free = [name for name, value in settings.items() if name.split("__")[-1] == "random_state" and value is None]

    def build(layout: FeatureLayout, seed: int, _: Mapping[str, Any]) -> Any:
        from sklearn.base import clone

        return clone(unfitted).set_params(**dict.fromkeys(free, seed)) if free else clone(unfitted)

    return EstimatorKind(
        build,
        GIVEN,
        seeded=lambda _: bool(free),
        effective_weight=lambda _, rows: _effective_weight(settings, rows),
    )


def alternatives(spec: EstimatorSpec) -> list[EstimatorSpec]:
    """Return the estimator with the settings of each alternative that its search has, or as it is without a search."""
    return [
        spec.model_copy(update={"settings": {**spec.settings, **tried}, "search": [], "average": 1})
        for tried in spec.search or [{}]
    ]


def check_spec(spec: EstimatorSpec, task: str | None = None) -> None:
    """Raise a `CodsaError` for settings that an estimator cannot have, before there are data.

    Parameters
    ----------
    task : str, optional
        None: the settings must suit one of classification and regression.

    Examples
    --------
    >>> from codsa.estimators.base import check_spec
    >>> from codsa.settings.estimator import EstimatorSpec
    >>> check_spec(EstimatorSpec(name="gradient-boosting", settings={"max_iter": 50}))
    """
    if spec.search and task == "detection":
        raise CodsaError("estimator: search chooses by the loss of a target, which a detector does not predict")
    for alternative in alternatives(spec):
        _check_settings_of(alternative, task)


def _check_settings_of(spec: EstimatorSpec, task: str | None) -> None:
    kind, refusals = estimator_kind(spec), []
    layouts = [
        FeatureLayout("classification", 2, [], coded=[], steps_rows=1, texts=spec.name == TEXTS),
        FeatureLayout("regression", 0, [], coded=[], steps_rows=1),
    ]
    for layout in [layout for layout in layouts if task in (None, layout.task)]:
        try:
            kind.build(layout, 0, spec.settings)
            return
        except CodsaError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def validated(name: str, model: Any) -> Any:
    """Return an unfitted estimator of scikit-learn's, or raise a `CodsaError` for a setting that it cannot have."""
    fault = check_parameters(model)
    if fault is None:
        return model
    setting, text = fault
    if setting is not None:
        text = f"{setting} = {quoted_value(getattr(model, setting, None))}: should be {text}"
    raise CodsaError(f"estimator '{name}': {text}")
