"""What the paper's five experiments, and a table of 10⁸ rows, would take on a cluster, from unit costs.

    python benchmarks/scale

Gradient steps, rows drawn and rows fitted are counted from the experiments at scale full, and jobs as the Slurm
profile groups them. What a step, a row and a fit take is measured here, on one core, in about two CPU-minutes;
what no CPU should compute is counted in floating-point operations. No GPU is measured: GPU-hours follow from the
operations and the two assumptions `RATE` and `LAUNCH`. The table is printed and written to
benchmarks/results/scale.md.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from budget import STEPS, fitted_rows, parts, pool_rows
from fits import Fit, measured
from networks import TOKENS, Unit, images, inversion, stable_diffusion, tabular

from codsa.data.split import FOLDS
from codsa.workflow.config import load_experiment
from codsa.workflow.design import ConfiguredGenerator
from codsa.workflow.study import Study

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks/results/scale.md"
RATE = 30e12
"""Operations a second that a data-centre GPU is assumed to sustain: a tenth of an A100's peak in bfloat16."""
LAUNCH = 5e-3
"""Seconds that a gradient step, or a call of a network, is assumed to take on a GPU at least."""
CALLED = 1 << 14
"""Rows that one call draws on a GPU."""
LABELS = (5.4, 0.4e-3)
"""CPU seconds of the ensemble that decides labels, and of its use on a row (benchmarks/results/cost.md)."""
BASE = 0.75
"""GB that a stage takes before its rows: Python, torch, its libraries (peak of stages of 4.1)."""
SAVED = {"mlp": 0.8, "random-forest": 73.0, "tfidf-logistic": 60.0, "autoencoder": 0.9, "logistic": 0.1}
"""MB of a fit's folder, of measured quick runs; tfidf-logistic: five weights for a million terms, and the terms."""
T5_GB = 4 * (248 + 260 + 110) / 1000
"""GB of the weights of inverter, corrector and encoder of the paper's text decoder."""


FACES = 18_200
"""n of 4.4."""


@dataclass(frozen=True)
class Plan:
    """An experiment of the paper: its file, its n at scale full, and the bytes of a row in a Parquet file."""

    title: str
    file: str
    n: int
    row: float
    regions: int = 2


PLANS = (
    Plan("4.1, nine methods", "sim41.yaml", 4000, 100),
    Plan("4.2, eleven methods", "sim42.yaml", 4000, 60),
    Plan("D.1", "sim42_d1.yaml", 4000, 60),
    Plan("D.2", "sim42_d2.yaml", 4000, 60),
    Plan("4.3, texts by inversion", "yelp.yaml", 20_813, 250 + 4 * 768, 5),
    Plan("4.5", "mnist_usps.yaml", 6283, 784),
)


@dataclass
class Totals:
    """What a study takes.

    Attributes
    ----------
    cpu, gpu, fits : float
        Hours of training and sampling, on a core or on a GPU instead, and core-hours of fits.
    storage, memory : float
        GB on disk, and of the job that needs most.
    """

    jobs: int = 0
    tasks: int = 0
    cpu: float = 0.0
    gpu: float = 0.0
    fits: float = 0.0
    storage: float = 0.0
    memory: float = BASE

    def add(self, unit: Unit, steps: float, rows: float, more: float = 0.0, slow: float = 0.0) -> None:
        """Add a training and a pool: `more` operations for each row, `slow` CPU seconds besides."""
        rate = unit.step / unit.step_cpu
        self.cpu += (steps * unit.step_cpu + rows * (unit.row_cpu + more / rate) + slow) / 3600
        self.gpu += max(steps * unit.step / RATE, steps * LAUNCH) / 3600
        calls = math.ceil(rows / CALLED) * unit.calls
        self.gpu += max(rows * (unit.row + more) / RATE, calls * LAUNCH) / 3600
        self.storage += unit.megabytes / 1000


def unit_of(study: Study, source: ConfiguredGenerator, plan: Plan) -> Unit | None:
    """Return the unit costs of a generator; None where it is no network."""
    settings = dict(source.settings)
    if source.name == "image-diffusion":
        return images(28, 1, settings)
    if source.name == "text-diffusion":
        given = {"batch": 256, "depth": 10, "width": 512, "sampler_steps": 24, **settings}
        return tabular(768, plan.regions, given, settings.get("noise_width", 2048))
    if source.name != "tabular-diffusion":
        return None
    latent = study.experiment.pretrain.encoder.get("latent") if (source.transfer or "").startswith("encoder") else None
    return tabular(latent or int(plan.row / 10), plan.regions, settings)


def decoding(source: ConfiguredGenerator) -> float:
    """Return the operations of turning a drawn row into a text."""
    given = source.settings
    if given.get("decoder") != "vec2text":
        return 0.0
    return inversion(given.get("correct_steps", 0), given.get("beam", 1))


def jobs(study: Study) -> tuple[int, int]:
    """Count the jobs that the Slurm profile submits, and how many of them draw a shard."""
    one = study.experiment
    kinds = {source.transfer for source in study.generators.values() if source.transfer}
    kinds |= {"inverter"} if any(map(study.inverters, study.generators)) else set()
    auxiliary = {"fresh" if kind.startswith("fresh") else "source" for kind in kinds}
    fits = sum(len(study.fits(m)) for m in study.methods.values() if not m.choose_from)
    total = len(parts(study)) * one.replicates
    tasks = total * one.shards if one.shards > 1 else 0
    apart = one.replicates * (math.ceil(fits / 5) + 1)
    return 2 + len(auxiliary) + len(kinds) + math.ceil(one.replicates / 10) + total + tasks + apart, tasks


