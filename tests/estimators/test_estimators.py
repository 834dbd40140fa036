"""What only some estimators promise, preprocessing, and perceptrons that are fitted together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codsa.data.dataset import Dataset
from codsa.data.metrics import by_region
from codsa.errors import CodsaError
from codsa.estimators import Fitted, WeightedRows, fit_all
from codsa.estimators.base import FeatureLayout, estimator_kind, feature_matrix, layout_of, weighted_rows
from codsa.estimators.store import load_fitted, save_fitted
from codsa.estimators.tables.mlp import Mlp, StackLoop
from codsa.io.seeds import stream
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import ESTIMATORS, is_installed

NEIGHBOURS = "sklearn.neighbors:KNeighborsClassifier"
FAST: dict[str, dict[str, Any]] = {
    "gradient-boosting": {"max_iter": 10},
    "random-forest": {"n_estimators": 5},
    "mlp": {"hidden": [16], "epochs": 5, "batch": 64},
    NEIGHBOURS: {"n_neighbors": 3},
}
TABLES = [name for name in sorted(ESTIMATORS) if estimator_kind(EstimatorSpec(name=name)).modality == "tables"]


def spec_of(name: str, **settings: Any) -> EstimatorSpec:
    return EstimatorSpec(name=name, settings={**FAST.get(name, {}), **settings})


def all_rows(dataset: Dataset, weight: float = 1.0) -> WeightedRows:
    return weighted_rows(dataset.rows, dataset.schema, np.full(len(dataset.rows), weight))


def part(point: WeightedRows, rows: np.ndarray) -> WeightedRows:
    return WeightedRows(point.x[rows], point.y[rows], point.weight[rows])


def fit_one(dataset: Dataset, chosen: EstimatorSpec, point: WeightedRows | None = None) -> Fitted:
    layout = layout_of(dataset.schema, len(dataset.rows))
    return fit_all(chosen, [point or all_rows(dataset)], all_rows(dataset), layout, stream(0, "fit"))[0]


def test_a_class_of_scikit_learn_is_fitted_and_stored_by_its_name(dataset: Dataset, tmp_path: Path) -> None:
    fitted = fit_one(dataset, spec_of(NEIGHBOURS))
    x = all_rows(dataset).x
    probabilities = fitted.predict(x)
    assert probabilities.shape == (len(dataset.rows), 2) and probabilities.sum(axis=1) == pytest.approx(1.0)
    save_fitted(tmp_path / "e", fitted, spec_of(NEIGHBOURS))
    assert np.array_equal(load_fitted(tmp_path / "e", [NEIGHBOURS]).predict(x), probabilities)
    assert {p.suffix for p in (tmp_path / "e").iterdir()} <= {".json", ".skops", ".safetensors"}


@pytest.mark.parametrize("name", ["gradient-boosting", "logistic", "random-forest"])
def test_a_class_without_rows_has_no_probability(name: str, dataset: Dataset) -> None:
    layout = replace(layout_of(dataset.schema, len(dataset.rows)), classes=3)
    fitted = fit_all(spec_of(name), [all_rows(dataset)], all_rows(dataset), layout, stream(0, "fit"))[0]
    probability = fitted.predict(all_rows(dataset).x)
    assert probability.shape[1] == 3 and (probability[:, 2] == 0).all()


def test_preprocessing_is_fitted_on_the_arms_own_rows(dataset: Dataset) -> None:
    point = all_rows(dataset)
    half = part(point, np.arange(len(point.y)) % 2 == 0)
    layout = layout_of(dataset.schema, len(point.y))
    fitted = fit_all(spec_of("logistic"), [half, point], point, layout, stream(0, "fit"))
    scalers = [one.transform.named_transformers_["ordered"][-1] for one in fitted]
    expected = np.nanmean(half.x[:, layout.ordered[0]])
    assert scalers[0].mean_[0] == pytest.approx(expected)
    assert scalers[0].mean_[0] != scalers[1].mean_[0]


def test_raw_preprocessing_refuses_categories(dataset: Dataset) -> None:
    with pytest.raises(CodsaError, match="takes numbers only"):
        fit_one(dataset, EstimatorSpec(name="logistic", preprocess="none"))


def test_weights_are_refused_where_an_estimator_takes_none(dataset: Dataset) -> None:
    point = all_rows(dataset)
    with pytest.raises(CodsaError, match="takes no weights"):
        fit_one(dataset, spec_of(NEIGHBOURS), replace(point, weight=1.0 + point.y))


def test_dates_are_days_and_categories_codes(dataset: Dataset) -> None:
    x = feature_matrix(dataset.rows, dataset.schema)
    for j, name in enumerate(dataset.schema.features):
        column = dataset.schema.column(name)
        if column.type == "datetime":
            days = dataset.rows[name].astype("int64").to_numpy() / 86_400e9
            assert x[:, j] == pytest.approx(days)
        if column.levels is not None:
            assert set(x[:, j]) <= set(range(len(column.levels) + 1))


def points(random: np.random.Generator, sizes: list[int]) -> list[WeightedRows]:
    made = []
    for size in sizes:
        x = random.normal(size=(size, 4))
        made.append(WeightedRows(x, (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(np.int64), np.ones(size)))
    return made


@pytest.mark.parametrize("budget", ["steps", "epochs"])
def test_perceptrons_fitted_together_equal_those_fitted_alone(budget: str) -> None:
    """Within 1e-4 of probability: the sums of a stacked product run in another order."""
    problems = points(np.random.default_rng(0), [200, 350, 500])
    layout = FeatureLayout("classification", 2, [0, 1, 2, 3], [], 200)
    check = problems[0]
    chosen = EstimatorSpec(
        name="mlp",
        preprocess="none",
        settings={"hidden": [16, 16], "epochs": 30, "batch": 64, "patience": 3, "budget": budget},
    )
    average_predictors = fit_all(chosen, problems, check, layout, stream(0, "fit"))
    for point, one in zip(problems, average_predictors, strict=True):
        alone = fit_all(chosen, [point], check, layout, stream(0, "fit"))[0]
        assert one.predict(check.x) == pytest.approx(alone.predict(check.x), abs=1e-4)


@pytest.mark.parametrize(("budget", "expected"), [("steps", [4, 4]), ("epochs", [4, 10])])
def test_more_rows_mean_more_steps_only_where_asked(budget: str, expected: list[int]) -> None:
    layout = FeatureLayout("classification", 2, [0, 1, 2, 3], [], 200)
    problems = points(np.random.default_rng(0), [200, 500])
    mlp = Mlp(layout, hidden=[8], batch=50, budget=budget)
    loop = StackLoop(mlp, problems, [problems[0]] * 2, 0)
    assert loop.epoch.tolist() == expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [("hidden", [8, 8]), ("learning_rate", 0.05), ("batch", 16), ("epochs", 2), ("patience", 1), ("budget", "epochs")],
)
def test_every_setting_of_the_perceptron_changes_it(setting: str, value: Any) -> None:
    problems = points(np.random.default_rng(0), [300])
    layout = FeatureLayout("classification", 2, [0, 1, 2, 3], [], 150)
    usual = {"hidden": [16], "epochs": 60, "batch": 64, "learning_rate": 0.03, "patience": 10}
    found = [
        fit_all(
            EstimatorSpec(name="mlp", preprocess="none", settings=settings),
            problems,
            problems[0],
            layout,
            stream(0, "fit"),
        )[0]
        for settings in (usual, {**usual, setting: value})
    ]
    assert not np.array_equal(*(one.predict(problems[0].x) for one in found))


def test_many_classes(dataset: Dataset) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    y = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    point = WeightedRows(x, y, np.ones(400))
    layout = FeatureLayout("classification", 3, [0, 1], [], 400)
    for name in filter(is_installed, TABLES):
        eager = {"epochs": 200, "learning_rate": 1e-2} if name == "mlp" else {}
        probabilities = fit_all(spec_of(name, **eager), [point], point, layout, stream(0, "fit"))[0].predict(x)
        assert (probabilities.argmax(axis=1) == y).mean() > 0.75


@pytest.mark.filterwarnings("error:The y_prob values do not sum to one")
def test_probabilities_of_a_model_in_single_precision_sum_to_one() -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(900, 40)).astype(np.float32), np.arange(900) % 5
    point = WeightedRows(x, y, np.ones(900))
    layout = FeatureLayout("classification", 5, list(range(40)), [], 900)
    fitted = fit_all(spec_of("logistic"), [point], point, layout, stream(0, "fit"))[0]
    assert fitted.model.coef_.dtype == np.float32
    found = fitted.predict(x)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert by_region("cross-entropy", y, found, np.zeros(900, dtype=int), np.ones(1), ["all"])["overall"] > 0


def test_validation_chooses_the_penalty(dataset: Dataset) -> None:
    """Of several C the one with the lowest validation loss is taken, and it depends on nothing else."""
    from sklearn.metrics import log_loss

    rows = np.arange(len(dataset.rows))
    point, check = part(all_rows(dataset), rows[rows % 3 > 0]), part(all_rows(dataset), rows[rows % 3 == 0])
    layout = layout_of(dataset.schema, 100)

    def loss(penalty: Any) -> tuple[float, Any]:
        made = fit_all(
            EstimatorSpec(name="logistic", settings={"C": penalty}), [point], check, layout, stream(0, "fit")
        )[0]
        return log_loss(check.y, made.predict(check.x)), made.model.C

    tried = {c: loss([c])[0] for c in (1e-5, 1e-2, 1e3)}
    assert tried[1e3] < loss(1e3)[0] - 1e-4  # its temperature, too
    found, chosen = loss([1e3, 1e-5, 1e-2])
    assert chosen == min(tried, key=lambda c: tried[c]) and found == pytest.approx(min(tried.values()), abs=1e-4)
    with pytest.raises(CodsaError, match="give numbers above 0"):
        loss([1.0, -1.0])


@pytest.mark.parametrize("name", ["random-forest", "gradient-boosting", "logistic"])
def test_the_number_of_cores_changes_nothing(name: str, dataset: Dataset) -> None:
    points, layout = [all_rows(dataset)] * 3, layout_of(dataset.schema, 200)
    one, more = (fit_all(spec_of(name), points, points[0], layout, stream(0, "fit"), cores) for cores in (1, 3))
    for a, b in zip(one, more, strict=True):
        assert np.array_equal(a.predict(points[0].x), b.predict(points[0].x))


def test_a_forest_takes_no_more_threads_than_it_is_given(dataset: Dataset) -> None:
    point, layout = all_rows(dataset), layout_of(dataset.schema, 200)
    found = fit_all(spec_of("random-forest", n_jobs=8), [point], point, layout, stream(0, "fit"))[0]
    assert found.model.n_jobs is None
