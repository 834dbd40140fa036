"""Labels of generated rows by a cross-fitted ensemble."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.data.schema import Schema
from codsa.estimators.tables.ensemble import _mixtures
from codsa.generators.tables.labels import Denoise, LabelModel, _draw_codes, _evenly_subsampled
from codsa.io.seeds import rng, stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule


def prepared(frame: pd.DataFrame, rule: RegionRule | None = None) -> tuple[pd.DataFrame, Schema, np.ndarray]:
    rows, schema = prepare(frame, ColumnOptions(target="y"), rule or RegionRule())
    return rows, schema, schema.regions.assign(rows)


def halves(n: int = 400) -> pd.DataFrame:
    """A class that is the sign of x but for a margin, on top of noise in z."""
    random = np.random.default_rng(5)
    x = random.normal(size=n)
    return pd.DataFrame({"x": x, "z": random.normal(size=n), "y": np.where(x > 0, "above", "below")})


def line(n: int = 400) -> pd.DataFrame:
    """A number that is 3x in one group and −3x in the other, with noise of sd 0.1."""
    random = np.random.default_rng(6)
    group = random.choice(["a", "b"], n)
    x = random.normal(size=n)
    y = np.where(group == "a", 3 * x, -3 * x) + 0.1 * random.normal(size=n)
    return pd.DataFrame({"group": group, "x": x, "y": y})


def joined(
    labels: LabelModel, denoise: Denoise, region: int, count: int, given: np.random.SeedSequence
) -> pd.DataFrame:
    return pd.concat(labels.sample_chunks(denoise, region, count, given), ignore_index=True)


def uniform(schema: Schema, count: int = 200):  # type: ignore[no-untyped-def]
    """A denoiser that knows nothing of labels: x is uniform whatever the region."""

    def denoise(drawn_as: np.ndarray, region: int, given: np.random.SeedSequence) -> list[pd.DataFrame]:
        random = rng(given)
        n = len(drawn_as)
        frame = pd.DataFrame({"x": random.uniform(-2, 2, n), "z": random.normal(size=n)})
        return [frame.assign(y=schema.regions.names[region])]

    return denoise


def test_where_the_region_is_the_class_candidates_are_accepted_by_it() -> None:
    rows, schema, region = prepared(halves())
    labels = LabelModel(schema).fit(rows, region, stream(0, "l"))
    above = schema.regions.index("above")
    made = joined(labels, uniform(schema), above, 300, stream(0, "s"))
    assert len(made) == 300
    assert (made["x"] > 0).mean() > 0.95  # half of what the denoiser drew lies below
    below = joined(labels, uniform(schema), schema.regions.index("below"), 300, stream(0, "s"))
    assert (below["x"] < 0).mean() > 0.95


def test_a_region_that_no_candidate_is_like_is_filled_up_by_the_denoiser() -> None:
    rows, schema, region = prepared(halves())
    labels = LabelModel(schema).fit(rows, region, stream(0, "l"))

    def never(drawn_as: np.ndarray, region: int, given: np.random.SeedSequence) -> list[pd.DataFrame]:
        return [pd.DataFrame({"x": np.full(len(drawn_as), -2.0), "z": 0.0, "y": schema.regions.names[region]})]

    assert len(joined(labels, never, schema.regions.index("above"), 50, stream(0, "s"))) == 50


def test_a_number_is_predicted_from_features_and_region_with_the_noise_of_held_out_rows() -> None:
    rows, schema, region = prepared(line(), RegionRule(by="column", column="group"))
    labels = LabelModel(schema).fit(rows, region, stream(0, "l"))
    for name, slope in (("a", 3.0), ("b", -3.0)):
        k = schema.regions.index(name)

        def denoise(drawn_as: np.ndarray, region: int, given: np.random.SeedSequence) -> list[pd.DataFrame]:
            x = rng(given).uniform(-1, 1, len(drawn_as))
            return [pd.DataFrame({"group": schema.regions.names[region], "x": x, "y": 0.0})]

        made = joined(labels, denoise, k, 300, stream(1, "s"))
        error = made["y"] - slope * made["x"]
        assert np.abs(error).mean() < 0.6
        assert error.std() > 0.05  # labels are drawn, not predicted


def test_a_target_that_would_leave_its_region_stays() -> None:
    frame = line().drop(columns="group")
    rows, schema, region = prepared(frame, RegionRule(by="range", column="y", edges=[0.0]))
    labels = LabelModel(schema).fit(rows, region, stream(0, "l"))
    k = 0

    def denoise(drawn_as: np.ndarray, region: int, given: np.random.SeedSequence) -> list[pd.DataFrame]:
        return [pd.DataFrame({"x": rng(given).normal(size=len(drawn_as)), "y": -1.0})]

    made = joined(labels, denoise, k, 200, stream(0, "s"))
    assert (schema.regions.assign(made) == k).all()
    assert made["y"].nunique() > 10


def test_saved_labels_are_the_same(tmp_path: Path) -> None:
    rows, schema, region = prepared(line(), RegionRule(by="column", column="group"))
    labels = LabelModel(schema).fit(rows, region, stream(0, "l"))
    labels.save(tmp_path / "labels")
    again = LabelModel.load(tmp_path / "labels", schema)
    expected = labels._relabel(rows, 0, np.random.default_rng(1))
    pd.testing.assert_frame_equal(expected, again._relabel(rows, 0, np.random.default_rng(1)))


def test_a_source_set_helps_where_it_knows_more(tmp_path: Path) -> None:
    many, schema, region = prepared(halves(900))
    source = LabelModel(schema).fit(many, region, stream(0, "source"))
    few = many.iloc[:60].reset_index(drop=True)
    labels = LabelModel(schema).fit(few, region[:60], stream(0, "l"), source)
    assert labels.ensemble.weights[-1] > 0
    labels.save(tmp_path / "labels")
    again = LabelModel.load(tmp_path / "labels", schema)
    assert np.array_equal(labels.of_region(many, 0), again.of_region(many, 0))


def test_a_source_set_of_other_columns_is_left_out() -> None:
    rows, schema, region = prepared(halves())
    source = LabelModel(schema).fit(rows, region, stream(0, "source"))
    other, theirs, regions = prepared(halves().rename(columns={"z": "w"}))
    assert LabelModel(theirs).fit(other, regions, stream(0, "l"), source).source is None


def test_too_many_classes_or_a_column_that_tells_them_keep_the_denoisers_labels(mixed_table: pd.DataFrame) -> None:
    frame = pd.DataFrame({"x": np.arange(800.0) % 7, "y": [f"c{i % 20}" for i in range(800)]})
    told = pd.DataFrame({"x": np.arange(200.0) % 7, "copy": ["u", "v"] * 100, "y": ["a", "b"] * 100})
    for table, useful in ((frame, False), (mixed_table, True), (told, False)):
        rows, schema, regions = prepared(table)
        assert LabelModel.useful(schema, rows, regions) == useful


def test_codes_are_drawn_with_their_probabilities() -> None:
    drawn = _draw_codes(np.tile([0.2, 0.0, 0.8], (20_000, 1)), np.random.default_rng(0))
    assert np.bincount(drawn, minlength=3) / 20_000 == pytest.approx([0.2, 0.0, 0.8], abs=0.01)


def test_mixtures_are_the_simplex_in_quarters() -> None:
    found = _mixtures(3)
    assert len(found) == 15 and all(abs(w.sum() - 1) < 1e-12 for w in found)


def test_thinning_keeps_the_thin_regions(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codsa.generators.tables.labels.MAX_ROWS", 50)
    rows, regions = _evenly_subsampled(dataset.rows, dataset.regions(), np.random.default_rng(0))
    assert len(rows) == 50 and np.bincount(regions).tolist() == [25, 25]
