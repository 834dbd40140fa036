"""The types of `metrics.json`: an evaluation is read only where every value has its type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from codsa.data.metrics import RAW

Figure = float | None
"""A figure that may be undefined."""
Figures = dict[str, Figure]
"""A figure by region, and 'overall'."""
Kind = Literal["primary", "codsa", "control", "oracle"]
"""What a method is to the report."""


@dataclass(frozen=True)
class ChosenRecord:
    """The chosen grid point λ̂, as its row of `fits.parquet` says.

    Attributes
    ----------
    steps : int, optional
        Gradient steps of each averaged fit, where the estimator takes any.
    members : int
        Number of averaged fits.
    pool_weight : float
        Weight of a synthetic row relative to a real one.
    """

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
    steps: int | None = None
    members: int = 1
    pool_weight: float = 1.0


@dataclass(frozen=True)
class ChoiceRecord:
    """λ̂ of one estimator and column, and its figures.

    Attributes
    ----------
    method : str
        The method whose fits hold λ̂: for a choosing arm one of its candidates.
    validation : dict
        The metric by which λ̂ was chosen, on validation rows.
    test : dict
        Metric → test figures.
    temperature : float, optional
        Of the recalibration.
    thresholds : dict
        Metric of decisions → weights of the classes, tuned on validation rows.
    """

    method: str
    chosen: ChosenRecord
    validation: Figures
    test: dict[str, Figures]
    temperature: float | None = None
    thresholds: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class EstimatorRecord:
    """One estimator of a method.

    Attributes
    ----------
    recalibrated : ChoiceRecord, optional
        None where nothing is recalibrated, for detection.
    single : dict
        Column → metric → test figures of the first of several averaged fits alone.
    """

    raw: ChoiceRecord
    recalibrated: ChoiceRecord | None = None
    single: dict[str, dict[str, Figures]] = field(default_factory=dict)

    def column(self, name: str) -> ChoiceRecord | None:
        """Return the choice of a column, 'raw' or 'recalibrated'."""
        return self.raw if name == RAW else self.recalibrated


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
    """One method on one replicate.

    Attributes
    ----------
    estimator : str
        Label of the study's own estimator.
    estimators : dict
        Label → record, the study's own estimator first in the study (JSON sorts the labels).
    source : bool
        Whether the method uses a source set.
    """

    experiment: str
    method: str
    replicate: int
    metric: str
    estimator: str
    estimators: dict[str, EstimatorRecord]
    regions: list[str]
    law: dict[str, float]
    training_law: dict[str, float]
    sizes: dict[str, dict[str, int]]
    kind: Kind = "codsa"
    source: bool = False
    task: str = ""
    choose_by: str | None = None
    seed: int | None = None
    diagnostics: dict[str, Figures] = field(default_factory=dict)
    marginals: dict[str, dict[str, OrderedMarginal | LevelsMarginal]] = field(default_factory=dict)
    panels: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    examples: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """The labels of the estimators, the study's own first."""
        return [self.estimator, *(label for label in self.estimators if label != self.estimator)]

    @property
    def chosen(self) -> ChosenRecord:
        """λ̂ of the study's own estimator as it was fitted: its synthetic rows are those that are diagnosed."""
        return self.estimators[self.estimator].raw.chosen
