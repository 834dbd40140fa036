"""A generator that is held up in the middle of its training, the first time, so that a test can disturb it there.

The environment says how: SURVIVOR_MARKER is a file that is made when it is held up, and whose presence lets every
later training pass; SURVIVOR_MODE is 'hang' (it never goes on) or 'slow' (every further step takes a while).
Without a marker nothing is held up.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from codsa.generators.tables.tabular_diffusion import TabularDiffusion

HELD_AT, CHECKED = 105, 100
"""The step in which it is held up, and that of the last checkpoint before it, where 400 steps have 20."""


class Survivor(TabularDiffusion):
    """`TabularDiffusion`, held up once."""

    def _loss(self, *arguments: Any) -> Any:
        inner, steps, held = super()._loss(*arguments), iter(range(10**9)), []

        def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
            if next(steps) == HELD_AT or held:
                held.extend(["held"] if held_up(bool(held)) else [])
            return inner(net, generator)

        return loss


def held_up(already: bool) -> bool:
    """Wait, unless the marker is there from an earlier training."""
    marker = os.environ.get("SURVIVOR_MARKER")
    if marker is None or (Path(marker).exists() and not already):
        return False
    Path(marker).touch()
    while os.environ.get("SURVIVOR_MODE") == "hang":
        time.sleep(0.1)
    time.sleep(1)
    return True
