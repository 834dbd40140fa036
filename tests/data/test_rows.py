"""Tables that stay in their file: the same datasets, splits and generators as from those held in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data import rows as stored
from codsa.data.dataset import Dataset
from codsa.data.rows import StoredDataset, StoredRows, encoded, open_dataset, subsample
from codsa.data.split import Split, load_split
from codsa.encoders.tabular import TabularEncoder
from codsa.io.seeds import SeedContext, rng, stream
from codsa.stages.split import Size, target_law
from codsa.stages.split import split as split_rows
from codsa.stages.train_generator import train

SMALL = {"steps": 20, "batch": 64, "width": 16, "depth": 1, "sampler_steps": 4}


@pytest.fixture
def kept(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredDataset:
    """The dataset, left in its file and read 50 rows at a time."""
    monkeypatch.setattr(stored, "MEMORY_CELLS", 0)
    monkeypatch.setattr(stored, "CHUNK_ROWS", 50)
    made = open_dataset(tmp_path / "data")
    assert isinstance(made, StoredDataset)
    return made


def test_a_dataset_in_its_file_is_the_one_in_memory(dataset: Dataset, kept: StoredDataset) -> None:
    assert kept.digest == dataset.digest
    assert kept.schema.to_dict() == dataset.schema.to_dict()
    assert np.array_equal(kept.regions(), dataset.regions()) and len(kept) == len(dataset)
    row_ids = np.flatnonzero(dataset.regions() == 1)
    pd.testing.assert_frame_equal(stored.in_memory(kept.part(row_ids)), dataset.part(row_ids))


def test_a_small_dataset_is_held_in_memory(dataset: Dataset, tmp_path: Path) -> None:
    assert isinstance(open_dataset(tmp_path / "data"), Dataset)


def test_corrected_types_are_settled_on_all_rows(
    dataset: Dataset, kept: StoredDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data/schema.json"
    record = json.loads(path.read_text())
    next(c for c in record["columns"] if c["name"] == "income")["type"] = "categorical"
    path.write_text(json.dumps(record))
    again = open_dataset(tmp_path / "data")
    assert isinstance(again, Dataset) and again.schema.column("income").levels


@pytest.mark.parametrize("group", [None, "seen"])
def test_the_split_is_the_same(group: str | None, mixed_table: pd.DataFrame, tmp_path: Path) -> None:
    from conftest import write_prepared

    held = write_prepared(tmp_path / "grouped", pd.concat([mixed_table, mixed_table[:40]]), group=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "MEMORY_CELLS", 0)
        patch.setattr(stored, "CHUNK_ROWS", 50)
        made = open_dataset(tmp_path / "grouped")
        q = target_law("balanced", held.schema, held.regions())
        size = Size(fraction=0.2)
        frames = [split_rows(one, q, size, size, rng(stream(0, "s"))) for one in (held, made)]
    assert isinstance(made, StoredDataset)
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.parametrize("name", ["tabular-diffusion", "bootstrap"])
def test_a_generator_is_the_same(
    name: str, dataset: Dataset, kept: StoredDataset, split: Split, tmp_path: Path
) -> None:
    settings = SMALL if name == "tabular-diffusion" else {}
    roles = load_split(tmp_path / "split.parquet", kept)  # type: ignore[arg-type]
    seeds = SeedContext(0, "e", 0)
    a = train(dataset, split, 0.5, name, settings, seeds)
    b = train(kept, roles, 0.5, name, settings, seeds, tmp_path / "scratch")
    pd.testing.assert_frame_equal(a.sample(1, 50, stream(0, "d")), b.sample(1, 50, stream(0, "d")))
    assert (tmp_path / "scratch/encoded.f32").exists() == (name == "tabular-diffusion")


def test_scales_are_learned_from_some_rows_of_every_region_and_level(
    dataset: Dataset, kept: StoredDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "FIT_ROWS", 40)
    monkeypatch.setattr(stored, "FIT_REGION_ROWS", 5)
    everything, regions = np.arange(len(dataset)), dataset.regions()
    columns = dataset.schema.generated
    rows, index = subsample(kept.part(everything), regions, columns, rng(stream(0, "s")))
    again = subsample(dataset.part(everything), regions, columns, rng(stream(0, "s")))
    pd.testing.assert_frame_equal(rows, again[0])
    assert np.array_equal(index, again[1]) and np.array_equal(index, dataset.schema.regions.assign(rows))
    assert 40 <= len(rows) < 60 and min(np.bincount(index)) >= 5
    for column in columns:
        whole = dataset.rows[column.name]
        assert rows[column.name].isna().any() == whole.isna().any()
        if column.levels is not None:
            assert set(rows[column.name].dropna()) == set(whole.dropna())


def test_rows_are_encoded_into_a_file(dataset: Dataset, kept: StoredDataset, tmp_path: Path) -> None:
    regions = dataset.regions()
    held = dataset.part(np.arange(len(dataset)))
    encode = TabularEncoder.fit(held, dataset.schema.generated, dataset.schema.regions, regions).encode
    part = kept.part(np.arange(len(dataset)))
    assert isinstance(part, StoredRows)
    found = encoded(part, regions, encode, tmp_path)
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, encode(held, regions))
    assert np.array_equal(found, encoded(part, regions, encode, None))
