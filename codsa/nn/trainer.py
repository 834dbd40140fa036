"""The training of generators: accelerate, one-cycle learning rate, EMA, early stopping, exact resume."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from codsa.errors import CodsaError
from codsa.io.checkpoints import load_checkpoint, save_checkpoint
from codsa.io.devices import mixed_precision
from codsa.io.imports import without_compiler
from codsa.io.library_internals import forget_other_precision
from codsa.io.processes import MAX_WAIT, STOPPED, Notice, joined, scheduled
from codsa.nn.training_loop import EarlyStopping, TrainingLoop

log = logging.getLogger(__name__)
Tensors = dict[str, torch.Tensor]
Loss = Callable[[nn.Module, torch.Generator], torch.Tensor]
HeldOutLoss = Callable[[nn.Module], float]

CHECKS_PER_RUN = 20
"""How often the held-out loss is measured and a checkpoint is written, over all steps."""
MAX_GRADIENT_NORM = 1.0
"""Gradients of a larger norm are clipped to this one."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How a network is trained: steps, learning rate, averaging, early stopping, precision.

    Attributes
    ----------
    steps : int
        Gradient steps at most.
    learning_rate : float
        The peak of the one-cycle schedule, or the rate of every step.
    ema : float
        Decay of the exponential moving average of the weights, which is the result.
    patience : int
        Training stops after this many checks in a row without a better held-out loss.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        accelerate's mixed precision; auto: bf16 where the hardware computes in it, else no.
    schedule : {'one-cycle', 'constant'}
        Of the learning rate.
    weight_decay : float
        Of AdamW; with 0 it is Adam.
    """

    steps: int
    learning_rate: float
    ema: float = 0.999
    patience: int = 6
    precision: str = "no"
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    weight_decay: float = 0.01


def accelerator(precision: str) -> Accelerator:
    """Return an accelerator of this mixed precision; a process may have several of different precision."""
    forget_other_precision(precision)
    return Accelerator(mixed_precision=precision, kwargs_handlers=[InitProcessGroupKwargs(timeout=MAX_WAIT)])


class Trainer(TrainingLoop):
    """Trains a network; a run that was killed at any moment resumes and ends in the same bytes.

    On SIGTERM it writes a checkpoint, and exits unless a scheduler sent the signal. Where several processes were
    started together (see `codsa.io.processes`), each takes its share of every batch and the first one writes. Their
    gradients are summed in another order, so results agree with those of one process to rounding, not to the byte.

    Parameters
    ----------
    model : Module
    recipe : TrainingRecipe
    loss : callable
        (model, generator) → scalar tensor; draws its batch and noise from the generator.
    held_out : callable, optional
        model → float, the loss on rows that are not trained on. Without it there is no early stopping.
    seed : int
    checkpoint : Path, optional
        A file that is written at every check; training resumes from it where it exists.
    """

    optimizer: Any

    @without_compiler()
    def __init__(
        self,
        model: nn.Module,
        recipe: TrainingRecipe,
        loss: Loss,
        held_out: HeldOutLoss | None,
        seed: int,
        checkpoint: Path | None = None,
    ) -> None:
        self.recipe, self.loss, self.held_out = recipe, loss, held_out
        self.checkpoint = checkpoint
        self.accelerator = accelerator(mixed_precision(recipe.precision))
        adam = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.model, optimizer = self.accelerator.prepare(model, adam)
        super().__init__(optimizer, recipe.steps, max(1, recipe.steps // CHECKS_PER_RUN))
        self.average = AveragedModel(
            self.accelerator.unwrap_model(self.model), multi_avg_fn=ema_with_warmup(recipe.ema)
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.early_stopping: EarlyStopping[Tensors] = EarlyStopping(recipe.patience)
        self.losses: list[dict[str, float | None]] = []
        self._sum = 0.0
        self._stop = False

    def run(self) -> pd.DataFrame:
        """Train to the last step, or until early stopping.

        Returns
        -------
        DataFrame
            step, loss (mean since the last check) and held_out, one row per check.

        Raises
        ------
        CodsaError
            When a loss is not finite.
        """
        self._resume()
        self._bar = tqdm(total=self.max_steps, initial=self.step, disable=not sys.stderr.isatty())
        with self._bar, Notice() as self._notice:
            self.train()
        return pd.DataFrame(self.losses)

    def weights(self) -> Tensors:
        """Return the averaged weights at the best check, on the CPU."""
        return self.early_stopping.best_weights or _cpu_state(self.average.module)

    def unfinished(self) -> bool:
        """Say whether to take another step (see `TrainingLoop.unfinished`)."""
        return self.step < self.max_steps and not self.early_stopping.exhausted

    def batch_loss(self) -> torch.Tensor:
        """Return the loss of the next batch (see `TrainingLoop.batch_loss`)."""
        return self.loss(self.model, self.generator)

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients, clipped to `MAX_GRADIENT_NORM`."""
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), MAX_GRADIENT_NORM)

    def after_step(self, checked: bool) -> None:
        """Show progress; after SIGTERM write a checkpoint, unless the check has, and exit."""
        self._bar.update()
        if self._stop:
            if not checked:
                self._save()
            self._exit()

    def _exit(self) -> None:
        """Exit, or under a scheduler go on until it ends the job: a job that exits by itself is not requeued."""
        if scheduled():
            self._notice.given = False
            log.warning("SIGTERM at step %d: a checkpoint is written; going on until the scheduler ends it", self.step)
            return
        log.warning("SIGTERM at step %d: a checkpoint is written; the same command goes on from it", self.step)
        self.accelerator.end_training()
        raise SystemExit(STOPPED)

    def advance(self) -> torch.Tensor:
        """Take one gradient step at the learning rate of the schedule, and update the averaged weights."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * self._relative_rate()
        loss = super().advance()
        self.average.update_parameters(self.accelerator.unwrap_model(self.model))
        mean_loss, signalled = self._mean_over_processes(loss)
        self._sum += mean_loss
        if not math.isfinite(self._sum):
            raise CodsaError(
                f"the training loss is not finite at step {self.step}; lower learning_rate "
                f"(now {self.recipe.learning_rate}) or look for extreme values in the columns"
            )
        self._stop = signalled > 0
        return loss

    def _relative_rate(self) -> float:
        return one_cycle(self.step / self.max_steps) if self.recipe.schedule == "one-cycle" else 1.0

    def _mean_over_processes(self, loss: torch.Tensor) -> tuple[float, float]:
        """Return the mean over the processes of the loss, and the share of processes that received SIGTERM."""
        if not joined():
            return float(loss), float(self._notice.given)
        pair = torch.stack([loss.float(), loss.new_tensor(self._notice.given, dtype=torch.float32)])
        mean = self.accelerator.reduce(pair, reduction="mean").tolist()
        return mean[0], mean[1]

    def check(self) -> None:
        """Measure the held-out loss, if there are held-out rows, record the losses and write a checkpoint."""
        held_out = None
        if self.held_out is not None:
            held_out = self._from_first_process(self.held_out(self.average.module))
            self.early_stopping.update(held_out, lambda: _cpu_state(self.average.module))
        steps_since = self.step - (int(self.losses[-1]["step"] or 0) if self.losses else 0)
        self.losses.append({"step": self.step, "loss": self._sum / steps_since, "held_out": held_out})
        self._sum = 0.0
        log.info("step %d of %d: loss %.4f, held out %s", *self._progress())
        self._save()

    def _from_first_process(self, held_out: float) -> float:
        """Return the first process's held-out loss, so that all processes stop together."""
        if not joined():
            return held_out
        dtype = torch.float64 if self.accelerator.device.type == "cpu" else torch.float32
        shared = torch.tensor([held_out], dtype=dtype, device=self.accelerator.device)
        return float(broadcast(shared, from_process=0))

    def _progress(self) -> tuple[int, int, float, str]:
        last = self.losses[-1]
        held_out = "-" if last["held_out"] is None else f"{last['held_out']:.4f}"
        return self.step, self.max_steps, float(last["loss"] or 0.0), held_out

    def _save(self) -> None:
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        tensors = {f"model.{k}": v for k, v in _cpu_state(self.accelerator.unwrap_model(self.model)).items()}
        tensors |= {f"average.{k}": v for k, v in _cpu_state(self.average).items()}
        tensors |= {f"best.{k}": v for k, v in (self.early_stopping.best_weights or {}).items()}
        for i, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{i}.{k}": v.detach().cpu().clone() for k, v in state.items()}
        tensors["generator"] = self.generator.get_state()
        stopping = {"best": self.early_stopping.best_loss, "stale": self.early_stopping.stale_checks}
        progress = {"step": self.step, **stopping, "losses": self.losses, "sum": self._sum}
        save_checkpoint(self.checkpoint, tensors, progress)

    def _resume(self) -> None:
        saved = None if self.checkpoint is None else load_checkpoint(self.checkpoint)
        if saved is None:
            return
        tensors, progress = saved
        self.accelerator.unwrap_model(self.model).load_state_dict(_strip_prefix(tensors, "model."))
        self.average.load_state_dict(_strip_prefix(tensors, "average."))
        best = _strip_prefix(tensors, "best.") or None
        self.early_stopping = EarlyStopping(self.recipe.patience, progress["best"], progress["stale"], best)
        self._resume_optimizer(_strip_prefix(tensors, "adam."))
        self.generator.set_state(tensors["generator"])
        self.step, self.losses, self._sum = progress["step"], progress["losses"], progress["sum"]
        log.info("resumed from step %d", self.step)

    def _resume_optimizer(self, flat: Tensors) -> None:
        state: dict[int, Tensors] = {}
        for key, value in flat.items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def one_cycle(progress: float, warmup: float = 0.1) -> float:
    """Return the one-cycle learning rate (Smith 2018) relative to its peak.

    Parameters
    ----------
    progress : float
        Share of the steps that are done, between 0 and 1.
    warmup : float
        Share of the steps in which the rate rises linearly from 1/25; it then falls by a cosine to 0.
    """
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def ema_with_warmup(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return torch's EMA update with a decay that grows as (1 + t)/(10 + t) up to `decay`."""

    @torch.no_grad()
    def update(averaged: list[torch.Tensor], current: list[torch.Tensor], count: torch.Tensor) -> None:
        t = float(count)
        get_ema_multi_avg_fn(min(decay, (1 + t) / (10 + t)))(averaged, current, count)

    return update


def _cpu_state(model: nn.Module) -> Tensors:
    return {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}


def _strip_prefix(tensors: Tensors, prefix: str) -> Tensors:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
