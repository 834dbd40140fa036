"""CoDSAOverSampler: synthetic rows of thin classes or regions, under imbalanced-learn's contract."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_sampling_strategy, check_target_type
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length

from codsa.api.errors import InputError, as_value_error
from codsa.api.forms import stacked
from codsa.api.inputs import MOST_SEED, checked_table, named
from codsa.api.pools import all_train, pool_of, trained_on
from codsa.api.problem import Problem, RegionSpec, problem_of
from codsa.data.grid import points
from codsa.generators.base import Generator
from codsa.io.library_internals import validate_parameters
from codsa.io.seeds import SeedContext
from codsa.settings.grid import Grid
from codsa.stages.split import target_law


class CoDSAOverSampler(BaseOverSampler):  # type: ignore[misc]
    """Over-sample thin classes, or thin regions of any kind, with rows of a conditional generator.

    In a pipeline of imbalanced-learn it stands where SMOTE would. Beyond imbalanced-learn's samplers it takes regions
    other than the class, a continuous target, and columns of every type: numbers, categories, truth values and dates,
    with missing values, whose dtypes stay.

    Parameters
    ----------
    sampling_strategy : float, str, dict or callable, default='auto'
        As in imbalanced-learn, of the classes; with `regions`, of the regions by name. A dict gives the rows that a
        class has in the end.
    random_state : int, RandomState instance or None, default=None
        The only source of randomness.
    generator : str or Generator, default='tabular-diffusion'
        A registered generator ('tabular-diffusion', 'smote-labelled', 'gaussian', 'smote', 'bootstrap', …),
        `module:Class`, or an unfitted `codsa.generators.Generator`.
    settings : dict or None, default=None
        Keyword arguments of a generator that is given by name.
    regions : str, int, dict, callable or None, default=None
        What takes the place of the class: a column of X by name or place; a dict as the section `regions` of an
        experiment, {'by': 'quantile', 'quantiles': 4, 'column': 'age'}, where no column means the target; or a
        function of X, or of X and y, that names each row's region. A continuous y needs one of these.
    m : int, float or None, default=None
        Synthetic rows, a whole number of them or a multiple of n; they are shared out by `alpha`, and
        `sampling_strategy` is not read.
    alpha : str, float or dict, default='balance'
        With `m`: 'balance' (Eq. 5: all rows follow the law), 'target', 'training', weights by region, or the weight of
        the region that the law favours most.
    law : str or dict, default='balanced'
        With `m`: the target law Q over the regions, 'balanced', 'training' or weights by name.

    Attributes
    ----------
    synthetic_ : ndarray of bool, shape (n_samples_new,)
        Which rows of the result are synthetic. The rows that were given stand first, in their order.
    regions_ : ndarray of str, shape (n_samples_new,)
        Each row's region; without `regions`, its class.
    sampling_strategy_ : dict
        Class or region → rows that were added.
    generator_ : Generator
        The fitted generator.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names that are texts.

    See Also
    --------
    codsa.CoDSAClassifier, codsa.CoDSARegressor : They try whether adding rows helps, and add none where it does not.

    References
    ----------
    Conditional Data Synthesis Augmentation, arXiv 2504.07426.

    Examples
    --------
    >>> from collections import Counter
    >>> from sklearn.datasets import make_classification
    >>> from codsa import CoDSAOverSampler
    >>> X, y = make_classification(n_samples=120, weights=[0.9], random_state=0)
    >>> sampler = CoDSAOverSampler(generator="gaussian", random_state=0)
    >>> X_new, y_new = sampler.fit_resample(X, y)
    >>> len(set(Counter(y_new.tolist()).values())), int(sampler.synthetic_.sum()) == len(X_new) - len(X)
    (1, True)
    """

    _parameter_constraints: dict[str, Any] = {
        **BaseOverSampler._parameter_constraints,
        "generator": [str, Generator],
        "settings": [Mapping, None],
        "regions": [str, Integral, Mapping, callable, None],
        "m": [Real, None],
        "alpha": [str, Real, Mapping],
        "law": [str, Mapping],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        generator: str | Generator = "tabular-diffusion",
        settings: Mapping[str, Any] | None = None,
        regions: RegionSpec = None,
        m: float | None = None,
        alpha: Any = "balance",
        law: Any = "balanced",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.generator, self.settings, self.regions = generator, settings, regions
        self.m, self.alpha, self.law = m, alpha, law

    def fit(self, X: Any, y: Any) -> Self:
        """Check the data and settle how many rows of each class or region would be added; `fit_resample` adds them."""
        validate_parameters(self)
        with as_value_error():
            X, y, _ = self._check_X_y(X, y)
            self._settle(self._problem(X, y), y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the rows given and synthetic ones below them.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n, d)
        y : array-like of shape (n,)

        Returns
        -------
        X_resampled, y_resampled
            Of the kinds, dtypes and names that were given.
        """
        if self.regions is None:  # the contract of imbalanced-learn, by its own code
            resampled: tuple[Any, Any] = super().fit_resample(X, y)
            return resampled
        validate_parameters(self)
        with as_value_error():
            table, target, _ = self._check_X_y(X, y)
        X_new, y_new = self._fit_resample(table, target)
        return X_new.tolist() if isinstance(X, list) else X_new, _like(y_new, y)

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, np.ndarray, bool]:
        if self._continuous(y):
            y, one_vs_all = column_or_1d(check_array(y, ensure_2d=False, input_name="y", estimator=self)), False
        else:
            check_classification_targets(y)
            y, one_vs_all = check_target_type(y, indicate_one_vs_all=True)
        X = checked_table(self, X)
        check_consistent_length(X, y)
        return X, np.asarray(y), one_vs_all

    def _continuous(self, y: Any) -> bool:
        return self.regions is not None and type_of_target(y).startswith("continuous")

    def _problem(self, X: Any, y: np.ndarray) -> Problem:
        classes = None if self._continuous(y) else np.unique(y)
        if classes is not None and len(classes) < 2:
            raise InputError(f"The target 'y' needs to have more than 1 class. Got {len(classes)} class instead")
        return problem_of(X, y, classes, self.regions)

    def _settle(self, problem: Problem, y: np.ndarray) -> np.ndarray:
        """Settle `sampling_strategy_`, and return the rows to add of each region, ndarray of int64, shape (K,)."""
        schema = problem.dataset.schema
        names = schema.regions.names
        keys = np.array(names, dtype=object) if self.regions is not None else np.asarray(problem.classes)
        if self.m is not None:
            q = target_law(named(self.law), schema, problem.dataset.regions())
            ratio = self.m / len(y) if isinstance(self.m, Integral) else float(self.m)
            grid = Grid.read({"m": [ratio], "alpha": [named(self.alpha)], "reserve": "all"}, type(self).__name__)
            counts = points(grid, 1.0, all_train(problem.dataset, q), schema)[0].counts
            self.sampling_strategy_ = {key: int(c) for key, c in zip(keys.tolist(), counts, strict=True) if c}
            return counts
        labels = y if self.regions is None else keys[problem.dataset.regions()]
        strategy = self.sampling_strategy
        if self.regions is not None and isinstance(strategy, Mapping):
            strategy = {str(key): value for key, value in strategy.items()}
        self.sampling_strategy_ = check_sampling_strategy(strategy, labels, "over-sampling")
        return np.array([self.sampling_strategy_.get(key, 0) for key in keys.tolist()], dtype=np.int64)

    def _fit_resample(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        with as_value_error():
            return self._resampled(X, y)

    def _resampled(self, X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
        problem = self._problem(X, y)
        counts = self._settle(problem, y)
        dataset = problem.dataset
        seed = int(check_random_state(self.random_state).randint(MOST_SEED))
        seeds = SeedContext(seed, "over-sampling", 0)
        split = all_train(dataset, np.full(len(counts), 1 / len(counts)))
        trained = trained_on(dataset, split, 1.0, self.generator, self.settings or {}, seeds)
        rows = pool_of(problem, trained, counts, seeds).prefix(counts, dataset.schema.regions.names)
        self.generator_ = trained.generator
        self.synthetic_ = np.arange(len(y) + len(rows)) >= len(y)
        names = np.array(dataset.schema.regions.names, dtype=object)
        self.regions_ = names[np.r_[dataset.regions(), np.repeat(np.arange(len(counts)), counts)]]
        y_new = problem.restored_target(rows)
        return stacked(problem.form, X, rows), np.concatenate([y, y_new.astype(y.dtype, copy=False)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _like(values: np.ndarray, y: Any) -> Any:
    """Return a target as the user's was given: a list, a Series with its name and dtype, or an array."""
    if isinstance(y, pd.Series):
        return pd.Series(values, name=y.name).astype(y.dtype)
    if isinstance(y, pd.DataFrame):
        return pd.DataFrame(values, columns=y.columns).astype(y.dtypes)
    return values.tolist() if isinstance(y, list) else values
