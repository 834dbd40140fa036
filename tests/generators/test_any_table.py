"""Generated rows of awkward tables: exact regions, ties, extremes, missing values, many columns and levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.data.schema import Column, Schema, cast, describe
from codsa.encoders.blocks import LevelBlock, OrderedBlock
from codsa.encoders.tabular import TabularEncoder
from codsa.errors import CodsaError
from codsa.generators import make
from codsa.generators.base import BLOCK_ROWS
from codsa.io.seeds import SeedContext, stream
from codsa.nn.autoencoder import pretrain
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.sample import Drawn, draw
from codsa.stages.train_generator import Trained, Training

TINY: dict[str, Any] = {"steps": 30, "batch": 64, "width": 32, "depth": 1, "sampler_steps": 6}


def trained_on(frame: pd.DataFrame, rule: RegionRule, pretrained: Path | None = None, **settings: Any) -> Trained:
    """Train a tiny diffusion on all rows of a table with target `y`."""
    rows, schema = prepare(frame, ColumnOptions(target="y"), rule)
    return fitted(Dataset(rows, schema, ""), pretrained, **settings)


def fitted(dataset: Dataset, pretrained: Path | None = None, **settings: Any) -> Trained:
    columns = [c.name for c in dataset.schema.modelled]
    generator = make("tabular-diffusion", {**TINY, **settings})
    generator.fit(dataset.rows[columns], dataset.regions(), dataset.schema, stream(0, "fit"), None, pretrained)
    assert np.isfinite(generator.losses["loss"]).all()  # type: ignore[attr-defined]
    return Trained(generator, dataset.schema, Training("tabular-diffusion", {}, 1.0))


def drawn_from(trained: Trained, rows: int = BLOCK_ROWS) -> list[Drawn]:
    """Draw rows of every region through the stage that refuses and draws again."""
    regions = range(len(trained.schema.regions))
    return [draw(trained, k, 0, -(-rows // BLOCK_ROWS), rows, SeedContext(0, "e", 0)) for k in regions]


def assert_exact(trained: Trained) -> list[pd.DataFrame]:
    """Check that no row was refused, and return the rows by region."""
    drawn = drawn_from(trained)
    for k, one in enumerate(drawn):
        assert one.refused == 0
        assert (trained.schema.regions.assign(one.rows) == k).all()
    return [one.rows for one in drawn]


def table(n: int = 400) -> tuple[pd.DataFrame, np.random.Generator]:
    random = np.random.default_rng(5)
    x = random.normal(size=n)
    return pd.DataFrame({"x": x, "z": random.lognormal(0, 2, n), "y": x * 2 + random.normal(size=n)}), random


def stored(values: Any, kind: str) -> tuple[Column, pd.Series]:
    series = cast(pd.Series(values), Column("c", kind))
    return describe(Column("c", kind), series), series


# Regions


@pytest.mark.parametrize("kind", ["numeric", "integer", "decimals", "datetime"])
def test_ranges_are_exact_without_rejection(kind: str) -> None:
    frame, random = table()
    edges: list[Any] = [-1.0, 0.5]
    kinds: dict[str, Any] = {
        "numeric": random.normal(size=400) * 2,
        "integer": random.integers(-30, 30, 400),
        "decimals": np.round(random.normal(size=400), 1),
        "datetime": pd.Timestamp("1969-11-01") + pd.to_timedelta(random.integers(0, 90 * 86400000, 400), "ms"),
    }
    by = kinds[kind]
    if kind == "integer":
        edges = [-10, 10]
    if kind == "datetime":
        edges = ["1969-12-01", "1969-12-24T18:00:00.5"]
    trained = trained_on(frame.assign(by=by), RegionRule(by="range", column="by", edges=edges))
    made = assert_exact(trained)
    assert all(rows["by"].nunique() > (5 if kind == "decimals" else 15) for rows in made)
    if kind == "decimals":
        assert np.array_equal(made[0]["by"], made[0]["by"].round(1))


def test_ranges_of_the_target_and_their_law() -> None:
    """A region's values follow its own distribution, whatever the network learned: here by quantile."""
    frame, _ = table()
    trained = trained_on(frame, RegionRule(by="quantile", column="y", quantiles=3), steps=150)
    rows, _ = prepare(frame, ColumnOptions(target="y"), RegionRule())
    index = trained.schema.regions.assign(rows)
    for k, made in enumerate(assert_exact(trained)):
        assert made["y"].median() == pytest.approx(rows["y"][index == k].median(), abs=0.5)


