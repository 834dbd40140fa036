"""What the adapters share: read the job, time the library, draw until every region is full.

An adapter runs in its library's own environment, where codsa is not installed. It is given a folder
with `train.parquet` (the generated columns and `__region__`) and `job.json`, and leaves one Parquet
file per region and `made.json` there. The columns that job.json names as discrete hold integers that
stand for levels, without order.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

REGION = "__region__"
ROUNDS = 40
"""So many draws may be made to fill a region."""


class Adapter(ABC):
    """A library's generator, made to answer for one region at a time."""

    library = ""
    """The library's distribution, whose version is recorded."""

    def __init__(self, discrete: list[str], **settings: Any) -> None:
        self.discrete, self.settings = discrete, settings

    @abstractmethod
    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Learn the rows; `regions` holds the region of each as an integer."""

    @abstractmethod
    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw about `count` rows of a region; fewer where the library cannot be held to it."""


class PerRegion(Adapter):
    """A library without conditional sampling: one model for each region."""

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, seed: int) -> None:
        """Fit a model on the rows of each region (see `Adapter.fit`)."""
        self.models = {
            int(k): self.fit_one(rows[regions == k].reset_index(drop=True), derived(seed, "fit", int(k)))
            for k in np.unique(regions)
        }

    def sample(self, region: int, count: int, seed: int) -> pd.DataFrame:
        """Draw from the region's model (see `Adapter.sample`)."""
        return self.sample_one(self.models[region], count, seed)

    @abstractmethod
    def fit_one(self, rows: pd.DataFrame, seed: int) -> Any:
        """Return a model of the rows of one region."""

    @abstractmethod
    def sample_one(self, model: Any, count: int, seed: int) -> pd.DataFrame:
        """Draw rows from such a model."""


def worded(rows: pd.DataFrame, discrete: list[str]) -> pd.DataFrame:
    """Return rows with the integers of discrete columns as words, for libraries that tell types by them."""
    return rows.assign(**{name: "level " + rows[name].astype(str) for name in discrete})


def unworded(rows: pd.DataFrame, discrete: list[str]) -> pd.DataFrame:
    """Undo `worded`."""
    return rows.assign(**{name: rows[name].astype(str).str.removeprefix("level ").astype(int) for name in discrete})


def derived(seed: int, *names: object) -> int:
    """Return a seed below 2³¹ that depends on another one and on names."""
    words = [seed, *(b for name in names for b in str(name).encode())]
    return int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)


def cpu_seconds() -> float:
    """Return the CPU-seconds of this process, all its threads, and its ended children."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def peak_mb() -> float:
    """Return the largest resident memory of this process and of its ended children, in MB.

    Linux hands a parent's getrusage maximum on to the program that it starts, so this process's own
    is read from /proc where there is one.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status")
    if status.exists():
        own = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def inside(rows: pd.DataFrame, limits: dict[str, list[float]]) -> np.ndarray:
    """Say which rows keep a region's limits, both of which are included."""
    good = np.ones(len(rows), dtype=bool)
    for column, (low, high) in limits.items():
        good &= rows[column].astype(float).between(low, high).to_numpy()
    return good


def whole(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return rows with some columns rounded, as the pool will be."""
    return rows.assign(**{name: rows[name].astype(float).round() for name in names})


def fill(draw: Callable[[int, int], pd.DataFrame], count: int, limits: dict[str, list[float]], seed: int) -> Any:
    """Draw until `count` rows keep the limits.

    Returns
    -------
    rows : DataFrame of shape (count, d)
    share : float
        Of the rows asked for, those that did not come or did not keep the limits.
    """
    kept: list[pd.DataFrame] = []
    have = asked = 0
    for attempt in range(ROUNDS):
        rate = max(have / asked, 0.02) if asked else 1.0
        wanted = min(int(1.05 * (count - have) / rate) + 16, 8 * count)
        made = draw(wanted, derived(seed, "round", attempt))
        kept.append(made[inside(made, limits)])
        have, asked = have + len(kept[-1]), asked + wanted
        if have >= count:
            return pd.concat(kept, ignore_index=True).iloc[:count], 1 - have / asked
    raise RuntimeError(f"{have} of {asked} rows drawn lie in the region; {count} were needed")


def main(adapter: type[Adapter]) -> None:
    """Run an adapter on the folder named on the command line."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    rows = pd.read_parquet(folder / "train.parquet")
    regions = rows.pop(REGION).to_numpy()
    model = adapter(job["discrete"], **job["settings"])
    start, wall = cpu_seconds(), time.perf_counter()
    model.fit(rows, regions, derived(job["seed"], "fit"))
    trained, trained_wall = cpu_seconds(), time.perf_counter()
    pools, refused = {}, {}
    for k, count in enumerate(job["counts"]):
        seed = derived(job["seed"], "sample", k)
        pools[k], refused[k] = fill(
            lambda n, s, k=k: whole(model.sample(k, n, s), job["whole"]), count, job["limits"][k], seed
        )
    sampled, sampled_wall = cpu_seconds(), time.perf_counter()
    for k, pool in pools.items():
        pool[list(rows.columns)].to_parquet(folder / f"region-{k}.parquet")
    facts = {
        "train_cpu": trained - start,
        "sample_cpu": sampled - trained,
        "train_wall": trained_wall - wall,
        "sample_wall": sampled_wall - trained_wall,
        "peak_rss_mb": peak_mb(),
        "refused": list(refused.values()),
        "library": f"{adapter.library} {metadata.version(adapter.library)}",
    }
    (folder / "made.json").write_text(json.dumps(facts, indent=2))
