"""Anomaly detectors that are trained: the paper's autoencoder (4.5)."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows
from codsa.estimators.networks import NetworkModel, Networks, Training, steps_of
from codsa.settings.registry import check_settings
from codsa.settings.types import Batch, Budget, PositiveInt, Rate, Stop, Width


class Detector(NetworkModel):
    """A network that is fitted on normal rows; a subclass gives the error of each row."""

    @abstractmethod
    def errors(self, x: torch.Tensor) -> torch.Tensor:
        """Return each row's error, tensor of shape (b,)."""

    @torch.no_grad()
    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Return how normal rows are, in scikit-learn's sense: the negative of their errors, shape (n,)."""
        return -self.outputs(x, self.errors)

    def quality(self, rows: WeightedRows) -> float:
        """Return the negative AUC of judged rows, of which some are anomalous."""
        from sklearn.metrics import roc_auc_score

        return -float(roc_auc_score(rows.y, -self.score_samples(rows.x), sample_weight=rows.weight))


@dataclass
class AutoencoderFacts:
    """What `Autoencoder.build` needs: hidden units, layer by layer."""

    hidden: list[Width]


class Autoencoder(Detector):
    """Dense layers with ReLU through a narrow one; images are brought back by a sigmoid (arXiv 2504.07426, 4.5)."""

    record = AutoencoderFacts

    def build(self) -> nn.Module:
        """Return the network: for 28 × 28 images 784 → 128 → 32 → 128 → 784."""
        elements = math.prod(self.layout.shape)
        sizes = [elements, *self.facts["hidden"], elements]
        layers: list[nn.Module] = [nn.Flatten()]
        for a, b in itertools.pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        last: list[nn.Module] = [nn.Sigmoid()] if len(self.layout.shape) == 3 else []
        return nn.Sequential(*layers[:-1], *last)

    def errors(self, x: torch.Tensor) -> torch.Tensor:
        """Return each row's mean squared error of reconstruction."""
        return ((self.net(x) - x.flatten(1)) ** 2).mean(dim=1)

    def loss(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted mean squared error of reconstruction."""
        return (self.errors(x) * weight).sum() / weight.sum()


def _autoencoder(
    *,
    hidden: list[Width] | None = None,
    learning_rate: Rate = 1e-4,
    batch: Batch = 256,
    epochs: PositiveInt = 20,
    patience: PositiveInt = 1000,
    budget: Budget = "steps",
    stop: Stop = "validation",
) -> tuple[dict[str, Any], Training]:
    """Take the settings of `autoencoder`: hidden units, and those of `Training`; the paper's are the defaults."""
    sizes = list(hidden or [128, 32, 128])
    return {"hidden": sizes}, Training(epochs, batch, learning_rate, patience=patience, budget=budget, stop=stop)


def _need_detection(name: str, layout: FeatureLayout) -> None:
    if layout.task != "detection" or not layout.shape:
        raise CodsaError(
            f"estimator '{name}' detects anomalies in arrays: the task must be detection (it is {layout.task}), "
            "and the only feature an image or vector"
        )


def _build_autoencoder(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Networks:
    check_settings("estimator", "autoencoder", _autoencoder, settings)
    _need_detection("autoencoder", layout)
    facts, training = _autoencoder(**settings)
    return Networks(lambda: Autoencoder(layout, facts), layout, training)


autoencoder = EstimatorKind(
    _build_autoencoder, "none", Autoencoder.read, modality="images", tasks=("detection",), steps=steps_of
)
"""The paper's detector."""
