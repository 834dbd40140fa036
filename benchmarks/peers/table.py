"""The table of all methods: kept as CSV, shown as Markdown with what it does and does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import PEERS
from tasks import TASKS, TEST_ROWS, VALIDATION_ROWS, Task

from codsa.evidence.statistics import corrected

COLUMNS = [
    "task",
    "replicate",
    "method",
    "library",
    "loss",
    "loss_minority",
    "loss_majority",
    "validation",
    "m",
    "alpha",
    "wasserstein",
    "wasserstein_floor",
    "two_sample_auc",
    "nearest_ratio",
    "refused",
    "train_cpu",
    "sample_cpu",
    "train_wall",
    "sample_wall",
    "peak_rss_mb",
    "status",
]
KEY = ["task", "replicate", "method"]
SHOWN = {
    "loss": "loss under Q",
    "loss_minority": "minority",
    "loss_majority": "majority",
    "wasserstein": "W1",
    "nearest_ratio": "nearest ratio",
    "train_cpu": "train CPU-s",
    "sample_cpu": "sample CPU-s",
    "peak_rss_mb": "peak MB",
}
PLACES = {"train_cpu": 1, "sample_cpu": 1, "peak_rss_mb": 0}
STANDING = {
    "loss": "loss under Q",
    "wasserstein": "W1",
    "train_cpu": "CPU-seconds of training",
    "sample_cpu": "CPU-seconds of drawing the pool",
    "peak_rss_mb": "peak memory in MB",
}
"""The figures in which lower is better, by which CoDSA's generator is placed among the others."""
OURS = "codsa"


