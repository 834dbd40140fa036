"""The evaluation of one method on the test rows, an option of `codsa-eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from codsa.settings.limits import check_line
from codsa.settings.section import Section


class Evaluation(Section):
    """The evaluation of one method on the test rows.

    An example: {method: smote, fits: [fit~smote/r~1.0], pool: [pool], out: eval~smote}.
    """

    section: ClassVar[str] = "evaluation"
    out: Path = Field(description="folder to write")
    fits: list[Path] = Field(min_length=1, description="folders written by codsa-fit, one per r")
    pool: list[Path] = Field(default=[], description="the pools that the fits drew on, for diagnostics")
    method: Annotated[str, AfterValidator(lambda text: check_line("evaluation: method", text))] = Field(
        default="method", description="the method's name in tables"
    )
    encoder: str | None = Field(default=None, description="by which generated texts are embedded again")
