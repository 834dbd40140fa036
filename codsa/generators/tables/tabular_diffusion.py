"""A diffusion model of table rows, conditional on the region."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from codsa.data.chunks import chunks
from codsa.data.rows import Rows, encoded, subsample
from codsa.data.schema import Schema
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.generators.base import BLOCK_ROWS, Generator, complete
from codsa.generators.tables.labels import LabelModel
from codsa.io.devices import half_type
from codsa.io.processes import is_main, my_share
from codsa.io.records import read_json
from codsa.io.seeds import child, integer, rng
from codsa.io.tensors import Tensors, load_tensors, readable
from codsa.nn import edm
from codsa.nn.autoencoder import LatentSpace, is_latent_space
from codsa.nn.batches import BalancedBatches
from codsa.nn.denoisers import Denoiser, NormalStart, initialise
from codsa.nn.noise_prediction import NoisePredictor
from codsa.nn.trainer import Trainer, TrainingRecipe
from codsa.nn.tuning import plain_weights, tunable
from codsa.settings.types import Batch, Depth, PositiveInt, Precision, Probability, Rate, Scaling, Share, Tuning, Width

CHUNK_ROWS = 512
"""Rows that go through the network together on a CPU; on a GPU a whole block does."""
CHECK_ROWS = 100_000
"""At most about this many of the rows held out for the early stop are measured."""


class TabularDiffusion(Generator):
    """EDM diffusion of encoded rows, or of the codes of a pretrained encoder–decoder.

    Parameters
    ----------
    steps, batch : int
        Gradient steps at most, and rows in each; a batch draws its regions evenly.
    learning_rate : float
        Peak of the one-cycle schedule.
    width, depth : int
        Hidden units and residual blocks.
    ema : float
        Decay of the averaged weights.
    holdout : float
        Share of S_g on which the early stop is decided; 0 trains on all of S_g to the last step.
    patience : int
        Training stops after this many checks, of 20, without a better loss on held-out rows.
    sampler_steps : int
        Steps of the sampler: network calls per row.
    precision : {'no', 'bf16', 'fp16', 'auto'}
        Mixed precision of the network's calls; auto: bf16 where the hardware computes in it.
    labels : {'ensemble', 'denoiser'}
        What decides the label of a row: the cross-fitted ensemble of `codsa.generators.tables.labels`,
        or the denoiser, as it decides every other column.
    scaling : {'auto', 'asinh', 'normal-score'}
        How numbers are brought to unit scale; auto: asinh where a column is smooth, ranks where it
        has point masses. A pretrained space keeps its own.
    tune : {'full', 'head', 'lora'}
        Which weights of a pretrained denoiser are trained further (see `codsa.nn.tuning`).
    dependencies : bool
        Leave out columns that others determine, and rebuild them (see `codsa.encoders.dependencies`).
    """

    streams = True
    pretraining = {"dependencies": False}
    network: ClassVar[type[Denoiser] | type[NoisePredictor]] = Denoiser
    """The network that is trained."""
    embedding_width: int | None = None
    """Hidden units of the network that embeds the noise level; None: `width`."""

    def __init__(
        self,
        *,
        steps: PositiveInt = 3000,
        batch: Batch = 512,
        learning_rate: Rate = 2e-3,
        width: Width = 256,
        depth: Depth = 3,
        ema: Probability = 0.999,
        holdout: Share = 0.1,
        patience: PositiveInt = 6,
        sampler_steps: PositiveInt = 18,
        precision: Precision = "no",
        labels: Literal["ensemble", "denoiser"] = "ensemble",
        scaling: Scaling = "auto",
        tune: Tuning = "full",
        dependencies: bool = True,
    ) -> None:
        self.recipe = TrainingRecipe(steps, learning_rate, ema, patience=patience, precision=precision)
        self.batch, self.width, self.depth = batch, width, depth
        self.holdout, self.sampler_steps = holdout, sampler_steps
        self.noise = edm.Noise()
        self.scaling, self.tune, self.dependencies = scaling, tune, dependencies
        self.by_ensemble = labels == "ensemble"
        self.labels: LabelModel | None = None
        self.source_labels: LabelModel | None = None
        self.losses = pd.DataFrame()
        self.schema: Schema
        self.model: Denoiser | NoisePredictor

    def fit(
        self,
        rows: Rows,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Train the denoiser on S_g (see `Generator.fit`)."""
        self.schema = schema
        seen = subsample(rows, regions, schema.generated, rng(child(stream, "scales")))
        net = self._start(*seen, pretrained, child(stream, "weights"))
        x = torch.from_numpy(encoded(rows, regions, self.space.encode, checkpoint_dir))
        region = torch.from_numpy(np.asarray(regions))
        held = hold_out(regions, self.holdout, rng(child(stream, "held out")))
        check = torch.from_numpy(np.flatnonzero(held)[:: 1 + int(held.sum()) // CHECK_ROWS])
        trainer = Trainer(
            net,
            self.recipe,
            self._loss(x, region, torch.from_numpy(np.flatnonzero(~held))),
            held_out=self._held_out(x[check], region[check], child(stream, "check")) if held.any() else None,
            seed=integer(child(stream, "steps")),
            checkpoint=None if checkpoint_dir is None else checkpoint_dir / "denoiser.safetensors",
        )
        self.losses = trainer.run()
        self.model = self.network.of(plain_weights(net, trainer.weights()))
        if self.by_ensemble and LabelModel.useful(schema, *seen) and is_main():
            self.labels = LabelModel(schema).fit(*seen, child(stream, "labels"), self.source_labels)
        return self

    def _start(
        self, rows: pd.DataFrame, regions: np.ndarray, pretrained: Path | None, stream: np.random.SeedSequence
    ) -> nn.Module:
        """Choose the space that rows are denoised in, and return the network that training starts from."""
        columns, generator = self.schema.generated, torch.Generator().manual_seed(integer(stream))
        self.space: TabularEncoder | LatentSpace
        if pretrained is not None and not is_latent_space(pretrained):
            return tunable(self._pretrained(rows, regions, pretrained), self.tune, generator)
        if pretrained is not None:
            self.space = LatentSpace.load(pretrained)
            self.space.adapt(rows, columns, self.schema.regions, regions)
        else:
            self.space = TabularEncoder.fit(
                rows, columns, self.schema.regions, regions, self.dependencies, self.scaling
            )
        count, start = len(self.schema.regions), self._closed_form(rows, regions)
        denoiser = self.network(
            self.space.width, count, self.width, depth=self.depth, embedding_width=self.embedding_width, start=start
        )
        initialise(denoiser, generator, zero=denoiser.leave)
        return denoiser

    def _closed_form(self, rows: pd.DataFrame, regions: np.ndarray) -> NormalStart | None:
        """Return the closed-form denoiser that the network is added to, or None."""
        return None

    def _pretrained(self, rows: pd.DataFrame, regions: np.ndarray, folder: Path) -> Denoiser | NoisePredictor:
        """Return a source set's denoiser, its regions' embeddings put in the study's order."""
        with readable(folder):
            source_schema = Schema.from_dict(read_json(folder / "schema.json"))
            source = type(self).load(folder, source_schema, {})
        assert isinstance(source.space, TabularEncoder)
        self.space = source.space.adapt(
            rows, self.schema.generated, source_schema.regions, regions=self.schema.regions, region=regions
        )
        if self.space.width != source.space.width:
            raise CodsaError(f"{folder}: pretrained on columns of other levels; prepare the source set with the same")
        self.source_labels = source.labels
        weights = source.model.state_dict()
        names = source_schema.regions.names
        for key in {"region.weight", "start.means"} & set(weights):
            by_source_region = weights[key]
            by_region = [
                by_source_region[names.index(name)] if name in names else by_source_region.mean(0)
                for name in self.schema.regions.names
            ]
            weights[key] = torch.stack(by_region)
        return self.network.of(weights)

    def _loss(self, x: torch.Tensor, region: torch.Tensor, rows: torch.Tensor) -> Any:
        """Return the loss on batches of some rows of x, which may be a file mapped to memory and is not copied."""
        batches = BalancedBatches(region[rows].numpy(), self.batch)

        def loss(net: nn.Module, generator: torch.Generator) -> torch.Tensor:
            chosen = rows[batches.draw(generator)]
            level = self._noise_levels(self.batch, generator)
            epsilon = torch.randn(self.batch, x.shape[1], generator=generator)
            chosen, level, epsilon = my_share(chosen, level, epsilon)
            device = next(net.parameters()).device
            batch = (part.to(device) for part in (x[chosen], region[chosen], level, epsilon))
            return self._errors(net, *batch).mean()

        return loss

    def _held_out(self, x: torch.Tensor, region: torch.Tensor, stream: np.random.SeedSequence) -> Any:
        """Return the mean over regions of the loss on held-out rows under fixed noise."""
        repeats = int(np.clip(4096 // len(x), 1, 64))
        generator = torch.Generator().manual_seed(integer(stream))
        x, region = x.repeat(repeats, 1), region.repeat(repeats)
        level = self._noise_levels(len(x), generator)
        epsilon = torch.randn(x.shape, generator=generator)

        @torch.no_grad()
        def held_out(net: nn.Module) -> float:
            device = next(net.parameters()).device
            parts = (part.to(device) for part in (x, region, level, epsilon))
            losses = self._errors(net, *parts).cpu()
            return float(torch.stack([losses[region == k].mean() for k in region.unique()]).mean())

        return held_out

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        return pd.concat(self.sample_chunks(region, count, stream), ignore_index=True)

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw rows of one region, as many at a time as are denoised together (see `Generator.sample_chunks`)."""
        if self.labels is None:
            return self._denoise(np.full(count, region), region, stream)
        return self.labels.sample_chunks(self._denoise, region, count, stream)

    def _denoise(self, drawn_as: np.ndarray, region: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw a row for each region of `drawn_as`, chunk by chunk, and set the columns that `region` fixes."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = self.model.to(device).eval()
        generator = torch.Generator().manual_seed(integer(stream))
        for part in chunks(len(drawn_as), CHUNK_ROWS if device.type == "cpu" else BLOCK_ROWS):
            drawn = self._draw(model, torch.from_numpy(drawn_as[part]), generator, device)
            yield complete(self.space.decode(drawn.numpy(), drawn_as[part]), region, self.schema)

    def _noise_levels(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draw the noise level of each row in training, tensor of shape (count,)."""
        return edm.draw_sigma(count, self.noise, generator)

    def _errors(
        self, net: nn.Module, x: torch.Tensor, region: torch.Tensor, level: torch.Tensor, epsilon: torch.Tensor
    ) -> torch.Tensor:
        """Return each row's training loss under some noise, tensor of shape (b,)."""
        return edm.denoising_loss(net, x, region, level, epsilon)

    def _draw(
        self, model: nn.Module, region: torch.Tensor, generator: torch.Generator, device: torch.device
    ) -> torch.Tensor:
        """Draw an encoded row for each entry of `region`, tensor of shape (b, d), on the CPU."""
        half = half_type(self.recipe.precision)
        return edm.sample(model, region, self.space.width, self.sampler_steps, self.noise, generator, device, half)

    def save(self, folder: Path) -> None:
        """Write weights, encoder and losses (see `Generator.save`)."""
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.cpu().state_dict().items()}
        if isinstance(self.space, LatentSpace):
            self.space.save(folder)
        else:
            arrays = self.space.to_arrays()
            tensors |= {f"table.{k}": torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}
        save_file(tensors, folder / "denoiser.safetensors")
        self.losses.to_csv(folder / "losses.csv", index=False)
        if self.labels is not None:
            self.labels.save(folder / "labels")

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = cls(**settings)
        generator.schema = schema
        tensors = load_tensors(folder / "denoiser.safetensors", "torch")
        table, weights = tensors.under("table."), tensors.under("model.")
        if table:
            arrays = Tensors(table.path, {name: part.numpy() for name, part in table.items()})
            generator.space = TabularEncoder.from_arrays(arrays, schema.generated)
        else:
            generator.space = LatentSpace.load(folder)
        weights.expect("enter.weight", None, generator.space.width)
        weights.expect("region.weight", len(schema.regions), None)
        generator.model = cls.network.of(weights)
        if (folder / "labels").is_dir():
            generator.labels = LabelModel.load(folder / "labels", schema)
        return generator


def hold_out(regions: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    """Choose rows for the early stop: a share of every region, rounded down.

    Returns
    -------
    ndarray of bool, shape (n_g,)
    """
    chosen = np.zeros(len(regions), dtype=bool)
    for k in np.unique(regions):
        members = np.flatnonzero(regions == k)
        chosen[random.permutation(members)[: int(share * len(members))]] = True
    return chosen
