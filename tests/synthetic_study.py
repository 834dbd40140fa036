"""Studies made on the spot: evaluation folders as codsa-eval writes them, whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.evidence.reading import table_order
from codsa.evidence.records import MetricsRecord
from codsa.evidence.studies import EvaluationResults, StudyResults
from codsa.io.manifests import write_manifest
from codsa.io.records import parse_as, to_json, write_json
from codsa.io.tables import write_parquet

REGIONS = ["majority", "minority"]
LEVELS = {
    "none": 0.576,
    "weighted": 0.505,
    "smote": 0.484,
    "relabelled": 0.480,
    "control-auto": 0.482,
    "codsa": 0.464,
    "codsa-transfer": 0.459,
    "codsa-auto": 0.460,
}
"""Recalibrated cross-entropy under Q of a study in which the primary arm is clearly better."""
SINGLE, RAW_EXTRA = 0.02, 0.03
"""What one fit alone loses to five averaged ones, and what a raw figure loses to a recalibrated one."""
TEST_ROWS = 200


def kind_of(method: str) -> str:
    """Return the kind of a method by its name."""
    known = {"codsa-auto": "primary", "oracle": "oracle"}
    return known.get(method, "codsa" if method.startswith("codsa") else "control")


def arm_table(random: np.random.Generator, ratios: Sequence[float] = (0.0, 0.5, 1.0)) -> pd.DataFrame:
    """Make a table of fits over r, m/n and α with a known best arm at (0.5, 1, 0.7)."""
    rows = []
    for r in (0.5, 0.8):
        for ratio in ratios:
            for alpha in ("0.3", "0.7", "balance") if ratio else ("none",):
                bad = 0.1 * (r != 0.5) + 0.1 * (ratio != 1.0) + 0.1 * (alpha != "0.7")
                value = 0.45 + bad + random.normal(0, 0.001)
                rows.append({"r": r, "m": int(4000 * ratio), "m_ratio": ratio, "alpha": alpha, "validation": value})
    table = pd.DataFrame(rows).rename_axis("point").reset_index()
    table["validation recalibrated"] = table["validation"] - 0.01
    return table


def histogram(kind: str, random: np.random.Generator) -> dict[str, Any]:
    """Make one column's recorded marginals."""
    if kind == "levels":
        shares = [random.dirichlet(np.ones(3)).tolist() for _ in range(2)]
        return {"kind": "levels", "levels": ["a", "b & c", "missing"], "real": shares[0], "synthetic": shares[1]}
    edges = np.linspace(-2, 2, 25)
    bell = np.exp(-((edges[:-1] + 0.1) ** 2))
    return {"kind": "ordered", "edges": edges, "real": bell / bell.sum(), "synthetic": np.roll(bell, 1) / bell.sum()}


def choice(method: str, value: float, metric: str, chosen_method: str | None = None, **more: Any) -> dict[str, Any]:
    """Make a ChoiceRecord whose test figure under Q is `value`."""
    augmented = method not in ("none", "weighted")
    point = {"point": 4, "r": 0.5, "m": 4000 * augmented, "m_ratio": float(augmented), "exact": True}
    point |= {"alpha": "0.7" if augmented else "none", "alpha_vector": [0.3, 0.7], "counts": [1200, 2800]}
    point |= {"real_rows": 2000, "domain_adaptation_index": 0.1, "generation_error_index": None}
    point |= {"steps": 1200, "members": 5, "pool_weight": 1.0}
    return {
        "method": chosen_method or method,
        "chosen": point | more,
        "validation": {"overall": value - 0.01, "majority": value, "minority": value},
        "test": figures(value, metric),
        "temperature": None,
        "thresholds": {},
    }


def figures(value: float, metric: str) -> dict[str, dict[str, float | None]]:
    """Make test figures: the metric, ROC AUC that falls as it rises, and F1 that regions leave undefined."""
    areas = {"majority": 0.9 - value / 5, "minority": 0.9 - value / 5, "overall": 0.95 - value / 5}
    return {
        "roc-auc": areas,
        "f1": {"majority": None, "minority": None, "overall": 1 - value},
        metric: {"majority": value - 0.1, "minority": value + 0.1, "overall": value},
    }


