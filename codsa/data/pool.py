"""The pool of synthetic rows on disk: shards, each with its manifest, read back as rows by region."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Schema, cast_columns, empty_table
from codsa.errors import CodsaError
from codsa.io.digests import frame_digest
from codsa.io.manifests import Manifest, check_files, facts_as, parameters_as, read_manifest
from codsa.io.names import SAMPLE
from codsa.io.tables import read_parquet


def region_folder(schema: Schema, region: int) -> str:
    """Return the name of a region's folder in a pool: its index and a readable form of its name."""
    slug = re.sub(r"[^A-Za-z0-9._+-]+", "_", schema.regions.names[region]).strip("_")[:40]
    return f"region~{region}-{slug}"


def shard_name(shard: int, shards: int) -> str:
    """Return the name of a shard's manifest."""
    return f"shard-{shard:04d}-of-{shards:04d}.json"


def part_name(shard: int, shards: int) -> str:
    """Return the name of a shard's file in a region's folder; no two layouts share one."""
    return f"part-{shard:04d}-of-{shards:04d}.parquet"


@dataclass(frozen=True)
class RegionFacts:
    """What a shard holds of a region.

    Attributes
    ----------
    rows : int
    drawn, refused : int
        Rows drawn in all, and those that lay outside the region, its bounds or levels.
    file : str
    """

    rows: int
    drawn: int
    refused: int
    file: str


@dataclass(frozen=True)
class ShardFacts:
    """The facts of a shard's manifest.

    Attributes
    ----------
    generator, settings, r, fold
        How the generator was trained.
    regions : dict of name to RegionFacts
    """

    generator: str
    settings: dict[str, Any]
    r: float
    regions: dict[str, RegionFacts]
    fold: int | None = None


@dataclass(frozen=True)
class ShardParameters:
    """A shard's place among the others."""

    seed: int
    shard: int
    shards: int


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
    """Read all shards of a pool and check that they are complete and belong together.

    Raises
    ------
    CodsaError
        For a missing shard, shards of different generators, or a file that differs from its manifest.
    """
    manifests = sorted(folder.glob("shard-*-of-*.json"))
    if not manifests:
        raise CodsaError(f"{folder}: no pool there; draw it with codsa-sample")
    records = [read_manifest(path, SAMPLE) for path in manifests]
    facts = [facts_as(record, ShardFacts, path) for record, path in zip(records, manifests, strict=True)]
    _check_shards(folder, manifests, records, facts)
    for record, path in zip(records, manifests, strict=True):
        check_files(path, record)
    rows = [_read_region(folder, facts, name, schema) for name in schema.regions.names]
    violations = np.array([_violations(facts, name) for name in schema.regions.names])
    inputs, first = records[0].inputs, facts[0]
    try:
        dataset, split = inputs["dataset"], inputs["split"]
    except KeyError as error:
        raise CodsaError(f"{manifests[0]}: names no {error} among its inputs; draw the pool again") from None
    return Pool(
        rows=rows,
        violations=violations,
        dataset=dataset,
        split=split,
        digest=frame_digest(*rows),
        r=first.r,
        fold=first.fold,
        generator=first.generator,
    )


def _check_shards(
    folder: Path, manifests: Sequence[Path], records: Sequence[Manifest], facts: Sequence[ShardFacts]
) -> None:
    """Raise a `CodsaError` unless shards are all there, are where their names say, and come from one generator."""
    shard_parameters = [
        parameters_as(record, ShardParameters, path) for record, path in zip(records, manifests, strict=True)
    ]
    shards = shard_parameters[0].shards
    if len(records) != shards or any(shard.shards != shards for shard in shard_parameters):
        raise CodsaError(f"{folder}: {len(records)} of {shards} shards are there; draw the others with codsa-sample")
    for path, shard, record, facts_of_shard in zip(manifests, shard_parameters, records, facts, strict=True):
        listed = {region.file for region in facts_of_shard.regions.values()}
        if path.name != shard_name(shard.shard, shard.shards) or listed != set(record.outputs):
            raise CodsaError(f"{path}: is not the shard that it says; draw it again with codsa-sample")
    for record, facts_of_shard, shard in zip(records, facts, shard_parameters, strict=True):
        same_inputs = record.inputs == records[0].inputs and shard.seed == shard_parameters[0].seed
        if not same_inputs or _provenance(facts_of_shard) != _provenance(facts[0]):
            raise CodsaError(f"{folder}: its shards come from different generators; delete it and draw it again")


def _provenance(fact: ShardFacts) -> tuple[Any, ...]:
    return fact.generator, fact.settings, fact.r, fact.fold


def _read_region(folder: Path, facts: Sequence[ShardFacts], name: str, schema: Schema) -> pd.DataFrame:
    files = [fact.regions[name] for fact in facts if name in fact.regions]
    parts = [read_parquet(folder / region.file) for region in files]
    expected = [c.name for c in schema.modelled]
    for region, part in zip(files, parts, strict=True):
        if list(part.columns) != expected:
            raise CodsaError(
                f"{folder / region.file}: its columns are not those of the dataset; train and sample again"
            )
        if len(part) != region.rows:
            raise CodsaError(f"{folder / region.file}: has {len(part)} rows, not {region.rows}; sample again")
    parts = [cast_columns(part, schema.modelled) for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else empty_table(schema.modelled)


def _violations(facts: Sequence[ShardFacts], name: str) -> float:
    regions = [fact.regions[name] for fact in facts if name in fact.regions]
    return sum(region.refused for region in regions) / max(sum(region.drawn for region in regions), 1)