def test_a_region_of_missing_values_and_one_of_20_rows() -> None:
    frame, _ = table()
    frame["by"] = np.r_[np.full(50, np.nan), np.linspace(0, 1, 330), np.linspace(2, 3, 20)]
    made = assert_exact(trained_on(frame, RegionRule(by="range", column="by", edges=[1.5])))
    assert made[2]["by"].isna().all() and made[0]["by"].notna().all()
    assert made[1]["by"].between(2, 3).all() and made[1]["by"].nunique() > 100


@pytest.mark.parametrize("kind", ["text", "text with missing", "integer", "numeric"])
def test_pooled_values_are_exact_without_rejection(kind: str) -> None:
    frame, _ = table()
    codes = np.r_[np.repeat([0, 1], 185), np.arange(30) % (10 if kind.startswith("text") else 3) + 2]
    frame["by"] = codes * 0.5 if kind == "numeric" else codes
    if kind.startswith("text"):
        frame["by"] = [f"v{c}" for c in codes]
    if kind == "text with missing":
        frame.loc[390:, "by"] = None
    trained = trained_on(frame, RegionRule(by="column", column="by"))
    made = assert_exact(trained)
    assert len(made) >= 3
    pooled = max(made, key=lambda rows: rows["by"].nunique())
    assert pooled["by"].nunique() >= 3
    assert set(pooled["by"].dropna()) <= set(frame["by"].dropna())
    if kind == "text with missing":
        assert any(None in members for members in trained.schema.regions.members)
        assert sum(rows["by"].isna().any() for rows in made) <= 1


def test_a_level_that_tells_the_region_is_exact() -> None:
    """The site decides the region; the finer ward follows it, though the site itself is given."""
    frame, random = table(600)
    ward = random.integers(0, 12, 600)
    trained = trained_on(
        frame.assign(ward=[f"w{w}" for w in ward], site=[f"s{w % 3}" for w in ward]),
        RegionRule(by="column", column="site"),
    )
    for rows in assert_exact(trained):
        assert (rows["ward"].str[1:].astype(int) % 3 == rows["site"].str[1:].astype(int)).all()


def test_an_expression_on_a_range_needs_no_rejection() -> None:
    frame, _ = table()
    assert_exact(trained_on(frame, RegionRule(by="expression", expressions={"high": "x > 0.5"})))


def test_rows_of_no_region_are_refused() -> None:
    rows, schema = prepare(table()[0], ColumnOptions(target="y"), RegionRule(by="range", column="x", edges=[0.0]))
    region = schema.regions.assign(rows)
    region[7] = -1
    with pytest.raises(CodsaError, match="row 7 lies in no region"):
        TabularEncoder.fit(rows, schema.generated, schema.regions, region)
    region[7] = 0
    encoder = TabularEncoder.fit(rows, schema.generated, schema.regions, np.zeros_like(region))
    with pytest.raises(CodsaError, match="column 'x': no row of region 1"):
        encoder.decode(np.zeros((3, encoder.width)), np.ones(3, dtype=np.int64))
    with pytest.raises(CodsaError, match="give the region of each"):
        encoder.encode(rows)


