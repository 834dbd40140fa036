"""A start from a source set works where S_g lacks what the source has: a level, every value of a column."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from toy_texts import toy_reviews

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.data.split import TRAIN, Split, open_split, write_split
from codsa.io.seeds import SeedContext, rng, stream
from codsa.readers.datasets import Raw
from codsa.readers.texts import read_texts
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.settings.texts import TextOptions
from codsa.stages.pretrain import write_pretrained
from codsa.stages.sample import conform, in_bounds
from codsa.stages.split import Size, split
from codsa.stages.train_generator import load_generator, train, write_generator

SEEDS = SeedContext(0, "source levels", 0)
KINDS = {"kind": {"type": "categorical"}}
TINY = {"steps": 8, "batch": 32, "width": 16, "depth": 2, "sampler_steps": 3, "labels": "denoiser"}


class Pair(NamedTuple):
    """A study whose S_g lacks the level 'west' and all values of `rare`, and a source set that has both."""

    study: Dataset
    roles: Split
    source: Dataset


def table(n: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    return pd.DataFrame(
        {
            "x": x,
            "rare": np.where(random.random(n) < 0.3, np.nan, random.normal(size=n)),
            "site": random.choice(["north", "south", "west"], n),
            "kind": random.choice([1, 2, 3], n),
            "y": np.where(x + random.normal(size=n) > 0, "b", "a"),
        }
    )


def prepared(frame: pd.DataFrame) -> Dataset:
    return Dataset(*prepare(frame, ColumnOptions(target="y", columns=KINDS), RegionRule()), "digest")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """See `Pair`."""
    frame, q, sizes = table(160, 0), np.array([0.5, 0.5]), (Size(count=20), Size(count=20))
    train_rows = (split(prepared(frame), q, *sizes, rng(stream(0, "split")))["role"] == TRAIN).to_numpy()
    frame.loc[train_rows, "rare"] = np.nan
    frame.loc[train_rows, "site"] = frame.loc[train_rows, "site"].replace("west", "north")
    frame.loc[train_rows, "kind"] = frame.loc[train_rows, "kind"].replace(3, 2)
    write_dataset(tmp_path / "data", *prepare(frame, ColumnOptions(target="y", columns=KINDS), RegionRule()), {})
    study = load_dataset(tmp_path / "data")
    roles = split(study, q, *sizes, rng(stream(0, "split")))
    assert np.array_equal(roles["role"] == TRAIN, train_rows)
    write_split(tmp_path / "split.parquet", roles, study, q, {})
    opened, opened_roles = open_split(tmp_path / "data", tmp_path / "split.parquet")
    assert isinstance(opened, Dataset)
    return Pair(opened, opened_roles, prepared(table(200, 1)))


STARTS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "nothing": ("", {}, "tabular-diffusion", TINY),
    "encoder": ("encoder", {"latent": 3, "steps": 8, "width": 16}, "tabular-diffusion", TINY),
    "denoiser": ("denoiser", TINY, "tabular-diffusion", TINY),
    "rows": ("rows", {}, "source-rows", {}),
    "mixed rows": ("rows", {}, "source-rows", {"mixed": True}),
    "rows for a law": ("rows", {}, "gaussian", {}),
}


@pytest.mark.parametrize("start", list(STARTS))
def test_a_generator_starts_from_a_source_set_with_more_levels(pair: Pair, start: str, tmp_path: Path) -> None:
    kind, source_settings, name, settings = STARTS[start]
    folder = None
    if kind:
        folder = tmp_path / "source"
        write_pretrained(folder, kind, pair.source, source_settings, SEEDS, tmp_path / "checkpoints", {}, {})
    made = train(pair.study, pair.roles, 0.6, name, settings, SEEDS, tmp_path / "train", folder)
    site = made.schema.column("site")
    assert site.levels == (["north", "south", "west"] if kind else ["north", "south"])
    parameters = {"generator": name, "settings": settings, "r": 0.6, "fold": None}
    write_generator(tmp_path / "gen", made, made.schema, {"dataset": "", "split": ""}, parameters)
    again = load_generator(tmp_path / "gen")
    for region in (0, 1):
        rows, same = (g.sample(region, 60, stream(0, "draw")) for g in (made, again.generator))
        pd.testing.assert_frame_equal(rows, same)
        drawn = conform(rows, again.schema)
        assert in_bounds(drawn, again.schema).all()
        assert drawn["rare"].isna().all() or kind
        assert list(conform(rows, pair.study.schema).dtypes) == list(pair.study.rows[drawn.columns].dtypes)


def texts(folder: Path) -> Dataset:
    """Return the toy texts with a category of four levels beside them."""
    columns = {"useful": {"type": "categorical", "role": "attribute"}, "place": {"role": "ignored"}}
    declared = ColumnOptions(target="stars", columns=columns)
    raw, declared = read_texts(
        Raw(toy_reviews(), {}, []), declared, TextOptions(column="text", encoder="toy"), folder / "cache"
    )
    return Dataset(*prepare(raw.table, declared, RegionRule(), raw.notes, raw.encoded), "digest")


@pytest.mark.parametrize("kind", ["denoiser", "rows"])
def test_texts_start_from_a_source_set_with_more_levels(kind: str, toy: None, tmp_path: Path) -> None:
    settings = {"steps": 8, "batch": 32, "width": 16, "depth": 2, "noise_width": 16, "sampler_steps": 3}
    data = texts(tmp_path)
    frame = split(data, np.full(3, 1 / 3), Size(count=12), Size(count=12), rng(stream(0, "split")))
    lacking = (data.rows["useful"] == 3).to_numpy() & (frame["role"] == TRAIN).to_numpy()
    frame.loc[lacking, "min_ratio"] = 1.0
    roles = Split(frame, np.full(3, 1 / 3), np.full(3, 1 / 3), "digest")
    own = {"generator": "text-diffusion", **settings} if kind == "denoiser" else {}
    write_pretrained(tmp_path / "source", kind, texts(tmp_path), own, SEEDS, tmp_path / "checkpoints", {}, {})
    given = {**settings, "decoder": "nearest"}
    alone = train(data, roles, 0.6, "text-diffusion", given, SEEDS, tmp_path / "a")
    assert alone.schema.column("useful").levels == [0, 1, 2]
    assert set(alone.sample(0, 40, stream(0, "draw"))["useful"]) <= {0, 1, 2}
    made = train(data, roles, 0.6, "text-diffusion", given, SEEDS, tmp_path / "b", tmp_path / "source")
    assert made.schema.column("useful").levels == [0, 1, 2, 3]
    drawn = conform(made.sample(0, 40, stream(0, "draw")), made.schema)
    assert in_bounds(drawn, made.schema).all() and drawn["text"].str.len().all()
