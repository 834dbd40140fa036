"""EDM: preconditioned denoising loss and few-step sampling (Karras 2022), in the paper's symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from codsa.io.imports import COMPILER, module_as

SIGMA_DATA = 1.0
"""The encoders' arrays have about unit variance."""

ALL_ROWS = slice(None)


@dataclass(frozen=True)
class Noise:
    """The noise levels of training and of sampling (Karras 2022, Table 1).

    Attributes
    ----------
    log_sigma_mean, log_sigma_std : float
        Mean and standard deviation of ln(sigma) in training (P_mean and P_std in the paper).
    sigma_min, sigma_max : float
        Range of sigma in sampling.
    """

    log_sigma_mean: float = -0.4
    log_sigma_std: float = 1.4
    sigma_min: float = 0.004
    sigma_max: float = 30.0


def c_skip(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> torch.Tensor:
    """Return the weight of the noisy input in the denoised output (Karras 2022, Table 1)."""
    return sigma_data**2 / (sigma**2 + sigma_data**2)


def c_out(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> torch.Tensor:
    """Return the weight of the network's output in the denoised output (Karras 2022, Table 1)."""
    return sigma * sigma_data / (sigma**2 + sigma_data**2) ** 0.5


def c_in(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> torch.Tensor:
    """Return the factor that brings the noisy input to unit variance (Karras 2022, Table 1)."""
    return 1 / ((sigma**2 + sigma_data**2) ** 0.5)


def c_noise(sigma: torch.Tensor) -> torch.Tensor:
    """Return the noise level as the network reads it, ln(sigma)/4 (Karras 2022, Table 1)."""
    return 0.25 * torch.log(sigma)


def loss_weight(sigma: torch.Tensor, sigma_data: float = SIGMA_DATA) -> torch.Tensor:
    """Return the loss weight lambda(sigma) = 1 / c_out² (Karras 2022, Table 1); all noise levels count alike."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def denoise(model: nn.Module, x: torch.Tensor, sigma: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """Return the denoised rows D(x; sigma), Karras 2022, Eq. (7).

    Parameters
    ----------
    model : Module
        The network F.
    x : tensor of shape (b, ...)
        Noisy rows.
    region : tensor of shape (b, ...)
        The condition: each row's region, or an array that the model embeds.
    sigma : tensor of shape (b,)

    Returns
    -------
    tensor of shape (b, ...)
    """
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    output = model(x * c_in(level), c_noise(sigma), region)
    denoised: torch.Tensor = c_skip(level) * x + c_out(level) * output
    return denoised


def denoising_loss(
    model: nn.Module, x: torch.Tensor, region: torch.Tensor, sigma: torch.Tensor, epsilon: torch.Tensor
) -> torch.Tensor:
    """Return each row's weighted denoising error, Karras 2022, Eq. (8).

    Parameters
    ----------
    x, epsilon : tensor of shape (b, ...)
        Clean rows and standard normal noise.
    region : tensor of shape (b, ...)
        The condition: each row's region, or an array that the model embeds.
    sigma : tensor of shape (b,)

    Returns
    -------
    tensor of shape (b,)
    """
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    denoised = denoise(model, x + level * epsilon, sigma, region)
    return (loss_weight(level) * (denoised - x) ** 2).flatten(1).mean(dim=1)


def draw_sigma(count: int, noise: Noise, generator: torch.Generator) -> torch.Tensor:
    """Draw training noise levels, tensor of shape (count,), log-normal."""
    return torch.exp(noise.log_sigma_mean + noise.log_sigma_std * torch.randn(count, generator=generator))


def sampling_scheduler(noise: Noise, stochastic: bool = False) -> Any:
    """Return diffusers' scheduler of second-order DPM-Solver++ (Lu 2022), or of its stochastic form."""
    with module_as(COMPILER, None):  # diffusers goes without
        from diffusers.schedulers import EDMDPMSolverMultistepScheduler

    return EDMDPMSolverMultistepScheduler(
        sigma_min=noise.sigma_min,
        sigma_max=noise.sigma_max,
        sigma_data=SIGMA_DATA,
        solver_order=2,
        algorithm_type="sde-dpmsolver++" if stochastic else "dpmsolver++",
    )


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
    rows: slice = ALL_ROWS,
) -> torch.Tensor:
    """Draw rows by few-step sampling.

    Parameters
    ----------
    region : tensor of shape (b, ...)
        The condition: each row's region, or an array that the model embeds.
    dimension : int or sequence of int
        The shape of a row.
    steps : int
        Calls of the network.
    generator : torch.Generator
        On the CPU, so that a GPU starts from the same noise.
    half : dtype, optional
        The network's precision under autocast; None: float32. The sampler always computes in float32.
    stochastic : bool
        Solve the stochastic differential equation rather than the ordinary one. Its added noise corrects errors of a
        weak network, but it needs more steps.
    rows : slice
        The rows that are denoised. Noise is drawn for all b rows, so that it does not depend on this choice.

    Returns
    -------
    tensor of shape (rows denoised, *dimension), on the CPU
    """
    scheduler = sampling_scheduler(noise, stochastic)
    scheduler.set_timesteps(steps)
    shape = [dimension] if isinstance(dimension, int) else dimension
    x = torch.randn(len(region), *shape, generator=generator).to(device) * scheduler.init_noise_sigma
    region = region[rows].to(device)
    for timestep in scheduler.timesteps.to(device):
        scaled = scheduler.scale_model_input(x[rows], timestep)
        output = torch.zeros_like(x)  # the scheduler draws its noise in this shape
        with torch.autocast(device.type, half, enabled=half is not None):
            output[rows] = model(scaled, timestep[None], region).float()  # one noise level for all rows
        x = scheduler.step(output, timestep, x, generator=generator).prev_sample
    return x[rows].cpu()
