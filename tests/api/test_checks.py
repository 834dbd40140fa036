"""The check suites of scikit-learn and imbalanced-learn."""

from __future__ import annotations

from typing import Any

from imblearn.utils.estimator_checks import parametrize_with_checks as parametrize_with_sampler_checks
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from codsa import CoDSAClassifier, CoDSAOverSampler, CoDSARegressor

CHEAP = {"generator": "gaussian", "r": 0.5, "m": 1.0, "random_state": 0}


def expected_failures(estimator: Any) -> dict[str, str]:
    """Return the checks that cannot pass, with their reasons."""
    if not isinstance(estimator, CoDSARegressor):
        return {}
    reason = "fits 10 rows, of which not every third of the target has a row left for validation"
    return dict.fromkeys(("check_n_features_in_after_fitting", "check_regressors_no_decision_function"), reason)


@parametrize_with_sampler_checks([CoDSAOverSampler(generator="gaussian", random_state=0)])
def test_the_sampler_keeps_the_contract_of_imbalanced_learn(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        CoDSAOverSampler(generator="bootstrap", random_state=0),
        CoDSAClassifier(LogisticRegression(), **CHEAP),
        CoDSARegressor(Ridge(), **CHEAP),
    ],
    expected_failed_checks=expected_failures,
)
def test_all_keep_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
