"""The sections of an experiment, each declared once.

The experiment file, the options of the commands and the stages all use these models: a key, its
default, its bounds and its help stand here and nowhere else.
"""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from codsa.errors import CodsaError, shortened
from codsa.settings.limits import LONGEST_SIDE, MOST_DRAWN, MOST_ROWS, MOST_SEED, MOST_WORDS
from codsa.settings.registry import ESTIMATORS
from codsa.settings.section import Flag, Section
from codsa.settings.types import Alpha, Composed, Multiple, ObjectName, Pixels, Ratio, RoleSize, Weight


class SimulationSize(Section):
    """How much of a simulation is drawn, and by which seed."""

    section: ClassVar[str] = "simulation"
    minority: int = Field(default=2000, ge=1, le=MOST_DRAWN, description="rows of the minority")
    majority: int = Field(default=4400, ge=1, le=MOST_DRAWN, description="rows of the majority")
    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="seed of the draw, apart from the study's")


class Simulation(SimulationSize):
    """One of the paper's simulations."""

    name: str = Field(description="imbalanced-classification (4.1) or undersampled-regression (4.2)")


class ColumnConfig(Section):
    """A correction of what is inferred about a column."""

    section: ClassVar[str] = "columns"
    type: Literal["numeric", "integer", "categorical", "boolean", "datetime", "text"] | None = None
    role: Literal["feature", "attribute", "ignored"] | None = None


class Part(Section):
    """A table, or the images of one place, of several that make a dataset."""

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


OnUnreadable = Literal["refuse", "skip"]


