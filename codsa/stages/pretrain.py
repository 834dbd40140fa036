"""The stage that pretrains on a source set what generators start from: an encoder, a denoiser, rows or an inverter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from codsa.data.dataset import Dataset
from codsa.errors import CodsaError, check_choice, quoted_value
from codsa.generators.base import generator_class, make
from codsa.io.artifacts import new_folder
from codsa.io.manifests import write_manifest
from codsa.io.names import MANIFEST, PRETRAIN
from codsa.io.records import write_json
from codsa.io.seeds import SeedContext, rng
from codsa.io.tables import write_parquet
from codsa.settings.registry import check_settings


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
    """Pretrain on the rows of a source set, and write the folder that `codsa-train-gen --pretrained` reads.

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
        Use only this many rows, drawn at random. A smaller draw is part of a larger one.

    Raises
    ------
    CodsaError
        For an unknown kind, unknown settings, or more rows than the source set has.
    """
    check_choice("pretrain", kind, tuple(PRETRAINERS))
    with new_folder(folder, PRETRAIN) as staged:
        subset = _random_rows(source, rows, seeds)
        PRETRAINERS[kind](staged, subset, settings, seeds.stream("pretrain"), checkpoint_dir)
        write_json(staged / "schema.json", source.schema.to_dict())
        write_manifest(staged / MANIFEST, PRETRAIN, inputs, parameters)


def _random_rows(source: Dataset, count: int | None, seeds: SeedContext) -> Dataset:
    if count is None:
        return source
    if count > len(source.rows):
        raise CodsaError(f"--source-rows {count}: the source set has {len(source.rows)} rows")
    chosen = rng(seeds.stream("source rows")).permutation(len(source.rows))[:count]
    return replace(source, rows=source.rows.iloc[np.sort(chosen)].reset_index(drop=True))


def pretrain_encoder(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit an encoder–decoder; settings are keyword arguments of `codsa.nn.autoencoder.pretrain`."""
    from codsa.nn.autoencoder import pretrain

    not_settings = ("rows", "schema", "stream", "folder", "checkpoint_dir")
    check_settings("encoder", "autoencoder", pretrain, settings=settings, filled=not_settings)
    losses = pretrain(source.rows, source.schema, stream, folder=folder, checkpoint_dir=checkpoint_dir, **settings)
    losses.to_csv(folder / "losses.csv", index=False)


def pretrain_denoiser(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit a generator on all modelled columns but texts: that of the setting 'generator', or tabular-diffusion."""
    schema = source.schema.without_texts
    name = settings.get("generator", "tabular-diffusion")
    if not isinstance(name, str):
        raise CodsaError(f"denoiser: generator = {quoted_value(name)}: should be a generator's name")
    own_settings = {key: value for key, value in settings.items() if key != "generator"}
    generator = make(name, {**own_settings, **generator_class(name, own_settings).pretraining})
    rows = source.rows[[column.name for column in schema.modelled]]
    generator.fit(rows, source.regions(), schema, stream, checkpoint_dir).save(folder)


def copy_rows(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Copy the source rows themselves, for the generator `source-rows`; there are no settings."""
    check_settings("pretrained", "rows", lambda: None, settings)
    columns = [column.name for column in source.schema.modelled]
    write_parquet(folder / "rows.parquet", source.rows[columns])


def pretrain_inverter(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, checkpoint_dir: Path
) -> None:
    """Fit an inverter of embeddings (see `codsa.generators.texts.inverting.inverter_of`)."""
    from codsa.generators.texts.inverting import inverter_of

    inverter_of(folder, source, settings, stream=stream, checkpoint_dir=checkpoint_dir)


Pretrainer = Callable[[Path, Dataset, Mapping[str, Any], np.random.SeedSequence, Path], None]
"""Takes the folder to write, the source set, settings, the random stream and the folder of checkpoints."""
PRETRAINERS: dict[str, Pretrainer] = {
    "encoder": pretrain_encoder,
    "denoiser": pretrain_denoiser,
    "rows": copy_rows,
    "inverter": pretrain_inverter,
}
"""What can be learned from a source set, by the name that `codsa-train-gen --pretrain` takes."""
