"""An encoder–decoder pretrained on a source set and frozen: the transfer of sections 4.1 and 4.2."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from codsa.data.regions import Regions
from codsa.data.schema import Column, Schema
from codsa.encoders.scaling import AUTO
from codsa.encoders.tabular import TabularEncoder
from codsa.io.processes import my_share
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, integer, rng
from codsa.io.tensors import Tensors, fill, load_tensors, readable
from codsa.nn.denoisers import initialise
from codsa.nn.trainer import HeldOutLoss, Loss, Trainer, TrainingRecipe
from codsa.settings.types import Batch, Count, Depth, PositiveInt, Rate, Width


def perceptron(sizes: list[int]) -> nn.Sequential:
    """Return linear layers of these sizes with SiLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


class Autoencoder(nn.Module):
    """A perceptron encoder and its mirror image.

    Parameters
    ----------
    dimension, latent : int
        Columns of the array and of the code.
    width, depth : int
        Hidden units, and hidden layers of each half.
    regions : int
        K where the meaning of an array depends on its region: encoder and decoder then receive the region, one-hot.
        Else 0.
    """

    def __init__(self, dimension: int, latent: int, width: int, depth: int, regions: int = 0) -> None:
        super().__init__()
        self.regions = regions
        self.enter = perceptron([dimension + regions, *[width] * depth, latent])
        self.leave = perceptron([latent + regions, *[width] * depth, dimension])

    def encode(self, x: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return codes, tensor of shape (b, latent), of arrays of shape (b, dimension)."""
        result: torch.Tensor = self.enter(self._with_region(x, region))
        return result

    def decode(self, code: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return arrays, tensor of shape (b, dimension), of codes of shape (b, latent)."""
        result: torch.Tensor = self.leave(self._with_region(code, region))
        return result

    def forward(self, x: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, tensor of shape (b, dimension)."""
        return self.decode(self.encode(x, region), region)

    def _with_region(self, x: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """Append the one-hot region to arrays or codes where the network is conditional on it."""
        if not self.regions:
            return x
        return torch.cat([x, nn.functional.one_hot(region, self.regions).to(x.dtype)], dim=1)


@dataclass(frozen=True)
class AutoencoderSizes:
    """The sizes of an `Autoencoder`: its keyword arguments."""

    latent: Width
    width: Width
    depth: Depth
    regions: Count = 0


@dataclass(frozen=True)
class AutoencoderRecord:
    """Contents of `autoencoder.json`: the network's sizes, the columns, the regions (see `Regions.to_dict`)."""

    settings: AutoencoderSizes
    columns: list[Column]
    regions: dict[str, Any]


class LatentSpace:
    """A frozen encoder–decoder with the scales of its codes.

    Rows become arrays (`TabularEncoder`, fitted on the source), arrays become codes of about unit
    variance, and back. `adapt` then fits regions, levels, bounds and dependencies to the study's own rows.

    Attributes
    ----------
    table : TabularEncoder
    model : Autoencoder
    settings : dict of str to int
        The model's sizes.
    centre, scale : ndarray of shape (latent,)
        Mean and standard deviation of the source rows' codes.
    regions : Regions
        The partition that the encoder was fitted for.
    """

    def __init__(
        self,
        table: TabularEncoder,
        model: Autoencoder,
        settings: dict[str, int],
        centre: np.ndarray,
        scale: np.ndarray,
        regions: Regions,
    ) -> None:
        self.table, self.model, self.settings = table, model.eval(), settings
        self.centre, self.scale, self.regions = centre, scale, regions

    @property
    def width(self) -> int:
        """The number of columns of a code."""
        return len(self.centre)

    @torch.no_grad()
    def encode(self, rows: pd.DataFrame, region: np.ndarray) -> np.ndarray:
        """Return rows of the given regions as codes, ndarray of float32, shape (n, latent)."""
        x = torch.from_numpy(self.table.encode(rows, region))
        code = self.model.encode(x, torch.from_numpy(np.asarray(region))).numpy()
        return ((code - self.centre) / self.scale).astype(np.float32)

    @torch.no_grad()
    def decode(self, code: np.ndarray, region: np.ndarray) -> pd.DataFrame:
        """Return rows in the schema's types, each in its region, from codes of shape (n, latent)."""
        unscaled = torch.from_numpy((code * self.scale + self.centre).astype(np.float32))
        x = self.model.decode(unscaled, torch.from_numpy(np.asarray(region))).numpy()
        return self.table.decode(x, region)

    def save(self, folder: Path) -> None:
        """Write weights, scales and the encoder's tables into an existing folder."""
        arrays = {f"table.{k}": v for k, v in self.table.to_arrays().items()}
        arrays |= {"centre": self.centre, "scale": self.scale}
        tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        tensors |= {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        save_file(tensors, folder / "autoencoder.safetensors")
        record = {
            "settings": self.settings,
            "columns": [asdict(column) for column in self.table.dependencies.columns],
            "regions": self.regions.to_dict(),
        }
        write_json(folder / "autoencoder.json", record)

    @classmethod
    def load(cls, folder: Path) -> LatentSpace:
        """Read what `save` wrote."""
        with readable(folder):
            record = read_as(folder / "autoencoder.json", AutoencoderRecord)
            tensors = load_tensors(folder / "autoencoder.safetensors", "torch")
            encoder_tensors = tensors.under("table.")
            arrays = Tensors(encoder_tensors.path, {name: tensor.numpy() for name, tensor in encoder_tensors.items()})
            table = TabularEncoder.from_arrays(arrays, record.columns)
            settings = asdict(record.settings)
            with torch.device("meta"):  # sizes are compared with the weights' before memory is allocated
                model = Autoencoder(table.width, **settings)
            fill(model, tensors.under("model."), assign=True)
            centre, scale = (tensors.expect(name, settings["latent"]).numpy() for name in ("centre", "scale"))
            return cls(table, model, settings, centre, scale, Regions.from_dict(record.regions))

    def adapt(self, rows: pd.DataFrame, columns: list[Column], regions: Regions, region: np.ndarray) -> None:
        """Fit what depends on the study's own rows: its regions, levels, bounds and dependencies.

        Parameters
        ----------
        rows : DataFrame of shape (n_g, d)
        columns : list of Column
        regions : Regions
            The study's partition: by the same column into as many regions as the source's.
        region : ndarray of int64, shape (n_g,)

        Raises
        ------
        CodsaError
            When the source was prepared with other columns, types or regions.
        """
        self.table = self.table.adapt(rows, columns, self.regions, regions=regions, region=region)
        self.regions = regions


def is_latent_space(folder: Path) -> bool:
    """Say whether a folder holds a pretrained encoder–decoder."""
    return (folder / "autoencoder.json").exists()


def pretrain(
    rows: pd.DataFrame,
    schema: Schema,
    stream: np.random.SeedSequence,
    folder: Path,
    checkpoint_dir: Path | None = None,
    *,
    latent: Width = 8,
    width: Width = 256,
    depth: Depth = 2,
    steps: PositiveInt = 3000,
    batch: Batch = 512,
    learning_rate: Rate = 2e-3,
) -> pd.DataFrame:
    """Fit an encoder–decoder on a source set and write it into an existing folder.

    Parameters
    ----------
    rows : DataFrame of shape (n, d)
        The source rows: independent of every row of the study.
    schema : Schema
        Of the source rows.
    stream : SeedSequence
        Seeds weights, batches and the choice of held-out rows.
    folder : Path
        An existing folder.
    checkpoint_dir : Path, optional
        Where checkpoints are written and resumed from.
    latent, width, depth : int
        Columns of the code; hidden units and layers of each half.
    steps, batch : int
        Gradient steps at most, and rows in each.
    learning_rate : float
        Peak of the one-cycle schedule.

    Returns
    -------
    DataFrame
        The losses, as `Trainer.run` gives them.
    """
    regions = schema.regions.assign(rows)
    table = TabularEncoder.fit(rows, schema.generated, schema.regions, regions, scaling=AUTO)
    x, region = torch.from_numpy(table.encode(rows, regions)), torch.from_numpy(regions)
    region_inputs = len(schema.regions) if table.regional else 0
    settings = {"latent": min(latent, x.shape[1]), "width": width, "depth": depth, "regions": region_inputs}
    model = Autoencoder(x.shape[1], **settings)
    initialise(model, torch.Generator().manual_seed(integer(child(stream, "weights"))))
    order = torch.from_numpy(rng(child(stream, "held out")).permutation(len(x)))
    loss, held_out = _losses(x, region, order[len(x) // 10 :], held_out=order[: len(x) // 10], batch=batch)
    recipe = TrainingRecipe(steps=steps, learning_rate=learning_rate)
    checkpoint = None if checkpoint_dir is None else checkpoint_dir / "autoencoder.safetensors"
    trainer = Trainer(
        model, recipe, loss, held_out=held_out, seed=integer(child(stream, "steps")), checkpoint=checkpoint
    )
    losses = trainer.run()
    frozen = Autoencoder(x.shape[1], **settings)
    frozen.load_state_dict(trainer.weights())
    with torch.no_grad():
        code = frozen.encode(x, region).numpy().astype(np.float64)
    scale = np.where(code.std(axis=0) > 1e-6, code.std(axis=0), 1.0)
    LatentSpace(table, frozen, settings, centre=code.mean(axis=0), scale=scale, regions=schema.regions).save(folder)
    return losses


def _losses(
    x: torch.Tensor, region: torch.Tensor, training: torch.Tensor, held_out: torch.Tensor, batch: int
) -> tuple[Loss, HeldOutLoss | None]:
    """Return the losses of training and of checks: the mean squared error of the reconstruction.

    Parameters
    ----------
    x : tensor of shape (n, d)
        Encoded rows.
    region, training, held_out : tensor of int64
        The rows' regions, shape (n,); the indices of training rows and of held-out rows.
    batch : int

    Returns
    -------
    loss : callable
        The error on a random batch of training rows.
    held_out_loss : callable, optional
        The error on the held-out rows; None where there are none.
    """

    def reconstruction_error(net: nn.Module, indices: torch.Tensor) -> torch.Tensor:
        device = next(net.parameters()).device
        rows = x[indices].to(device)
        return nn.functional.mse_loss(net(rows, region[indices].to(device)), rows)

    def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
        drawn = training[torch.randint(len(training), (batch,), generator=generator)]
        return reconstruction_error(net, *my_share(drawn))

    @torch.no_grad()
    def held_out_loss(net: nn.Module) -> float:
        return float(reconstruction_error(net, held_out))

    return loss, held_out_loss if len(held_out) else None
