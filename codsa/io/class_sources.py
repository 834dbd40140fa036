"""What the source of a module says of its classes and imports, read without running any of it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from codsa.io.module_files import module_file


@dataclass(frozen=True)
class ModuleSource:
    """A module's syntax tree.

    Attributes
    ----------
    tree : ast.Module
    package : str
        The package that the module's relative imports start from.
    """

    tree: ast.Module
    package: str


def class_attribute(module: str, name: str, attribute: str, default: Any) -> Any:
    """Return the constant that a class assigns to an attribute, or that the nearest of its base classes does.

    Base classes are searched in the order in which they are written, each with its own bases.

    Parameters
    ----------
    module : str
        A dotted name.
    name : str
        A class of the module, or one that the module imports.
    attribute : str
    default : object
        What is returned where no source is found, or the value is no constant.
    """
    for value in _assigned(module, name, attribute, frozenset()):
        try:
            return ast.literal_eval(value)
        except ValueError:
            return default
    return default


def constructor_settings(module: str, name: str) -> list[str] | None:
    """Return the names of the keyword arguments that a class's constructor takes, or that of the nearest base class.

    None where no source is found, or the constructor takes any name.
    """
    for function in _defined(module, name, "__init__", frozenset()):
        arguments = function.args
        return None if arguments.kwarg else [a.arg for a in (*arguments.args[1:], *arguments.kwonlyargs)]
    return None


def imports(module: str, packages: Collection[str]) -> bool:
    """Say whether importing a module imports one of these packages, directly or through modules of its own package.

    What functions import when they are called does not count, nor what is imported for type checks only.

    Parameters
    ----------
    module : str
        A dotted name.
    packages : collection of str
        Names of top-level packages.
    """
    own_package = module.split(".")[0]
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name.split(".")[0] in packages:
            return True
        if name in reached or name.split(".")[0] != own_package:
            continue
        reached.add(name)
        waiting += [parent] if (parent := name.rpartition(".")[0]) else []
        waiting += _imported_modules(name)
    return False


def _assigned(module: str, name: str, attribute: str, seen: frozenset[tuple[str, str]]) -> Iterator[ast.expr]:
    """Yield the values of a class attribute in the order in which Python looks for it."""
    for definition in _definitions(module, name, seen):
        yield from _values(definition, attribute)


def _defined(module: str, name: str, method: str, seen: frozenset[tuple[str, str]]) -> Iterator[ast.FunctionDef]:
    """Yield the definitions of a method in the order in which Python looks for it."""
    for definition in _definitions(module, name, seen):
        yield from (node for node in definition.body if isinstance(node, ast.FunctionDef) and node.name == method)


def _definitions(module: str, name: str, seen: frozenset[tuple[str, str]]) -> Iterator[ast.ClassDef]:
    """Yield the definition of a class, and those of its base classes."""
    source = _source(module)
    if source is None or (module, name) in seen:
        return
    seen |= {(module, name)}
    definition = next((node for node in source.tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if definition is None:
        origin = _origin(source, name)
        if origin is not None:
            yield from _definitions(*origin, seen)
        return
    yield definition
    for base in definition.bases:
        written = base.value if isinstance(base, ast.Subscript) else base  # Base[T]
        if isinstance(written, ast.Name):
            yield from _definitions(module, written.id, seen)
        elif isinstance(written, ast.Attribute) and (origin := _origin(source, ast.unparse(written.value))) is not None:
            yield from _definitions(".".join(filter(None, origin)), written.attr, seen)


def _values(definition: ast.ClassDef, attribute: str) -> Iterator[ast.expr]:
    """Yield what a class body assigns to a name; the last assignment comes first."""
    for node in reversed(definition.body):
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        if node.value is not None and any(isinstance(t, ast.Name) and t.id == attribute for t in targets):
            yield node.value


def _origin(source: ModuleSource, name: str) -> tuple[str, str] | None:
    """Return the module that a name was imported from, and its name there; an imported module has no name there."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _imported_from(node, source.package), alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return alias.name, ""
    return None


def _imported_modules(module: str) -> list[str]:
    """Return the names that a module imports when it is imported; some may be no modules but objects in one."""
    source = _source(module)
    if source is None:
        return []
    names: list[str] = []
    for node in _executed(source.tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _imported_from(node, source.package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported: none inside functions or for type checks only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from _executed(ast.Module(node.orelse, []))
            continue
        yield node
        yield from _executed(node)


def _imported_from(node: ast.ImportFrom, package: str) -> str:
    """Return the absolute name of the module that a `from … import` names."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _source(module: str) -> ModuleSource | None:
    """Return a module's source; None where there is none that can be read."""
    file = module_file(module)
    if file is None or file.suffix != ".py":
        return None
    tree = _parsed(file, file.stat().st_mtime_ns)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return None if tree is None else ModuleSource(tree, package)


@cache
def _parsed(file: Path, modified_ns: int) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):  # importing the module will say what is wrong
        return None
