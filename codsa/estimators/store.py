"""Fitted estimators on disk: skops for scikit-learn's objects, safetensors for networks; no pickle."""

from __future__ import annotations

import inspect
import json
import logging
import re
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codsa.errors import CodsaError
from codsa.estimators.base import Average, EstimatorKind, FeatureLayout, FitFacts, Fitted, Predictor, estimator_kind
from codsa.estimators.sound import check_trees
from codsa.estimators.types import FURTHER, SKLEARN, TYPES
from codsa.io.library_internals import SKOPS_SCHEMA, import_skops, reproducible_skops, sklearn_estimators
from codsa.io.records import read_as, write_json
from codsa.io.tensors import readable
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.registry import ESTIMATORS, OWN_ESTIMATORS, load, plugin, trusted_types

log = logging.getLogger(__name__)

SMALL_BYTES, UNPACKED_RATIO = 2**26, 200
"""A model's file unpacks to at most this many bytes, or to at most this many times its own size."""


@dataclass(frozen=True)
class EstimatorRecord:
    """What `estimator.json` holds."""

    estimator: EstimatorSpec
    layout: FeatureLayout
    steps: int | None = None
    members: int = 1


def dump_object(fitted: Any, path: Path, name: str) -> None:
    """Write a skops file whose bytes depend on its content alone: no memory addresses, no time of day."""
    try:
        content = import_skops().dumps(fitted)
    except Exception as error:  # skops raises its own kinds, and those of what it looks at
        reason = (str(error).splitlines() or [""])[0]
        raise CodsaError(
            f"estimator '{name}': cannot be kept without pickle ({type(error).__name__}: {reason}); "
            "change the setting that puts it there"
        ) from error
    with zipfile.ZipFile(path, "w") as file:
        for part, data in reproducible_skops(content).items():
            file.writestr(zipfile.ZipInfo(part), data, zipfile.ZIP_DEFLATED, compresslevel=1)


def save_fitted(folder: Path, fitted: Predictor, spec: EstimatorSpec) -> None:
    """Write a fitted estimator with its preprocessing into a new folder; an average as one folder a member.

    Where several settings were tried, those that were taken are written.
    """
    if isinstance(fitted, Average):
        for place, member in enumerate(fitted.members):
            save_fitted(folder / f"member~{place}", member, spec)
        return
    folder.mkdir(parents=True)
    dump_object(fitted.transform, folder / "transform.skops", spec.name)
    if spec.name in ESTIMATORS and estimator_kind(spec).read is not None and hasattr(fitted.model, "save"):
        fitted.model.save(folder)
    else:
        dump_object(fitted.model, folder / "model.skops", spec.name)
        _warn_of_untrusted_types(folder / "model.skops", spec.name)
    taken = fitted.facts.spec or spec
    facts = {"steps": fitted.facts.steps, "members": fitted.facts.members}
    write_json(folder / "estimator.json", {"estimator": taken.model_dump(), "layout": asdict(fitted.layout), **facts})


def _warn_of_untrusted_types(path: Path, name: str) -> None:
    """Say now what `codsa-eval` would refuse later."""
    own = _own_classes(name) if name in ESTIMATORS else (name,)
    untrusted = _untrusted_types(path, own, name in OWN_ESTIMATORS)
    if untrusted:
        log.warning(
            "estimator '%s' holds %s, which codsa-eval reads with --trust %s alone; a class of your own may list it in "
            "its attribute trusted_types",
            *(name, untrusted[0], untrusted[0]),
        )


def load_fitted(folder: Path, trusted: Collection[str] = ()) -> Predictor:
    """Read what `save_fitted` wrote.

    Parameters
    ----------
    trusted : collection of str
        The `module:Class` of the user's own estimators, and full names of types, that may be imported. Nothing else
        is beyond what the registered estimators consist of, whatever the folder says.

    Raises
    ------
    CodsaError
        For a folder that is not whole, or holds code that is not trusted.
    """
    members = sorted(folder.glob("member~*"), key=_place)
    return Average([_load_one(m, trusted) for m in members]) if members else _load_one(folder, trusted)


def _place(member: Path) -> tuple[int, str]:
    """Return what puts the folders of members in their order, tenth after second."""
    number = member.name.partition("~")[2]
    return int(number) if number.isdecimal() else -1, number


