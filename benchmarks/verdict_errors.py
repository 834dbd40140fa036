"""How often the verdict errs: simulated studies whose truth is known.

    python benchmarks/verdict_errors.py [--studies 500] [--out benchmarks/results/verdict_errors.md]

A study is one sample of 400 or 2,000 rows, re-split 5 or 10 times: 55 % train, 15 % validate and 30 % test. So its
replicates share rows, as those of a real study do. Every method is a logistic regression on the sample's
features, blurred by noise of its own; the noise is drawn once per sample and method. Methods with noise of one size
have one expected loss, whatever a sample says. A study has a primary arm, eight controls, the plain model among them,
and the control that validation rows choose in each replicate (`control-auto`). Three truths:

- no gain: the primary arm and all eight controls have one expected loss;
- one as good: so have the primary arm and one control, and the other seven are 20 % worse;
- a gain of 5 %: the primary arm's expected loss is 5 % below that of all eight controls.

The verdict is that of `codsa.evidence.judgement`. Naive statistics are ordinary paired t-intervals over replicates
without an adjustment for the number of comparisons.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit

from codsa.evidence.judgement import Comparison, VerdictKind, band_of, compared, kind_of, reference_of
from codsa.evidence.statistics import LEVEL
from codsa.evidence.studies import CONTROL_AUTO, PLAIN
from codsa.io.seeds import rng, stream

SEED = 16
ROWS = (400, 2000)
"""Of a sample."""
TRAIN, VALIDATION, TEST = 0.55, 0.15, 0.30
"""Shares of the rows."""
FEATURES = 5
RESPLITS = (5, 10)
CONTROLS = 8
NOISE = 0.6
"""Standard deviation of a method's own noise; the features have 1."""
WORSE, BETTER = 1.20, 0.95
"""Expected loss relative to that of NOISE."""
CALIBRATION_SAMPLES = 300
NEWTON_STEPS = 8
METRIC = "cross-entropy"
PRIMARY = "primary"
KINDS: tuple[VerdictKind, ...] = ("better", "same", "worse", "open")


@dataclass(frozen=True)
class Truth:
    """A row of the table: its title, and the noise of the primary arm and of the controls."""

    title: str
    primary: float
    controls: list[float]


