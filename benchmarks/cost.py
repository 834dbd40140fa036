"""What it costs, as ratios in one run.

    python benchmarks/cost.py [study] [sampling] [grid] [streaming] [training] [forests]

Without names all parts run. CPU time is what counts, wall time stands beside it. The results are
printed and written to benchmarks/results/cost.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

from codsa import diagnostics
from codsa.diffusion.training import mixed_precision
from codsa.encoders.tabular import TabularEncoder
from codsa.estimators import Judge, Problem, fit_all, mlp
from codsa.estimators.base import layout_of, problem
from codsa.fit import judged_rows
from codsa.generators import Generator
from codsa.grid import Grid, arms
from codsa.metrics import by_region
from codsa.prepare import Dataset, Declared, RegionRule, load_dataset, prepare, write_dataset
from codsa.sample import BLOCK, draw
from codsa.schema import Schema
from codsa.simulations import simulate
from codsa.split import VALIDATION, Size, Split, load_split, target_law, write_split
from codsa.split import split as split_rows
from codsa.streams import Work, rng, stream
from codsa.train import Trained, train, write_generator

RESULTS = Path(__file__).parent / "results/cost.md"
AUTHORS = 5.9
"""CPU-hours: others' extrapolation from the authors' published code; not measured here."""
SETTINGS: dict[str, Any] = {"steps": 1800, "batch": 512, "holdout": 0.0, "precision": "auto"}
PLAIN_LABELS = {"labels": "denoiser"}
"""With which the denoiser alone makes a row, label and all."""
CALLS = (4, 6, 8, 12, 18, 24, 36)
SOME_CALLS = (6, 8, 12, 18)
WORK = Work(0, "cost", 0)
M = [round(0.1 * i, 1) for i in range(21)]
ALPHA = [round(0.1 * i, 1) for i in range(1, 10)]


@dataclass
class Spent:
    """CPU and wall seconds of a piece of work, of this process and of those it started."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Measure a piece of work."""
    spent, cpu, wall = Spent(), _cpu(), time.perf_counter()
    yield spent
    spent.cpu, spent.wall = _cpu() - cpu, time.perf_counter() - wall


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass
class Section:
    """What a part prints: lines of text and rows of a table."""

    title: str
    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Add a line and print it at once."""
        self.lines.append(text)
        print(text, flush=True)

    def table(self, head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
        """Add a table."""
        head = list(head)
        for cells in (head, ["---"] * len(head), *rows):
            self.say("| " + " | ".join(str(c) for c in cells) + " |")


# ------------------------------------------------------------------ what the parts share


@cache
def simulation() -> tuple[Dataset, Split]:
    """Return the simulation of 4.1 with the paper's rows, and a split with n = 4,000."""
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    rows, schema = prepare(simulate("imbalanced-classification", 2000, 4400, 0), Declared("y"), RegionRule())
    write_dataset(folder, rows, schema, {})
    dataset = load_dataset(folder)
    q = target_law("balanced", dataset.schema, dataset.regions())
    frame = split_rows(dataset, q, Size(count=1600), Size(count=800), rng(stream(0, "split")))
    write_split(folder / "split.parquet", frame, dataset, q, {})
    return dataset, load_split(folder / "split.parquet", dataset)


def trained(generator: Generator, schema: Schema, name: str) -> Trained:
    """Return a generator as `codsa-sample` reads it from its folder."""
    record = {"inputs": {}, "parameters": {"generator": name, "settings": {}, "r": 0.5, "fold": None}}
    return Trained(generator, schema, record)


def denoiser(r: float = 0.5, **settings: Any) -> tuple[Trained, Spent]:
    """Train on S_g of 4.1."""
    dataset, split = simulation()
    with timed() as spent:
        made = train(dataset, split, r, "tabular-diffusion", {**SETTINGS, **settings}, WORK)
    return trained(made, dataset.schema, "tabular-diffusion"), spent


