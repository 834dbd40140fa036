"""The diffusion generator: training, sampling, quality against calls of the network."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from shared import PLAIN_LABELS, SETTINGS, WORK, Section, Spent, simulation, timed

from codsa.data.metrics import by_region
from codsa.data.preparation import prepare
from codsa.data.schema import Schema
from codsa.data.split import VALIDATION
from codsa.diagnostics.distances import wasserstein
from codsa.encoders.tabular import TabularEncoder
from codsa.estimators import fit_all
from codsa.estimators.base import layout_of, weighted_rows
from codsa.generators import Generator
from codsa.generators.base import BLOCK_ROWS
from codsa.io.devices import mixed_precision
from codsa.io.seeds import stream
from codsa.readers.simulations import simulate
from codsa.settings.columns import ColumnOptions
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.regions import RegionRule
from codsa.stages.sample import draw
from codsa.stages.scoring import evaluation_set
from codsa.stages.train_generator import Trained, Training, train

AUTHORS = 5.9
"""CPU-hours: others' extrapolation from the authors' published code; not measured here."""
CALLS = (4, 6, 8, 12, 18, 24, 36)
SOME_CALLS = (6, 8, 12, 18)


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
        "Denoiser of 4.1 trained as above, second-order DPM-Solver++ with Karras' noise levels. W1: Wasserstein-1 to"
    )
    out.say(
        "fresh rows (1,000 on each side, normal scores), by region. Cross-entropy: the paper's perceptron fitted on"
    )
    out.say("4,000 synthetic rows alone, on fresh rows under Q; mean (standard deviation) of three fits.")
    out.say("")
    head = ["network", "computes in", "calls", "rows per CPU-second", "W1 minority", "W1 majority", "cross-entropy"]
    out.table(head, rows)


def trained(generator: Generator, schema: Schema, name: str) -> Trained:
    """Return a generator as `codsa-sample` reads it from its folder."""
    return Trained(generator, schema, Training(name, {}, 0.5))


def denoiser(r: float = 0.5, **settings: Any) -> tuple[Trained, Spent]:
    """Train on S_g of 4.1."""
    dataset, split = simulation()
    with timed() as spent:
        made = train(dataset, split, r, "tabular-diffusion", {**SETTINGS, **settings}, WORK)
    return trained(made, dataset.schema, "tabular-diffusion"), spent


def pool(generator: Trained, rows: int) -> tuple[list[pd.DataFrame], Spent]:
    """Draw so many rows of each region, checked as `codsa-sample` checks them."""
    with timed() as spent:
        made = [
            draw(generator, k, 0, -(-rows // BLOCK_ROWS), rows, WORK).rows for k in range(len(generator.schema.regions))
        ]
    return made, spent


def at_speed(generator: Trained, calls: int, precision: str) -> tuple[list[pd.DataFrame], float]:
    """Return rows drawn with so many calls, and the better rate of two (other jobs disturb it)."""
    model: Any = generator.generator
    model.sampler_steps, model.recipe = calls, replace(model.recipe, precision=precision)
    found = [pool(generator, 4 * BLOCK_ROWS) for _ in range(2)]
    return found[0][0], 8 * BLOCK_ROWS / min(spent.cpu for _, spent in found)


def fresh_rows(schema: Schema) -> list[pd.DataFrame]:
    """Return 3,000 fresh rows of each region."""
    rows, _ = prepare(simulate("imbalanced-classification", 3000, 3000, 99), ColumnOptions(target="y"), RegionRule())
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
        distances.append(f"{wasserstein(x, y):.3f}")
    fitted_on = pd.concat([rows.iloc[:2000] for rows in made], ignore_index=True)
    candidates = pd.concat(fresh, ignore_index=True)
    test = weighted_rows(candidates, schema, np.ones(len(candidates)))
    region = schema.regions.assign(candidates)
    losses = []
    for seed in range(3):
        fit = fit_all(
            EstimatorSpec(name="mlp", preprocess="none"),
            [weighted_rows(fitted_on, schema, np.ones(len(fitted_on)))],
            evaluation_set(dataset, split, VALIDATION).problem,
            layout_of(schema, split.n),
            stream(seed, "fit"),
        )[0]
        found = by_region("cross-entropy", test.y, fit.predict(test.x), region, split.q, schema.regions.names)
        losses.append(found["overall"])
    return [*distances, f"{np.mean(losses):.3f} ({np.std(losses, ddof=1):.3f})"]
