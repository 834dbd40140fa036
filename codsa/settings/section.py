"""The base class of the sections of an experiment: typed, frozen, without unknown keys; and its error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from codsa.errors import CodsaError, shortened, suggest

EXPECTED = {"dict_type": "a mapping", "list_type": "a list", "path_type": "a path, as text", "string_type": "text"}
"""The expected kind of value, by pydantic's type of the error."""


@dataclass(frozen=True)
class Flag:
    """The command-line option of a field, where its name or its reading differs from the field's.

    Attributes
    ----------
    name : str
        '--region-column', or '--pool/--no-pool'.
    metavar : str, optional
        The placeholder of the value in help.
    read : str
        'text': as written; 'yaml': as YAML writes it; 'number': a number, or else text; 'pair': two whole numbers;
        'pairs': repeated NAME=VALUE; 'choices': repeated NAME=CHOICE, a choice of any key of the section that the
        name stands for; 'settings': repeated KEY=VALUE, the value as YAML.
    help : str, optional
        Replaces the field's description.
    """

    name: str
    metavar: str | None = None
    read: str = "text"
    help: str | None = None


class Section(BaseModel):
    """A section of a configuration: typed, frozen, closed to unknown keys."""

    # YAML reads `0:` as a number; names of regions and columns are text.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)
    section: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content: Any) -> Any:
        for key in content if isinstance(content, Mapping) else ():
            if key not in cls.model_fields:
                where = f"{cls.section}: " if cls.section else ""
                raise CodsaError(f"{where}unknown key '{key}'; {suggest(str(key), cls.model_fields)}")
            if _has_truth(content[key]) and not re.search("bool|Any|codsa", repr(cls.model_fields[key].annotation)):
                raise CodsaError(
                    f"{cls.section}: {key} = {shortened(repr(content[key]))}: a truth value where a number or text is "
                    "needed; quote text, as YAML reads yes, no, on and off as truths"
                )
        return content

    @classmethod
    def read(cls, content: Any, where: str) -> Self:
        """Check a mapping against the section, and raise a `CodsaError` that starts with `where`; see `validated`."""
        section: Self = validated(cls, content, where)
        return section

    @classmethod
    def flag(cls, field: str) -> Flag:
        """Return the command-line option that sets a field."""
        flag = next((item for item in cls.model_fields[field].metadata if isinstance(item, Flag)), None)
        return flag or Flag("--" + field.replace("_", "-"))


def _has_truth(value: Any) -> bool:
    """Say whether a value is true or false, or a list or mapping of which one is; pydantic reads 1 or 0."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return any(isinstance(item, bool) for item in inner)


def validated(model: type[Section], content: Any, where: str) -> Any:
    """Check a mapping against a model.

    Parameters
    ----------
    model : Section class
    content : object
    where : str
        The subject of errors: a file, or a section.

    Raises
    ------
    CodsaError
        Naming the file, the key, the value and what is allowed.

    Examples
    --------
    >>> from codsa.settings.regions import RegionRule
    >>> RegionRule.read({"by": "quantile", "quantiles": 4}, "regions").quantiles
    4
    """
    if not isinstance(content, Mapping):
        raise CodsaError(f"{where}: holds no keys but {shortened(repr(content))}; write a mapping, as '{{key: value}}'")
    try:
        return model.model_validate(dict(content))
    except CodsaError as error:
        raise CodsaError(f"{where}: {error}") from None
    except ValidationError as error:
        first = _nearest(error)
        key = ".".join(str(part) for part in first["loc"] if not _UNION.match(str(part)))
        if first["type"] == "missing":
            raise CodsaError(f"{where}: {key} is missing; give it") from None
        raise CodsaError(f"{where}: {key} = {shortened(repr(first['input']))}: {_fault(first)}") from None


def _fault(error: Mapping[str, Any]) -> str:
    """Return the fault of a value in words, with the nearest choice where one is misspelt."""
    if error["type"] in EXPECTED:
        return f"give {EXPECTED[error['type']]}"
    choices = re.findall(r"'([^']*)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    suggestion = suggest(str(error["input"]), choices) if choices else ""
    return f"{error['msg']}; {suggestion}" if suggestion.startswith("did") else str(error["msg"])


_UNION = re.compile(r"(?:constrained|function|literal|dict|list|bool|int|float|str|none)(?:$|[-\[])")
"""Names that pydantic gives to the members of a union."""


def _nearest(error: ValidationError) -> Mapping[str, Any]:
    """Return the first error; of a union, that of the member nearest to the value."""
    errors = error.errors(include_url=False)
    first = errors[0]["loc"]
    location = [str(part) for part in first]
    union = next((k for k, part in enumerate(location) if _UNION.match(part)), len(location))
    return max((e for e in errors if e["loc"][:union] == first[:union]), key=lambda e: len(e["loc"]))
