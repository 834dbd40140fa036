"""The paper's process: its scheduler and its sampler, against closed forms."""

from __future__ import annotations

import torch
from torch import nn

from codsa.nn.noise_prediction import (
    TIMESTEPS,
    NoisePredictor,
    ancestral_sample,
    noise_prediction_loss,
    noise_scheduler,
)

MEANS = torch.tensor([[2.0, -1.0], [-3.0, 0.5]])
DEVIATIONS = torch.tensor([[0.5, 1.5], [1.0, 0.2]])


class BestPredictor(nn.Module):
    """E[ε | x_t] where the rows of each region are normal: √(1 − ᾱ)·(x_t − √ᾱ·mean) / (ᾱ·sd² + 1 − ᾱ)."""

    def __init__(self) -> None:
        super().__init__()
        self.alphas = noise_scheduler().alphas_cumprod

    def forward(self, x: torch.Tensor, timestep: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        alpha = self.alphas[timestep].reshape(-1, 1)
        variance = alpha * DEVIATIONS[region] ** 2 + 1 - alpha
        predicted: torch.Tensor = (1 - alpha).sqrt() * (x - alpha.sqrt() * MEANS[region]) / variance
        return predicted


def test_beta_is_linear_over_a_thousand_steps() -> None:
    scheduler = noise_scheduler()
    torch.testing.assert_close(scheduler.betas, torch.linspace(1e-4, 0.02, 1000))
    scheduler.set_timesteps(TIMESTEPS)
    assert scheduler.timesteps.tolist() == list(range(999, -1, -1))


def test_ancestral_sampling_with_the_best_predictor_draws_the_regions_laws() -> None:
    region = torch.arange(2).repeat(4000)
    rows = ancestral_sample(BestPredictor(), region, 2, torch.Generator().manual_seed(0), torch.device("cpu"))
    for k in range(2):
        drawn = rows[region == k]
        torch.testing.assert_close(drawn.mean(0), MEANS[k], rtol=0, atol=0.08)
        torch.testing.assert_close(drawn.std(0), DEVIATIONS[k], rtol=0.05, atol=0)


def test_the_loss_is_that_of_the_predicted_noise() -> None:
    """The best predictor's error is the noise's variance given x_t; a network that predicts 0 has the noise's own."""
    generator = torch.Generator().manual_seed(1)
    region, epsilon = torch.zeros(20_000, dtype=torch.int64), torch.randn(20_000, 2, generator=generator)
    x = MEANS[0] + DEVIATIONS[0] * torch.randn(20_000, 2, generator=generator)
    timestep, scheduler = torch.full((20_000,), 300), noise_scheduler()
    alpha = scheduler.alphas_cumprod[300]
    signal = alpha * DEVIATIONS[0] ** 2
    expected = (signal / (signal + 1 - alpha)).mean()
    loss = noise_prediction_loss(BestPredictor(), x, region, timestep, epsilon, scheduler)
    assert loss.shape == (20_000,)
    torch.testing.assert_close(loss.mean(), expected, rtol=0.03, atol=0)


def test_the_network_is_built_again_from_its_weights_and_reads_each_input() -> None:
    torch.manual_seed(0)
    network = NoisePredictor(3, regions=2, width=16, depth=4)
    x, timestep, region = torch.randn(5, 3), torch.tensor([0, 1, 10, 500, 999]), torch.tensor([0, 1, 0, 1, 0])
    predicted = network(x, timestep, region)
    assert torch.equal(NoisePredictor.of(network.state_dict())(x, timestep, region), predicted)
    for changed in ((x + 1, timestep, region), (x, timestep.flip(0), region), (x, timestep, 1 - region)):
        assert not torch.allclose(network(*changed), predicted)