def metrics_of(
    method: str,
    replicate: int,
    value: float,
    metric: str = "cross-entropy",
    labels: Sequence[str] = ("mlp",),
    chosen_method: str | None = None,
) -> dict[str, Any]:
    """Make the content of one metrics.json; the first label is the study's own estimator."""
    random = np.random.default_rng(replicate)
    augmented = method not in ("none", "weighted")
    quality: dict[str, Any] = {"wasserstein": 1.2, "wasserstein_floor": 1.1, "two_sample_auc": 0.61}
    quality |= {"nearest_ratio": None, "rows": 2000, "violations": 0.03}
    columns = {f"x{k}": histogram("levels" if k == 3 else "ordered", random) for k in range(14)}
    single = {"raw": figures(value + RAW_EXTRA + SINGLE, metric), "recalibrated": figures(value + SINGLE, metric)}
    estimators = {
        label: {
            "raw": choice(method, value + RAW_EXTRA, metric, chosen_method),
            "recalibrated": choice(method, value, metric, chosen_method),
            "single": {} if augmented else single,
        }
        for label in labels
    }
    return {
        "experiment": "toy",
        "method": method,
        "replicate": replicate,
        "kind": kind_of(method),
        "source": "transfer" in method,
        "seed": 0,
        "metric": metric,
        "task": "classification",
        "estimator": labels[0],
        "estimators": estimators,
        "diagnostics": {name: quality for name in REGIONS} if augmented else {},
        "marginals": {"minority": columns} if augmented else {},
        "regions": REGIONS,
        "law": {"majority": 0.5, "minority": 0.5},
        "training_law": {"majority": 0.8, "minority": 0.2},
        "sizes": {
            "train": {"majority": 320, "minority": 80},
            "validation": {"majority": 80, "minority": 20},
            "test": {"majority": TEST_ROWS // 2, "minority": TEST_ROWS // 2},
        },
        "notes": ["column 'id' left out: <b>all values differ</b>"],
        "settings": {"estimator": "mlp", "r": 0.5, "m": [0.0, 1.0]},
        "versions": {"numpy": "2.0.0"},
    }


def predictions_of(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Make predictions of the test rows whose mean loss under Q is that of `metrics`, with noise."""
    random = np.random.default_rng(metrics["replicate"])
    y = random.integers(0, 2, TEST_ROWS)
    noise = random.normal(0, 0.1, TEST_ROWS)
    noise += np.random.default_rng([metrics["replicate"], len(metrics["method"])]).normal(0, 0.05, TEST_ROWS)
    noise -= noise.mean()
    region = np.repeat(np.array(metrics["regions"], dtype=object), TEST_ROWS // 2)
    table = {"row_id": np.arange(TEST_ROWS), "region": region, "y": y}
    for label, record in metrics["estimators"].items():
        for column in ("raw", "recalibrated"):
            if record[column] is not None:
                level = record[column]["test"][metrics["metric"]]["overall"] or 0.5
                own = np.exp(-np.maximum(abs(level) + noise, 0.01))
                table |= {f"{label}/{column}/{c}": np.where(y == c, own, 1 - own) for c in (0, 1)}
    return pd.DataFrame(table)


def fits_of(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Make the table of fits of an evaluation; those of a choosing arm are another method's."""
    random = np.random.default_rng(metrics["replicate"])
    own = metrics["estimators"][metrics["estimator"]]["raw"]
    points = arm_table(random, (0.0, 0.5, 1.0) if own["chosen"]["m"] else (0.0,))
    tables = [points.assign(estimator=label, method=own["method"]) for label in metrics["estimators"]]
    return pd.concat(tables, ignore_index=True)


def write_evaluation(folder: Path, metrics: Mapping[str, Any], grid: bool = False) -> Path:
    """Write one evaluation folder."""
    fits = fits_of(metrics)
    write_json(folder / "metrics.json", metrics)
    write_parquet(folder / "fits.parquet", fits)
    write_parquet(folder / "predictions.parquet", predictions_of(metrics))
    if grid:
        first = fits[fits["estimator"] == metrics["estimator"]]
        write_parquet(folder / "grid.parquet", first.assign(test=first["validation"] + 0.02))
    write_manifest(folder / "manifest.json", "eval", {}, {})
    return folder


def make_study(
    root: Path,
    levels: Mapping[str, float] = LEVELS,
    replicates: int = 6,
    metric: str = "cross-entropy",
    labels: Sequence[str] = ("mlp",),
    spread: float = 0.002,
    **more: Any,
) -> list[Path]:
    """Write evaluations whose recalibrated figures under Q are known up to a small paired noise.

    Parameters
    ----------
    spread : float
        Standard deviation of each method's own noise.
    **more
        Keys of every metrics.json.
    """
    return [
        write_evaluation(
            root / f"rep~{metrics['replicate']}" / f"eval~{metrics['method']}",
            metrics | more,
            metrics["method"].startswith("codsa"),
        )
        for metrics in all_metrics(levels, replicates, metric, labels, spread)
    ]


def all_metrics(
    levels: Mapping[str, float], replicates: int, metric: str, labels: Sequence[str], spread: float
) -> Iterator[dict[str, Any]]:
    """Yield the content of every metrics.json of a study, as `make_study` writes them."""
    for replicate in range(replicates):
        shared = np.random.default_rng(replicate).normal(0, 0.02)
        for k, (method, level) in enumerate(levels.items()):
            own = np.random.default_rng(1000 * k + replicate).normal(0, spread)
            fitted = {"codsa-auto": ("codsa", "relabelled")[replicate % 2], "control-auto": "smote"}.get(method)
            value = round(level + shared + own, 6)
            yield metrics_of(method, replicate, value, metric, labels, fitted if fitted in levels else None)


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit the record of the study's own estimator in a written evaluation."""
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    edit(content["estimators"][content["estimator"]])
    write_json(folder / "metrics.json", content)
    write_manifest(folder / "manifest.json", "eval", {}, {})


def study_of(
    levels: Mapping[str, float] = LEVELS,
    replicates: int = 6,
    metric: str = "cross-entropy",
    labels: Sequence[str] = ("mlp",),
    spread: float = 0.002,
    **more: Any,
) -> StudyResults:
    """Return the study that `make_study` writes, without its files: it has no predictions."""
    results = []
    for metrics in all_metrics(levels, replicates, metric, labels, spread):
        record = parse_as(to_json(metrics | more), MetricsRecord, "metrics")
        results.append(EvaluationResults(record, fits_of(metrics)))
    return StudyResults(sorted(results, key=table_order))
