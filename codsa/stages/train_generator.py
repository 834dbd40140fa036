"""The stage that trains a generator on S_g and writes its folder; later stages read the folder back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codsa.data.rows import AnyDataset, Rows, described, in_memory, merged
from codsa.data.schema import Column, Schema
from codsa.data.split import TRAIN, Split, part_label
from codsa.errors import CodsaError
from codsa.generators.base import Generator, generator_class, make
from codsa.io.artifacts import new_folder
from codsa.io.digests import file_digest
from codsa.io.manifests import check_folder, parameters_as, write_manifest
from codsa.io.names import MANIFEST, PRETRAIN, SCHEMA
from codsa.io.names import TRAIN as TRAIN_GEN
from codsa.io.records import read_json, write_json
from codsa.io.seeds import SeedContext
from codsa.io.tensors import readable

log = logging.getLogger(__name__)


def train(
    dataset: AnyDataset,
    split: Split,
    r: float,
    name: str,
    settings: Mapping[str, Any],
    seeds: SeedContext,
    checkpoint_dir: Path | None = None,
    pretrained: Path | None = None,
    fold: int | None = None,
    unfitted: Generator | None = None,
) -> Generator:
    """Fit a generator on S_g and on nothing else; its `schema` says what S_g's columns hold.

    Parameters
    ----------
    r : float
        The split ratio, in (0, 1].
    name : str
        A registered generator or `module:Class`.
    checkpoint_dir : Path, optional
        Where checkpoints go.
    pretrained : Path, optional
        A folder that `codsa.stages.pretrain` wrote for a source set.
    fold : int, optional
        S_g is every training row outside this fold (cross-fitting).
    unfitted : Generator, optional
        The generator to fit, where the caller has made it; its `name` is part of the random stream alone.

    Raises
    ------
    CodsaError
        When S_g lacks a region.
    """
    rows = split.generator_rows(r, fold)
    if set(split.frame["role"].to_numpy()[rows]) - {TRAIN}:
        raise CodsaError("S_g holds rows that are not training rows; run codsa-split again")
    region = dataset.regions()[rows]
    for k, region_name in enumerate(dataset.schema.regions.names):
        if not (region == k).any():
            raise CodsaError(f"region '{region_name}' has no row in S_g at r = {r}; raise r or pool small regions")
    if pretrained is not None:
        check_folder(pretrained, PRETRAIN)
    generator = make(name, settings) if unfitted is None else unfitted
    training_rows = dataset.part(rows)
    table: Any = training_rows if generator.streams else in_memory(training_rows)
    log.info("training %s on S_g, %d rows (r = %s)", name, len(table), r)
    stream = seeds.stream("train", name, part_label(r, fold))
    schema = generator_schema(dataset.schema, training_rows, pretrained)
    fitted = generator.fit(table, region, schema, stream, checkpoint_dir, pretrained)
    fitted.schema = getattr(fitted, "schema", schema)
    return fitted


def generator_schema(schema: Schema, rows: Rows, pretrained: Path | None = None) -> Schema:
    """Return the schema that a generator learns by: its columns are described by the rows of S_g alone.

    What a source set holds counts as well, because no row of it is a row of the study: a column has its levels, and
    the wider bounds.

    Parameters
    ----------
    schema : Schema
        The dataset's.
    rows : DataFrame or StoredRows
        S_g.
    pretrained : Path, optional
        A folder that `codsa.stages.pretrain` wrote for the source set.
    """
    own = described(schema, rows)
    if pretrained is not None:
        with readable(pretrained):
            source = Schema.from_dict(read_json(pretrained / SCHEMA))
        by_name = {column.name: column for column in source.modelled}
        own = replace(own, columns=[_with_source(c, by_name.get(c.name), schema) for c in own.columns])
    return replace(own, notes=[], regions=replace(own.regions, pooled=[]))


def _with_source(column: Column, source: Column | None, schema: Schema) -> Column:
    """Return a column with the levels and bounds of the source set's, where both are of one kind."""
    is_class = column.name == schema.target and schema.task != "regression"
    if source is None or is_class or column.role == "ignored" or source.type != column.type:
        return column
    kinds = {type(level) for level in [*(column.levels or []), *(source.levels or [])]}
    return column if len(kinds) > 1 else merged(column, source)


def write_generator(
    folder: Path,
    generator: Generator,
    schema: Schema,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> None:
    """Write a generator's folder: all of its files, or none.

    Parameters
    ----------
    schema : Schema
        The one that the generator was fitted by: its own `schema`, where `train` fitted it.
    inputs : mapping
        Digests of the dataset, the split and the pretrained folder.
    parameters : mapping
        generator, settings, r, fold, seed, experiment, replicate.
    """
    with new_folder(folder, TRAIN_GEN) as staged:
        generator.save(staged)
        write_json(staged / SCHEMA, schema.to_dict())
        write_manifest(staged / MANIFEST, TRAIN_GEN, inputs, parameters)


def pretrained_digest(folder: Path) -> str:
    """Return the digest of the manifest of a pretrained folder, once its files are checked against it."""
    check_folder(folder, PRETRAIN)
    return file_digest(folder / MANIFEST)


@dataclass(frozen=True)
class Training:
    """How a generator was trained, as its manifest says.

    Attributes
    ----------
    generator : str
        Its registered name or `module:Class`.
    settings : dict
    r : float
    fold : int, optional
        The part S_g that it was trained on.
    """

    generator: str
    settings: dict[str, Any]
    r: float
    fold: int | None = None


@dataclass(frozen=True)
class Trained:
    """A generator read back from its folder.

    Attributes
    ----------
    generator : Generator
    schema : Schema
    training : Training
    inputs : dict of name to SHA-256
        The dataset, the split and the pretrained folder.
    """

    generator: Generator
    schema: Schema
    training: Training
    inputs: dict[str, str] = field(default_factory=dict)


def load_generator(folder: Path, trusted: Collection[str] = ()) -> Trained:
    """Read a generator's folder, once its files are checked against its manifest.

    Parameters
    ----------
    trusted : collection of str
        The `module:Class` of the user's own generators that may be imported; the folder alone names registered ones.

    Raises
    ------
    CodsaError
        For a folder whose files differ from its manifest, or that names code which is not trusted.
    """
    record = check_folder(folder, TRAIN_GEN)
    training = parameters_as(record, Training, folder / MANIFEST)
    cls = generator_class(training.generator, training.settings, trusted)
    with readable(folder):
        schema = Schema.from_dict(read_json(folder / SCHEMA))
        return Trained(cls.load(folder, schema, training.settings), schema, training, record.inputs)
