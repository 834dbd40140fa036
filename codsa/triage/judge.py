"""The triage of a prepared table: baseline, learning curve, headroom."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.dataset import Dataset
from codsa.data.metrics import OVERALL, default_metric
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.io.seeds import integer, rng, stream
from codsa.stages.split import units
from codsa.triage.baseline import SHARES, BaselineSplit, Parts, SplitLosses
from codsa.triage.curve import Doubling, doubling

log = logging.getLogger(__name__)

FOLDS = 5
"""Folds of the rows: each tests once, the next one validates, the other three train, as in `codsa new`'s split."""
RATIO = 1 / (FOLDS - 2)
"""n_test / n_train of a split."""
THIN = 1.25
"""A region is thin where its weight under Q is at least this many times its share of the rows."""
MOST_ROWS, MOST_CELLS = 3000, 60_000
"""A larger table is thinned to this many rows, or to the rows of this many cells; `FEWEST` of them are kept."""
FEWEST = 500
REPEATS = ((10_000, 3), (30_000, 2))
"""(cells, repeats): the folds are dealt so often where the table has at most so many cells; once where it has more."""
LEAST_REGION = 10
"""Rows that a region of positive weight needs: two for each fold."""


@dataclass(frozen=True)
class RegionResult:
    """One region of the table.

    Attributes
    ----------
    name : str
    rows : int
    q : float
        Its weight under Q.
    thin : bool
    loss : float
        Of the recalibrated baseline, as measured.
    twice : Doubling, optional
        Of a thin region.
    """

    name: str
    rows: int
    q: float
    thin: bool
    loss: float
    twice: Doubling | None


