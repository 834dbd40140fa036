"""The evaluation of one method on the test rows, an option of `codsa-eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from codsa.errors import CodsaError
from codsa.settings.limits import check_line
from codsa.settings.section import Section
from codsa.settings.types import Name


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
    ranks: list[Annotated[int, Field(ge=0, le=3)]] = Field(
        default=[],
        description="how simple each of the fits is, to choose among equally good ones: 0 adds nothing, 1 weights, "
        "2 resamples, 3 generates; default: as the fits used weights or pools",
    )
    estimators: list[Name] = Field(default=[], description="labels of the estimators to judge; default: all")
    kind: Literal["primary", "codsa", "control", "oracle"] = Field(
        default="codsa", description="what the method is to the report"
    )
    source: bool = Field(default=False, description="whether the method uses a source set")

    @model_validator(mode="after")
    def _as_many_ranks(self) -> Evaluation:
        if self.ranks and len(self.ranks) != len(self.fits):
            raise CodsaError(f"evaluation: {len(self.ranks)} ranks of {len(self.fits)} fits; give one for each")
        return self
