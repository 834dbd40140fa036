"""Annotated types of the settings of generators and estimators, and of the keys of an experiment."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from codsa.errors import CodsaError, quoted_value, suggest
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
    """Return 'no' for false, as which YAML reads a bare `no`."""
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
ALLOCATIONS = ("balance", "training", "target")


def _allocation(value: Any) -> Any:
    """Return an allocation, or raise a `CodsaError` that says what an allocation is."""
    if isinstance(value, str) and value not in ALLOCATIONS:
        raise CodsaError(f"alpha '{value}' is not known; {suggest(value, ALLOCATIONS)}, or give a weight")
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Mapping)):
        raise CodsaError(f"alpha = {value}: give a weight, {', '.join(ALLOCATIONS)}, or weights by region")
    if isinstance(value, (int, float)) and not 0 <= value <= 1:
        raise CodsaError(f"alpha = {value}: the weight of the region in focus must lie in [0, 1]")
    if isinstance(value, Mapping):
        _refuse_off_simplex(value)
    return value


def _refuse_off_simplex(weights: Mapping[Any, Any]) -> None:
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            raise CodsaError(f"alpha = {dict(weights)}: the weight of region '{name}' is not a number")
    total = sum(weights.values())
    if not (all(weight >= 0 for weight in weights.values()) and abs(total - 1) <= 1e-6):
        raise CodsaError(
            f"alpha = {dict(weights)}: not on the simplex (weights ≥ 0 that sum to 1; these sum to {total:g})"
        )


Alpha = Annotated[
    Fraction | Literal["balance", "training", "target"] | dict[str, Fraction], BeforeValidator(_allocation)
]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Title = Annotated[str, AfterValidator(lambda text: text and check_line("title", text, LONGEST_TITLE))]


def _size(value: Any) -> Any:
    """Return a size, or raise a `CodsaError` that says what a size is."""
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else -1
    if number > MOST_ROWS:
        raise CodsaError(f"size '{value}': more than {MOST_ROWS} rows; lower it")
    if not (0 < number < 1 or (number >= 1 and float(number).is_integer())):
        raise CodsaError(f"size {quoted_value(value)}: give a whole number of rows, or a share between 0 and 1")
    return number if number < 1 else int(number)


RoleSize = Annotated[
    Annotated[int, Field(ge=1, le=MOST_ROWS)] | Annotated[float, Field(gt=0, lt=1)], BeforeValidator(_size)
]
"""The rows of a role: a number of rows under Q, or a share of every region."""
Composed = Annotated[str, AfterValidator(lambda text: unicodedata.normalize("NFC", text))]
"""Text, brought to Unicode's composed form as the names and texts of a table are."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
SEGMENT = r"\.?\w[\w .+@=,-]*"
Name = Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)]
"""A name of an experiment, a scale or a method, which becomes a folder's name."""


def _object_name(name: Any) -> Any:
    """Refuse what cannot be a class in words that say how one is written."""
    if isinstance(name, str) and not re.fullmatch(rf"{NAME}|{IDENTIFIER}(\.{IDENTIFIER})*:{IDENTIFIER}", name):
        raise PydanticCustomError(
            "object_name", "give a registered name, or write it as module:Class, as in 'package.module:Class'"
        )
    return name


ObjectName = Annotated[
    str,
    BeforeValidator(_object_name),
    Field(pattern=rf"^({NAME}|{IDENTIFIER}(\.{IDENTIFIER})*:{IDENTIFIER})$", max_length=100),
]
"""A registered name, or `module:Class`."""
FOLDER_PATH = rf"(\./)*/?{SEGMENT}(/{SEGMENT})*/?"
FolderPath = Annotated[str, Field(pattern=f"^{FOLDER_PATH}$")]
"""A relative or absolute path: letters, digits, blanks and a few signs, no `..`, nothing that a shell reads."""
ImageAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/][A-Za-z0-9._/:@+=-]*$")]
"""A path or an address of an image. Snakemake writes it into a shell command as it is, so blanks are refused too."""
