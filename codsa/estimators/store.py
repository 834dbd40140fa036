"""Fitted estimators on disk: skops for scikit-learn's objects, safetensors for networks; no pickle."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from codsa.errors import CodsaError
from codsa.estimators.base import Average, Fitted, Judge, Layout, Predictor
from codsa.io.records import read_json, write_json
from codsa.registry import ESTIMATORS, load, locate

TRUSTED = ("sklearn.", "numpy.", "scipy.", "builtins.")


def _skops() -> Any:
    """Import skops without all of torch.

    skops lists all of scikit-learn's modules, and one of them, an adapter that nothing here uses,
    imports everything that torch has; an empty module stands in for it meanwhile, which halves
    the start of a job.
    """
    adapter = "sklearn.externals.array_api_compat.torch"
    stand_in = adapter not in sys.modules
    if stand_in:
        sys.modules[adapter] = ModuleType(adapter)
    try:
        import skops.io
    finally:
        if stand_in:
            del sys.modules[adapter]
    return skops.io


def _dump(thing: Any, path: Path) -> None:
    """Write a skops file whose bytes depend on its content alone: no memory addresses, no time of day."""
    with zipfile.ZipFile(io.BytesIO(_skops().dumps(thing))) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    schema = parts.pop("schema.json").decode()
    found = re.findall(r'"__id__": (\d+)|"file": "(\d+)\.', schema)
    order = {number: str(place) for place, number in enumerate(dict.fromkeys(a or b for a, b in found))}
    schema = re.sub(r'("__id__": |"file": ")(\d+)', lambda hit: hit[1] + order[hit[2]], schema)
    named = {order[name.partition(".")[0]] + "." + name.partition(".")[2]: data for name, data in parts.items()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in sorted({**named, "schema.json": schema.encode()}.items()):
            file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, compresslevel=1)


def save_fitted(folder: Path, fitted: Predictor, judge: Judge) -> None:
    """Write a fitted estimator with its preprocessing into a new folder; an average as one folder a member."""
    if isinstance(fitted, Average):
        for place, member in enumerate(fitted.members):
            save_fitted(folder / f"member~{place}", member, judge)
        return
    folder.mkdir(parents=True)
    _dump(fitted.transform, folder / "transform.skops")
    if hasattr(fitted.model, "save"):
        fitted.model.save(folder)
    else:
        _dump(fitted.model, folder / "model.skops")
    write_json(folder / "estimator.json", {"judge": asdict(judge), "layout": asdict(fitted.layout)})


def load_fitted(folder: Path) -> Predictor:
    """Read what `save_fitted` wrote."""
    members = sorted(folder.glob("member~*"))
    return Average([_load_one(member) for member in members]) if members else _load_one(folder)


def _load_one(folder: Path) -> Fitted:
    record = read_json(folder / "estimator.json")
    layout = Layout(**record["layout"])
    module = locate("estimator", record["judge"]["name"], ESTIMATORS).partition(":")[0]
    transform = _load(folder / "transform.skops", module)
    if (folder / "model.skops").exists():
        return Fitted(transform, _load(folder / "model.skops", module), layout)
    kind = load("estimator", record["judge"]["name"], ESTIMATORS)
    return Fitted(transform, kind.read(folder, layout), layout)


def _load(path: Path, module: str) -> Any:
    """Load a skops file that holds types of scikit-learn and of the estimator's package only."""
    package = module.partition(".")[0] + "."
    skops = _skops()
    foreign = skops.get_untrusted_types(file=path)
    strange = [t for t in foreign if not t.startswith((*TRUSTED, package))]
    if strange:
        raise CodsaError(f"{path}: holds {strange[0]}, which the estimator's package does not define")
    return skops.load(path, trusted=foreign)
