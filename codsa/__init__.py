"""CoDSA: synthetic data where real data is thin, and evidence of whether it helped.

The package follows the way of the data: `prepare`, `split`, `generators`, `sample`, `fit`,
`evaluate`, `report`. Each stage reads the files of the stages before it and writes its own.
`CoDSAOverSampler`, `CoDSAClassifier` and `CoDSARegressor` do the same in memory, as scikit-learn does.
The method is Conditional Data Synthesis Augmentation (arXiv 2504.07426).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codsa.api import CoDSAClassifier as CoDSAClassifier
    from codsa.api import CoDSAOverSampler as CoDSAOverSampler
    from codsa.api import CoDSARegressor as CoDSARegressor

__version__ = "0.1.0"
__all__ = ["CoDSAClassifier", "CoDSAOverSampler", "CoDSARegressor", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the classes of the Python interface when they are asked for: `import codsa` alone imports nothing."""
    if name.startswith("CoDSA") and name in __all__:
        import importlib

        return getattr(importlib.import_module("codsa.api"), name)
    raise AttributeError(f"module 'codsa' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return the names of the package, the classes that are imported late among them."""
    return sorted({*globals(), *__all__})
