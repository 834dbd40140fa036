"""Every use of a library's private interface: names with an underscore, undocumented formats.

A new version of the library may change these; `tests/io/test_library_internals.py` notices. The rest of the package
uses documented interfaces only, except for the names of types in `codsa.estimators.types`.
"""

from __future__ import annotations

import io
import re
import zipfile
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from codsa.io.imports import module_as, replaced

SKOPS_SCHEMA = "schema.json"
"""The file of a skops archive that describes its other files."""
TORCH_ADAPTER = "sklearn.externals.array_api_compat.torch"


def forget_other_precision(precision: str) -> None:
    """Reset accelerate where this process has used it with another precision.

    accelerate keeps the precision of the first `Accelerator`, and refuses another.
    """
    from accelerate.state import AcceleratorState

    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
        AcceleratorState._reset_state()


def check_parameters(model: Any) -> tuple[str | None, str] | None:
    """Check the settings of an unfitted scikit-learn estimator, as its `fit` does.

    Returns
    -------
    (name, text), optional
        The invalid setting, and what it should be; the name is None where the text names the setting. None where all
        settings are valid, or the estimator says nothing of them.
    """
    if not hasattr(model, "_parameter_constraints"):
        return None
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        getattr(model, "_validate_params", lambda: None)()
    except InvalidParameterError as error:
        parts = re.fullmatch(r"The '(\w+)' parameter of \S+ must be (.*)\. Got .* instead\.", str(error), re.DOTALL)
        return (parts[1], parts[2]) if parts else (None, str(error))
    return None


def validate_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator of ours against its constraints, as scikit-learn's own estimators do."""
    estimator._validate_params()


def has_methods(*names: str) -> Any:
    """Return scikit-learn's constraint of a parameter that is an object with such methods."""
    from sklearn.utils._param_validation import HasMethods

    return HasMethods(list(names))


def one_of(*texts: str) -> Any:
    """Return scikit-learn's constraint of a parameter that is one of some texts."""
    from sklearn.utils._param_validation import StrOptions

    return StrOptions(set(texts))


def tree_types() -> tuple[type, type]:
    """Return scikit-learn's types of a fitted tree: of forests, and of gradient boosting by histograms."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    return Tree, TreePredictor


def drop_search_tree(factor: Any) -> None:
    """Remove the search tree of a fitted `LocalOutlierFactor`."""
    factor._tree = None


def grow_search_tree(factor: Any) -> None:
    """Build the search tree of a `LocalOutlierFactor` again, from its fitted rows."""
    from sklearn.neighbors import KDTree

    if factor._fit_method == "kd_tree":
        factor._tree = KDTree(factor._fit_X, factor.leaf_size, metric=factor.effective_metric_)


@cache
def import_skops() -> Any:
    """Import `skops.io` without all of scikit-learn.

    On import, skops lists scikit-learn's estimators, which imports every module of scikit-learn and takes longer than
    the rest of a short job. Here it lists none; the loader of a file names the trusted types.
    """
    import sklearn.utils

    with replaced(sklearn.utils, "all_estimators", list):
        import skops.io
    return skops.io


@cache
def sklearn_estimators() -> frozenset[str]:
    """Return the full names of scikit-learn's estimators, without importing torch through one of its adapters."""
    from sklearn.utils import all_estimators

    with module_as(TORCH_ADAPTER, ModuleType(TORCH_ADAPTER)):
        return frozenset(f"{kind.__module__}.{kind.__qualname__}" for _, kind in all_estimators())


def reproducible_skops(content: bytes) -> dict[str, bytes]:
    """Return the files of a skops archive, sorted, with names and bytes that depend on its content alone.

    skops numbers objects by their addresses in memory; they are renumbered in the order in which the schema first
    names them. The nodes of scikit-learn's trees have uninitialised padding between their fields, which becomes 0.

    Raises
    ------
    ValueError
        For an archive of another layout.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: _without_padding(archive.read(name)) for name in archive.namelist()}
    schema = files.pop(SKOPS_SCHEMA).decode()
    ids = re.findall(r'"__id__": (\d+)|"file": "(\d+)\.', schema)
    new_number = {number: str(position) for position, number in enumerate(dict.fromkeys(a or b for a, b in ids))}
    if not new_number or any(name.partition(".")[0] not in new_number for name in files):
        raise ValueError("skops writes other files than before; take the version in constraints.txt")
    schema = re.sub(r'("__id__": |"file": ")(\d+)', lambda match: match[1] + new_number[match[2]], schema)
    renamed = {new_number[name.partition(".")[0]] + "." + name.partition(".")[2]: data for name, data in files.items()}
    return dict(sorted({**renamed, SKOPS_SCHEMA: schema.encode()}.items()))


def _without_padding(data: bytes) -> bytes:
    """Return an npy file with zeros as the padding of structured values, and any other file unchanged."""
    if not data.startswith(b"\x93NUMPY") or b"'descr': [" not in data[:64]:
        return data
    values = np.load(io.BytesIO(data), allow_pickle=False)
    start = len(data) - values.nbytes
    item_bytes = np.frombuffer(data, dtype=np.uint8, offset=start).reshape(-1, values.dtype.itemsize)
    used = np.zeros(values.dtype.itemsize, dtype=bool)
    for field, start_of_field, *_ in (values.dtype.fields or {}).values():
        used[start_of_field : start_of_field + field.itemsize] = True
    return data[:start] + np.where(used, item_bytes, 0).astype(np.uint8).tobytes()
