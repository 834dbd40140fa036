"""The sections of the grid: of one command, and of an experiment."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from codsa.settings.section import Flag, Section
from codsa.settings.types import Alpha, Multiple, Rate, Ratio


class _Allocations(Section):
    """The keys that the grids of a command and of an experiment share."""

    section: ClassVar[str] = "grid"
    m: list[Multiple] = Field(
        default=[0.0, 0.5, 1.0, 2.0], min_length=1, description="synthetic rows as multiples of n; 0: add nothing"
    )
    alpha: Annotated[list[Alpha], Flag("--alpha", read="yaml")] = Field(
        default=["balance"],
        min_length=1,
        description="allocations: a weight of the region in focus, balance (Eq. 5), training (α = p), target (α = q), "
        "or '{REGION: WEIGHT, …}'",
    )
    focus: str | None = Field(default=None, description="region that a numeric alpha weighs; default: largest q/p")


class Grid(_Allocations):
    """The values of (m, α) that share a pool.

    A numeric α is the weight of the region in focus, the others sharing the rest as under Q. 'balance' is Eq. (5);
    'training' is α = p, as from an unconditional generator; 'target' is α = q. A mapping gives the weight of each
    region, on the simplex.
    """

    reserve: Literal["disjoint", "all"] = Field(
        default="disjoint", description="real rows of the estimator: disjoint (S_r) or all (every training row)"
    )
    pool_weight: list[Rate] = Field(
        default=[1.0], min_length=1, description="weights of a synthetic row, of which validation chooses"
    )
    domain: bool = Field(default=False, description="tell the estimator by a further column which rows are of the pool")


class FitGrid(Grid):
    """The grid of one command: by default no synthetic rows."""

    m: list[Multiple] = Field(
        default=[0.0], min_length=1, description="synthetic rows as multiples of n; repeat for more"
    )


class GridConfig(_Allocations):
    """The values of λ = (m, α, r) that an experiment tries."""

    r: list[Ratio] = Field(default=[0.5, 0.8, 1.0], min_length=1, description="split ratios")
