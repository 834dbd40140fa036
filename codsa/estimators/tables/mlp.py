"""The paper's perceptron, fitted on many training sets as one batched computation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.optim.adam import adam

from codsa.estimators.base import EstimatorKind, FeatureLayout, WeightedRows
from codsa.io.records import read_as, write_json
from codsa.io.seeds import rng, stream
from codsa.io.tensors import load_tensors
from codsa.nn.training_loop import EarlyStopping, TrainingLoop
from codsa.settings.registry import check_settings
from codsa.settings.types import Batch, Budget, Count, PositiveInt, Rate, Width

CACHE_NUMBERS = 2**17
"""Float32 numbers of a hidden layer, over all perceptrons of a stack, that stay in a core's cache (half a megabyte)."""
Weights = list[torch.Tensor]


class Mlp:
    """A perceptron with ReLU, Adam, early stop on validation rows (arXiv 2504.07426, 4.1).

    G training sets have G perceptrons, whose weights are stacked along a leading axis; they start from the
    same weights and never meet. A stack is as high as the processor's cache allows: small
    perceptrons gain from a high one, in which they share the cost of each call; large ones would
    lose to memory traffic what they gain.

    Parameters
    ----------
    hidden : list of int
    learning_rate : float
    batch : int
    epochs : int
        With budget 'epochs', passes over the rows of a training set, so that more rows mean more
        gradient steps (the paper's way). With budget 'steps' every training set gets the gradient
        steps of this many passes over the real training rows.
    patience : int
        Training stops after this many checks (one per epoch) without a better validation loss.
    budget : {'steps', 'epochs'}
    """

    def __init__(
        self,
        layout: FeatureLayout,
        *,
        hidden: list[Width] | None = None,
        learning_rate: Rate = 1e-3,
        batch: Batch = 1024,
        epochs: PositiveInt = 100,
        patience: PositiveInt = 20,
        budget: Budget = "steps",
    ) -> None:
        self.layout, self.hidden = layout, list(hidden if hidden is not None else [128, 128, 128])
        self.learning_rate, self.batch, self.epochs = learning_rate, batch, epochs
        self.patience, self.budget = patience, budget

    def fit_many(
        self, train_sets: list[WeightedRows], validation_sets: list[WeightedRows], seed: int
    ) -> list[MlpModel]:
        """Fit all training sets at once.

        Parameters
        ----------
        train_sets, validation_sets : list of WeightedRows
            Training rows, and validation rows as the preprocessing of each training set gives them.
        seed : int

        Returns
        -------
        list of MlpModel
        """
        scales = [self._scale(train_rows) for train_rows in train_sets]
        standardised = [replace(rows, y=s.apply(rows.y)) for rows, s in zip(train_sets, scales, strict=True)]
        standardised_validation = [
            replace(rows, y=s.apply(rows.y)) for rows, s in zip(validation_sets, scales, strict=True)
        ]
        groups: dict[int, list[int]] = {}
        for g, train_rows in enumerate(standardised):
            groups.setdefault(train_rows.x.shape[1], []).append(g)
        weights: dict[int, Weights] = {}
        for same_width in groups.values():
            for first in range(0, len(same_width), self._stack()):
                places = same_width[first : first + self._stack()]
                loop = StackLoop(
                    self, [standardised[g] for g in places], [standardised_validation[g] for g in places], seed
                )
                loop.train()
                weights |= dict(zip(places, loop.best_weights(), strict=True))
        return [MlpModel(weights[g], self.layout.classes, scales[g]) for g in range(len(train_sets))]

    def epoch_steps(self, rows: int) -> int:
        """Return the gradient steps of an epoch for a training set of so many rows."""
        return max(math.ceil((rows if self.budget == "epochs" else self.layout.steps_rows) / self.batch), 1)

    def _stack(self) -> int:
        """Return how many perceptrons are computed together."""
        return max(1, CACHE_NUMBERS // (self.batch * max(self.hidden, default=1)))

    def _scale(self, train_rows: WeightedRows) -> Scale:
        if self.layout.task == "classification":
            return Scale(0.0, 1.0)
        spread = float(train_rows.y.std())
        return Scale(float(train_rows.y.mean()), spread if spread > 0 else 1.0)


@dataclass(frozen=True)
class Scale:
    """Centre and scale of a regression target (0 and 1 for classes)."""

    centre: float
    scale: float

    def apply(self, y: np.ndarray) -> np.ndarray:
        """Return the standardised target; class indices stay as they are."""
        return y if self == Scale(0.0, 1.0) else (y - self.centre) / self.scale


@dataclass(frozen=True)
class MlpRecord:
    """What `mlp.json` holds: the number of classes (0 for regression), and the target's scale."""

    classes: Count
    scale: Scale


class MlpModel:
    """One fitted perceptron, of scikit-learn's protocol for prediction.

    Parameters
    ----------
    weights : list of Tensor
        Matrix and bias of each layer in turn.
    classes : int
        0 for regression.
    scale : Scale
    """

    def __init__(self, weights: Weights, classes: int, scale: Scale) -> None:
        self.weights, self.scale = weights, scale
        self.classes_ = np.arange(classes)

    @torch.no_grad()
    def _output(self, x: np.ndarray) -> np.ndarray:
        stacked = [w[None] for w in self.weights]
        return forward(stacked, torch.from_numpy(x.astype(np.float32))[None])[0].numpy().astype(np.float64)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return values of shape (n,)."""
        return self._output(x)[:, 0] * self.scale.scale + self.scale.centre

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of shape (n, C)."""
        from scipy.special import softmax

        output = self._output(x)
        if output.shape[1] == 1:
            output = np.hstack([np.zeros_like(output), output])
        return np.asarray(softmax(output, axis=1))

    def save(self, folder: Path) -> None:
        """Write the weights and the target's scale into an existing folder."""
        named = {f"{i:02d}": w.contiguous() for i, w in enumerate(self.weights)}
        save_file(named, folder / "mlp.safetensors")
        write_json(folder / "mlp.json", {"classes": len(self.classes_), "scale": asdict(self.scale)})

    @classmethod
    def load(cls, folder: Path) -> MlpModel:
        """Read what `save` wrote."""
        record = read_as(folder / "mlp.json", MlpRecord)
        named = load_tensors(folder / "mlp.safetensors", "torch")
        inputs = None
        for i in range(0, max(len(named), 2), 2):
            inputs = named.expect(f"{i:02d}", inputs, None).shape[1]
            named.expect(f"{i + 1:02d}", 1, inputs)
        return cls([named[key] for key in sorted(named)], record.classes, record.scale)


def forward(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    """Return the outputs of G perceptrons on G batches.

    Parameters
    ----------
    weights : list of tensor
        Matrices of shape (G, a, b) and biases of shape (G, 1, b) in turn.
    x : tensor of shape (G, rows, d)

    Returns
    -------
    tensor of shape (G, rows, outputs)
    """
    for i in range(0, len(weights), 2):
        x = torch.baddbmm(weights[i + 1], x, weights[i])
        if i + 2 < len(weights):
            x = torch.relu(x)
    return x


def row_loss(output: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    """Return each row's cross-entropy or squared error, tensor of shape (G, rows)."""
    functional = torch.nn.functional
    if classes == 0:
        return (output[..., 0] - y) ** 2
    if classes == 2:
        return functional.binary_cross_entropy_with_logits(output[..., 0], y, reduction="none")
    return functional.cross_entropy(output.movedim(2, 1), y.long(), reduction="none")


class StackedAdam:
    """Adam (Kingma 2015) on stacked weights, by torch's function: perceptrons can leave its state.

    Parameters
    ----------
    weights : list of tensor
        Of shape (G, ...), with gradients.
    learning_rate : float
    """

    def __init__(self, weights: Weights, learning_rate: float) -> None:
        self.weights, self.learning_rate = weights, learning_rate
        self.first_moments = [torch.zeros_like(w) for w in weights]
        self.second_moments = [torch.zeros_like(w) for w in weights]
        self.steps = [torch.tensor(0.0) for _ in weights]

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by their gradients."""
        gradients = [w.grad for w in self.weights if w.grad is not None]
        settings: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "lr": self.learning_rate}
        plain: dict[str, Any] = {"amsgrad": False, "maximize": False, "weight_decay": 0.0, "fused": True}
        first, second = self.first_moments, self.second_moments
        adam(self.weights, gradients, first, second, [], self.steps, **settings, **plain)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for w in self.weights:
            w.grad = None

    def keep(self, places: np.ndarray) -> None:
        """Keep the perceptrons at these places of the stack."""
        self.weights = [w.detach()[places].requires_grad_() for w in self.weights]
        self.first_moments = [moment[places] for moment in self.first_moments]
        self.second_moments = [moment[places] for moment in self.second_moments]


class StackLoop(TrainingLoop):
    """The training of G stacked perceptrons; those that have stopped leave the stack.

    Each perceptron has its own early stopping, and a check whenever its own epoch ends.
    """

    def __init__(
        self, mlp: Mlp, train_sets: list[WeightedRows], validation_sets: list[WeightedRows], seed: int
    ) -> None:
        self.mlp, self.classes = mlp, mlp.layout.classes
        self.x = torch.from_numpy(np.concatenate([rows.x for rows in train_sets]).astype(np.float32))
        self.y = torch.from_numpy(np.concatenate([rows.y for rows in train_sets]).astype(np.float32))
        self.w = torch.from_numpy(np.concatenate([rows.weight for rows in train_sets]).astype(np.float32))
        sizes = np.array([len(rows.y) for rows in train_sets])
        self.starts = np.cumsum(sizes) - sizes
        self.validation = [torch.from_numpy(np.stack(p).astype(np.float32)) for p in _columns(validation_sets)]
        self.epoch = np.array([mlp.epoch_steps(int(size)) for size in sizes])
        self.orders = [_BatchOrder(int(size), mlp, seed) for size in sizes]
        self.alive = np.arange(len(train_sets))
        self.early_stopping: list[EarlyStopping[Weights]] = [EarlyStopping(mlp.patience) for _ in train_sets]
        initial = _initial(mlp, train_sets[0].x.shape[1], seed)
        self.adam = StackedAdam(
            [w[None].repeat(len(train_sets), 1, 1).requires_grad_() for w in initial], mlp.learning_rate
        )
        super().__init__(self.adam, int(self.epoch.max()) * mlp.epochs, int(self.epoch.min()))

    def best_weights(self) -> list[Weights]:
        """Return each perceptron's weights at its best check."""
        return [stopping.best_weights or [] for stopping in self.early_stopping]

    def unfinished(self) -> bool:
        """Say whether a perceptron is still trained (see `TrainingLoop.unfinished`)."""
        return len(self.alive) > 0

    def check_due(self) -> bool:
        """Say whether the epoch of a perceptron has ended (see `TrainingLoop.check_due`)."""
        return len(self._due()) > 0

    def _due(self) -> np.ndarray:
        """Return the places in the stack of the perceptrons whose epoch has ended."""
        return np.flatnonzero(self.step % self.epoch[self.alive] == 0)

    def batch_loss(self) -> torch.Tensor:
        """Return the sum over the perceptrons of their batches' mean losses (see `TrainingLoop.batch_loss`)."""
        rows = torch.from_numpy(np.stack([self.starts[g] + self.orders[g].next() for g in self.alive]))
        real = rows >= torch.from_numpy(self.starts[self.alive])[:, None]
        rows = rows.clamp(min=0)
        weight = self.w[rows] * real
        losses = row_loss(forward(self.adam.weights, self.x[rows]), self.y[rows], self.classes)
        return ((losses * weight).sum(1) / weight.sum(1)).sum()

    @torch.no_grad()
    def check(self) -> None:
        """Measure the validation loss of the perceptrons that are due, and drop those that are done."""
        due = self._due()
        fits = self.alive[due]
        x, y, weight = (part[fits] for part in self.validation)
        output = forward([w[due] for w in self.adam.weights], x)
        losses = ((row_loss(output, y, self.classes) * weight).sum(1) / weight.sum(1)).tolist()
        for place, g, loss in zip(due, fits, losses, strict=True):
            self.early_stopping[g].update(loss, partial(self._weights, place))
        self._leave()

    def _weights(self, place: int) -> Weights:
        return [w[place].detach().clone() for w in self.adam.weights]

    def _leave(self) -> None:
        exhausted = np.array([self.early_stopping[g].exhausted for g in self.alive])
        done = exhausted | (self.step >= self.epoch[self.alive] * self.mlp.epochs)
        for place in np.flatnonzero(done):
            stopping = self.early_stopping[self.alive[place]]
            stopping.best_weights = stopping.best_weights or self._weights(int(place))  # where no loss was a number
        if done.any():
            keep = np.flatnonzero(~done)
            self.adam.keep(keep)
            self.alive = self.alive[keep]


def _columns(validation_sets: list[WeightedRows]) -> list[list[np.ndarray]]:
    return [
        [rows.x for rows in validation_sets],
        [rows.y for rows in validation_sets],
        [rows.weight for rows in validation_sets],
    ]


class _BatchOrder:
    """The batches of one training set: shuffled passes over its rows.

    With budget 'epochs' the last batch of a pass is filled up with marks that fall below the
    training set's first row; with budget 'steps' passes follow each other without a gap.
    """

    def __init__(self, size: int, mlp: Mlp, seed: int) -> None:
        self.size, self.batch, self.full_passes = size, mlp.batch, mlp.budget == "epochs"
        self.random = rng(stream(seed, "order"))
        self.left = np.empty(0, dtype=np.int64)

    def next(self) -> np.ndarray:
        """Return the next batch, ndarray of int64, shape (batch,)."""
        while len(self.left) < (1 if self.full_passes else self.batch):
            self.left = np.r_[self.left, self.random.permutation(self.size)]
        batch_rows, self.left = self.left[: self.batch], self.left[self.batch :]
        return np.r_[batch_rows, np.full(self.batch - len(batch_rows), -np.iinfo(np.int32).max)]


def _initial(mlp: Mlp, features: int, seed: int) -> Weights:
    """Draw torch's default weights of linear layers from a stream."""
    outputs = mlp.layout.classes if mlp.layout.classes > 2 else 1
    sizes = [features, *mlp.hidden, outputs]
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = []
    for a, b in itertools.pairwise(sizes):
        bound = 1 / math.sqrt(max(a, 1))
        weights += [torch.empty(size).uniform_(-bound, bound, generator=generator) for size in ((a, b), (1, b))]
    return weights


def _build(layout: FeatureLayout, seed: int, settings: Mapping[str, Any]) -> Mlp:
    check_settings("estimator", "mlp", Mlp, settings=settings, filled=("layout",))
    return Mlp(layout, **settings)


mlp = EstimatorKind(
    _build,
    "standard",
    lambda folder, layout: MlpModel.load(folder),
    steps=lambda model, rows: model.epoch_steps(rows) * model.epochs,
)
"""The paper's perceptron; preprocess none feeds it raw numbers, as in the paper's 4.1."""