def sample(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of shape (rows, FEATURES) and classes of shape (rows,)."""
    x = random.normal(size=(rows, FEATURES))
    probability = expit(1.2 * x.sum(axis=1))
    return x, (random.random(rows) < probability).astype(int)


def logistic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return coefficients of many logistic regressions at once, by Newton's method.

    The penalty is scikit-learn's default (C = 1, none on the intercept), of which it is the solution, too: one call of
    scikit-learn for each of the many thousand fits would take most of an hour.

    Parameters
    ----------
    x : ndarray of shape (fits, n, d)
        The last feature is the constant 1.
    y : ndarray of shape (fits, n)

    Returns
    -------
    ndarray of shape (fits, d)
    """
    penalty = np.append(np.ones(x.shape[2] - 1), 0.0)
    beta = np.zeros((len(x), x.shape[2]))
    for _ in range(NEWTON_STEPS):
        p = expit(np.einsum("fnd,fd->fn", x, beta))
        gradient = np.einsum("fnd,fn->fd", x, p - y) + penalty * beta
        hessian = np.matmul(x.transpose(0, 2, 1) * (p * (1 - p))[:, None, :], x) + np.diag(penalty)
        beta -= np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
    return beta


def losses(x: np.ndarray, y: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each fit on rows of its own, ndarray of shape (fits,)."""
    signed = np.where(y == 1, 1.0, -1.0) * np.einsum("fnd,fd->fn", x, beta)
    return np.asarray(-log_expit(signed).mean(axis=1))


def blurred(x: np.ndarray, noise: float, random: np.random.Generator) -> np.ndarray:
    """Return features with noise, and the constant 1 behind them."""
    return np.column_stack([x + noise * random.normal(size=x.shape), np.ones(len(x))])


@cache
def expected_loss(noise: float, rows: int) -> float:
    """Return the expected loss at a size of noise, on many test rows; the same streams for every size."""
    found = []
    train = round(TRAIN * rows)
    for k in range(CALIBRATION_SAMPLES):
        random = rng(stream(SEED, "expected", k))
        x, y = sample(random, train + 2000)
        view = blurred(x, noise, random)[None]
        beta = logistic(view[:, :train], y[None, :train])
        found.append(losses(view[:, train:], y[None, train:], beta)[0])
    return float(np.mean(found))


def noise_of(share: float, rows: int) -> float:
    """Return the size of noise whose expected loss is this share of that of NOISE, in studies of so many rows."""
    from scipy.optimize import brentq

    target = share * expected_loss(NOISE, rows)
    return float(brentq(lambda noise: expected_loss(noise, rows) - target, 0.2, 2.0, xtol=1e-3))


def losses_of(k: int, rows: int, noises: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return validation and test losses of one sample, ndarray of shape (re-splits, methods) each."""
    random = rng(stream(SEED, "study", rows, k))
    x, y = sample(random, rows)
    views = np.stack([blurred(x, noise, random) for noise in noises])
    found = []
    for _ in range(max(RESPLITS)):
        order = random.permutation(rows)
        train, *others = np.split(order, [round(TRAIN * rows), round((TRAIN + VALIDATION) * rows)])
        beta = logistic(views[:, train], np.tile(y[train], (len(views), 1)))
        found.append([losses(views[:, part], np.tile(y[part], (len(views), 1)), beta) for part in others])
    table = np.array(found)
    return table[:, 0], table[:, 1]


def series(validation: np.ndarray, test: np.ndarray) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Return validation and test figures by method: the primary arm's come first; control-auto is added."""
    names = [PRIMARY, PLAIN, *(f"control-{i}" for i in range(1, CONTROLS))]
    chosen = 1 + validation[:, 1:].argmin(axis=1)
    tables = []
    for figures in (validation, test):
        own = {name: pd.Series(figures[:, place]) for place, name in enumerate(names)}
        tables.append(own | {CONTROL_AUTO: pd.Series(figures[np.arange(len(figures)), chosen])})
    return tables[0], tables[1]


def verdict(validation: np.ndarray, test: np.ndarray, naive: bool) -> tuple[VerdictKind, bool]:
    """Return the kind of verdict, and whether the primary arm is clearly better than the plain model."""
    validations, values = series(validation, test)
    controls = [name for name in values if name != PRIMARY]
    family = compared(METRIC, values, PRIMARY, controls, ratio=0.0 if naive else TEST / TRAIN)
    if naive:
        family = {name: unadjusted(comparison) for name, comparison in family.items()}
    reference = reference_of(controls, validations, METRIC)
    over_plain = unadjusted(family[PLAIN])
    return kind_of(family, reference, band_of(family, reference)), over_plain.clear == 1


def unadjusted(comparison: Comparison) -> Comparison:
    """Return a comparison with its own p-value."""
    return replace(comparison, adjusted=comparison.estimate.p)


def table_of(truths: list[Truth], rows: int, studies: int) -> list[list[str]]:
    """Return a line per truth, number of re-splits and kind of statistics, with the share of each verdict."""
    needed = [Counter([truth.primary, *truth.controls]) for truth in truths]
    noises = sorted(set().union(*needed))
    views = [noise for noise in noises for _ in range(max(one[noise] for one in needed))]
    counts: Counter[tuple[str, int, bool, str]] = Counter()
    for k in range(studies):
        validation, test = losses_of(k, rows, views)
        for truth in truths:
            free = {noise: iter(np.flatnonzero(np.array(views) == noise)) for noise in noises}
            columns = [int(next(free[noise])) for noise in (truth.primary, *truth.controls)]
            for count in RESPLITS:
                for naive in (False, True):
                    kind, over_plain = verdict(validation[:count, columns], test[:count, columns], naive)
                    counts[truth.title, count, naive, kind] += 1
                    counts[truth.title, count, naive, "plain"] += over_plain
        if (k + 1) % 50 == 0:
            print(f"done: {k + 1} studies of {rows} rows", flush=True)
    return [
        [f"{rows:,}", truth.title, str(count), "naive" if naive else "corrected"]
        + [f"{100 * counts[truth.title, count, naive, kind] / studies:.1f} %" for kind in (*KINDS, "plain")]
        for truth in truths
        for count in RESPLITS
        for naive in (False, True)
    ]


def main() -> None:
    """Simulate, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/verdict_errors.md"))
    options = parser.parse_args()
    heads = ["rows", "truth", "re-splits", "statistics"]
    heads += [f"clearly {kind}" if kind in ("better", "worse") else kind for kind in KINDS]
    heads.append(f"better than the plain model alone, at {100 * (1 - LEVEL):.0f} %")
    lines, expected = [heads, ["---"] * len(heads)], []
    for rows in ROWS:
        worse, better = noise_of(WORSE, rows), noise_of(BETTER, rows)
        truths = [
            Truth("no gain", NOISE, [NOISE] * CONTROLS),
            Truth("one as good", NOISE, [*[worse] * (CONTROLS - 1), NOISE]),
            Truth("a gain of 5 %", better, [NOISE] * CONTROLS),
        ]
        shown = [f"{expected_loss(noise, rows):.4f} (noise {noise:.3f})" for noise in (NOISE, better, worse)]
        expected.append(f"with {rows:,} rows {', '.join(shown)}")
        lines += table_of(truths, rows, options.studies)
    text = f"# How often the verdict errs: {options.studies} simulated studies of each truth\n\n"
    text += "    python benchmarks/verdict_errors.py\n\n"
    text += "\n".join((__doc__ or "").strip().splitlines()[4:]) + "\n\n"
    text += f"Expected losses: {'; '.join(expected)}. Shares of the studies:\n\n"
    text += "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
