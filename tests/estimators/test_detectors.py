"""Estimators that read images: the paper's network and its detector, a stronger one, and scikit-learn's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_image_generators import make_images

from codsa.data.dataset import Dataset
from codsa.data.metrics import by_region
from codsa.errors import CodsaError
from codsa.estimators import WeightedRows, fit_all
from codsa.estimators.base import layout_of, weighted_rows
from codsa.estimators.store import load_fitted, save_fitted
from codsa.io.seeds import stream
from codsa.settings.estimator import EstimatorSpec

FAST: dict[str, dict[str, Any]] = {
    "autoencoder": {"hidden": [32, 4, 32], "batch": 16, "epochs": 40, "learning_rate": 3e-3},
    "local-outliers": {"cells": [4, 2]},
    "cnn": {"channels": [8, 8], "hidden": 16, "batch": 16, "epochs": 25, "learning_rate": 3e-3},
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Images of class a are normal, those of class b are not."""
    return make_images(tmp_path_factory.mktemp("odd"), 240, task="detection", normal=["a"])


def points(data: Dataset, count: int) -> tuple[WeightedRows, WeightedRows]:
    """The first normal rows, and the last rows of both kinds."""
    normal = np.flatnonzero(data.rows["y"] == "a")[:count]
    all_rows = weighted_rows(data.rows, data.schema, np.ones(len(data)))
    return rows_of(all_rows, normal), rows_of(all_rows, np.arange(160, 240))


def rows_of(p: WeightedRows, rows: np.ndarray) -> WeightedRows:
    return WeightedRows(p.x[rows], p.y[rows], p.weight[rows])


def test_a_detector_of_scikit_learn_tells_what_it_has_not_seen(odd: Dataset, tmp_path: Path) -> None:
    name = "sklearn.neighbors:LocalOutlierFactor"
    spec = EstimatorSpec(name=name, settings={"novelty": True})
    train, check = points(odd, 80)
    assert train.x.dtype == np.uint8 and not train.y.any() and check.y.sum() == 40
    (fitted,) = fit_all(spec, [train], check, layout_of(odd.schema, 80), stream(0, "f"))
    scores = fitted.predict(check.x)
    by_domain = by_region("roc-auc", check.y, scores, odd.regions()[160:], np.array([0.5, 0.5]), ["u", "v"])
    assert min(by_domain.values()) > 0.9
    save_fitted(tmp_path / "e", fitted, spec)
    np.testing.assert_allclose(load_fitted(tmp_path / "e", [name]).predict(check.x), scores, rtol=1e-6)


def test_arms_start_alike_and_have_the_same_steps(odd: Dataset) -> None:
    name = "autoencoder"
    train, check = points(odd, 60)
    twice = WeightedRows(np.repeat(train.x, 2, axis=0), np.repeat(train.y, 2), np.repeat(train.weight, 2))
    spec = EstimatorSpec(name=name, preprocess="auto", settings={**FAST[name], "epochs": 2})
    layout = layout_of(odd.schema, 60)
    a, b, again = fit_all(spec, [train, twice, train], check, layout, stream(0, "f"))
    np.testing.assert_array_equal(a.predict(check.x), again.predict(check.x))
    assert not np.array_equal(a.predict(check.x), b.predict(check.x))
    counted: list[int] = []
    import codsa.estimators.networks as module

    real = module.batches

    def counting(rows: int, batch: int, steps: int, generator: Any) -> Any:
        counted.append(steps)
        return real(rows, batch, steps, generator)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "batches", counting)
        fit_all(spec, [train, twice], check, layout, stream(0, "f"))
        paper = EstimatorSpec(
            name=name, preprocess="auto", settings={**spec.settings, "budget": "epochs", "stop": "last"}
        )
        fit_all(paper, [train, twice], check, layout, stream(0, "f"))
    assert counted == [8, 8, 8, 16]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("autoencoder", "hidden", [8]),
        ("autoencoder", "learning_rate", 1e-2),
        ("autoencoder", "stop", "last"),
        ("local-outliers", "neighbours", 5),
        ("local-outliers", "cells", [2]),
        ("cnn", "channels", [8]),
        ("cnn", "hidden", 8),
        ("cnn", "dropout", 0.0),
        ("cnn", "flip", True),
        ("cnn", "batch", 32),
    ],
)
def test_every_setting_changes_the_scores(name: str, setting: str, value: Any, odd: Dataset, tmp_path: Path) -> None:
    data = odd if name != "cnn" else make_images(tmp_path)
    rows = np.flatnonzero(data.rows["y"] == "a") if name != "cnn" else np.arange(40)
    all_rows = weighted_rows(data.rows, data.schema, np.ones(len(data)))
    usually = {**FAST[name]} if name == "local-outliers" else {**FAST[name], "epochs": 12}
    usual, other = (
        fit_all(
            EstimatorSpec(name=name, preprocess="auto", settings=s),
            [rows_of(all_rows, rows)],
            all_rows,
            layout_of(data.schema, 40),
            stream(0, "f"),
        )[0]
        for s in (usually, {**usually, setting: value})
    )
    assert not np.array_equal(usual.predict(all_rows.x), other.predict(all_rows.x))


