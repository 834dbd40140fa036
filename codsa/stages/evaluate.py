"""The stage that scores λ̂ on test rows. No other stage reads test rows, and λ̂ is chosen before this one does."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.allocation import generation_error_index
from codsa.data.metrics import COLUMNS, OVERALL, RAW, RECALIBRATED, metrics_for
from codsa.data.pool import load_pool
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.split import TEST, VALIDATION, Split, role_sizes, training_schema
from codsa.diagnostics.distances import marginals, normal_rows
from codsa.errors import CodsaError
from codsa.estimators import Average, Predictor
from codsa.estimators.recalibration import Thresholds, refitted
from codsa.estimators.store import load_fitted
from codsa.io.artifacts import files_output, new_files
from codsa.io.manifests import write_manifest
from codsa.io.names import EVALUATE, FITS, GRID, MANIFEST, METRICS, PREDICTIONS
from codsa.io.records import parse_as, write_json
from codsa.io.seeds import SeedContext, rng
from codsa.io.tables import write_parquet
from codsa.modalities import Comparison, Modality, modalities_of
from codsa.modalities.compare import compare
from codsa.settings.evaluation import Evaluation
from codsa.stages.fits import Choice, Fits, choose, read_fits
from codsa.stages.predictions import prediction_columns, read_predictions
from codsa.stages.scoring import EvaluationSet, evaluation_set, tuned_thresholds


@dataclass(frozen=True)
class Predicted:
    """The predictions of one fitted grid point.

    Attributes
    ----------
    test : ndarray of shape (n, C) or (n,)
    single : dict
        Test figures of the first of several averaged fits alone, by column; empty where there is one.
    """

    test: np.ndarray
    single: dict[str, Any]


class Evaluator:
    """Scores λ̂ on the test rows, for every estimator, raw and recalibrated.

    Parameters
    ----------
    dataset : AnyDataset
    split : Split
    seeds : SeedContext
    """

    def __init__(self, dataset: AnyDataset, split: Split, seeds: SeedContext) -> None:
        self.dataset, self.split, self.seeds = dataset, split, seeds
        self.metrics = metrics_for(dataset.schema.task)
        self.schema = training_schema(dataset, split)
        self.validation = evaluation_set(dataset, split, VALIDATION, self.schema)
        self._points: dict[tuple[Path, str, int], Predicted] = {}
        self._columns: dict[tuple[Path, str, str], tuple[dict[str, Any], np.ndarray]] = {}

    @cached_property
    def test(self) -> EvaluationSet:
        """The test rows: they are read once λ̂ is chosen."""
        return evaluation_set(self.dataset, self.split, TEST, self.schema)

    def estimator(self, fits: Sequence[Fits], label: str) -> tuple[dict[str, Any], dict[str, np.ndarray], Choice]:
        """Score one estimator.

        Returns
        -------
        record : dict
            raw, recalibrated, single, as `metrics.json` holds them.
        predicted : dict of column to ndarray
            Predictions of the test rows.
        choice : Choice
            λ̂ of the column 'raw'.
        """
        columns = [RAW] if self.dataset.schema.task == "detection" else [*COLUMNS]
        choices = {column: choose(fits, label, column, self.validation, self.seeds) for column in columns}
        record: dict[str, Any] = {RECALIBRATED: None}
        predicted = {}
        for column, choice in choices.items():
            record[column], predicted[column] = self._column(choice)
        record["single"] = self._predicted(choice).single if choice.row["m"] == 0 else {}
        return record, predicted, choices[RAW]

    def _predicted(self, choice: Choice) -> Predicted:
        """Return the test predictions of a grid point, which several methods may choose."""
        key = (choice.fits.folder, choice.label, choice.facts.point)
        if key not in self._points:
            predictor = choice.predictor()
            averaged = isinstance(predictor, Average) and choice.row["m"] == 0
            single = self._single(choice, predictor.members[0]) if averaged else {}  # type: ignore[union-attr]
            self._points[key] = Predicted(self.test.predict(predictor), single)
        return self._points[key]

    def _column(self, choice: Choice) -> tuple[dict[str, Any], np.ndarray]:
        """Return what `metrics.json` holds of λ̂ in a column, and the test predictions."""
        key = (choice.fits.folder, choice.label, choice.column)
        if key not in self._columns:
            predicted = choice.recalibrated(self._predicted(choice).test)
            self._columns[key] = self._record(choice, predicted), predicted
        record, predicted = self._columns[key]
        return deepcopy(record), predicted

    def _record(self, choice: Choice, predicted: np.ndarray) -> dict[str, Any]:
        tuned: dict[str, Thresholds] = {}
        if choice.column == RECALIBRATED:
            path = choice.fits.folder / PREDICTIONS
            on_validation = read_predictions(path, self.validation, choice.label, choice.column)
            tuned = tuned_thresholds(self.validation, on_validation, self.metrics)
        helped = choice.facts.recalibration
        return {
            "method": choice.fits.method,
            "chosen": self._chosen(choice),
            "validation": choice.validation,
            "test": self._test(predicted, tuned),
            "temperature": helped.temperature if helped is not None and choice.column == RECALIBRATED else None,
            "thresholds": {metric: part.weights for metric, part in tuned.items()},
        }

    def _test(self, predicted: np.ndarray, tuned: Mapping[str, Thresholds]) -> dict[str, dict[str, float]]:
        def decided(metric: str) -> np.ndarray:
            return tuned[metric].apply(predicted) if metric in tuned else predicted

        return {metric: self.test.score(metric, decided(metric)) for metric in self.metrics}

    def _chosen(self, choice: Choice) -> dict[str, Any]:
        row = choice.row
        chosen = {key: value for key, value in row.items() if not key.startswith(("validation", "estimator"))}
        chosen["fits"] = "/".join(choice.fits.folder.parts[-2:])
        chosen["alpha_vector"], chosen["counts"] = choice.alpha, choice.counts
        chosen["pi"] = parse_as(str(row["pi"]), list[float], f"{choice.fits.folder}: pi")
        return chosen

    def _single(self, choice: Choice, member: Predictor) -> dict[str, Any]:
        """Return the test figures of the first of the averaged fits alone, raw and with a recalibration of its own."""
        predicted = self.test.predict(member)
        facts = choice.facts.recalibration
        helped = None if facts is None else facts.recalibration()
        figures = {RAW: self._test(predicted, {})}
        if helped is not None:
            own = refitted(helped, self.validation.predict(member), self.validation.problem)
            figures[RECALIBRATED] = self._test(own.apply(predicted), {})
        return figures


def evaluate(
    evaluator: Evaluator,
    fits: Sequence[Fits],
    evaluation: Evaluation,
    modalities: Sequence[Modality] | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Choose λ̂ for every estimator and column, and score it on the test rows, per region and under Q.

    Parameters
    ----------
    modalities : sequence of Modality, optional
        The modalities of the data. With an encoder, generated texts are embedded again (round trip).

    Returns
    -------
    metrics : dict
        As `metrics.json` holds them.
    predictions : DataFrame
        Predictions of the test rows.
    """
    dataset, split = evaluator.dataset, evaluator.split
    labels = evaluation.estimators or list(fits[0].chosen.estimators)
    results = {label: evaluator.estimator(fits, label) for label in labels}
    choice = results[labels[0]][2]
    names = dataset.schema.regions.names
    modalities = modalities or modalities_of(dataset.schema)
    diagnosed = _diagnostics(dataset, split, choice, seeds=evaluator.seeds, modalities=modalities)
    records = {label: record for label, (record, _, _) in results.items()}
    tau = np.array([diagnosed["diagnostics"].get(name, {}).get("wasserstein", np.nan) for name in names])
    for column in COLUMNS:
        if column == RAW or _same_point(records[labels[0]], column):
            chosen = records[labels[0]][column]["chosen"]
            chosen["generation_error_index"] = generation_error_index(
                chosen["m"] * chosen["pool_weight"], chosen["real_rows"], np.array(chosen["alpha_vector"]), tau
            )
    metrics = {
        "metric": fits[0].chosen.metric,
        "choose_by": fits[0].chosen.choose_by,
        "kind": evaluation.kind,
        "source": evaluation.source,
        "estimator": labels[0],
        "estimators": records,
        **diagnosed,
        "regions": names,
        "law": dict(zip(names, split.q.tolist(), strict=True)),
        "training_law": dict(zip(names, split.p.tolist(), strict=True)),
        "sizes": role_sizes(split.frame),
        "task": dataset.schema.task,
        "notes": dataset.schema.notes,
    }
    columns = {
        (label, column): predicted
        for label, (_, by_column, _) in results.items()
        for column, predicted in by_column.items()
    }
    return metrics, prediction_columns(evaluator.test, columns)