def test_transfer_keeps_regions_and_ties_of_the_study(tmp_path: Path) -> None:
    """The source's quantiles, bounds and levels are others; the study's hold."""
    random = np.random.default_rng(3)

    def sample(n: int, spread: float, levels: int) -> Dataset:
        x = random.normal(size=n) * spread
        site = [f"s{i}" for i in random.integers(0, levels, n)]
        frame = pd.DataFrame({"x": x, "twice": 2 * x, "site": site, "y": x + random.normal(size=n)})
        rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule(by="quantile", column="y", quantiles=3))
        return Dataset(rows, schema, "")

    source, study = sample(800, 3.0, 6), sample(300, 1.0, 3)
    losses = pretrain(source.rows, source.schema, stream(0, "p"), tmp_path, latent=3, steps=60, width=32)
    assert np.isfinite(losses["loss"]).all()
    trained = fitted(study, tmp_path)
    for rows in assert_exact(trained):
        assert np.allclose(rows["twice"], 2 * rows["x"], rtol=1e-12)
    (tmp_path / "g").mkdir()
    trained.generator.save(tmp_path / "g")
    again = type(trained.generator).load(tmp_path / "g", study.schema, TINY)
    one, two = (g.sample(1, 64, stream(0, "d")) for g in (trained.generator, again))
    pd.testing.assert_frame_equal(one, two)


def test_transfer_across_other_regions_is_refused(tmp_path: Path) -> None:
    frame, _ = table()
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule(by="quantile", column="y", quantiles=4))
    pretrain(rows, schema, stream(0, "p"), tmp_path, steps=5, width=8)
    with pytest.raises(CodsaError, match="prepare the source set with the same regions"):
        trained_on(frame, RegionRule(by="quantile", column="y", quantiles=3), tmp_path)


# Ties


def tied_table(n: int = 600) -> pd.DataFrame:
    random = np.random.default_rng(11)
    zips = random.integers(0, 60, n)
    a, b, c = (np.round(random.lognormal(0, 1, n), 2) for _ in range(3))
    b[::9] = np.nan
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), "D")
    age = random.integers(18, 95, n)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "c": c,
            "total": a + b + c,
            "fahrenheit": a * 1.8 + 32,
            "constant": 7.5,
            "one word": "same",
            "zip": [f"z{z}" for z in zips],
            "state": [f"s{z % 7}" for z in zips],
            "state number": (zips % 7) * 10,
            "age": age,
            "old": age > 64,
            "start": start,
            "end": start + pd.Timedelta(days=30),
            "zip again": [f"z{z}" for z in zips],
            "free": random.choice(["p", "q"], n),
            "y": random.choice(["ill", "well"], n, p=[0.3, 0.7]),
            "y again": "",
        }
    ).assign(**{"y again": lambda f: f["y"] + "!"})


def test_ties_hold_in_generated_rows() -> None:
    trained = trained_on(tied_table(), RegionRule())
    blocks = [block.column.name for block in trained.generator.space.blocks]  # type: ignore[attr-defined]
    assert sorted(blocks) == ["a", "age", "b", "c", "free", "start", "zip"]
    for rows in assert_exact(trained):
        assert np.allclose(rows["total"], rows["a"] + rows["b"] + rows["c"], rtol=1e-12, equal_nan=True)
        assert rows["b"].isna().equals(rows["total"].isna())
        assert np.allclose(rows["fahrenheit"], rows["a"] * 1.8 + 32, rtol=1e-12)
        assert (rows["constant"] == 7.5).all() and (rows["one word"] == "same").all()
        number = rows["zip"].str[1:].astype(int)
        assert (rows["state"] == "s" + (number % 7).astype(str)).all()
        assert (rows["state number"] == number % 7 * 10).all()
        assert (rows["zip again"] == rows["zip"]).all() and (rows["y again"] == rows["y"] + "!").all()
        assert (rows["old"] == (rows["age"] > 64)).all()
        assert (rows["end"] - rows["start"] == pd.Timedelta(days=30)).all()


def test_ties_survive_their_arrays() -> None:
    rows, schema = prepare(tied_table(), ColumnOptions(target="y"), RegionRule())
    region = schema.regions.assign(rows)
    encoder = TabularEncoder.fit(rows, schema.generated, schema.regions, region, dependencies=True)
    again = TabularEncoder.from_arrays(encoder.to_arrays(), schema.generated)
    array = np.random.default_rng(0).normal(size=(200, encoder.width))
    index = np.arange(200) % 2
    pd.testing.assert_frame_equal(encoder.decode(array, index), again.decode(array, index))
    names = [c.name for c in schema.generated]
    pd.testing.assert_frame_equal(encoder.decode(encoder.encode(rows, region), region), rows[names], rtol=1e-4)


