"""The denoising network for arrays, and its initialisation from a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from codsa.io.tensors import Tensors, fill

FREQUENCIES = 32
"""Pairs of sine and cosine that embed the noise level."""


class Block(nn.Module):
    """A residual block: LayerNorm, Linear, SiLU, Linear, with the condition added inside."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, h: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return h plus its update, tensor of shape (b, width)."""
        inner = self.inner(self.norm(h) + condition)
        return h + self.outer(nn.functional.silu(inner))


class NormalStart(nn.Module):
    """What the network's output would be for regions of normal laws with one covariance, in closed form.

    The best denoiser of x ~ N(mean, C) is mean + C (C + sigma² I)^-1 (x - mean); a network that is added to
    it learns only what is not normal.

    Parameters
    ----------
    means : tensor of shape (K, d)
    vectors, values : tensor of shape (d, d) and (d,)
        Eigenvectors, as columns, and eigenvalues of the covariance.
    """

    means: torch.Tensor
    vectors: torch.Tensor
    values: torch.Tensor

    def __init__(self, means: torch.Tensor, vectors: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        for name, part in (("means", means), ("vectors", vectors), ("values", values)):
            self.register_buffer(name, part.float())

    def forward(self, x: torch.Tensor, noise: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return F of Karras 2022, Eq. (7), for sigma_data = 1 (see `Denoiser.forward`)."""
        with torch.autocast(x.device.type, enabled=False):  # differences of large numbers
            sigma = torch.exp(4 * noise.float())[:, None]
            size = torch.sqrt(sigma**2 + 1)
            rest = (x.float() * size - self.means[region]) @ self.vectors
            result: torch.Tensor = sigma * (x.float() - size * (rest / (self.values + sigma**2)) @ self.vectors.T)
            return result


class Denoiser(nn.Module):
    """A residual network that predicts from a noisy array, its noise level and its region.

    Parameters
    ----------
    dimension : int
        Columns of the array.
    regions : int
        K.
    width, depth : int
        Hidden units and residual blocks.
    told : int, optional
        Hidden units of the network that embeds the noise level; default: `width`.
    start : NormalStart, optional
        What the network's output is added to.
    """

    def __init__(
        self,
        dimension: int,
        regions: int,
        width: int,
        depth: int,
        told: int | None = None,
        start: NormalStart | None = None,
    ) -> None:
        super().__init__()
        self.start = start
        bands = 2 * math.pi * torch.exp(torch.linspace(math.log(0.1), math.log(16.0), FREQUENCIES))
        self.register_buffer("bands", bands, persistent=False)
        self.noise = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, told or width), nn.SiLU(), nn.Linear(told or width, width)
        )
        self.region = nn.Embedding(regions, width)
        self.enter = nn.Linear(dimension, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, dimension)

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor]) -> Denoiser:
        """Return the network that has these weights, its sizes read from them.

        Raises
        ------
        CodsaError
            Where tensors that were read from a file are not such a network's.
        """
        width, dimension = weights["enter.weight"].shape
        depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
        law = [weights[f"start.{part}"] for part in ("means", "vectors", "values") if f"start.{part}" in weights]
        start = NormalStart(*law) if law else None
        told = len(weights["noise.0.weight"])
        made = cls(dimension, len(weights["region.weight"]), width, depth, told, start=start)
        if isinstance(weights, Tensors):
            fill(made, weights)
        else:
            made.load_state_dict(dict(weights))
        return made

    def forward(self, x: torch.Tensor, noise: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return the network's output F of Karras 2022, Eq. (7).

        Parameters
        ----------
        x : tensor of shape (b, dimension)
            The noisy array, scaled to unit variance.
        noise : tensor of shape (b,) or (1,)
            The noise level c_noise = ln(sigma)/4 of Karras 2022, Table 1.
        region : int64 tensor of shape (b,)
        """
        angle = noise[:, None] * self.bands[None, :]  # type: ignore[index]
        wave = torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)
        condition = nn.functional.silu(self.noise(wave) + self.region(region))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, condition)
        result: torch.Tensor = self.leave(self.norm(h))
        return result if self.start is None else result + self.start(x, noise, region)


def initialise(model: nn.Module, generator: torch.Generator, zero: nn.Module | None = None) -> None:
    """Draw all weights from a stream: uniform within 1/sqrt(inputs), embeddings normal, biases 0.

    Parameters
    ----------
    zero : Module, optional
        A layer of the model that starts at 0.
    """
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                bound = 1.0 / math.sqrt(module.in_features)
                module.weight.uniform_(-bound, bound, generator=generator)
                module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(generator=generator)
        for parameter in zero.parameters() if zero is not None else ():
            parameter.zero_()