def _load_one(folder: Path, trusted: Collection[str]) -> Fitted:
    with readable(folder):
        record = read_as(folder / "estimator.json", EstimatorRecord)
        name = record.estimator.name
        kind = load("estimator", name, ESTIMATORS, trusted)
        transform = load_object(folder / "transform.skops", (), True)
        if (folder / "model.skops").exists():
            model = load_object(folder / "model.skops", [*trusted, *_own_classes(name)], name in OWN_ESTIMATORS)
        elif isinstance(kind, EstimatorKind) and kind.read is not None:
            model = kind.read(folder, record.layout)
        else:
            raise CodsaError(f"{folder / 'model.skops'}: no such file; re-run codsa-fit")
        facts = FitFacts(record.steps, record.members, record.estimator)
        return Fitted(transform, model, record.layout, folder, facts)


def _own_classes(name: str) -> tuple[str, ...]:
    """Return the class behind a plug-in's name as `module:Class`: whoever installed it trusts it.

    A plug-in that gives an `EstimatorKind` has none.
    """
    target = plugin("estimator", name)
    return (target,) if target is not None and inspect.isclass(load("estimator", name, ESTIMATORS)) else ()


def load_object(path: Path, trusted: Collection[str], registered: bool = False) -> Any:
    """Load a skops file that holds nothing but types which are trusted.

    Parameters
    ----------
    trusted : collection of str
        See `load_fitted`.
    registered : bool
        Whether a registered estimator wrote it, which has of scikit-learn no more than such estimators consist of.
    """
    try:
        untrusted = _untrusted_types(path, trusted, registered)
        if untrusted:
            raise CodsaError(f"{path}: holds {untrusted[0]}, which is not trusted; if you trust it, give --trust")
        loaded = import_skops().load(path, trusted=sorted(_admitted(trusted, registered)))
    except (CodsaError, MemoryError):
        raise
    except FileNotFoundError:
        raise CodsaError(f"{path}: no such file; re-run codsa-fit") from None
    except Exception as error:  # zipfile, json, skops and numpy raise their own kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CodsaError(f"{path}: not readable by skops ({reason}); delete it and re-run codsa-fit") from None
    check_trees(loaded, path)
    return loaded


def _admitted(trusted: Collection[str], registered: bool) -> frozenset[str]:
    """Return the names that a file may hold beyond numbers, texts, containers and ufuncs, which skops trusts."""
    return TYPES | SKLEARN if registered else TYPES | FURTHER | sklearn_estimators() | trusted_types(trusted)


def _untrusted_types(path: Path, trusted: Collection[str], registered: bool) -> list[str]:
    """Return the names in a skops file that are not admitted; nothing of it is imported or made.

    A registered estimator's file has of scikit-learn no more than such estimators consist of.
    """
    _check_size(path)
    untrusted = set(import_skops().get_untrusted_types(file=path)) - _admitted(trusted, registered)
    if registered:
        with zipfile.ZipFile(path) as file:
            names = set(_type_names(json.loads(file.read(SKOPS_SCHEMA))))
        untrusted |= {name for name in names if name.startswith("sklearn.")} - SKLEARN
    return sorted(untrusted)


def _check_size(path: Path) -> None:
    """Raise a `CodsaError` for a file that unpacks to far more than it is, or asks for its parts too often."""
    with zipfile.ZipFile(path) as file:
        sizes = {part.filename: part.file_size for part in file.infolist()}
        limit = max(SMALL_BYTES, UNPACKED_RATIO * path.stat().st_size)
        if sum(sizes.values()) <= limit:
            referenced = re.findall(r'"file": ?"([^"]+)"', file.read(SKOPS_SCHEMA).decode())
            if sum(sizes.get(name, 0) for name in referenced) <= limit:
                return
    raise CodsaError(f"{path}: unpacks to more than {limit} bytes, which no model does; do not use it")


def _type_names(state: Any) -> Iterator[str]:
    """Give the full name of every type in what `schema.json` holds."""
    stack = [state]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            if "__class__" in part:
                yield f"{part.get('__module__')}.{part['__class__']}"
            stack += part.values()
        elif isinstance(part, list):
            stack += part
