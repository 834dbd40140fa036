"""The types of `metrics.json`: an evaluation is read only where every value has its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Figure = float | None
"""A figure that may be undefined."""
Figures = dict[str, Figure]
"""A figure by region, and 'overall'."""


@dataclass(frozen=True)
class ChosenRecord:
    """The chosen grid point λ̂, as its row of `fits.parquet` says."""

    m: int
    m_ratio: float
    r: float
    alpha: str
    counts: list[int]
    real_rows: int
    alpha_vector: list[float]
    exact: bool = True
    domain_adaptation_index: Figure = None
    generation_error_index: Figure = None


@dataclass(frozen=True)
class OrderedMarginal:
    """Shares of real and synthetic values between edges."""

    kind: Literal["ordered"]
    edges: list[float]
    real: list[Figure]
    synthetic: list[Figure]


@dataclass(frozen=True)
class LevelsMarginal:
    """Shares of real and synthetic values by level."""

    kind: Literal["levels"]
    levels: list[str]
    real: list[Figure]
    synthetic: list[Figure]


@dataclass(frozen=True)
class MetricsRecord:
    """One method on one replicate."""

    experiment: str
    method: str
    replicate: int
    metric: str
    chosen: ChosenRecord
    test: dict[str, Figures]
    regions: list[str]
    law: dict[str, float]
    training_law: dict[str, float]
    sizes: dict[str, dict[str, int]]
    task: str = ""
    choose_by: str | None = None
    seed: int | None = None
    validation: Figures = field(default_factory=dict)
    diagnostics: dict[str, Figures] = field(default_factory=dict)
    marginals: dict[str, dict[str, OrderedMarginal | LevelsMarginal]] = field(default_factory=dict)
    panels: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    examples: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