def _same_point(record: Mapping[str, Any], column: str) -> bool:
    """Say whether a column's λ̂ is that of the column 'raw', whose synthetic rows were compared with test rows."""
    if record[column] is None:
        return False
    return all(record[column]["chosen"][key] == record[RAW]["chosen"][key] for key in ("fits", "point"))


def _diagnostics(
    dataset: AnyDataset, split: Split, choice: Choice, seeds: SeedContext, modalities: Sequence[Modality]
) -> dict[str, dict[str, Any]]:
    """Compare the synthetic rows that λ̂ uses with test rows, region by region.

    After cross-fitting the first fold's rows represent all folds. For detection only normal test rows are compared.
    """
    counts = choice.counts
    if not choice.fits.pools or choice.row["m"] == 0:
        return {"diagnostics": {}, "marginals": {}, "panels": {}, "examples": {}}
    pool = choice.fits.pools[0]
    region, diagnostics, shown, panels, examples = dataset.regions(), {}, {}, {}, {}
    test, training = split.rows(TEST), split.generator_rows(pool.r, pool.fold)
    for k, name in enumerate(dataset.schema.regions.names):
        synthetic = pool.rows[k].iloc[: counts[k]]
        real = normal_rows(in_memory(dataset.part(test[region[test] == k])), dataset.schema)
        generator_rows = in_memory(dataset.part(training[region[training] == k]))
        if len(synthetic) and len(real):
            random = rng(seeds.stream("diagnose", name))
            comparison = Comparison(synthetic, real, generator_rows)
            diagnostics[name] = {**compare(comparison, modalities, random), "violations": pool.violations[k]}
            diagnostics[name] |= _merged(modality.quality(comparison) for modality in modalities)
            shown[name] = marginals(synthetic, real, dataset.schema)
            panels[name] = _merged(modality.panel(comparison) for modality in modalities)
            examples[name] = _merged(modality.examples(comparison) for modality in modalities)
    return {
        "diagnostics": diagnostics,
        "marginals": shown,
        "panels": {name: images for name, images in panels.items() if images},
        "examples": {name: texts for name, texts in examples.items() if texts},
    }


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


