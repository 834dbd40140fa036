"""Which weights of a pretrained network are trained further: all, the head, or low-rank updates by peft."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from codsa.errors import check_choice

MODES = ("full", "head", "lora")
RANK = 16
"""Rank of the low-rank updates."""
HEAD = ("leave.", "norm.", "region.")
TARGETS = ["inner", "outer"]
"""The layers of `codsa.nn.denoisers.Block` that get low-rank updates."""


def tunable(
    model: nn.Module,
    mode: str,
    generator: torch.Generator,
    head: tuple[str, ...] = HEAD,
    targets: Sequence[str] = TARGETS,
    attention: str | None = None,
) -> nn.Module:
    """Return a pretrained network in which only the weights of a mode are trained.

    Parameters
    ----------
    model : Module
        A denoiser; changed in place.
    mode : {'full', 'head', 'lora', 'attention'}
        head: the last layer and the embeddings of what is told; lora: low-rank updates (Hu 2021) of
        some layers besides these; attention: the attention layers besides these.
    generator : torch.Generator
        Draws the first factor of the updates; the second starts at 0.
    head : tuple of str
        How the names of the head's weights begin.
    targets : sequence of str
        The layers that get low-rank updates.
    attention : str, optional
        What the names of the attention layers' weights contain, where there are such layers.
    """
    check_choice("tune", mode, MODES if attention is None else (*MODES, "attention"))
    if mode == "full":
        return model
    if mode == "lora":
        model = _with_updates(model, generator, targets)
    chosen = attention if mode == "attention" and attention is not None else "lora_"
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(chosen in name or name.startswith(head))
    return model


def _with_updates(model: nn.Module, generator: torch.Generator, targets: Sequence[str]) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(targets)), model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name:  # peft draws it from the global stream
                bound = 1.0 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)
    return model


def plain_weights(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a tuned network's weights as those of the plain network, low-rank updates added in.

    Parameters
    ----------
    model : Module
        What `tunable` returned; its weights are changed.
    weights : mapping
        A state of it.
    """
    model.load_state_dict(weights)
    for module in model.modules():
        merge = getattr(module, "merge", None)
        if callable(merge):
            merge()
    state = model.state_dict()
    return {k.replace(".base_layer.", "."): v.detach().clone() for k, v in state.items() if "lora_" not in k}
