"""The generator of arXiv 2504.07426 itself, for reference runs at small scale."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from codsa.generators.tables.tabular_diffusion import TabularDiffusion
from codsa.io.devices import half_type
from codsa.nn.noise_prediction import (
    EMBEDDING_WIDTH,
    NoisePredictor,
    ancestral_sample,
    draw_timesteps,
    noise_prediction_loss,
    noise_scheduler,
)
from codsa.settings.types import Batch, Depth, PositiveInt, Precision, Rate, Scaling, Width


class VpDiffusion(TabularDiffusion):
    """Variance-preserving diffusion as the paper describes it, on the encoded rows of `TabularDiffusion`.

    Linear β from 1e-4 to 0.02 over 1,000 steps, noise-prediction loss, ancestral sampling in 1,000 calls of the
    network; Adam at a constant rate, the last weights, no early stop; the denoiser decides labels, too. Unlike the
    authors' code it scales features, its batches draw regions evenly, and it clips gradients, as all our generators do.

    Parameters
    ----------
    steps, batch : int
        Gradient steps, and rows in each. The paper's 5,000 epochs over 3,200 rows are 125,000 steps.
    learning_rate : float
    width, depth : int
        Hidden units, and blocks of Linear, LayerNorm and ReLU. The paper: 1024 and 10 in section 4.1, 512 and 5 in 4.2.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        Mixed precision of the network's calls; auto: bf16 where the hardware computes in it.
    scaling : {'auto', 'asinh', 'normal-score'}
        See `TabularDiffusion`.
    """

    network = NoisePredictor
    embedding_width = EMBEDDING_WIDTH
    pretraining = {}  # it has no dependencies to leave out

    def __init__(
        self,
        *,
        steps: PositiveInt = 3000,
        batch: Batch = 128,
        learning_rate: Rate = 1e-4,
        width: Width = 1024,
        depth: Depth = 10,
        precision: Precision = "no",
        scaling: Scaling = "auto",
    ) -> None:
        super().__init__(
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            width=width,
            depth=depth,
            ema=0.0,
            holdout=0.0,
            precision=precision,
            labels="denoiser",
            scaling=scaling,
            dependencies=False,
        )
        self.recipe = replace(self.recipe, schedule="constant", weight_decay=0.0)
        self.scheduler = noise_scheduler()

    def _noise_levels(self, count: int, generator: torch.Generator) -> torch.Tensor:
        return draw_timesteps(count, generator)

    def _errors(
        self, net: nn.Module, x: torch.Tensor, region: torch.Tensor, level: torch.Tensor, epsilon: torch.Tensor
    ) -> torch.Tensor:
        return noise_prediction_loss(net, x, region, level, epsilon, self.scheduler)

    def _draw(
        self, model: nn.Module, region: torch.Tensor, generator: torch.Generator, device: torch.device
    ) -> torch.Tensor:
        return ancestral_sample(model, region, self.space.width, generator, device, half_type(self.recipe.precision))
