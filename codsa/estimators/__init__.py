"""Estimators: what is fitted on reserved and synthetic rows and judged under Q."""

from codsa.estimators.base import Average, Fitted, Predictor, WeightedRows, average_predictors
from codsa.estimators.fitting import fit_all

__all__ = ["Average", "Fitted", "Predictor", "WeightedRows", "average_predictors", "fit_all"]
