"""Words as features: TF-IDF and multinomial logistic regression, the paper's estimator of section 4.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows, balanced
from codsa.settings.registry import check_settings
from codsa.settings.types import PositiveInt, Rate


class TfidfLogistic(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """TF-IDF of one- and two-word terms, and logistic regression with balanced classes.

    Parameters
    ----------
    stop_words : str or list of str, optional
        'english', or a list of one's own, or none.
    longest : int
        Words of a term at most.
    min_df : int
        A term counts if at least this many texts have it.
    C : float
        The inverse of the weight of the L2 penalty.
    class_weight : str, optional
        'balanced' or none.
    max_iter : int
        Of L-BFGS.
    """

    def __init__(
        self,
        stop_words: Literal["english"] | list[str] | None = "english",
        longest: PositiveInt = 2,
        min_df: PositiveInt = 5,
        C: Rate = 5.0,
        class_weight: Literal["balanced"] | None = "balanced",
        max_iter: PositiveInt = 1000,
    ) -> None:
        self.stop_words, self.longest, self.min_df = stop_words, longest, min_df
        self.C, self.class_weight, self.max_iter = C, class_weight, max_iter

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Learn terms and weights.

        Parameters
        ----------
        x : ndarray of str, shape (n, 1)
        y : ndarray of int64, shape (n,)
        sample_weight : ndarray of shape (n,), optional
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self.terms_ = TfidfVectorizer(stop_words=self.stop_words, ngram_range=(1, self.longest), min_df=self.min_df)
        try:
            features = self.terms_.fit_transform(x[:, 0])
        except ValueError as error:
            raise CodsaError(f"tfidf-logistic: no term occurs in {self.min_df} texts; lower min_df ({error})") from None
        self.weights_ = LogisticRegression(C=self.C, class_weight=self.class_weight, max_iter=self.max_iter)
        self.weights_.fit(features, y, sample_weight)
        self.classes_ = self.weights_.classes_
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities, ndarray of shape (n, C)."""
        return np.asarray(self.weights_.predict_proba(self.terms_.transform(x[:, 0])))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the likeliest classes, ndarray of shape (n,)."""
        return np.asarray(self.classes_[self.predict_proba(x).argmax(axis=1)])


def _build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> TfidfLogistic:
    check_settings("estimator", "tfidf-logistic", TfidfLogistic, settings)
    if not layout.texts or layout.task != "classification":
        raise CodsaError("estimator 'tfidf-logistic' takes one text and a class; declare the text's column as feature")
    return TfidfLogistic(**settings)


def _effective_weight(settings: Mapping[str, Any], rows: WeightedRows) -> np.ndarray:
    return balanced(rows) if settings.get("class_weight", "balanced") == "balanced" else rows.weight


tfidf_logistic = EstimatorKind(
    _build,
    "none",
    modality="texts",
    tasks=("classification",),
    seeded=lambda settings: False,
    effective_weight=_effective_weight,
)
"""The paper's settings: English stop words, one- and two-word terms in 5 texts at least, C = 5, balanced classes.

Balanced classes undo weights that differ between classes alone, so that where the regions are the classes the method
`weighted` is the plain model; `class_weight: null` lets them count.
"""
