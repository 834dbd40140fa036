"""Parameters and X as users give them: a DataFrame, whose dtypes stay, or an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

MOST_SEED = 2**31 - 1
"""One more than the greatest root seed that is drawn from `random_state`."""


def named(value: Any) -> Any:
    """Return a mapping with its keys as the names of regions; another value as it is."""
    return {str(key): weight for key, weight in value.items()} if isinstance(value, Mapping) else value


def checked_table(estimator: Any, x: Any, fitting: bool = True, allow_nan: bool = True, fewest: int = 1) -> Any:
    """Return X as a DataFrame or ndarray, its number and names of features recorded or compared.

    Parameters
    ----------
    estimator : estimator
        It gets `n_features_in_` and `feature_names_in_` where it is being fitted.
    x : DataFrame or array-like of shape (n, d)
    fitting : bool
    allow_nan : bool
        Whether missing values may stand in X.
    fewest : int
        Rows that X must have.
    """
    checks: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan" if allow_nan else True}
    checks["ensure_min_samples"] = fewest
    if not isinstance(x, pd.DataFrame):
        return validate_data(estimator, X=x, reset=fitting, **checks)
    check_array(x, accept_sparse=True, estimator=estimator, **checks)
    validate_data(estimator, X=x, reset=fitting, skip_check_array=True)
    return x
