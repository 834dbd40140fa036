"""A diffusion model of images, conditioned on each row's other columns: its class, its domain, an age."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from codsa.data.chunks import chunks
from codsa.data.schema import Column, Schema
from codsa.encoders.conditions import ConditionColumn, Conditions
from codsa.errors import CodsaError
from codsa.estimators.networks import draw_weights
from codsa.generators.images.conditional import ConditionalImageGenerator
from codsa.io import array_columns
from codsa.io.devices import half_type
from codsa.io.processes import my_share
from codsa.io.records import read_as, read_json, write_json
from codsa.io.seeds import child, integer
from codsa.io.tensors import fill, load_tensors, readable
from codsa.nn import edm
from codsa.nn.batches import BalancedBatches
from codsa.nn.trainer import Trainer, TrainingRecipe
from codsa.nn.tuning import plain_weights, tunable
from codsa.nn.unet import ATTENTION, GROUPS, HEAD, TARGETS, Guided, ImageDenoiser, transfer_weights
from codsa.settings.types import (
    Batch,
    Depth,
    ImageTuning,
    NonNegative,
    PositiveInt,
    Precision,
    Probability,
    Rate,
    Share,
    Width,
)

NOISE_ROWS = 256
"""Images whose noise is drawn together."""
CHUNK_ROWS = 32
"""Images that go through the network together on a CPU; on a GPU all of `NOISE_ROWS` do, which takes no longer."""
NAME = "image-diffusion"


@dataclass(frozen=True)
class ImageDiffusionRecord:
    """What `images.json` holds: the scale of pixels, the conditions, and the sizes of the network."""

    centre: float
    scale: float
    conditions: list[ConditionColumn]
    width: list[Width]
    layers: Depth
    patch: Depth


class ImageDiffusion(ConditionalImageGenerator):
    """EDM diffusion of pixels by a U-Net; the condition is every other modelled column.

    Conditions may be combined that S_g never shows together: a class known from one domain, in the
    style of another (`unseen`).

    Parameters
    ----------
    steps, batch : int
        Gradient steps, and images in each; a batch draws its regions evenly.
    learning_rate : float
        Peak of the one-cycle schedule.
    width : list of int
        Channels of the U-Net's levels, multiples of 8; each but the last halves the sides.
    layers : int
        Residual blocks of a level.
    patch : int
        So many pixels of a row and of a column become channels first: patch 2 costs a quarter.
    ema : float
        Decay of the averaged weights.
    flip : bool
        Mirror images left to right at random in training.
    condition_dropout : float
        Share of training images whose condition is left out, which guidance needs.
    guidance : float
        Scale of classifier-free guidance; 1 is none, and more doubles the cost of drawing.
    sampler_steps : int
        Calls of the network to draw an image.
    stochastic : bool
        Add fresh noise at every call, which makes good what a network trained for a short time leaves of the old;
        false: none, for very few calls of a network trained well.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        Mixed precision of training and drawing; auto: bf16 where the hardware computes in it.
    tune : {'full', 'head', 'attention', 'lora'}
        Which weights of a pretrained denoiser are trained further.
    uniform : list of str
        Columns that are drawn evenly over the values seen, not as the region's rows have them.
    unseen : list of str
        Regions whose images are not trained on: they are composed of what the others teach.
    """

    label = NAME
    slow = True

    def __init__(
        self,
        *,
        steps: PositiveInt = 4000,
        batch: Batch = 64,
        learning_rate: Rate = 5e-4,
        width: list[Width] | None = None,
        layers: Depth = 1,
        patch: Depth = 1,
        ema: Probability = 0.999,
        flip: bool = False,
        condition_dropout: Share = 0.1,
        guidance: NonNegative = 1.0,
        sampler_steps: PositiveInt = 24,
        stochastic: bool = True,
        precision: Precision = "auto",
        tune: ImageTuning = "full",
        uniform: list[str] | None = None,
        unseen: list[str] | None = None,
    ) -> None:
        self.width = list(width or [32, 64, 64])
        if any(w < GROUPS or w % GROUPS for w in self.width):
            raise CodsaError(f"{NAME}: width = {self.width}; give multiples of {GROUPS}")
        if guidance != 1 and condition_dropout == 0:
            raise CodsaError(
                f"{NAME}: guidance = {guidance} needs images trained on without condition: condition_dropout above 0"
            )
        self.recipe = TrainingRecipe(steps, learning_rate, ema, precision=precision)
        self.batch, self.layers, self.patch, self.flip = batch, layers, patch, flip
        self.condition_dropout, self.guidance = condition_dropout, guidance
        self.sampler_steps, self.stochastic = sampler_steps, stochastic
        self.tune, self.uniform, self.unseen = tune, list(uniform or []), list(unseen or [])
        self.noise = edm.Noise()
        self.losses = pd.DataFrame()
        self.conditions: Conditions
        self.model: ImageDenoiser
        self.centre, self.scale = 0.0, 1.0

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Train the denoiser on S_g (see `Generator.fit`)."""
        column = self.remember(rows, regions, schema)
        left_out = [schema.regions.index(name) for name in self.unseen]
        self.conditions = Conditions.fit(rows, schema)
        seen = ~np.isin(regions, left_out)
        if not seen.any():
            raise CodsaError(f"{NAME}: unseen = {self.unseen}: no row of S_g is left to train on")
        pixels = array_columns.arrays(rows[column.name])[seen]
        net = self._start(pixels, pretrained, child(stream, "weights"))
        conditions = torch.from_numpy(self.conditions.encode(rows)[seen])
        trainer = Trainer(
            net,
            self.recipe,
            self._loss(pixels, conditions, np.asarray(regions)[seen]),
            held_out=None,
            seed=integer(child(stream, "steps")),
            checkpoint=None if checkpoint_dir is None else checkpoint_dir / "denoiser.safetensors",
        )
        self.losses = trainer.run()
        self.model = self._network(column)
        self.model.load_state_dict(plain_weights(net, trainer.weights()))
        return self

    def _network(self, column: Column) -> ImageDenoiser:
        assert column.shape is not None
        return ImageDenoiser(column.shape[2], self.conditions, self.width, layers=self.layers, patch=self.patch)

    def _start(self, pixels: np.ndarray, pretrained: Path | None, stream: np.random.SeedSequence) -> nn.Module:
        """Return the network that training starts from, and settle the scale of pixels and the conditions' codes."""
        column, generator = self.image_of(self.schema), torch.Generator().manual_seed(integer(stream))
        if pretrained is None:
            self.centre, spread = float(pixels.mean()), float(pixels.std())
            self.scale = spread if spread > 0 else 1.0
            net = self._network(column)
            draw_weights(net, generator)
            nn.init.zeros_(net.unet.conv_out.weight)
            return net
        source = self._source(pretrained, column)
        self.centre, self.scale = source.centre, source.scale
        self.conditions = self.conditions.adapt(source.conditions)
        self.width, self.layers, self.patch = source.width, source.layers, source.patch
        net = transfer_weights(self._network(column), source.model, self.conditions, source.conditions)
        return tunable(net, self.tune, generator, head=HEAD, targets=TARGETS, attention=ATTENTION)

    def _source(self, folder: Path, column: Column) -> ImageDiffusion:
        if not (folder / "images.json").exists():
            raise CodsaError(f"{folder}: holds no {NAME}; make it with codsa-train-gen --pretrain denoiser on images")
        with readable(folder):
            source_schema = Schema.from_dict(read_json(folder / "schema.json"))
            shape = self.image_of(source_schema).shape
            if shape is None or column.shape is None or shape[2] != column.shape[2]:
                raise CodsaError(f"{folder}: pretrained on images of shape {shape}, the data have {column.shape}")
            return type(self).load(folder, source_schema, {})

    def _loss(self, pixels: np.ndarray, conditions: torch.Tensor, regions: np.ndarray) -> Any:
        batches = BalancedBatches(regions, self.batch)

        def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
            chosen = batches.draw(generator)
            x = self._scaled(pixels[chosen.numpy()])
            if self.flip:
                mirrored = torch.rand(self.batch, generator=generator) < 0.5
                x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
            conditioned = (torch.rand(self.batch, 1, generator=generator) >= self.condition_dropout).float()
            sigma = edm.draw_sigma(self.batch, self.noise, generator)
            epsilon = torch.randn(x.shape, generator=generator)
            device = next(net.parameters()).device
            shares = my_share(x, torch.cat([conditioned, conditions[chosen]], dim=1), sigma, epsilon)
            batch = (part.to(device) for part in shares)
            return edm.denoising_loss(net, *batch).mean()

        return loss

    def _scaled(self, pixels: np.ndarray) -> torch.Tensor:
        """Return images as float32 of unit scale, tensor of shape (b, channels, height, width)."""
        return ((torch.from_numpy(pixels).float() - self.centre) / self.scale).movedim(-1, 1)

    def draw(self, rows: pd.DataFrame, column: Column, stream: np.random.SeedSequence) -> Iterator[np.ndarray]:
        """Draw an image for each row, a chunk at a time (see `ConditionalImageGenerator.draw`)."""
        assert column.shape is not None
        height, width, channels = column.shape
        conditions = torch.from_numpy(self.conditions.encode(rows))
        condition = torch.cat([torch.ones(len(rows), 1), conditions], dim=1)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        plain = self.model.to(device).eval()
        model = plain if self.guidance == 1 else Guided(plain, self.guidance)
        generator = torch.Generator().manual_seed(integer(stream))
        size = CHUNK_ROWS if device.type == "cpu" else NOISE_ROWS
        plan = (self.sampler_steps, self.noise, generator, device, half_type(self.recipe.precision), self.stochastic)
        for group in chunks(len(rows), NOISE_ROWS):
            state = generator.get_state()
            for part in chunks(group.stop - group.start, size):
                generator.set_state(state)  # each chunk takes its rows of the group's noise
                x = edm.sample(model, condition[group], (channels, height, width), *plan, rows=part)
                pixels = x.movedim(1, -1) * self.scale + self.centre
                yield pixels.round().clamp(0, 255).byte().numpy()

    def save(self, folder: Path) -> None:
        """Write weights, conditions and losses (see `Generator.save`)."""
        save_file(
            {k: v.contiguous() for k, v in self.model.cpu().state_dict().items()}, folder / "denoiser.safetensors"
        )
        record = {"centre": self.centre, "scale": self.scale, "conditions": self.conditions.to_list()}
        record |= {"width": self.width, "layers": self.layers, "patch": self.patch}
        write_json(folder / "images.json", record)
        self.save_conditions(folder)
        self.losses.to_csv(folder / "losses.csv", index=False)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = cls(**settings)
        record = read_as(folder / "images.json", ImageDiffusionRecord)
        generator.load_conditions(folder, schema)
        generator.conditions = Conditions(record.conditions)
        generator.centre, generator.scale = record.centre, record.scale
        generator.width, generator.layers, generator.patch = record.width, record.layers, record.patch
        with torch.device("meta"):  # the weights' own sizes are compared before any memory is taken
            generator.model = generator._network(generator.image_of(schema))
        fill(generator.model, load_tensors(folder / "denoiser.safetensors", "torch"), assign=True)
        return generator
