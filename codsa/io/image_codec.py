"""Single images: from encoded bytes to arrays of one size and mode, and back to PNG."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from codsa.errors import CodsaError

MODES = ("L", "RGB")
FITS = ("stretch", "crop", "pad")
MAX_PIXELS = 50_000_000
"""A larger image is refused before it is decoded, because it may be a decompression bomb."""
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""The formats that are read, whatever the file's suffix: those of `codsa.readers.images.SUFFIXES`."""
CHANNELS = {"L": 1, "RGB": 3}


class BrokenImage(CodsaError):
    """An image that cannot be read or brought to the requested size and mode."""


def encode(pixels: np.ndarray) -> bytes:
    """Return an image of shape (height, width, 1 or 3), uint8, as PNG; other channel counts as numpy's npy."""
    from PIL import Image

    out = io.BytesIO()
    if pixels.shape[2] not in CHANNELS.values():
        np.save(out, pixels)
        return out.getvalue()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def decode(data: bytes, where: str) -> np.ndarray:
    """Return what `encode` wrote, ndarray of uint8, shape (height, width, channels)."""
    if data[:6] == b"\x93NUMPY":
        array: np.ndarray = np.load(io.BytesIO(data), allow_pickle=False)
        return array
    image = open_image(data, where)
    pixels = np.asarray(image if image.mode in MODES else image.convert("RGB"))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def open_image(data: bytes, where: str) -> Any:
    """Decode an image of one of `FORMATS`.

    Returns
    -------
    PIL.Image.Image
        Of mode L or RGB; the first frame of an animation; transparency is blended over black.

    Raises
    ------
    BrokenImage
        For an unreadable, truncated or too large image, with its name.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise BrokenImage(
                f"{where}: says it has {image.width} × {image.height} pixels, more than {MAX_PIXELS:,}; "
                "it may be a decompression bomb: shrink it first"
            )
        image.load()
        return _plain(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = (
            f"not a known format: {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else str(error)
        )
        raise BrokenImage(f"{where}: not readable as an image ({reason}); it may be truncated") from None


def _plain(image: Any) -> Any:
    """Return an image converted to mode L or RGB."""
    from PIL import Image

    if image.mode in MODES:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray(
            np.clip(values / (257.0 if values.max() > 255 else 1.0), 0, 255).round().astype(np.uint8)
        )
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("LA", "La"):
        black = Image.new("LA", image.size, (0, 255))
        return Image.alpha_composite(black.convert("RGBA"), image.convert("RGBA")).convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return images in another size, by Lanczos' filter.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width, channels)
    size : tuple of int
        (height, width).

    Returns
    -------
    ndarray of uint8, shape (n, *size, channels)
    """
    from PIL import Image

    if pixels.shape[1:3] == size:
        return pixels
    resized_images = np.empty((len(pixels), *size, pixels.shape[3]), dtype=np.uint8)
    for image, out in zip(pixels, resized_images, strict=True):
        for channel in range(pixels.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            out[..., channel] = np.asarray(plane.resize((size[1], size[0]), Image.Resampling.LANCZOS))
    return resized_images
