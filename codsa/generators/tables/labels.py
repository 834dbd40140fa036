"""Labels of generated rows, by models that are sharper at labels than a denoiser.

A denoiser learns features and label at once, and is blurred where classes meet. So the denoiser
draws the features of a synthetic row, and an ensemble that was cross-fitted on S_g decides the
label. The ensemble predicts the target from the features and the region. Where the region is the
class it predicts the region: candidates are drawn for all regions, and each is accepted with the
probability of the region that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema
from codsa.encoders.tabular import any_determines_region
from codsa.encoders.values import from_codes, from_float
from codsa.errors import CodsaError
from codsa.estimators.base import FeatureLayout, WeightedRows, layout_of, weighted_rows
from codsa.estimators.tables.ensemble import WeightedEnsemble, fit_weighted_ensemble
from codsa.io.records import read_as, write_json
from codsa.io.seeds import child, rng

NEIGHBOURS = 20
"""The noise of a generated number is a residual, drawn from this many rows with the nearest predictions."""
MAX_ROWS = 20_000
"""At most this many rows of S_g are used, spread evenly over the regions."""
MAX_REGIONS = 16
"""Where the region is the class, candidates are drawn for every region: too slow for more regions than this."""
CANDIDATE_FACTOR = 1.1
"""Candidates of each region, as a multiple of the rows still lacking. About one region's worth is accepted."""
MAX_ATTEMPTS = 5
SOURCE = "source"
Denoise = Callable[[np.ndarray, int, np.random.SeedSequence], Iterable[pd.DataFrame]]


@dataclass(frozen=True)
class LabelRecord:
    """What `labels.json` holds: the models' weights, and the predictions of a number with their residuals."""

    weights: list[float]
    predicted: list[float]
    residuals: list[float]


