"""The stage that scores λ̂ on test rows. No other stage reads test rows, and λ̂ is chosen before this one does."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from codsa.data.allocation import generation_error_index
from codsa.data.metrics import check_metric, metrics_for
from codsa.data.pool import Pool, load_pool
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.split import TEST, Split, role_sizes
from codsa.diagnostics.distances import marginals, normal_rows
from codsa.errors import CodsaError
from codsa.estimators import Predictor
from codsa.estimators.store import load_fitted
from codsa.io.artifacts import files_output, new_files
from codsa.io.manifests import Manifest, check_folder, write_manifest
from codsa.io.names import CHOSEN, EVALUATE, FIT, FITS, GRID, MANIFEST, METRICS
from codsa.io.records import parse_as, read_as, write_json
from codsa.io.seeds import SeedContext, rng
from codsa.io.tables import read_parquet, write_parquet
from codsa.modalities import Comparison, Modality, modalities_of
from codsa.modalities.compare import compare
from codsa.settings.evaluation import Evaluation
from codsa.stages.fit import EvaluationSet, best_point, evaluation_set

FITS_COLUMNS = ("point", "r", "m", "m_ratio", "alpha", "alpha_vector", "counts", "real_rows", "validation")
"""Columns that every `fits.parquet` has."""


@dataclass(frozen=True)
class Fits:
    """What `codsa-fit` wrote for one r: the folder, its table, its metrics, its manifest, and the pools it used.

    Attributes
    ----------
    metric : str
        The metric of test rows.
    choose_by : str
        The metric of validation rows, by which λ̂ is chosen.
    trusted : collection of str
        The user's own classes that its estimators may run (see `codsa.estimators.store.load_fitted`).
    """

    folder: Path
    table: pd.DataFrame
    metric: str
    choose_by: str
    record: Manifest
    pools: Sequence[Pool]
    trusted: Collection[str] = ()


def read_fits(
    folder: Path, dataset: AnyDataset, split: Split, pools: Mapping[str, Pool], trusted: Collection[str] = ()
) -> Fits:
    """Read one folder of fits, and check its files and that it belongs to this dataset and split.

    Parameters
    ----------
    pools : mapping of digest to Pool
        They include the pools that the fits used. Empty: no pools, and no diagnostics.
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    """
    record = check_folder(folder, FIT)
    for name, value in {"dataset": dataset.digest, "split": split.digest}.items():
        if record.inputs.get(name) != value:
            raise CodsaError(f"{folder}: fitted on another {name}; run codsa-fit again")
    pool_digests = [value for name, value in record.inputs.items() if name.startswith("pool")]
    if pools and not set(pool_digests) <= set(pools):
        raise CodsaError(f"{folder}: fitted on another pool; run codsa-fit again, or give its --pool")
    chosen = read_as(folder / CHOSEN, ChosenFacts)
    for metric in (chosen.metric, chosen.choose_by):
        check_metric(metric, dataset.schema.task)
    pools_used = [pools[value] for value in pool_digests if value in pools]
    table = _check_table(read_parquet(folder / FITS), folder)
    if chosen.point != best_point(table["validation"].to_numpy(), chosen.choose_by):
        raise CodsaError(
            f"{folder}: chosen.json names grid point {chosen.point}, fits.parquet another; run codsa-fit again"
        )
    return Fits(folder, table, chosen.metric, chosen.choose_by, record=record, pools=pools_used, trusted=trusted)


@dataclass(frozen=True)
class ChosenFacts:
    """What `chosen.json` says: the grid point λ̂, the metric of test rows, and the metric of validation rows."""

    point: int
    metric: str
    choose_by: str


def _check_table(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return the table of fits, or raise a `CodsaError` where it lacks a column or has no rows."""
    lacking = [name for name in FITS_COLUMNS if name not in table]
    if lacking or table.empty:
        defect = f"has no column '{lacking[0]}'" if lacking else "has no rows"
        raise CodsaError(f"{folder / 'fits.parquet'}: {defect}; run codsa-fit again")
    not_numeric = [name for name in ("validation", "m", "real_rows", "r") if not is_numeric_dtype(table[name])]
    if not_numeric:
        raise CodsaError(f"{folder / 'fits.parquet'}: column '{not_numeric[0]}' holds no numbers; run codsa-fit again")
    return table


@dataclass(frozen=True)
class Choice:
    """λ̂: the fits that hold it, and its grid point."""

    fits: Fits
    point: int

    @property
    def row(self) -> dict[str, Any]:
        """The grid point's row of `fits.parquet`."""
        return {str(name): value for name, value in self.fits.table.iloc[self.point].items()}

    @property
    def alpha(self) -> list[float]:
        """The allocation α of λ̂."""
        return parse_as(str(self.row["alpha_vector"]), list[float], f"{self.fits.folder}: alpha_vector")

    @property
    def counts(self) -> list[int]:
        """The synthetic rows that λ̂ takes of each region."""
        return parse_as(str(self.row["counts"]), list[int], f"{self.fits.folder}: counts")


def choose(fits: Sequence[Fits]) -> Choice:
    """Choose λ̂ = (m, α, r) by the validation metric over all fits of a method; no test row is read."""
    if len({(fits_of_r.metric, fits_of_r.choose_by) for fits_of_r in fits}) != 1:
        raise CodsaError("the fits were judged by different metrics; fit them with one --metric and one --choose-by")
    validation = [fits_of_r.table["validation"].to_numpy() for fits_of_r in fits]
    points = [best_point(values, fits[0].choose_by) for values in validation]
    best_values = np.array([values[point] for values, point in zip(validation, points, strict=True)])
    best_r = best_point(best_values, fits[0].choose_by)
    return Choice(fits[best_r], points[best_r])


