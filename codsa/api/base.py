"""What CoDSAClassifier and CoDSARegressor share: the search of λ, its results, and the folder of a fitted one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from codsa.api.errors import InputError, as_value_error
from codsa.api.inputs import MOST_SEED, checked_table, named
from codsa.api.model import array_of, model_of, plain, read_model, write_model
from codsa.api.pools import generator_name
from codsa.api.problem import RegionSpec, problem_of
from codsa.api.results import best_params, cv_results, verdict
from codsa.api.search import Plan, search
from codsa.data.metrics import RECALIBRATED, check_metric, default_metric
from codsa.estimators.base import check_spec
from codsa.generators.base import Generator
from codsa.io.library_internals import has_methods, one_of, validate_parameters
from codsa.io.seeds import SeedContext
from codsa.settings.estimator import EstimatorSpec, ObjectEstimator
from codsa.settings.grid import Grid

KEPT = ("best_params_", "best_index_", "verdict_", "n_features_in_", "cv_results_", "classes_", "feature_names_in_")
"""Fitted attributes that a saved estimator has."""


class AugmentedEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator fitted with as many synthetic rows as validation rows say; see `codsa.CoDSAClassifier`."""

    task: ClassVar[str]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [str, Mapping, has_methods("fit", "predict"), None],
        "generator": [str, Generator],
        "settings": [Mapping, None],
        "regions": [str, Integral, Mapping, callable, None],
        "r": [Real, list, tuple, np.ndarray],
        "m": [Real, list, tuple, np.ndarray],
        "alpha": [str, Real, Mapping, list, tuple, np.ndarray],
        "reserve": [one_of("disjoint", "all")],
        "law": [str, Mapping],
        "validation": [Real],
        "metric": [str, None],
        "recalibrate": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        generator: str | Generator = "tabular-diffusion",
        settings: Mapping[str, Any] | None = None,
        regions: RegionSpec = None,
        r: Any = (0.5, 0.8),
        m: Any = (0.5, 1.0, 2.0),
        alpha: Any = ("balance",),
        reserve: str = "disjoint",
        law: Any = "balanced",
        validation: float = 0.2,
        metric: str | None = None,
        recalibrate: bool = False,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator, self.generator, self.settings, self.regions = estimator, generator, settings, regions
        self.r, self.m, self.alpha, self.reserve = r, m, alpha, reserve
        self.law, self.validation, self.metric, self.recalibrate = law, validation, metric, recalibrate
        self.n_jobs, self.random_state = n_jobs, random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Split the rows, train a generator for each r, choose λ on validation rows, and keep what was chosen.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
        y : array-like of shape (n,)

        Raises
        ------
        ValueError
            For parameters or data that it cannot be fitted with; it names them and what to do.
        """
        validate_parameters(self)
        if y is None:
            raise InputError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with as_value_error():
            table = checked_table(self, X, allow_nan=self._allows_nan(), fewest=2)
            return self._fit(table, self._target(y))

    def _target(self, y: Any) -> np.ndarray:
        raise NotImplementedError

    def _fit(self, table: Any, y: np.ndarray) -> Self:
        check_consistent_length(table, y)
        classes = np.unique(y) if self.task == "classification" else None
        if classes is not None and len(classes) < 2:
            raise InputError(f"y has only 1 class, {classes[0]!r}; a classifier needs two at least")
        plan = self._plan()
        problem = problem_of(table, y, classes, self.regions)
        seed = int(check_random_state(self.random_state).randint(MOST_SEED))
        found = search(problem, plan, SeedContext(seed, "estimator", 0), 1 if self.n_jobs is None else self.n_jobs)
        point = found.fitted[found.chosen]
        helped = point.recalibration if found.column == RECALIBRATED else None
        self.model_ = model_of(problem, found.schema, plan.spec, point.predictor, helped)
        if classes is not None:
            self.classes_ = classes
        self.generator_ = found.generators[found.chosen]
        self.cv_results_, self.best_index_ = cv_results(found, plan), found.chosen
        self.best_params_, self.verdict_ = best_params(found), verdict(found, plan)
        return self

    def _plan(self) -> Plan:
        grid = {"m": [float(m) for m in _several(self.m)], "alpha": [named(a) for a in _several(self.alpha)]}
        return Plan(
            spec=self._spec(),
            generator=self.generator,
            settings=self.settings or {},
            ratios=[float(r) for r in _several(self.r)],
            grid=Grid.read({**grid, "reserve": self.reserve}, type(self).__name__),
            law=named(self.law),
            validation=self.validation,
            metric=check_metric(self.metric or default_metric(self.task), self.task),
            recalibrate=self.recalibrate,
        )

    @property
    def _is_registered(self) -> bool:
        return self.estimator is None or isinstance(self.estimator, str | Mapping)

    def _spec(self) -> EstimatorSpec:
        """Return the estimator by name, or around the object that was given."""
        if self._is_registered:
            section = {"name": self.estimator} if isinstance(self.estimator, str) else dict(self.estimator or {})
            spec = EstimatorSpec.read(section, "estimator")
            check_spec(spec, self.task)
            return spec
        wrong = is_regressor if self.task == "classification" else is_classifier
        if wrong(self.estimator):
            raise InputError(f"estimator = {self.estimator!r}: is no estimator for {self.task}; give one that is")
        kind = type(self.estimator)
        return ObjectEstimator(name=f"{kind.__module__}:{kind.__qualname__}", unfitted=self.estimator)

    def _predicted(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        with as_value_error():
            return self.model_.predict(checked_table(self, X, fitting=False, allow_nan=self._allows_nan()))

    def _allows_nan(self) -> bool:
        """Say whether X may lack values: for registered estimators it may, for others they say it."""
        return self._is_registered or bool(get_tags(self.estimator).input_tags.allow_nan)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allows_nan()
        tags.target_tags.required = True
        return tags

    def save(self, folder: str | Path) -> None:
        """Write the fitted estimator into a new folder, without pickle.

        Raises
        ------
        ValueError
            For an estimator that cannot be kept without pickle, or a folder that holds anything else.
        """
        check_is_fitted(self, "model_")
        attributes = {name: plain(getattr(self, name)) for name in KEPT if hasattr(self, name)}
        if hasattr(self, "classes_"):
            attributes["classes_dtype"] = str(self.classes_.dtype)
        params = {name: plain(value) for name, value in self.get_params(deep=False).items()}
        params["generator"] = generator_name(self.generator)
        with as_value_error():
            write_model(Path(folder), self.model_, type(self).__name__, params, attributes)

    @classmethod
    def load(cls, folder: str | Path, trusted: Collection[str] = ()) -> Self:
        """Read what `save` wrote; it predicts the same.

        Generators are not kept. A function for `regions`, or a generator that was an object, has to be set again
        before it is fitted again.

        Parameters
        ----------
        folder : str or Path
        trusted : collection of str
            The `module:Class` of estimators, and full names of types, that may be imported beside scikit-learn's.
            Give them only for a folder whose maker you trust.
        """
        with as_value_error():
            model, record = read_model(Path(folder), trusted)
        if record.kind != cls.__name__:
            raise InputError(f"{folder}: holds a {record.kind}; read it with {record.kind}.load")
        loaded = cls(**{name: value for name, value in record.params.items() if name in cls._parameter_constraints})
        if isinstance(model.spec, ObjectEstimator):
            loaded.estimator = clone(model.spec.unfitted)
        loaded.model_ = model
        for name in KEPT:
            if name in record.attributes:
                setattr(loaded, name, _attribute(name, record.attributes))
        return loaded


def _attribute(name: str, attributes: Mapping[str, Any]) -> Any:
    value = attributes[name]
    if name == "classes_":
        return array_of(value, attributes["classes_dtype"])
    if name == "feature_names_in_":
        return np.array(value, dtype=object)
    if name == "cv_results_":
        return {key: tried if key == "params" else _column(key, tried) for key, tried in value.items()}
    return value


def _column(key: str, tried: list[Any]) -> np.ndarray:
    return np.array(tried, dtype=object if key.startswith("param_") else None)


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