def test_training_stops_after_patience_checks(odd: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    from codsa.estimators.tables.detectors import Autoencoder

    train, check = points(odd, 60)
    found = iter([3.0, 2.0, 2.5, 2.5, 2.5, 1.0])
    monkeypatch.setattr(Autoencoder, "quality", lambda self, rows: next(found))
    spec = EstimatorSpec(name="autoencoder", preprocess="auto", settings={**FAST["autoencoder"], "patience": 3})
    fit_all(spec, [train], check, layout_of(odd.schema, 60), stream(0, "f"))
    assert list(found) == [1.0]


def test_the_papers_network_has_the_papers_layers() -> None:
    from codsa.estimators.base import FeatureLayout
    from codsa.estimators.images.cnn import Cnn

    net = Cnn(
        FeatureLayout("regression", 0, [], [], 1, [64, 64, 3]), {"channels": [32, 64, 128, 256], "hidden": 256}
    ).net
    shapes = [tuple(p.shape) for name, p in net.named_parameters() if name.endswith("weight")]
    assert shapes == [
        (32, 3, 3, 3),
        (64, 32, 3, 3),
        (128, 64, 3, 3),
        (256, 128, 3, 3),
        (256, 4096),
        (256, 256),
        (1, 256),
    ]


def test_image_estimators_refuse_other_data(odd: Dataset, tmp_path: Path) -> None:
    classes = make_images(tmp_path)
    train, check = points(odd, 40)
    cases = [
        ("autoencoder", classes, "the task must be detection"),
        ("cnn", odd, "needs a target to learn"),
        ("local-outliers", classes, "the task must be detection"),
    ]
    for name, data, message in cases:
        with pytest.raises(CodsaError, match=message):
            fit_all(EstimatorSpec(name=name), [train], check, layout_of(data.schema, 40), stream(0, "f"))
    from conftest import make_mixed_table, write_prepared

    table = write_prepared(tmp_path / "t", make_mixed_table())
    all_rows = weighted_rows(table.rows, table.schema, np.ones(len(table)))
    with pytest.raises(CodsaError, match="reads images, and nothing else"):
        fit_all(EstimatorSpec(name="cnn"), [all_rows], all_rows, layout_of(table.schema, 40), stream(0, "f"))


def test_repeats_do_not_make_a_neighbourhood_dense(odd: Dataset) -> None:
    train, check = points(odd, 60)
    often = np.r_[np.arange(60), np.repeat(np.arange(5), 40)]
    spec = EstimatorSpec(name="local-outliers", preprocess="auto", settings=FAST["local-outliers"])
    both = fit_all(spec, [train, rows_of(train, often)], check, layout_of(odd.schema, 60), stream(0, "f"))
    np.testing.assert_array_equal(both[0].predict(check.x), both[1].predict(check.x))
    with pytest.raises(CodsaError, match="3 different rows are too few for 10 neighbours"):
        fit_all(spec, [rows_of(train, np.arange(60) % 3)], check, layout_of(odd.schema, 60), stream(0, "f"))


def test_gradients_are_counted_by_orientation() -> None:
    """A vertical edge has a horizontal gradient: orientation 0; a horizontal edge has π/2, between bins 4 and 5."""
    from codsa.estimators.tables.local import oriented_gradients

    upright = np.zeros((1, 8, 8), dtype=np.float32)
    upright[:, :, 4:] = 1
    lying = np.swapaxes(upright, 1, 2)
    first, second = (oriented_gradients(one, 2).reshape(4, 9) for one in (upright, lying))
    assert (first[:, 1:] == 0).all() and (first[:, 0] > 0).all()
    np.testing.assert_allclose(first[:, 0], 4 / np.sqrt(64.01), rtol=1e-5)  # 4 pixels in each of 4 cells
    assert (np.delete(second, [4, 5], axis=1) == 0).all()
    np.testing.assert_allclose(second[:, 4], second[:, 5])
    assert oriented_gradients(np.zeros((2, 9, 7), dtype=np.float32), 3).shape == (2, 4 * 36)


def test_scores_are_judged_by_area_and_precision() -> None:
    y, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    region = np.array([0, 1, 0, 1])
    q = np.array([0.5, 0.5])
    assert by_region("roc-auc", y, scores, region, q, ["a", "b"]) == {"a": 1.0, "b": 1.0, "overall": 0.75}
    assert by_region("average-precision", y, scores, region, q, ["a", "b"])["overall"] == pytest.approx(5 / 6)


def test_a_study_without_labels_runs_end_to_end(tmp_path: Path, run_cli: Any) -> None:
    """From prepared images to metrics: no anomalous row is trained on, and every command knows what to do."""
    from codsa.cli import eval as evaluating
    from codsa.cli import fit, report, sample, split, train_gen

    data = tmp_path / "data"
    made = make_images(data, 240, task="detection", normal=["a"])
    chosen = ["--estimator", "autoencoder", "--set", "hidden=[32, 4, 32]", "--set", "epochs=30", "--reserve", "all"]
    chosen += ["--set", "learning_rate=0.003"]
    common = ["--data", data, "--split", tmp_path / "s.parquet"]
    steps: list[tuple[Any, list[Any]]] = [
        (split.main, ["--data", data, "--validation", 40, "--test", 60, "--out", tmp_path / "s.parquet"]),
        (train_gen.main, [*common, "--generator", "bootstrap", "--r", 1.0, "--out", tmp_path / "g"]),
        (sample.main, ["--generator", tmp_path / "g", "--rows", 200, "--shard", "1/2", "--out", tmp_path / "p"]),
        (sample.main, ["--generator", tmp_path / "g", "--rows", 200, "--shard", "2/2", "--out", tmp_path / "p"]),
        (
            fit.main,
            [
                *common,
                "--pool",
                tmp_path / "p",
                "--reserve",
                "all",
                "--m",
                1,
                "--m",
                2,
                *chosen,
                "--out",
                tmp_path / "f",
            ],
        ),
        (evaluating.main, [*common, "--fits", tmp_path / "f", "--pool", tmp_path / "p", "--out", tmp_path / "e"]),
        (report.main, ["--eval", tmp_path / "e", "--out", tmp_path / "r"]),
    ]
    for main, arguments in steps:
        ended = run_cli(main, *arguments)
        assert ended.code == 0, ended.err
    from codsa.io.records import read_json

    found = read_json(tmp_path / "e" / "metrics.json")
    estimator = found["estimators"][found["estimator"]]
    assert estimator["recalibrated"] is None  # scores are no probabilities
    scores = estimator["raw"]["test"]
    assert set(scores) == {"roc-auc", "average-precision"} and scores["roc-auc"]["overall"] > 0.9
    assert found["diagnostics"]["u"]["wasserstein"] > 0 and "image" not in found["marginals"]["u"]
    details, panels = found["diagnostics"]["v"], found["panels"]["v"]
    assert details["coverage"] > 0.3 and details["frechet"] > 0 and details["nearest_ratio"] == 0
    assert panels["generated"] == panels["nearest"] and len(panels["real"]) == 10  # the bootstrap copies
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "Real and generated images" in page and "Fréchet" in page
    assert (tmp_path / "r" / "figures" / "images-method.png").exists()
    roles = pd.read_parquet(tmp_path / "s.parquet")["role"]
    assert set(made.rows["y"][roles == "train"]) == {"a"} and set(made.rows["y"][roles == "unused"]) == {"b"}
    table = pd.read_csv(tmp_path / "r" / "metrics.csv")
    assert "roc-auc" in set(table["metric"])