@pytest.mark.parametrize("deciding", ["total", "part", "half"])
def test_a_deciding_column_in_a_sum_stays_in_its_range(deciding: str) -> None:
    frame, random = table()
    frame["part"], frame["rest"] = random.lognormal(size=400), random.lognormal(size=400)
    frame["total"], frame["half"] = frame["part"] + frame["rest"], frame["part"] / 2
    rule = RegionRule(by="range", column=deciding, edges=[float(frame[deciding].median())])
    for rows in assert_exact(trained_on(frame, rule)):
        assert np.allclose(rows["total"], rows["part"] + rows["rest"], rtol=1e-9)
        assert np.allclose(rows["half"], rows["part"] / 2, rtol=1e-9)


def test_a_deciding_column_that_follows_from_a_category() -> None:
    """Years of schooling decide; the degree determines them and so may only be one of the region's."""
    frame, random = table()
    degree = random.integers(0, 12, 400)
    frame["degree"], frame["years"] = [f"d{d}" for d in degree], degree // 2 + 8
    for rows in assert_exact(trained_on(frame, RegionRule(by="range", column="years", edges=[10, 11]))):
        assert (rows["years"] == rows["degree"].str[1:].astype(int) // 2 + 8).all()


def test_sums_of_whole_numbers_stay_whole_and_in_bounds() -> None:
    frame, random = table()
    one = random.integers(0, 4, 400)
    for k in range(3):
        frame[f"is {k}"] = (one == k).astype(int)
    frame["is 3"] = (one == 3).astype(int)
    frame["m"], frame["f"] = random.poisson(3, 400), random.poisson(2, 400)
    frame["people"] = frame["m"] + frame["f"]
    for rows in assert_exact(trained_on(frame, RegionRule(by="quantile", column="y"))):
        assert (rows[[f"is {k}" for k in range(4)]].sum(axis=1) == 1).all()
        assert (rows["people"] == rows["m"] + rows["f"]).all()


def test_chance_is_no_tie() -> None:
    """Columns of few rows, near-unique columns and outliers that two columns share tie nothing."""
    random = np.random.default_rng(2)
    n = 60
    frame = pd.DataFrame({f"rare {j}": np.arange(n) == j // 2 for j in range(20)})
    frame["name"] = [f"n{i // 2 if i < 4 else i}" for i in range(n)]
    frame["level"] = random.choice(["a", "b", "c"], n)
    frame["u"], frame["v"] = random.normal(size=n), random.normal(size=n)
    frame.loc[0, ["u", "v"]] = 1e15, 2e15
    for j in range(40):
        frame[f"x{j}"] = random.normal(size=n)
    frame["y"] = random.choice(["a", "b"], n)
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    encoder = TabularEncoder.fit(rows, schema.generated, schema.regions, schema.regions.assign(rows), dependencies=True)
    assert encoder.dependencies.names == set()


def test_two_rows_are_enough_to_fit() -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "k": ["u", "v"]})
    columns = [describe(Column(c, "categorical" if c == "k" else "numeric"), rows[c]) for c in ("a", "b", "k")]
    rows["k"] = cast(rows["k"], columns[2])
    encoder = TabularEncoder.fit(rows, columns, dependencies=True)
    assert encoder.dependencies.names == set()
    pd.testing.assert_frame_equal(encoder.decode(encoder.encode(rows)), rows)


def test_a_table_of_tied_columns_only_is_drawn() -> None:
    frame = pd.DataFrame({"k": 3.0, "copy": ["u", "v"] * 100, "y": ["a", "b"] * 100})
    made = assert_exact(trained_on(frame, RegionRule()))
    assert (made[0]["copy"] == "u").all() and (made[1]["copy"] == "v").all() and (made[0]["k"] == 3.0).all()


# Values


NASTY: dict[str, tuple[str, Any]] = {
    "all missing": ("numeric", [np.nan] * 6),
    "one present": ("numeric", [np.nan, np.nan, 4.25, np.nan]),
    "huge": ("numeric", [-1.7e308, 1.7e308, 0.0, 1.0, -3.0]),
    "tiny": ("numeric", [5e-324, 0.0, 1e-310, -5e-324]),
    "tiny variance": ("numeric", [1.0, 1.0 + 2e-16, 1.0 - 1e-16, 1.0]),
    "outlier": ("numeric", [0.1, 0.2, 0.3, 1e300]),
    "two rows": ("numeric", [1.0, 2.0]),
    "long integers": ("integer", pd.array([2**63 - 1, -(2**63), 0, None], dtype="Int64")),
    "identifiers": ("integer", pd.array([2**60 + 1, 2**60 + 3, 2**60 + 2], dtype="Int64")),
    "dates": ("datetime", ["1677-09-22", "2262-04-11", None]),
    "nanoseconds": ("datetime", ["2020-01-01T00:00:00.000000001", "2020-01-01T00:00:00.000000007"]),
    "empty dates": ("datetime", [None, None]),
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_columns_are_finite_and_within_bounds(name: str) -> None:
    kind, raw = NASTY[name]
    column, values = stored(raw, kind)
    block = OrderedBlock.fit(column, values)
    array = block.encode(values).astype(np.float32)
    assert np.isfinite(array).all() and np.abs(array).max() < 10
    noise = np.random.default_rng(0).normal(size=(200, block.width)) * 3
    for made in (block.decode(array.astype(float)), block.decode(noise)):
        assert made.dtype == values.dtype
        present = made.dropna()
        assert present.between(values.min(), values.max()).all()
    if name in ("identifiers", "nanoseconds", "one present", "dates"):
        pd.testing.assert_series_equal(block.decode(array.astype(float)), values, check_exact=True)


def test_infinite_values_are_refused_by_name() -> None:
    frame, _ = table()
    frame.loc[3, "z"] = np.inf
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    with pytest.raises(CodsaError, match="column 'z': row 3 holds inf"):
        TabularEncoder.fit(rows, schema.generated)


def test_masses_decimals_and_units_come_back() -> None:
    random = np.random.default_rng(1)
    n = 3000
    price = np.where(random.random(n) < 0.5, 9.99, np.round(random.lognormal(3, 2, n), 2))
    step = random.choice([0.0, 0.125, 7.5], n)
    day = pd.Timestamp("2001-01-01") + pd.to_timedelta(random.integers(0, 4000, n), "D")
    for raw, kind in ((price, "numeric"), (step, "numeric"), (day, "datetime")):
        column, values = stored(raw, kind)
        block = OrderedBlock.fit(column, values)
        made = block.decode(random.normal(size=(4000, 1)))
        back = block.decode(block.encode(values).astype(np.float32).astype(float))
        if kind == "datetime":
            assert (made == made.dt.normalize()).all() and made.nunique() > 1000
        else:
            assert np.array_equal(made, made.round(3 if raw is step else 2))
            mass = values.mode()[0]
            assert (back[values == mass] == mass).all()
            assert (made == mass).mean() == pytest.approx((values == mass).mean(), abs=0.03)
        if raw is step:
            assert set(made) == {0.0, 0.125, 7.5}


def test_nasty_tables_train_and_draw() -> None:
    random = np.random.default_rng(4)
    n = 300
    frame = pd.DataFrame(
        {
            "cauchy": random.standard_cauchy(n) * 1e200,
            "zeros": np.where(random.random(n) < 0.9, 0.0, random.random(n)),
            "gaps": np.where(random.random(n) < 0.95, np.nan, random.random(n)),
            "one": np.where(np.arange(n) == 5, 3.0, np.nan),
            "narrow": 1e9 + random.normal(size=n) * 1e-3,
            "flag": pd.array(random.random(n) < 0.02, dtype="boolean"),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 10**17, n), "ns"),
            "y": random.choice(["a", "b"], n, p=[0.08, 0.92]),
        }
    )
    frame.loc[::11, "flag"] = None
    for rows in assert_exact(trained_on(frame, RegionRule())):
        assert rows["gaps"].isna().any() and rows["zeros"].eq(0).any()


