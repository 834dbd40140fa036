"""Fine-tuning: which weights of a pretrained network are trained, all, the head, or low-rank updates (LoRA) by peft."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from codsa.errors import check_choice

MODES = ("full", "head", "lora")
LORA_RANK = 16
"""Rank of the low-rank updates."""
HEAD = ("leave.", "norm.", "region.")
"""How the names of the head's weights begin: last layer, last norm, region embeddings."""
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
    """Freeze the weights of a pretrained network that a mode does not train, and return the network.

    Parameters
    ----------
    model : Module
        A denoiser; changed in place.
    mode : {'full', 'head', 'lora', 'attention'}
        full: all weights; head: the last layer and the embeddings of the condition; lora: the head, and low-rank
        updates (Hu 2021) of the layers `targets`; attention: the head and the attention layers.
    generator : torch.Generator
        Draws the first factor of the updates; the second starts at 0.
    head : tuple of str
        How the names of the head's weights begin.
    targets : sequence of str
        The layers that get low-rank updates.
    attention : str, optional
        What the names of the attention layers' weights contain; None for a network without attention.

    Returns
    -------
    Module
        With low-rank updates where the mode is 'lora'.

    Raises
    ------
    CodsaError
        For another mode.
    """
    check_choice("tune", mode, MODES if attention is None else (*MODES, "attention"))
    if mode == "full":
        return model
    if mode == "lora":
        model = _add_lora(model, generator, targets)
    trained = attention if mode == "attention" and attention is not None else "lora_"
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(trained in name or name.startswith(head))
    return model


def _add_lora(model: nn.Module, generator: torch.Generator, targets: Sequence[str]) -> nn.Module:
    from peft import LoraConfig, inject_adapter_in_model

    inject_adapter_in_model(LoraConfig(r=LORA_RANK, lora_alpha=LORA_RANK, target_modules=list(targets)), model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_A" in name:  # peft draws it from the global stream
                bound = 1.0 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)
    return model


def plain_weights(model: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a tuned network's weights under the names of the plain network, with low-rank updates merged.

    Parameters
    ----------
    model : Module
        As `tunable` returns it; its weights are changed.
    weights : mapping of str to tensor
        A `state_dict` of the model.
    """
    model.load_state_dict(weights)
    for module in model.modules():
        merge = getattr(module, "merge", None)
        if callable(merge):
            merge()
    state = model.state_dict()
    return {
        name.replace(".base_layer.", "."): weight.detach().clone()
        for name, weight in state.items()
        if "lora_" not in name
    }
