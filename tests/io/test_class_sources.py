"""What is read from the source of a class equals what importing the class gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codsa.generators.base import resamples, uses_gpu
from codsa.io.class_sources import class_attribute, imports
from codsa.settings.registry import ESTIMATORS, GENERATORS, load

WITHOUT_TORCH = """
import json, sys
from codsa.settings.registry import ESTIMATORS, GENERATORS, load

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError(name)

sys.meta_path.insert(0, NoTorch())
importable = []
both = {"generator": GENERATORS, "estimator": ESTIMATORS}
for kind, name in [(kind, name) for kind, names in both.items() for name in names]:
    try:
        load(kind, name, both[kind])
    except ImportError:
        continue
    importable.append(name)
print(json.dumps(importable))
"""


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_gpu_use_is_read_as_the_class_has_it(name: str) -> None:
    assert uses_gpu(name) is load("generator", name, GENERATORS).uses_gpu


def test_resamplers_are_told_from_generators_that_learn() -> None:
    read = {name for name in GENERATORS if resamples(name)}
    assert read == {name for name in GENERATORS if load("generator", name, GENERATORS).resamples}
    assert {"relabelled", "smote-labelled", "source-rows", "distortions", "restyled", "text-noise"} < read
    assert not read & {"oracle", "gaussian", "tabular-diffusion", "image-diffusion", "text-gaussian"}


def test_what_imports_torch_is_read_as_python_finds_it() -> None:
    process = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True, capture_output=True, text=True)
    registered = {**GENERATORS, **ESTIMATORS}
    read = [name for name, target in registered.items() if not imports(target.partition(":")[0], ("torch",))]
    assert json.loads(process.stdout) == read
    assert "bootstrap" in read and "tabular-diffusion" not in read


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the user's that raises when it is imported."""
    package = tmp_path / "own_classes"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def test_classes_of_the_user_are_read_with_their_bases(written: Path) -> None:
    (written / "first.py").write_text(
        "from codsa import generators\nfrom codsa.generators.tables.bootstrap import Bootstrap as Resampled\n"
        "import codsa.generators.tables.gaussian\n"
        "class Plain(generators.Generator): pass\n"
        "class Copies(Resampled): pass\n"
        "class Normal(codsa.generators.tables.gaussian.Gaussian): pass\n"
        "class Networks(Copies):\n    uses_gpu: bool = True\n"
        "class Unknown(Copies):\n    uses_gpu = bool(1)\n"
        "class Circle(Circle): pass\n"
    )
    (written / "second.py").write_text("from .first import Copies\nclass Below(Copies, object): pass\n")
    names = ["Plain", "Copies", "Normal", "Networks", "Unknown", "Circle", "Absent"]
    read = {name: uses_gpu(f"own_classes.first:{name}") for name in names}
    assert read == {**dict.fromkeys(names, True), "Copies": False, "Normal": False}
    assert not uses_gpu("own_classes.second:Below") and not uses_gpu("own_classes.second:Copies")
    assert uses_gpu("own_classes.third:Below")
    assert {name for name in names if resamples(f"own_classes.first:{name}")} == {"Copies", "Networks", "Unknown"}
    assert "own_classes" not in sys.modules


def test_a_changed_file_is_read_again(written: Path) -> None:
    path = written / "third.py"
    for value in (1, 22):
        path.write_text(f"class A:\n    size = {value}\n")
        assert class_attribute("own_classes.third", "A", "size", 0) == value
    path.write_text("class A(\n")
    assert class_attribute("own_classes.third", "A", "size", 0) == 0


def test_imports_of_functions_and_for_type_checks_do_not_count(written: Path) -> None:
    (written / "__init__.py").write_text("")
    (written / "light.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import torch\n"
    )
    (written / "heavy.py").write_text("from . import light, further\n")
    (written / "further.py").write_text("try:\n    from torch.nn import Module\nexcept ImportError:\n    pass\n")
    assert not imports("own_classes.light", ("torch",))
    assert imports("own_classes.heavy", ("torch",)) and imports("torch.nn", ("torch",))
