"""The section of regions."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from codsa.errors import CodsaError
from codsa.settings.limits import MOST_ROWS
from codsa.settings.section import Flag, Section
from codsa.settings.types import Composed


class RegionRule(Section):
    """The rule that partitions the sample space into regions."""

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
