"""The training loop of all networks: when it checks and stops, which weights it keeps; and balanced batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from codsa.nn.batches import BalancedBatches
from codsa.nn.training_loop import EarlyStopping, TrainingLoop


class Descent(TrainingLoop):
    """Gradient descent on x², which records the steps after which it checks."""

    def __init__(self, max_steps: int, check_every: int, losses: list[float], patience: int = 2) -> None:
        self.x = torch.tensor(1.0, requires_grad=True)
        super().__init__(torch.optim.SGD([self.x], lr=0.25), max_steps, check_every)
        self.losses, self.checks = iter(losses), list[int]()
        self.early_stopping: EarlyStopping[float] = EarlyStopping(patience)

    def batch_loss(self) -> torch.Tensor:
        return self.x**2

    def check(self) -> None:
        self.checks.append(self.step)
        self.early_stopping.update(next(self.losses), lambda: float(self.x.detach()))

    def unfinished(self) -> bool:
        return self.step < self.max_steps and not self.early_stopping.exhausted


def test_the_last_step_is_checked_too() -> None:
    loop = Descent(7, 3, [3.0, 2.0, 1.0])
    loop.train()
    assert loop.checks == [3, 6, 7] and loop.step == 7
    assert float(loop.x.detach()) == loop.early_stopping.best_weights == 0.5**7  # each step halves x


def test_stale_checks_in_a_row_end_it_and_the_best_weights_stay() -> None:
    loop = Descent(100, 1, [5.0, 6.0, 4.0, 4.0, math.nan, 1.0])
    loop.train()
    assert loop.checks == [1, 2, 3, 4, 5]
    assert loop.early_stopping.best_loss == 4.0 and loop.early_stopping.best_weights == 0.5**3


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_nothing_is_kept_where_no_loss_is_finite(loss: float) -> None:
    stopping: EarlyStopping[str] = EarlyStopping(1)
    stopping.update(loss, lambda: "weights")
    assert stopping.exhausted and stopping.best_weights is None


def test_gradients_do_not_add_up() -> None:
    loop = Descent(2, 5, [0.0])
    assert [float(loop.advance()) for _ in range(2)] == [1.0, 0.25]


def test_every_region_is_as_likely_as_any_other() -> None:
    regions = np.r_[np.zeros(900), np.full(90, 3), np.full(10, 1)].astype(np.int64)
    batches, generator = BalancedBatches(regions, 500), torch.Generator().manual_seed(0)
    drawn = torch.cat([batches.draw(generator) for _ in range(20)]).numpy()
    counts = np.bincount(regions[drawn], minlength=4)
    assert counts[2] == 0 and counts[[0, 1, 3]] == pytest.approx(10_000 / 3, rel=0.05)
    assert set(drawn[regions[drawn] == 1]) == set(range(990, 1000))
