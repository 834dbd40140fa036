"""Tree ensembles of scikit-learn: histogram gradient boosting and random forests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codsa.estimators.base import EstimatorKind, FeatureLayout, validated
from codsa.settings.registry import check_settings


def _boosting(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    model_class = HistGradientBoostingRegressor if layout.task == "regression" else HistGradientBoostingClassifier
    check_settings("estimator", "gradient-boosting", model_class, settings)
    return validated("gradient-boosting", model_class(**{"early_stopping": False, "random_state": seed, **settings}))


def _forest(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    model_class = RandomForestRegressor if layout.task == "regression" else RandomForestClassifier
    check_settings("estimator", "random-forest", model_class, settings)
    return validated("random-forest", model_class(**{"random_state": seed, **settings}))


gradient_boosting = EstimatorKind(_boosting, "ordinal")
"""A fixed number of boosting rounds for every training set (no early stop)."""

random_forest = EstimatorKind(_forest, "ordinal")
"""100 trees unless said otherwise."""
