"""The paper's diffusion of sentence embeddings (section 4.3), and a decoder that turns them into words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from codsa.diffusion.network import NormalStart
from codsa.errors import CodsaError
from codsa.generators.gaussian import Gaussian
from codsa.generators.normal import MEANS, fit_normal
from codsa.generators.tabular_diffusion import TabularDiffusion
from codsa.generators.worded import Worded
from codsa.schema import check_choice

STARTS = ("normal", "zero")


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
    start : {'normal', 'zero'}
        normal: the network is added to the closed-form denoiser of `Gaussian` and learns what that leaves, so that
        few rows do; zero: it learns all, as in the paper. A pretrained denoiser keeps its own.
    shrinkage, means
        For start normal, as for `Gaussian`.
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
        start: str = "normal",
        shrinkage: float | None = None,
        means: str = "shrunk",
    ) -> None:
        if noise_width < 1:
            raise CodsaError(f"text-diffusion: noise_width = {noise_width}; it must be at least 1")
        check_choice("text-diffusion: start", start, STARTS)
        check_choice("text-diffusion: means", means, MEANS)
        if shrinkage is not None and not 0 <= shrinkage <= 1:
            raise CodsaError(f"text-diffusion: shrinkage = {shrinkage}; it must lie in [0, 1]")
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
        self.normal = (shrinkage, means) if start == "normal" else None

    def _closed_form(self, rows: pd.DataFrame, regions: np.ndarray) -> NormalStart | None:
        if self.normal is None:
            return None
        x = self.space.encode(rows, regions).astype(np.float64)
        law = fit_normal(x, np.asarray(regions), len(self.schema.regions), *self.normal)
        return NormalStart(*(torch.from_numpy(part) for part in (law.means, law.vectors, law.values)))


class TextDiffusion(Worded):
    """`EmbeddingDiffusion` with a decoder (see `Worded`)."""

    core = EmbeddingDiffusion


class TextGaussian(Worded):
    """`Gaussian` with a decoder (see `Worded`)."""

    core = Gaussian