def grid_on_test(evaluator: Evaluator, fits: Sequence[Fits]) -> pd.DataFrame:
    """Score every grid point of the study's own estimator that is stored on the test rows, for figures alone.

    Returns
    -------
    DataFrame
        The rows of all fits with a column `test` (the metric under Q) and `test: REGION`; empty
        where no estimators but that of λ̂ are stored.
    """
    with_grid = [fits_of_r for fits_of_r in fits if (fits_of_r.folder / "grid").is_dir()]
    tables = [_grid_points_on_test(fits_of_r, evaluator.test) for fits_of_r in with_grid]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _grid_points_on_test(fits: Fits, test: EvaluationSet) -> pd.DataFrame:
    own = fits.table["estimator"] == fits.table["estimator"].iloc[0]
    first = fits.table[own].reset_index(drop=True).assign(method=fits.method)
    scores = []
    for point in first["point"]:
        fitted: Predictor = load_fitted(fits.folder / "grid" / f"{point:04d}", fits.trusted)
        score = test.score(fits.chosen.metric, test.predict(fitted))
        scores.append({"test" if name == OVERALL else f"test: {name}": value for name, value in score.items()})
    return pd.concat([first, pd.DataFrame(scores)], axis=1)


def write_evaluation(
    folder: Path,
    metrics: dict[str, Any],
    predictions: pd.DataFrame,
    fits: Sequence[Fits],
    grid: pd.DataFrame,
    parameters: dict[str, Any],
) -> None:
    """Write `metrics.json`, `predictions.parquet`, the fits of all r as `fits.parquet`, and `grid.parquet` for figures.

    `metrics.json` also carries the seeds, versions and settings that the report shows.
    """
    record = fits[0].record
    shown = {**metrics, **parameters, "settings": record.parameters, "versions": record.versions}
    inputs = {name: record.inputs[name] for name in ("dataset", "split")}
    inputs |= {f"fits {'/'.join(fits_of_r.folder.resolve().parts[-2:])}": fits_of_r.record.digest for fits_of_r in fits}
    with new_files(folder / MANIFEST, EVALUATE) as staged:
        write_json(staged / METRICS, shown)
        write_parquet(staged / PREDICTIONS, predictions)
        tables = [fits_of_r.table.assign(method=fits_of_r.method) for fits_of_r in fits]
        write_parquet(staged / FITS, pd.concat(tables, ignore_index=True))
        if len(grid):
            write_parquet(staged / GRID, grid)
        write_manifest(staged / MANIFEST, EVALUATE, inputs, parameters)


