"""The stage that draws the pool of synthetic rows: region by region, in blocks, so that shards do not matter.

Each block of a region's rows has a random stream of its own. A shard draws a run of complete blocks, so the shards
together hold the same bytes as one large call, and a longer pool begins with a shorter one. A block is drawn in
chunks. The last block stops after the chunk that completes the rows asked for, so that the cost of a pool follows its
number of rows, not its number of blocks.
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
from codsa.data.schema import Schema, cast_columns, empty_table
from codsa.data.split import open_split, part_label
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

GROUP_BLOCKS = 16
"""Blocks that are in memory at a time, and in one row group of the file."""
PROGRESS_UNIT = "rows"
MAX_ATTEMPTS = 20
"""A block is drawn at most this many times to fill it with rows that lie in the region."""


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
    block_dir: Path | None = None,
    progress: Progress | None = None,
) -> Drawn:
    """Draw the blocks first..last-1 of a region's pool of `rows` rows.

    Parameters
    ----------
    region : int
        The region's index.
    first, last : int
        Blocks; the last block of the pool is drawn until `rows` are complete.
    block_dir : Path, optional
        A folder that stores every finished block; a block that is stored there already is not drawn again.
    progress : Progress, optional
        Counts the rows that are drawn.
    """
    schema, training, block_rows = trained.schema, trained.training, trained.generator.block
    tables, drawn, refused = [], 0, 0
    progress = progress or Progress(0, PROGRESS_UNIT, shown=False)
    for block in range(first, last):
        names = (training.generator, part_label(training.r, training.fold), schema.regions.names[region], block)
        n_rows = shard_rows(block, block + 1, rows, block_rows)
        path = None if block_dir is None else block_dir / f"{region}-{block}.parquet"
        draw_block = partial(_draw_block, trained, region, names=names, seeds=seeds, n_rows=n_rows, progress=progress)
        block_drawn = _stored_or_drawn(path, schema, n_rows, progress=progress, draw_block=draw_block)
        tables.append(block_drawn.rows)
        drawn, refused = drawn + block_drawn.drawn, refused + block_drawn.refused
    all_rows = pd.concat(tables, ignore_index=True) if tables else empty_table(schema.modelled)
    return Drawn(all_rows, drawn, refused)


def draw_groups(
    trained: Trained,
    region: int,
    first: int,
    last: int,
    rows: int,
    seeds: SeedContext,
    block_dir: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Drawn]:
    """Draw as `draw` does, but yield the rows of `GROUP_BLOCKS` blocks at a time; without blocks, one empty table."""
    for start in range(first, max(last, first + 1), GROUP_BLOCKS):
        end = min(start + GROUP_BLOCKS, last)
        yield draw(trained, region, start, end, rows=rows, seeds=seeds, block_dir=block_dir, progress=progress)


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

    def add(self, group: Drawn) -> pd.DataFrame:
        """Add a group to the sums and return its rows."""
        self.rows += len(group.rows)
        self.drawn += group.drawn
        self.refused += group.refused
        return group.rows


@dataclass(frozen=True)
class BlockFacts:
    """The record beside a stored block: the counts of `Drawn`, and the digest of the block's file."""

    drawn: int
    refused: int
    sha256: str


def _stored_or_drawn(
    path: Path | None, schema: Schema, n_rows: int, progress: Progress, draw_block: Callable[[], Drawn]
) -> Drawn:
    """Return a block of `n_rows` rows from the file that an earlier run stored; otherwise draw it and store it."""
    if path is None:
        return draw_block()
    stored = _stored_block(path, schema)
    if stored is not None and len(stored.rows) == n_rows:
        log.info("%s: drawn by an earlier run", path.name)
        progress.skip(n_rows)
        return stored
    block = draw_block()
    write_parquet(path, block.rows)
    write_json(path.with_suffix(".json"), asdict(BlockFacts(block.drawn, block.refused, file_digest(path))))
    return block


def _stored_block(path: Path, schema: Schema) -> Drawn | None:
    """Return a block that an earlier run stored; None where there is none, or where it is damaged."""
    facts_path = path.with_suffix(".json")
    if not facts_path.exists():
        return None
    try:
        facts = read_as(facts_path, BlockFacts)
        if file_digest(path) == facts.sha256:
            return Drawn(conform(read_parquet(path), schema), facts.drawn, facts.refused)
    except (CodsaError, OSError):
        pass
    log.warning("%s: damaged, so it is drawn again", path)
    return None


def _draw_block(
    trained: Trained, region: int, names: tuple[Any, ...], seeds: SeedContext, n_rows: int, progress: Progress
) -> Drawn:
    """Draw the first `n_rows` rows of a block."""
    chunks: list[pd.DataFrame] = []
    accepted = drawn = 0
    for count, valid in _valid_chunks(trained, region, names, seeds):
        progress.update(min(len(valid), n_rows - accepted))
        chunks.append(valid)
        accepted, drawn = accepted + len(valid), drawn + count
        if accepted >= n_rows:
            return Drawn(pd.concat(chunks, ignore_index=True).iloc[:n_rows], drawn, drawn - accepted)
    raise CodsaError(
        f"region '{names[2]}': {drawn - accepted} of {drawn} generated rows lie outside it; the generator "
        f"'{names[0]}' does not know this region: train longer, raise r or change the regions"
    )


