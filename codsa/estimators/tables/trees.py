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


def _boosting_is_seeded(settings: Mapping[str, Any]) -> bool:
    """Say whether rows or columns are drawn: by an early stop, or by a share of the columns for every split.

    Of more than 200,000 rows scikit-learn draws those that bin the features, which changes a fit but little.
    """
    return settings.get("early_stopping", False) is not False or settings.get("max_features", 1.0) < 1.0


gradient_boosting = EstimatorKind(
    _boosting, "ordinal", seeded=_boosting_is_seeded, steps=lambda model, rows: model.max_iter
)
"""A fixed number of boosting rounds for every training set (no early stop)."""

random_forest = EstimatorKind(_forest, "ordinal", steps=lambda model, rows: model.n_estimators)
"""100 trees unless said otherwise."""
