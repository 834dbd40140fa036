"""An encoder–decoder pretrained on a source set and frozen: the transfer of sections 4.1 and 4.2."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from codsa.artefacts import read_json, write_json
from codsa.diffusion.network import initialise
from codsa.diffusion.training import Recipe, Trainer
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.regions import Regions
from codsa.schema import Column, Schema
from codsa.streams import child, integer, rng


def perceptron(sizes: list[int]) -> nn.Sequential:
    """Return linear layers of the given sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A perceptron encoder and its mirror image.

    Parameters
    ----------
    dimension, latent : int
        Columns of the array and of the code.
    width, depth : int
        Hidden units, and hidden layers of each half.
    """

    def __init__(self, dimension: int, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.encode = perceptron([dimension, *[width] * depth, latent])
        self.decode = perceptron([latent, *[width] * depth, dimension])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, tensor of shape (b, dimension)."""
        result: torch.Tensor = self.decode(self.encode(x))
        return result


class LatentSpace:
    """A frozen encoder–decoder with the scales of its codes.

    Rows become arrays (`TabularEncoder`, fitted on the source), arrays become codes of about unit
    variance, and back.
    """

    def __init__(
        self,
        table: TabularEncoder,
        model: Autoencoder,
        settings: dict[str, int],
        centre: np.ndarray,
        scale: np.ndarray,
    ) -> None:
        self.table, self.model, self.settings = table, model.eval(), settings
        self.centre, self.scale = centre, scale

    @property
    def width(self) -> int:
        """The number of columns of a code."""
        return len(self.centre)

    @torch.no_grad()
    def encode(self, rows: pd.DataFrame, region: np.ndarray | None = None) -> np.ndarray:
        """Return rows as codes, ndarray of float32, shape (n, latent)."""
        code = self.model.encode(torch.from_numpy(self.table.encode(rows))).numpy()
        return ((code - self.centre) / self.scale).astype(np.float32)

    @torch.no_grad()
    def decode(self, code: np.ndarray, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows in the schema's types from codes of shape (n, latent)."""
        raw = (code * self.scale + self.centre).astype(np.float32)
        return self.table.decode(self.model.decode(torch.from_numpy(raw)).numpy())

    def save(self, folder: Path) -> None:
        """Write weights, scales and the encoder's tables into an existing folder."""
        arrays = {f"table.{k}": v for k, v in self.table.to_arrays().items()}
        arrays |= {"centre": self.centre, "scale": self.scale}
        tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        tensors |= {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        save_file(tensors, folder / "autoencoder.safetensors")
        columns = [asdict(block.column) for block in self.table.blocks]
        write_json(folder / "autoencoder.json", {"settings": self.settings, "columns": columns})

    @classmethod
    def load(cls, folder: Path) -> LatentSpace:
        """Read what `save` wrote."""
        record = read_json(folder / "autoencoder.json")
        tensors = load_file(folder / "autoencoder.safetensors")
        columns = [Column(**c) for c in record["columns"]]
        arrays = {k.removeprefix("table."): v.numpy() for k, v in tensors.items() if k.startswith("table.")}
        table = TabularEncoder.from_arrays(arrays, columns)
        model = Autoencoder(table.width, **record["settings"])
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        return cls(table, model, record["settings"], tensors["centre"].numpy(), tensors["scale"].numpy())

    def adapt(self, rows: pd.DataFrame, columns: list[Column], regions: Regions, region: np.ndarray) -> None:
        """Fit what depends on the study's own rows: its regions, bounds and ties."""
        self.check(columns)

    def check(self, columns: list[Column]) -> None:
        """Raise a `CodsaError` unless it was fitted on these columns."""
        mine, theirs = [(b.column.name, b.column.type) for b in self.table.blocks], [(c.name, c.type) for c in columns]
        if mine != theirs:
            raise CodsaError(
                f"the pretrained encoder models columns {mine}, the data have {theirs}; prepare the source "
                "set with the same columns and types"
            )


def pretrain(
    rows: pd.DataFrame,
    schema: Schema,
    stream: np.random.SeedSequence,
    folder: Path,
    work: Path | None = None,
    *,
    latent: int = 8,
    width: int = 256,
    depth: int = 2,
    steps: int = 3000,
    batch: int = 512,
    learning_rate: float = 2e-3,
) -> pd.DataFrame:
    """Fit an encoder–decoder on a source set and write it into an existing folder.

    Parameters
    ----------
    rows : DataFrame of shape (n, d)
        The source rows: independent of every row of the study.
    latent, width, depth : int
        Columns of the code; hidden units and layers of each half.
    steps, batch : int
    learning_rate : float

    Returns
    -------
    DataFrame
        The losses, as `Trainer.run` gives them.
    """
    columns = schema.generated
    table = TabularEncoder.fit(rows, columns)
    x = torch.from_numpy(table.encode(rows))
    settings = {"latent": min(latent, x.shape[1]), "width": width, "depth": depth}
    model = Autoencoder(x.shape[1], **settings)
    initialise(model, torch.Generator().manual_seed(integer(child(stream, "weights"))))
    order = torch.from_numpy(rng(child(stream, "held out")).permutation(len(x)))
    held, seen = x[order[: len(x) // 10]], x[order[len(x) // 10 :]]

    def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
        rows_ = seen[torch.randint(len(seen), (batch,), generator=generator)].to(next(net.parameters()).device)
        return nn.functional.mse_loss(net(rows_), rows_)

    @torch.no_grad()
    def held_out(net: nn.Module) -> float:
        rows_ = held.to(next(net.parameters()).device)
        return float(nn.functional.mse_loss(net(rows_), rows_))

    recipe = Recipe(steps=steps, learning_rate=learning_rate)
    checkpoint = None if work is None else work / "autoencoder.safetensors"
    trainer = Trainer(model, recipe, loss, held_out if len(held) else None, integer(child(stream, "steps")), checkpoint)
    losses = trainer.run()
    frozen = Autoencoder(x.shape[1], **settings)
    frozen.load_state_dict(trainer.weights())
    with torch.no_grad():
        code = frozen.encode(x).numpy().astype(np.float64)
    scale = np.where(code.std(axis=0) > 1e-6, code.std(axis=0), 1.0)
    LatentSpace(table, frozen, settings, code.mean(axis=0), scale).save(folder)
    return losses
