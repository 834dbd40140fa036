"""The base of a section of an experiment: typed, frozen, closed to unknown keys; and how its faults are worded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from codsa.errors import CodsaError, shortened, suggest

KINDS = {"dict_type": "a mapping", "list_type": "a list", "path_type": "a path, as text", "string_type": "text"}
"""What a value of another kind should be, by pydantic's name of the fault."""


@dataclass(frozen=True)
class Flag:
    """The command-line option that sets a field, where it is not called as the field is.

    Attributes
    ----------
    name : str
        '--region-column', or '--pool/--no-pool'.
    metavar : str, optional
        How help writes the value.
    read : str
        'text': as it is; 'yaml': as YAML writes it; 'number': a number, or else text; 'pair': two whole numbers;
        'pairs': repeated NAME=VALUE; 'choices': repeated NAME=CHOICE, a choice of any key of the section that the
        name stands for; 'settings': repeated KEY=VALUE, the value as YAML.
    help : str, optional
        In place of the field's description.
    """

    name: str
    metavar: str | None = None
    read: str = "text"
    help: str | None = None


class Section(BaseModel):
    """A section of a configuration: typed, frozen, closed to unknown keys."""

    # YAML reads `0:` as a number; regions and columns are called by text.
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
        own = next((item for item in cls.model_fields[field].metadata if isinstance(item, Flag)), None)
        return own or Flag("--" + field.replace("_", "-"))


def _has_truth(value: Any) -> bool:
    """Say whether a value is true or false, or a list or mapping of which one is; pydantic would take it as 1 or 0."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return any(isinstance(item, bool) for item in inner)


def validated(model: type[Section], content: Any, where: str) -> Any:
    """Check a mapping against a model.

    Raises
    ------
    CodsaError
        Naming the file, the key, the value and what is allowed.
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


def _fault(first: Mapping[str, Any]) -> str:
    """Return what is wrong with a value; of a misspelt choice the nearest one, too."""
    if first["type"] in KINDS:
        return f"give {KINDS[first['type']]}"
    choices = re.findall(r"'([^']*)'", first["ctx"]["expected"]) if first["type"] == "literal_error" else []
    near = suggest(str(first["input"]), choices) if choices else ""
    return f"{first['msg']}; {near}" if near.startswith("did") else str(first["msg"])


_UNION = re.compile(r"(?:constrained|function|literal|dict|list|bool|int|float|str|none)(?:$|[-\[])")
"""How pydantic calls a kind of value where several are allowed."""


def _nearest(error: ValidationError) -> Mapping[str, Any]:
    """Return the first error; where several kinds of value are allowed, that of the kind which is given."""
    errors = error.errors(include_url=False)
    first = errors[0]["loc"]
    place = [str(part) for part in first]
    union = next((k for k, part in enumerate(place) if _UNION.match(part)), len(place))
    return max((e for e in errors if e["loc"][:union] == first[:union]), key=lambda e: len(e["loc"]))
