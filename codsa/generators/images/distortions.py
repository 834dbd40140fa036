"""Simple ways to more images: real ones of the region distorted, and those of another region restyled by resizing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.generators.base import Modality, complete
from codsa.generators.tables.bootstrap import Bootstrap
from codsa.io import array_columns
from codsa.io.image_codec import resized
from codsa.io.seeds import child, rng
from codsa.settings.types import NonNegative, PositiveInt, Probability, Rate


class Distortions(Bootstrap):
    """Real images of the region, drawn with replacement, turned, stretched, shifted and bent a little (Simard 2003).

    Parameters
    ----------
    rotation : float
        Standard deviation of the angle, in degrees.
    stretch, shear : float
        Standard deviations of the logarithm of both scales, and of the shear.
    shift : float
        Standard deviation of the shift, as a share of a side.
    elastic : float
        Size of the elastic field, as a share of a side.
    smooth : float
        How far the elastic field is smooth, as a share of a side.
    mirror : float
        Share of images that are mirrored left to right.
    """

    modality: ClassVar[Modality] = "images"

    def __init__(
        self,
        *,
        rotation: NonNegative = 7.0,
        stretch: NonNegative = 0.08,
        shear: NonNegative = 0.12,
        shift: NonNegative = 0.03,
        elastic: NonNegative = 0.03,
        smooth: Rate = 0.15,
        mirror: Probability = 0.0,
    ) -> None:
        self.rotation, self.stretch, self.shear = np.deg2rad(rotation), stretch, shear
        self.shift, self.elastic, self.smooth, self.mirror = shift, elastic, smooth, mirror

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        rows = super().sample(region, count, stream)
        random = rng(child(stream, "distortions"))
        for column in self.schema.array_columns:
            pixels = array_columns.arrays(rows[column.name])
            bent = np.stack([self._distorted(image, random) for image in pixels]) if count else pixels
            if self.mirror > 0:
                turned = random.random(count) < self.mirror
                bent = np.where(turned[:, None, None, None], bent[:, :, ::-1], bent)
            rows[column.name] = array_columns.column(column.type, bent)
        return rows

    def _distorted(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import gaussian_filter, map_coordinates

        height, width, channels = image.shape
        angle, shear = random.normal(0, [self.rotation, self.shear])
        scales, shift = np.exp(random.normal(0, self.stretch, 2)), random.normal(0, self.shift, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[scales[0], shear], [0, scales[1]]])
        centre = np.array([(height - 1) / 2, (width - 1) / 2])[:, None]
        places = np.mgrid[:height, :width].reshape(2, -1)
        moved = matrix @ (places - centre) + centre + (shift * [height, width])[:, None]
        fields = [gaussian_filter(random.normal(size=(height, width)), self.smooth * height) for _ in range(2)]
        bent = np.stack([f / (f.std() + 1e-12) for f in fields]).reshape(2, -1) * self.elastic * height
        coordinates = (moved + bent).reshape(2, height, width)
        planes = [map_coordinates(image[..., c].astype(float), coordinates, order=1) for c in range(channels)]
        return np.stack(planes, axis=2).round().clip(0, 255).astype(np.uint8)

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the rows of S_g (see `Generator.fit`)."""
        _need_images("distortions", schema)
        return super().fit(rows, regions, schema, stream, checkpoint_dir, pretrained)


class Restyled(Bootstrap):
    """Real images of another region, drawn with replacement, as the region's: made small and large again.

    Where the region's images were scanned coarsely, this gives others their look.

    Parameters
    ----------
    source : str
        The region that images are taken from; it gets its own images.
    size : int
        Pixels of a side in between.
    """

    modality: ClassVar[Modality] = "images"

    def __init__(self, *, source: str, size: PositiveInt = 16) -> None:
        self.source, self.size = source, size

    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Keep the rows of S_g (see `Generator.fit`)."""
        _need_images("restyled", schema)
        schema.regions.index(self.source)
        return super().fit(rows, regions, schema, stream, checkpoint_dir, pretrained)

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        source = self.schema.regions.index(self.source)
        rows = super().sample(source, count, stream)
        if region == source:
            return rows
        for column in self.schema.array_columns:
            pixels = array_columns.arrays(rows[column.name])
            small = resized(pixels, (self.size, self.size))
            rows[column.name] = array_columns.column(column.type, resized(small, pixels.shape[1:3]))
        return complete(rows, region, self.schema)


def _need_images(name: str, schema: Schema) -> None:
    kinds: list[Any] = [c.type for c in schema.array_columns]
    if not kinds or set(kinds) != {"image"}:
        raise CodsaError(f"{name}: the data have no images; it changes images and nothing else")
