"""What a pool costs follows the rows asked: they pass through networks in chunks; few rows are the first of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from test_image_generators import fitted as fitted_images
from test_image_generators import make_images
from toy_texts import toy_dataset

from codsa.data.chunks import chunks
from codsa.data.dataset import Dataset
from codsa.data.pool import load_pool
from codsa.data.preparation import prepare
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.generators.images import image_diffusion
from codsa.generators.tables import tabular_diffusion
from codsa.generators.texts.decoders import Decoder
from codsa.io.seeds import SeedContext, rng, stream
from codsa.nn import edm
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.sample import write_shard
from codsa.stages.train_generator import Trained, Training

WORK = SeedContext(0, "e", 0)
TABLE: dict[str, Any] = {"steps": 20, "batch": 32, "width": 16, "depth": 1, "sampler_steps": 3}
KINDS = ["images", "still images", "table", "regression", "classes", "texts", "decoded"]


class Echo(Decoder):
    """Decodes an embedding into the place of its largest element, and counts what it is given."""

    chunk_rows = 16

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def decode(self, vectors: np.ndarray, region: int) -> list[str]:
        self.decoded.append(len(vectors))
        return [f"word {place}" for place in vectors.argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Nothing to keep."""


def table(target: str) -> pd.DataFrame:
    random = np.random.default_rng(4)
    x, group = random.normal(size=200), random.choice(["a", "b"], 200)
    y = np.where(group == "a", 3 * x, -3 * x) + 0.1 * random.normal(size=200)
    values = {"number": y, "group": np.where(x + random.normal(size=200) > 0, "high", "low")}[target]
    return pd.DataFrame({"x": x, "z": random.normal(size=200), "group": group, "y": values})


def tabular(raw: pd.DataFrame, rule: RegionRule, **settings: Any) -> Trained:
    rows, schema = prepare(raw, ColumnOptions(target="y"), rule)
    regions = schema.regions.assign(rows)
    generator = make("tabular-diffusion", {**TABLE, **settings}).fit(rows, regions, schema, stream(0, "fit"))
    return as_trained(generator, Dataset(rows, schema, ""))


def as_trained(generator: Generator, data: Dataset) -> Trained:
    return Trained(generator, data.schema, Training("g", {}, 1.0), {"dataset": "", "split": ""})


def worded(folder: Path, name: str, **settings: Any) -> Trained:
    data = toy_dataset(folder)
    rows = data.rows[[c.name for c in data.schema.modelled]]
    generator = make(name, {"decoder": "nearest", **settings}).fit(rows, data.regions(), data.schema, stream(0, "fit"))
    return as_trained(generator, data)


def decoded(folder: Path) -> Trained:
    trained = worded(folder, "text-gaussian")
    generator: Any = trained.generator
    generator.decoder, generator.slow, generator.block = Echo(), True, 64
    return trained


def images(folder: Path, **settings: Any) -> Trained:
    data = make_images(folder / "images")
    return as_trained(fitted_images("image-diffusion", data, **settings), data)


MAKE: dict[str, Callable[[Path], Trained]] = {
    "images": images,
    "still images": lambda folder: images(folder, stochastic=False, guidance=2.0),
    "table": lambda folder: tabular(table("group"), RegionRule(by="column", column="group"), labels="denoiser"),
    "regression": lambda folder: tabular(table("number"), RegionRule(by="column", column="group")),
    "classes": lambda folder: tabular(table("group"), RegionRule()),
    "texts": lambda folder: worded(folder, "text-diffusion", steps=10, batch=16, width=16, depth=1, sampler_steps=3),
    "decoded": decoded,
}


def pool(trained: Trained, folder: Path, rows: int, shards: int = 1, regions: tuple[int, ...] = (0, 1)) -> Any:
    for shard in range(shards):
        write_shard(folder, trained, dict.fromkeys(regions, rows), shard, shards, WORK)
    return load_pool(folder, trained.schema)