class LabelModel:
    """Decides the label of generated rows.

    Attributes
    ----------
    schema : Schema
    region_is_class : bool
        Whether every region is one value of the target, so that the label is the region.
    ensemble : WeightedEnsemble
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.region_is_class = _region_is_class(schema)
        self.ensemble: WeightedEnsemble
        self.source: LabelModel | None = None
        self.predicted = np.empty(0)
        self.residuals = np.empty(0)

    def fit(
        self, rows: pd.DataFrame, regions: np.ndarray, stream: np.random.SeedSequence, source: LabelModel | None = None
    ) -> LabelModel:
        """Learn labels from the rows of S_g; every region has the same weight in all.

        Parameters
        ----------
        source : LabelModel, optional
            Fitted on a source set; left out where its columns, levels or regions are others.
        """
        self.source = source if source is not None and _same_columns_and_regions(source.schema, self.schema) else None
        source_ensemble = None if self.source is None else self.source.ensemble
        rows, regions = _evenly_subsampled(rows, regions, rng(child(stream, "rows")))
        weight = 1.0 / np.bincount(regions, minlength=len(self.schema.regions))[regions]
        weighted = self._weighted_rows(rows, regions, weight / weight.mean())
        self.ensemble, held_out = fit_weighted_ensemble(weighted, self._layout(len(rows)), stream, source_ensemble)
        if held_out.ndim == 1:
            order = np.argsort(held_out, kind="stable")
            self.predicted, self.residuals = held_out[order], (weighted.y - held_out)[order]
        return self

    def _weighted_rows(self, rows: pd.DataFrame, regions: np.ndarray, weight: np.ndarray) -> WeightedRows:
        data = weighted_rows(rows, self.schema, weight)
        if self.region_is_class:
            return replace(data, y=regions)
        return replace(data, x=np.column_stack([data.x, regions]))

    def _layout(self, rows: int) -> FeatureLayout:
        layout = layout_of(self.schema, rows)
        if self.region_is_class:
            return replace(layout, task="classification", classes=len(self.schema.regions))
        return replace(layout, coded=[*layout.coded, len(self.schema.features)])

    @staticmethod
    def useful(schema: Schema, rows: pd.DataFrame, regions: np.ndarray) -> bool:
        """Say whether labels are to be decided here.

        They are not where too many regions are the classes, nor where a column tells the class of every row: the rows
        that are drawn for a region are of its class then.
        """
        if not _region_is_class(schema):
            return True
        return len(schema.regions) <= MAX_REGIONS and not any_determines_region(rows, schema.generated, regions)

    def sample_chunks(
        self, denoise: Denoise, region: int, count: int, stream: np.random.SeedSequence
    ) -> Iterator[pd.DataFrame]:
        """Draw rows of one region, their features from a denoiser, as many at a time as it gives.

        Parameters
        ----------
        denoise : callable
            (regions, region, stream) → chunks of rows drawn as `regions` says, one each, called `region`'s.
        """
        if self.region_is_class:
            yield from self._of_candidates(denoise, region, count, stream)
            return
        random = rng(child(stream, "labels"))
        for rows in denoise(np.full(count, region), region, stream):
            yield self._relabel(rows, region, random)

    def _of_candidates(
        self, denoise: Denoise, region: int, count: int, stream: np.random.SeedSequence
    ) -> Iterator[pd.DataFrame]:
        """Draw candidates until `count` are accepted."""
        lacking = count
        for attempt in range(MAX_ATTEMPTS):
            for accepted in self._accepted(denoise, region, lacking, child(stream, attempt)):
                yield accepted.iloc[:lacking]
                lacking -= min(lacking, len(accepted))
                if lacking == 0:
                    return
        # the ensemble hardly knows the region: the denoiser's own rows fill up
        yield from denoise(np.full(lacking, region), region, child(stream, "rest"))

    def _accepted(
        self, denoise: Denoise, region: int, count: int, stream: np.random.SeedSequence
    ) -> Iterator[pd.DataFrame]:
        """Draw candidates for all regions in turn and keep each with its probability of lying in this one."""
        each = int(CANDIDATE_FACTOR * count) + 16
        random = rng(child(stream, "accept"))
        for rows in denoise(np.tile(np.arange(len(self.schema.regions)), each), region, stream):
            yield rows[random.random(len(rows)) < self.of_region(rows, region)]

    def of_region(self, rows: pd.DataFrame, region: int) -> np.ndarray:
        """Return the probability that rows lie in a region, ndarray of shape (n,), all regions being equally likely."""
        data = self._weighted_rows(rows, np.zeros(len(rows), dtype=np.int64), np.ones(len(rows)))
        return np.asarray(self.ensemble.predict(data.x)[:, region])

    def _relabel(self, rows: pd.DataFrame, region: int, random: np.random.Generator) -> pd.DataFrame:
        """Return rows of one region with their targets drawn anew; a target that would leave the region stays."""
        data = self._weighted_rows(rows, np.full(len(rows), region), np.ones(len(rows)))
        column = self.schema.column(self.schema.target)
        predicted = self.ensemble.predict(data.x)
        if predicted.ndim == 2:
            target = from_codes(_draw_codes(predicted, random), column)
        else:
            target = from_float(predicted + self._noise(predicted, random), column)
        target.index = rows.index
        changed = rows.assign(**{column.name: target})
        inside = self.schema.regions.assign(changed) == region
        return changed.where(pd.Series(inside, index=rows.index), rows) if not inside.all() else changed

    def _noise(self, predicted: np.ndarray, random: np.random.Generator) -> np.ndarray:
        reach = min(NEIGHBOURS, len(self.predicted))
        first = np.searchsorted(self.predicted, predicted) - reach // 2
        first = np.clip(first, 0, len(self.predicted) - reach)
        return self.residuals[first + random.integers(reach, size=len(predicted))]

    def save(self, folder: Path) -> None:
        """Write the models and the residuals into a new folder."""
        folder.mkdir()
        self.ensemble.save(folder)
        if self.source is not None:
            self.source.save(folder / SOURCE)
        residuals = {"predicted": self.predicted.tolist(), "residuals": self.residuals.tolist()}
        write_json(folder / "labels.json", {"weights": self.ensemble.weights, **residuals})

    @classmethod
    def load(cls, folder: Path, schema: Schema) -> LabelModel:
        """Read what `save` wrote."""
        label_model = cls(schema)
        record = read_as(folder / "labels.json", LabelRecord)
        models: list[Any] = WeightedEnsemble.load(folder)
        if (folder / SOURCE).is_dir():
            label_model.source = cls.load(folder / SOURCE, schema)
            models.append(label_model.source.ensemble)
        if len(record.weights) != len(models) or len(record.predicted) != len(record.residuals):
            raise CodsaError(f"{folder}: its labels do not belong together; train the generator again")
        label_model.ensemble = WeightedEnsemble(models, record.weights)
        label_model.predicted, label_model.residuals = np.array(record.predicted), np.array(record.residuals)
        return label_model


def _same_columns_and_regions(schema: Schema, other: Schema) -> bool:
    """Say whether two schemas model the same columns with the same levels, in regions of the same names."""
    columns, other_columns = ([(c.name, c.type, c.levels) for c in s.modelled] for s in (schema, other))
    return columns == other_columns and schema.regions.names == other.regions.names


def _region_is_class(schema: Schema) -> bool:
    return schema.target not in {c.name for c in schema.generated}


def _draw_codes(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(probabilities, axis=1)
    return np.minimum((random.random((len(edges), 1)) * edges[:, -1:] > edges).sum(axis=1), edges.shape[1] - 1)


def _evenly_subsampled(
    rows: pd.DataFrame, regions: np.ndarray, random: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return at most `MAX_ROWS` rows: as even a number of every region as there is."""
    if len(rows) <= MAX_ROWS:
        return rows.reset_index(drop=True), regions
    order = random.permutation(len(rows))
    within = pd.Series(regions[order]).groupby(regions[order]).cumcount().to_numpy()
    chosen = np.sort(order[np.argsort(within, kind="stable")[:MAX_ROWS]])
    return rows.iloc[chosen].reset_index(drop=True), regions[chosen]