class ImageOptions(Section):
    """What images are brought to."""

    section: ClassVar[str] = "images"
    size: Annotated[
        Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None,
        Flag("--size", "N|HEIGHTxWIDTH", help="Images: bring all to so many pixels."),
    ] = Field(default=None, description="pixels: N, HEIGHTxWIDTH or [height, width]")
    mode: Literal["L", "RGB"] | None = Field(default=None, description="L (grayscale) or RGB; default: as they are")
    fit: Literal["stretch", "crop", "pad"] = Field(default="stretch", description="how others meet the size")
    on_unreadable: OnUnreadable = Field(default="refuse", description="unreadable or unlabelled images: refuse or skip")

    @field_validator("size", mode="before")
    @classmethod
    def _written(cls, size: Any) -> Any:
        if not isinstance(size, str):
            return size
        sides = re.fullmatch(r"([0-9]{1,9})(?:[xX]([0-9]{1,9}))?", size)
        if not sides:
            raise CodsaError(f"images: size {shortened(size)}: write N or HEIGHTxWIDTH, in pixels")
        pixels = [int(side) for side in sides.groups() if side is not None]
        if not all(1 <= side <= LONGEST_SIDE for side in pixels):
            raise CodsaError(f"images: size {size}: a side has from 1 to {LONGEST_SIDE} pixels")
        return pixels if len(pixels) == 2 else pixels[0]

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width); None where images stay as they are."""
        if self.size is None:
            return None
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])


class TextOptions(Section):
    """A column of texts, and what is done with it."""

    section: ClassVar[str] = "texts"
    column: Annotated[Composed, Flag("--text")] = Field(description="column that holds the texts")
    words: Annotated[list[Annotated[int, Field(ge=0, le=MOST_WORDS)]], Flag("--words", read="pair")] = Field(
        default=[1, 0], min_length=2, max_length=2, description="least and most words; 0: no most"
    )
    on_unreadable: OnUnreadable = Field(default="refuse", description="empty texts and those beyond the limits")
    similarity_threshold: Ratio = Field(
        default=0.8, description="texts at least so similar (0 to 1) stay on one side of a split"
    )
    encoder: str | None = Field(default=None, description="sentence-transformers model: folder or hub name")
    precision: Literal["auto", "no", "bf16"] = Field(default="auto", description="of the encoder: auto, no or bf16")

    @field_validator("words")
    @classmethod
    def _in_order(cls, words: list[int]) -> list[int]:
        least, most = words
        if least < 1 or 0 < most < least:
            raise CodsaError(f"texts: {least} to {most} words; the least is 1, the most no less than the least")
        return words

    @property
    def least_words(self) -> int:
        """The fewest words of a text."""
        return self.words[0]

    @property
    def most_words(self) -> int | None:
        """The most words of a text; None: any number."""
        return self.words[1] or None


class RegionRule(Section):
    """How the sample space is parted."""

    section: ClassVar[str] = "regions"
    by: Annotated[Literal["class", "column", "quantile", "range", "expression"] | None, Flag("--regions")] = Field(
        default=None,
        description="class, column, quantile, range or expression; default: class for classification, quantile of the "
        "target for regression",
    )
    column: Annotated[Composed | None, Flag("--region-column")] = Field(
        default=None, description="column that decides; default: the target"
    )
    quantiles: int = Field(default=3, ge=2, le=1000, description="number of ranges by quantile")
    edges: Annotated[list[float | str] | None, Flag("--edge", read="number")] = Field(
        default=None, description="inner edges of ranges"
    )
    expressions: Annotated[dict[str, str] | None, Flag("--expression", "NAME=EXPRESSION", read="pairs")] = Field(
        default=None, description="name: expression, as 'old: age > 65'"
    )
    pool: Annotated[bool | None, Flag("--pool/--no-pool")] = Field(
        default=None, description="join small regions; default: unless they are explicit (range, expression)"
    )
    min_rows: int = Field(default=20, ge=1, le=MOST_ROWS, description="regions under so many rows are pooled")

    @field_validator("edges", mode="before")
    @classmethod
    def _dates_as_text(cls, edges: Any) -> Any:
        if not isinstance(edges, list):
            return edges
        for edge in edges:
            if isinstance(edge, float) and not math.isfinite(edge):
                raise CodsaError(f"regions: edges: {edge} is not a finite number")
        return [e.isoformat() if isinstance(e, date) else e for e in edges]


class SplitOptions(Section):
    """The law Q and the sizes of what is drawn under it."""

    section: ClassVar[str] = "split"
    law: Annotated[Literal["balanced", "training"] | dict[str, Weight], Flag("--law", read="yaml")] = Field(
        default="balanced",
        description="Q, the law the model is judged under: balanced, training, or '{REGION: WEIGHT, …}'",
    )
    validation: Annotated[RoleSize, Flag("--validation", "ROWS|SHARE", read="number")] = Field(
        default=0.2, description="rows under Q (a whole number), or a share of every region"
    )
    test: Annotated[RoleSize, Flag("--test", "ROWS|SHARE", read="number")] = Field(
        default=0.2, description="rows under Q (a whole number), or a share of every region"
    )


class _Allocations(Section):
    """What the grid of a method and that of an experiment have in common."""

    section: ClassVar[str] = "grid"
    m: list[Multiple] = Field(default=[0.5, 1.0, 2.0], min_length=1, description="synthetic rows as multiples of n")
    alpha: Annotated[list[Alpha], Flag("--alpha", read="yaml")] = Field(
        default=["balance"],
        min_length=1,
        description="allocations: a weight of the region in focus, balance (Eq. 5), training (α = p), target (α = q), "
        "or '{REGION: WEIGHT, …}'",
    )
    focus: str | None = Field(default=None, description="region that a numeric alpha weighs; default: largest q/p")


class Grid(_Allocations):
    """The values of (m, α) that are tried over one pool.

    A numeric α is the weight of the region in focus, the others sharing the rest as under Q. 'balance' is Eq. (5);
    'training' is α = p, as from an unconditional generator; 'target' is α = q. A mapping gives the weight of each
    region, on the simplex.
    """

    reserve: Literal["disjoint", "all"] = Field(
        default="disjoint", description="real rows of the estimator: disjoint (S_r) or all (every training row)"
    )


class FitGrid(Grid):
    """The grid of one command: by default no synthetic rows."""

    m: list[Multiple] = Field(
        default=[0.0], min_length=1, description="synthetic rows as multiples of n; repeat for more"
    )


class GridConfig(_Allocations):
    """The values of λ = (m, α, r) that an experiment tries."""

    r: list[Ratio] = Field(default=[0.5, 0.8, 1.0], min_length=1, description="split ratios")


class EstimatorSpec(Section):
    """The model whose loss is to fall.

    preprocess none: raw numbers; ordinal: categories as codes, for trees; standard: imputed, scaled, one-hot; smooth:
    as standard, with every number twice, as its rank and by asinh, so that heavy tails do no harm; auto: what the
    estimator is best served with.
    """

    section: ClassVar[str] = "estimator"
    name: Annotated[ObjectName, Flag("--estimator")] = Field(
        default="gradient-boosting", description=f"{', '.join(ESTIMATORS)}, or module:Class"
    )
    preprocess: Literal["auto", "none", "ordinal", "standard", "smooth"] = Field(
        default="auto", description="auto, none, ordinal, standard or smooth"
    )
    settings: Annotated[dict[str, Any], Flag("--set", "KEY=VALUE", read="settings")] = Field(
        default={}, description="keyword arguments; repeat the option"
    )
