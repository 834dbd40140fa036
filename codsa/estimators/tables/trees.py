"""Tree ensembles of scikit-learn: histogram gradient boosting and random forests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codsa.estimators.base import EstimatorKind, FeatureLayout, validated
from codsa.settings.registry import check_settings


def _boosting(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    call = HistGradientBoostingRegressor if layout.task == "regression" else HistGradientBoostingClassifier
    check_settings("estimator", "gradient-boosting", call, settings)
    return validated("gradient-boosting", call(**{"early_stopping": False, "random_state": seed, **settings}))


def _forest(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    call = RandomForestRegressor if layout.task == "regression" else RandomForestClassifier
    check_settings("estimator", "random-forest", call, settings)
    return validated("random-forest", call(**{"random_state": seed, **settings}))


gradient_boosting = EstimatorKind(_boosting, "ordinal")
"""A fixed number of boosting rounds for every arm (no early stop)."""

random_forest = EstimatorKind(_forest, "ordinal")
"""100 trees unless said otherwise."""
