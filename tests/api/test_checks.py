"""The check suites of scikit-learn and imbalanced-learn."""

from __future__ import annotations

from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_sampler_checks
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from codsa import CoDSAClassifier, CoDSAOverSampler, CoDSARegressor

CHEAP = {"generator": "gaussian", "r": 0.5, "m": 1.0, "random_state": 0}


@parametrize_with_sampler_checks([CoDSAOverSampler(generator="gaussian", random_state=0)])
def test_the_sampler_keeps_the_contract_of_imbalanced_learn(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        CoDSAOverSampler(generator="bootstrap", random_state=0),
        CoDSAClassifier(LogisticRegression(), **CHEAP),
        CoDSARegressor(Ridge(), **CHEAP),
        CoDSAClassifier("logistic", **CHEAP),
    ]
)
def test_all_keep_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
