"""Importing libraries without the large parts of them that no command here uses."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
"""The part of torch behind `torch.compile`; importing it takes as long as importing the rest of torch."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value for the length of a block, while a library is imported that reads it."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def module_as(name: str, module: ModuleType | None) -> Iterator[None]:
    """Have `import name` give another module for the length of a block, unless the true one is imported already.

    Parameters
    ----------
    module : module or None
        None: as if it were not installed.
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
    """Stands in for `torch._dynamo` where nothing is compiled.

    Optimizers ask the compiler to leave some functions alone, and accelerate asks whether a module is compiled. Any
    other attribute imports the compiler itself and is its.
    """

    class eval_frame:
        """Where the compiler keeps the class of compiled modules."""

        class OptimizedModule:
            """What no module is an instance of while nothing is compiled."""

    @staticmethod
    def disable(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return a function that the compiler is to leave alone, as it is."""
        return fn

    @staticmethod
    def graph_break(*args: Any, **kwargs: Any) -> None:
        """Do nothing, as the compiler's own function does outside compiled code."""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the compiler itself, which is imported now."""
        if name.startswith("__"):  # asked by tools that look through all modules
            raise AttributeError(name)
        if sys.modules.get(COMPILER) is self:
            del sys.modules[COMPILER]
        return getattr(importlib.import_module(COMPILER), name)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let optimizers of torch work without the compiler, in a block or a decorated function that compiles nothing."""
    with module_as(COMPILER, UncompiledTorch(COMPILER)):
        yield
