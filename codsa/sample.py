"""The stage that draws the pool: per region, in blocks, so that shards do not matter.

Rows of a region come in blocks, each from a stream of its own. A shard is a run of whole
blocks, so shards put together are one big call, byte for byte, and a longer pool begins with a
shorter one.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa import payload
from codsa.errors import CodsaError
from codsa.grid import grid_from, pool_counts
from codsa.io.digests import digest, file_digest, frame_digest
from codsa.io.files import atomic_write_all
from codsa.io.manifests import verify, write_manifest
from codsa.io.records import read_json, write_json
from codsa.io.tables import read_parquet, write_parquet, write_parquet_groups
from codsa.rows import open_dataset
from codsa.schema import Column, Schema, cast
from codsa.split import load_split, part_label
from codsa.streams import Work
from codsa.train import Trained

log = logging.getLogger(__name__)

GROUP = 16
"""Blocks that are in memory, and in a row group of the file, at a time."""
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
    trained: Trained, region: int, first: int, last: int, rows: int, work: Work, kept: Path | None = None
) -> Drawn:
    """Draw the blocks first..last-1 of a region's pool of `rows` rows.

    Parameters
    ----------
    region : int
        The region's index.
    first, last : int
        Blocks; the last block of the pool is cut to `rows`.
    kept : Path, optional
        A folder where every block is kept once it is drawn, and taken from if it is there.
    """
    schema, made = trained.schema, trained.record["parameters"]
    parts, drawn, refused = [], 0, 0
    for block in range(first, last):
        names = (made["generator"], part_label(made["r"], made["fold"]), schema.regions.names[region], block)
        path = None if kept is None else kept / f"{region}-{block}.parquet"
        one = _remembered(path, schema, partial(_block, trained, region, names, work))
        parts.append(one.rows.iloc[: rows - block * trained.generator.block])
        drawn, refused = drawn + one.drawn, refused + one.refused
    empty = pd.DataFrame({c.name: cast(pd.Series([], dtype=object), c) for c in schema.modelled})
    return Drawn(pd.concat(parts, ignore_index=True) if parts else empty, drawn, refused)


def draw_groups(
    trained: Trained, region: int, first: int, last: int, rows: int, work: Work, kept: Path | None = None
) -> Iterator[Drawn]:
    """Draw as `draw` does, but give the rows of `GROUP` blocks at a time; of no blocks, one table without rows."""
    for start in range(first, max(last, first + 1), GROUP):
        yield draw(trained, region, start, min(start + GROUP, last), rows, work, kept)


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


def _remembered(path: Path | None, schema: Schema, make: Callable[[], Drawn]) -> Drawn:
    """Return a block from the file that an earlier run left, or make it and leave it there."""
    if path is None:
        return make()
    facts = path.with_suffix(".json")
    if facts.exists():
        log.info("%s: drawn by an earlier run", path.name)
        return Drawn(conform(read_parquet(path), schema), **read_json(facts))
    one = make()
    write_parquet(path, one.rows)
    write_json(facts, {"drawn": one.drawn, "refused": one.refused})
    return one


def _block(trained: Trained, region: int, names: tuple[Any, ...], work: Work) -> Drawn:
    kept: list[pd.DataFrame] = []
    have = drawn = 0
    size = trained.generator.block
    for attempt in range(ATTEMPTS):
        count = size - have if trained.generator.slow else size
        made = conform(trained.generator.sample(region, count, work.stream("sample", *names, attempt)), trained.schema)
        valid = made[(trained.schema.regions.assign(made) == region) & in_bounds(made, trained.schema)]
        kept.append(valid)
        have, drawn = have + len(valid), drawn + count
        if have >= size:
            break
    refused = drawn - have
    if have < size:
        raise CodsaError(
            f"region '{names[2]}': {refused} of {drawn} generated rows lie outside it; the generator "
            f"'{names[0]}' does not know this region: train longer, raise r or change the regions"
        )
    return Drawn(pd.concat(kept, ignore_index=True).iloc[:size], drawn, refused)


def conform(made: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return generated rows in the schema's columns and types, or raise a `CodsaError`."""
    names = [c.name for c in schema.modelled]
    if set(made.columns) != set(names):
        raise CodsaError(f"the generator made columns {list(made.columns)}; the schema models {names}")
    return pd.DataFrame({c.name: cast(made[c.name], c) for c in schema.modelled})


