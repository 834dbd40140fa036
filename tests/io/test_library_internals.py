"""What libraries keep to themselves is used in one module, and is still as that module takes it to be."""

from __future__ import annotations

import ast
import copy
import io
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import LocalOutlierFactor

from codsa.io import library_internals
from codsa.io.library_internals import (
    check_parameters,
    drop_search_tree,
    forget_other_precision,
    grow_search_tree,
    import_skops,
    reproducible_skops,
    tree_types,
)

PACKAGE = Path(library_internals.__file__).parents[1]
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "library_internals.py"]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def own_names() -> frozenset[str]:
    """The private names that the package itself gives to functions, classes, attributes and variables."""
    names: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                names.add(node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return frozenset(names)


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def private_uses(path: Path, own: frozenset[str]) -> list[str]:
    """What a file takes from behind a library's interface."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(("codsa", "__future__")):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            found += [f"from {node.module}" for name in names if is_private(name)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if any(map(is_private, alias.name.split(".")))]
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
            found.append(node.attr)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_other_module_uses_what_a_library_keeps_to_itself(path: Path) -> None:
    assert private_uses(path, own_names() | {"_hash_pandas_object", "_from_sequence"}) == []


def test_accelerate_takes_up_another_precision() -> None:
    forget_other_precision("no")
    Accelerator(mixed_precision="no", cpu=True)
    with pytest.raises(ValueError, match="AcceleratorState"):
        Accelerator(mixed_precision="bf16", cpu=True)
    forget_other_precision("bf16")
    assert Accelerator(mixed_precision="bf16", cpu=True).mixed_precision == "bf16"
    AcceleratorState._reset_state()


def test_scikit_learn_says_what_a_setting_should_be() -> None:
    assert check_parameters(LogisticRegression(C=2.0)) is None and check_parameters(object()) is None
    fault = check_parameters(LogisticRegression(C="abc"))
    assert fault is not None and fault[0] == "C" and fault[1].startswith("a float in the range (0.0, inf")


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 3))
    return x, (x[:, 0] > 0).astype(int)


def test_the_types_of_trees(rows: tuple[np.ndarray, np.ndarray]) -> None:
    tree, predictor = tree_types()
    assert isinstance(RandomForestClassifier(1, random_state=0).fit(*rows).estimators_[0].tree_, tree)
    assert isinstance(HistGradientBoostingClassifier(max_iter=1).fit(*rows)._predictors[0][0], predictor)


def test_a_search_tree_grows_again(rows: tuple[np.ndarray, np.ndarray]) -> None:
    factor = LocalOutlierFactor(n_neighbors=5, novelty=True, algorithm="kd_tree").fit(rows[0])
    expected, bare = factor.score_samples(rows[0] + 0.1), copy.copy(factor)
    drop_search_tree(bare)
    with pytest.raises(AttributeError, match="query"):
        bare.score_samples(rows[0])
    assert factor._tree is not None
    grow_search_tree(bare)
    assert np.array_equal(bare.score_samples(rows[0] + 0.1), expected)


def archived(model: Any) -> dict[str, bytes]:
    return reproducible_skops(import_skops().dumps(model))


def test_skops_files_depend_on_their_content_alone(rows: tuple[np.ndarray, np.ndarray]) -> None:
    models = [RandomForestClassifier(3, random_state=0).fit(*rows) for _ in range(2)]
    once, again = archived(models[0]), archived(copy.deepcopy(models[1]))
    assert once == again and list(once) == sorted(once)
    raw = [import_skops().dumps(model) for model in models]
    assert raw[0] != raw[1]  # or there is nothing to do any more
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in once.items():
            archive.writestr(name, data)
    trusted = import_skops().get_untrusted_types(data=packed.getvalue())
    loaded = import_skops().loads(packed.getvalue(), trusted=trusted)
    assert np.array_equal(loaded.predict_proba(rows[0]), models[0].predict_proba(rows[0]))


@pytest.mark.parametrize("schema", ["{}", '{"__id__": 7, "file": "eight.npy"}'])
def test_an_archive_of_another_kind_is_refused(schema: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("schema.json", schema)
        archive.writestr("8.npy", b"")
    with pytest.raises(ValueError, match="skops writes other files than before"):
        reproducible_skops(packed.getvalue())


def test_skops_is_imported_without_torch() -> None:
    code = "import sys, codsa.io.library_internals as i; i.import_skops(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
