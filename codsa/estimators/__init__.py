"""Estimators: what is fitted on reserved and synthetic rows and judged under Q."""

from codsa.estimators.base import Fitted, Judge, Problem, fit_all

__all__ = ["Fitted", "Judge", "Problem", "fit_all"]
