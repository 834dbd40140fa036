"""Stable Diffusion under low-rank updates, conditioned on each row's columns by a prompt (arXiv 2504.07426, 4.4)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from codsa.data.schema import Column, Schema
from codsa.errors import CodsaError
from codsa.generators.images.conditional import ConditionalImageGenerator
from codsa.generators.images.prompts import Prompts
from codsa.io import array_columns
from codsa.io.devices import half_type
from codsa.io.files import atomic_write
from codsa.io.image_codec import resized
from codsa.io.processes import is_main, my_share, own_device, wait_for_all
from codsa.io.progress import Progress
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, integer
from codsa.io.tensors import load_tensors
from codsa.nn.batches import BalancedBatches
from codsa.nn.stable import (
    LoraUNet,
    Pipeline,
    encode_prompts,
    latents_of,
    load_pipeline,
    load_updates,
    noise_loss,
    save_updates,
)
from codsa.nn.trainer import Trainer, TrainingRecipe
from codsa.settings.types import AtLeastOne, Batch, PositiveInt, Precision, Probability, Rate, Share, Width

log = logging.getLogger(__name__)

NAME = "stable-diffusion"
FACTS = "stable_diffusion.json"
SLOW_CALLS = 60.0
"""Seconds that images drawn together may take before their calls of the U-Net are reported."""


@dataclass(frozen=True)
class StableDiffusionRecord:
    """What `stable_diffusion.json` holds: the base model's name and digest, the updates' rank, the images' side."""

    model: str
    base: str
    rank: Width
    size: Width