# Size


def test_five_hundred_columns() -> None:
    random = np.random.default_rng(6)
    n = 400
    columns: dict[str, Any] = {f"x{j}": random.normal(size=n) for j in range(200)}
    columns |= {f"i{j}": random.poisson(2 + j % 5, n) for j in range(100)}
    columns |= {f"c{j}": random.choice([f"l{i}" for i in range(2 + j % 40)], n) for j in range(150)}
    columns |= {f"b{j}": random.random(n) < 0.1 for j in range(46)}
    columns |= {"copy": columns["x3"], "scaled": 3 * columns["x4"] - 1, "k": 1, "same": columns["c149"]}
    frame = pd.DataFrame(columns | {"y": random.choice(["a", "b"], n)})
    made = assert_exact(trained_on(frame, RegionRule(), labels="denoiser"))[0]
    assert made.shape[1] == 501
    assert (made["copy"] == made["x3"]).all() and (made["same"] == made["c149"]).all()
    assert np.allclose(made["scaled"], 3 * made["x4"] - 1)


def test_ten_thousand_levels() -> None:
    random = np.random.default_rng(7)
    levels = np.r_[np.arange(10_000), (random.zipf(1.5, 10_000) - 1) % 10_000]
    frame = pd.DataFrame({"code": [f"k{v}" for v in levels], "x": random.normal(size=20_000)})
    frame["y"] = np.where(frame["x"] > random.normal(size=20_000), "a", "b")
    trained = trained_on(frame, RegionRule(), labels="denoiser")
    assert trained.generator.space.width == 15  # type: ignore[attr-defined]
    made = assert_exact(trained)[0]
    assert made["code"].nunique() > 50


