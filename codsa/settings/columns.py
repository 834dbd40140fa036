"""What a user declares of the columns of a dataset."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from codsa.settings.section import Flag, Section
from codsa.settings.types import Composed


class ColumnConfig(Section):
    """A correction of what is inferred about a column."""

    section: ClassVar[str] = "columns"
    type: Literal["numeric", "integer", "categorical", "boolean", "datetime", "text"] | None = None
    role: Literal["feature", "attribute", "ignored"] | None = None


class ColumnOptions(Section):
    """The target, the task, the group, and corrections of columns; the rest is inferred."""

    section: ClassVar[str] = "data"
    target: Composed = Field(default="y", description="column to be predicted")
    task: Literal["classification", "regression", "detection"] | None = Field(
        default=None, description="classification, regression or detection; the first two are inferred if absent"
    )
    normal: list[Composed] = Field(default=[], description="levels of the target that are normal, for detection")
    classes: Annotated[list[Composed], Flag("--class")] = Field(
        default=[], description="the only levels that the target may have"
    )
    group: Composed | None = Field(default=None, description="column whose values may not straddle roles")
    columns: Annotated[dict[Composed, ColumnConfig], Flag("--column", "NAME=TYPE|ROLE", read="choices")] = Field(
        default={}, description="corrections of inferred types and roles, by column name"
    )
