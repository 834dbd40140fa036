"""The section of images."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from codsa.errors import CodsaError, shortened
from codsa.settings.limits import LONGEST_SIDE
from codsa.settings.section import Flag, Section
from codsa.settings.types import Pixels


class ImageOptions(Section):
    """The size and mode of images."""

    section: ClassVar[str] = "images"
    size: Annotated[
        Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None,
        Flag("--size", "N|HEIGHTxWIDTH", help="Images: bring all to so many pixels."),
    ] = Field(default=None, description="pixels: N, HEIGHTxWIDTH or [height, width]")
    mode: Literal["L", "RGB"] | None = Field(default=None, description="L (grayscale) or RGB; default: as they are")
    fit: Literal["stretch", "crop", "pad"] = Field(default="stretch", description="how others meet the size")
    on_unreadable: Literal["refuse", "skip"] = Field(
        default="refuse", description="unreadable or unlabelled images: refuse or skip"
    )

    @field_validator("size", mode="before")
    @classmethod
    def _written(cls, size: Any) -> Any:
        if not isinstance(size, str):
            return size
        match = re.fullmatch(r"([0-9]{1,9})(?:[xX]([0-9]{1,9}))?", size)
        if not match:
            raise CodsaError(f"images: size {shortened(size)}: write N or HEIGHTxWIDTH, in pixels")
        pixels = [int(side) for side in match.groups() if side is not None]
        if not all(1 <= side <= LONGEST_SIDE for side in pixels):
            raise CodsaError(f"images: size {size}: a side has from 1 to {LONGEST_SIDE} pixels")
        return pixels if len(pixels) == 2 else pixels[0]

    @property
    def shape(self) -> tuple[int, int] | None:
        """(height, width); None where images stay as they are."""
        if self.size is None:
            return None
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])