def evaluate(
    dataset: AnyDataset, split: Split, choice: Choice, seeds: SeedContext, modalities: Sequence[Modality] | None = None
) -> dict[str, Any]:
    """Score the estimator of λ̂ on the test rows, per region and under Q.

    Parameters
    ----------
    modalities : sequence of Modality, optional
        The modalities of the data. With an encoder, generated texts are embedded again (round trip).

    Returns
    -------
    dict
        chosen, validation, test, diagnostics, marginals, panels, examples, law and sizes, as `metrics.json` holds them.
    """
    row = choice.row
    test = evaluation_set(dataset, split, TEST)
    fitted = load_fitted(choice.fits.folder / "estimator", choice.fits.trusted)
    names = dataset.schema.regions.names
    scores = {metric: test.score(metric, fitted, split.q, names) for metric in metrics_for(dataset.schema.task)}
    validation = {name.removeprefix("validation: "): row[name] for name in row if name.startswith("validation: ")}
    modalities = modalities or modalities_of(dataset.schema)
    diagnosed = _diagnostics(dataset, split, choice, seeds=seeds, modalities=modalities)
    chosen = {key: value for key, value in row.items() if not key.startswith("validation")}
    chosen["fits"] = "/".join(choice.fits.folder.parts[-2:])
    chosen["alpha_vector"], chosen["counts"] = choice.alpha, choice.counts
    tau = np.array([diagnosed["diagnostics"].get(name, {}).get("wasserstein", np.nan) for name in names])
    chosen["generation_error_index"] = generation_error_index(
        row["m"], row["real_rows"], np.array(chosen["alpha_vector"]), tau
    )
    return {
        "metric": choice.fits.metric,
        "choose_by": choice.fits.choose_by,
        "chosen": chosen,
        "validation": {"overall": row["validation"], **validation},
        "test": scores,
        **diagnosed,
        "regions": names,
        "law": dict(zip(names, split.q.tolist(), strict=True)),
        "training_law": dict(zip(names, split.p.tolist(), strict=True)),
        "sizes": role_sizes(split.frame),
        "task": dataset.schema.task,
        "notes": dataset.schema.notes,
    }


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


def grid_on_test(dataset: AnyDataset, split: Split, fits: Sequence[Fits]) -> pd.DataFrame:
    """Score every grid point whose estimator is stored on the test rows, for figures alone.

    Returns
    -------
    DataFrame
        The rows of all fits with a column `test` (the metric under Q) and `test: REGION`; empty
        where no estimators but that of λ̂ are stored.
    """
    test = evaluation_set(dataset, split, TEST)
    with_grid = [fits_of_r for fits_of_r in fits if (fits_of_r.folder / "grid").is_dir()]
    tables = [_grid_points_on_test(fits_of_r, test, split, dataset) for fits_of_r in with_grid]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _grid_points_on_test(fits: Fits, test: EvaluationSet, split: Split, dataset: AnyDataset) -> pd.DataFrame:
    scores = []
    for point in fits.table["point"]:
        fitted: Predictor = load_fitted(fits.folder / "grid" / f"{point:04d}", fits.trusted)
        score = test.score(fits.metric, fitted, split.q, dataset.schema.regions.names)
        scores.append({"test" if name == "overall" else f"test: {name}": value for name, value in score.items()})
    return pd.concat([fits.table, pd.DataFrame(scores)], axis=1)


def write_evaluation(
    folder: Path, metrics: dict[str, Any], fits: Sequence[Fits], grid: pd.DataFrame, parameters: dict[str, Any]
) -> None:
    """Write `metrics.json`, the fits of all r as `fits.parquet`, and `grid.parquet` for figures.

    `metrics.json` also carries the seeds, versions and settings that the report shows.
    """
    record = fits[0].record
    shown = {**metrics, **parameters, "settings": record.parameters, "versions": record.versions}
    inputs = {name: record.inputs[name] for name in ("dataset", "split")}
    inputs |= {f"fits {'/'.join(fits_of_r.folder.resolve().parts[-2:])}": fits_of_r.record.digest for fits_of_r in fits}
    with new_files(folder / MANIFEST, EVALUATE) as staged:
        write_json(staged / METRICS, shown)
        write_parquet(staged / FITS, pd.concat([fits_of_r.table for fits_of_r in fits], ignore_index=True))
        if len(grid):
            write_parquet(staged / GRID, grid)
        write_manifest(staged / MANIFEST, EVALUATE, inputs, parameters)


def evaluation_output(folder: Path) -> None:
    """Raise a `CodsaError` where an evaluation cannot be written because of files that this stage did not write."""
    files_output(folder / MANIFEST, EVALUATE, (METRICS, FITS, GRID))


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
    for evaluation in evaluations:
        pools = {pool.digest: pool for pool in (load_pool(folder, dataset.schema) for folder in evaluation.pool)}
        fits = [read_fits(folder, dataset, split, pools, trusted=trusted) for folder in evaluation.fits]
        metrics = evaluate(dataset, split, choose(fits), seeds, modalities=modalities(evaluation.encoder))
        grid = grid_on_test(dataset, split, fits)
        write_evaluation(
            evaluation.out, metrics, fits, grid=grid, parameters={**parameters, "method": evaluation.method}
        )
