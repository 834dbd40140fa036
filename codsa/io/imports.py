"""Imports of libraries without large parts that no command uses."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
"""The module behind `torch.compile`; importing it takes as long as importing the rest of torch."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute's value within a block, which imports a library that reads it."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def module_as(name: str, module: ModuleType | None) -> Iterator[None]:
    """Let `import name` return another module within a block, unless the real one is imported already.

    Parameters
    ----------
    module : module or None
        None makes the import fail, as where the module is not installed.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        if sys.modules.get(name) is module:
            del sys.modules[name]


class UncompiledTorch(ModuleType):
    """A stub of `torch._dynamo` for programs that compile nothing.

    Optimizers exclude some functions from compilation, and accelerate tests whether a module is compiled. Access to
    any other attribute imports the real `torch._dynamo`.
    """

    class eval_frame:
        """The module that defines the class of compiled modules."""

        class OptimizedModule:
            """A class without instances, because nothing is compiled."""

    @staticmethod
    def disable(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return a function unchanged; the compiler would exclude it from compilation."""
        return fn

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:
        """Do nothing, as outside compiled code."""

    def __getattr__(self, name: str) -> Any:
        """Import the real module and return its attribute."""
        if name.startswith("__"):  # tools that inspect all modules read such names
            raise AttributeError(name)
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return getattr(importlib.import_module(COMPILER), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Use torch's optimizers without importing the compiler, in a block or a decorated function."""
    with module_as(COMPILER, UncompiledTorch(COMPILER)):
        yield
