"""A diffusion model of table rows, conditional on the region."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from codsa.diffusion import edm
from codsa.diffusion.network import Denoiser, initialise
from codsa.diffusion.training import Recipe, Trainer
from codsa.encoders.autoencoder import LatentSpace
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.generators.base import Generator, complete
from codsa.schema import Schema
from codsa.streams import child, integer, rng


class TabularDiffusion(Generator):
    """EDM diffusion of encoded rows, or of the codes of a pretrained encoder–decoder.

    Parameters
    ----------
    steps, batch : int
        Gradient steps at most, and rows in each; a batch draws its regions evenly.
    learning_rate : float
        Peak of the one-cycle schedule.
    width, depth : int
        Hidden units and residual blocks.
    ema : float
        Decay of the averaged weights.
    holdout : float
        Share of S_g on which the early stop is decided; 0 trains on all of S_g to the last step.
    patience : int
        The early stop waits for so many of 20 checks.
    sampler_steps : int
        Calls of the network to draw a row.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        Mixed precision of training; auto: bf16 where the hardware computes in it.
    """

    def __init__(
        self,
        *,
        steps: int = 3000,
        batch: int = 512,
        learning_rate: float = 2e-3,
        width: int = 256,
        depth: int = 3,
        ema: float = 0.999,
        holdout: float = 0.1,
        patience: int = 6,
        sampler_steps: int = 24,
        precision: str = "no",
    ) -> None:
        if not 0 <= holdout < 1:
            raise CodsaError(f"tabular-diffusion: holdout = {holdout}; it must lie in [0, 1)")
        if min(steps, batch, width, depth, sampler_steps, patience) < 1:
            raise CodsaError("tabular-diffusion: steps, batch, width, depth, patience, sampler_steps start at 1")
        if not learning_rate > 0:
            raise CodsaError(f"tabular-diffusion: learning_rate = {learning_rate}; it must be above 0")
        self.recipe = Recipe(steps, learning_rate, ema, patience=patience, precision=precision)
        self.batch, self.width, self.depth = batch, width, depth
        self.holdout, self.sampler_steps = holdout, sampler_steps
        self.noise = edm.Noise()
        self.losses = pd.DataFrame()
        self.model: Denoiser

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        work: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Train the denoiser on S_g (see `Generator.fit`)."""
        self._use(schema, rows, regions, pretrained)
        x = torch.from_numpy(self.space.encode(rows, regions))
        region = torch.from_numpy(np.asarray(regions))
        held = torch.from_numpy(hold_out(regions, self.holdout, rng(child(stream, "held out"))))
        initialise(self.model, torch.Generator().manual_seed(integer(child(stream, "weights"))), zero=self.model.leave)
        trainer = Trainer(
            self.model,
            self.recipe,
            self._loss(x[~held], region[~held]),
            self._held_out(x[held], region[held], child(stream, "check")) if held.any() else None,
            integer(child(stream, "steps")),
            None if work is None else work / "denoiser.safetensors",
        )
        self.losses = trainer.run()
        self.model = self._network()
        self.model.load_state_dict(trainer.weights())
        return self

    def _use(
        self, schema: Schema, rows: pd.DataFrame | None, regions: np.ndarray | None, pretrained: Path | None
    ) -> None:
        self.schema = schema
        columns = schema.generated
        self.space: TabularEncoder | LatentSpace
        if pretrained is not None:
            self.space = LatentSpace.load(pretrained)
            if rows is not None and regions is not None:
                self.space.adapt(rows, columns, schema.regions, regions)
        elif rows is not None and regions is not None:
            self.space = TabularEncoder.fit(rows, columns, schema.regions, regions, ties=True)
        self.model = self._network()

    def _network(self) -> Denoiser:
        return Denoiser(self.space.width, len(self.schema.regions), self.width, self.depth)

    def _loss(self, x: torch.Tensor, region: torch.Tensor) -> Any:
        members = [torch.nonzero(region == k).flatten() for k in range(len(self.schema.regions))]
        members = [m for m in members if len(m)]
        sizes = torch.tensor([len(m) for m in members])
        starts = torch.cumsum(sizes, 0) - sizes
        order = torch.cat(members)

        def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
            pick = torch.randint(len(members), (self.batch,), generator=generator)
            within = (torch.rand(self.batch, generator=generator, dtype=torch.float64) * sizes[pick]).long()
            chosen = order[starts[pick] + within]
            sigma = edm.draw_sigma(self.batch, self.noise, generator)
            epsilon = torch.randn(self.batch, x.shape[1], generator=generator)
            device = next(net.parameters()).device
            batch = (part.to(device) for part in (x[chosen], region[chosen], sigma, epsilon))
            return edm.denoising_loss(net, *batch).mean()

        return loss

    def _held_out(self, x: torch.Tensor, region: torch.Tensor, stream: np.random.SeedSequence) -> Any:
        """Return the mean over regions of the loss on held-out rows under fixed noise."""
        repeats = int(np.clip(4096 // len(x), 1, 64))
        generator = torch.Generator().manual_seed(integer(stream))
        x, region = x.repeat(repeats, 1), region.repeat(repeats)
        sigma = edm.draw_sigma(len(x), self.noise, generator)
        epsilon = torch.randn(x.shape, generator=generator)

        @torch.no_grad()
        def held_out(net: nn.Module) -> float:
            device = next(net.parameters()).device
            parts = (part.to(device) for part in (x, region, sigma, epsilon))
            each = edm.denoising_loss(net, *parts).cpu()
            return float(torch.stack([each[region == k].mean() for k in region.unique()]).mean())

        return held_out

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = self.model.to(device).eval()
        drawn = edm.sample(
            model,
            torch.full((count,), region, dtype=torch.long),
            self.space.width,
            self.sampler_steps,
            self.noise,
            torch.Generator().manual_seed(integer(stream)),
            device,
        )
        return complete(self.space.decode(drawn.numpy(), np.full(count, region)), region, self.schema)

    def save(self, folder: Path) -> None:
        """Write weights, encoder and losses (see `Generator.save`)."""
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.cpu().state_dict().items()}
        if isinstance(self.space, LatentSpace):
            self.space.save(folder)
        else:
            arrays = self.space.to_arrays()
            tensors |= {f"table.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        save_file(tensors, folder / "denoiser.safetensors")
        self.losses.to_csv(folder / "losses.csv", index=False)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        made = cls(**settings)
        tensors = load_file(folder / "denoiser.safetensors")
        arrays = {k.removeprefix("table."): v.numpy() for k, v in tensors.items() if k.startswith("table.")}
        if arrays:
            made.space = TabularEncoder.from_arrays(arrays, schema.generated)
            made._use(schema, None, None, None)
        else:
            made._use(schema, None, None, folder)
        made.model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        return made


def hold_out(regions: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Choose rows for the early stop: a share of every region, rounded down.

    Returns
    -------
    ndarray of bool, shape (n_g,)
    """
    chosen = np.zeros(len(regions), dtype=bool)
    for k in np.unique(regions):
        members = np.flatnonzero(regions == k)
        chosen[random.permutation(members)[: int(share * len(members))]] = True
    return chosen
