"""Annotated types: what the settings of generators and estimators, and the keys of an experiment, may be."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from codsa.settings.limits import LONGEST_SIDE, LONGEST_TITLE, MOST_BATCH, MOST_ROWS, check_line

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1, description="a whole number of at least 1")]
Count = Annotated[int, Field(ge=0, le=2**31 - 1, description="a whole number of at least 0")]
Batch = Annotated[int, Field(ge=1, le=MOST_BATCH, description=f"a whole number between 1 and {MOST_BATCH}")]
Width = Annotated[int, Field(ge=1, le=2**16, description=f"a whole number between 1 and {2**16}")]
Depth = Annotated[int, Field(ge=1, le=1024, description="a whole number between 1 and 1024")]
Cells = Annotated[int, Field(ge=2, le=1024, description="a whole number between 2 and 1024")]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a finite number above 0")]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a finite number not below 0")]
AtLeastOne = Annotated[float, Field(ge=1, allow_inf_nan=False, description="a finite number of at least 1")]
Share = Annotated[float, Field(ge=0, lt=1, description="a number of at least 0 and below 1")]
Probability = Annotated[float, Field(ge=0, le=1, description="a number between 0 and 1")]


def _word(value: Any) -> Any:
    """Return what was meant by a bare `no`, which YAML reads as false."""
    return "no" if value is False else value


Precision = Annotated[Literal["no", "bf16", "fp16", "auto"], BeforeValidator(_word)]
Tuning = Literal["full", "head", "lora"]
ImageTuning = Literal["full", "head", "attention", "lora"]
Scaling = Literal["auto", "asinh", "normal-score"]
Means = Literal["free", "shrunk", "ordered"]
Budget = Literal["steps", "epochs"]
Stop = Literal["validation", "last"]

Ratio = Annotated[float, Field(gt=0, le=1)]
Multiple = Annotated[float, Field(ge=0, le=1e6)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Alpha = Fraction | Literal["balance", "training", "target"] | dict[str, Fraction]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Title = Annotated[str, AfterValidator(lambda text: text and check_line("title", text, LONGEST_TITLE))]
RoleSize = Annotated[int, Field(ge=1, le=MOST_ROWS)] | Annotated[float, Field(gt=0, lt=1)]
"""Rows of a role: a number under Q, or a share of every region."""
Composed = Annotated[str, AfterValidator(lambda text: unicodedata.normalize("NFC", text))]
"""Text in Unicode's composed form, as the names and texts of a table are brought to."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
SEGMENT = r"\.?\w[\w .+@=,-]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)]
"""What folders are called after: experiments, scales, methods."""
ObjectName = Annotated[str, Field(pattern=rf"^({NAME}|{IDENTIFIER}(\.{IDENTIFIER})*:{IDENTIFIER})$", max_length=100)]
"""A registered name, or `module:Class`."""
FOLDER_PATH = rf"(\./)*/?{SEGMENT}(/{SEGMENT})*/?"
FolderPath = Annotated[str, Field(pattern=f"^{FOLDER_PATH}$")]
"""A relative or absolute path: letters, digits, blanks and a few signs, no `..`, nothing that a shell reads."""
ImageAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/][A-Za-z0-9._/:@+=-]*$")]
"""A path or an address of an image. Snakemake writes it into a shell command as it is, so blanks are refused too."""
