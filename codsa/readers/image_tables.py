"""Images of one or several places as a table: one size and mode, a column `image`, their labels beside it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.whole_numbers import stacked
from codsa.errors import CodsaError
from codsa.io import array_columns
from codsa.io.image_codec import CHANNELS, BrokenImage, resized
from codsa.readers.images import Found, find, load
from codsa.settings.images import ImageOptions
from codsa.settings.sources import Part

log = logging.getLogger(__name__)

IMAGE = "image"
SHOWN = 5
"""So many broken images are named one by one."""


def read_images(parts: Sequence[Part], options: ImageOptions) -> tuple[pd.DataFrame, list[str]]:
    """Read the images of all parts.

    Parameters
    ----------
    parts : sequence of Part
    options : ImageOptions

    Returns
    -------
    table : DataFrame
        `image` (a array column), `file`, and the labels.
    notes : list of str
        What was left out, in words.

    Raises
    ------
    CodsaError
        For no images, unreadable or unlabelled ones, sizes that differ.
    """
    found = [find(part) for part in parts]
    table = stacked([one.table for one in found])
    raw = [image for one in found for image in one.images]
    pixels, bad = _read(raw, table["file"].tolist(), options)
    bad |= _unlabelled(table, found, bad)
    notes = _dealt_with(bad, len(raw), options.on_unreadable)
    kept = [i for i in range(len(raw)) if i not in bad]
    if not kept:
        raise CodsaError("images: none is left; every one is broken or lacks a label")
    whole = _alike([pixels[i] for i in kept], [str(table["file"][i]) for i in kept])
    labels = table.iloc[kept].reset_index(drop=True).infer_objects()
    return pd.concat([array_columns.column(IMAGE, whole).rename(IMAGE), labels], axis=1), notes


def _read(raw: Sequence[Any], names: list[str], options: ImageOptions) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Return the images by their places, and what is wrong with the others."""
    good: dict[int, np.ndarray] = {}
    bad: dict[int, str] = {}
    for i, (image, name) in enumerate(zip(raw, names, strict=True)):
        try:
            good[i] = _one(load(image, name), options, name)
        except BrokenImage as error:
            bad[i] = str(error)
    return good, bad


def _unlabelled(table: pd.DataFrame, found: Sequence[Found], bad: dict[int, str]) -> dict[int, str]:
    """Return the images of a part that lack every label which others of it have."""
    lacking: dict[int, str] = {}
    first = 0
    for one in found:
        here = table.iloc[first : first + len(one.table)][[c for c in one.table.columns if c != "file"]]
        empty = here.isna().any(axis=1).to_numpy() & ~here.isna().all(axis=0).all()
        for i in first + np.flatnonzero(empty):
            if i not in bad:
                column = next(name for name in here if pd.isna(here[name].iloc[i - first]))
                lacking[int(i)] = f"{table['file'].iloc[i]}: has no value of '{column}'"
        first += len(one.table)
    return lacking


def _dealt_with(bad: dict[int, str], count: int, on_unreadable: str) -> list[str]:
    if not bad:
        return []
    reasons = list(bad.values())
    if on_unreadable == "refuse":
        raise CodsaError(
            f"images: {len(bad)} of {count} cannot be used; the first: {reasons[0]}. Mend or remove them, or skip "
            "them with --on-unreadable skip"
        )
    for reason in reasons[:SHOWN]:
        log.warning("left out: %s", reason)
    more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    return [f"{len(bad)} of {count} images left out: {'; '.join(reasons[:SHOWN])}{more}"]


def _alike(images: list[np.ndarray], names: list[str]) -> np.ndarray:
    """Return images in one size and mode, ndarray of uint8, shape (n, height, width, channels)."""
    sizes = Counter(one.shape[:2] for one in images)
    if len(sizes) > 1:
        (usual, _), (other, _) = sizes.most_common(2)
        place = next(i for i, one in enumerate(images) if one.shape[:2] == other)
        raise CodsaError(
            f"images: {len(sizes)} sizes (most are {usual[0]} × {usual[1]}, "
            f"'{names[place]}' is {other[0]} × {other[1]}); "
            f"say what to make of them, as --size {usual[0]}"
        )
    channels = {one.shape[2] for one in images}
    if channels == {1, 3}:
        images = [np.repeat(one, 3, axis=2) if one.shape[2] == 1 else one for one in images]
    elif len(channels) > 1:
        raise CodsaError(f"images: some have {min(channels)} channels, others {max(channels)}; give them alone")
    return np.stack(images)


def _one(image: Any, options: ImageOptions, name: str) -> np.ndarray:
    """Return one image in the wanted size and mode, where one is wanted: uint8, shape (height, width, channels)."""
    from PIL import Image

    if isinstance(image, np.ndarray):
        depth = image.shape[2]
        if depth not in CHANNELS.values():  # PIL knows 1 and 3 channels
            if options.mode is not None:
                raise BrokenImage(f"{name}: has {depth} channels; they have no mode {options.mode}")
            return image if options.shape is None else resized(image[None], options.shape)[0]
        if options.shape in (None, image.shape[:2]) and depth == CHANNELS.get(str(options.mode), depth):
            return image
        image = Image.fromarray(image[..., 0] if depth == 1 else image)
    pixels = np.asarray(fitted(image, options), dtype=np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def fitted(image: Any, options: ImageOptions) -> Any:
    """Return an image in the wanted size and mode, resized with Lanczos' filter."""
    from PIL import Image, ImageOps

    if options.mode is not None:
        image = image.convert(options.mode)
    if options.shape is None:
        return image
    size = (options.shape[1], options.shape[0])
    if image.size == size:
        return image
    if options.fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if options.fit == "pad":
        return ImageOps.pad(image, size, Image.Resampling.LANCZOS)
    return image.resize(size, Image.Resampling.LANCZOS)
