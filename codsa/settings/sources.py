"""The sections of sources of rows: simulations and parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from codsa.errors import CodsaError
from codsa.settings.limits import MOST_DRAWN, MOST_SEED
from codsa.settings.section import Section
from codsa.settings.types import Composed


class SimulationSize(Section):
    """The number of rows of a simulation, and its seed."""

    section: ClassVar[str] = "simulation"
    minority: int = Field(default=2000, ge=1, le=MOST_DRAWN, description="rows of the minority")
    majority: int = Field(default=4400, ge=1, le=MOST_DRAWN, description="rows of the majority")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="seed of the draw, apart from the study's")


class Simulation(SimulationSize):
    """One of the paper's simulations."""

    name: str = Field(description="imbalanced-classification (4.1) or undersampled-regression (4.2)")


class Part(Section):
    """A part of a dataset: a table, or the images of one path."""

    section: ClassVar[str] = "parts"
    path: Path = Field(description="folder, idx, npz or Parquet file, or Hugging Face data set")
    columns: dict[Composed, Composed | int | float | bool] = Field(
        default={}, description="values that all its rows get"
    )
    labels: Path | None = Field(default=None, description="table with a row per file, or the idx file of labels")
    pattern: str | None = Field(default=None, description="how file names are written: '{age}_{gender}_{_}.jpg'")
    column: str | None = Field(default=None, description="image column of a Parquet file or data set")
    arrays: dict[str, str] = Field(default={}, description="column: array of an npz file; one column is image")
    split: str | None = Field(default=None, description="split of a Hugging Face data set")

    @field_validator("path", mode="before")
    @classmethod
    def _not_empty(cls, path: Any) -> Any:
        if not path:
            raise CodsaError("parts: path is empty; write a part as '{path: FOLDER, columns: {domain: usps}}'")
        return path
