"""The stage that reads test rows: the only one, and only after λ has been chosen on validation."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.allocation import generation_error_index
from codsa.diagnostics import diagnose, marginals, normal_rows
from codsa.diagnostics_arrays import panel
from codsa.errors import CodsaError
from codsa.estimators import Predictor
from codsa.estimators.store import load_fitted
from codsa.fit import JudgedRows, best_arm, judged_rows
from codsa.io.digests import file_digest
from codsa.io.files import atomic_write_all
from codsa.io.manifests import check_folder, write_manifest
from codsa.io.records import read_json, write_json
from codsa.io.tables import read_parquet, write_parquet
from codsa.metrics import metrics_for
from codsa.rows import AnyDataset, in_memory
from codsa.sample import Pool
from codsa.split import TEST, Split, role_sizes
from codsa.streams import Work, rng
from codsa.texts.diagnostics import text_examples, text_quality
from codsa.texts.encoder import SentenceEncoder


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
    record: dict[str, Any]
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
    record = check_folder(folder, "fit")
    for name, value in {"dataset": dataset.digest, "split": split.digest}.items():
        if record["inputs"].get(name) != value:
            raise CodsaError(f"{folder}: fitted on another {name}; run codsa-fit again")
    wanted = [value for name, value in record["inputs"].items() if name.startswith("pool")]
    if pools and not set(wanted) <= set(pools):
        raise CodsaError(f"{folder}: fitted on another pool; run codsa-fit again, or give its --pool")
    chosen = read_json(folder / "chosen.json")
    used = [pools[value] for value in wanted if value in pools]
    metric, choose_by = chosen["metric"], chosen.get("choose_by", chosen["metric"])
    return Fits(folder, read_parquet(folder / "fits.parquet"), metric, choose_by, record, used, trusted)


@dataclass(frozen=True)
class Choice:
    """λ̂: the fits it is in, and the arm."""

    fits: Fits
    arm: int

    @property
    def row(self) -> dict[str, Any]:
        """The arm's row of `fits.parquet`."""
        return {str(name): value for name, value in self.fits.table.iloc[self.arm].items()}


def choose(fits: Sequence[Fits]) -> Choice:
    """Choose λ̂ = (m, α, r) by the validation metric over all fits of a method; no test row is read."""
    if len({(one.metric, one.choose_by) for one in fits}) != 1:
        raise CodsaError("the fits were judged by different metrics; fit them with one --metric and one --choose-by")
    arms = [best_arm(one.table["validation"].to_numpy(), one.choose_by) for one in fits]
    values = np.array([one.table["validation"].iloc[arm] for one, arm in zip(fits, arms, strict=True)])
    place = best_arm(values, fits[0].choose_by)
    return Choice(fits[place], arms[place])


def evaluate(
    dataset: AnyDataset, split: Split, choice: Choice, work: Work, encoder: SentenceEncoder | None = None
) -> dict[str, Any]:
    """Measure the chosen estimator on the test rows, per region and under Q.

    Parameters
    ----------
    encoder : SentenceEncoder, optional
        By which generated texts are embedded again.

    Returns
    -------
    dict
        chosen, validation, test, diagnostics, marginals, panels, examples, law and sizes, as `metrics.json` holds them.
    """
    row = choice.row
    test = judged_rows(dataset, split, TEST)
    fitted = load_fitted(choice.fits.folder / "estimator", choice.fits.trusted)
    names = dataset.schema.regions.names
    found = {metric: test.score(metric, fitted, split.q, names) for metric in metrics_for(dataset.schema.task)}
    validation = {name.removeprefix("validation: "): row[name] for name in row if name.startswith("validation: ")}
    found_out = _diagnostics(dataset, split, choice, work, encoder)
    chosen = {key: value for key, value in row.items() if not key.startswith("validation")}
    chosen["fits"] = "/".join(choice.fits.folder.parts[-2:])
    chosen["alpha_vector"], chosen["counts"] = json.loads(row["alpha_vector"]), json.loads(row["counts"])
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
    dataset: AnyDataset, split: Split, choice: Choice, work: Work, encoder: SentenceEncoder | None
) -> dict[str, dict[str, Any]]:
    """Compare the synthetic rows that the chosen arm used with test rows, region by region.

    After cross-fitting those of the first fold stand for all. For detection the test rows are the normal ones.
    """
    counts = json.loads(choice.row["counts"])
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
            random = rng(work.stream("diagnose", name))
            details[name] = diagnose(synthetic, real, seen, dataset.schema, random)
            details[name]["violations"] = pool.violations[k]
            details[name] |= text_quality(synthetic, real, seen, dataset.schema, encoder)
            shown[name] = marginals(synthetic, real, dataset.schema)
            panels[name] = panel(synthetic, real, seen, dataset.schema)
            examples[name] = text_examples(synthetic, real, seen, dataset.schema)
    panels, examples = ({name: one for name, one in found.items() if one} for found in (panels, examples))
    return {"diagnostics": details, "marginals": shown, "panels": panels, "examples": examples}


def grid_on_test(dataset: AnyDataset, split: Split, fits: Sequence[Fits]) -> pd.DataFrame:
    """Measure every arm that was kept on the test rows, for figures alone.

    Returns
    -------
    DataFrame
        The rows of all fits with a column `test` (the metric under Q) and `test: REGION`; empty
        where no arm was kept.
    """
    test = judged_rows(dataset, split, TEST)
    parts = [_grid_arms(one, test, split, dataset) for one in fits if (one.folder / "grid").is_dir()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _grid_arms(fits: Fits, test: JudgedRows, split: Split, dataset: AnyDataset) -> pd.DataFrame:
    scores = []
    for arm in fits.table["arm"]:
        fitted: Predictor = load_fitted(fits.folder / "grid" / f"{arm:04d}", fits.trusted)
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
    shown = {**metrics, **parameters, "settings": record["parameters"], "versions": record["versions"]}
    inputs = {f"fits r={one.record['parameters']['r']}": file_digest(one.folder / "manifest.json") for one in fits}
    names = ("metrics.json", "fits.parquet", "grid.parquet", "manifest.json")
    with atomic_write_all(*(folder / name for name in names)) as parts:
        write_json(parts[0], shown)
        write_parquet(parts[1], pd.concat([one.table for one in fits], ignore_index=True))
        if len(grid):
            write_parquet(parts[2], grid)
        outputs = {name: file_digest(part) for name, part in zip(names, parts, strict=True) if part.exists()}
        write_manifest(parts[3], "eval", inputs, parameters, outputs)