def totals(plan: Plan) -> Totals:
    """Add up a study of the repository at scale full."""
    study = Study(*load_experiment(ROOT / "workflow/experiments" / plan.file, "full"))
    one, total = study.experiment, Totals()
    total.jobs, total.tasks = jobs(study)
    units = {name: unit_of(study, source, plan) for name, source in study.generators.items()}
    for name, _ in sorted(parts(study)):
        source, unit = study.generators[name], units[name]
        rows = pool_rows(study, name) * plan.n
        total.storage += one.replicates * rows * plan.row / 1e9
        if unit is not None:
            labelled = source.name == "tabular-diffusion" and plan.file == "sim41.yaml"
            slow = (LABELS[0] + LABELS[1] * rows) if labelled else 0.0
            steps = float(source.settings.get("steps", STEPS["tabular-diffusion"]))
            for _ in range(one.replicates):
                total.add(unit, steps, rows, decoding(source), slow)
    pretrained = {source.transfer: name for name, source in study.generators.items() if units[name] and source.transfer}
    for kind, name in pretrained.items():
        settings = getattr(study.experiment.pretrain, kind.partition("-")[0], {})
        total.add(units[name], float(settings.get("steps", 3000)), 0)  # type: ignore[arg-type]
    fitted(study, plan, measured(one.estimator), total)
    return total


def fitted(study: Study, plan: Plan, fit: Fit, total: Totals) -> None:
    """Add the fits of a study, and the memory of the largest job."""
    one = study.experiment
    budget = one.estimator.settings.get("budget", "steps" if one.estimator.name == "autoencoder" else "epochs")
    for method in study.methods.values():
        for label in study.fits(method) if not method.choose_from else ():
            grid = study.grid(method)
            points = sum(len(grid["alpha"]) if float(m) else 1 for m in grid["m"])
            rows = (points if budget == "steps" else fitted_rows(study, method, label)) * plan.n
            total.fits += one.replicates * rows * fit.cpu / 3600
            folds = FOLDS if method.cross_fit else 1
            total.storage += one.replicates * folds * SAVED[one.estimator.name] / 1000
    largest = (1 + study.most_synthetic) * plan.n
    decoder = T5_GB if any(map(decoding, study.generators.values())) else 0.0
    total.memory = max(BASE + decoder, BASE + largest * (fit.memory / 1000 + 2 * plan.row / 1e9))


def faces() -> Totals:
    """Count 4.4 at scale full: Stable Diffusion 2 tuned by LoRA, of whose frozen weights no gradient is taken."""
    study = Study(*load_experiment(ROOT / "workflow/experiments/utkface.yaml", "full"))
    call, megabytes = stable_diffusion()
    total = Totals(cpu=math.nan, fits=math.nan, memory=2 * megabytes / 1000)
    total.jobs, total.tasks = jobs(study)
    for name, _ in sorted(parts(study)):
        given = study.generators[name].settings
        if study.generators[name].name == "stable-diffusion":
            rows, calls = pool_rows(study, name) * FACES, 2 * given.get("sampler_steps", 25)
            flops = given["steps"] * given["batch"] * 2 * call + rows * calls * call
            total.gpu += study.experiment.replicates * flops / RATE / 3600
            total.storage += study.experiment.replicates * rows * 64 * 64 * 3 / 1e9
    return total


def large() -> Totals:
    """Extrapolate 10⁸ rows of 41 columns in 1,000 regions from a million rows (benchmarks/results/cost.md)."""
    millions, steps = 100, 3000
    unit = tabular(41, 1000, {})
    total = Totals(jobs=105, tasks=100)
    total.add(unit, steps, millions * 1e6, slow=millions * (10 + 8 + 28) + millions * 1e6 * LABELS[1])
    total.storage = 2 * millions * 0.375
    total.memory = 65
    total.fits = math.nan
    return total


def shown(number: float) -> str:
    """Return a number to two or three digits."""
    if math.isnan(number):
        return "–"
    digits = 2 - math.floor(math.log10(number)) if number >= 1 else 1
    return f"{round(number, digits):,.0f}" if number >= 10 else f"{number:.1f}"


def line(title: str, total: Totals) -> str:
    """Return a row of the table."""
    count = "–" if not total.jobs else f"{total.jobs:,}" + (f", of which {total.tasks:,} shards" if total.tasks else "")
    hours = map(shown, (total.cpu, total.gpu, total.fits))
    sizes = (f"{shown(size)} GB" for size in (total.storage, total.memory))
    return f"| {title} | {count} | " + " | ".join([*hours, *sizes]) + " |"


HEAD = """\
# What the paper's experiments would take

`python benchmarks/scale`, one core, no GPU. Unit costs are measured and studies multiplied out; none of these studies
was run. GPU-hours assume {rate:.0f} TFLOP/s, and at least {launch:.0f} ms for each gradient step and call of a network.
A decoded text of {tokens} tokens takes {text:.1f} TFLOP (20 rounds, 4 kept), an image of Stable Diffusion 2 at 512
pixels {image:.0f} TFLOP (25 calls, guided).

| study, `--config scale=full` | jobs | training and sampling, core-h | or GPU-h | fits, core-h | storage | memory |
|---|---|---|---|---|---|---|
"""


def main() -> None:
    """Print and write the table."""
    torch.set_num_threads(1)
    total = [(plan.title, totals(plan)) for plan in PLANS]
    total.insert(-1, ("4.4, fits not counted", faces()))
    total.append(("10⁸ rows, 41 columns, 1,000 regions; one replicate and r, m = 1, `shards: 100`", large()))
    head = HEAD.format(
        rate=RATE / 1e12,
        launch=1000 * LAUNCH,
        tokens=TOKENS,
        text=inversion(20, 4) / 1e12,
        image=50 * stable_diffusion()[0] / 1e12,
    )
    RESULTS.write_text(head + "\n".join(line(*one) for one in total) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
