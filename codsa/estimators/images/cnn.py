"""The paper's convolutional network (4.4), for numbers and for classes, at any image size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows
from codsa.estimators.networks import NetworkModel, Networks, Training, need_images, steps_of
from codsa.settings.registry import check_settings
from codsa.settings.types import Batch, Budget, PositiveInt, Rate, Share, Stop, Width

MIN_POOLED_SIDE = 2
"""A convolution is followed by pooling while each side has at least this many pixels."""


@dataclass
class CnnFacts:
    """What `Cnn.build` and its predictions need (see `_settings`); centre and scale are those of a number's target."""

    channels: list[Width]
    hidden: Width
    dropout: Share
    flip: bool
    centre: float
    scale: float


class Cnn(NetworkModel):
    """Convolutions 3 × 3 with ReLU and pooling by 2, then two dense layers (arXiv 2504.07426, 4.4).

    For 64 × 64 × 3 and the default settings it is the paper's network: channels 32, 64, 128, 256,
    dense 4096 → 256 → dropout → 256 → 1.
    """

    record = CnnFacts

    def build(self) -> nn.Module:
        """Return the network."""
        height, width, channels = self.layout.shape
        layers: list[nn.Module] = []
        for out_channels in self.facts["channels"]:
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
            if min(height, width) >= MIN_POOLED_SIDE:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        hidden = self.facts["hidden"]
        dense = [nn.Linear(channels * height * width, hidden), nn.ReLU(), nn.Dropout(0.0), nn.Linear(hidden, hidden)]
        return nn.Sequential(*layers, nn.Flatten(), *dense, nn.ReLU(), nn.Linear(hidden, self._outputs))

    @property
    def _outputs(self) -> int:
        return max(self.layout.classes, 1)

    def loss(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted cross-entropy or squared error; images are mirrored and units dropped at random."""
        if self.facts["flip"]:
            mirrored = torch.rand(len(x), generator=generator) < 0.5
            x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        errors = self._errors(self._dropped(x, generator), y)
        return (errors * weight).sum() / weight.sum()

    def _dropped(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Pass a batch through the network with dropout drawn from the generator."""
        for layer in self.net:  # type: ignore[attr-defined]
            if isinstance(layer, nn.Dropout):
                is_kept = torch.rand(x.shape, generator=generator) >= self.facts["dropout"]
                x = x * is_kept / (1 - self.facts["dropout"])
            else:
                x = layer(x)
        return x

    def _errors(self, output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.layout.classes:
            return nn.functional.cross_entropy(output, y.long(), reduction="none")
        return (output[:, 0] - ((y - self.facts["centre"]) / self.facts["scale"]).float()) ** 2

    @torch.no_grad()
    def quality(self, rows: WeightedRows) -> float:
        """Return the weighted loss on validation rows."""
        outputs = self.outputs(rows.x, self.net)
        errors = self._errors(torch.from_numpy(outputs).float(), torch.from_numpy(rows.y)).numpy()
        return float(np.average(errors, weights=rows.weight))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return values of shape (n,)."""
        return self.outputs(x, self.net)[:, 0] * float(self.facts["scale"]) + float(self.facts["centre"])

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C)."""
        return self.outputs(x, lambda batch: self.net(batch).softmax(dim=1))


class CnnNetworks(Networks):
    """Fits a network per training set, with the target brought to unit scale by the rows of the training set."""

    def __init__(self, layout: FeatureLayout, facts: Mapping[str, Any], training: Training) -> None:
        super().__init__(lambda: Cnn(layout, self.facts), layout, training)
        self.facts = dict(facts)

    def _fit(self, train_rows: WeightedRows, validation_rows: WeightedRows, seed: int) -> NetworkModel:
        if self.layout.classes == 0:
            spread = float(train_rows.y.std())
            self.facts |= {"centre": float(train_rows.y.mean()), "scale": spread if spread > 0 else 1.0}
        return super()._fit(train_rows, validation_rows, seed)


def _settings(
    *,
    channels: list[Width] | None = None,
    hidden: Width = 256,
    dropout: Share = 0.4,
    flip: bool = False,
    learning_rate: Rate = 1e-4,
    batch: Batch = 64,
    epochs: PositiveInt = 100,
    patience: PositiveInt = 30,
    budget: Budget = "steps",
    stop: Stop = "validation",
) -> tuple[dict[str, Any], Training]:
    """Take the settings of the estimator `cnn`.

    Parameters
    ----------
    channels : list of int
        Of the convolutions, in turn.
    hidden : int
        Units of the dense layers.
    dropout : float
        Share of units dropped in training after the first dense layer, in [0, 1).
    flip : bool
        Mirror images left to right at random in training.
    learning_rate, batch, epochs, patience, budget, stop
        See `Training`.
    """
    shape = {"channels": list(channels or [32, 64, 128, 256]), "hidden": hidden}
    facts = {**shape, "dropout": dropout, "flip": flip, "centre": 0.0, "scale": 1.0}
    return facts, Training(epochs, batch, learning_rate, patience=patience, budget=budget, stop=stop)


def _build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> CnnNetworks:
    check_settings("estimator", "cnn", _settings, settings)
    need_images("cnn", layout)
    if layout.task == "detection":
        raise CodsaError("estimator 'cnn' needs a target to learn; for detection use autoencoder or local-outliers")
    return CnnNetworks(layout, *_settings(**settings))


cnn = EstimatorKind(_build, "none", Cnn.read, modality="images", steps=steps_of)
"""The paper's network for faces; `flip` is how it is trained there."""
