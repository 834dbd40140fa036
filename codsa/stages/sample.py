"""The stage that draws the pool: per region, in blocks, so that shards do not matter.

Rows of a region come in blocks, each from a stream of its own. A shard is a run of whole
blocks, so shards put together are one big call, byte for byte, and a longer pool begins with a
shorter one. A block comes in chunks, and the last block ends with the chunk in which the rows
asked are complete: what a pool costs follows its rows, not its blocks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.grid import pool_counts
from codsa.data.pool import RegionFacts, part_name, region_folder, shard_name
from codsa.data.rows import open_dataset
from codsa.data.schema import Schema, cast_columns, empty_table
from codsa.data.split import load_split, part_label
from codsa.errors import CodsaError
from codsa.io.artifacts import files_output, new_files, remove_files
from codsa.io.checkpoints import checkpoint_dir
from codsa.io.digests import file_digest
from codsa.io.files import real_path
from codsa.io.manifests import write_manifest
from codsa.io.names import SAMPLE
from codsa.io.progress import Progress
from codsa.io.records import read_as, write_json
from codsa.io.seeds import SeedContext
from codsa.io.tables import read_parquet, write_parquet, write_parquet_groups
from codsa.modalities import modality_of
from codsa.settings.grid import Grid
from codsa.stages.train_generator import Trained

log = logging.getLogger(__name__)

GROUP = 16
"""Blocks that are in memory, and in a row group of the file, at a time."""
ROWS = "rows"
ATTEMPTS = 20
"""So many draws of a block may be made to fill it with rows that lie in the region."""


@dataclass
class Drawn:
    """Rows of one region, and how many were drawn to get them.

    Attributes
    ----------
    rows : DataFrame
    drawn, refused : int
        Rows drawn in all, and those that lay outside the region, its bounds or levels.
    """

    rows: pd.DataFrame
    drawn: int
    refused: int


def draw(
    trained: Trained,
    region: int,
    first: int,
    last: int,
    rows: int,
    seeds: SeedContext,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> Drawn:
    """Draw the blocks first..last-1 of a region's pool of `rows` rows.

    Parameters
    ----------
    region : int
        The region's index.
    first, last : int
        Blocks; the last block of the pool is drawn until `rows` are complete.
    kept : Path, optional
        A folder where every block is kept once it is drawn, and taken from if it is there.
    progress : Progress, optional
        Told of the rows that are drawn.
    """
    schema, made, size = trained.schema, trained.made, trained.generator.block
    parts, drawn, refused = [], 0, 0
    progress = progress or Progress(0, ROWS, shown=False)
    for block in range(first, last):
        names = (made.generator, part_label(made.r, made.fold), schema.regions.names[region], block)
        wanted = shard_rows(block, block + 1, rows, size)
        path = None if kept is None else kept / f"{region}-{block}.parquet"
        draw_block = partial(_block, trained, region, names, seeds, wanted, progress)
        one = _remembered(path, schema, wanted, progress, draw_block)
        parts.append(one.rows)
        drawn, refused = drawn + one.drawn, refused + one.refused
    rows_drawn = pd.concat(parts, ignore_index=True) if parts else empty_table(schema.modelled)
    return Drawn(rows_drawn, drawn, refused)


def draw_groups(
    trained: Trained,
    region: int,
    first: int,
    last: int,
    rows: int,
    seeds: SeedContext,
    kept: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Drawn]:
    """Draw as `draw` does, but give the rows of `GROUP` blocks at a time; of no blocks, one table without rows."""
    for start in range(first, max(last, first + 1), GROUP):
        yield draw(trained, region, start, min(start + GROUP, last), rows, seeds, kept, progress)


@dataclass
class Tally:
    """The sums over the groups of a shard.

    Attributes
    ----------
    rows : int
    drawn, refused : int
        As in `Drawn`.
    """

    rows: int = 0
    drawn: int = 0
    refused: int = 0

    def counted(self, group: Drawn) -> pd.DataFrame:
        """Count a group and return its rows."""
        self.rows += len(group.rows)
        self.drawn += group.drawn
        self.refused += group.refused
        return group.rows


@dataclass(frozen=True)
class BlockFacts:
    """What is kept of a block beside its rows: as in `Drawn`, and the digest of the file."""

    drawn: int
    refused: int
    sha256: str


def _remembered(path: Path | None, schema: Schema, wanted: int, progress: Progress, make: Callable[[], Drawn]) -> Drawn:
    """Return a block of so many rows from the file that an earlier run left, or make it and leave it there."""
    if path is None:
        return make()
    kept = _kept_block(path, schema)
    if kept is not None and len(kept.rows) == wanted:
        log.info("%s: drawn by an earlier run", path.name)
        progress.skip(wanted)
        return kept
    block = make()
    write_parquet(path, block.rows)
    write_json(path.with_suffix(".json"), asdict(BlockFacts(block.drawn, block.refused, file_digest(path))))
    return block


def _kept_block(path: Path, schema: Schema) -> Drawn | None:
    """Return a block that an earlier run left; None where there is none, or where it is damaged."""
    facts_path = path.with_suffix(".json")
    if not facts_path.exists():
        return None
    try:
        facts = read_as(facts_path, BlockFacts)
        if file_digest(path) == facts.sha256:
            return Drawn(conform(read_parquet(path), schema), facts.drawn, facts.refused)
    except (CodsaError, OSError):
        pass
    log.warning("%s: damaged, so it is drawn anew", path)
    return None


def _block(
    trained: Trained, region: int, names: tuple[Any, ...], seeds: SeedContext, wanted: int, progress: Progress
) -> Drawn:
    """Draw the first `wanted` rows of a block."""
    kept: list[pd.DataFrame] = []
    have = drawn = 0
    for count, valid in _valid_chunks(trained, region, names, seeds):
        progress.update(min(len(valid), wanted - have))
        kept.append(valid)
        have, drawn = have + len(valid), drawn + count
        if have >= wanted:
            return Drawn(pd.concat(kept, ignore_index=True).iloc[:wanted], drawn, drawn - have)
    raise CodsaError(
        f"region '{names[2]}': {drawn - have} of {drawn} generated rows lie outside it; the generator "
        f"'{names[0]}' does not know this region: train longer, raise r or change the regions"
    )


def _valid_chunks(
    trained: Trained, region: int, names: tuple[Any, ...], seeds: SeedContext
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Draw a block chunk by chunk: how many rows each has, and those that lie in the region."""
    generator, have = trained.generator, 0
    for attempt in range(ATTEMPTS):
        count = generator.block - have if generator.slow else generator.block
        for rows in generator.sample_chunks(region, count, seeds.stream("sample", *names, attempt)):
            made = conform(rows, trained.schema)
            valid = made[(trained.schema.regions.assign(made) == region) & in_bounds(made, trained.schema)]
            have += len(valid)
            yield len(made), valid
        if have >= generator.block:
            return


