"""What must not grow with the number of rows: the memory of drawing a pool."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from codsa.data.dataset import Dataset
from codsa.data.pool import load_pool
from codsa.generators import make
from codsa.generators.base import BLOCK_ROWS
from codsa.io.digests import CHUNK_ROWS as CHUNK
from codsa.io.digests import frame_digest, parts_digest
from codsa.io.seeds import SeedContext, stream
from codsa.io.tables import read_parquet
from codsa.stages import sample
from codsa.stages.sample import GROUP_BLOCKS, write_shard
from codsa.stages.train_generator import Trained, Training

WORK = SeedContext(0, "e", 0)


@pytest.fixture
def trained(dataset: Dataset) -> Trained:
    """A generator that costs next to nothing."""
    columns = [c.name for c in dataset.schema.modelled]
    made = make("bootstrap", {}).fit(dataset.rows[columns], dataset.regions(), dataset.schema, stream(0, "fit"))
    return Trained(made, dataset.schema, Training("bootstrap", {}, 1.0), {"dataset": dataset.digest, "split": ""})


def peak(trained: Trained, folder: Path, rows: int) -> int:
    tracemalloc.start()
    write_shard(folder, trained, {1: rows}, 0, 1, WORK)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_rows_of_a_shard(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "GROUP_BLOCKS", 4)
    peak(trained, tmp_path / "warm", 8 * BLOCK_ROWS)
    few, many = (peak(trained, tmp_path / str(blocks), blocks * BLOCK_ROWS) for blocks in (8, 48))
    assert many < 2 * few
    file = next((tmp_path / "48").rglob("*.parquet"))
    found = pq.ParquetFile(file).metadata
    assert found.num_rows == 48 * BLOCK_ROWS and found.num_row_groups == 12
    assert many < read_parquet(file).memory_usage(deep=True).sum() / 2


def test_a_pool_has_the_same_bytes_each_time_and_the_same_digest_in_any_shards(
    trained: Trained, tmp_path: Path
) -> None:
    rows = GROUP_BLOCKS * BLOCK_ROWS + 3 * BLOCK_ROWS + 5
    for shards in (1, 3, 50):  # 50 shards of 20 blocks: some are empty
        for shard in range(shards):
            write_shard(tmp_path / str(shards), trained, {0: 10, 1: rows}, shard, shards, WORK)
    write_shard(tmp_path / "again", trained, {0: 10, 1: rows}, 0, 1, WORK)
    once, again = (sorted((tmp_path / name).rglob("*.*")) for name in ("1", "again"))
    assert len(once) == 3 and [p.read_bytes() for p in once] == [p.read_bytes() for p in again]
    pools = [load_pool(tmp_path / str(shards), trained.schema) for shards in (1, 3, 50)]
    assert len({pool.digest for pool in pools}) == 1
    for pool in pools[1:]:
        pd.testing.assert_frame_equal(pool.rows[1], pools[0].rows[1])
    assert len(pools[0].rows[1]) == rows


def test_a_digest_is_of_the_rows_however_they_are_parted(dataset: Dataset) -> None:
    rows = pd.concat([dataset.rows] * (CHUNK // len(dataset.rows) + 2), ignore_index=True)
    rows["sparse"] = pd.array([None] * (len(rows) - 3) + [1, 0, 7], dtype="Int64")
    expected = frame_digest(rows)
    assert frame_digest(rows[:0], rows[:7], rows[7:]) == expected
    assert parts_digest(rows[i : i + 5000] for i in range(0, len(rows), 5000)) == expected
    assert frame_digest(rows[::-1]) != expected
    assert frame_digest(rows.fillna({"sparse": 0})) != expected


def test_a_shard_without_blocks_has_the_columns(trained: Trained, tmp_path: Path) -> None:
    write_shard(tmp_path, trained, {0: 10, 1: 10}, 1, 2, WORK)
    write_shard(tmp_path, trained, {0: 10, 1: 10}, 0, 2, WORK)
    empty = [read_parquet(p) for p in sorted(tmp_path.rglob("part-0000-of-0002.parquet"))]
    assert [len(one) for one in empty] == [0, 0]
    assert list(empty[0]) == [c.name for c in trained.schema.modelled]
    assert np.array_equal([len(one) for one in load_pool(tmp_path, trained.schema).rows], [10, 10])
