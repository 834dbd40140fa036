"""Memory: pools of many rows, tables that stay in their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from shared import PLAIN_LABELS, SETTINGS, WORK, Section, command, peaks, scratch, simulation

from codsa.stages.train_generator import train, write_generator


def streaming(out: Section) -> None:
    """Draw 10⁷ rows to a pool, and few rows for comparison."""
    folder = scratch()
    dataset, split = simulation()
    tiny = {**SETTINGS, **PLAIN_LABELS, "steps": 20, "width": 16, "depth": 1, "sampler_steps": 2}
    kinds: dict[str, dict[str, Any]] = {"bootstrap": {}, "tabular-diffusion": tiny}
    rows = []
    for name, settings in kinds.items():
        made = train(dataset, split, 0.5, name, settings, WORK)
        parameters = {"generator": name, "settings": settings, "r": 0.5, "fold": None}
        write_generator(folder / name, made, made.schema, {"dataset": "", "split": ""}, parameters)
        for count in (10**5, 10**7) if name == "bootstrap" else (10**5, 10**6):
            pool = folder / f"{name}-{count}"
            code = command("sample", ["--generator", folder / name, "--rows", count // 2, "--out", pool])
            spent, resident, _ = peaks(code)
            label = name if name == "bootstrap" else "a tiny denoiser, 2 calls"
            rows.append([label, f"{count:,}", f"{resident:.0f}", f"{spent.cpu:.0f}", f"{spent.wall:.0f}"])
    out.say("`codsa-sample` of 4.1 (11 columns, 2 regions) in a process of its own, checked rows written to Parquet.")
    out.say("")
    out.table(["generator", "rows", "peak memory, MB", "CPU s", "wall s"], rows)


ROWS, COLUMNS = 1_000_000, 40


def training(out: Section) -> None:
    """Prepare, split and train from a table that stays in its file, and from the same one held in memory."""
    folder = scratch()
    megabytes = write_raw(folder / "raw.parquet")
    settings = {**SETTINGS, **PLAIN_LABELS, "steps": 200, "width": 64, "depth": 1}
    found = []
    for name, limit in (("left in its file", "rows.MEMORY_CELLS"), ("held in memory", "10**18")):
        begin = f"from codsa.data import rows\nrows.MEMORY_CELLS = {limit}\n"
        for stage, arguments in stages(folder, folder / name.split()[0], settings).items():
            spent, resident, own = peaks(command(stage, arguments, begin))
            label = f"codsa-{stage.replace('_', '-')}"
            found.append([label, name, f"{own:.0f}", f"{resident:.0f}", f"{spent.cpu:.0f}"])
    out.say(f"A table of {ROWS:,} rows and {COLUMNS + 1} columns, {megabytes} MB in memory; 200 steps of training.")
    out.say("")
    head = ["stage", "table", "peak of its own memory, MB", "with pages mapped from files, MB", "CPU s"]
    out.table(head, found)


def write_raw(path: Path) -> int:
    """Write the raw table, and return its size in memory in MB."""
    values = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(COLUMNS)]).assign(y=np.arange(ROWS) % 7 == 0)
    frame.to_parquet(path, row_group_size=1 << 16)
    return int(frame.memory_usage(deep=True).sum() / 2**20)


def stages(raw: Path, folder: Path, settings: dict[str, Any]) -> dict[str, list[object]]:
    """Return the arguments of the first stages by name."""
    data, split = folder / "data", folder / "split.parquet"
    chosen = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return {
        "prepare": [raw / "raw.parquet", "--target", "y", "--out", data],
        "split": ["--data", data, "--out", split],
        "train_gen": ["--data", data, "--split", split, "--out", folder / "generator", *chosen],
    }
