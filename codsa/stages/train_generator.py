"""The stage that trains a generator on S_g, and the folder that it leaves."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from codsa.data.dataset import Dataset
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.schema import Schema
from codsa.data.split import TRAIN, Split, part_label
from codsa.errors import CodsaError, check_choice, quoted_value
from codsa.generators.base import Generator, generator_class, make
from codsa.io.artifacts import new_folder
from codsa.io.digests import file_digest
from codsa.io.manifests import check_folder, parameters_as, write_manifest
from codsa.io.names import MANIFEST, PRETRAIN
from codsa.io.names import TRAIN as TRAIN_GEN
from codsa.io.records import read_json, write_json
from codsa.io.seeds import SeedContext, rng
from codsa.io.tables import write_parquet
from codsa.io.tensors import readable
from codsa.settings.registry import check_settings

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
        What `pretrain` made on a source set.
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
    part = dataset.part(rows)
    table: Any = part if generator.streams else in_memory(part)
    log.info("training %s on %d rows (r = %s)", name, len(table), r)
    stream = seeds.stream("train", name, part_label(r, fold))
    return generator.fit(table, region, dataset.schema, stream, checkpoint_dir, pretrained)


def write_generator(
    folder: Path,
    generator: Generator,
    schema: Schema,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> None:
    """Write a generator's folder, whole or not at all.

    Parameters
    ----------
    inputs : mapping
        Digests of dataset, split and pretrained encoder.
    parameters : mapping
        generator, settings, r, fold, seed, experiment, replicate.
    """
    with new_folder(folder, TRAIN_GEN) as staged:
        generator.save(staged)
        write_json(staged / "schema.json", schema.to_dict())
        write_manifest(staged / MANIFEST, TRAIN_GEN, inputs, parameters)


def pretrain_encoder(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit an encoder–decoder; settings are keyword arguments of `codsa.nn.autoencoder.pretrain`."""
    from codsa.nn.autoencoder import pretrain

    filled = ("rows", "schema", "stream", "folder", "checkpoint_dir")
    check_settings("encoder", "autoencoder", pretrain, settings, filled)
    losses = pretrain(source.rows, source.schema, stream, folder, checkpoint_dir, **settings)
    losses.to_csv(folder / "losses.csv", index=False)


def pretrain_denoiser(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit a generator with every column modelled but texts: that of setting 'generator', or tabular-diffusion."""
    schema = source.schema.without_texts
    name = settings.get("generator", "tabular-diffusion")
    if not isinstance(name, str):
        raise CodsaError(f"denoiser: generator = {quoted_value(name)}: should be a generator's name")
    given = {key: value for key, value in settings.items() if key != "generator"}
    made = make(name, {**given, **generator_class(name, given).pretraining})
    made.fit(source.rows[[c.name for c in schema.modelled]], source.regions(), schema, stream, checkpoint_dir).save(
        folder
    )


def keep_rows(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Keep the source rows themselves, for the generator `source-rows`; there is nothing to set."""
    check_settings("pretrained", "rows", lambda: None, settings)
    columns = [c.name for c in source.schema.modelled]
    write_parquet(folder / "rows.parquet", source.rows[columns])


def _some_rows(source: Dataset, count: int | None, seeds: SeedContext) -> Dataset:
    if count is None:
        return source
    if count > len(source.rows):
        raise CodsaError(f"--source-rows {count}: the source set has {len(source.rows)} rows")
    chosen = rng(seeds.stream("source rows")).permutation(len(source.rows))[:count]
    return replace(source, rows=source.rows.iloc[np.sort(chosen)].reset_index(drop=True))


def pretrain_inverter(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit an inverter of embeddings (see `codsa.generators.texts.inverting.inverter_of`)."""
    from codsa.generators.texts.inverting import inverter_of

    inverter_of(folder, source, settings, stream, checkpoint_dir)


PRETRAINERS = {
    "encoder": pretrain_encoder,
    "denoiser": pretrain_denoiser,
    "rows": keep_rows,
    "inverter": pretrain_inverter,
}
"""What can be carried over from a source set."""


def write_pretrained(
    folder: Path,
    kind: str,
    source: Dataset,
    settings: Mapping[str, Any],
    seeds: SeedContext,
    checkpoint_dir: Path,
    inputs: Mapping[str, str],
    parameters: Mapping[str, Any],
    rows: int | None = None,
) -> None:
    """Learn from the rows of a source set what is to be carried over, and write its folder.

    Parameters
    ----------
    kind : {'encoder', 'denoiser', 'rows', 'inverter'}
    settings : mapping
        See `PRETRAINERS`.
    checkpoint_dir : Path
        Where checkpoints go.
    inputs, parameters : mapping
        For the manifest.
    rows : int, optional
        Only so many rows, drawn at random; fewer are a part of more.
    """
    check_choice("pretrain", kind, tuple(PRETRAINERS))
    with new_folder(folder, PRETRAIN) as staged:
        PRETRAINERS[kind](staged, _some_rows(source, rows, seeds), settings, seeds.stream("pretrain"), checkpoint_dir)
        write_json(staged / "schema.json", source.schema.to_dict())
        write_manifest(staged / MANIFEST, PRETRAIN, inputs, parameters)


def encoder_digest(folder: Path) -> str:
    """Return the digest of a pretrained encoder's folder, checking that it is whole."""
    check_folder(folder, PRETRAIN)
    return file_digest(folder / "manifest.json")


@dataclass(frozen=True)
class Training:
    """What a generator's manifest says of its making.

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
    made : Training
    inputs : dict of name to SHA-256
        The dataset, the split and what was pretrained.
    """

    generator: Generator
    schema: Schema
    made: Training
    inputs: dict[str, str] = field(default_factory=dict)


def load_generator(folder: Path, trusted: Collection[str] = ()) -> Trained:
    """Read a generator's folder, checking that it is whole.

    Parameters
    ----------
    trusted : collection of str
        The `module:Class` of the user's own generators that may be imported; the folder alone names registered ones.

    Raises
    ------
    CodsaError
        For a folder that is not whole, or names code that is not trusted.
    """
    record = check_folder(folder, TRAIN_GEN)
    made = parameters_as(record, Training, folder / MANIFEST)
    call = generator_class(made.generator, made.settings, trusted)
    with readable(folder):
        schema = Schema.from_dict(read_json(folder / "schema.json"))
        return Trained(call.load(folder, schema, made.settings), schema, made, record.inputs)
