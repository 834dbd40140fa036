"""The stage that trains a generator on S_g and writes its folder; later stages read the folder back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codsa.data.rows import AnyDataset, in_memory
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, Split, part_label
from codsa.errors import CodsaError
from codsa.generators.base import Generator, generator_class, make
from codsa.io.artifacts import new_folder
from codsa.io.digests import file_digest
from codsa.io.manifests import check_folder, parameters_as, write_manifest
from codsa.io.names import MANIFEST, PRETRAIN
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
) -> Generator:
    """Fit a generator on S_g and on nothing else.

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
    generator = make(name, settings)
    training_rows = dataset.part(rows)
    table: Any = training_rows if generator.streams else in_memory(training_rows)
    log.info("training %s on S_g, %d rows (r = %s)", name, len(table), r)
    stream = seeds.stream("train", name, part_label(r, fold))
    return generator.fit(table, region, dataset.schema, stream, checkpoint_dir, pretrained)


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
    inputs : mapping
        Digests of the dataset, the split and the pretrained folder.
    parameters : mapping
        generator, settings, r, fold, seed, experiment, replicate.
    """
    with new_folder(folder, TRAIN_GEN) as staged:
        generator.save(staged)
        write_json(staged / "schema.json", schema.to_dict())
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
        schema = Schema.from_dict(read_json(folder / "schema.json"))
        return Trained(cls.load(folder, schema, training.settings), schema, training, record.inputs)