def evaluation_output(folder: Path) -> None:
    """Raise a `CodsaError` where an evaluation cannot be written because of files that this stage did not write."""
    files_output(folder / MANIFEST, EVALUATE, (METRICS, PREDICTIONS, FITS, GRID))


def check_outputs(evaluations: Sequence[Evaluation]) -> None:
    """Raise a `CodsaError` where an evaluation cannot be written, or two would be written to one folder."""
    folders = set()
    for evaluation in evaluations:
        evaluation_output(evaluation.out)
        folder = os.path.realpath(evaluation.out)
        if folder in folders:
            raise CodsaError(f"--evaluation: two have out = {evaluation.out}; give each a folder of its own")
        folders.add(folder)


def evaluate_methods(
    evaluations: Sequence[Evaluation],
    dataset: AnyDataset,
    split: Split,
    seeds: SeedContext,
    trusted: Collection[str],
    parameters: Mapping[str, Any],
) -> None:
    """Score each method on the test rows and write its metrics; the pools of one method are in memory at a time.

    Parameters
    ----------
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    parameters : mapping
        What the manifests record besides the method's name.
    """
    modalities = cache(lambda encoder: modalities_of(dataset.schema, encoder))
    evaluator = Evaluator(dataset, split, seeds)
    for evaluation in evaluations:
        pools = {pool.digest: pool for pool in (load_pool(folder, dataset.schema) for folder in evaluation.pool)}
        ranks: list[int | None] = [*evaluation.ranks] or [None] * len(evaluation.fits)
        fits = [
            read_fits(folder, dataset, split, pools, trusted=trusted, rank=rank)
            for folder, rank in zip(evaluation.fits, ranks, strict=True)
        ]
        metrics, predictions = evaluate(evaluator, fits, evaluation, modalities=modalities(evaluation.encoder))
        write_evaluation(
            evaluation.out,
            metrics,
            predictions,
            fits,
            grid=grid_on_test(evaluator, fits),
            parameters={**parameters, "method": evaluation.method},
        )
