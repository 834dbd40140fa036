"""What generators of images have in common: whose other columns a drawn image is told, and what stands beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, cast
from codsa.encoders.conditions import check_names, spread_evenly
from codsa.errors import CodsaError
from codsa.generators.base import Generator, Modality, complete
from codsa.io import array_columns
from codsa.io.seeds import child, rng
from codsa.io.tables import read_parquet, write_parquet

REGION = "__region__"


class ConditionalImageGenerator(Generator):
    """Draws one column of images, told every other modelled column.

    A region that is asked for gets the other columns of its rows of S_g, drawn anew with replacement; those
    of `uniform` are drawn evenly over the values seen. They stand beside the image in the rows drawn.
    """

    modality: ClassVar[Modality] = "images"
    label: ClassVar[str]
    uniform: list[str]
    schema: Schema
    told: pd.DataFrame

    def remember(self, rows: pd.DataFrame, regions: np.ndarray, schema: Schema) -> Column:
        """Keep what stands beside the images of S_g, and return their column."""
        column = self.image_of(schema)
        check_names(f"{self.label}: uniform", self.uniform, schema)
        self.schema = schema
        self.told = rows.drop(columns=[column.name]).assign(**{REGION: regions}).reset_index(drop=True)
        return column

    def image_of(self, schema: Schema) -> Column:
        """Return the only column of arrays, which must hold images."""
        found = schema.array_columns
        if len(found) != 1 or found[0].type != "image":
            raise CodsaError(f"{self.label}: the data have {len(found)} columns of arrays; it draws one of images")
        return found[0]

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        return pd.concat(self.sample_chunks(region, count, stream), ignore_index=True)

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw rows of one region, as many at a time as images (see `Generator.sample_chunks`)."""
        members = np.flatnonzero(self.told[REGION] == region)
        if not len(members):
            raise CodsaError(f"{self.label}: region '{self.schema.regions.names[region]}' has no row in S_g; raise r")
        random = rng(child(stream, "conditions"))
        rows = self.told.iloc[random.choice(members, count)].drop(columns=[REGION]).reset_index(drop=True)
        rows = complete(spread_evenly(rows, self.uniform, self.schema, self.told, random), region, self.schema)
        column = self.image_of(self.schema)
        first = 0
        for images in self.draw(rows, column, child(stream, "images")):
            part = rows.iloc[first : first + len(images)].reset_index(drop=True)
            yield complete(part.assign(**{column.name: array_columns.column("image", images)}), region, self.schema)
            first += len(images)

    @abstractmethod
    def draw(self, rows: pd.DataFrame, column: Column, stream: np.random.SeedSequence) -> Iterator[np.ndarray]:
        """Draw an image for each row, some at a time: ndarrays of uint8, shape (b, height, width, channels)."""

    def save_conditions(self, folder: Path) -> None:
        """Write what stands beside the images of S_g."""
        write_parquet(folder / "told.parquet", self.told)

    def load_conditions(self, folder: Path, schema: Schema) -> None:
        """Read what `save_conditions` wrote."""
        told = read_parquet(folder / "told.parquet")
        self.schema = schema
        self.told = told.assign(**{c.name: cast(told[c.name], c) for c in schema.modelled if not c.is_array})