def test_chunks_cover_all_rows_in_order() -> None:
    assert list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(chunks(4, 4)) == [slice(0, 4)]
    assert list(chunks(0, 4)) == [slice(0, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_are_the_first_of_many_in_any_shards(kind: str, tmp_path: Path, toy: None) -> None:
    trained = MAKE[kind](tmp_path)
    many = pool(trained, tmp_path / "many", 2000, shards=3, regions=(1,)).rows[1]
    for rows, shards in ((40, 1), (300, 1), (300, 2)):
        few = pool(trained, tmp_path / f"{rows}-{shards}", rows, shards, regions=(1,)).rows[1]
        assert len(few) == rows
        pd.testing.assert_frame_equal(few, many.iloc[:rows])


@pytest.mark.parametrize(("kind", "chunk"), [("images", 32), ("still images", 32), ("table", 128), ("regression", 128)])
def test_no_more_rows_are_denoised_than_asked_and_a_chunk(
    kind: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular_diffusion, "CHUNK_ROWS", 128)
    assert image_diffusion.CHUNK_ROWS == 32
    trained = MAKE[kind](tmp_path)
    generator: Any = trained.generator
    sizes: list[int] = []
    generator.model.register_forward_hook(lambda model, given, output: sizes.append(len(given[0])))
    twice = 2 if kind == "still images" else 1  # guidance calls the network on two copies
    for rows in (10, 40, 300):
        sizes.clear()
        pool(trained, tmp_path / str(rows), rows, regions=(1,))
        expected = -(-rows // chunk)
        assert sizes == [twice * chunk] * 3 * expected
        assert sum(sizes) / 3 / twice < rows + chunk


def test_candidates_are_denoised_until_enough_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the region is the class, about one candidate of two is kept."""
    monkeypatch.setattr(tabular_diffusion, "CHUNK_ROWS", 32)
    trained = MAKE["classes"](tmp_path)
    generator: Any = trained.generator
    sizes: list[int] = []
    generator.model.register_forward_hook(lambda model, given, output: sizes.append(len(given[0])))
    pool(trained, tmp_path / "pool", 40, regions=(1,))
    assert set(sizes) == {32} and sum(sizes) / 3 <= 2 * 2 * 40 + 32


def test_the_first_of_few_candidates_come_from_every_region(tmp_path: Path) -> None:
    """Were they taken region by region, a small pool would hold what was drawn as the first region alone."""
    trained = MAKE["classes"](tmp_path)
    generator: Any = trained.generator
    denoise, asked = generator._denoise, []
    generator._denoise = lambda drawn_as, *rest: asked.append(drawn_as) or denoise(drawn_as, *rest)
    pool(trained, tmp_path / "pool", 5, regions=(1,))
    assert asked[0][:6].tolist() == [0, 1, 0, 1, 0, 1]


def test_no_more_texts_are_decoded_than_asked_and_a_chunk(tmp_path: Path, toy: None) -> None:
    trained = decoded(tmp_path)
    generator: Any = trained.generator
    for rows in (10, 40, 100):
        generator.decoder.decoded.clear()
        pool(trained, tmp_path / str(rows), rows, regions=(1,))
        assert generator.decoder.decoded == [16] * -(-rows // 16)


class Straying(Generator):
    """Rows of x in (0, 1) whatever the region, of which a third lies in each of three regions; four rows a chunk."""

    def __init__(self, *, slow: bool, block: int, once: bool) -> None:
        self.slow, self.block, self.once, self.chunks = slow, block, once, 0

    def fit(self, rows: pd.DataFrame, regions: np.ndarray, schema: Any, *rest: Any, **more: Any) -> Self:
        self.schema = schema
        return self

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        x = rng(stream).uniform(size=count)
        return pd.DataFrame({"x": x, "y": 2 * x})

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        rows = self.sample(region, count, stream)
        for part in chunks(count, count if self.once else 4):
            self.chunks += 1
            yield rows.iloc[part]

    def save(self, folder: Path) -> None:
        """Nothing to keep."""

    @classmethod
    def load(cls, folder: Path, schema: Any, settings: Mapping[str, Any]) -> Self:
        return cls(**settings)


def straying(slow: bool, block: int = 32, once: bool = False) -> Trained:
    x = np.linspace(0.01, 0.99, 90)
    rows, schema = prepare(
        pd.DataFrame({"x": x, "y": 2 * x}),
        ColumnOptions(target="y"),
        RegionRule(by="range", column="x", edges=[0.33, 0.66]),
    )
    generator = Straying(slow=slow, block=block, once=once).fit(rows, schema.regions.assign(rows), schema)
    return as_trained(generator, Dataset(rows, schema, ""))


@pytest.mark.parametrize("slow", [False, True])
def test_rows_outside_their_region_are_drawn_again_in_the_same_order(slow: bool, tmp_path: Path) -> None:
    trained, whole = straying(slow), straying(slow, once=True)
    many = pool(trained, tmp_path / "many", 200)
    for rows in (1, 5, 31, 32, 33, 100):
        few = pool(trained, tmp_path / str(rows), rows, shards=2)
        for k in (0, 1):
            pd.testing.assert_frame_equal(few.rows[k], many.rows[k].iloc[:rows])
    pd.testing.assert_frame_equal(many.rows[1], pool(whole, tmp_path / "whole", 200).rows[1])
    generator: Any = trained.generator
    generator.chunks = 0
    pool(trained, tmp_path / "one", 1, regions=(1,))
    assert generator.chunks < 8  # of which a block has eight at least


def test_a_region_that_is_never_hit_is_an_error(tmp_path: Path) -> None:
    trained = straying(slow=True)
    trained.generator.sample = lambda region, count, stream: pd.DataFrame(  # type: ignore[method-assign]
        {"x": np.full(count, 0.9), "y": np.full(count, 1.8)}
    )
    with pytest.raises(CodsaError, match=r"640 of 640 generated rows lie outside it"):
        pool(trained, tmp_path / "pool", 3, regions=(0,))


def test_killed_drawing_goes_on_and_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = images(tmp_path)
    trained.generator.block = 64
    clean = {rows: pool(trained, tmp_path / f"clean-{rows}", rows) for rows in (100, 120)}
    sample, calls = edm.sample, []

    def killed(*given: Any, **more: Any) -> Any:
        calls.append(given)
        if len(calls) == 6:  # four chunks are region 0's, two blocks
            raise KeyboardInterrupt
        return sample(*given, **more)

    for rows, resumed in ((100, 2), (120, 1)):  # of 120 rows, the second block holds others than of 100
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(edm, "sample", killed)
            with pytest.raises(KeyboardInterrupt):
                pool(trained, tmp_path / f"cut-{rows}", 100)
            calls.extend([()] * 10)
            before = len(calls)
            again = pool(trained, tmp_path / f"cut-{rows}", rows)
        assert len(calls) - before == 8 - 2 * resumed
        assert again.digest == clean[rows].digest
    whole, cut = (next((tmp_path / name).rglob("part*")) for name in ("clean-100", "cut-100"))
    assert whole.read_bytes() == cut.read_bytes()
