"""Rival libraries and CoDSA's generator on the same splits, the same grid and the same estimator.

    python benchmarks/peers/run.py [--only NAME …] [--tasks 41 42] [--replicates 1] [--work FOLDER]
    python benchmarks/peers/run.py --tasks german_credit wine_quality --tables results/real-tables

Run it with the project's environment. Each rival gets a virtual environment of its own under the work
folder, made from benchmarks/peers/requirements. What is done is not done again, so an interrupted run
continues; --force does it again, --judge fits and measures again with the pools that are there. The
figures go to OUT.csv, in which rows of the same task, replicate and method are replaced, and OUT.md is
written from all rows of OUT.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from harness import REGION
from levels import coded
from peers import HERE, PEERS, Peer, PeerError, one_thread, python_of
from table import as_markdown, merged
from tasks import TASKS, Piece, fitted, likeness, losses, open_piece, read_pool, seed_of

from codsa.errors import CodsaError
from codsa.io.records import write_json


def over(limit: float) -> str:
    """Return the status of a method that was stopped."""
    return f"stopped: over the limit of {limit:g} s"


def job(piece: Piece, method: str, peer: Peer) -> dict[str, Any]:
    """Return the job of an adapter: its seed, settings and counts."""
    files = {"data": str(piece.data.resolve()), "split": str(piece.split_file.resolve())} if peer.own else {}
    return {
        "seed": seed_of(piece, method),
        "settings": {**peer.settings, **files},
        "counts": piece.counts(),
        "limits": piece.limits(coded=not peer.own),
        "whole": [c.name for c in piece.dataset.schema.generated if c.type == "integer" and not peer.own],
        "discrete": [c.name for c in coded(piece.dataset.schema)],
    }


def generate(piece: Piece, method: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run a method's adapter in its environment and return what it measured of itself.

    Raises
    ------
    PeerError
        When its environment cannot be made, it fails, or it takes longer than the limit.
    """
    peer, made = PEERS[method], folder / "made.json"
    if options.judge and made.exists():
        return json.loads(made.read_text())
    python = python_of(peer, options.work)
    rows, regions = piece.training()
    rows.assign(**{REGION: regions}).to_parquet(folder / "train.parquet")
    write_json(folder / "job.json", job(piece, method, peer))
    command = [str(python), str(HERE / f"adapter_{peer.adapter}.py"), str(folder)]
    code = bounded(command, folder, options.limit)
    if code is None:
        raise PeerError(over(options.limit))
    if code or not made.exists():
        said = [line for line in (folder / "log.txt").read_text().splitlines() if line.strip()] or ["no message"]
        raise PeerError(f"failed: {said[-1].strip()[:200]}")
    return json.loads(made.read_text())


def bounded(command: Sequence[str], folder: Path, limit: float) -> int | None:
    """Run a command with all its children for at most `limit` seconds; None where that was too short."""
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=one_thread(), start_new_session=True
        )
        try:
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def judge(piece: Piece, method: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run a method and return its row of the table."""
    if PEERS[method].adapter is None:
        return {"library": "codsa", **losses(piece, fitted(piece, None, method == "weighted"))}
    facts = generate(piece, method, folder, options)
    refused = facts.pop("refused")
    parts = [pd.read_parquet(folder / f"region-{k}.parquet") for k in range(len(piece.names))]
    pool = read_pool(piece, parts, coded=not PEERS[method].own)
    facts["refused"] = max(refused)
    return {**facts, **losses(piece, fitted(piece, pool)), **likeness(piece, pool)}


def one(piece: Piece, method: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return a method's row of the table: of an earlier run, or a new one."""
    folder = (piece.folder / method).resolve()
    result = folder / "result.json"
    if result.exists() and not options.force and not options.judge:
        row: dict[str, Any] = json.loads(result.read_text())
        if row["status"] in ("ok", over(options.limit)):
            return row
    if options.force or not options.judge:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    row = {"task": piece.task.name, "replicate": piece.replicate, "method": method}
    try:
        row |= {**judge(piece, method, folder, options), "status": "ok"}
    except (PeerError, CodsaError, ValueError) as error:
        row |= {"status": str(error)}
    write_json(result, row)
    return row


def main() -> None:
    """Run the methods on the tasks, one after the other, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=list(PEERS), choices=list(PEERS), metavar="NAME")
    parser.add_argument("--tasks", nargs="+", default=["41", "42"], choices=list(TASKS))
    parser.add_argument("--replicates", type=int, default=1, help="replicates 0 … N-1")
    parser.add_argument("--work", type=Path, default=Path("results/peers"), help="environments, pools and rows")
    parser.add_argument(
        "--tables", type=Path, default=Path("results/real-tables"), help="where benchmarks/real_tables.py left its work"
    )
    parser.add_argument("--limit", type=float, default=900, help="wall-clock seconds for one adapter")
    parser.add_argument("--force", action="store_true", help="do again what is done, for the chosen methods")
    parser.add_argument("--judge", action="store_true", help="fit and measure again, with the pools that are there")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "peers", help="without its ending")
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # libraries read it when they are loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], one_thread())
    options.work = options.work.resolve()
    for replicate in range(options.replicates):
        for task in options.tasks:
            piece = open_piece(TASKS[task], replicate, options.work, options.tables)
            for method in options.only:
                start = time.perf_counter()
                row = one(piece, method, options)
                figure = f"{row['loss']:.4f}" if "loss" in row else row["status"]
                print(
                    f"{task} replicate {replicate} {method}: {figure} ({time.perf_counter() - start:.0f} s)", flush=True
                )
                table = merged(options.out.with_suffix(".csv"), [row])
                options.out.with_suffix(".md").write_text(as_markdown(table, options.limit))


if __name__ == "__main__":
    main()