def in_bounds(made: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Say which rows keep every column's levels and bounds, and have a target.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    good = made[schema.target].notna().to_numpy(dtype=bool, copy=True)
    for column in schema.modelled:
        good &= _inside(made[column.name], column)
    return np.asarray(good)


def _inside(values: pd.Series, column: Column) -> np.ndarray:
    """Say which values are missing or keep a column's levels and bounds, ndarray of bool."""
    if column.is_payload:
        return np.isfinite(payload.arrays(values)).reshape(len(values), -1).all(axis=1)
    if column.type == "text":
        return values.str.strip().ne("").to_numpy(dtype=bool)
    if column.minimum is not None and values.dtype == np.float64:
        numbers = values.to_numpy()
        return ~((numbers < column.minimum) | (numbers > column.maximum))
    inside = (
        values.isin(column.levels)
        if column.levels is not None
        else values.between(*_bounds(column.minimum, column.maximum, values))
    )
    return (inside.fillna(False).astype(bool) | values.isna()).to_numpy(dtype=bool)


def _bounds(low: Any, high: Any, values: pd.Series) -> tuple[Any, Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Timestamp(low), pd.Timestamp(high)
    return low, high


def shard_blocks(rows: int, shard: int, shards: int, size: int) -> tuple[int, int]:
    """Return the run of blocks of a size that a shard (from 0) draws of a pool of `rows` rows."""
    blocks = -(-rows // size)
    return blocks * shard // shards, blocks * (shard + 1) // shards


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
        if trained.record["inputs"][name] != found:
            raise CodsaError(f"the generator was trained on another {name}; run codsa-train-gen again")
    made = trained.record["parameters"]
    counts = pool_counts([grid_from(record) for record in grids], made["r"], roles, dataset.schema, made["fold"])
    return {k: int(count) for k, count in enumerate(counts)}


def region_folder(schema: Schema, region: int) -> str:
    """Return the name of a region's folder in a pool: its index and a readable form of its name."""
    slug = re.sub(r"[^A-Za-z0-9._+-]+", "_", schema.regions.names[region]).strip("_")[:40]
    return f"region~{region}-{slug}"


def write_shard(pool: Path, trained: Trained, counts: Mapping[int, int], shard: int, shards: int, work: Work) -> Path:
    """Draw one shard of every region and write it, `GROUP` blocks at a time.

    Parameters
    ----------
    pool : Path
        The pool's folder, shared by all shards.
    counts : mapping of region index to rows
        The size of the whole pool.

    A slow generator's blocks are kept until the shard is whole, so that a killed run goes on where it was.

    Returns
    -------
    Path
        The shard's manifest, written last.
    """
    _forget_other_layouts(pool, shards)
    names = [f"{region_folder(trained.schema, k)}/part-{shard:04d}.parquet" for k in counts]
    path = pool / f"shard-{shard:04d}-of-{shards:04d}.json"
    kept = pool / f".blocks-{shard:04d}-of-{shards:04d}" / digest([trained.record, repr(work)])[:16]
    remembered = kept if trained.generator.slow else None
    with atomic_write_all(*(pool / name for name in names), path) as parts:
        regions, outputs = {}, {}
        for (region, rows), name, part in zip(counts.items(), names, parts, strict=False):
            tally = Tally()
            groups = draw_groups(
                trained, region, *shard_blocks(rows, shard, shards, trained.generator.block), rows, work, remembered
            )
            write_parquet_groups(part, (tally.counted(group) for group in groups))
            outputs[name] = file_digest(part)
            regions[trained.schema.regions.names[region]] = _drawn_facts(tally, name)
        parameters = {"seed": work.seed, "shard": shard, "shards": shards}
        made = trained.record["parameters"]
        write_manifest(parts[-1], "sample", trained.record["inputs"], parameters, outputs, regions=regions, **made)
    shutil.rmtree(kept.parent, ignore_errors=True)
    return path


def _drawn_facts(tally: Tally, file: str) -> dict[str, Any]:
    rate = 100 * tally.refused / max(tally.drawn, 1)
    log.info("%s: %d rows, %.2f %% drawn again", file, tally.rows, rate)
    return {"rows": tally.rows, "drawn": tally.drawn, "refused": tally.refused, "file": file}


def _forget_other_layouts(pool: Path, shards: int) -> None:
    """Remove the manifests of a pool that was drawn in another number of shards."""
    for path in pool.glob("shard-*-of-*.json"):
        if not path.name.endswith(f"-of-{shards:04d}.json"):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Pool:
    """The synthetic rows of one generator, by region.

    Attributes
    ----------
    rows : list of DataFrame
        Per region, in the order drawn.
    violations : ndarray of shape (K,)
        Share of drawn rows that lay outside the region and were drawn again.
    dataset, split : str
        Digests of the dataset and the split that the generator was trained on.
    digest : str
        Of the logical content, whatever the shards.
    r : float
    fold : int, optional
        The part S_g that the generator was trained on.
    generator : str
    """

    rows: list[pd.DataFrame]
    violations: np.ndarray
    dataset: str
    split: str
    digest: str
    r: float = 1.0
    fold: int | None = None
    generator: str = ""

    def prefix(self, counts: np.ndarray, names: list[str]) -> pd.DataFrame:
        """Return the first counts[k] rows of each region, put together.

        Raises
        ------
        CodsaError
            When a region's pool holds fewer rows than are asked for.
        """
        for k, count in enumerate(counts):
            if count > len(self.rows[k]):
                raise CodsaError(
                    f"the allocation asks for {count} rows of region '{names[k]}', the pool holds "
                    f"{len(self.rows[k])}; draw more with codsa-sample, or lower m or alpha"
                )
        return pd.concat([part.iloc[:count] for part, count in zip(self.rows, counts, strict=True)])


def load_pool(folder: Path, schema: Schema) -> Pool:
    """Read all shards of a pool and check that they are whole and belong together."""
    manifests = sorted(folder.glob("shard-*-of-*.json"))
    if not manifests:
        raise CodsaError(f"{folder}: no pool there; draw it with codsa-sample")
    records = [read_json(path) for path in manifests]
    shards = records[0]["parameters"]["shards"]
    if len(records) != shards or any(rec["parameters"]["shards"] != shards for rec in records):
        raise CodsaError(f"{folder}: {len(records)} of {shards} shards are there; draw the others with codsa-sample")
    for record in records:
        if any(record[key] != records[0][key] for key in ("inputs", "generator", "settings", "r", "fold")):
            raise CodsaError(f"{folder}: its shards come from different generators; delete it and draw it again")
        for name, expected in record["outputs"].items():
            verify(folder / name, expected)
    rows = [_read_region(folder, records, name, schema) for name in schema.regions.names]
    return Pool(
        rows,
        np.array([_violations(records, name) for name in schema.regions.names]),
        records[0]["inputs"]["dataset"],
        records[0]["inputs"]["split"],
        frame_digest(*rows),
        records[0]["r"],
        records[0]["fold"],
        records[0]["generator"],
    )


def _read_region(folder: Path, records: list[dict[str, Any]], name: str, schema: Schema) -> pd.DataFrame:
    parts = [read_parquet(folder / rec["regions"][name]["file"]) for rec in records if name in rec["regions"]]
    expected = [c.name for c in schema.modelled]
    if any(list(part.columns) != expected for part in parts):
        raise CodsaError(f"{folder}: its columns are not those of the dataset; train and sample again")
    parts = [pd.DataFrame({c.name: cast(p[c.name], c) for c in schema.modelled}) for p in parts if len(p)]
    empty = pd.DataFrame({c.name: cast(pd.Series([], dtype=object), c) for c in schema.modelled})
    return pd.concat(parts, ignore_index=True) if parts else empty


def _violations(records: list[dict[str, Any]], name: str) -> float:
    found = [rec["regions"][name] for rec in records if name in rec["regions"]]
    return sum(f["refused"] for f in found) / max(sum(f["drawn"] for f in found), 1)
