"""Digests of the code behind a stage, so that a workflow re-runs a stage whose code has changed.

Snakemake sees a rule's command, not the library that it calls. The digest covers the modules that a stage names, and
every module that these import, directly or through others: modules of the package, and the user's own. Where a call
takes a registered name (`EstimatorSpec("mlp")`), the digest also covers the module that this name stands for. Comments,
docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import codsa
from codsa.io.module_files import installed_version, is_installed, module_file
from codsa.settings.registry import ESTIMATORS, GENERATORS

PACKAGE = Path(codsa.__file__).parent
IMAGES, TEXTS, DIAGNOSTICS = "images", "texts", "diagnostics"
"""Optional code, which a stage names where its data hold images or texts, or where it diagnoses synthetic rows."""
OPTIONAL = {
    "codsa.stages.pretrain": "codsa.stages.pretrain",
    "codsa.nn.autoencoder": "codsa.nn.autoencoder",
    "codsa.generators.texts.inverting": "codsa.generators.texts.inverting",
    "codsa.readers.images": IMAGES,
    "codsa.readers.image_tables": IMAGES,
    "codsa.io.image_codec": IMAGES,
    "codsa.modalities.images": IMAGES,
    "codsa.diagnostics.arrays": DIAGNOSTICS,
    "codsa.diagnostics.texts": DIAGNOSTICS,
    "codsa.encoders.principal": DIAGNOSTICS,
    "codsa.readers.texts": TEXTS,
    "codsa.encoders.sentences": TEXTS,
    "codsa.modalities.texts": TEXTS,
}
"""Modules that functions import in some studies only. Each counts where a stage names its value in this mapping."""
REGISTERED = {**ESTIMATORS, **GENERATORS}


@dataclass(frozen=True)
class Reference:
    """A module that another one imports or names.

    Attributes
    ----------
    module : str
    deferred : bool
        Whether a function imports it when it is called.
    """

    module: str
    deferred: bool = False


@cache
def stage_digest(*modules: str) -> str:
    """Return the digest of modules and of all that they import from the package and from the user's own code.

    Parameters
    ----------
    *modules : str
        Dotted names: `codsa.cli.fit`, or a module of the user's; and `IMAGES`, `TEXTS`, `DIAGNOSTICS`. An installed
        package counts by the list of its files.
    """
    text = "".join(f"{name}:{_code(name)}" for name in sorted(closure(modules)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def package_digest() -> str:
    """Return the digest of all files of the package, wherever it is installed and by whatever Python."""
    digest = hashlib.sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html", ".css")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def closure(modules: Iterable[str]) -> set[str]:
    """Return modules and all modules that they import, directly or not, with the packages that hold them."""
    named = set(modules)
    reached: set[str] = set()
    waiting = list(named)
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [parent] if (parent := name.rpartition(".")[0]) and _path(parent) else []
        for reference in _references(name):
            if not reference.deferred or _counts(reference.module, named):
                waiting.append(reference.module)
    return reached


def libraries(modules: Iterable[str]) -> list[str]:
    """Return the modules of others that modules of the package import, when they are imported or called."""
    trees = [(_tree(name), name if _is_package(name) else name.rpartition(".")[0]) for name in modules]
    named = {name for tree, package in trees if tree is not None for name, _ in _imports(tree, package)}
    return sorted(name for name in named if not _is_ours(name))


def forget() -> None:
    """Forget the files that were read, so that the next digest reads them again."""
    for cached in (stage_digest, _path, _tree, _references, _code):
        cached.cache_clear()


def _counts(module: str, named: set[str]) -> bool:
    """Say whether a module that a function imports belongs to a stage that names `named`."""
    return module not in OPTIONAL or OPTIONAL[module] in named


def _is_package(module: str) -> bool:
    path = _path(module)
    return path is not None and path.name == "__init__.py"


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE.name


@cache
def _path(module: str) -> Path | None:
    """Return the source file of a module of the package or of the user's own; None for any other."""
    if not _is_ours(module):
        file = module_file(module)
        return None if file is None or is_installed(file) else file
    base = PACKAGE.parent.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module | None:
    """Return a module's syntax tree; None where there is no source that can be read."""
    path = _path(module)
    try:
        return None if path is None else ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):  # of a user's file; the job says what is wrong with it
        return None


@cache
def _references(module: str) -> list[Reference]:
    """Return the modules that a module imports or names, where their source is the package's or the user's."""
    path, tree = _path(module), _tree(module)
    if path is None or tree is None:
        return []
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    references = [Reference(name, deferred and _is_ours(module)) for name, deferred in _imports(tree, package)]
    references += [Reference(REGISTERED[name].partition(":")[0]) for name in _registered_names(tree)]
    return [reference for reference in dict.fromkeys(references) if _path(reference.module)]


def _imports(tree: ast.AST, package: str, deferred: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the names that a tree imports, and whether a function does it; imports for type checks are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((name, deferred) for alias in node.names for name in _with_parents(alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _imported_from(node, package)
            yield base, deferred
            yield from ((f"{base}.{alias.name}", deferred) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _imports(ast.Module(node.orelse, []), package, deferred)
        else:
            in_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(node, package, deferred or in_function)


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _imported_from(node: ast.ImportFrom, package: str) -> str:
    """Return the absolute name of what a `from … import` names."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def _registered_names(tree: ast.AST) -> set[str]:
    """Return the registered names that a call takes as its first argument, or as its `name`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    values = [call.args[0] for call in calls if call.args]
    values += [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "name"]
    texts = {node.value for node in values if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts & set(REGISTERED)


@cache
def _code(module: str) -> str:
    """Return a text that changes exactly when a module's code does."""
    path, tree = _path(module), _tree(module)
    if tree is None:
        return installed_version(module) if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [statement for statement in body if not _is_docstring(statement)] or [ast.Pass()]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
