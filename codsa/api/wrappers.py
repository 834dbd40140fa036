"""CoDSAClassifier and CoDSARegressor: an estimator that tries whether synthetic rows help it, and says so."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, check_random_state, column_or_1d, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from codsa.api.errors import InputError, as_value_error
from codsa.api.forms import TableForm
from codsa.api.problem import Problem, RegionSpec, problem_of
from codsa.api.search import Plan, Search, TooFewRows, estimator_spec, plain_fit
from codsa.api.verdict import best_score, results_of, too_few, verdict_of
from codsa.data.metrics import check_metric, default_metric
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.estimators import Predictor
from codsa.estimators.base import feature_matrix
from codsa.estimators.recalibration import Recalibration
from codsa.estimators.unseen import new_rows
from codsa.generators.base import Generator
from codsa.io.seeds import SeedContext
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.grid import Grid

MOST_SEED = 2**31 - 1
NO_PROBABILITIES = "balanced-accuracy"
"""The metric of a classifier that gives no probabilities."""


def _gives_probabilities(wrapper: Any) -> bool:
    estimator = wrapper.estimator
    return estimator is None or isinstance(estimator, str | Mapping) or hasattr(estimator, "predict_proba")


class Augmented(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share (see there for the parameters)."""

    task: ClassVar[str]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": "no_validation",
        "generator": [str, Generator],
        "settings": [Mapping, None],
        "regions": [str, Integral, Mapping, callable, None],
        "law": [str, Mapping],
        "r": [Real, "array-like"],
        "m": [Real, "array-like"],
        "alpha": [str, Real, Mapping, list, tuple],
        "reserve": [str],
        "validation": [Real],
        "metric": [str, None],
        "weights": ["boolean"],
        "recalibrate": ["boolean"],
        "average": [Integral],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        generator: str | Generator = "tabular-diffusion",
        settings: Mapping[str, Any] | None = None,
        regions: RegionSpec = None,
        law: Any = "balanced",
        r: float | Sequence[float] = (0.5, 0.8, 1.0),
        m: float | Sequence[float] = (0.5, 1.0, 2.0),
        alpha: Any = "balance",
        reserve: str = "disjoint",
        validation: float = 0.2,
        metric: str | None = None,
        weights: bool = True,
        recalibrate: bool = True,
        average: int = 1,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.generator, self.settings = generator, settings
        self.regions, self.law = regions, law
        self.r, self.m, self.alpha, self.reserve = r, m, alpha, reserve
        self.validation, self.metric = validation, metric
        self.weights, self.recalibrate, self.average = weights, recalibrate, average
        self.random_state = random_state

    def _plan(self) -> Plan:
        seed = int(check_random_state(self.random_state).randint(MOST_SEED))
        alpha = list(self.alpha) if isinstance(self.alpha, list | tuple) else [self.alpha]
        named = [{str(k): v for k, v in a.items()} if isinstance(a, Mapping) else a for a in alpha]
        law = {str(k): v for k, v in self.law.items()} if isinstance(self.law, Mapping) else self.law
        metric = self.metric or (default_metric(self.task) if self._has_default_metric() else NO_PROBABILITIES)
        grid = {"m": _numbers(self.m), "alpha": named, "reserve": self.reserve}
        return Plan(
            spec=estimator_spec(self.estimator, self.average),
            generator=self.generator,
            settings=self.settings or {},
            r=_numbers(self.r),
            grid=Grid.read(grid, type(self).__name__),
            law=law,
            validation=self.validation,
            metric=check_metric(metric, self.task),
            weights=self.weights,
            recalibrate=self.recalibrate,
            seeds=SeedContext(seed, "wrapper", 0),
        )

    def _has_default_metric(self) -> bool:
        return True

    def _search(self, X: Any, y: np.ndarray, classes: np.ndarray | None) -> None:
        """Set the fitted attributes."""
        plan = self._plan()
        try:
            search = Search(self._problem(X, y, classes), plan)
        except TooFewRows as error:
            self._fit_plainly(X, y, classes, plan, str(error))
            return
        outcome = search.run()
        self.cv_results_ = results_of(outcome, plan)
        self.best_index_ = outcome.chosen
        self.best_params_ = outcome.tried[outcome.chosen].parameters
        self.best_score_ = best_score(outcome, plan)
        self.verdict_ = verdict_of(outcome, plan)
        self.validation_indices_ = outcome.validation.row_id
        self.law_ = dict(zip(outcome.validation.names, outcome.split.q.tolist(), strict=True))
        recalibration = outcome.point.recalibration if plan.recalibrate else None
        self._keep(outcome.problem, outcome.schema, outcome.point.predictor, recalibration, plan.spec)

    def _problem(self, X: Any, y: np.ndarray, classes: np.ndarray | None) -> Problem:
        try:
            return problem_of(X, y, classes, self.regions)
        except CodsaError as error:
            if self.regions is not None or classes is not None:
                raise
            raise TooFewRows(str(error)) from None  # a target without quantiles has no regions of its own

    def _fit_plainly(self, X: Any, y: np.ndarray, classes: np.ndarray | None, plan: Plan, reason: str) -> None:
        warnings.warn(f"{type(self).__name__}: {too_few(reason)}", UserWarning, stacklevel=4)
        problem = problem_of(X, y, classes, _halves if classes is None else None)
        predictor, schema = plain_fit(problem, plan.spec, plan.seeds)
        nothing = {"action": "nothing", "r": None, "m": 0.0, "alpha": None}
        self.cv_results_ = {"params": [nothing], **{f"param_{key}": [value] for key, value in nothing.items()}}
        self.best_index_, self.best_params_, self.best_score_ = 0, nothing, np.nan
        self.verdict_ = too_few(reason)
        self.validation_indices_, self.law_ = np.empty(0, dtype=np.int64), {}
        self._keep(problem, schema, predictor, None, plan.spec)

    def _keep(
        self,
        problem: Problem,
        schema: Schema,
        predictor: Predictor,
        recalibration: Recalibration | None,
        spec: EstimatorSpec,
    ) -> None:
        self._form, self._schema, self._spec = problem.form, schema, spec
        self._schema_classes = problem.classes
        self._predictor, self._recalibration = predictor, recalibration

    def _predicted(self, X: Any) -> np.ndarray:
        """Return class probabilities of shape (n, C) in the schema's order, or values of shape (n,)."""
        check_is_fitted(self, "verdict_")
        with as_value_error():
            X = self._checked(X, reset=False)
            predicted = self._predictor.predict(self._features(X))
        return predicted if self._recalibration is None else self._recalibration.apply(predicted)

    def _features(self, X: Any) -> Any:
        form: TableForm = self._form
        if isinstance(X, pd.DataFrame) != (form.index is not None):
            raise InputError("X: fit had a DataFrame and predict an array, or the reverse; give both the same")
        if isinstance(self._spec, ObjectEstimator):
            return X
        return feature_matrix(new_rows(form.typed(X), self._schema, "X"), self._schema)

    def _checked(self, X: Any, reset: bool) -> Any:
        """Return X as a DataFrame or array, once its shape, names and values are checked."""
        checks: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan", "ensure_min_samples": 1 + reset}
        if isinstance(X, pd.DataFrame):
            check_array(X, estimator=self, **checks)
            validate_data(self, X=X, reset=reset, skip_check_array=True)
            return X
        return validate_data(self, X=X, reset=reset, **checks)

    def _checked_target(self, X: Any, y: Any, dtype: Any) -> np.ndarray:
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        values = check_array(y, ensure_2d=False, dtype=dtype, input_name="y", estimator=self)
        if values.ndim > 1 and values.shape[1] > 1:
            raise InputError(
                f"y has shape {values.shape}, not (n,): Multilabel and multioutput targets are not supported."
            )
        check_consistent_length(X, values)
        return np.asarray(column_or_1d(values, warn=True))

    def save(self, folder: str | Path) -> None:
        """Write what predictions need into a folder, without pickle; `load` reads it back.

        Parameters
        ----------
        folder : path
            A new folder, or one that this method wrote.
        """
        from codsa.api.store import save

        check_is_fitted(self, "verdict_")
        with as_value_error():
            save(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, trusted: Collection[str] = ()) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : path
        trusted : collection of str
            The `module:Class` of estimators that may be imported beside scikit-learn's: the folder alone runs no code.
        """
        from codsa.api.store import load

        with as_value_error():
            loaded: Self = load(cls, Path(folder), trusted)
        return loaded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = self.estimator
        given = hasattr(estimator, "fit") and not isinstance(estimator, type)
        inner = get_tags(estimator).input_tags if given else None
        tags.input_tags.allow_nan = inner is None or inner.allow_nan
        tags.input_tags.sparse = False
        tags.input_tags.string = inner is None or inner.string
        tags.non_deterministic = False
        return tags


class CoDSAClassifier(ClassifierMixin, Augmented):  # type: ignore[misc]
    """A classifier that tries whether synthetic rows, where the law Q asks for them, help; and adds none if not.

    `fit` parts its rows: validation rows; and of the others S_g, on which a generator is trained, and S_r, to which
    its rows are added. Of all (r, m, α), of adding nothing, and of weighting the rows, it takes the simplest whose
    validation figure is within one standard error of the best. No row that `fit` is not given plays a part, so it can
    stand in cross_val_score and GridSearchCV.

    Parameters
    ----------
    estimator : estimator, str, dict or None, default=None
        An unfitted classifier of scikit-learn's protocol, a pipeline say, which gets X as it is; or a registered one by
        name ('gradient-boosting', 'logistic', 'mlp', 'random-forest'), or as the section `estimator` of an experiment,
        to which categories, dates and missing values are no obstacle. None: boosting whose size validation rows choose.
    generator : str or Generator, default='tabular-diffusion'
        A registered generator, `module:Class`, or an unfitted `codsa.generators.Generator`.
    settings : dict or None, default=None
        Keyword arguments of a generator that is given by name.
    regions : str, int, dict, callable or None, default=None
        A column of X by name or place; a dict as the section `regions` of an experiment; a function of X, or of X and
        y, that names each row's region. Default: the class.
    law : str or dict, default='balanced'
        Q over the regions, for which predictions are made: 'balanced', 'training', or weights by name.
    r : float or sequence of float, default=(0.5, 0.8, 1.0)
        Shares of the training rows in S_g. Each costs a training of the generator.
    m : float or sequence of float, default=(0.5, 1.0, 2.0)
        Synthetic rows as multiples of n. Adding nothing is always tried.
    alpha : str, float, dict, or a list of them, default='balance'
        How synthetic rows are shared out: 'balance' (Eq. 5), 'target', 'training', weights by region, or the weight of
        the region that Q favours most.
    reserve : {'disjoint', 'all'}, default='disjoint'
        Real rows beside synthetic ones: S_r, or every training row.
    validation : float, default=0.2
        A share of every region, or a whole number of rows under Q.
    metric : str or None, default=None
        What validation rows choose by: 'cross-entropy', 'roc-auc', 'balanced-accuracy', 'f1', 'kappa',
        'quadratic-kappa'; default: cross-entropy, or balanced accuracy where the estimator gives no probabilities.
    weights : bool, default=True
        Try weighting the real rows by q/p of their region, where the estimator takes weights.
    recalibrate : bool, default=True
        Shift probabilities to the classes' shares under Q, and fit a temperature on validation rows; all candidates
        get this alike.
    average : int, default=1
        Fits with different seeds whose predictions are averaged.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
    cv_results_ : dict
        A row per candidate: its parameters, its rows, its figures on validation rows.
    best_params_, best_index_, best_score_
        The choice, its place in `cv_results_`, and its validation figure.
    verdict_ : str
        What validation rows say, in plain words.
    validation_indices_ : ndarray of int64
        Which rows of X validated.
    law_ : dict
        Region → its weight under Q.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names that are texts.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from codsa import CoDSAClassifier
    >>> X, y = make_classification(n_samples=200, weights=[0.9], random_state=0)
    >>> model = CoDSAClassifier(LogisticRegression(), generator="gaussian", r=0.5, m=1, random_state=0).fit(X, y)
    >>> [one["action"] for one in model.cv_results_["params"]], model.predict_proba(X).shape
    (['nothing', 'weights', 'synthetic rows'], (200, 2))
    """

    task: ClassVar[str] = "classification"

    def fit(self, X: Any, y: Any) -> Self:
        """Try every candidate, and keep the one that validation rows choose.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
        y : array-like of shape (n,)
        """
        self._validate_params()
        with as_value_error():
            X = self._checked(X, reset=True)
            y = self._checked_target(X, y, None)
            check_classification_targets(y)
            self.classes_ = np.unique(y)
            if len(self.classes_) < 2:
                raise InputError(f"y has one class only, {self.classes_[0]!r}; a classifier needs two")
            self._search(X, y, self.classes_)
        return self

    def _has_default_metric(self) -> bool:
        return _gives_probabilities(self)

    def _probabilities(self, X: Any) -> np.ndarray:
        predicted = self._predicted(X)
        assert self._schema_classes is not None
        return np.asarray(predicted[:, np.argsort(self._schema_classes, kind="stable")])

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes under Q, ndarray of shape (n, C), in the order of `classes_`."""
        return self._probabilities(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, ndarray of shape (n,)."""
        probabilities = self._probabilities(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class CoDSARegressor(RegressorMixin, Augmented):  # type: ignore[misc]
    """A regressor that tries whether synthetic rows, where the law Q asks for them, help; and adds none if not.

    See `CoDSAClassifier`. What differs:

    Parameters
    ----------
    estimator : estimator, str, dict or None, default=None
        A regressor.
    regions : str, int, dict, callable or None, default=None
        Default: thirds of the target, by quantile.
    metric : str or None, default=None
        'mse' (default) or 'rmse'.
    recalibrate : bool, default=True
        Fit a line from predictions to targets on validation rows; all candidates get this alike.
    generator, settings, law, r, m, alpha, reserve, validation, weights, average, random_state
        As there.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from codsa import CoDSARegressor
    >>> X, y = make_regression(n_samples=150, n_features=4, noise=5.0, random_state=0)
    >>> model = CoDSARegressor("logistic", generator="gaussian", r=0.5, m=1, random_state=0).fit(X, y)
    >>> sorted(model.law_), model.score(X, y) > 0.9
    (['y 0–33 %', 'y 33–67 %', 'y 67–100 %'], True)
    """

    task: ClassVar[str] = "regression"

    def fit(self, X: Any, y: Any) -> Self:
        """Try every candidate, and keep the one that validation rows choose.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
        y : array-like of shape (n,)
        """
        self._validate_params()
        with as_value_error():
            X = self._checked(X, reset=True)
            self._search(X, self._checked_target(X, y, "numeric").astype(float), None)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the value of each row, ndarray of shape (n,)."""
        return self._predicted(X)


def _numbers(value: Any) -> list[float]:
    return [float(v) for v in np.atleast_1d(np.asarray(value, dtype=float))]


def _halves(x: Any) -> np.ndarray:
    """Return two regions that mean nothing, for a fit that looks at none."""
    return np.arange(len(x)) % 2
