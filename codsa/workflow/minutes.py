"""A rough estimate of the time that a study of a small table takes, for the file that `codsa new` writes.

The figures are CPU-seconds on a core of a present server, read off the logs of two studies, of 335 rows and 3 columns
and of 4,000 rows and 20 columns, at the scales quick and full.
"""

from __future__ import annotations

from codsa.settings.estimator import EstimatorSpec
from codsa.workflow.methods import Method
from codsa.workflow.study import Study

START, JOB = 8.0, 0.25
"""Loading the libraries, once; and what every job takes beside its work."""
TRAINING_SHARE = 0.6
"""Training rows among all rows, where validation and test have a fifth each."""
CORES = 2
ROUND = (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)
"""Minutes that are said; the truth may be twice or half of it."""
LABELLED = ("tabular-diffusion", "relabelled", "smote-labelled")
"""Generators that fit the label model."""


def seconds(study: Study, rows: int) -> float:
    """Return an estimate of the CPU-seconds of a study.

    Parameters
    ----------
    study : Study
    rows : int
        Of its table.
    """
    n = TRAINING_SHARE * rows
    parts = {
        (study.generator_of(method), part)
        for method in study.methods.values()
        if method.generator is not None
        for labels in study.fits(method).values()
        for part in labels
    }
    trainings = sum(_training(study, name, n) for name, _ in parts)
    fitted = [method for method in study.methods.values() if not method.choose_from]
    fits = sum(len(study.fits(method)) * _fit(study, method, n) for method in fitted)
    evaluation = (0.3 + 0.0001 * rows) * len(study.methods)
    jobs = 2 * len(parts) + sum(len(study.fits(method)) for method in fitted) + 2
    return START + study.experiment.replicates * (trainings + fits + evaluation + JOB * jobs)


def _training(study: Study, name: str, n: float) -> float:
    """Return the seconds of training a generator and drawing its pool."""
    generator = study.generators[name]
    labels = 0.5 + 0.003 * n if generator.name in LABELLED else 0.0
    if generator.name != "tabular-diffusion":
        return 0.3 + labels
    return 4 + 0.008 * float(generator.settings.get("steps", 3000)) + labels + 0.0005 * study.most_synthetic * n


def _fit(study: Study, method: Method, n: float) -> float:
    """Return the seconds of fitting a method's grid by all estimators."""
    grid = study.grid(method)
    points = max(1, len(grid["m"]) * len(grid["alpha"]))
    return 0.2 + points * sum(_estimator(spec, n) for spec in study.estimators_of(method.name).values())


def _estimator(spec: EstimatorSpec, n: float) -> float:
    """Return the seconds of one fit of an estimator."""
    if spec.name == "label-model":
        return 0.5 + 0.0015 * n
    return 0.05 * spec.average + 0.0001 * n if spec.name == "mlp" else 0.05 + 0.00005 * n


def in_words(study: Study, rows: int) -> str:
    """Return an estimate as a reader wants it: 'about 5 min on two cores'."""
    minutes = seconds(study, rows) / CORES / 60
    nearest = min(ROUND, key=lambda said: max(said / minutes, minutes / said))
    return f"about {nearest} min on two cores" if nearest < 60 else f"about {nearest / 60:g} h on two cores"