def pool(generator: Trained, rows: int) -> tuple[list[pd.DataFrame], Spent]:
    """Draw so many rows of each region, checked as `codsa-sample` checks them."""
    with timed() as spent:
        made = [draw(generator, k, 0, -(-rows // BLOCK), rows, WORK).rows for k in range(len(generator.schema.regions))]
    return made, spent


# ------------------------------------------------------------------ the parts


def study(out: Section) -> None:
    """Train and draw 16,000 rows of 4.1, at two ratios."""
    rows = []
    for r in (0.5, 1.0):
        for name, settings in {"ensemble": {}, "denoiser": PLAIN_LABELS}.items():
            generator, training = denoiser(r, **settings)
            _, drawing = pool(generator, 8000)
            cpu = training.cpu + drawing.cpu
            times = f"{training.cpu:.1f}", f"{drawing.cpu:.1f}", f"{cpu:.1f}", f"{training.wall + drawing.wall:.1f}"
            rows.append([f"{r:g}", name, *times, f"{AUTHORS * 3600 / cpu:.0f}"])
    out.say(f"Training on S_g of 4.1 (4,000·r rows) with {json.dumps(SETTINGS)}, then 16,000 rows drawn and checked.")
    out.say("")
    head = ["r", "labels", "training, CPU s", "16,000 rows, CPU s", "both, CPU s", "wall s", "5.9 CPU-hours / this"]
    out.table(head, rows)
    out.say("")
    out.say("5.9 CPU-hours are others' extrapolation from the authors' published code; they were not measured here.")


def sampling(out: Section) -> None:
    """Quality against calls of the network, and rows per CPU-second."""
    dataset, _ = simulation()
    # Fresh rows of the very law: the simulation's classes are ranks, so more of the same pool would have other edges.
    fresh = fresh_rows(dataset.schema)
    ways = [(256, "no", CALLS), (256, "bf16", SOME_CALLS), (128, "no", SOME_CALLS), (128, "bf16", SOME_CALLS)]
    rows: list[list[str]] = [["real rows of S_g", "–", "–", "–", *quality(training_rows(), fresh)]]
    networks = {width: denoiser(**PLAIN_LABELS, width=width)[0] for width in (256, 128)}
    for width, kind, every in ways:
        if kind != mixed_precision(kind if kind == "no" else "auto"):
            continue
        for calls in every:
            made, speed = at_speed(networks[width], calls, kind)
            name = "float32" if kind == "no" else "bfloat16"
            rows.append([f"{width} wide", name, str(calls), f"{speed:,.0f}", *quality(made, fresh)])
            print(rows[-1], file=sys.stderr, flush=True)
    out.say(
        "Denoiser of 4.1 trained as above, third-order DPM-Solver++ with Karras' noise levels. W1: Wasserstein-1 to"
    )
    out.say(
        "fresh rows (1,000 on each side, normal scores), by region. Cross-entropy: the paper's perceptron fitted on"
    )
    out.say("4,000 synthetic rows alone, on fresh rows under Q; mean (standard deviation) of three fits.")
    out.say("")
    head = ["network", "computes in", "calls", "rows per CPU-second", "W1 minority", "W1 majority", "cross-entropy"]
    out.table(head, rows)


def at_speed(generator: Trained, calls: int, precision: str) -> tuple[list[pd.DataFrame], float]:
    """Return rows drawn with so many calls, and the better rate of two (other jobs disturb it)."""
    model: Any = generator.generator
    model.sampler_steps, model.recipe = calls, replace(model.recipe, precision=precision)
    found = [pool(generator, 4 * BLOCK) for _ in range(2)]
    return found[0][0], 8 * BLOCK / min(spent.cpu for _, spent in found)


def fresh_rows(schema: Schema) -> list[pd.DataFrame]:
    """Return 3,000 fresh rows of each region."""
    rows, _ = prepare(simulate("imbalanced-classification", 3000, 3000, 99), Declared("y"), RegionRule())
    region = schema.regions.assign(rows)
    return [rows[region == k].reset_index(drop=True) for k in range(len(schema.regions))]


def training_rows() -> list[pd.DataFrame]:
    """Return the rows of S_g by region."""
    dataset, split = simulation()
    ids = split.generator_rows(0.5)
    region = dataset.regions()[ids]
    return [dataset.part(ids[region == k]) for k in range(len(dataset.schema.regions))]


def quality(made: list[pd.DataFrame], fresh: list[pd.DataFrame]) -> list[str]:
    """Return the distances by region and the cross-entropy of a perceptron fitted on the rows alone."""
    dataset, split = simulation()
    schema = dataset.schema
    encoder = TabularEncoder.fit(pd.concat(fresh), [c for c in schema.modelled if c.name != schema.target])
    distances = []
    for a, b in zip(made, fresh, strict=True):
        x, y = (encoder.encode(rows.iloc[:1000]) for rows in (a, b))
        distances.append(f"{diagnostics.wasserstein(x, y):.3f}")
    fitted_on = pd.concat([rows.iloc[:2000] for rows in made], ignore_index=True)
    judged = pd.concat(fresh, ignore_index=True)
    test = problem(judged, schema, np.ones(len(judged)))
    region = schema.regions.assign(judged)
    losses = []
    for seed in range(3):
        fit = fit_all(
            Judge("mlp", "none"),
            [problem(fitted_on, schema, np.ones(len(fitted_on)))],
            judged_rows(dataset, split, VALIDATION).problem,
            layout_of(schema, split.n),
            stream(seed, "fit"),
        )[0]
        found = by_region("cross-entropy", test.y, fit.predict(test.x), region, split.q, schema.regions.names)
        losses.append(found["overall"])
    return [*distances, f"{np.mean(losses):.3f} ({np.std(losses, ddof=1):.3f})"]


def grid(out: Section) -> None:
    """Fit the paper's grid of perceptrons together, one by one, and in other ways."""
    dataset, split = simulation()
    problems = grid_problems()
    validation = judged_rows(dataset, split, VALIDATION).problem
    layout = layout_of(dataset.schema, split.n)

    def fit(some: list[Problem], **settings: Any) -> tuple[np.ndarray, Spent]:
        with timed() as spent:
            fitted = fit_all(Judge("mlp", "none", settings), some, validation, layout, stream(0, "fit"))
        return np.stack([one.predict(validation.x) for one in fitted]), spent

    some = problems[4::9]
    fit(some[:1], epochs=1)  # what is imported and allocated once does not count
    together, whole = fit(some)
    alone = [fit([one]) for one in some]
    apart = sum(spent.cpu for _, spent in alone) / len(some)
    stack, mlp.CACHED = mlp.CACHED, 2**62
    high, stacked = fit(some)
    mlp.CACHED = stack
    usual = sum(plain_torch(one, validation, 400) for one in some[::4]) / len(some[::4])
    process = command_per_arm()
    each = whole.cpu / len(some)
    difference = np.abs(together - np.concatenate([found for found, _ in alone])).max()
    out.say(
        f"21 m × 9 α on 4.1, n = 4,000: {len(problems)} arms (m = 0 is one for all α), the paper's perceptron, 400 "
        "gradient steps of 1,024 rows for each, early stop. Every ninth arm is measured; all would take "
        f"{each * len(problems):.0f} CPU s in one call."
    )
    out.say("")
    rows = [
        ["all in one call", f"{each:.2f}", "1"],
        ["the same code, one arm at a time", f"{apart:.2f}", f"{apart / each:.2f}"],
        ["one stack of all arms", f"{stacked.cpu / len(some):.2f}", f"{stacked.cpu / len(some) / each:.2f}"],
        ["torch modules with a DataLoader, 400 steps, no early stop", f"{usual:.2f}", f"{usual / each:.2f}"],
        ["a `codsa-fit` for each arm", f"{process:.2f}", f"{process / each:.2f}"],
    ]
    out.table(["how", "CPU s per arm", "ratio"], rows)
    out.say("")
    out.say(
        f"Largest difference of a predicted probability between one call and one by one: {difference:.1e}; between one "
        f"call and one stack of all: {np.abs(together - high).max():.1e}."
    )
    out.say("")
    floor = multiply_floor()
    out.say(
        f"The matrix products of one step of one arm alone take {1000 * floor:.2f} ms here, of which there are "
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
def grid_problems() -> list[Problem]:
    """Return the arms of the paper's grid at r = 0.5; their synthetic rows are real ones drawn again."""
    dataset, split = simulation()
    found = arms(Grid(M, ALPHA, focus="0"), 0.5, split, dataset.schema)
    need = np.max([arm.counts for arm in found], axis=0)
    made = train(dataset, split, 0.5, "bootstrap", {}, WORK)
    drawn = [made.sample(k, int(count), stream(0, "draw", k)) for k, count in enumerate(need)]
    real = dataset.part(split.reserved_rows(0.5))

    def rows(counts: np.ndarray) -> pd.DataFrame:
        return pd.concat([real, *(part.iloc[:c] for part, c in zip(drawn, counts, strict=True))], ignore_index=True)

    return [problem(one, dataset.schema, np.ones(len(one))) for one in (rows(arm.counts) for arm in found)]


def plain_torch(arm: Problem, validation: Problem, steps: int) -> float:
    """Return the CPU seconds of a fit as it is usually written: modules, DataLoader, Adam."""
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    x, y = (torch.from_numpy(part.astype(np.float32)) for part in (arm.x, arm.y))
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


def command_per_arm() -> float:
    """Return the CPU seconds of one arm fitted by a command of its own."""
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
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


def peaks(code: str) -> tuple[Spent, float, float]:
    """Run Python code in a process of its own.

    Returns
    -------
    spent : Spent
    resident, own : float
        Peak memory in MB: all that is resident, and without pages mapped from files.
    """
    with timed() as spent:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        own = 0.0
        while child.poll() is None:
            own = max(own, _anonymous(child.pid))
            time.sleep(0.05)
        error = child.stderr.read().decode() if child.stderr else ""
    if child.returncode:
        raise RuntimeError(error[-2000:])
    resident = float(re.findall(r"PEAK (\d+)", error)[-1]) / 1024
    return spent, resident, own


def _anonymous(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


PEAK = "\nimport resource, sys; print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"


def streaming(out: Section) -> None:
    """Draw 10⁷ rows to a pool, and few rows for comparison."""
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    dataset, split = simulation()
    tiny = {**SETTINGS, **PLAIN_LABELS, "steps": 20, "width": 16, "depth": 1, "sampler_steps": 2}
    kinds: dict[str, dict[str, Any]] = {"bootstrap": {}, "tabular-diffusion": tiny}
    rows = []
    for name, settings in kinds.items():
        made = train(dataset, split, 0.5, name, settings, WORK)
        parameters = {"generator": name, "settings": settings, "r": 0.5, "fold": None}
        write_generator(folder / name, made, dataset.schema, {"dataset": "", "split": ""}, parameters)
        for count in (10**5, 10**7) if name == "bootstrap" else (10**5, 10**6):
            code = (
                "import sys\nfrom codsa.cli.sample import main\n"
                f"sys.argv = ['codsa-sample', '--generator', {str(folder / name)!r}, '--rows', '{count // 2}', "
                f"'--out', {str(folder / f'{name}-{count}')!r}]\ntry:\n    main()\nexcept SystemExit as end:\n"
                f"    assert not end.code{PEAK}"
            )
            spent, resident, _ = peaks(code)
            label = name if name == "bootstrap" else "a tiny denoiser, 2 calls"
            rows.append([label, f"{count:,}", f"{resident:.0f}", f"{spent.cpu:.0f}", f"{spent.wall:.0f}"])
    out.say("`codsa-sample` of 4.1 (11 columns, 2 regions) in a process of its own, checked rows written to Parquet.")
    out.say("")
    out.table(["generator", "rows", "peak memory, MB", "CPU s", "wall s"], rows)


def training(out: Section) -> None:
    """Train from a table that stays in its file, and from the same table held in memory."""
    folder = Path(tempfile.mkdtemp(prefix="cost-"))
    rows, columns = 1_000_000, 40
    random = np.random.default_rng(0)
    values = random.normal(size=(rows, columns))
    frame = pd.DataFrame(values, columns=[f"x{j}" for j in range(columns)]).assign(y=np.arange(rows) % 7 == 0)
    table, schema = prepare(frame, Declared("y"), RegionRule())
    write_dataset(folder / "data", table, schema, {})
    megabytes = int(table.memory_usage(deep=True).sum() / 2**20)
    del values, frame, table
    settings = {**SETTINGS, **PLAIN_LABELS, "steps": 200, "width": 64, "depth": 1}
    found = []
    for name, limit in (("left in its file", "rows.STREAMED"), ("held in memory", "10**18")):
        begin = f"import sys\nfrom codsa import rows\nrows.STREAMED = {limit}\n"
        split = f"['codsa-split', '--data', {str(folder / 'data')!r}, '--out', {str(folder / 'split.parquet')!r}]"
        fit = (
            f"['codsa-train-gen', '--data', {str(folder / 'data')!r}, '--split', {str(folder / 'split.parquet')!r}, "
            f"'--out', {str(folder / 'generator')!r}, "
            + ", ".join(f"'--set', '{key}={value}'" for key, value in settings.items())
            + "]"
        )
        for stage, arguments in (("split", split), ("train_gen", fit)):
            code = (
                f"{begin}from codsa.cli.{stage} import main\nsys.argv = {arguments}\ntry:\n    main()\n"
                f"except SystemExit as end:\n    assert not end.code{PEAK}"
            )
            spent, resident, own = peaks(code)
            found.append(
                [f"codsa-{stage.replace('_', '-')}", name, f"{own:.0f}", f"{resident:.0f}", f"{spent.cpu:.0f}"]
            )
    out.say(f"A table of {rows:,} rows and {columns + 1} columns, {megabytes} MB in memory; 200 steps of training.")
    out.say("")
    head = ["stage", "table", "peak of its own memory, MB", "with pages mapped from files, MB", "CPU s"]
    out.table(head, found)


def forests(out: Section) -> None:
    """Fit the arms of a grid of forests one after the other, side by side, and in two jobs at once."""
    problems = sorted(grid_problems(), key=lambda one: len(one.y))[-4:]
    parts = {f"{name}{i}": v for i, p in enumerate(problems) for name, v in (("x", p.x), ("y", p.y))}
    np.savez(file := Path(tempfile.mkdtemp(prefix="cost-")) / "arms.npz", **parts)
    code = (
        "import numpy as np, sys\nfrom codsa.estimators import Judge, Problem, fit_all\n"
        "from codsa.estimators.base import Layout\nfrom codsa.streams import stream\n"
        f"a = np.load({str(file)!r})\n"
        "p = [Problem(a[f'x{i}'], a[f'y{i}'], np.ones(len(a[f'y{i}']))) for i in range(4)]\n"
        "l = Layout('classification', 2, list(range(10)), [], 4000)\n"
        "fit_all(Judge('random-forest'), p, p[0], l, stream(0, 'f'), int(sys.argv[1]))\n"
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


PARTS: dict[str, tuple[str, Callable[[Section], None]]] = {
    "study": ("Training and 16,000 rows", study),
    "sampling": ("Quality against calls of the network", sampling),
    "grid": ("The grid of perceptrons", grid),
    "streaming": ("Memory of a large pool", streaming),
    "training": ("Memory of a large table", training),
    "forests": ("Forests in parallel", forests),
}


def machine() -> str:
    """Describe the machine in plain words."""
    half = "with" if mixed_precision("auto") == "bf16" else "without"
    gpu = "a GPU" if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} cores ({platform.machine()}, {half} bfloat16 arithmetic), {gpu}, shared with other jobs"


def write(sections: dict[str, Section], spent: Spent) -> None:
    """Write the sections that were run over those of the file, keeping the others."""
    kept = {}
    if RESULTS.exists():
        parts = re.split(r"^## (.+)\n", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        kept = dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
    kept |= {made.title: "\n".join(made.lines) for made in sections.values()}
    head = (
        "# What it costs\n\n`make bench`, or `python benchmarks/cost.py " + " ".join(PARTS) + "`, one thread each; "
        f"{machine()}. CPU seconds, so that the other jobs count little.\nThe last run ({', '.join(sections)}) took "
        f"{spent.cpu / 60:.0f} CPU-minutes.\n"
    )
    ordered = [f"## {title}\n\n{kept[title]}\n" for title, _ in PARTS.values() if title in kept]
    RESULTS.write_text("\n".join([head, *ordered]), encoding="utf-8")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args().parts or list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        parser.error(f"no part '{unknown[0]}'; the parts are {', '.join(PARTS)}")
    torch.set_num_threads(1)
    sections = {}
    with timed() as spent:
        for name in chosen:
            title, part = PARTS[name]
            print(f"\n## {title}\n", flush=True)
            sections[name] = Section(title)
            part(sections[name])
    write(sections, spent)


if __name__ == "__main__":
    main()
