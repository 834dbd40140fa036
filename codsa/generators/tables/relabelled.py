"""Real rows, or SMOTE's, with the labels that the label model gives them: the controls without a denoiser.

Diffusion draws features, and the ensemble of `codsa.generators.tables.labels` decides the labels. These generators
take the features from a resampler instead, so that what they gain is the label model's doing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.generators.base import Generator, complete
from codsa.generators.tables.bootstrap import Bootstrap
from codsa.generators.tables.labels import LabelModel
from codsa.generators.tables.resampler import Resampler
from codsa.generators.tables.smote import Smote
from codsa.io.seeds import child
from codsa.settings.types import PositiveInt

LABELS = "labels"


class Labelled(Generator):
    """Features by a resampler, labels by the label model; where that is of no use, the resampler's own rows.

    Parameters
    ----------
    resampler : Resampler
        Unfitted.
    """

    uses_gpu: ClassVar[bool] = False
    resamples: ClassVar[bool] = True

    def __init__(self, resampler: Resampler) -> None:
        self.resampler = resampler
        self.labels: LabelModel | None = None

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the rows of S_g, and learn their labels (see `Generator.fit`)."""
        if pretrained is not None:
            raise CodsaError("generators 'relabelled' and 'smote-labelled' have no use for a pretrained model")
        self.resampler.fit(rows, regions, schema, child(stream, "rows"))
        if LabelModel.useful(schema, rows, regions):
            self.labels = LabelModel(schema).fit(rows, regions, child(stream, LABELS))
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        return pd.concat(self.sample_chunks(region, count, stream), ignore_index=True)

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw rows of one region (see `Generator.sample_chunks`)."""
        if self.labels is None:
            return self.resampler.sample_chunks(region, count, stream)
        self.resampler.members(region)  # raises where S_g has too few rows of it
        return self.labels.sample_chunks(self._features, region, count, stream)

    def _features(self, drawn_as: np.ndarray, region: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw a row of each region of `drawn_as`, and set the columns that `region` fixes.

        Regions of which S_g has too few rows are left out.
        """
        counts = np.bincount(self.resampler.regions, minlength=drawn_as.max() + 1)
        drawn_as = drawn_as[counts[drawn_as] >= self.resampler.min_rows]
        parts, places = [], []
        for k in np.unique(drawn_as):
            places.append(np.flatnonzero(drawn_as == k))
            parts.append(self.resampler.sample(int(k), len(places[-1]), child(stream, "features", int(k))))
        rows = pd.concat(parts, ignore_index=True).iloc[np.argsort(np.concatenate(places))]
        yield complete(rows.reset_index(drop=True), region, self.resampler.schema)

    def save(self, folder: Path) -> None:
        """Write the rows and the label model (see `Generator.save`)."""
        self.resampler.save(folder)
        if self.labels is not None:
            self.labels.save(folder / LABELS)

    @classmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read what `save` wrote (see `Generator.load`)."""
        generator = cls(**settings)
        generator.resampler = type(generator.resampler).load(folder, schema, settings)
        if (folder / LABELS).is_dir():
            generator.labels = LabelModel.load(folder / LABELS, schema)
        return generator


class Relabelled(Labelled):
    """Real rows of S_g, drawn with replacement, and labelled anew."""

    def __init__(self) -> None:
        super().__init__(Bootstrap())


class SmoteLabelled(Labelled):
    """SMOTE's rows, labelled anew.

    Parameters
    ----------
    k_neighbors : int
        See `codsa.generators.tables.smote.Smote`.
    """

    def __init__(self, *, k_neighbors: PositiveInt = 5) -> None:
        super().__init__(Smote(k_neighbors=k_neighbors))
