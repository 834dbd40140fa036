"""Controls without a denoiser: a resampler's rows with the label model's labels, and source rows by density ratio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data.preparation import prepare
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.generators.tables.source_rows import density_ratio
from codsa.io.seeds import stream
from codsa.io.tables import write_parquet
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule

NAMES = ("relabelled", "smote-labelled")


def prepared(frame: pd.DataFrame, rule: RegionRule | None = None) -> tuple[pd.DataFrame, np.ndarray, Schema]:
    rows, schema = prepare(frame, ColumnOptions(target="y"), rule or RegionRule())
    return rows, schema.regions.assign(rows), schema


def mislabelled(n: int = 600) -> pd.DataFrame:
    """A class that is the sign of x, of which one row in ten is recorded wrongly."""
    random = np.random.default_rng(0)
    x = random.normal(size=n)
    above = (x > 0) ^ (random.random(n) < 0.1)
    return pd.DataFrame({"x": x, "z": random.normal(size=n), "y": np.where(above, "above", "below")})


def grouped(n: int = 400) -> pd.DataFrame:
    """A number that follows x, upwards in one group and downwards in the other."""
    random = np.random.default_rng(1)
    group, x = random.choice(["a", "b"], n), random.normal(size=n)
    return pd.DataFrame({"group": group, "x": x, "y": np.where(group == "a", 3.0, -3.0) * x + random.normal(size=n)})


def fitted(name: str, rows: pd.DataFrame, regions: np.ndarray, schema: Schema) -> Generator:
    return make(name, {}).fit(rows, regions, schema, stream(0, "fit"))


def test_real_features_are_drawn_from_every_region_and_given_the_models_class() -> None:
    rows, regions, schema = prepared(mislabelled())
    relabelled, above = fitted("relabelled", rows, regions, schema), schema.regions.index("above")
    drawn = relabelled.sample(above, 400, stream(0, "s"))
    assert set(drawn["x"]) <= set(rows["x"]) and (drawn["y"] == "above").all()
    assert (drawn["x"] > 0).mean() > 0.75
    below = rows[regions != above]
    from_below = drawn[drawn["x"].isin(below["x"])]
    assert len(from_below) > 20  # as above are accepted, of those recorded as below, the ones that lie above
    assert (from_below["x"] > 0).mean() > 2 * (below["x"] > 0).mean()


def test_smotes_features_get_the_models_class() -> None:
    rows, regions, schema = prepared(mislabelled())
    labelled = fitted("smote-labelled", rows, regions, schema)
    for name, sign in (("above", 1), ("below", -1)):
        drawn = labelled.sample(schema.regions.index(name), 400, stream(0, "s"))
        assert not set(drawn["x"]) & set(rows["x"]) and (drawn["y"] == name).all()
        assert (sign * drawn["x"] > 0).mean() > 0.75


@pytest.mark.parametrize("name", NAMES)
def test_a_number_is_drawn_anew_within_its_region(name: str) -> None:
    rows, regions, schema = prepared(grouped(), RegionRule(by="column", column="group"))
    generator = fitted(name, rows, regions, schema)
    for group, slope in (("a", 3.0), ("b", -3.0)):
        drawn = generator.sample(schema.regions.index(group), 300, stream(0, "s", group))
        assert (drawn["group"] == group).all()
        assert np.corrcoef(slope * drawn["x"], drawn["y"])[0, 1] > 0.8
        assert len(set(drawn["y"]) & set(rows["y"])) < 10


@pytest.mark.parametrize(("name", "plain"), [("relabelled", "bootstrap"), ("smote-labelled", "smote")])
def test_where_a_column_tells_the_class_the_resamplers_rows_stay(name: str, plain: str) -> None:
    told = pd.DataFrame({"x": np.arange(200.0) % 7, "copy": ["u", "v"] * 100, "y": ["a", "b"] * 100})
    rows, regions, schema = prepared(told)
    drawn, expected = (fitted(one, rows, regions, schema).sample(1, 50, stream(0, "s")) for one in (name, plain))
    pd.testing.assert_frame_equal(drawn, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_region_without_rows_is_an_error_of_its_own_alone(name: str) -> None:
    rows, regions, schema = prepared(mislabelled())
    below = schema.regions.index("below")
    only = rows[regions != below].reset_index(drop=True)
    generator = fitted(name, only, regions[regions != below], schema)
    with pytest.raises(CodsaError, match="region 'below' has 0 rows in S_g"):
        generator.sample(below, 20, stream(0, "s"))
    assert len(generator.sample(1 - below, 20, stream(0, "s"))) == 20


def test_a_pretrained_model_is_refused(tmp_path: Path) -> None:
    rows, regions, schema = prepared(mislabelled())
    with pytest.raises(CodsaError, match="no use for a pretrained model"):
        make("relabelled", {}).fit(rows, regions, schema, stream(0, "fit"), pretrained=tmp_path)


def shifted(n: int, mean: float, seed: int) -> pd.DataFrame:
    """Two classes that differ in z, where x is about `mean`."""
    random = np.random.default_rng(seed)
    y = np.where(random.random(n) < 0.3, "a", "b")
    return pd.DataFrame({"x": random.normal(mean, 1, n), "z": random.normal(size=n) + (y == "a"), "y": y})


def test_source_rows_by_density_ratio_resemble_the_studys(tmp_path: Path) -> None:
    rows, regions, schema = prepared(shifted(400, 0.0, 0))
    source = shifted(1500, 1.5, 1)
    write_parquet(tmp_path / "rows.parquet", source)
    means = {}
    for weighting in ("uniform", "density-ratio"):
        generator = make("source-rows", {"weighting": weighting})
        generator.fit(rows, regions, schema, stream(0, "fit"), pretrained=tmp_path)
        drawn = generator.sample(0, 600, stream(0, "s"))
        assert set(drawn["x"]) <= set(source["x"])
        means[weighting] = float(drawn["x"].mean())
    assert means["uniform"] == pytest.approx(1.5, abs=0.25)
    assert means["density-ratio"] < 0.75


def test_the_ratio_follows_the_true_one_and_is_flat_where_laws_are_the_same() -> None:
    rows, regions, schema = prepared(shifted(500, 0.0, 0))
    for mean, spread in ((1.0, None), (0.0, 0.35)):
        source = shifted(1500, mean, 1)
        ratio = density_ratio(rows, regions, source, schema.regions.assign(source), schema, stream(0, "ratio"))
        assert ratio.mean() == pytest.approx(1.0) and (ratio > 0).all()
        assert (ratio == ratio.max()).mean() == pytest.approx(0.02, abs=0.005)  # capped at this quantile
        if spread is None:
            true = np.exp(-(source["x"] ** 2 - (source["x"] - mean) ** 2) / 2)
            assert np.corrcoef(np.log(ratio), np.log(true))[0, 1] > 0.8
        else:
            assert ratio.std() < spread
