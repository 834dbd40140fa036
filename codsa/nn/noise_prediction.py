"""Diffusion as in arXiv 2504.07426: variance-preserving noise, noise-prediction loss, ancestral sampling (Ho 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from codsa.io.imports import COMPILER, module_as
from codsa.io.tensors import Tensors, fill

TIMESTEPS = 1000
"""Steps of the forward process, and of sampling."""
BETA_FIRST, BETA_LAST = 1e-4, 0.02
"""The noise variances of the first and the last step, between which they are linear."""
EMBEDDING_WIDTH = 128
"""Width of the time embedding."""


class NoisePredictor(nn.Module):
    """Blocks of Linear, LayerNorm and ReLU that predict the noise in an array from it, its time step and its region.

    The first layer reads the array, the time embedding and the region's one-hot code side by side; its weight is
    stored in three parts: `enter`, `time` and `region`.

    Parameters
    ----------
    dimension : int
        Columns of the array.
    regions : int
        K.
    width, depth : int
        Hidden units and blocks.
    embedding_width : int, optional
        Width of the time embedding; default: `EMBEDDING_WIDTH`.
    start : Module, optional
        A closed-form denoiser, which this network has not; not None is refused.
    """

    def __init__(
        self,
        dimension: int,
        regions: int,
        width: int,
        depth: int,
        embedding_width: int | None = None,
        start: nn.Module | None = None,
    ) -> None:
        super().__init__()
        assert start is None
        embedding = embedding_width or EMBEDDING_WIDTH
        self.pairs = embedding // 2
        self.embed = nn.Sequential(nn.Linear(2 * self.pairs, embedding), nn.ReLU(), nn.Linear(embedding, embedding))
        self.enter = nn.Linear(dimension, width)
        self.time = nn.Linear(embedding, width)
        self.region = nn.Embedding(regions, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.leave = nn.Linear(width, dimension)

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor]) -> NoisePredictor:
        """Build the network of some weights, from whose shapes its sizes are read (see `Denoiser.of`)."""
        width, dimension = weights["enter.weight"].shape
        depth = len({name.split(".")[1] for name in weights if name.startswith("norms.")})
        network = cls(dimension, len(weights["region.weight"]), width, depth, len(weights["embed.0.weight"]))
        if isinstance(weights, Tensors):
            fill(network, weights)
        else:
            network.load_state_dict(dict(weights))
        return network

    def forward(self, x: torch.Tensor, timestep: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return the predicted noise, tensor of shape (b, dimension).

        Parameters
        ----------
        x : tensor of shape (b, dimension)
            The noisy array.
        timestep : int64 tensor of shape (b,) or (1,)
            Between 0 and `TIMESTEPS` − 1.
        region : int64 tensor of shape (b,)
        """
        time = self.embed(sinusoids(timestep, self.pairs))
        h = self.enter(x) + self.time(time) + self.region(region)
        h = nn.functional.relu(self.norms[0](h))
        for block, norm in zip(self.blocks, self.norms[1:], strict=True):  # type: ignore[arg-type]
            h = nn.functional.relu(norm(block(h)))
        predicted: torch.Tensor = self.leave(h)
        return predicted


def sinusoids(timestep: torch.Tensor, pairs: int) -> torch.Tensor:
    """Return sines and cosines of time steps at wavelengths from 2π to 10,000·2π, tensor of shape (b, 2·pairs)."""
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(pairs, device=timestep.device) / pairs)
    angle = timestep.float()[:, None] * frequencies[None, :]
    return torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)


def noise_scheduler() -> Any:
    """Return diffusers' scheduler of the paper's process: linear β, ε-prediction, the posterior's variance."""
    with module_as(COMPILER, None):  # diffusers goes without
        from diffusers.schedulers import DDPMScheduler

    return DDPMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=BETA_FIRST,
        beta_end=BETA_LAST,
        beta_schedule="linear",
        variance_type="fixed_small",
        prediction_type="epsilon",
        clip_sample=False,
    )


def draw_timesteps(count: int, generator: torch.Generator) -> torch.Tensor:
    """Draw training time steps evenly, int64 tensor of shape (count,)."""
    return torch.randint(TIMESTEPS, (count,), generator=generator)


def noise_prediction_loss(
    model: nn.Module,
    x: torch.Tensor,
    region: torch.Tensor,
    timestep: torch.Tensor,
    epsilon: torch.Tensor,
    scheduler: Any,
) -> torch.Tensor:
    """Return each row's mean squared error of the predicted noise (Ho 2020, Eq. 14), tensor of shape (b,).

    Parameters
    ----------
    x, epsilon : tensor of shape (b, d)
        Clean rows and standard normal noise.
    region, timestep : int64 tensor of shape (b,)
    scheduler : DDPMScheduler
        As `noise_scheduler` returns it.
    """
    noisy = scheduler.add_noise(x, epsilon, timestep)
    squares: torch.Tensor = (model(noisy, timestep, region) - epsilon) ** 2
    return squares.mean(dim=1)


@torch.inference_mode()
def ancestral_sample(
    model: nn.Module,
    region: torch.Tensor,
    dimension: int,
    generator: torch.Generator,
    device: torch.device,
    half: torch.dtype | None = None,
) -> torch.Tensor:
    """Draw rows by ancestral sampling (Ho 2020, Alg. 2): `TIMESTEPS` calls of the network.

    Parameters
    ----------
    region : int64 tensor of shape (b,)
    generator : torch.Generator
        On the CPU, so that a GPU sees the same noise.
    half : dtype, optional
        The network's precision under autocast; None: float32.

    Returns
    -------
    tensor of shape (b, dimension), on the CPU
    """
    scheduler = noise_scheduler()
    scheduler.set_timesteps(TIMESTEPS)
    x = torch.randn(len(region), dimension, generator=generator).to(device)
    region = region.to(device)
    for timestep in scheduler.timesteps.to(device):
        with torch.autocast(device.type, half, enabled=half is not None):
            predicted = model(x, timestep[None], region).float()
        x = scheduler.step(predicted, timestep, x, generator=generator).prev_sample
    return x.cpu()