def _valid_chunks(
    trained: Trained, region: int, names: tuple[Any, ...], seeds: SeedContext
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Draw a block chunk by chunk: yield the number of rows of each chunk, and its rows that lie in the region."""
    generator, accepted = trained.generator, 0
    for attempt in range(MAX_ATTEMPTS):
        count = generator.block - accepted if generator.slow else generator.block
        for chunk in generator.sample_chunks(region, count, seeds.stream("sample", *names, attempt)):
            generated = conform(chunk, trained.schema)
            in_region = trained.schema.regions.assign(generated) == region
            valid = generated[in_region & in_bounds(generated, trained.schema)]
            accepted += len(valid)
            yield len(generated), valid
        if accepted >= generator.block:
            return


def conform(generated: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return generated rows in the schema's columns and types, or raise a `CodsaError`."""
    names = [column.name for column in schema.modelled]
    if set(generated.columns) != set(names):
        raise CodsaError(f"the generator made columns {list(generated.columns)}; the schema models {names}")
    return cast_columns(generated, schema.modelled)


def in_bounds(generated: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Say which rows keep every column's levels and bounds, and have a target.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    valid = generated[schema.target].notna().to_numpy(dtype=bool, copy=True)
    for column in schema.modelled:
        valid &= modality_of(column).in_bounds(generated[column.name], column)
    return np.asarray(valid)


def shard_blocks(rows: int, shard: int, shards: int, block_rows: int) -> tuple[int, int]:
    """Return the run of blocks, of `block_rows` rows each, that a shard (from 0) draws of a pool of `rows` rows."""
    blocks = -(-rows // block_rows)
    return blocks * shard // shards, blocks * (shard + 1) // shards


def shard_rows(first: int, last: int, rows: int, block_rows: int) -> int:
    """Return how many of a pool's `rows` rows the blocks first..last-1 hold, with `block_rows` rows in each block."""
    return max(0, min(last * block_rows, rows) - first * block_rows)


def parse_shard(text: str) -> tuple[int, int]:
    """Read 'I/N', counted from 1, as (shard, shards), counted from 0."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise CodsaError(f"--shard {text}: write I/N with I from 1 to N")
    return int(match[1]) - 1, int(match[2])


def region_counts(trained: Trained, data: Path, split: Path, grids: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Return the rows of each region that grids need of a pool.

    Raises
    ------
    CodsaError
        When the generator was trained on another dataset or split.
    """
    dataset, roles = open_split(data, split)
    for name, digest in (("dataset", dataset.digest), ("split", roles.digest)):
        if trained.inputs.get(name) != digest:
            raise CodsaError(f"the generator was trained on another {name}; run codsa-train-gen again")
    training = trained.training
    checked_grids = [Grid.read(record, "grid") for record in grids]
    counts = pool_counts(checked_grids, training.r, roles, dataset.schema, fold=training.fold)
    return {region: int(count) for region, count in enumerate(counts)}


def write_shard(
    pool: Path, trained: Trained, counts: Mapping[int, int], shard: int, shards: int, seeds: SeedContext
) -> Path:
    """Draw one shard of every region and write it, `GROUP_BLOCKS` blocks at a time.

    The blocks of a slow generator are stored until the shard is complete, so that a killed run resumes.

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
    names = [f"{region_folder(trained.schema, region)}/{part_name(shard, shards)}" for region in counts]
    path = pool / shard_name(shard, shards)
    files_output(path, SAMPLE, tuple(names))
    _remove_other_layouts(pool, shards)
    block_rows, regions = trained.generator.block, {}
    blocks = {region: shard_blocks(rows, shard, shards, block_rows) for region, rows in counts.items()}
    total = sum(shard_rows(*blocks[region], rows, block_rows) for region, rows in counts.items())
    checkpoints, output = _block_checkpoints(path, trained, seeds), new_files(path, SAMPLE)
    with Progress(total, PROGRESS_UNIT) as progress, checkpoints as block_dir, output as staged:
        for (region, rows), name in zip(counts.items(), names, strict=True):
            tally = Tally()
            (staged / name).parent.mkdir()
            groups = draw_groups(
                trained, region, *blocks[region], rows=rows, seeds=seeds, block_dir=block_dir, progress=progress
            )
            write_parquet_groups(staged / name, (tally.add(group) for group in groups))
            regions[trained.schema.regions.names[region]] = _region_facts(tally, name)
        parameters = {"seed": seeds.seed, "shard": shard, "shards": shards}
        facts = {"regions": regions, **asdict(trained.training)}
        write_manifest(staged / path.name, SAMPLE, trained.inputs, parameters, **facts)
    return path


def _region_facts(tally: Tally, file: str) -> dict[str, Any]:
    refused_percent = 100 * tally.refused / max(tally.drawn, 1)
    log.info("%s: %d rows, %.2f %% drawn again", file, tally.rows, refused_percent)
    return asdict(RegionFacts(tally.rows, tally.drawn, tally.refused, file))


def _block_checkpoints(path: Path, trained: Trained, seeds: SeedContext) -> AbstractContextManager[Path | None]:
    """Return the folder, as a context, that stores a slow generator's blocks; None for a fast generator."""
    if not trained.generator.slow:
        return nullcontext()
    parameters = {**asdict(trained.training), "work": repr(seeds)}
    return checkpoint_dir(path.with_name(f".{path.stem}"), trained.inputs, parameters)


def _remove_other_layouts(pool: Path, shards: int) -> None:
    """Remove the shards of a pool that was drawn in another number of shards."""
    for path in sorted(pool.glob("shard-*-of-*.json")):
        if not path.name.endswith(f"-of-{shards:04d}.json"):
            remove_files(path, SAMPLE)
