"""The contract of every registered generator, each on data of the modality that its class names.

A name that is added to `GENERATORS` is tested without a change here, with the defaults of its class. `CASES` holds what
some names need beyond these: smaller networks, a pretrained folder, data of a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import make_mixed_table, write_prepared
from test_image_generators import SMALL as IMAGE_SETTINGS
from test_image_generators import make_images
from toy_pipeline import make_pipeline
from toy_texts import toy_dataset, use_toy_encoder

from codsa.data.dataset import Dataset
from codsa.errors import CodsaError
from codsa.generators import Generator, make
from codsa.io import array_columns
from codsa.io.seeds import SeedContext, stream
from codsa.io.tables import write_parquet
from codsa.readers.simulations import simulate
from codsa.settings.registry import GENERATORS, load
from codsa.stages.sample import conform, draw, in_bounds
from codsa.stages.train_generator import Trained, Training, load_generator, write_generator

NAMES = sorted(GENERATORS)
DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "tables": lambda folder: write_prepared(folder, make_mixed_table()),
    "images": make_images,
    "texts": toy_dataset,
}
"""A small dataset of each modality; a class of modality 'any' is fitted on all of them."""
SUFFIXES = {".csv", ".json", ".parquet", ".safetensors", ".skops"}


@dataclass(frozen=True)
class Case:
    """What a generator needs beyond its defaults.

    Attributes
    ----------
    settings : mapping
    base_model : callable, optional
        folder → the folder of a tiny model, for the setting `model`.
    dataset : callable, optional
        folder → data that take the place of those of the modality.
    pretrained : callable, optional
        (dataset, folder) → the folder that `fit` takes as `pretrained`.
    learns_missing : bool
        Whether such a short training shows it when values are missing.
    within_bounds : bool
        Whether it draws no value beyond those of the data. The stage refuses such rows.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    base_model: Callable[[Path], Path] | None = None
    dataset: Callable[[Path], Dataset] | None = None
    pretrained: Callable[[Dataset, Path], Path] | None = None
    learns_missing: bool = True
    within_bounds: bool = True


def simulated(folder: Path) -> Dataset:
    """Rows of the simulation that `oracle` draws from."""
    return write_prepared(folder, simulate("imbalanced-classification", 60, 60, seed=0))


