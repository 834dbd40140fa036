"""Generators trained on rows in memory, and the pools that they draw."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.api.problem import Problem
from codsa.data.dataset import Dataset
from codsa.data.pool import Pool
from codsa.data.split import TRAIN, Split
from codsa.generators.base import Generator, generator_class
from codsa.io.seeds import SeedContext
from codsa.stages.sample import draw
from codsa.stages.train_generator import Trained, Training, train

MAX_DRAWS = 8
"""A pool is drawn with so many doublings at most until a function of the user's has placed enough rows in a region."""


def all_train(dataset: Dataset, q: np.ndarray) -> Split:
    """Return a split in which every row trains, and is in S_g at r = 1."""
    region = dataset.regions()
    names = np.array(dataset.schema.regions.names, dtype=object)
    n, p = len(region), np.bincount(region, minlength=len(names)) / len(region)
    columns = {"row_id": np.arange(n), "region": names[region], "role": np.full(n, TRAIN, dtype=object)}
    return Split(pd.DataFrame({**columns, "min_ratio": np.ones(n), "fold": np.zeros(n, dtype=np.int64)}), q, p, "")


def trained_on(
    dataset: Dataset,
    split: Split,
    r: float,
    generator: str | Generator,
    settings: Mapping[str, Any],
    seeds: SeedContext,
) -> Trained:
    """Train a generator on S_g.

    Parameters
    ----------
    generator : str or Generator
        A registered name, `module:Class`, or an unfitted generator, of which a copy is trained.
    """
    name, unfitted = generator_name(generator), None
    if isinstance(generator, Generator):
        if settings:
            raise InputError(f"settings = {dict(settings)}: the generator is an object with its own; leave them out")
        unfitted = copy.deepcopy(generator)
    fitted = train(dataset, split, r, name, settings, seeds, unfitted=unfitted)
    return Trained(fitted, fitted.schema, Training(name, dict(settings), r))


def generator_name(generator: Any) -> str:
    """Return the name of a generator as random streams and messages have it."""
    if isinstance(generator, Generator):
        return f"{type(generator).__module__}:{type(generator).__qualname__}"
    if not isinstance(generator, str):
        raise InputError(f"generator = {generator!r}: give a registered name, module:Class, or a codsa Generator")
    return generator


def resampling(generator: str | Generator, settings: Mapping[str, Any]) -> bool:
    """Say whether a generator's rows are real ones, drawn again or changed by a rule."""
    kind = type(generator) if isinstance(generator, Generator) else generator_class(generator, settings)
    return kind.resamples


def pool_of(problem: Problem, trained: Trained, counts: np.ndarray, seeds: SeedContext) -> Pool:
    """Draw so many rows of each region.

    Parameters
    ----------
    counts : ndarray of int64, shape (K,)
    """
    drawn = [_region_rows(problem, trained, k, int(count), seeds) for k, count in enumerate(counts)]
    violations = np.zeros(len(counts))
    return Pool(drawn, violations, "", "", "", trained.training.r, generator=trained.training.generator)


def _region_rows(problem: Problem, trained: Trained, region: int, count: int, seeds: SeedContext) -> pd.DataFrame:
    asked = count
    for _ in range(MAX_DRAWS):
        blocks = -(-asked // trained.generator.block)
        rows = draw(trained, region, 0, blocks, asked, seeds).rows
        kept = rows[problem.in_region(rows, region)].reset_index(drop=True)
        if len(kept) >= count:
            return kept.iloc[:count]
        asked *= 2
    name = problem.dataset.schema.regions.names[region]
    raise InputError(
        f"region '{name}': of {asked // 2} generated rows the function puts {len(kept)} there, and {count} are needed; "
        "give a region that the generator can tell, by a column say"
    )