class StableDiffusion(ConditionalImageGenerator):
    """Low-rank updates (Hu 2021) of the attention of a Stable Diffusion U-Net; VAE and text encoder stay as they are.

    Images go through the VAE once, before training. They are drawn at the model's size, by DPM-Solver++, and
    brought to the size of the data.

    Parameters
    ----------
    model : str
        A diffusers pipeline: a folder, or a name on the hub.
    prompt : str
        The template of the prompts, with columns in braces: 'A {age}-year-old {gender} of {ethnicity}'.
    words : mapping
        Column → value → word, for columns that are written in codes.
    uniform : list of str
        Columns that are drawn evenly over the values seen, not as the region's rows have them.
    size : int, optional
        Pixels of a side at which the model works; default: its own.
    steps, batch : int
        Gradient steps, and images in each; a batch draws its regions evenly.
    learning_rate : float
        Peak of the one-cycle schedule.
    rank : int
        Of the updates.
    ema : float
        Decay of the averaged updates.
    condition_dropout : float
        Share of training images whose prompt is left empty, which guidance needs.
    checkpointing : bool
        Compute activations again in the backward pass: less memory for a third more time.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        Mixed precision of training, and the precision of the frozen weights; auto: bf16 where the hardware has it.
    guidance : float
        Scale of classifier-free guidance; 1 is none.
    sampler_steps : int
        Calls of the U-Net to draw an image; guidance doubles each.
    at_once : int
        Images that are encoded, or drawn, together; those of one call are from one random stream.
    """

    label = NAME
    slow = True

    def __init__(
        self,
        *,
        model: str = "stabilityai/stable-diffusion-2",
        prompt: str = "",
        words: Mapping[str, Mapping[Any, Any]] | None = None,
        uniform: list[str] | None = None,
        size: Width | None = None,
        steps: PositiveInt = 20_000,
        batch: Batch = 8,
        learning_rate: Rate = 1e-4,
        rank: Width = 16,
        ema: Probability = 0.999,
        condition_dropout: Share = 0.1,
        checkpointing: bool = False,
        precision: Precision = "auto",
        guidance: AtLeastOne = 3.0,
        sampler_steps: PositiveInt = 25,
        at_once: Batch = 8,
    ) -> None:
        if not prompt:
            raise CodsaError(f"{NAME}: give prompt, with columns in braces, as in 'A {{age}}-year-old {{gender}}'")
        self.model, self.size, self.uniform = model, size, list(uniform or [])
        self.prompts = Prompts(prompt, words or {})
        self.recipe = TrainingRecipe(steps, learning_rate, ema, precision=precision)
        self.batch, self.rank, self.condition_dropout, self.checkpointing = (
            batch,
            rank,
            condition_dropout,
            checkpointing,
        )
        self.guidance, self.sampler_steps, self.at_once = guidance, sampler_steps, at_once
        self.block = at_once
        self.losses = pd.DataFrame()
        self.pipeline: Pipeline
        self.net: LoraUNet

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Train the updates on S_g (see `Generator.fit`)."""
        column = self.remember(rows, regions, schema)
        self._check(column)
        self._load(child(stream, "weights"))
        if pretrained is not None:
            _check_base(pretrained, self.pipeline, self.rank)
            load_updates(self.net, pretrained)
        device = own_device()
        self._to(device, half_type(self.recipe.precision))
        latents = self._latents(array_columns.arrays(rows[column.name]), checkpoint_dir, device)
        if self.checkpointing:
            self.net.unet.enable_gradient_checkpointing()
        trainer = Trainer(
            self.net.train(),
            self.recipe,
            self._loss(latents, self.prompts.of(self.condition_rows), np.asarray(regions), device),
            held_out=None,
            seed=integer(child(stream, "steps")),
            checkpoint=None if checkpoint_dir is None else checkpoint_dir / "updates.safetensors",
        )
        self.losses = trainer.run()
        self.net.load_state_dict(trainer.weights())
        self.net.eval()
        return self

    def _check(self, column: Column) -> None:
        self.prompts.check(self.condition_rows)
        assert column.shape is not None
        if column.shape[2] not in (1, 3):
            raise CodsaError(f"{NAME}: column '{column.name}' has {column.shape[2]} channels; it draws 1 or 3")
        if self.schema.target not in self.prompts.names:
            log.warning("the prompt does not name the target '%s': images will not depend on it", self.schema.target)

    def _load(self, stream: np.random.SeedSequence) -> None:
        self.pipeline = load_pipeline(self.model)
        self.size = self.size or self.pipeline.side
        self.pipeline.check_side(self.size)
        generator = torch.Generator().manual_seed(integer(stream))
        self.net = LoraUNet(self.pipeline.pipe.unet, self.rank, generator)

    def _to(self, device: torch.device, half: torch.dtype | None) -> None:
        """Bring the frozen parts to a device and precision; the VAE and the updates stay in float32."""
        pipe = self.pipeline.pipe
        pipe.vae.to(device)
        pipe.text_encoder.to(device)
        self.net.to(device)
        for parameter in self.net.parameters():
            if half is not None and not parameter.requires_grad:
                parameter.data = parameter.data.to(half)

    def _latents(self, pixels: np.ndarray, checkpoint_dir: Path | None, device: torch.device) -> torch.Tensor:
        """Return the latents of all images, from the file that an earlier run or the first process left."""
        if checkpoint_dir is None:
            return self._encoded(pixels, device)
        path = checkpoint_dir / "latents.safetensors"
        if is_main() and not path.exists():
            with atomic_write(path) as part:
                save_file({"latents": self._encoded(pixels, device)}, part)
        wait_for_all()
        latents: torch.Tensor = load_tensors(path, "torch").expect("latents", len(pixels), None, None, None)
        return latents

    def _encoded(self, pixels: np.ndarray, device: torch.device) -> torch.Tensor:
        latents = []
        for first in range(0, len(pixels), self.at_once):
            assert self.size is not None
            part = torch.from_numpy(resized(pixels[first : first + self.at_once], (self.size, self.size)))
            coloured = part.expand(-1, -1, -1, 3).movedim(-1, 1).float() / 127.5 - 1
            latents.append(latents_of(self.pipeline, coloured, device))
        return torch.cat(latents).contiguous()

    def _loss(self, latents: torch.Tensor, prompts: list[str], regions: np.ndarray, device: torch.device) -> Any:
        from diffusers import DDPMScheduler

        batches = BalancedBatches(regions, self.batch)
        scheduler = DDPMScheduler.from_config(self.pipeline.pipe.scheduler.config)

        def loss(net: torch.nn.Module, generator: torch.Generator) -> torch.Tensor:
            chosen = batches.draw(generator)
            conditioned = torch.rand(self.batch, generator=generator) >= self.condition_dropout
            timestep = torch.randint(scheduler.config.num_train_timesteps, (self.batch,), generator=generator)
            epsilon = torch.randn(latents[chosen].shape, generator=generator)
            chosen, conditioned, timestep, epsilon = my_share(chosen, conditioned, timestep, epsilon)
            encoder_hidden_states = encode_prompts(
                self.pipeline, [prompts[i] if k else "" for i, k in zip(chosen, conditioned, strict=True)], device
            )
            x, timestep, epsilon = (part.to(device) for part in (latents[chosen], timestep, epsilon))
            return noise_loss(
                net, scheduler, x, timesteps=timestep, noise=epsilon, encoder_hidden_states=encoder_hidden_states
            )

        return loss

    def draw(self, rows: pd.DataFrame, column: Column, stream: np.random.SeedSequence) -> Iterator[np.ndarray]:
        """Draw an image for each row, `at_once` at a time (see `ConditionalImageGenerator.draw`)."""
        assert column.shape is not None
        height, width, channels = column.shape
        generator = torch.Generator().manual_seed(integer(stream))
        prompts = self.prompts.of(rows)
        for images in self._drawn(prompts, generator):
            pixels = images if channels == 3 else images.mean(axis=3, keepdims=True)
            whole_size = (pixels * 255).round().clip(0, 255).astype(np.uint8)
            yield resized(whole_size, (height, width))

    @torch.no_grad()
    def _drawn(self, prompts: list[str], generator: torch.Generator) -> Iterator[np.ndarray]:
        """Give the images of each group of prompts: float, shape (b, side, side, 3), in [0, 1]."""
        from diffusers import DPMSolverMultistepScheduler

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        pipe = self.pipeline.pipe.to(device)
        pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
        assert self.size is not None
        side = self.size // self.pipeline.scale
        half = half_type(self.recipe.precision)
        for first in range(0, len(prompts), self.at_once):
            part = prompts[first : first + self.at_once]
            noise = torch.randn(len(part), pipe.unet.config.in_channels, side, side, generator=generator)
            calls = Progress(self.sampler_steps, "calls of the U-Net", SLOW_CALLS)
            with calls, torch.autocast(device.type, half, enabled=half is not None):
                images = pipe(
                    prompt=part,
                    latents=noise.to(device),
                    height=self.size,
                    width=self.size,
                    guidance_scale=self.guidance,
                    num_inference_steps=self.sampler_steps,
                    output_type="np",
                    callback_on_step_end=partial(_count_call, calls),
                ).images
            yield images

    def save(self, folder: Path) -> None:
        """Write the updates as diffusers reads them, what they are of, and losses (see `Generator.save`)."""
        save_updates(self.net, folder)
        record = {"model": self.model, "base": self.pipeline.digest, "rank": self.rank, "size": self.size}
        write_json(folder / FACTS, record)
        self.save_conditions(folder)
        self.losses.to_csv(folder / "losses.csv", index=False)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`); the base is loaded from where it was."""
        generator = cls(**settings)
        generator.load_conditions(folder, schema)
        generator.size = read_as(folder / FACTS, StableDiffusionRecord).size
        generator._load(np.random.SeedSequence(0))
        _check_base(folder, generator.pipeline, generator.rank)
        load_updates(generator.net, folder)
        generator.net.eval()
        return generator


def _count_call(calls: Progress, *state: Any) -> dict[str, Any]:
    """Count a call of the U-Net, as a pipeline's callback that changes nothing."""
    calls.update(1)
    return {}


def _check_base(folder: Path, pipeline: Pipeline, rank: int) -> None:
    """Raise a `CodsaError` unless a folder holds updates of this pipeline, of this rank."""
    if not (folder / FACTS).exists():
        raise CodsaError(f"{folder}: holds no {NAME}; make it with codsa-train-gen --pretrain denoiser")
    record = read_as(folder / FACTS, StableDiffusionRecord)
    if record.base != pipeline.digest:
        raise CodsaError(f"{folder}: its updates are of {record.model}, not of {pipeline.name}; give that model")
    if record.rank != rank:
        raise CodsaError(f"{folder}: its updates have rank {record.rank}, not {rank}; give rank = {record.rank}")
