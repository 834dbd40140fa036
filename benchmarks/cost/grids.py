"""Estimators over the paper's grid: perceptrons as one computation, forests side by side."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from shared import WORK, Section, Spent, scratch, simulation, timed

from codsa.data.grid import points
from codsa.data.split import VALIDATION
from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import layout_of, weighted_rows
from codsa.estimators.tables import mlp
from codsa.io.seeds import stream
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.stages.scoring import evaluation_set
from codsa.stages.train_generator import train

M = [round(0.1 * i, 1) for i in range(21)]
ALPHA = [round(0.1 * i, 1) for i in range(1, 10)]


def grid(out: Section) -> None:
    """Fit the paper's grid of perceptrons together, one by one, and in other ways."""
    dataset, split = simulation()
    problems = grid_problems()
    validation = evaluation_set(dataset, split, VALIDATION).problem
    layout = layout_of(dataset.schema, split.n)

    def fit(some: list[WeightedRows], **settings: Any) -> tuple[np.ndarray, Spent]:
        with timed() as spent:
            fitted = fit_all(
                EstimatorSpec(name="mlp", preprocess="none", settings=settings),
                some,
                validation,
                layout,
                stream(0, "fit"),
            )
        return np.stack([one.predict(validation.x) for one in fitted]), spent

    some = problems[4::9]
    fit(some[:1], epochs=1)  # what is imported and allocated once does not count
    predictions, one_call = fit(some)
    alone = [fit([one]) for one in some]
    apart = sum(spent.cpu for _, spent in alone) / len(some)
    stack, mlp.CACHED = mlp.CACHED, 2**62
    high, stacked = fit(some)
    mlp.CACHED = stack
    usual = sum(plain_torch(one, validation, 400) for one in some[::4]) / len(some[::4])
    process = command_per_grid_point()
    each = one_call.cpu / len(some)
    difference = np.abs(predictions - np.concatenate([found for found, _ in alone])).max()
    out.say(
        f"21 m × 9 α on 4.1, n = 4,000: {len(problems)} grid points (m = 0 is one for all α), the paper's perceptron, "
        "400 gradient steps of 1,024 rows for each, early stop. Every ninth grid point is measured; all would take "
        f"{each * len(problems):.0f} CPU s in one call."
    )
    out.say("")
    rows = [
        ["all in one call", f"{each:.2f}", "1"],
        ["the same code, one grid point at a time", f"{apart:.2f}", f"{apart / each:.2f}"],
        ["one stack of all grid points", f"{stacked.cpu / len(some):.2f}", f"{stacked.cpu / len(some) / each:.2f}"],
        ["torch modules with a DataLoader, 400 steps, no early stop", f"{usual:.2f}", f"{usual / each:.2f}"],
        ["a `codsa-fit` for each grid point", f"{process:.2f}", f"{process / each:.2f}"],
    ]
    out.table(["how", "CPU s per grid point", "ratio"], rows)
    out.say("")
    out.say(
        f"Largest difference of a predicted probability between one call and one by one: {difference:.1e}; between one "
        f"call and one stack of all: {np.abs(predictions - high).max():.1e}."
    )
    out.say("")
    floor = multiply_floor()
    out.say(
        f"The matrix products of one step of one grid point alone take {1000 * floor:.2f} ms here, of which there are "
        f"{400 * floor:.2f} s in 400 steps: that no batching on one core can save."
    )
    tiny, little = ({"hidden": [16, 16], "batch": 64, "epochs": 20} for _ in range(2))
    _, many = fit(some, **tiny)
    ones = sum(fit([one], **little)[1].cpu for one in some)
    out.say("")
    out.say(
        f"Where calls and not products cost, stacking pays: {len(some)} perceptrons of 2 × 16 units with batches of 64 "
        f"are fitted together {ones / many.cpu:.1f} times as fast as one by one."
    )


@cache
def grid_problems() -> list[WeightedRows]:
    """Return the grid points of the paper's grid at r = 0.5; their synthetic rows are real ones drawn again."""
    dataset, split = simulation()
    found = points(Grid(m=M, alpha=ALPHA, focus="0"), 0.5, split, dataset.schema)
    need = np.max([point.counts for point in found], axis=0)
    made = train(dataset, split, 0.5, "bootstrap", {}, WORK)
    drawn = [made.sample(k, int(count), stream(0, "draw", k)) for k, count in enumerate(need)]
    real = dataset.part(split.reserved_rows(0.5))

    def rows(counts: np.ndarray) -> pd.DataFrame:
        return pd.concat([real, *(part.iloc[:c] for part, c in zip(drawn, counts, strict=True))], ignore_index=True)

    return [weighted_rows(one, dataset.schema, np.ones(len(one))) for one in (rows(point.counts) for point in found)]


