"""The precision of this machine's computations."""

from __future__ import annotations

import torch

from codsa.errors import check_choice


def mixed_precision(precision: str | bool) -> str:
    """Return accelerate's `mixed_precision`: 'auto' becomes bf16 where the hardware computes in it.

    YAML reads a bare `no` as false, which is read as "no".
    """
    precision = "no" if precision is False else str(precision)
    check_choice("precision", precision, ("no", "bf16", "fp16", "auto"))
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "no"


def half_type(precision: str | bool) -> torch.dtype | None:
    """Return the dtype of a network outside training; None for float32."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed_precision(precision))
