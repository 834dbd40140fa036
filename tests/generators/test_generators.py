"""What only some generators of tables promise; the contract of all is in test_contract.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.io.seeds import stream
from codsa.settings.regions import RegionRule
from codsa.stages.sample import in_bounds

SMALL: dict[str, dict[str, Any]] = {
    "tabular-diffusion": {"steps": 40, "batch": 64, "width": 32, "depth": 1, "sampler_steps": 5}
}


def fitted(name: str, dataset: Dataset, seed: int = 0, **settings: Any) -> Generator:
    columns = [c.name for c in dataset.schema.modelled]
    generator = make(name, {**SMALL.get(name, {}), **settings})
    return generator.fit(dataset.rows[columns], dataset.regions(), dataset.schema, stream(seed, "fit"))


@pytest.mark.parametrize("name", ["smote", "adasyn", "smogn"])
def test_a_region_of_one_row_is_refused_by_neighbours(name: str, dataset: Dataset) -> None:
    region = dataset.regions()
    rows = np.r_[np.flatnonzero(region == 0), np.flatnonzero(region == 1)[:1]]
    columns = [c.name for c in dataset.schema.modelled]
    generator = make(name, {}).fit(dataset.rows.iloc[rows][columns], region[rows], dataset.schema, stream(0, "fit"))
    with pytest.raises(CodsaError, match="has 1 rows in S_g"):
        generator.sample(1, 5, stream(0, "draw"))


SETTINGS: list[tuple[str, str, Any]] = [
    ("smote", "k_neighbors", 1),
    ("gaussian", "shrinkage", 0.9),
    ("gaussian", "scaling", "normal-score"),
    ("adasyn", "n_neighbors", 1),
    ("smogn", "k", 7),
    ("smogn", "perturbation", 0.5),
    ("tabular-diffusion", "steps", 60),
    ("tabular-diffusion", "batch", 32),
    ("tabular-diffusion", "learning_rate", 1e-2),
    ("tabular-diffusion", "width", 16),
    ("tabular-diffusion", "depth", 2),
    ("tabular-diffusion", "ema", 0.5),
    ("tabular-diffusion", "holdout", 0.0),
    ("tabular-diffusion", "sampler_steps", 9),
]


@pytest.mark.parametrize(("name", "setting", "value"), SETTINGS)
def test_every_setting_changes_the_rows(name: str, setting: str, value: Any, dataset: Dataset) -> None:
    usual = fitted(name, dataset).sample(1, 100, stream(0, "draw"))
    changed = fitted(name, dataset, **{setting: value}).sample(1, 100, stream(0, "draw"))
    assert not usual.equals(changed)


def test_bootstrap_draws_rows_of_the_region(dataset: Dataset) -> None:
    columns = [c.name for c in dataset.schema.modelled]
    generated = fitted("bootstrap", dataset).sample(1, 100, stream(0, "draw"))
    real = dataset.rows[columns][dataset.regions() == 1]
    assert len(generated.merge(real.drop_duplicates(), how="left", indicator=True).query("_merge == 'left_only'")) == 0


def test_smote_lies_between_rows_of_the_region() -> None:
    from codsa.data.preparation import prepare
    from codsa.settings.columns import ColumnOptions
    from codsa.settings.regions import RegionRule

    frame = pd.DataFrame({"x": [0.0, 1.0, *np.linspace(5, 9, 30)], "y": ["rare"] * 2 + ["usual"] * 30})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule(pool=False))
    region = schema.regions.assign(rows)
    generated = make("smote", {}).fit(rows, region, schema, stream(0, "f")).sample(0, 200, stream(0, "d"))
    assert schema.regions.names[0] == "rare"
    assert generated["x"].between(0, 1).all() and generated["x"].nunique() > 100


def test_adasyn_draws_more_where_other_regions_are_near() -> None:
    from codsa.data.preparation import prepare
    from codsa.settings.columns import ColumnOptions

    random = np.random.default_rng(0)
    rare = np.r_[random.normal(0, 0.3, 40), random.normal(10, 0.3, 40)]
    frame = pd.DataFrame({"x": np.r_[rare, random.normal(10, 1.0, 300)], "y": ["a"] * 80 + ["b"] * 300})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    generated = (
        make("adasyn", {}).fit(rows, schema.regions.assign(rows), schema, stream(0, "f")).sample(0, 300, stream(0, "d"))
    )
    assert (generated["x"] > 5).mean() > 0.9


def test_diffusion_learns_two_clusters_apart() -> None:
    """Two regions with different means: a short training tells them apart."""
    from codsa.data.preparation import prepare
    from codsa.settings.columns import ColumnOptions

    random = np.random.default_rng(0)
    x = np.r_[random.normal(-3, 0.5, 200), random.normal(3, 0.5, 400)]
    frame = pd.DataFrame({"x": x, "z": 2 * x + random.normal(0, 0.1, 600), "y": ["a"] * 200 + ["b"] * 400})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    generator = make("tabular-diffusion", {"steps": 800, "batch": 128, "width": 64, "depth": 2})
    generator.fit(rows, schema.regions.assign(rows), schema, stream(0, "f"))
    a, b = (generator.sample(k, 500, stream(0, k)) for k in (0, 1))
    assert a["x"].mean() == pytest.approx(-3, abs=0.3) and b["x"].mean() == pytest.approx(3, abs=0.3)
    assert np.corrcoef(a["x"], a["z"])[0, 1] > 0.8


def test_a_value_of_the_region_is_exact_without_rejection(dataset: Dataset) -> None:
    """The class that a region stands for is not generated but given."""
    generator = fitted("tabular-diffusion", dataset)
    target = dataset.schema.target
    assert target not in [block.column.name for block in generator.space.blocks]  # type: ignore[attr-defined]
    for k, name in enumerate(dataset.schema.regions.names):
        assert set(generator.sample(k, 64, stream(0, k))[target].astype(str)) == {name}


def test_a_loss_that_is_not_finite_is_an_error(dataset: Dataset) -> None:
    with pytest.raises(CodsaError, match="not finite at step"):
        fitted("tabular-diffusion", dataset, learning_rate=1e30)


def test_transfer_draws_through_the_frozen_encoder(dataset: Dataset, tmp_path: Path) -> None:
    from codsa.nn.autoencoder import LatentSpace, pretrain

    losses = pretrain(dataset.rows, dataset.schema, stream(0, "p"), tmp_path, latent=3, steps=60, width=32)
    assert losses["loss"].iloc[-1] < losses["loss"].iloc[0]
    columns = [c.name for c in dataset.schema.modelled]
    generator = make("tabular-diffusion", SMALL["tabular-diffusion"])
    generator.fit(dataset.rows[columns], dataset.regions(), dataset.schema, stream(0, "f"), pretrained=tmp_path)
    assert isinstance(generator.space, LatentSpace) and generator.space.width == 3  # type: ignore[attr-defined]
    assert in_bounds(generator.sample(1, 50, stream(0, "d")), dataset.schema).all()
    (tmp_path / "g").mkdir()
    generator.save(tmp_path / "g")
    again = type(generator).load(tmp_path / "g", dataset.schema, SMALL["tabular-diffusion"])
    pd.testing.assert_frame_equal(generator.sample(0, 50, stream(0, "d")), again.sample(0, 50, stream(0, "d")))


def test_an_encoder_of_other_columns_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    from codsa.data.preparation import prepare
    from codsa.nn.autoencoder import pretrain
    from codsa.settings.columns import ColumnOptions

    other, schema = prepare(
        pd.DataFrame({"w": np.arange(100) / 7, "y": [0, 1] * 50}), ColumnOptions(target="y"), RegionRule()
    )
    pretrain(other, schema, stream(0, "p"), tmp_path, steps=5, width=8)
    with pytest.raises(CodsaError, match="same columns and types"):
        make("tabular-diffusion", {}).fit(
            dataset.rows, dataset.regions(), dataset.schema, stream(0, "f"), pretrained=tmp_path
        )


def test_a_gaussian_has_the_means_and_the_covariance_of_its_rows() -> None:
    from codsa.data.preparation import prepare
    from codsa.settings.columns import ColumnOptions

    random = np.random.default_rng(0)
    label = np.r_[np.zeros(400, dtype=int), np.ones(200, dtype=int)]
    x = random.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], 600) + 4.0 * label[:, None]
    frame = pd.DataFrame({"x": x[:, 0], "z": x[:, 1], "y": np.where(label, "b", "a")})
    rows, schema = prepare(frame, ColumnOptions(target="y"), RegionRule())
    generator = make("gaussian", {"scaling": "asinh"}).fit(rows, schema.regions.assign(rows), schema, stream(0, "f"))
    for k, centre in enumerate((0.0, 4.0)):
        drawn = generator.sample(k, 2000, stream(0, k))
        assert drawn["x"].mean() == pytest.approx(centre, abs=0.3)
        assert np.corrcoef(drawn["x"], drawn["z"])[0, 1] == pytest.approx(0.8, abs=0.1)
