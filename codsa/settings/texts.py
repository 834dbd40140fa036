"""The section of texts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from codsa.errors import CodsaError
from codsa.settings.limits import MOST_WORDS
from codsa.settings.section import Flag, Section
from codsa.settings.types import Composed, Ratio


class TextOptions(Section):
    """The column of texts, its limits and its encoder."""

    section: ClassVar[str] = "texts"
    column: Annotated[Composed, Flag("--text")] = Field(description="column that holds the texts")
    words: Annotated[list[Annotated[int, Field(ge=0, le=MOST_WORDS)]], Flag("--words", read="pair")] = Field(
        default=[1, 0], min_length=2, max_length=2, description="least and most words; 0: no most"
    )
    on_unreadable: Literal["refuse", "skip"] = Field(
        default="refuse", description="empty texts and those beyond the limits"
    )
    similarity_threshold: Ratio = Field(
        default=0.8, description="texts at least so similar (0 to 1) stay on one side of a split"
    )
    encoder: str | None = Field(default=None, description="sentence-transformers model: folder or hub name")
    precision: Literal["auto", "no", "bf16"] = Field(default="auto", description="of the encoder: auto, no or bf16")

    @field_validator("words")
    @classmethod
    def _in_order(cls, words: list[int]) -> list[int]:
        min_words, max_words = words
        if min_words < 1 or 0 < max_words < min_words:
            raise CodsaError(
                f"texts: {min_words} to {max_words} words; the least is 1, the most no less than the least"
            )
        return words

    @property
    def least_words(self) -> int:
        """The fewest words of a text."""
        return self.words[0]

    @property
    def most_words(self) -> int | None:
        """The most words of a text; None: any number."""
        return self.words[1] or None
