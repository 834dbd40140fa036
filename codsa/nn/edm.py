"""EDM: preconditioned denoising loss and few-step sampling (Karras 2022), by diffusers' schedulers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.schedulers import EDMDPMSolverMultistepScheduler
from torch import nn

SIGMA_DATA = 1.0
"""The encoders' arrays have about unit variance."""

ALL = slice(None)


@dataclass(frozen=True)
class Noise:
    """The noise levels of training and of sampling.

    Attributes
    ----------
    mean, sd : float
        Of ln(sigma) in training.
    least, most : float
        Range of sigma in sampling.
    """

    mean: float = -0.4
    sd: float = 1.4
    least: float = 0.004
    most: float = 30.0


def scheduler(noise: Noise, stochastic: bool = False) -> Any:
    """Return the scheduler that preconditions and samples (second-order DPM-Solver++, or its stochastic form)."""
    return EDMDPMSolverMultistepScheduler(
        sigma_min=noise.least,
        sigma_max=noise.most,
        sigma_data=SIGMA_DATA,
        solver_order=2,
        algorithm_type="sde-dpmsolver++" if stochastic else "dpmsolver++",
    )


def denoising_loss(
    model: nn.Module, x: torch.Tensor, region: torch.Tensor, sigma: torch.Tensor, epsilon: torch.Tensor
) -> torch.Tensor:
    """Return each row's weighted denoising error, Karras 2022, Eq. (8).

    Parameters
    ----------
    x, epsilon : tensor of shape (b, ...)
        Clean rows and standard normal noise.
    region : tensor of shape (b, ...)
        What the model is told: each row's region, or more.
    sigma : tensor of shape (b,)

    Returns
    -------
    tensor of shape (b,)
    """
    plan = scheduler(Noise())
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    noisy = x + level * epsilon
    output = model(plan.precondition_inputs(noisy, level), plan.precondition_noise(sigma), region)
    denoised = plan.precondition_outputs(noisy, output, level)
    weight = (level**2 + SIGMA_DATA**2) / (level * SIGMA_DATA) ** 2
    result: torch.Tensor = (weight * (denoised - x) ** 2).flatten(1).mean(dim=1)
    return result


def draw_sigma(count: int, noise: Noise, generator: torch.Generator) -> torch.Tensor:
    """Draw training noise levels, tensor of shape (count,), log-normal."""
    return torch.exp(noise.mean + noise.sd * torch.randn(count, generator=generator))


@torch.inference_mode()
def sample(
    model: nn.Module,
    region: torch.Tensor,
    dimension: int | Sequence[int],
    steps: int,
    noise: Noise,
    generator: torch.Generator,
    device: torch.device,
    half: torch.dtype | None = None,
    stochastic: bool = False,
    rows: slice = ALL,
) -> torch.Tensor:
    """Draw rows by few-step sampling.

    Parameters
    ----------
    region : tensor of shape (b, ...)
        What the model is told: the region of each row, or more.
    dimension : int or sequence of int
        The shape of a row.
    steps : int
        Calls of the network.
    generator : torch.Generator
        On the CPU, so that a GPU starts from the same noise.
    half : dtype, optional
        What the network computes in, where that is less than float32; the sampler always is float32.
    stochastic : bool
        Follow the stochastic differential equation, whose fresh noise makes good what a weak network leaves of the old,
        at the price of more calls; else the ordinary one.
    rows : slice
        The rows that are denoised. Noise is drawn for all b, so that a row's noise does not depend on it.

    Returns
    -------
    tensor of shape (b, *dimension), on the CPU
        Of the rows that are denoised.
    """
    plan = scheduler(noise, stochastic)
    plan.set_timesteps(steps)
    shape = [dimension] if isinstance(dimension, int) else dimension
    x = torch.randn(len(region), *shape, generator=generator).to(device) * plan.init_noise_sigma
    region = region[rows].to(device)
    for moment in plan.timesteps.to(device):
        scaled = plan.scale_model_input(x[rows], moment)
        output = torch.zeros_like(x)  # the scheduler's fresh noise is drawn in this shape
        with torch.autocast(device.type, half, enabled=half is not None):
            output[rows] = model(scaled, moment[None], region).float()  # one noise level for all rows
        x = plan.step(output, moment, x, generator=generator).prev_sample
    return x[rows].cpu()
