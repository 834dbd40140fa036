"""One Gaussian per region with a common covariance: the simplest model of encoded rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from codsa.data.rows import Rows, in_memory, subsample
from codsa.data.schema import Schema
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.generators.base import Generator, complete
from codsa.generators.tables.normal import fit_normal
from codsa.generators.tables.source_rows import with_source
from codsa.io.seeds import child, rng
from codsa.io.tensors import load_tensors
from codsa.settings.types import Means, Probability, Scaling


class Gaussian(Generator):
    """Encoded rows of region k as N(mean_k, Σ), with Σ pooled over the regions and shrunk.

    What a diffusion model has to beat: it costs one covariance matrix.

    Parameters
    ----------
    shrinkage : float, optional
        Weight of the scaled identity in Σ, in [0, 1]; by Ledoit and Wolf (2004) if not given.
    scaling : {'auto', 'asinh', 'normal-score'}
        How numbers are brought to unit scale (see `codsa.encoders.scaling`).
    means : {'free', 'shrunk', 'ordered'}
        free: each region's average; shrunk toward each other, or smoothed along the order of the regions
        (stars, grades), as far as the rows bear it (see `codsa.generators.tables.normal.smoothed`).
    """

    uses_gpu: ClassVar[bool] = False
    streams = True

    def __init__(
        self, *, shrinkage: Probability | None = None, scaling: Scaling = "auto", means: Means = "free"
    ) -> None:
        self.shrinkage, self.scaling, self.averaging = shrinkage, scaling, means
        self.schema: Schema
        self.space: TabularEncoder
        self.means: np.ndarray
        self.root: np.ndarray

    def fit(
        self,
        rows: Rows,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Learn the means and the covariance from S_g (see `Generator.fit`)."""
        self.schema = schema
        if pretrained is not None:
            rows, regions, pretrained = with_source(in_memory(rows), regions, schema, pretrained)
        if pretrained is not None:
            raise CodsaError(f"{pretrained}: gaussian learns from source rows only; make them with --pretrain rows")
        sampled_rows, sampled_regions = subsample(rows, regions, schema.generated, rng(child(stream, "scales")))
        self.space = TabularEncoder.fit(
            sampled_rows, schema.generated, schema.regions, sampled_regions, True, self.scaling
        )
        x = self.space.encode(sampled_rows, sampled_regions).astype(np.float64)
        law = fit_normal(x, sampled_regions, len(schema.regions), shrinkage=self.shrinkage, means=self.averaging)
        self.means, self.root = law.means, law.root
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        drawn = rng(stream).standard_normal((count, self.root.shape[1])) @ self.root.T + self.means[region]
        rows = self.space.decode(drawn.astype(np.float32), np.full(count, region))
        return complete(rows, region, self.schema)

    def save(self, folder: Path) -> None:
        """Write means, covariance and encoder (see `Generator.save`)."""
        arrays = {f"table.{name}": np.ascontiguousarray(part) for name, part in self.space.to_arrays().items()}
        save_file(
            {**arrays, "means": self.means, "root": np.ascontiguousarray(self.root)}, folder / "gaussian.safetensors"
        )

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = cls(**settings)
        generator.schema = schema
        arrays = load_tensors(folder / "gaussian.safetensors", "numpy")
        generator.space = TabularEncoder.from_arrays(arrays.under("table."), schema.generated)
        generator.means = arrays.expect("means", len(schema.regions), generator.space.width)
        generator.root = arrays.expect("root", generator.space.width, None)
        return generator
