"""The Python interface: CoDSA as scikit-learn and imbalanced-learn do things, in memory."""

from codsa.api.sampler import CoDSAOverSampler
from codsa.api.wrappers import CoDSAClassifier, CoDSARegressor

__all__ = ["CoDSAClassifier", "CoDSAOverSampler", "CoDSARegressor"]
