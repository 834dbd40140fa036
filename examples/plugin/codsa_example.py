"""A plug-in for CoDSA: the generator `jitter` and the estimator `nearest-mean`."""

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from codsa.generators.tables.resampler import Resampler
from codsa.io.seeds import rng


class Jitter(Resampler):
    """Real rows of the region, drawn with replacement, their numbers moved by a share of their spread there."""

    def __init__(self, scale: float = 0.1) -> None:
        self.scale = scale

    def sample(self, region, count, stream):
        """Draw rows of one region (see `Generator.sample`)."""
        random, members = rng(stream), self.members(region)
        chosen = random.choice(members, size=count)
        spread = self.numbers[members].std(axis=0)
        moved = self.numbers[chosen] + self.scale * spread * random.normal(size=self.numbers[chosen].shape)
        return self.rebuild(moved, self.codes[chosen], region)


class NearestMean(ClassifierMixin, BaseEstimator):
    """Class probabilities by the squared distance to the classes' weighted means."""

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def fit(self, x, y, sample_weight=None):
        """Take the means."""
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        self.classes_ = np.unique(y)
        self.means_ = np.stack([np.average(x[y == c], axis=0, weights=weight[y == c]) for c in self.classes_])
        return self

    def predict_proba(self, x):
        """Return class probabilities of shape (n, C)."""
        return softmax(-self.sharpness * ((x[:, None] - self.means_) ** 2).mean(axis=2), axis=1)

    def predict(self, x):
        """Return the most probable classes."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]