def conform(made: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return generated rows in the schema's columns and types, or raise a `CodsaError`."""
    names = [c.name for c in schema.modelled]
    if set(made.columns) != set(names):
        raise CodsaError(f"the generator made columns {list(made.columns)}; the schema models {names}")
    return cast_columns(made, schema.modelled)


def in_bounds(made: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Say which rows keep every column's levels and bounds, and have a target.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    good = made[schema.target].notna().to_numpy(dtype=bool, copy=True)
    for column in schema.modelled:
        good &= modality_of(column).in_bounds(made[column.name], column)
    return np.asarray(good)


def shard_blocks(rows: int, shard: int, shards: int, size: int) -> tuple[int, int]:
    """Return the run of blocks of a size that a shard (from 0) draws of a pool of `rows` rows."""
    blocks = -(-rows // size)
    return blocks * shard // shards, blocks * (shard + 1) // shards


def shard_rows(first: int, last: int, rows: int, size: int) -> int:
    """Return how many rows of a pool of `rows` rows the blocks first..last-1 of a size hold."""
    return max(0, min(last * size, rows) - first * size)


def parse_shard(text: str) -> tuple[int, int]:
    """Read 'I/N', counted from 1, as (shard, shards), counted from 0."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise CodsaError(f"--shard {text}: write I/N with I from 1 to N")
    return int(found[1]) - 1, int(found[2])


def region_counts(trained: Trained, data: Path, split: Path, grids: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Return the rows of each region that grids need of a pool.

    Raises
    ------
    CodsaError
        When the generator was trained on another dataset or split.
    """
    dataset = open_dataset(data)
    roles = load_split(split, dataset)
    for name, found in (("dataset", dataset.digest), ("split", roles.digest)):
        if trained.inputs.get(name) != found:
            raise CodsaError(f"the generator was trained on another {name}; run codsa-train-gen again")
    made = trained.made
    counts = pool_counts([Grid.read(record, "grid") for record in grids], made.r, roles, dataset.schema, made.fold)
    return {k: int(count) for k, count in enumerate(counts)}


def write_shard(
    pool: Path, trained: Trained, counts: Mapping[int, int], shard: int, shards: int, seeds: SeedContext
) -> Path:
    """Draw one shard of every region and write it, `GROUP` blocks at a time.

    A slow generator's blocks are kept until the shard is whole, so that a killed run goes on where it was.

    Parameters
    ----------
    pool : Path
        The pool's folder, shared by all shards.
    counts : mapping of region index to rows
        The size of the whole pool.

    Returns
    -------
    Path
        The shard's manifest, written last.
    """
    pool = real_path(pool)
    names = [f"{region_folder(trained.schema, k)}/{part_name(shard, shards)}" for k in counts]
    path = pool / shard_name(shard, shards)
    files_output(path, SAMPLE, tuple(names))
    _forget_other_layouts(pool, shards)
    size, regions = trained.generator.block, {}
    blocks = {region: shard_blocks(rows, shard, shards, size) for region, rows in counts.items()}
    total = sum(shard_rows(*blocks[region], rows, size) for region, rows in counts.items())
    resumed, written = _checkpoints(path, trained, seeds), new_files(path, SAMPLE)
    with Progress(total, ROWS) as progress, resumed as remembered, written as staged:
        for (region, rows), name in zip(counts.items(), names, strict=True):
            tally = Tally()
            (staged / name).parent.mkdir()
            groups = draw_groups(trained, region, *blocks[region], rows, seeds, remembered, progress)
            write_parquet_groups(staged / name, (tally.counted(group) for group in groups))
            regions[trained.schema.regions.names[region]] = _drawn_facts(tally, name)
        parameters = {"seed": seeds.seed, "shard": shard, "shards": shards}
        facts = {"regions": regions, **asdict(trained.made)}
        write_manifest(staged / path.name, SAMPLE, trained.inputs, parameters, **facts)
    return path


def _drawn_facts(tally: Tally, file: str) -> dict[str, Any]:
    rate = 100 * tally.refused / max(tally.drawn, 1)
    log.info("%s: %d rows, %.2f %% drawn again", file, tally.rows, rate)
    return asdict(RegionFacts(tally.rows, tally.drawn, tally.refused, file))


def _checkpoints(path: Path, trained: Trained, seeds: SeedContext) -> AbstractContextManager[Path | None]:
    """Give the folder where a slow generator's blocks are kept until the shard is whole; None for a fast one."""
    if not trained.generator.slow:
        return nullcontext()
    parameters = {**asdict(trained.made), "work": repr(seeds)}
    return checkpoint_dir(path.with_name(f".{path.stem}"), trained.inputs, parameters)


def _forget_other_layouts(pool: Path, shards: int) -> None:
    """Remove the shards of a pool that was drawn in another number of them."""
    for path in sorted(pool.glob("shard-*-of-*.json")):
        if not path.name.endswith(f"-of-{shards:04d}.json"):
            remove_files(path, SAMPLE)
