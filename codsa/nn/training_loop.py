"""The training loop of every network: gradient steps, periodic checks, early stopping."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch

from codsa.io.imports import without_compiler

Weights = TypeVar("Weights")


@dataclass
class EarlyStopping(Generic[Weights]):
    """Keeps the weights of the best check, and says when to stop waiting for a better one.

    Attributes
    ----------
    patience : int
        Training stops after this many checks in a row without a better loss.
    best_loss : float
        The least loss so far.
    stale_checks : int
        Checks in a row without a lower loss.
    best_weights : optional
        The weights at the least loss; None before a check has a loss below infinity.
    """

    patience: int
    best_loss: float = math.inf
    stale_checks: int = 0
    best_weights: Weights | None = None

    def update(self, loss: float, weights: Callable[[], Weights]) -> None:
        """Count a check.

        Parameters
        ----------
        loss : float
            On held-out rows.
        weights : callable
            () → a copy of the current weights; called only where the loss is the least so far.
        """
        if loss < self.best_loss:
            self.best_loss, self.stale_checks, self.best_weights = loss, 0, weights()
        else:
            self.stale_checks += 1

    @property
    def exhausted(self) -> bool:
        """Whether the patience is used up."""
        return self.stale_checks >= self.patience


class Optimizer(Protocol):
    """The methods of an optimizer that the loop calls; those of torch have them."""

    def step(self) -> object:
        """Change the weights by their gradients."""

    def zero_grad(self) -> object:
        """Reset the gradients."""


class TrainingLoop(ABC):
    """Takes gradient steps until the last one, or until a check stops training early.

    A subclass says how the loss of a batch is computed and what a check measures.

    Parameters
    ----------
    optimizer : Optimizer
    max_steps : int
        Gradient steps at most.
    check_every : int
        Steps between two checks; the last step is followed by a check in any case.

    Attributes
    ----------
    step : int
        Gradient steps taken so far.
    """

    def __init__(self, optimizer: Optimizer, max_steps: int, check_every: int) -> None:
        self.optimizer, self.max_steps, self.check_every = optimizer, max_steps, check_every
        self.step = 0

    @without_compiler()
    def train(self) -> None:
        """Train to the end."""
        while self.unfinished():
            self.advance()
            checked = self.check_due()
            if checked:
                self.check()
            self.after_step(checked)

    def advance(self) -> torch.Tensor:
        """Take one gradient step and return the loss before it, a scalar tensor."""
        loss = self.batch_loss()
        self.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        return loss.detach()

    @abstractmethod
    def batch_loss(self) -> torch.Tensor:
        """Return the mean loss of the next batch, a scalar tensor."""

    @abstractmethod
    def check(self) -> None:
        """Measure the loss on held-out rows and update early stopping."""

    @abstractmethod
    def unfinished(self) -> bool:
        """Say whether to take another step."""

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients of a loss."""
        loss.backward()

    def check_due(self) -> bool:
        """Say whether a check follows the step just taken."""
        return self.step % self.check_every == 0 or self.step == self.max_steps

    def after_step(self, checked: bool) -> None:  # noqa: B027
        """Do what follows every step; nothing by default."""
