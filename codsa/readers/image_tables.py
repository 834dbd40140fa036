"""Images of several parts as a table: a column `image` of one size and mode, and their labels."""

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
from codsa.readers.images import ImageSource, find, load
from codsa.settings.images import ImageOptions
from codsa.settings.sources import Part

log = logging.getLogger(__name__)

IMAGE = "image"
SHOWN_IMAGES = 5
"""A note names at most this many broken images."""


def read_images(parts: Sequence[Part], options: ImageOptions) -> tuple[pd.DataFrame, list[str]]:
    """Read the images of all parts.

    Parameters
    ----------
    parts : sequence of Part
    options : ImageOptions

    Returns
    -------
    table : DataFrame
        `image` (an array column), `file`, and the labels.
    notes : list of str
        Which images were left out.

    Raises
    ------
    CodsaError
        For no images, unreadable or unlabelled images, or different sizes.
    """
    sources = [find(part) for part in parts]
    table = stacked([source.table for source in sources])
    raw_images = [image for source in sources for image in source.images]
    decoded, faults = _read(raw_images, table["file"].tolist(), options)
    faults |= _unlabelled(table, sources, faults)
    notes = _notes_or_refusal(faults, len(raw_images), options.on_unreadable)
    kept = [i for i in range(len(raw_images)) if i not in faults]
    if not kept:
        raise CodsaError("images: none is left; every one is broken or lacks a label")
    image_array = _stacked([decoded[i] for i in kept], [str(table["file"][i]) for i in kept])
    labels = table.iloc[kept].reset_index(drop=True).infer_objects()
    return pd.concat([array_columns.column(IMAGE, image_array).rename(IMAGE), labels], axis=1), notes


def _read(
    raw_images: Sequence[Any], names: list[str], options: ImageOptions
) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Return the readable images by index, and the faults of the others by index."""
    decoded: dict[int, np.ndarray] = {}
    faults: dict[int, str] = {}
    for i, (image, name) in enumerate(zip(raw_images, names, strict=True)):
        try:
            decoded[i] = _converted(load(image, name), options, name)
        except BrokenImage as error:
            faults[i] = str(error)
    return decoded, faults


def _unlabelled(table: pd.DataFrame, sources: Sequence[ImageSource], faults: dict[int, str]) -> dict[int, str]:
    """Return, by index, the images without a value in a column of labels, for the parts that have labels."""
    unlabelled: dict[int, str] = {}
    first = 0
    for source in sources:
        labels = table.iloc[first : first + len(source.table)][[c for c in source.table.columns if c != "file"]]
        empty = labels.isna().any(axis=1).to_numpy() & ~labels.isna().all(axis=0).all()
        for i in first + np.flatnonzero(empty):
            if i not in faults:
                column = next(name for name in labels if pd.isna(labels[name].iloc[i - first]))
                unlabelled[int(i)] = f"{table['file'].iloc[i]}: has no value of '{column}'"
        first += len(source.table)
    return unlabelled


def _notes_or_refusal(faults: dict[int, str], count: int, on_unreadable: str) -> list[str]:
    if not faults:
        return []
    reasons = list(faults.values())
    if on_unreadable == "refuse":
        raise CodsaError(
            f"images: {len(faults)} of {count} cannot be used; the first: {reasons[0]}. Mend or remove them, or skip "
            "them with --on-unreadable skip"
        )
    for reason in reasons[:SHOWN_IMAGES]:
        log.warning("left out: %s", reason)
    others = f" and {len(reasons) - SHOWN_IMAGES} more" if len(reasons) > SHOWN_IMAGES else ""
    return [f"{len(faults)} of {count} images left out: {'; '.join(reasons[:SHOWN_IMAGES])}{others}"]


def _stacked(images: list[np.ndarray], names: list[str]) -> np.ndarray:
    """Stack images of one size, gray ones as RGB where others are: uint8, shape (n, height, width, channels)."""
    sizes = Counter(image.shape[:2] for image in images)
    if len(sizes) > 1:
        (common, _), (other, _) = sizes.most_common(2)
        position = next(i for i, image in enumerate(images) if image.shape[:2] == other)
        raise CodsaError(
            f"images: {len(sizes)} sizes (most are {common[0]} × {common[1]}, "
            f"'{names[position]}' is {other[0]} × {other[1]}); "
            f"say what to make of them, as --size {common[0]}"
        )
    channels = {image.shape[2] for image in images}
    if channels == {1, 3}:
        images = [np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image for image in images]
    elif len(channels) > 1:
        raise CodsaError(f"images: some have {min(channels)} channels, others {max(channels)}; give them alone")
    return np.stack(images)


def _converted(image: Any, options: ImageOptions, name: str) -> np.ndarray:
    """Return an image in the requested size and mode, if any: uint8, shape (height, width, channels)."""
    from PIL import Image

    if isinstance(image, np.ndarray):
        channels = image.shape[2]
        if channels not in CHANNELS.values():  # PIL knows 1 and 3 channels
            if options.mode is not None:
                raise BrokenImage(f"{name}: has {channels} channels; they have no mode {options.mode}")
            return image if options.shape is None else resized(image[None], options.shape)[0]
        if options.shape in (None, image.shape[:2]) and channels == CHANNELS.get(str(options.mode), channels):
            return image
        image = Image.fromarray(image[..., 0] if channels == 1 else image)
    pixels = np.asarray(fitted(image, options), dtype=np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def fitted(image: Any, options: ImageOptions) -> Any:
    """Return an image in the requested size and mode, resized with Lanczos' filter."""
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
