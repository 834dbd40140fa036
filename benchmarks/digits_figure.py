"""Draw real and generated images of a study by region.

    python benchmarks/digits_figure.py EXPERIMENT.yaml OUT.png --methods codsa-finetune distortions \
        [--scale table] [--results results]

The first row of each region holds training images of replicate 0, the others the first images of the methods' pools.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from codsa.data.dataset import load_dataset
from codsa.data.pool import load_pool
from codsa.data.split import TRAIN, load_split
from codsa.io.array_columns import arrays
from codsa.workflow.config import load_experiment
from codsa.workflow.study import Study

SHOWN = 20


def image_rows(study: Study, root: Path, methods: list[str]) -> list[tuple[str, np.ndarray]]:
    """Return what each row is called, and its images, ndarray of shape (n, height, width, channels)."""
    data = load_dataset(root / "data")
    rows = load_split(root / "rep~0/split.parquet", data).rows(TRAIN)
    folders = {name: study.generator_of(study.methods[name]) for name in methods}
    pools = {name: load_pool(root / f"rep~0/gen~{folder}/r~1.0/pool", data.schema) for name, folder in folders.items()}
    (column,) = data.schema.array_columns
    strips = []
    for k, region in enumerate(data.schema.regions.names):
        own = rows[data.regions()[rows] == k][:SHOWN]
        strips.append((f"{region}: real", arrays(data.part(own)[column.name])))
        strips += [(f"{region}: {name}", arrays(pool.rows[k][column.name])[:SHOWN]) for name, pool in pools.items()]
    return strips


def draw(rows: list[tuple[str, np.ndarray]], out: Path) -> None:
    """Write the figure."""
    figure = Figure(figsize=(10, 0.5 * len(rows)), layout="constrained")
    for axis, (name, images) in zip(figure.subplots(len(rows), 1), rows, strict=True):
        axis.imshow(np.concatenate(list(images), axis=1).squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_yticks([images.shape[1] / 2], [name])
        axis.set_xticks([])
        axis.tick_params(length=0)
    figure.savefig(out, dpi=100, bbox_inches="tight")


def main() -> None:
    """Draw the methods that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--scale", default="table")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    label, experiment = load_experiment(options.experiment, options.scale)
    draw(image_rows(Study(label, experiment), options.results / label, options.methods), options.out)


if __name__ == "__main__":
    main()