def plain_torch(point: WeightedRows, validation: WeightedRows, steps: int) -> float:
    """Return the CPU seconds of a fit as it is usually written: modules, DataLoader, Adam."""
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    x, y = (torch.from_numpy(part.astype(np.float32)) for part in (point.x, point.y))
    held, target = (torch.from_numpy(part.astype(np.float32)) for part in (validation.x, validation.y))
    with timed() as spent:
        net = nn.Sequential(
            nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, 1),
        )  # fmt: skip
        optimizer = torch.optim.Adam(net.parameters())
        loss = nn.BCEWithLogitsLoss()
        step = 0
        while step < steps:
            for a, b in DataLoader(TensorDataset(x, y), 1024, shuffle=True):
                optimizer.zero_grad()
                loss(net(a)[:, 0], b).backward()
                optimizer.step()
                step += 1
                if step % 4 == 0:
                    with torch.no_grad():
                        loss(net(held)[:, 0], target)
                if step == steps:
                    break
    return spent.cpu


def multiply_floor() -> float:
    """Return the CPU seconds of the matrix products in one gradient step of the paper's perceptron."""
    a, b = torch.randn(1024, 128), torch.randn(128, 128)
    small, first = torch.randn(1024, 10), torch.randn(10, 128)
    best = []
    for _ in range(5):
        with timed() as spent:
            for _ in range(40):
                for _ in range(4):
                    a @ b
                for _ in range(2):
                    a.T @ a
                for _ in range(2):
                    small @ first
        best.append(spent.cpu / 40)
    return min(best)


def command_per_grid_point() -> float:
    """Return the CPU seconds of one grid point fitted by a command of its own."""
    folder = scratch()
    run("prepare", "simulation:imbalanced-classification", "--out", folder / "data")
    given = ["--data", folder / "data", "--split", folder / "split.parquet"]
    run("split", "--data", folder / "data", "--validation", "800", "--test", "1600", "--out", folder / "split.parquet")
    run("train-gen", *given, "--r", "0.5", "--generator", "bootstrap", "--out", folder / "generator")
    run("sample", "--generator", folder / "generator", "--rows", "8000", "--out", folder / "pool")
    found = []
    for m in (0.5, 1.5):
        with timed() as spent:
            chosen = ["--r", "0.5", "--m", m, "--alpha", "0.5", "--preprocess", "none"]
            run("fit", *given, "--pool", folder / "pool", *chosen, "--out", folder / f"fit{m}")
        found.append(spent.cpu)
    return float(np.mean(found))


def run(command: str, *arguments: object) -> None:
    """Run a command of the package on one thread."""
    code = f"from codsa.cli.{command.replace('-', '_')} import main; main()"
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True)


def forests(out: Section) -> None:
    """Fit the grid points of a grid of forests one after the other, side by side, and in two jobs at once."""
    problems = sorted(grid_problems(), key=lambda one: len(one.y))[-4:]
    parts = {f"{name}{i}": v for i, p in enumerate(problems) for name, v in (("x", p.x), ("y", p.y))}
    np.savez(file := scratch() / "points.npz", **parts)
    code = (
        "import numpy as np, sys\nfrom codsa.estimators import EstimatorSpec, WeightedRows, fit_all\n"
        "from codsa.estimators.base import FeatureLayout\nfrom codsa.io.seeds import stream\n"
        f"a = np.load({str(file)!r})\n"
        "p = [WeightedRows(a[f'x{i}'], a[f'y{i}'], np.ones(len(a[f'y{i}']))) for i in range(4)]\n"
        "l = FeatureLayout('classification', 2, list(range(10)), [], 4000)\n"
        "fit_all(EstimatorSpec('random-forest'), p, p[0], l, stream(0, 'f'), int(sys.argv[1]))\n"
    )

    def jobs(count: int, cores: int) -> Spent:
        with timed() as spent:
            started = [subprocess.Popen([sys.executable, "-c", code, str(cores)]) for _ in range(count)]
            for job in started:
                job.wait()
        return spent

    one = jobs(1, 1)
    ways = {"one job, one core": one, "one job, two cores": jobs(1, 2), "two jobs at once, one core each": jobs(2, 1)}
    out.say(f"Four random forests of 100 trees on up to {len(problems[-1].y):,} rows of the grid of 4.1, per job.")
    out.say("")
    rows = [[name, f"{s.cpu:.1f}", f"{s.wall:.1f}", f"{s.wall / one.wall:.2f}"] for name, s in ways.items()]
    out.table(["how", "CPU s", "wall s", "wall time, relative"], rows)
