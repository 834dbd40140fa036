"""Draw real and generated digits of a study by domain: python benchmarks/digits_figure.py RESULTS/STUDY OUT.png.

The first row of each block holds training images as the study has them, the others the first images of the pools.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from codsa.payload import arrays
from codsa.prepare import load_dataset
from codsa.sample import load_pool
from codsa.split import TRAIN, load_split

SHOWN = 20


def strips(root: Path, generators: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Return, for each region, what a row is called and its images, ndarray of shape (n, height, width, channels)."""
    data = load_dataset(root / "data")
    rows = load_split(root / "rep~0/split.parquet", data).rows(TRAIN)
    pools = {name: load_pool(root / f"rep~0/gen~{name}/r~1.0/pool", data.schema) for name in generators}
    (column,) = data.schema.payloads
    found: dict[str, dict[str, np.ndarray]] = {}
    for k, region in enumerate(data.schema.regions.names):
        own = rows[data.regions()[rows] == k][:SHOWN]
        found[region] = {"real": arrays(data.part(own)[column.name])}
        found[region] |= {name: arrays(pool.rows[k][column.name])[:SHOWN] for name, pool in pools.items()}
    return found


def draw(found: dict[str, dict[str, np.ndarray]], out: Path) -> None:
    """Write the figure."""
    rows = [(region, name, images) for region, kinds in found.items() for name, images in kinds.items()]
    figure = Figure(figsize=(10, 0.55 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1)
    for axis, (region, name, images) in zip(axes, rows, strict=True):
        axis.imshow(np.concatenate(list(images[..., 0]), axis=1), cmap="gray", vmin=0, vmax=255)
        axis.set_yticks([images.shape[1] / 2], [f"{region}: {name}"])
        axis.set_xticks([])
        axis.tick_params(length=0)
    figure.savefig(out, dpi=100)


def main() -> None:
    """Draw the pools that are named, by the names of their folders without 'gen~'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--generators", nargs="+", required=True)
    options = parser.parse_args()
    draw(strips(options.root, options.generators), options.out)


if __name__ == "__main__":
    main()