def source_rows(dataset: Dataset, folder: Path) -> Path:
    """Write rows of the same columns as the source set's."""
    columns = [column.name for column in dataset.schema.modelled]
    write_parquet(folder / "rows.parquet", dataset.rows[columns].iloc[: len(dataset) // 2])
    return folder


NETWORK = {"steps": 40, "batch": 64, "width": 32, "depth": 1, "sampler_steps": 5}
CASES = {
    "image-diffusion": Case(IMAGE_SETTINGS["image-diffusion"]),
    "oracle": Case(dataset=simulated, within_bounds=False),
    "restyled": Case(IMAGE_SETTINGS["restyled"]),
    "source-rows": Case(pretrained=source_rows),
    "stable-diffusion": Case(
        {"prompt": "a {y}", "steps": 3, "batch": 4, "rank": 2, "precision": "no", "sampler_steps": 2},
        base_model=make_pipeline,
    ),
    "tabular-diffusion": Case(NETWORK, learns_missing=False),
    "text-diffusion": Case({**NETWORK, "noise_width": 16, "decoder": "nearest"}),
    "text-gaussian": Case({"decoder": "nearest"}),
    "text-noise": Case({"encoder": "toy"}),
    "vp-diffusion": Case({"steps": 40, "batch": 64, "width": 16, "depth": 2}, learns_missing=False),
}


@dataclass(frozen=True)
class Fit:
    """A fitted generator with what it was fitted on."""

    name: str
    generator: Generator
    dataset: Dataset
    settings: dict[str, Any]
    pretrained: Path | None

    @property
    def regions(self) -> range:
        return range(len(self.dataset.schema.regions))

    def fitted_again(self) -> Generator:
        return fitted(self.name, self.dataset, self.settings, self.pretrained)

    def sample(self, generator: Generator, region: int, count: int, draw_number: int = 0) -> pd.DataFrame:
        rows = generator.sample(region, count, stream(draw_number, "draw", region))
        return conform(rows, self.dataset.schema)


def fitted(name: str, dataset: Dataset, settings: dict[str, Any], pretrained: Path | None) -> Generator:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # its precision holds for a process, and a command is one
    rows = dataset.part(np.arange(len(dataset)))
    regions = dataset.regions()
    return make(name, settings).fit(rows, regions, dataset.schema, stream(0, "fit"), pretrained=pretrained)


def pooled(trained: Trained, region: int, count: int) -> pd.DataFrame:
    """Draw a pool of at least `count` rows of a region, block by block."""
    blocks = -(-count // trained.generator.block)
    return draw(trained, region, first=0, last=blocks, rows=count, seeds=SeedContext(0, "experiment", 0)).rows


Fits = Callable[[str], list[Fit]]


@pytest.fixture(scope="module", autouse=True)
def toy_encoder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_toy_encoder(patch)
        yield


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    """`fits(name)`: the generator fitted once on a dataset of each modality that it draws."""

    @cache
    def dataset_of(make_dataset: Callable[[Path], Dataset]) -> Dataset:
        return make_dataset(tmp_path_factory.mktemp("data") / "data")

    @cache
    def fits_of(name: str) -> list[Fit]:
        case, modality = CASES.get(name, Case()), load("generator", name, GENERATORS).modality
        modalities = list(DATASETS) if modality == "any" else [modality]
        folder = tmp_path_factory.mktemp(name)
        settings = {**case.settings, **({"model": str(case.base_model(folder / "base"))} if case.base_model else {})}
        found = []
        for modality in modalities:
            dataset = dataset_of(case.dataset or DATASETS[modality])
            pretrained = case.pretrained(dataset, tmp_path_factory.mktemp("pretrained")) if case.pretrained else None
            found.append(Fit(name, fitted(name, dataset, settings, pretrained), dataset, settings, pretrained))
        return found

    return fits_of


@pytest.mark.parametrize("name", NAMES)
def test_rows_keep_columns_types_levels_bounds_and_region(name: str, fits: Fits) -> None:
    for fit in fits(name):
        schema = fit.dataset.schema
        for region in fit.regions:
            rows = fit.generator.sample(region, 40, stream(0, "draw", region))
            assert len(rows) == 40
            assert list(rows.columns) == [column.name for column in schema.modelled]
            assert (rows.dtypes == fit.dataset.rows[rows.columns].dtypes).all()
            assert in_bounds(rows, schema).all() or not CASES.get(name, Case()).within_bounds
            assert (schema.regions.assign(rows) == region).all()
            for column in schema.modelled:
                if column.is_text_embedding:
                    norms = np.linalg.norm(array_columns.arrays(rows[column.name]), axis=1)
                    np.testing.assert_allclose(norms, 1, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_alone_decides(name: str, fits: Fits) -> None:
    for fit in fits(name):
        rows = fit.sample(fit.generator, 1, 20)
        np.random.random()  # the global generator has no say
        pd.testing.assert_frame_equal(rows, fit.sample(fit.fitted_again(), 1, 20))
        assert not rows.equals(fit.sample(fit.generator, 1, 20, draw_number=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_generator_draws_the_same_rows_and_no_pickle_is_written(name: str, fits: Fits, tmp_path: Path) -> None:
    for number, fit in enumerate(fits(name)):
        folder = tmp_path / str(number)
        parameters = {"generator": name, "settings": fit.settings, "r": 1.0}
        write_generator(folder, fit.generator, fit.dataset.schema, {"dataset": fit.dataset.digest}, parameters)
        loaded = load_generator(folder)
        assert loaded.schema.to_dict() == fit.dataset.schema.to_dict()
        for region in fit.regions:
            rows = fit.sample(fit.generator, region, 20)
            pd.testing.assert_frame_equal(rows, fit.sample(loaded.generator, region, 20))
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= SUFFIXES


@pytest.mark.parametrize("name", NAMES)
def test_few_rows_are_the_first_of_many(name: str, fits: Fits) -> None:
    """Chunks join to what `sample` draws, so that a pool of few rows holds the first rows of a pool of many."""
    for fit in fits(name):
        chunks = fit.generator.sample_chunks(1, 24, stream(0, "draw", 1))
        joined = conform(pd.concat(chunks, ignore_index=True), fit.dataset.schema)
        pd.testing.assert_frame_equal(joined, fit.sample(fit.generator, 1, 24))
        trained = Trained(fit.generator, fit.dataset.schema, Training(name, fit.settings, 1.0))
        few, many = (pooled(trained, region=1, count=count) for count in (5, 24))
        assert len(few) >= 5 and len(many) >= 24
        pd.testing.assert_frame_equal(few.iloc[:5], many.iloc[:5])


@pytest.mark.parametrize("name", NAMES)
def test_missing_values_are_generated_where_the_data_have_them(name: str, fits: Fits) -> None:
    for fit in fits(name):
        with_gaps = [column.name for column in fit.dataset.schema.modelled if column.missing]
        count = 400 if with_gaps else 20
        rows = fit.sample(fit.generator, 0, count)
        assert not rows.drop(columns=with_gaps).isna().any().any()
        if with_gaps and CASES.get(name, Case()).learns_missing:
            assert rows[with_gaps].isna().any().any()


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_setting_is_refused(name: str) -> None:
    with pytest.raises(CodsaError, match="no setting 'stepz'"):
        make(name, {"stepz": 3})
