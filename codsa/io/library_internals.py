"""Every use of what a library keeps to itself: names with an underscore, formats that nobody promises.

A new version of the library may change these; `tests/io/test_library_internals.py` says so then. Nothing else in the
package reaches behind a library's documented interface, but for the names of types in `codsa.estimators.types`.
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
"""The file of a skops archive that says what its parts are."""
TORCH_ADAPTER = "sklearn.externals.array_api_compat.torch"


def forget_other_precision(precision: str) -> None:
    """Let accelerate take up a precision where it has already been used with another in this process.

    accelerate keeps the precision of the first `Accelerator`, and refuses another.
    """
    from accelerate.state import AcceleratorState

    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
        AcceleratorState._reset_state()


def check_parameters(model: Any) -> tuple[str | None, str] | None:
    """Check the settings of an unfitted estimator of scikit-learn's, which it does itself when it is fitted.

    Returns
    -------
    (name, text), optional
        The setting that is wrong, and what it should be; a name of None where the text says it all. None: all are
        right, or it is not scikit-learn's.
    """
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        getattr(model, "_validate_params", lambda: None)()
    except InvalidParameterError as error:
        parts = re.fullmatch(r"The '(\w+)' parameter of \S+ must be (.*)\. Got .* instead\.", str(error), re.DOTALL)
        return (parts[1], parts[2]) if parts else (None, str(error))
    return None


def tree_types() -> tuple[type, type]:
    """Return scikit-learn's types of a fitted tree: of forests, and of gradient boosting by histograms."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree._tree import Tree

    return Tree, TreePredictor


def drop_search_tree(factor: Any) -> None:
    """Take the search tree out of a fitted `LocalOutlierFactor`."""
    factor._tree = None


def grow_search_tree(factor: Any) -> None:
    """Give a `LocalOutlierFactor` without its search tree the same one again, from the rows that it keeps."""
    from sklearn.neighbors import KDTree

    if factor._fit_method == "kd_tree":
        factor._tree = KDTree(factor._fit_X, factor.leaf_size, metric=factor.effective_metric_)


@cache
def import_skops() -> Any:
    """Import `skops.io` without all of scikit-learn.

    When it is imported, skops lists scikit-learn's estimators, which imports every module of scikit-learn and takes
    longer than the rest of a short job. It finds none here; whoever loads a file names what is trusted.
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

    skops numbers objects by their addresses in memory; they are numbered anew, in the order in which the schema
    first names them. The nodes of scikit-learn's trees have bytes between their fields that nobody sets; these
    become 0.

    Raises
    ------
    ValueError
        Where the archive is not as skops writes it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: _without_padding(archive.read(name)) for name in archive.namelist()}
    schema = parts.pop(SKOPS_SCHEMA).decode()
    numbers = re.findall(r'"__id__": (\d+)|"file": "(\d+)\.', schema)
    order = {number: str(place) for place, number in enumerate(dict.fromkeys(a or b for a, b in numbers))}
    if not order or any(name.partition(".")[0] not in order for name in parts):
        raise ValueError("skops writes other files than before; take the version in constraints.txt")
    schema = re.sub(r'("__id__": |"file": ")(\d+)', lambda hit: hit[1] + order[hit[2]], schema)
    renamed = {order[name.partition(".")[0]] + "." + name.partition(".")[2]: data for name, data in parts.items()}
    return dict(sorted({**renamed, SKOPS_SCHEMA: schema.encode()}.items()))


def _without_padding(data: bytes) -> bytes:
    """Return a file of numpy's with 0 between the fields of structured values; any other file as it is."""
    if not data.startswith(b"\x93NUMPY") or b"'descr': [" not in data[:64]:
        return data
    values = np.load(io.BytesIO(data), allow_pickle=False)
    start = len(data) - values.nbytes
    content = np.frombuffer(data, dtype=np.uint8, offset=start).reshape(-1, values.dtype.itemsize)
    used = np.zeros(values.dtype.itemsize, dtype=bool)
    for field, place, *_ in (values.dtype.fields or {}).values():
        used[place : place + field.itemsize] = True
    return data[:start] + np.where(used, content, 0).astype(np.uint8).tobytes()
