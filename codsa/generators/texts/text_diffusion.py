"""The paper's diffusion of sentence embeddings (section 4.3), and a decoder that turns them into words."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch

from codsa.generators.tables.gaussian import Gaussian
from codsa.generators.tables.normal import fit_normal
from codsa.generators.tables.tabular_diffusion import TabularDiffusion
from codsa.generators.texts.decoded import DecodedTextGenerator
from codsa.nn.denoisers import NormalStart
from codsa.settings.types import Batch, Depth, Means, PositiveInt, Precision, Probability, Rate, Share, Tuning, Width


class EmbeddingDiffusion(TabularDiffusion):
    """EDM diffusion of embeddings by a residual network, conditional on the region.

    The network's sizes are the paper's: ten residual blocks, a noise level embedded by a two-layer
    network of 2048 units. Columns beside the embedding are denoised with it.

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
        steps: PositiveInt = 4000,
        batch: Batch = 256,
        learning_rate: Rate = 1e-3,
        width: Width = 512,
        depth: Depth = 10,
        noise_width: Width = 2048,
        ema: Probability = 0.999,
        holdout: Share = 0.1,
        patience: PositiveInt = 6,
        sampler_steps: PositiveInt = 24,
        precision: Precision = "no",
        tune: Tuning = "full",
        start: Literal["normal", "zero"] = "normal",
        shrinkage: Probability | None = None,
        means: Means = "shrunk",
    ) -> None:
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
            dependencies=False,
        )
        self.embedding_width = noise_width
        self.normal = (shrinkage, means) if start == "normal" else None

    def _closed_form(self, rows: pd.DataFrame, regions: np.ndarray) -> NormalStart | None:
        if self.normal is None:
            return None
        x = self.space.encode(rows, regions).astype(np.float64)
        law = fit_normal(x, np.asarray(regions), len(self.schema.regions), *self.normal)
        return NormalStart(*(torch.from_numpy(part) for part in (law.means, law.vectors, law.values)))


class TextDiffusion(DecodedTextGenerator):
    """`EmbeddingDiffusion` with a decoder (see `DecodedTextGenerator`)."""

    core = EmbeddingDiffusion
    label = "text-diffusion"


class TextGaussian(DecodedTextGenerator):
    """`Gaussian` with a decoder (see `DecodedTextGenerator`)."""

    core = Gaussian
    label = "text-gaussian"
