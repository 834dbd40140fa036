"""The paper's diffusion of sentence embeddings (section 4.3), and a decoder that turns them into words."""

from __future__ import annotations

from codsa.errors import CodsaError
from codsa.generators.gaussian import Gaussian
from codsa.generators.tabular_diffusion import TabularDiffusion
from codsa.generators.worded import Worded


class EmbeddingDiffusion(TabularDiffusion):
    """EDM diffusion of embeddings by a residual network, conditional on the region.

    The network's sizes are the paper's: ten residual blocks, a noise level embedded by a two-layer
    network of 2048 units. What else is told of a row (columns beside the embedding) is denoised with it.

    Parameters
    ----------
    steps, batch, learning_rate, width, depth, ema, holdout, patience, sampler_steps, precision, tune
        As for `TabularDiffusion`.
    noise_width : int
        Hidden units of the noise level's embedding.
    """

    def __init__(
        self,
        *,
        steps: int = 4000,
        batch: int = 256,
        learning_rate: float = 1e-3,
        width: int = 512,
        depth: int = 10,
        noise_width: int = 2048,
        ema: float = 0.999,
        holdout: float = 0.1,
        patience: int = 6,
        sampler_steps: int = 24,
        precision: str = "no",
        tune: str = "full",
    ) -> None:
        if noise_width < 1:
            raise CodsaError(f"text-diffusion: noise_width = {noise_width}; it must be at least 1")
        super().__init__(
            steps=steps,
            batch=batch,
            learning_rate=learning_rate,
            width=width,
            depth=depth,
            ema=ema,
            holdout=holdout,
            patience=patience,
            sampler_steps=sampler_steps,
            precision=precision,
            labels="denoiser",
            tune=tune,
            ties=False,
        )
        self.told = noise_width


class TextDiffusion(Worded):
    """`EmbeddingDiffusion` with a decoder (see `Worded`)."""

    core = EmbeddingDiffusion


class TextGaussian(Worded):
    """`Gaussian` with a decoder (see `Worded`)."""

    core = Gaussian
