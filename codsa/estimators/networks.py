"""Networks over arrays as estimators: one for each training set, all with the same budget of gradient steps."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from codsa.errors import CodsaError
from codsa.estimators.base import FeatureLayout, WeightedRows
from codsa.io.imports import without_compiler
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, integer, stream
from codsa.io.tensors import fill, load_tensors
from codsa.nn.training_loop import EarlyStopping, TrainingLoop
from codsa.settings.types import Budget, Stop

log = logging.getLogger(__name__)

CHUNK_ROWS = 1024
"""Rows that are predicted at a time."""


@dataclass(frozen=True)
class Training:
    """How a network is trained on a training set.

    Attributes
    ----------
    epochs : int
        With budget 'epochs', passes over the rows of a training set, so that more rows mean more
        gradient steps (the paper's way). With budget 'steps' every training set gets the gradient
        steps of this many passes over the real training rows.
    batch : int
    learning_rate : float
        Of Adam.
    patience : int
        Training stops after this many checks (one per epoch) without a better validation loss.
    budget : {'steps', 'epochs'}
    stop : {'validation', 'last'}
        Which weights are kept: the best by validation rows, or the last.
    """

    epochs: int
    batch: int
    learning_rate: float
    patience: int
    budget: Budget
    stop: Stop

    def epoch_steps(self, rows: int) -> int:
        """Return the gradient steps of an epoch of so many rows."""
        return max(1, math.ceil(rows / self.batch))


class NetworkModel(ABC):
    """A fitted network; a subclass says how it is built, trained and asked.

    Parameters
    ----------
    layout : FeatureLayout
    facts : mapping
        What `build` needs, as JSON.

    Attributes
    ----------
    record : type
        A dataclass: the facts, and what each of them may be.
    """

    record: ClassVar[type[Any]]

    def __init__(self, layout: FeatureLayout, facts: Mapping[str, Any]) -> None:
        self.layout, self.facts = layout, dict(facts)
        self.classes_ = np.arange(layout.classes)
        self.net = self.build()

    @abstractmethod
    def build(self) -> nn.Module:
        """Return the network with any weights."""

    @abstractmethod
    def loss(self, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the mean loss of a batch, x in [0, 1] for images, of shape (b, channels, height, width)."""

    @abstractmethod
    def quality(self, rows: WeightedRows) -> float:
        """Return how well validation rows are predicted; less is better."""

    def prepared(self, x: np.ndarray) -> torch.Tensor:
        """Return rows as the network reads them: images as (b, channels, height, width) in [0, 1]."""
        return as_input(x, self.layout.shape)

    @torch.no_grad()
    def outputs(self, x: np.ndarray, ask: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        """Return what `ask` gives for each row, `CHUNK_ROWS` rows at a time."""
        self.net.eval()
        parts = [ask(self.prepared(x[i : i + CHUNK_ROWS])).double().numpy() for i in range(0, len(x), CHUNK_ROWS)]
        return np.concatenate(parts) if parts else np.empty(0)

    def save(self, folder: Path) -> None:
        """Write the weights and what `build` needs into an existing folder."""
        save_file({k: v.contiguous() for k, v in self.net.state_dict().items()}, folder / "network.safetensors")
        write_json(folder / "network.json", self.facts)

    @classmethod
    def read(cls, folder: Path, layout: FeatureLayout) -> Self:
        """Read what `save` wrote."""
        facts = vars(read_as(folder / "network.json", cls.record))
        with torch.device("meta"):  # the weights' own sizes are compared before any memory is taken
            model = cls(layout, facts)
        fill(model.net, load_tensors(folder / "network.safetensors", "torch"), assign=True)
        return model


class Networks:
    """An estimator that fits one network per training set, all from the same weights and noise.

    Parameters
    ----------
    make : callable
        () → an unfitted `NetworkModel`.
    layout : FeatureLayout
    training : Training
    """

    def __init__(self, make: Callable[[], NetworkModel], layout: FeatureLayout, training: Training) -> None:
        self.make, self.layout, self.training = make, layout, training

    def epoch_rows(self, rows: int) -> int:
        """Return the rows of an epoch for a training set of so many rows."""
        return rows if self.training.budget == "epochs" else self.layout.steps_rows

    @without_compiler()
    def fit_many(
        self, train_sets: list[WeightedRows], validation_sets: list[WeightedRows], seed: int
    ) -> list[NetworkModel]:
        """Fit all training sets, one after the other (see `codsa.estimators.base.fit_all`)."""
        return [
            self._fit(train_rows, validation_rows, seed)
            for train_rows, validation_rows in zip(train_sets, validation_sets, strict=True)
        ]

    def _fit(self, train_rows: WeightedRows, validation_rows: WeightedRows, seed: int) -> NetworkModel:
        model = self.make()
        root = stream(seed, "network")
        draw_weights(model.net, torch.Generator().manual_seed(integer(child(root, "weights"))))
        generator = torch.Generator().manual_seed(integer(child(root, "steps")))
        epoch_rows = self.epoch_rows(len(train_rows.y))
        loop = NetworkLoop(
            model, train_rows, validation_rows, training=self.training, epoch_rows=epoch_rows, generator=generator
        )
        loop.train()
        if loop.early_stopping.best_weights is not None:
            model.net.load_state_dict(loop.early_stopping.best_weights)
        return model


class NetworkLoop(TrainingLoop):
    """The training of one network on one training set, with Adam at a constant rate and a check per epoch.

    Parameters
    ----------
    model : NetworkModel
    train_rows, validation_rows : WeightedRows
        Training rows, and the validation rows of the checks.
    training : Training
    epoch_rows : int
        Rows of an epoch.
    generator : torch.Generator
        Draws batches, and what the model's loss draws.
    """

    def __init__(
        self,
        model: NetworkModel,
        train_rows: WeightedRows,
        validation_rows: WeightedRows,
        training: Training,
        epoch_rows: int,
        generator: torch.Generator,
    ) -> None:
        self.model, self.train_rows, self.validation_rows, self.training = model, train_rows, validation_rows, training
        epoch_steps = training.epoch_steps(epoch_rows)
        optimizer = torch.optim.Adam(model.net.parameters(), lr=training.learning_rate, fused=True)
        super().__init__(optimizer, epoch_steps * training.epochs, epoch_steps)
        self.generator = generator
        self.batches = batches(len(train_rows.y), training.batch, self.max_steps, generator)
        self.early_stopping: EarlyStopping[dict[str, torch.Tensor]] = EarlyStopping(training.patience)

    def unfinished(self) -> bool:
        """Say whether to make another step (see `TrainingLoop.unfinished`)."""
        return self.step < self.max_steps and not self.early_stopping.exhausted

    def batch_loss(self) -> torch.Tensor:
        """Return the loss of the next batch (see `TrainingLoop.batch_loss`)."""
        self.model.net.train()
        batch = next(self.batches)
        x = self.model.prepared(self.train_rows.x[batch])
        y, weight = torch.from_numpy(self.train_rows.y[batch]), torch.from_numpy(self.train_rows.weight[batch]).float()
        return self.model.loss(x, y, weight, self.generator)

    def check(self) -> None:
        """Measure the validation rows, unless the last weights are kept whatever they are."""
        if self.training.stop == "validation":
            self.early_stopping.update(self.model.quality(self.validation_rows), self._weights)

    def _weights(self) -> dict[str, torch.Tensor]:
        return {k: v.clone() for k, v in self.model.net.state_dict().items()}


def steps_of(networks: Networks, rows: int) -> int:
    """Return the gradient steps that a training set of so many rows may take at most."""
    return networks.training.epoch_steps(networks.epoch_rows(rows)) * networks.training.epochs


def draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Draw weights from a stream: uniform within 1/sqrt(inputs), those of embeddings normal; norms stay as they are."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                bound = 1.0 / math.sqrt(max(module.weight[0].numel(), 1))
                module.weight.uniform_(-bound, bound, generator=generator)
                if module.bias is not None:
                    module.bias.uniform_(-bound, bound, generator=generator)
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(generator=generator)


def batches(rows: int, batch: int, steps: int, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Give the rows of each batch: pass after pass in shuffled order, the end of one joined to the next."""
    left = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        while len(left) < batch:
            left = np.r_[left, torch.randperm(rows, generator=generator).numpy()]
        batch_rows, left = left[:batch], left[batch:]
        yield batch_rows


def as_input(x: np.ndarray, shape: list[int]) -> torch.Tensor:
    """Return a feature matrix as float32: images in [0, 1], of shape (b, channels, height, width)."""
    tensor = torch.from_numpy(np.ascontiguousarray(x)).float()
    if x.dtype == np.uint8:
        tensor = tensor / 255
    return tensor.reshape(-1, *shape).movedim(-1, 1) if len(shape) == 3 else tensor


def need_images(name: str, layout: FeatureLayout) -> None:
    """Raise a `CodsaError` unless images are the only feature."""
    if len(layout.shape) != 3:
        raise CodsaError(
            f"estimator '{name}' reads images, and nothing else: the dataset's only feature must be one of type image"
        )
