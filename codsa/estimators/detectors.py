"""Anomaly detectors: the paper's autoencoder (4.5), and a stronger one that fills in what is hidden."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from codsa.errors import CodsaError
from codsa.estimators.base import EstimatorKind, Layout, Problem
from codsa.estimators.networks import NetworkModel, Networks, Training, need_images
from codsa.registry import check_settings


class Detector(NetworkModel):
    """A network that is fitted on normal rows; a subclass gives the error of each row."""

    def errors(self, x: torch.Tensor) -> torch.Tensor:
        """Return each row's error, tensor of shape (b,)."""
        raise NotImplementedError

    @torch.no_grad()
    def score_samples(self, x: np.ndarray) -> np.ndarray:
        """Return how normal rows are, in scikit-learn's sense: the negative of their errors, shape (n,)."""
        return -self.outputs(x, self.errors)

    def quality(self, rows: Problem) -> float:
        """Return the negative AUC of judged rows, of which some are anomalous."""
        from sklearn.metrics import roc_auc_score

        return -float(roc_auc_score(rows.y, -self.score_samples(rows.x), sample_weight=rows.weight))


class Autoencoder(Detector):
    """Dense layers with ReLU through a narrow one; images are brought back by a sigmoid (arXiv 2504.07426, 4.5)."""

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


class MaskedNet(nn.Module):
    """Convolutions down to a code and up again, from an image with a hidden part and the mask that hides it."""

    def __init__(self, shape: list[int], width: int, code: int) -> None:
        super().__init__()
        height, breadth, channels = shape
        self.down = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.small = (2 * width, -(-height // 4), -(-breadth // 4))
        self.code = nn.Sequential(nn.Linear(math.prod(self.small), code), nn.ReLU())
        self.wide = nn.Sequential(nn.Linear(code, math.prod(self.small)), nn.ReLU())
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(size=(height, breadth)),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return the whole image in [0, 1].

        Parameters
        ----------
        x : tensor of shape (b, channels, height, width)
        hidden : tensor of shape (b, 1, height, width)
            1 where the image is hidden.
        """
        code = self.code(self.down(torch.cat([x * (1 - hidden), hidden], dim=1)).flatten(1))
        return torch.sigmoid(self.up(self.wide(code).reshape(-1, *self.small)))


class MaskedDetector(Detector):
    """Hides a part of an image and fills it in as normal images have it; the error is that of the filled parts.

    What is hidden in training is a random rectangle; a row's error is the mean over a fixed set: four
    halves and nine overlapping quarters.
    """

    def build(self) -> nn.Module:
        """Return the network."""
        return MaskedNet(self.layout.shape, self.facts["width"], self.facts["code"])

    def loss(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the weighted squared error where images are hidden by random rectangles."""
        hidden = rectangles(len(x), x.shape[2], x.shape[3], generator)
        return (self._filled(x, hidden) * weight).sum() / weight.sum()

    def _filled(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return each row's squared error over its hidden pixels, by their number."""
        error = ((self.net(x, hidden) - x) ** 2).mean(dim=1, keepdim=True) * hidden
        return error.sum(dim=(1, 2, 3)) / hidden.sum(dim=(1, 2, 3))

    def errors(self, x: torch.Tensor) -> torch.Tensor:
        """Return each row's error, the mean over the fixed masks."""
        masks = fixed_masks(x.shape[2], x.shape[3])
        each = [self._filled(x, mask[None, None].expand(len(x), 1, -1, -1)) for mask in masks]
        return torch.stack(each).mean(dim=0)


def rectangles(count: int, height: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Draw rectangles with sides from a quarter of the image's to all of it.

    Returns
    -------
    tensor of shape (count, 1, height, width)
        1 inside.
    """
    inside = []
    for side in (height, width):
        drawn = torch.rand(2, count, generator=generator)
        length = (0.25 + 0.75 * drawn[0]) * side
        start = drawn[1] * (side - length)
        place = torch.arange(side) + 0.5
        inside.append((place >= start[:, None]) & (place <= (start + length)[:, None]))
    return (inside[0][:, :, None] & inside[1][:, None, :]).float()[:, None]


def fixed_masks(height: int, width: int) -> list[torch.Tensor]:
    """Return the masks that rows are judged by: four halves, and nine rectangles of half the sides."""
    h, w = height // 2, width // 2
    places = [(0, h, 0, width), (h, height, 0, width), (0, height, 0, w), (0, height, w, width)]
    tops, lefts = (0, h // 2, height - h), (0, w // 2, width - w)
    places += [(top, top + h, left, left + w) for top in tops for left in lefts]
    masks = []
    for top, bottom, left, right in places:
        mask = torch.zeros(height, width)
        mask[top:bottom, left:right] = 1
        masks.append(mask)
    return masks


def _autoencoder(
    *,
    hidden: list[int] | None = None,
    learning_rate: float = 1e-4,
    batch: int = 256,
    epochs: int = 20,
    patience: int = 1000,
    budget: str = "steps",
    stop: str = "validation",
) -> tuple[dict[str, Any], Training]:
    """Take the settings of `autoencoder`: hidden units, and those of `Training`; the paper's are the defaults."""
    sizes = list(hidden or [128, 32, 128])
    return {"hidden": sizes}, Training(epochs, batch, learning_rate, patience, budget, stop)


def _masked(
    *,
    width: int = 32,
    code: int = 128,
    learning_rate: float = 1e-3,
    batch: int = 128,
    epochs: int = 40,
    patience: int = 1000,
    budget: str = "steps",
    stop: str = "validation",
) -> tuple[dict[str, Any], Training]:
    """Take the settings of `masked-detector`: channels, units of the code, and those of `Training`."""
    return {"width": width, "code": code}, Training(epochs, batch, learning_rate, patience, budget, stop)


def _need_detection(name: str, layout: Layout) -> None:
    if layout.task != "detection" or not layout.shape:
        raise CodsaError(
            f"estimator '{name}' detects anomalies in arrays: the task must be detection (it is {layout.task}), "
            "and the only feature an image or vector"
        )


def _build_autoencoder(layout: Layout, seed: int, settings: Mapping[str, Any]) -> Networks:
    check_settings("estimator", "autoencoder", _autoencoder, settings)
    _need_detection("autoencoder", layout)
    facts, training = _autoencoder(**settings)
    return Networks(lambda: Autoencoder(layout, facts), layout, training)


def _build_masked(layout: Layout, seed: int, settings: Mapping[str, Any]) -> Networks:
    check_settings("estimator", "masked-detector", _masked, settings)
    _need_detection("masked-detector", layout)
    need_images("masked-detector", layout)
    facts, training = _masked(**settings)
    return Networks(lambda: MaskedDetector(layout, facts), layout, training)


autoencoder = EstimatorKind(_build_autoencoder, "none", Autoencoder.read)
"""The paper's detector."""
masked_detector = EstimatorKind(_build_masked, "none", MaskedDetector.read)
"""The stronger one."""
