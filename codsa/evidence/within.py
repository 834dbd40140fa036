"""The primary arm within each replicate: its difference to every other method, bootstrapped over the test rows."""

from __future__ import annotations

import numpy as np

from codsa.data.metrics import RECALIBRATED
from codsa.errors import CodsaError
from codsa.estimators.recalibration import Thresholds
from codsa.evidence.bootstrap import bootstrap_estimates
from codsa.evidence.judgement import Within
from codsa.evidence.statistics import Estimate
from codsa.evidence.studies import EvaluationResults, RowPredictions, StudyResults
from codsa.io.seeds import child


def within_replicates(study: StudyResults, stream: np.random.SeedSequence) -> Within:
    """Return the primary arm's differences within each replicate, with bootstrap standard errors.

    They are of the study's metric under Q, and of the estimator and column that the verdict is about.

    Parameters
    ----------
    stream : numpy.random.SeedSequence
        Every replicate derives its own.

    Returns
    -------
    dict of str to dict of int to Estimate
        Method → replicate → difference; empty without a primary arm.
    """
    found: dict[str, dict[int, Estimate]] = {}
    primary = study.primary
    for own in study.of(primary) if primary is not None else []:
        results = [result for result in study.evaluations if result.replicate == own.replicate]
        read = {result.method: _decided(study, result) for result in results}
        rows = read[own.method]
        for result in results:
            _check_rows(result, read[result.method], rows)
        predicted = {method: part.predicted for method, part in read.items()}
        replicate_stream = child(stream, "bootstrap", own.replicate)
        estimates = bootstrap_estimates(study.metric, rows.rows, predicted, own.method, replicate_stream)
        for method, estimate in estimates.items():
            found.setdefault(method, {})[own.replicate] = estimate
    return found


def _decided(study: StudyResults, result: EvaluationResults) -> RowPredictions:
    """Return predictions as the metric takes them: with the thresholds that were tuned for it, if any."""
    label, column = study.estimators[0], study.column
    read = result.predictions(label, column)
    choice = result.choice(label, column)
    tuned = choice.thresholds.get(study.metric) if choice is not None and column == RECALIBRATED else None
    if tuned is None:
        return read
    return RowPredictions(read.row_id, read.rows, Thresholds(tuned).apply(read.predicted))


def _check_rows(result: EvaluationResults, read: RowPredictions, own: RowPredictions) -> None:
    if not np.array_equal(read.row_id, own.row_id):
        raise CodsaError(f"{result.folder}: its test rows are not those of the primary arm; evaluate both on one split")
