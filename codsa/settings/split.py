"""The section of the target law Q and the sizes of validation and test rows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from codsa.settings.section import Flag, Section
from codsa.settings.types import RoleSize, Weight


class SplitOptions(Section):
    """The target law Q and the numbers of validation and test rows drawn under it."""

    section: ClassVar[str] = "split"
    law: Annotated[Literal["balanced", "training"] | dict[str, Weight], Flag("--law", read="yaml")] = Field(
        default="balanced",
        description="Q, the law the model is judged under: balanced, training, or '{REGION: WEIGHT, …}'",
    )
    validation: Annotated[RoleSize, Flag("--validation", "ROWS|SHARE", read="number")] = Field(
        default=0.2, description="rows under Q (a whole number), or a share of every region"
    )
    test: Annotated[RoleSize, Flag("--test", "ROWS|SHARE", read="number")] = Field(
        default=0.2, description="rows under Q (a whole number), or a share of every region"
    )
