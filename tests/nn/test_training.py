"""The training loop: a killed run ends in the same bytes; early stop; learning rate."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from codsa.io.devices import half_type, mixed_precision
from codsa.nn.denoisers import initialise
from codsa.nn.trainer import Trainer, TrainingRecipe, accelerator, one_cycle


class Killed(Exception):
    """Stands for the end of a process."""


def trainer(checkpoint: Path | None, kill_at: int | None = None, steps: int = 60, held_out: bool = True) -> Trainer:
    model = nn.Linear(3, 1)
    initialise(model, torch.Generator().manual_seed(0))
    count = iter(range(10_000))

    def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
        if kill_at is not None and next(count) == kill_at:
            raise Killed
        x = torch.randn(16, 3, generator=generator)
        return ((net(x) - x.sum(dim=1, keepdim=True)) ** 2).mean()

    def check(net: nn.Module) -> float:
        return float((net(torch.eye(3)) - 1).square().mean().detach())

    recipe = TrainingRecipe(steps=steps, learning_rate=1e-2, ema=0.9)
    return Trainer(model, recipe, loss, check if held_out else None, 1, checkpoint)


def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    uninterrupted = trainer(None)
    losses = uninterrupted.run()
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        trainer(checkpoint, kill_at=37).run()
    resumed = trainer(checkpoint)
    assert resumed.run().equals(losses)
    for name, tensor in uninterrupted.weights().items():
        assert torch.equal(tensor, resumed.weights()[name])


def test_the_checkpoint_is_what_makes_it_resume(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        trainer(checkpoint, kill_at=37).run()
    resumed = trainer(checkpoint, kill_at=30)  # it has 24 steps left, so it is not killed again
    resumed.run()
    assert resumed.step == 60


def test_early_stop_keeps_the_best_weights() -> None:
    values = iter([3.0, 2.0, 1.0, *[5.0] * 100])
    run = trainer(None, steps=1200)
    run.held_out = lambda net: next(values)
    losses = run.run()
    assert len(losses) == 3 + run.recipe.patience
    assert run.early_stopping.best_loss == 1.0 and run.step < 1200


def test_without_held_out_rows_it_trains_to_the_end() -> None:
    run = trainer(None, held_out=False)
    assert run.run()["step"].iloc[-1] == 60


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing() -> None:
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.1) == pytest.approx(1.0)
    assert one_cycle(0.55) == pytest.approx(0.5)
    assert one_cycle(1.0) == pytest.approx(0.0)


def test_a_loss_that_is_not_finite_names_the_step() -> None:
    from codsa.errors import CodsaError

    run = trainer(None)
    run.loss = lambda net, generator: net(torch.ones(1, 3)).sum() * math.inf
    with pytest.raises(CodsaError, match="not finite at step 1"):
        run.run()


def test_a_bare_no_of_yaml_is_a_precision() -> None:
    from codsa.cli.common import parse_settings

    precision = parse_settings(["precision=no"])["precision"]
    assert mixed_precision(precision) == "no" and half_type(precision) is None
    assert half_type("bf16") is torch.bfloat16


def test_trainings_of_one_process_may_differ_in_precision() -> None:
    for precision in ("bf16", "no", "bf16"):
        assert accelerator(precision).mixed_precision == precision