def test_digits_that_are_no_level_give_the_nearest() -> None:
    column, values = stored([f"k{i:03d}" for i in range(300)], "categorical")
    block = LevelBlock.fit(column, values)
    array = np.random.default_rng(0).normal(size=(3000, block.width))
    signs = block.encode(values)
    expected = values.iloc[(array @ signs.T).argmax(axis=1)].reset_index(drop=True)
    pd.testing.assert_series_equal(block.decode(array), expected, check_names=False)


def test_marginals_of_300_levels() -> None:
    """A short training gives frequent levels their share."""
    random = np.random.default_rng(8)
    share = 1 / np.arange(1, 301) ** 1.2
    share /= share.sum()
    code = random.choice(300, 4000, p=share)
    frame = pd.DataFrame({"code": [f"k{c}" for c in code], "y": random.choice(["a", "b"], 4000)})
    trained = trained_on(frame, RegionRule(), steps=600, width=64, depth=2, batch=256, ema=0.99, sampler_steps=16)
    made = pd.concat(assert_exact(trained))["code"].value_counts(normalize=True)
    real = frame["code"].value_counts(normalize=True)
    assert real.sub(made, fill_value=0).abs().sum() / 2 < 0.3
    assert made["k0"] == pytest.approx(real["k0"], rel=0.35)


def test_schema_with_a_pooled_class_is_exact_through_save(tmp_path: Path) -> None:
    frame, _ = table()
    frame["y"] = np.r_[np.repeat(["a", "b"], 180), [f"rare {i % 8}" for i in range(40)]]
    trained = trained_on(frame, RegionRule())
    schema: Schema = trained.schema
    assert any(len(members) > 1 for members in schema.regions.members)
    (tmp_path / "g").mkdir()
    trained.generator.save(tmp_path / "g")
    again = type(trained.generator).load(tmp_path / "g", schema, TINY)
    for one, two in zip(assert_exact(trained), assert_exact(Trained(again, schema, trained.training)), strict=True):
        pd.testing.assert_frame_equal(one, two)
