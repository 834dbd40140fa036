"""Digests of the code behind a stage, so that a workflow re-runs a stage whose code has changed.

Snakemake sees a rule's command, not the library that it calls. The digest covers a command's module
and every module of the package that it imports, directly or through others; comments, docstrings
and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import codsa

PACKAGE = Path(codsa.__file__).parent


def stage_digest(*modules: str) -> str:
    """Return the digest of modules and all that they import from the package.

    Parameters
    ----------
    *modules : str
        Dotted names, `codsa.cli.fit` say; names outside the package count by themselves only.
    """
    text = "".join(f"{name}:{_code(name)}" for name in sorted(closure(modules)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def package_digest() -> str:
    """Return the digest of all files of the package, wherever it is installed and by whatever Python."""
    found = hashlib.sha256()
    for path in sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".html", ".css")):
        found.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def closure(modules: tuple[str, ...]) -> set[str]:
    """Return modules and all modules of the package that they import, directly or not."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module) if module.split(".")[0] == PACKAGE.name else None
    return ast.parse(path.read_text(encoding="utf-8")) if path else ast.Module([], [])


@cache
def _imports(module: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == PACKAGE.name and _path(name)]


@cache
def _code(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [part for part in body if not _is_docstring(part)] or [ast.Pass()]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
