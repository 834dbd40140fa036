"""Evaluations as `codsa-eval` is asked for them: one method, or all methods of a replicate in one call."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from codsa.data.pool import load_pool
from codsa.data.rows import AnyDataset
from codsa.data.split import Split
from codsa.errors import CodsaError
from codsa.io.seeds import SeedContext
from codsa.modalities import modalities_of
from codsa.settings.evaluation import Evaluation
from codsa.stages.evaluate import choose, evaluate, evaluation_output, grid_on_test, read_fits, write_evaluation


def check_outputs(evaluations: Sequence[Evaluation]) -> None:
    """Raise a `CodsaError` where an evaluation cannot be written, or two would be written to one folder."""
    folders = set()
    for evaluation in evaluations:
        evaluation_output(evaluation.out)
        folder = os.path.realpath(evaluation.out)
        if folder in folders:
            raise CodsaError(f"--evaluation: two have out = {evaluation.out}; give each a folder of its own")
        folders.add(folder)


def evaluate_methods(
    evaluations: Sequence[Evaluation],
    dataset: AnyDataset,
    split: Split,
    seeds: SeedContext,
    trusted: Collection[str],
    parameters: Mapping[str, Any],
) -> None:
    """Measure each method on the test rows and write its metrics; one method's pools are in memory at a time.

    Parameters
    ----------
    trusted : collection of str
        See `codsa.estimators.store.load_fitted`.
    parameters : mapping
        What the manifests say besides the method's name.
    """
    modalities = cache(lambda encoder: modalities_of(dataset.schema, encoder))
    for evaluation in evaluations:
        pools = {pool.digest: pool for pool in (load_pool(folder, dataset.schema) for folder in evaluation.pool)}
        fits = [read_fits(folder, dataset, split, pools, trusted) for folder in evaluation.fits]
        metrics = evaluate(dataset, split, choose(fits), seeds, modalities(evaluation.encoder))
        named = {**parameters, "method": evaluation.method}
        write_evaluation(evaluation.out, metrics, fits, grid_on_test(dataset, split, fits), named)
