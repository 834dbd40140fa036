"""Normal laws of regions: means by empirical Bayes, and the denoiser that follows from them in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codsa.generators.tables.normal import fit_normal, smoothed
from codsa.nn import edm
from codsa.nn.denoisers import Denoiser, NormalStart, initialise


def drawn(seed: int, true: np.ndarray, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    region = np.repeat(np.arange(len(rows)), rows)
    return np.random.default_rng(seed).normal(size=(len(region), true.shape[1])) + true[region], region


def test_free_means_and_the_covariance_are_those_of_the_rows() -> None:
    x, region = drawn(0, np.zeros((3, 4)), [30, 20, 10])
    law = fit_normal(x, region, 3, 0.0, "free")
    np.testing.assert_allclose(law.means[2], x[region == 2].mean(axis=0))
    rest = x - law.means[region]
    np.testing.assert_allclose(law.root @ law.root.T, rest.T @ rest / 60, atol=1e-12)
    ridge = fit_normal(x, region, 3, 1.0, "free")
    np.testing.assert_allclose(ridge.values, np.trace(rest.T @ rest / 60) / 4)


def test_means_known_well_stay_and_noise_is_shrunk_away() -> None:
    means = np.random.default_rng(1).normal(size=(4, 50))
    np.testing.assert_allclose(smoothed(means, np.full(4, 1e-9), True), means, atol=1e-6)
    equal = smoothed(means, np.full(4, 1.0), False)  # no more spread than noise alone has
    assert np.abs(equal - equal.mean(axis=0)).max() < 0.35 * np.abs(means - means.mean(axis=0)).max()
    np.testing.assert_allclose(equal.mean(axis=0), means.mean(axis=0), atol=1e-3)


def test_order_lets_a_trend_through_and_not_a_zigzag() -> None:
    """Two directions of the same size: along one the regions rise in order, along the other they alternate."""
    random = np.random.default_rng(2)
    step = np.array([-2.0, -1, 0, 1, 2])
    means = step[:, None] * random.normal(size=200) + random.normal(0, 0.7, size=(5, 200))
    true = step[:, None] * (step @ means / (step @ step))
    ordered, shrunk = (smoothed(means, np.full(5, 0.49), kind) for kind in (True, False))
    assert ((ordered - true) ** 2).mean() < 0.7 * ((shrunk - true) ** 2).mean()


def test_a_region_without_rows_is_what_its_neighbours_say() -> None:
    true = np.outer(np.arange(5.0), np.ones(40))
    x, region = drawn(3, true, [200, 200, 0, 200, 200])
    law = fit_normal(x, region, 5, None, "ordered")
    assert law.means[2].mean() == pytest.approx(2.0, abs=0.2)
    assert fit_normal(x, region, 5, None, "free").means[2].tolist() == [0.0] * 40


@pytest.fixture
def start() -> NormalStart:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=generator)
    values, vectors = torch.linalg.eigh(a @ a.T / 6)
    return NormalStart(torch.randn(3, 6, generator=generator), vectors, values)


def network(start: NormalStart) -> Denoiser:
    denoiser = Denoiser(6, 3, 16, 1, start=start)
    initialise(denoiser, torch.Generator().manual_seed(1), zero=denoiser.leave)
    return denoiser


def test_the_start_is_the_best_denoiser_of_a_normal_law(start: NormalStart) -> None:
    """E[x0 | x] = mean + C (C + sigma² I)^-1 (x - mean), at every noise level."""
    generator = torch.Generator().manual_seed(2)
    x, region = 3 * torch.randn(5, 6, generator=generator), torch.tensor([0, 1, 2, 0, 1])
    sigma = torch.tensor([0.01, 0.1, 1.0, 5.0, 25.0])
    denoised = edm.denoise(network(start), x, sigma, region).detach()
    covariance = start.vectors @ torch.diag(start.values) @ start.vectors.T
    for i, level in enumerate(sigma):
        mean = start.means[region[i]]
        expected = mean + covariance @ torch.linalg.inv(covariance + level**2 * torch.eye(6)) @ (x[i] - mean)
        torch.testing.assert_close(denoised[i], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("stochastic", "steps"), [(False, 24), (True, 60)])
def test_an_untrained_network_draws_from_the_normal_law(stochastic: bool, steps: int, start: NormalStart) -> None:
    region, generator = torch.full((3000,), 1), torch.Generator().manual_seed(3)
    samples = edm.sample(
        network(start),
        region,
        dimension=6,
        steps=steps,
        noise=edm.Noise(),
        generator=generator,
        device=torch.device("cpu"),
        stochastic=stochastic,
    ).numpy()
    covariance = (start.vectors @ torch.diag(start.values) @ start.vectors.T).numpy()
    np.testing.assert_allclose(samples.mean(axis=0), start.means[1].numpy(), atol=0.2)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.15)


def test_weights_carry_the_start(start: NormalStart) -> None:
    weights = network(start).state_dict()
    restored = Denoiser.of(weights)
    assert restored.start is not None and torch.equal(restored.start.means, start.means)
    assert Denoiser.of({k: v for k, v in weights.items() if not k.startswith("start.")}).start is None
