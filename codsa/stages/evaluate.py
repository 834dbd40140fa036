"""The stage that reads test rows: the only one, and only after λ has been chosen on validation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from codsa.data.allocation import generation_error_index
from codsa.data.metrics import check_metric, metrics_for
from codsa.data.pool import Pool
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
from codsa.stages.fit import EvaluationSet, best_point, evaluation_set

if TYPE_CHECKING:
    pass

COLUMNS = ("point", "r", "m", "m_ratio", "alpha", "alpha_vector", "counts", "real_rows", "validation")
"""What every table of fits has."""


@dataclass(frozen=True)
class Fits:
    """What `codsa-fit` left for one r: the folder, its table, its metrics, its settings, and the pools it drew on.

    Attributes
    ----------
    metric : str
        What test rows are judged by.
    choose_by : str
        The metric of the table's validation figures.
    trusted : collection of str
        Code of the user's that its estimators may run (see `codsa.estimators.store.load_fitted`).
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
    """Read one folder of fits and check that it is whole and of this dataset and split.

    Parameters
    ----------
    pools : mapping of digest to Pool
        Among them those that the fits drew on; empty where none is needed (no diagnostics then).
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    """
    record = check_folder(folder, FIT)
    for name, value in {"dataset": dataset.digest, "split": split.digest}.items():
        if record.inputs.get(name) != value:
            raise CodsaError(f"{folder}: fitted on another {name}; run codsa-fit again")
    wanted = [value for name, value in record.inputs.items() if name.startswith("pool")]
    if pools and not set(wanted) <= set(pools):
        raise CodsaError(f"{folder}: fitted on another pool; run codsa-fit again, or give its --pool")
    chosen = read_as(folder / CHOSEN, ChosenFacts)
    for metric in (chosen.metric, chosen.choose_by):
        check_metric(metric, dataset.schema.task)
    used = [pools[value] for value in wanted if value in pools]
    table = _check_table(read_parquet(folder / FITS), folder)
    if chosen.point != best_point(table["validation"].to_numpy(), chosen.choose_by):
        raise CodsaError(f"{folder}: chosen.json names arm {chosen.point}, fits.parquet another; run codsa-fit again")
    return Fits(folder, table, chosen.metric, chosen.choose_by, record, used, trusted)


@dataclass(frozen=True)
class ChosenFacts:
    """What `chosen.json` says: the arm, what test rows are judged by, and what validation rows were."""

    point: int
    metric: str
    choose_by: str


