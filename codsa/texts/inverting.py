"""The folder of an inverter: which texts it learns from, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from codsa.artefacts import digest, read_parquet, whole
from codsa.dataset import Dataset
from codsa.errors import CodsaError, suggest
from codsa.reading import Raw, read_source
from codsa.registry import check_settings
from codsa.streams import Work
from codsa.texts.clean import Limits, clean
from codsa.texts.encoder import SentenceEncoder, embed
from codsa.texts.training import train_inverter
from codsa.train import scratch_of, seal


def read_own(
    source: str | None, sha256: str | None, data: Path | None, column: str, out: Path
) -> tuple[list[str], dict[str, str]]:
    """Return the texts of a table or of a dataset, each once, and their digest for the manifest."""
    if (source is None) == (data is None):
        raise CodsaError("give either a table of texts or --data, a dataset's folder")
    if data is not None:
        found = read_parquet(data / "rows.parquet")
    else:
        raw = read_source(str(source), sha256, out.parent / "raw")
        if not isinstance(raw, Raw):
            raise CodsaError(f"{source}: holds images; give a table of texts")
        found = raw.held
    if column not in found:
        raise CodsaError(f"{source or data}: no column '{column}'; {suggest(column, map(str, found.columns))}")
    texts = clean(found[column], Limits(broken="skip"), column)[0].drop_duplicates().tolist()
    return texts, {"texts": digest(texts)}


def write_inverter(
    folder: Path,
    texts: list[str],
    encoder: str,
    cache: Path,
    settings: Mapping[str, Any],
    work: Work,
    inputs: Mapping[str, str],
) -> dict[str, float]:
    """Train an inverter and write its folder, whole or not at all.

    Parameters
    ----------
    settings : mapping
        Keyword arguments of `codsa.texts.training.train_inverter`.

    Returns
    -------
    dict
        What was measured on held-out texts.
    """
    check_settings("train-inverter", "inverter", train_inverter, settings)
    model = SentenceEncoder(encoder)
    inputs = {**inputs, "encoder": model.digest}
    parameters = {"settings": dict(settings), "seed": work.seed}
    with scratch_of(folder, inputs, parameters) as scratch, whole(folder) as part:
        part.mkdir(parents=True)
        vectors = embed(model, texts, cache)
        found = train_inverter(texts, model, vectors, part, work.stream("inverter"), scratch, **settings)
        seal(part, "inverter", inputs, parameters)
    return found


def inverter_of(
    folder: Path, source: Dataset, settings: Mapping[str, Any], stream: np.random.SeedSequence, scratch: Path
) -> None:
    """Train an inverter on a source set's texts (`codsa-train-gen --pretrain inverter`); `encoder` is a setting."""
    check_settings("pretrained", "inverter", train_inverter, {k: v for k, v in settings.items() if k != "encoder"})
    columns = [c for c in source.schema.columns if c.type == "vector" and c.of is not None]
    if not columns or "encoder" not in settings:
        raise CodsaError(
            "inverter: the source set needs embeddings of its texts, and the setting encoder names the model"
        )
    model = SentenceEncoder(str(settings["encoder"]))
    if model.digest != columns[0].encoder:
        raise CodsaError(f"inverter: {settings['encoder']} is not the encoder of the source set; give that one")
    from codsa.payload import arrays

    rows = source.rows.drop_duplicates(str(columns[0].of))
    own = {key: value for key, value in settings.items() if key != "encoder"}
    texts, vectors = rows[str(columns[0].of)].tolist(), arrays(rows[columns[0].name])
    train_inverter(texts, model, vectors, folder, stream, scratch, **own)