def merged(path: Path, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Put rows into the CSV, in the place of those with the same key, and return the whole table."""
    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"task": str})
    if path.exists():
        table = pd.concat([pd.read_csv(path, dtype={"task": str}), table], ignore_index=True)
    table = table.drop_duplicates(KEY, keep="last")
    order = {name: place for place, name in enumerate(PEERS)}
    table = table.sort_values(KEY, key=lambda c: c.map(order) if c.name == "method" else c, kind="stable")
    path.parent.mkdir(parents=True, exist_ok=True)
    table.round(6).to_csv(path, index=False)
    return table


def as_markdown(table: pd.DataFrame, limit: float) -> str:
    """Return the page: how it was run, a table per task, where CoDSA's generator is behind."""
    parts = [_opening(table, limit)]
    parts += [_section(TASKS[name], table[table["task"] == name]) for name in TASKS if (table["task"] == name).any()]
    return "\n".join([*parts, _settings(table)])


def _opening(table: pd.DataFrame, limit: float) -> str:
    return f"""# CoDSA's generator and its rivals on the same work

```
{_commands(table)}
```

Every method gets the same training, validation and test rows: on the simulations {VALIDATION_ROWS} and {TEST_ROWS} of
the latter, half from each of the two regions; on real tables the splits of `benchmarks/real_tables.py`. It is trained
on all training rows (r = 1) and generates one pool of rows per region; the estimator is fitted on all real training
rows and the first rows of the pool, for the same grid of (m, α); the point with the best loss on validation rows is
measured on the test rows. Every perceptron gets the same number of gradient steps. Generated rows outside their region,
or outside the range of a column, are drawn again, for all methods alike. No method was tuned here; but CoDSA's defaults
were set in a project whose examples include these two simulations, and the rivals' were not.

- **loss under Q**: test loss, all regions weighted equally; lower is better. Minority and majority: the same point, in
  the smallest and in the largest region.
- **W1**: Wasserstein-1 distance of generated rows to test rows, in normal scores, mean over the regions; lower is
  better.
- **nearest ratio**: median distance of generated rows to the nearest training row, relative to that of test rows; about
  1 is what fresh rows do, far below 1 is near-copying, 0 copying.
- **CPU-s**: user and system time of training, and of drawing the whole pool, on one thread, without imports; **peak
  MB**: resident memory, the library's imports included. The machine was shared, so times are rough.
- **codsa less this**: the loss of CoDSA's generator less the method's, paired by replicate, with its 95 % interval
  where there are three; above 0, CoDSA's generator is behind.
- A method that takes more than {limit:.0f} s of wall-clock time is stopped, and the table says so.

{_caution(table)}
"""


def _commands(table: pd.DataFrame) -> str:
    most = table.groupby("task")["replicate"].max() + 1
    lines = [
        f"python benchmarks/peers/run.py --tasks {name} --replicates {most[name]}" for name in TASKS if name in most
    ]
    tables = " ".join(name for name in TASKS if name in most and TASKS[name].simulation is None)
    made = [f"python benchmarks/real_tables.py --data FOLDER --only {tables}"] if tables else []
    return "\n".join([*made, *lines])


def _caution(table: pd.DataFrame) -> str:
    rounding = (
        "The perceptron's loss hangs on the order of its sums: over one pool (smote, 4.1, replicate 0) it was 0.433,\n"
        "0.435 and 0.439 with two versions of codsa and two numbers of threads. Differences of that size mean nothing."
    )
    counts = table[table["status"] == "ok"].groupby(["task", "method"]).size()
    if not len(counts) or counts.min() < 3:
        return rounding + (
            "\n\nNot every method has three replicates: the order is that of these replicates and no more. "
            "Methods with\ndifferent numbers of replicates are compared by the last column alone. "
            "In 4.2, 16 of the 1,600 test rows made 61 % of\nthe squared error of `none` (replicate 0)."
        )
    return rounding + "\n\nA difference whose interval holds 0 is none that these replicates can show."


def _section(task: Task, rows: pd.DataFrame) -> str:
    done = rows[rows["status"] == "ok"]
    means, spread = done.groupby("method")[list(SHOWN)].mean(), done.groupby("method")["loss"].std(ddof=1)
    counts = done.groupby("method").size()
    lines = [f"## {task.title}", "", _facts(task, done), ""]
    lines += [f"| method | replicates | {' | '.join(SHOWN.values())} | {OURS} less this |"]
    lines += ["| --- " * (len(SHOWN) + 3) + "|"]
    for method in means.sort_values("loss").index:
        cells = [_cell(means.loc[method, key], PLACES.get(key, 3)) for key in SHOWN]
        cells[0] += f" ({spread[method]:.3f})" if counts[method] > 1 else ""
        name = f"**{method}**" if method == OURS else method
        lines.append(f"| {name} | {counts[method]} | {' | '.join(cells)} | {_difference(done, method)} |")
    for row in rows[rows["status"] != "ok"].itertuples():
        lines.append(f"| {row.method} | replicate {row.replicate} | {row.status} |{' |' * len(SHOWN)}")
    return "\n".join([*lines, "", *_behind(done), ""])


def _facts(task: Task, done: pd.DataFrame) -> str:
    floor = done["wasserstein_floor"].mean()
    whose = "" if isinstance(task.grid.alpha[0], str) else " of the minority"
    grid = f"m/n in {{{_list(task.grid.m)}}}, α{whose} in {{{_list(task.grid.alpha)}}}"
    return f"{grid}. Training rows themselves have a W1 of {_cell(floor, 3)}."


def _list(values: Sequence[Any]) -> str:
    return ", ".join(v if isinstance(v, str) else f"{v:g}" for v in values)


def _cell(value: float, places: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{places}f}"


def _gap(done: pd.DataFrame, key: str, method: str) -> np.ndarray:
    """Return CoDSA's figure less a method's, in every replicate that has both."""
    figures = done.pivot(index="replicate", columns="method", values=key)
    if not {OURS, method} <= set(figures):
        return np.array([])
    return (figures[OURS] - figures[method]).dropna().to_numpy(dtype=float)


def _difference(done: pd.DataFrame, method: str) -> str:
    """Return the mean gap in loss; with 3 replicates, its interval."""
    paired = _gap(done, "loss", method)
    if method == OURS or not len(paired):
        return "–"
    found = corrected(paired, ratio=0.0)
    return f"{found.mean:+.3f}" + (f" ({found.low:+.3f} to {found.high:+.3f})" if len(paired) >= 3 else "")


def _behind(done: pd.DataFrame) -> list[str]:
    """Say, figure by figure, which methods are ahead of CoDSA's generator in the replicates of both."""
    if OURS not in set(done["method"]):
        return [f"`{OURS}` has not been run here."]
    found = []
    for key, words in STANDING.items():
        gaps = {name: _gap(done, key, name) for name in done["method"].unique() if name != OURS}
        ahead = {name: gap.mean() for name, gap in gaps.items() if len(gap) and gap.mean() > 0}
        order = sorted(ahead, key=lambda name: -ahead[name])
        said = ", ".join(f"{name} by {_cell(ahead[name], PLACES.get(key, 3))}" for name in order)
        found.append(f"- {words}: {f'behind {said}' if said else 'no method is ahead'}{_sometimes(gaps, ahead)}.")
    return ["Where CoDSA's generator stands, in the replicates that both have:", "", *found]


def _sometimes(gaps: Mapping[str, np.ndarray], ahead: Mapping[str, float]) -> str:
    """Name the methods that are ahead in some replicate, though not in the mean."""
    names = [name for name, gap in gaps.items() if name not in ahead and (gap > 0).any()]
    return f" in the mean; ahead in some replicate: {', '.join(names)}" if names else ""


def _settings(table: pd.DataFrame) -> str:
    lines = ["## Methods", ""]
    for name, peer in PEERS.items():
        versions = table.loc[table["method"] == name, "library"].dropna().unique()
        lines.append(f"- `{name}` ({', '.join(versions) or 'not run'}): {peer.note}.")
    return "\n".join(lines) + "\n"
