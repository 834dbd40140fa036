"""What a gradient step and a drawn row of each generator take: operations counted, CPU seconds measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from codsa.encoders.conditions import ConditionColumn, Conditions
from codsa.io.devices import half_type
from codsa.nn.denoisers import Denoiser
from codsa.nn.unet import ImageDenoiser

BACKWARD = 3
"""A gradient step costs so many times its forward pass."""
DRAWN = 256
"""Rows that are drawn at a time when a call is timed."""
TOKENS, REPEAT = 32, 16
"""Tokens of a text of the paper's inversion models, and those that an embedding becomes."""


@dataclass(frozen=True)
class Unit:
    """The costs of one generator.

    Attributes
    ----------
    step, row : float
        Operations of a gradient step, and of drawing a row.
    step_cpu, row_cpu : float
        The same in seconds on one core; nan where it is only counted.
    calls : int
        Calls of the network to draw a row, one after another.
    megabytes : float
        Of weights.
    """

    step: float
    row: float
    step_cpu: float
    row_cpu: float
    calls: int
    megabytes: float


def operations(call: Callable[[], Any]) -> float:
    """Count the floating-point operations of a call; on the meta device it computes nothing."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return float(counter.get_total_flops())


def parameters(*models: nn.Module) -> int:
    """Return how many weights networks have."""
    return sum(p.numel() for model in models for p in model.parameters())


def tabular(dimension: int, regions: int, settings: Mapping[str, Any], embedding_width: int | None = None) -> Unit:
    """Return the costs of a denoiser of arrays."""
    net = Denoiser(dimension, regions, settings.get("width", 256), settings.get("depth", 3), embedding_width)

    def inputs(rows: int) -> tuple[torch.Tensor, ...]:
        return torch.randn(rows, dimension), torch.randn(rows), torch.zeros(rows, dtype=torch.long)

    return _timed(net, inputs, settings.get("batch", 512), settings.get("sampler_steps", 18), settings)


def images(side: int, channels: int, settings: Mapping[str, Any]) -> Unit:
    """Return the costs of a U-Net that is told a class and a domain."""
    conditions = Conditions([ConditionColumn("class", ["3", "5"]), ConditionColumn("domain", ["mnist", "usps"])])
    width, patch = settings.get("width", [32, 64, 64]), settings.get("patch", 1)
    net = ImageDenoiser(channels, conditions, width, settings.get("layers", 1), patch)

    def inputs(rows: int) -> tuple[torch.Tensor, ...]:
        return torch.randn(rows, channels, side, side), torch.randn(rows), torch.zeros(rows, 3)

    given = {"precision": "auto", **settings}
    return _timed(net, inputs, settings.get("batch", 64), settings.get("sampler_steps", 24), given)


def _timed(net: nn.Module, inputs: Any, batch: int, calls: int, settings: Mapping[str, Any]) -> Unit:
    half = half_type(settings.get("precision", "no"))
    faster = torch.autocast("cpu", half) if half is not None else nullcontext()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    given, drawn = inputs(batch), inputs(DRAWN)

    def step() -> None:
        with faster:
            loss = net(*given).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def call() -> None:
        with torch.no_grad(), faster:
            net(*drawn)

    each = operations(lambda: net(*inputs(1)))
    return Unit(
        step=BACKWARD * batch * each,
        row=calls * each,
        step_cpu=seconds(step),
        row_cpu=calls * seconds(call) / DRAWN,
        calls=calls,
        megabytes=4 * parameters(net) / 1e6,
    )


def seconds(call: Callable[[], None], least: float = 1.5) -> float:
    """Return the CPU seconds of a call: the mean over some seconds, after one that does not count."""
    call()
    begin, times = time.process_time(), 0
    while time.process_time() - begin < least:
        call()
        times += 1
    return (time.process_time() - begin) / times


def inversion(steps: int, beam: int) -> float:
    """Count the operations of decoding one text by the paper's models: T5-base, corrected so often.

    Each round writes `beam` texts for each of `beam` kept ones, and embeds them. What a written token
    reads of those before it is counted as if all were read at once.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    base = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "vocab_size": 32128}
    with torch.device("meta"):
        t5 = T5ForConditionalGeneration(T5Config(**base, decoder_start_token_id=0))

    def encoded(rows: int, tokens: int) -> float:
        x = torch.empty(rows, tokens, 768, device="meta")
        return operations(lambda: t5.encoder(inputs_embeds=x))

    def written(rows: int, read: int) -> float:
        x = torch.empty(rows, read, 768, device="meta")
        ids = torch.zeros(rows, TOKENS, dtype=torch.long, device="meta")
        return operations(lambda: t5(encoder_outputs=(x,), decoder_input_ids=ids))

    told = 4 + 3 * REPEAT + TOKENS
    first = encoded(1, REPEAT) + written(1, REPEAT) + encoded(1, TOKENS)
    texts = beam * beam
    return first + steps * (encoded(beam, told) + written(texts, told) + encoded(texts, TOKENS))


def stable_diffusion(side: int = 64) -> tuple[float, float]:
    """Count the operations of a call of Stable Diffusion 2's U-Net on a latent image; and its weights in MB."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        net = UNet2DConditionModel(
            sample_size=side,
            block_out_channels=(320, 640, 1280, 1280),
            attention_head_dim=(5, 10, 20, 20),
            cross_attention_dim=1024,
            use_linear_projection=True,
        )
        x, moment, words = torch.empty(1, 4, side, side), torch.zeros(1), torch.empty(1, 77, 1024)
    return operations(lambda: net(x, moment, words)), 4 * parameters(net) / 1e6
