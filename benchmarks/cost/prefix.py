"""Few rows of a slow generator: what a pool costs follows the rows that are asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shared import Section, command, peaks, scratch

from codsa.data.dataset import write_dataset
from codsa.data.preparation import prepare
from codsa.data.region_rules import RegionRule
from codsa.io import array_columns
from codsa.settings.columns import ColumnOptions
from codsa.workflow.study import settings as words

REGIONS, SIDE, IMAGES = 5, 32, 200
SETTINGS: dict[str, Any] = {"steps": 20, "batch": 16, "precision": "no"}
ROWS = (10, 40)


def prefix(out: Section) -> None:
    """Train `image-diffusion` for a few steps and draw pools of several sizes by the command."""
    folder = scratch()
    write_images(folder / "data")
    peaks(command("split", ["--data", folder / "data", "--out", folder / "split.parquet"]))
    at = ["--data", folder / "data", "--split", folder / "split.parquet", "--generator", "image-diffusion"]
    peaks(command("train_gen", [*at, *words(SETTINGS), "--out", folder / "generator"]))
    rows = [[f"{count}", *drawn(folder, count)] for count in ROWS]
    out.say(
        f"`codsa-sample --rows N` from image-diffusion (its own sizes, {json.dumps(SETTINGS)}), {REGIONS} regions,\n"
        f"{SIDE} x {SIDE} pixels in colour; the command's start of some CPU seconds is in it."
    )
    out.say("")
    out.table(["rows of each region", "rows denoised", "CPU s", "wall s"], rows)


def drawn(folder: Path, count: int) -> list[str]:
    """Return how many rows were denoised for a pool of so many rows a region, and what that took."""
    pool = folder / f"pool-{count}"
    spent, _, _ = peaks(command("sample", ["--generator", folder / "generator", "--rows", count, "--out", pool]))
    facts = next(pool.glob("shard-*.json")).read_text(encoding="utf-8")
    denoised = sum(int(number) for number in re.findall(r'"drawn": (\d+)', facts))
    return [f"{denoised:,}", f"{spent.cpu:.0f}", f"{spent.wall:.0f}"]


def write_images(folder: Path) -> None:
    """Write colour images of noise, whose mean differs by region."""
    random = np.random.default_rng(0)
    place = np.arange(IMAGES) % REGIONS
    pixels = random.integers(0, 100, (IMAGES, SIDE, SIDE, 3)) + 30 * place[:, None, None, None]
    images = array_columns.column("image", pixels.astype(np.uint8))
    label = np.where(random.random(IMAGES) < 0.5, "a", "b")
    raw = pd.DataFrame({"image": images, "place": [f"p{k}" for k in place], "y": label})
    rows, schema = prepare(raw, ColumnOptions(target="y"), RegionRule(by="column", column="place"))
    write_dataset(folder, rows, schema, {})
