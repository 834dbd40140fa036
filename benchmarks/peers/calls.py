"""Downstream loss against the calls of the network to draw a row: where the default of `sampler_steps` comes from.

    python benchmarks/peers/calls.py [--tasks 41 42] [--replicates 3] [--calls 8 12 18] [--work FOLDER] [--out OUT]

On the work of run.py: one training per replicate, then one pool for each number of calls, from the same streams. The
default is chosen by the validation losses; the test losses stand beside them. OUT.csv has all figures, OUT.md means.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import HERE
from tasks import TASKS, Piece, fitted, losses, open_piece

from codsa.data.pool import Pool
from codsa.generators.base import BLOCK_ROWS
from codsa.stages.sample import draw
from codsa.stages.train_generator import Trained, Training, train

CALLS = (6, 8, 10, 12, 14, 18, 24, 36)
NAME = "tabular-diffusion"
SETTINGS = {"steps": 1800, "batch": 512, "holdout": 0, "precision": "auto"}
OPENING = """# Loss against calls of the network

`python benchmarks/peers/calls.py`: the estimator of each simulation on all real training rows and the pool, (m, α)
chosen on validation rows, one training (1,800 steps of 512 rows) and one stream of draws per replicate. Means; lower is
better."""


def denoiser(piece: Piece) -> Trained:
    """Train on all training rows."""
    made = train(piece.dataset, piece.split, 1.0, NAME, SETTINGS, piece.seeds)
    return Trained(made, piece.dataset.schema, Training(NAME, SETTINGS, 1.0))


def pool(piece: Piece, generator: Trained, calls: int) -> Pool:
    """Draw the rows that the grid needs with so many calls, checked as `codsa-sample` checks them."""
    model: Any = generator.generator
    model.sampler_steps = calls
    counts = piece.counts()
    rows = [draw(generator, k, 0, -(-count // BLOCK_ROWS), count, piece.seeds).rows for k, count in enumerate(counts)]
    return Pool(rows, np.zeros(len(rows)), piece.dataset.digest, piece.split.digest, "")


def measured(piece: Piece, calls: list[int]) -> list[dict[str, Any]]:
    """Return the losses of one replicate, a row for each number of calls."""
    generator = denoiser(piece)
    place = {"task": piece.task.name, "replicate": piece.replicate}
    return [{**place, "calls": n, **losses(piece, fitted(piece, pool(piece, generator, n)))} for n in calls]


def as_markdown(table: pd.DataFrame) -> str:
    """Return the mean losses of every task by calls."""
    parts = [OPENING]
    for task, rows in table.groupby("task", sort=False):
        means = rows.groupby("calls")[["validation", "loss", "loss_minority", "loss_majority"]].mean()
        means.columns = pd.Index(["validation loss under Q", "test loss under Q", "minority", "majority"])
        count = rows["replicate"].nunique()
        title = f"## {TASKS[str(task)].title}; replicates: {count}"
        parts.append(f"{title}\n\n{means.to_markdown(floatfmt='.3f')}")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure every replicate of every task, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=["41", "42"], choices=list(TASKS))
    parser.add_argument("--replicates", type=int, default=3)
    parser.add_argument("--calls", nargs="*", type=int, default=list(CALLS))
    parser.add_argument("--work", type=Path, default=Path("results/peers"))
    parser.add_argument("--tables", type=Path, default=Path("results/real-tables"))
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "calls", help="without its ending")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for task in options.tasks:
        for replicate in range(options.replicates):
            rows += measured(open_piece(TASKS[task], replicate, options.work, options.tables), options.calls)
            table = pd.DataFrame(rows)
            table.to_csv(options.out.with_suffix(".csv"), index=False)
            options.out.with_suffix(".md").write_text(as_markdown(table))
            print(table[table["task"] == task].tail(len(options.calls)).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
