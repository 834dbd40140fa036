"""What generators of images share: the columns that an image is conditioned on, drawn beside it."""

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
    """Draws one column of images, conditioned on every other modelled column.

    The other columns of a generated row are those of a row of S_g in the region, drawn with replacement. Columns
    named in `uniform` are drawn evenly over the values seen.

    Attributes
    ----------
    label : str
        The generator's registered name, for messages.
    uniform : list of str
    condition_rows : DataFrame
        The other columns of S_g, and the region of each row.
    """

    modality: ClassVar[Modality] = "images"
    label: ClassVar[str]
    uniform: list[str]
    schema: Schema
    condition_rows: pd.DataFrame

    def remember(self, rows: pd.DataFrame, regions: np.ndarray, schema: Schema) -> Column:
        """Keep the other columns of S_g, and return the column of images."""
        column = self.image_of(schema)
        check_names(f"{self.label}: uniform", self.uniform, schema)
        self.schema = schema
        self.condition_rows = rows.drop(columns=[column.name]).assign(**{REGION: regions}).reset_index(drop=True)
        return column

    def image_of(self, schema: Schema) -> Column:
        """Return the only column of arrays, which must hold images."""
        columns = schema.array_columns
        if len(columns) != 1 or columns[0].type != "image":
            raise CodsaError(f"{self.label}: the data have {len(columns)} columns of arrays; it draws one of images")
        return columns[0]

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`)."""
        return pd.concat(self.sample_chunks(region, count, stream), ignore_index=True)

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Draw rows of one region, as many at a time as images (see `Generator.sample_chunks`)."""
        members = np.flatnonzero(self.condition_rows[REGION] == region)
        if not len(members):
            raise CodsaError(f"{self.label}: region '{self.schema.regions.names[region]}' has no row in S_g; raise r")
        random = rng(child(stream, "conditions"))
        rows = self.condition_rows.iloc[random.choice(members, count)].drop(columns=[REGION]).reset_index(drop=True)
        rows = complete(
            spread_evenly(rows, self.uniform, self.schema, seen=self.condition_rows, random=random), region, self.schema
        )
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
        """Write the other columns of S_g."""
        write_parquet(folder / "conditions.parquet", self.condition_rows)

    def load_conditions(self, folder: Path, schema: Schema) -> None:
        """Read what `save_conditions` wrote."""
        rows = read_parquet(folder / "conditions.parquet")
        self.schema = schema
        self.condition_rows = rows.assign(**{c.name: cast(rows[c.name], c) for c in schema.modelled if not c.is_array})
