"""CoDSAClassifier and CoDSARegressor: an estimator with as many synthetic rows as validation rows say, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from codsa.api.base import AugmentedEstimator


def _gives_probabilities(wrapper: Any) -> bool:
    return wrapper._is_registered or hasattr(wrapper.estimator, "predict_proba")


class CoDSAClassifier(ClassifierMixin, AugmentedEstimator):  # type: ignore[misc]
    """A classifier with as many synthetic rows as validation rows say, or none.

    Fitting splits the rows into S_g, S_r and validation rows, trains a generator on S_g, fits the estimator on S_r
    with synthetic rows for every λ = (m, α, r), and on all training rows without any, as they are and weighted.
    Validation rows, weighted to the target law Q, choose: the simplest that is within one standard error of the best,
    adding nothing included. Every random number, level and bound comes from the rows that `fit` gets, so cross-
    validation around it leaks no fold.

    Parameters
    ----------
    estimator : estimator, str, dict or None, default=None
        A classifier of scikit-learn's protocol, which gets X as it is given, and classes as their places 0, 1, … in
        sorted order; or a registered one by name ('gradient-boosting', 'logistic', 'random-forest', …) or as the
        section `estimator` of an experiment, which takes missing values, categories and dates. None: gradient
        boosting whose size validation rows choose.
    generator : str or Generator, default='tabular-diffusion'
        As `CoDSAOverSampler` takes it.
    settings : dict or None, default=None
        Keyword arguments of a generator that is given by name.
    regions : str, int, dict, callable or None, default=None
        As `CoDSAOverSampler` takes it; default: the class.
    r : float or list of float, default=(0.5, 0.8)
        Shares of the training rows that the generator learns from; each trains one generator.
    m : float or list of float, default=(0.5, 1.0, 2.0)
        Synthetic rows as multiples of the number of training rows. Adding none is always tried.
    alpha : str, float, dict or list of these, default=('balance',)
        Allocations over regions: 'balance' (Eq. 5), 'target', 'training', weights by region, or the weight of the
        region that Q favours most.
    reserve : {'disjoint', 'all'}, default='disjoint'
        Real rows beside synthetic ones: S_r, or every training row.
    law : str or dict, default='balanced'
        The law Q over the regions that the estimator is to do well under: 'balanced', 'training', or weights by name.
    validation : float or int, default=0.2
        A share of every region, or a number of rows.
    metric : str or None, default=None
        Of validation rows: 'cross-entropy', 'roc-auc', 'balanced-accuracy', 'f1', 'kappa' or 'quadratic-kappa';
        default: the first, or balanced accuracy where the estimator gives no probabilities.
    recalibrate : bool, default=True
        Whether candidates are recalibrated on validation rows, alike, and predictions with them: a shift of the
        classes' shares to Q, and a temperature. Without it that shift alone may pass for a gain of the rows.
    weights : bool, default=True
        Whether weighting the real rows by q/p of their region is tried, where the estimator takes weights.
    average : int, default=1
        Fits with different seeds whose predictions are averaged.
    n_jobs : int or None, default=None
        Points that are fitted at the same time; results do not depend on it.
    random_state : int, RandomState instance or None, default=None
        The only source of randomness. An estimator's own `random_state` that is set stays.

    Attributes
    ----------
    best_params_ : dict
        The chosen r, m and alpha, the synthetic rows of each region, and whether real rows are weighted; m is 0.0 where
        nothing is added.
    best_index_ : int
    cv_results_ : dict
        One entry for each point, the first of which adds nothing; scores are of the validation rows.
    verdict_ : str
        What the validation rows say, in plain words.
    generator_ : Generator or None
        The one whose rows were added.
    classes_ : ndarray of shape (C,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names that are texts.

    References
    ----------
    Conditional Data Synthesis Augmentation, arXiv 2504.07426.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from codsa import CoDSAClassifier
    >>> X, y = make_classification(n_samples=200, weights=[0.9], random_state=0)
    >>> model = CoDSAClassifier(LogisticRegression(), generator="gaussian", random_state=0).fit(X, y)
    >>> len(model.cv_results_["params"]), model.predict(X).shape
    (8, (200,))
    """

    task = "classification"

    def _target(self, y: Any) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        return np.asarray(y)

    def _default_metric(self) -> str:
        return super()._default_metric() if _gives_probabilities(self) else "balanced-accuracy"

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class in the order of `classes_`, ndarray of shape (n, C)."""
        return self._predicted(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, ndarray of shape (n,)."""
        places = self._predicted(X).argmax(axis=1)
        return np.asarray(self.classes_[places])


class CoDSARegressor(RegressorMixin, AugmentedEstimator):  # type: ignore[misc]
    """A regressor with as many synthetic rows as validation rows say, or none.

    It works as `CoDSAClassifier` does, whose parameters it has, and its attributes but `classes_`. The estimator is a
    regressor; regions are thirds of the target where `regions` names none; the metric is 'mse' (default) or 'rmse'.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from codsa import CoDSARegressor
    >>> X, y = make_regression(n_samples=150, n_features=4, noise=5.0, random_state=0)
    >>> model = CoDSARegressor(Ridge(), generator="gaussian", random_state=0).fit(X, y)
    >>> model.predict(X).shape
    (150,)
    """

    task = "regression"

    def _target(self, y: Any) -> np.ndarray:
        return np.asarray(column_or_1d(check_array(y, ensure_2d=False, input_name="y"), warn=True), dtype=float)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted value of each row, ndarray of shape (n,)."""
        return self._predicted(X)
