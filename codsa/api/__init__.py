"""The Python interface: CoDSA as scikit-learn and imbalanced-learn do things, in memory."""

from codsa.api.estimators import CoDSAClassifier, CoDSARegressor
from codsa.api.sampler import CoDSAOverSampler

__all__ = ["CoDSAClassifier", "CoDSAOverSampler", "CoDSARegressor"]
