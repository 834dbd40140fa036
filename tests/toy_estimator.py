"""An estimator of the user's own, which a folder may not run by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Guess(ClassifierMixin, BaseEstimator):
    """Guesses the first class."""

    def fit(self, X: Any, y: np.ndarray) -> Guess:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.tile(np.eye(len(self.classes_))[0], (len(X), 1))

    def predict(self, X: Any) -> np.ndarray:
        return np.full(len(X), self.classes_[0])
