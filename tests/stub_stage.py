"""A stand-in for every command of a stage: it writes down its arguments and makes empty outputs where --out says."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

OUTPUTS = {
    "codsa-prepare": ("rows.parquet", "schema.json", "manifest.json"),
    "codsa-train-gen": ("generator.json",),
    "codsa-fit": ("fits.parquet",),
    "codsa-eval": ("metrics.json", "predictions.parquet", "fits.parquet", "manifest.json"),
    "codsa-report": ("report.html", "metrics.csv", "summary.csv"),
}


def write_stubs(folder: Path) -> None:
    """Put a stand-in for each command into a folder, to be set before others on the PATH."""
    folder.mkdir(parents=True)
    for name in (*OUTPUTS, "codsa-split", "codsa-sample"):
        (folder / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' '{__file__}' {name} \"$@\"\n")
        (folder / name).chmod(0o755)


def outputs(command: str, arguments: list[str]) -> list[Path]:
    """Return the files that a command is to make."""
    if command == "codsa-eval":
        given = [json.loads(after) for word, after in pairwise(arguments) if word == "--evaluation"]
        return [Path(evaluation["out"], name) for evaluation in given for name in OUTPUTS[command]]
    out = Path(arguments[arguments.index("--out") + 1])
    if command == "codsa-split":
        return [out, out.with_suffix(".json")]
    if command == "codsa-sample":
        shard, shards = map(int, arguments[arguments.index("--shard") + 1].split("/"))
        return [out / f"shard-{shard - 1:04d}-of-{shards:04d}.json"]
    return [out / name for name in OUTPUTS[command]]


def main() -> None:
    """Record the arguments as a line of the file that CALLS names, and make the outputs."""
    command, *arguments = sys.argv[1:]
    with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
        calls.write(json.dumps([command, *arguments]) + "\n")
    for path in outputs(command, arguments):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"outputs": {}}')


if __name__ == "__main__":
    main()