def _check_table(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Return the table of fits, or raise a `CodsaError` where it lacks a column or has none of the rows."""
    lacking = [name for name in COLUMNS if name not in table]
    if lacking or table.empty:
        what = f"has no column '{lacking[0]}'" if lacking else "has no rows"
        raise CodsaError(f"{folder / 'fits.parquet'}: {what}; run codsa-fit again")
    numbers = [name for name in ("validation", "m", "real_rows", "r") if not is_numeric_dtype(table[name])]
    if numbers:
        raise CodsaError(f"{folder / 'fits.parquet'}: column '{numbers[0]}' holds no numbers; run codsa-fit again")
    return table


@dataclass(frozen=True)
class Choice:
    """λ̂: the fits it is in, and the arm."""

    fits: Fits
    point: int

    @property
    def row(self) -> dict[str, Any]:
        """The arm's row of `fits.parquet`."""
        return {str(name): value for name, value in self.fits.table.iloc[self.point].items()}

    @property
    def alpha(self) -> list[float]:
        """The arm's allocation α."""
        return parse_as(str(self.row["alpha_vector"]), list[float], f"{self.fits.folder}: alpha_vector")

    @property
    def counts(self) -> list[int]:
        """The arm's synthetic rows of each region."""
        return parse_as(str(self.row["counts"]), list[int], f"{self.fits.folder}: counts")


def choose(fits: Sequence[Fits]) -> Choice:
    """Choose λ̂ = (m, α, r) by the validation metric over all fits of a method; no test row is read."""
    if len({(one.metric, one.choose_by) for one in fits}) != 1:
        raise CodsaError("the fits were judged by different metrics; fit them with one --metric and one --choose-by")
    points = [best_point(one.table["validation"].to_numpy(), one.choose_by) for one in fits]
    values = np.array([one.table["validation"].iloc[point] for one, point in zip(fits, points, strict=True)])
    place = best_point(values, fits[0].choose_by)
    return Choice(fits[place], points[place])


def evaluate(
    dataset: AnyDataset, split: Split, choice: Choice, seeds: SeedContext, modalities: Sequence[Modality] | None = None
) -> dict[str, Any]:
    """Measure the chosen estimator on the test rows, per region and under Q.

    Parameters
    ----------
    modalities : sequence of Modality, optional
        Those of the data; with an encoder, generated texts are embedded again.

    Returns
    -------
    dict
        chosen, validation, test, diagnostics, marginals, panels, examples, law and sizes, as `metrics.json` holds them.
    """
    row = choice.row
    test = evaluation_set(dataset, split, TEST)
    fitted = load_fitted(choice.fits.folder / "estimator", choice.fits.trusted)
    names = dataset.schema.regions.names
    found = {metric: test.score(metric, fitted, split.q, names) for metric in metrics_for(dataset.schema.task)}
    validation = {name.removeprefix("validation: "): row[name] for name in row if name.startswith("validation: ")}
    found_out = _diagnostics(dataset, split, choice, seeds, modalities or modalities_of(dataset.schema))
    chosen = {key: value for key, value in row.items() if not key.startswith("validation")}
    chosen["fits"] = "/".join(choice.fits.folder.parts[-2:])
    chosen["alpha_vector"], chosen["counts"] = choice.alpha, choice.counts
    tau = np.array([found_out["diagnostics"].get(name, {}).get("wasserstein", np.nan) for name in names])
    chosen["generation_error_index"] = generation_error_index(
        row["m"], row["real_rows"], np.array(chosen["alpha_vector"]), tau
    )
    return {
        "metric": choice.fits.metric,
        "choose_by": choice.fits.choose_by,
        "chosen": chosen,
        "validation": {"overall": row["validation"], **validation},
        "test": found,
        **found_out,
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
    """Compare the synthetic rows that the chosen arm used with test rows, region by region.

    After cross-fitting those of the first fold stand for all. For detection the test rows are the normal ones.
    """
    counts = choice.counts
    if not choice.fits.pools or choice.row["m"] == 0:
        return {"diagnostics": {}, "marginals": {}, "panels": {}, "examples": {}}
    pool = choice.fits.pools[0]
    region, details, shown, panels, examples = dataset.regions(), {}, {}, {}, {}
    test, training = split.rows(TEST), split.generator_rows(pool.r, pool.fold)
    for k, name in enumerate(dataset.schema.regions.names):
        synthetic = pool.rows[k].iloc[: counts[k]]
        real = normal_rows(in_memory(dataset.part(test[region[test] == k])), dataset.schema)
        seen = in_memory(dataset.part(training[region[training] == k]))
        if len(synthetic) and len(real):
            random = rng(seeds.stream("diagnose", name))
            comparison = Comparison(synthetic, real, seen)
            details[name] = {**compare(comparison, modalities, random), "violations": pool.violations[k]}
            details[name] |= _merged(modality.quality(comparison) for modality in modalities)
            shown[name] = marginals(synthetic, real, dataset.schema)
            panels[name] = _merged(modality.panel(comparison) for modality in modalities)
            examples[name] = _merged(modality.examples(comparison) for modality in modalities)
    panels, examples = ({name: one for name, one in found.items() if one} for found in (panels, examples))
    return {"diagnostics": details, "marginals": shown, "panels": panels, "examples": examples}


def _merged(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for part in parts for key, value in part.items()}


def grid_on_test(dataset: AnyDataset, split: Split, fits: Sequence[Fits]) -> pd.DataFrame:
    """Measure every arm that was kept on the test rows, for figures alone.

    Returns
    -------
    DataFrame
        The rows of all fits with a column `test` (the metric under Q) and `test: REGION`; empty
        where no arm was kept.
    """
    test = evaluation_set(dataset, split, TEST)
    parts = [_grid_points_on_test(one, test, split, dataset) for one in fits if (one.folder / "grid").is_dir()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _grid_points_on_test(fits: Fits, test: EvaluationSet, split: Split, dataset: AnyDataset) -> pd.DataFrame:
    scores = []
    for point in fits.table["point"]:
        fitted: Predictor = load_fitted(fits.folder / "grid" / f"{point:04d}", fits.trusted)
        score = test.score(fits.metric, fitted, split.q, dataset.schema.regions.names)
        scores.append({"test" if name == "overall" else f"test: {name}": v for name, v in score.items()})
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
    inputs |= {f"fits {'/'.join(one.folder.resolve().parts[-2:])}": one.record.digest for one in fits}
    with new_files(folder / MANIFEST, EVALUATE) as staged:
        write_json(staged / METRICS, shown)
        write_parquet(staged / FITS, pd.concat([one.table for one in fits], ignore_index=True))
        if len(grid):
            write_parquet(staged / GRID, grid)
        write_manifest(staged / MANIFEST, EVALUATE, inputs, parameters)


def evaluation_output(folder: Path) -> None:
    """Raise a `CodsaError` where an evaluation cannot be written because of files that this stage has not made."""
    files_output(folder / MANIFEST, EVALUATE, (METRICS, FITS, GRID))
