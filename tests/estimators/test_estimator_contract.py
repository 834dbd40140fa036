"""The contract of every registered estimator, on data of its modality and for each of its tasks.

A name that is added to `ESTIMATORS` is tested without a change here. `SETTINGS` makes some of them faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import make_mixed_table, write_prepared
from test_image_generators import make_images
from toy_texts import toy_dataset, use_toy_encoder

from codsa.data.dataset import Dataset
from codsa.errors import CodsaError
from codsa.estimators import Fitted, WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout, estimator_kind, layout_of, weighted_rows
from codsa.estimators.store import load_fitted, save_fitted
from codsa.io.seeds import stream
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import ESTIMATORS, is_installed

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(not is_installed(name), reason=f"the package {name} is not installed"))
    for name in sorted(ESTIMATORS)
]
SETTINGS: dict[str, dict[str, Any]] = {
    "autoencoder": {"hidden": [32, 4, 32], "batch": 16, "epochs": 40, "learning_rate": 3e-3},
    "cnn": {"channels": [8, 8], "hidden": 16, "batch": 16, "epochs": 25, "learning_rate": 3e-3},
    "local-outliers": {"cells": [4, 2]},
    "mlp": {"hidden": [16], "epochs": 200, "batch": 64, "learning_rate": 1e-2},
    "random-forest": {"n_estimators": 10},
    "tfidf-logistic": {"min_df": 2, "class_weight": None},  # balanced classes undo weights of classes
}
SUFFIXES = {".json", ".safetensors", ".skops", ".txt"}


@dataclass(frozen=True)
class Example:
    """Rows of which an estimator can learn the target: training rows and others."""

    train: WeightedRows
    test: WeightedRows
    layout: FeatureLayout


def as_example(dataset: Dataset, numbers: bool = False, detection: bool = False) -> Example:
    """Split a dataset in two; with `numbers` the target is the class as a number, plus noise."""
    all_rows = weighted_rows(dataset.rows, dataset.schema, np.ones(len(dataset)))
    layout = layout_of(dataset.schema, len(dataset) // 2)
    if numbers:
        noise = np.random.default_rng(0).normal(0, 0.1, len(dataset))
        all_rows = replace(all_rows, y=5 + 3.0 * all_rows.y + noise)
        layout = replace(layout, task="regression", classes=0)
    is_test = np.arange(len(dataset)) % 4 >= 2
    is_train = ~is_test & (all_rows.y == 0) if detection else ~is_test
    return Example(rows_of(all_rows, is_train), rows_of(all_rows, is_test), layout)


def rows_of(rows: WeightedRows, chosen: np.ndarray) -> WeightedRows:
    return WeightedRows(rows.x[chosen], rows.y[chosen], rows.weight[chosen])


def table(folder: Path) -> Dataset:
    """The table with every kind of column, and a feature that follows the class."""
    frame = make_mixed_table()
    noise = np.random.default_rng(1).normal(0, 0.1, len(frame))
    return write_prepared(folder, frame.assign(score=(frame["y"] == "sick") + noise))


EXAMPLES: dict[tuple[str, str], Callable[[Path], Example]] = {
    ("tables", "classification"): lambda folder: as_example(table(folder)),
    ("tables", "regression"): lambda folder: as_example(table(folder), numbers=True),
    ("images", "classification"): lambda folder: as_example(make_images(folder, 240)),
    ("images", "regression"): lambda folder: as_example(make_images(folder, 240), numbers=True),
    ("images", "detection"): lambda folder: as_example(
        make_images(folder, 240, task="detection", normal=["a"]), detection=True
    ),
    ("texts", "classification"): lambda folder: as_example(toy_dataset(folder, encoder=None)),
}
"""By modality and task: a small dataset with something to learn."""


@dataclass(frozen=True)
class Fit:
    """An estimator fitted for one task."""

    name: str
    task: str
    fitted: Fitted
    example: Example

    @property
    def spec(self) -> EstimatorSpec:
        return spec_of(self.name)


def spec_of(name: str) -> EstimatorSpec:
    return EstimatorSpec(name=name, settings=SETTINGS.get(name, {}))


def fit(name: str, example: Example, train: WeightedRows | None = None, layout: FeatureLayout | None = None) -> Fitted:
    layout = layout or example.layout
    return fit_all(spec_of(name), [train or example.train], example.test, layout, stream(0, "fit"))[0]


Fits = Callable[[str], list[Fit]]


@pytest.fixture(scope="module", autouse=True)
def toy_encoder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_toy_encoder(patch)
        yield


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    """`fits(name)`: the estimator fitted once for each of its tasks."""

    @cache
    def example_of(modality: str, task: str) -> Example:
        return EXAMPLES[modality, task](tmp_path_factory.mktemp("data") / "data")

    @cache
    def fits_of(name: str) -> list[Fit]:
        kind = estimator_kind(spec_of(name))
        assert kind.tasks
        examples = [(task, example_of(kind.modality, task)) for task in kind.tasks]
        return [Fit(name, task, fit(name, example), example) for task, example in examples]

    return fits_of


@pytest.mark.parametrize("name", NAMES)
def test_predictions_have_the_shape_of_the_task(name: str, fits: Fits) -> None:
    for fit_of_task in fits(name):
        predicted, test = fit_of_task.fitted.predict(fit_of_task.example.test.x), fit_of_task.example.test
        assert predicted.dtype == np.float64 and np.isfinite(predicted).all()
        if fit_of_task.task == "classification":
            assert predicted.shape == (len(test.y), fit_of_task.example.layout.classes)
            assert (predicted >= 0).all()
            np.testing.assert_allclose(predicted.sum(axis=1), 1)
        else:
            assert predicted.shape == (len(test.y),)


@pytest.mark.parametrize("name", NAMES)
def test_the_target_is_learned(name: str, fits: Fits) -> None:
    from sklearn.metrics import roc_auc_score

    for fit_of_task in fits(name):
        test = fit_of_task.example.test
        predicted = fit_of_task.fitted.predict(test.x)
        if fit_of_task.task == "classification":
            assert (predicted.argmax(axis=1) == test.y).mean() > 0.9
        elif fit_of_task.task == "regression":
            assert np.mean((predicted - test.y) ** 2) < 0.3 * test.y.var()
        else:
            assert roc_auc_score(test.y, predicted) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_alone_decides(name: str, fits: Fits) -> None:
    for fit_of_task in fits(name):
        np.random.random()  # the global generator has no say
        x = fit_of_task.example.test.x
        again = fit(name, fit_of_task.example)
        np.testing.assert_array_equal(again.predict(x), fit_of_task.fitted.predict(x))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_estimator_predicts_the_same_and_no_pickle_is_written(name: str, fits: Fits, tmp_path: Path) -> None:
    for fit_of_task in fits(name):
        folder, x = tmp_path / fit_of_task.task, fit_of_task.example.test.x
        save_fitted(folder, fit_of_task.fitted, fit_of_task.spec)
        np.testing.assert_allclose(load_fitted(folder).predict(x), fit_of_task.fitted.predict(x), rtol=1e-6)
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= SUFFIXES


@pytest.mark.parametrize("name", NAMES)
def test_predictions_follow_the_weights(name: str, fits: Fits) -> None:
    """The features say nothing of permuted targets, so weight on the large ones raises the predictions."""
    if name == "balanced-forest":
        pytest.skip("its trees are grown to pure leaves of balanced samples, in which weights say little")
    for fit_of_task in fits(name):
        if fit_of_task.task == "detection":
            continue
        train, x = fit_of_task.example.train, fit_of_task.example.test.x
        permuted = replace(train, y=np.random.default_rng(2).permutation(train.y))
        heavy = replace(permuted, weight=np.where(permuted.y > permuted.y.mean(), 20.0, 1.0))
        means = []
        for rows in (permuted, heavy):
            predicted = fit(name, fit_of_task.example, rows).predict(x)
            values = predicted @ np.arange(predicted.shape[1]) if predicted.ndim == 2 else predicted
            means.append(values.mean())
        assert means[1] > means[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_class_without_rows_has_a_probability(name: str, fits: Fits) -> None:
    for fit_of_task in fits(name):
        if fit_of_task.task == "classification":
            layout = replace(fit_of_task.example.layout, classes=fit_of_task.example.layout.classes + 1)
            predicted = fit(name, fit_of_task.example, layout=layout).predict(fit_of_task.example.test.x)
            assert predicted.shape[1] == layout.classes
            assert predicted[:, -1].mean() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_setting_is_refused(name: str, fits: Fits) -> None:
    spec = EstimatorSpec(name=name, settings={"stepz": 3})
    for fit_of_task in fits(name):
        with pytest.raises(CodsaError, match="no setting 'stepz'"):
            estimator_kind(spec).build(fit_of_task.example.layout, 0, spec.settings)