@dataclass(frozen=True)
class Triage:
    """What a triage measured.

    Attributes
    ----------
    task, metric : str
    rows, used : int
        Rows of the table, and of the part that was used.
    splits : int
    learners : dict of str to int
        How many splits chose each learner.
    guess, loss : float
        Under Q: of a prediction that knows no feature, and of the recalibrated baseline.
    regions : list of RegionResult
    by_region : bool
        Whether the curve is by the rows of the thin regions; False: no region is thin, and it is by all rows.
    shares, curve : list of float
        The shares of those rows, and the mean loss under Q at each.
    headroom : Doubling
        Under Q.
    """

    task: str
    metric: str
    rows: int
    used: int
    splits: int
    learners: dict[str, int]
    guess: float
    loss: float
    regions: list[RegionResult]
    by_region: bool
    shares: list[float]
    curve: list[float]
    headroom: Doubling

    @property
    def thin(self) -> list[str]:
        """The names of the thin regions."""
        return [region.name for region in self.regions if region.thin]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for machines."""
        return asdict(self) | {"headroom_share": dict(zip(("gain", "low", "high"), self.headroom.share, strict=True))}


def triage(rows: pd.DataFrame, schema: Schema, q: np.ndarray, seed: int) -> Triage:
    """Fit the strong baseline by cross-validation, and extrapolate its learning curve.

    Parameters
    ----------
    rows : DataFrame of shape (n, d)
    schema : Schema
        As `codsa.data.preparation.prepare` returns them.
    q : ndarray of shape (K,)
        The regions' weights under Q.
    seed : int

    Raises
    ------
    CodsaError
        For images, texts or detection; for a region with too few rows.
    """
    _check_kind(schema)
    region = schema.regions.assign(rows)
    counts = np.bincount(region, minlength=len(q))
    _check_rows(schema, counts, q)
    thin = q >= THIN * counts / counts.sum()
    by_region = bool(thin.any() and not thin.all())
    chosen = _thinned(rows, region, stream(seed, "triage", "thin"), len(schema.features))
    full = float(counts[thin].sum() / np.bincount(region[chosen], minlength=len(q))[thin].sum()) if by_region else 1.0
    full = full if by_region else len(rows) / len(chosen)
    dataset = Dataset(rows.iloc[chosen].reset_index(drop=True), schema, "")
    measured = _measure(dataset, q, thin if by_region else np.ones(len(q), dtype=bool), seed)
    return _result(measured, schema, counts, q=q, thin=thin & by_region, full=full, used=len(chosen), seed=seed)


def _check_kind(schema: Schema) -> None:
    if schema.task == "detection" or any(c.type == "text" or c.is_array for c in schema.modelled):
        raise CodsaError("codsa triage takes tables of numbers and categories, with a class or a number to predict")
    if not schema.features:
        raise CodsaError("the table has no feature beside the target; give one with more columns")


def _check_rows(schema: Schema, counts: np.ndarray, q: np.ndarray) -> None:
    for name, count, weight in zip(schema.regions.names, counts, q, strict=True):
        if weight > 0 and count < LEAST_REGION:
            raise CodsaError(
                f"region '{name}' has {count} rows; triage needs {LEAST_REGION} to test on: take another --region, or "
                "give it no weight in --law"
            )


def _thinned(rows: pd.DataFrame, region: np.ndarray, seed: np.random.SeedSequence, width: int) -> np.ndarray:
    """Return the row_ids to use, in order: all of a small table, of a large one as many of each region as may be."""
    most = max(min(MOST_ROWS, MOST_CELLS // max(width, 1)), FEWEST)
    if len(rows) <= most:
        return np.arange(len(rows))
    counts = np.bincount(region)
    caps = np.arange(1, most + 1)
    kept = np.minimum(counts[:, None], caps).sum(axis=0)
    cap = int(caps[kept <= most].max(initial=1))
    random = rng(seed)
    members = [np.flatnonzero(region == k) for k in range(len(counts))]
    return np.sort(np.concatenate([random.permutation(rows_of)[:cap] for rows_of in members]))


def _measure(dataset: Dataset, q: np.ndarray, thin: np.ndarray, seed: int) -> list[SplitLosses]:
    region = dataset.regions()
    cells = len(dataset) * len(dataset.schema.features)
    repeats = next((number for limit, number in REPEATS if cells <= limit), 1)
    splits = [
        BaselineSplit(dataset, region, q, thin, parts, stream(seed, "triage", "split", repeat, place))
        for repeat in range(repeats)
        for place, parts in enumerate(_folds(dataset, region, seed, repeat))
    ]
    return [split.measure() for split in splits]


def _folds(dataset: Dataset, region: np.ndarray, seed: int, repeat: int) -> Iterator[Parts]:
    """Yield the splits of one deal of the folds; rows of one group, and identical rows, share one fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    random_state = integer(stream(seed, "triage", "folds", repeat))
    dealer = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=random_state)
    folds = [test for _, test in dealer.split(region[:, None], region, units(dataset))]
    for j in range(FOLDS):
        others = [folds[i] for i in range(FOLDS) if i not in (j, (j + 1) % FOLDS)]
        yield Parts(np.sort(np.concatenate(others)), folds[(j + 1) % FOLDS], folds[j])


def _result(
    measured: list[SplitLosses],
    schema: Schema,
    counts: np.ndarray,
    q: np.ndarray,
    thin: np.ndarray,
    full: float,
    used: int,
    seed: int,
) -> Triage:
    losses = np.stack([split.losses for split in measured])
    shares = np.array(SHARES)

    def twice(k: int, name: str) -> Doubling | None:
        curves = losses[:, :, k]
        whole = curves[np.isfinite(curves).all(axis=1)]
        return doubling(shares, whole, full, RATIO, stream(seed, "triage", "curve", name)) if len(whole) > 1 else None

    regions = [
        RegionResult(
            name,
            int(counts[k]),
            float(q[k]),
            bool(thin[k]),
            float(np.nanmean(losses[:, -1, k])),
            twice(k, name) if thin[k] else None,
        )
        for k, name in enumerate(schema.regions.names)
        if q[k] > 0
    ]
    headroom = twice(len(q), OVERALL)
    assert headroom is not None
    return Triage(
        task=schema.task,
        metric=default_metric(schema.task),
        rows=int(counts.sum()),
        used=used,
        splits=len(measured),
        learners=dict(sorted(Counter(split.learner for split in measured).items())),
        guess=float(np.mean([split.guess for split in measured])),
        loss=float(losses[:, -1, -1].mean()),
        regions=regions,
        by_region=bool(thin.any()),
        shares=list(SHARES),
        curve=[float(value) for value in losses[:, :, -1].mean(axis=0)],
        headroom=headroom,
    )
