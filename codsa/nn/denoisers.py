"""The denoising network for arrays, and its initialisation from a generator."""

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
    """The output of the best denoiser, in closed form, where each region is normal and all share one covariance.

    The best denoiser of x ~ N(mean, C) is mean + C (C + sigma² I)^-1 (x - mean). A network whose output is added to
    it learns only what is not normal.

    Parameters
    ----------
    means : tensor of shape (K, d)
        The regions' means.
    vectors, values : tensor of shape (d, d) and (d,)
        Eigenvectors, as columns, and eigenvalues of the covariance.
    """

    means: torch.Tensor
    vectors: torch.Tensor
    values: torch.Tensor

    def __init__(self, means: torch.Tensor, vectors: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        for name, tensor in (("means", means), ("vectors", vectors), ("values", values)):
            self.register_buffer(name, tensor.float())

    def forward(self, x: torch.Tensor, noise: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return F of Karras 2022, Eq. (7), for sigma_data = 1 (see `Denoiser.forward`)."""
        with torch.autocast(x.device.type, enabled=False):  # differences of large numbers need float32
            sigma = torch.exp(4 * noise.float())[:, None]
            noisy_std = torch.sqrt(sigma**2 + 1)
            residual = (x.float() * noisy_std - self.means[region]) @ self.vectors
            scaled = noisy_std * (residual / (self.values + sigma**2))
            output: torch.Tensor = sigma * (x.float() - scaled @ self.vectors.T)
            return output


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
    embedding_width : int, optional
        Hidden units of the network that embeds the noise level; default: `width`.
    start : NormalStart, optional
        A closed-form denoiser to whose output the network's is added.
    """

    def __init__(
        self,
        dimension: int,
        regions: int,
        width: int,
        depth: int,
        embedding_width: int | None = None,
        start: NormalStart | None = None,
    ) -> None:
        super().__init__()
        self.start = start
        bands = 2 * math.pi * torch.exp(torch.linspace(math.log(0.1), math.log(16.0), FREQUENCIES))
        self.register_buffer("bands", bands, persistent=False)
        hidden = embedding_width or width
        self.noise = nn.Sequential(nn.Linear(2 * FREQUENCIES, hidden), nn.SiLU(), nn.Linear(hidden, width))
        self.region = nn.Embedding(regions, width)
        self.enter = nn.Linear(dimension, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, dimension)

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor]) -> Denoiser:
        """Build the network of some weights, from whose shapes its sizes are read.

        Parameters
        ----------
        weights : mapping of str to tensor
            As `state_dict` gives them.

        Raises
        ------
        CodsaError
            Where tensors that were read from a file are not the weights of such a network.
        """
        width, dimension = weights["enter.weight"].shape
        depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
        buffers = [weights[f"start.{name}"] for name in ("means", "vectors", "values") if f"start.{name}" in weights]
        denoiser = cls(
            dimension,
            regions=len(weights["region.weight"]),
            width=width,
            depth=depth,
            embedding_width=len(weights["noise.0.weight"]),
            start=NormalStart(*buffers) if buffers else None,
        )
        if isinstance(weights, Tensors):
            fill(denoiser, weights)
        else:
            denoiser.load_state_dict(dict(weights))
        return denoiser

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
        frequencies = torch.cat([torch.sin(angle), torch.cos(angle)], dim=1)
        condition = nn.functional.silu(self.noise(frequencies) + self.region(region))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, condition)
        output: torch.Tensor = self.leave(self.norm(h))
        return output if self.start is None else output + self.start(x, noise, region)


def initialise(model: nn.Module, generator: torch.Generator, zero: nn.Module | None = None) -> None:
    """Draw all weights from a generator: uniform within 1/sqrt(inputs), embeddings standard normal, biases 0.

    Parameters
    ----------
    model : Module
        Changed in place.
    generator : torch.Generator
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
