"""The section of what `codsa export` writes."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from codsa.errors import CodsaError, shortened
from codsa.settings.limits import check_line
from codsa.settings.section import Flag, Section

LONGEST_LINE = 500


def _line(text: str) -> str:
    return check_line("export", text, LONGEST_LINE)


Line = Annotated[str, AfterValidator(_line)]


class ExportOptions(Section):
    """What is handed out, in which format, and what its metadata say that no study knows."""

    section: ClassVar[str] = "export"
    what: Literal["augmented", "synthetic"] = Field(
        default="augmented", description="augmented (real training rows and synthetic ones) or synthetic (these alone)"
    )
    format: Literal["csv", "parquet", "images", "jsonl", "huggingface"] = Field(
        default="csv", description="csv, parquet, images (a folder), jsonl or huggingface (a data set's folder)"
    )
    license: Annotated[Line | None, Flag("--license", "NAME")] = Field(
        default=None, description="licence of the data, as CC-BY-4.0 or a URL; yours to say, as real rows are yours"
    )
    url: Annotated[Line | None, Flag("--url")] = Field(
        default=None, description="where the data will be found; for the metadata"
    )
    creator: Annotated[Line | None, Flag("--creator", "NAME")] = Field(
        default=None, description="who hands the data out; for the metadata"
    )
    date: Annotated[str | None, Flag("--date", "YYYY-MM-DD")] = Field(
        default=None, description="when the data are published; for the metadata"
    )

    @field_validator("date")
    @classmethod
    def _written(cls, date: str | None) -> str | None:
        if date is not None and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", date):
            raise CodsaError(f"export: date {shortened(repr(date))}: write it as YYYY-MM-DD")
        return date
