"""Measure the two indices of Theorem 1 (arXiv 2504.07426) over (r, m, α) on simulation 4.1.

    python benchmarks/theory.py [--results results] [--cores 2]

Runs benchmarks/theory.yaml by the stages of the toolkit, then computes for every grid point the domain adaptation index
Σ|q_k − π_k| and the generation error index Σ [m·α_k/(m + n_r)]·τ_k. τ_k is the Wasserstein-1 distance between
generated rows of region k and fresh real rows, less the same distance between two sets of fresh real rows; columns are
in units of their standard deviation. Writes benchmarks/results/theory.csv and docs/theory.png, and prints the tables
of docs/theory.md.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from in_process import replicate, shared
from scipy.stats import spearmanr

from codsa.data.allocation import domain_adaptation_index, generation_error_index
from codsa.data.dataset import load_dataset
from codsa.data.pool import load_pool
from codsa.diagnostics.distances import wasserstein
from codsa.io.seeds import rng, stream
from codsa.readers.simulations import simulate
from codsa.report.drawing import COLOURS, MARKERS, new_figure, png_bytes, style
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study

ROWS = 1500
"""Rows of a region on each side of a distance: the pool has 1,600 of a region at least."""
FRESH_SEED = 2
"""A seed of the simulation that no row of the study is drawn with."""
HERE = Path(__file__).parent


def fresh_rows() -> dict[str, list[np.ndarray]]:
    """Return for each region two sets of fresh real features, and one of as many rows for the scale."""
    table = simulate("imbalanced-classification", 2 * ROWS, 2 * ROWS, FRESH_SEED)
    regions = {}
    for label, rows in table.groupby("y"):
        x = rows.drop(columns="y").to_numpy(dtype=float)
        x = x[rng(stream(0, "theory", str(label))).permutation(len(x))]
        regions[str(label)] = [x[:ROWS], x[ROWS:]]
    return regions


def distances(root: Path, k: int, r: float, scale: np.ndarray, fresh: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """Return τ_k of one generator: the distance, its floor and the difference, by region."""
    schema = load_dataset(root / "data").schema
    (folder,) = root.glob(f"rep~{k}/gen~tabular-diffusion*/r~{r}")
    pool = load_pool(folder / "pool", schema)
    rows = []
    for region, name in enumerate(schema.regions.names):
        real, others = fresh[name]
        generated = pool.rows[region][schema.features].to_numpy(dtype=float)[:ROWS]
        size = min(len(generated), ROWS)
        distance = wasserstein(generated[:size] / scale, real[:size] / scale)
        floor = wasserstein(others[:size] / scale, real[:size] / scale)
        rows.append({"replicate": k, "r": r, "region": name, "distance": distance, "floor": floor, "rows": size})
    return pd.DataFrame(rows).assign(tau=lambda frame: (frame["distance"] - frame["floor"]).clip(lower=0.0))


def grid_points(study: Study, root: Path, k: int, tau: pd.DataFrame) -> pd.DataFrame:
    """Return both indices and the validation loss of every grid point of a replicate."""
    q = np.array([0.5, 0.5])
    rows = []
    for r in study.experiment.grid.r:
        fits = pd.read_parquet(root / f"rep~{k}/fit~codsa/r~{r}/fits.parquet")
        of_r = tau[(tau["replicate"] == k) & (tau["r"] == r)]["tau"].to_numpy()
        for _, point in fits.iterrows():
            alpha, pi = (np.array(json.loads(point[name])) for name in ("alpha_vector", "pi"))
            rows.append(
                {
                    "replicate": k,
                    "r": r,
                    "m_ratio": point["m_ratio"],
                    "m": int(point["m"]),
                    "n_r": int(point["real_rows"]),
                    "alpha": float(alpha[0]),
                    "pi": float(pi[0]),
                    "adaptation": domain_adaptation_index(q, pi),
                    "generation": generation_error_index(point["m"], point["real_rows"], alpha, of_r),
                    "validation": point["validation"],
                }
            )
    return pd.DataFrame(rows)


def decomposition(table: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Fit validation loss = c0 + c1·adaptation + c2·generation + c3/√(m + n_r) by least squares; return c and R²."""
    x = np.column_stack(
        [np.ones(len(table)), table["adaptation"], table["generation"], (table["m"] + table["n_r"]) ** -0.5]
    )
    y = table["validation"].to_numpy()
    c = np.linalg.lstsq(x, y, rcond=None)[0]
    return c, float(1 - ((y - x @ c) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def figure(table: pd.DataFrame) -> bytes:
    """Draw the validation loss against both indices, a colour for each r."""
    mean = table.groupby(["r", "m_ratio", "alpha"]).mean(numeric_only=True).reset_index()
    names = {"adaptation": "domain adaptation index Σ|q − π|", "generation": "generation error index Σ [mα/(m + n_r)]τ"}
    with style():
        drawn = new_figure(9.0, 3.6, gap=0.06)
        panels = drawn.subplots(1, 2, sharey=True)
        for axes, (column, name) in zip(panels, names.items(), strict=True):
            for place, (r, part) in enumerate(mean.groupby("r")):
                marker, colour = MARKERS[place], COLOURS[place]
                axes.plot(part[column], part["validation"], marker, ms=5, mew=0, color=colour, label=f"r = {r:g}")
            axes.set_xlabel(name)
            axes.grid(color="#e5e7eb", lw=0.7)
        panels[0].set_ylabel("validation cross-entropy under Q")
        panels[0].legend(frameon=False)
        return png_bytes(drawn)


def main() -> None:
    """Run the study, measure, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    begin = time.process_time()
    label, experiment = load_experiment(HERE / "theory.yaml", "")
    study, root = Study(label, experiment).checked(), options.results / label
    shared(study, root)
    with ProcessPoolExecutor(options.cores, get_context("spawn")) as pool:
        for job in [pool.submit(replicate, study, root, k) for k in range(experiment.replicates)]:
            job.result()
    costs = pd.read_csv(root / "costs.csv", header=None)[2].sum()
    fresh = fresh_rows()
    scale = np.vstack([part for parts in fresh.values() for part in parts]).std(axis=0)
    runs = [(k, r) for k in range(experiment.replicates) for r in experiment.grid.r]
    tau = pd.concat([distances(root, k, r, scale, fresh) for k, r in runs], ignore_index=True)
    table = pd.concat([grid_points(study, root, k, tau) for k in range(experiment.replicates)], ignore_index=True)
    table.to_csv(HERE / "results/theory.csv", index=False, float_format="%.6g", lineterminator="\n")
    (HERE.parent / "docs/theory.png").write_bytes(figure(table))
    print(tau.groupby(["r", "region"])[["distance", "floor", "tau"]].mean().round(3).to_string(), "\n")
    for column in ("adaptation", "generation"):
        correlation = spearmanr(table[column], table["validation"])[0]
        print(f"Spearman's correlation of {column} and validation loss: {correlation:.2f}")
    coefficients, explained = decomposition(table)
    print("c0, c1, c2, c3 =", coefficients.round(3).tolist(), f"R² = {explained:.2f}\n")
    mean = table.groupby(["r", "m_ratio", "alpha"]).mean(numeric_only=True).reset_index()
    print(mean.sort_values("validation").round(3).to_string(index=False), "\n")
    print(f"CPU seconds: {time.process_time() - begin + costs:.0f}")


if __name__ == "__main__":
    main()
