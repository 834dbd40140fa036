"""EDM's preconditioning and loss: the paper's formulas, and diffusers' scheduler, which draws by the same ones."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from codsa.nn import edm

SIGMA = torch.tensor([0.004, 0.3, 1.0, 7.0, 30.0])


class Echo(nn.Module):
    """A network whose output depends on each of its inputs."""

    def forward(self, x: torch.Tensor, noise: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        return 2 * x + (noise + region).reshape(-1, *[1] * (x.ndim - 1))


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 4, 4)])
def test_rows_are_denoised_as_by_the_scheduler_of_the_sampler(shape: tuple[int, ...]) -> None:
    x, region = torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    scheduler, level = edm.sampling_scheduler(edm.Noise()), SIGMA.reshape(-1, *[1] * (len(shape) - 1))
    output = Echo()(scheduler.precondition_inputs(x, level), scheduler.precondition_noise(SIGMA), region)
    expected = scheduler.precondition_outputs(x, output, level)
    assert torch.equal(edm.denoise(Echo(), x, SIGMA, region), expected)


def test_the_factors_keep_unit_variance() -> None:
    """Karras 2022, Appendix B.6: for rows of variance sigma_data², input and target of the network have variance 1."""
    for sigma_data in (0.5, 1.0, 2.0):
        total = SIGMA**2 + sigma_data**2
        torch.testing.assert_close(edm.c_in(SIGMA, sigma_data) ** 2 * total, torch.ones(5))
        skip, out = edm.c_skip(SIGMA, sigma_data), edm.c_out(SIGMA, sigma_data)
        target = ((1 - skip) ** 2 * sigma_data**2 + skip**2 * SIGMA**2) / out**2
        torch.testing.assert_close(target, torch.ones(5))
        torch.testing.assert_close(edm.loss_weight(SIGMA, sigma_data) * out**2, torch.ones(5))


def test_the_loss_of_known_rows() -> None:
    """By hand for sigma = 1: c_in = c_out = 1/√2, c_skip = 1/2, weight = 2, and c_noise = 0."""
    x, epsilon = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2.0]])
    loss = edm.denoising_loss(Echo(), x, torch.tensor([0]), torch.tensor([1.0]), epsilon)
    # noisy (2, 2), network's output 2 · (2, 2)/√2, denoised 1 + 2 = 3, errors (2, 3), mean of squares 6.5
    torch.testing.assert_close(loss, torch.tensor([13.0]))


def test_noise_levels_are_log_normal() -> None:
    noise = edm.Noise(log_sigma_mean=-1.0, log_sigma_std=0.5)
    logs = edm.draw_sigma(20_000, noise, torch.Generator().manual_seed(1)).log()
    assert float(logs.mean()) == pytest.approx(-1.0, abs=0.02) and float(logs.std()) == pytest.approx(0.5, abs=0.02)
