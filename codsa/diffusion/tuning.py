"""Which weights of a pretrained network are trained further: all, the head, or low-rank updates by peft."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn

from codsa.schema import check_choice

MODES = ("full", "head", "lora")
RANK = 16
"""Rank of the low-rank updates."""
TARGETS = ["inner", "outer"]
"""The layers of `codsa.diffusion.network.Block` that get low-rank updates."""


def tunable(model: nn.Module, mode: str, generator: torch.Generator) -> nn.Module:
    """Return a pretrained network in which only the weights of a mode are trained.

    Parameters
    ----------
    model : Module
        A `Denoiser`; changed in place.
    mode : {'full', 'head', 'lora'}
        head: the last layer, its norm and the regions' embedding; lora: low-rank updates (Hu 2021)
        of the blocks' layers besides these.
    generator : torch.Generator
        Draws the first factor of the updates; the second starts at 0.
    """
    check_choice("tune", mode, MODES)
    if mode == "full":
        return model
    if mode == "lora":
        model = _with_updates(model, generator)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name or name.startswith(("leave.", "norm.", "region.")))
    return model


def _with_updates(model: nn.Module, generator: torch.Generator) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS), model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name:  # peft draws it from the global stream
                bound = 1.0 / math.sqrt(parameter.shape[1])
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
