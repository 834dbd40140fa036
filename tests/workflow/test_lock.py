"""The lock files: the versions of constraints.txt, each with hashes, and all that the package needs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from test_workflow import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """The script that writes them."""
    spec = importlib.util.spec_from_file_location("lock", ROOT / "tools/lock.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_locks_pin_what_the_constraints_pin_but_for_torch(tool: ModuleType) -> None:
    expected = tool.pins(ROOT / "constraints.txt")
    run, dev = (tool.pins(ROOT / name) for name in LOCKS)
    assert expected.pop("torch") and not set(run) & set(dev)
    assert {**run, **dev} == expected, "make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_hashes(name: str) -> None:
    text = re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    requirements = text.replace("\\\n", " ").splitlines()
    assert requirements
    for line in requirements:
        assert re.fullmatch(r"[a-z0-9-]+==\S+( +--hash=sha256:[0-9a-f]{64})+", line.strip()), line[:80]


def test_what_a_study_needs_is_in_the_first_lock(tool: ModuleType) -> None:
    needed = tool.closure("codsa", frozenset({"cluster", "spreadsheets", "text"})) - {"codsa", "torch"}
    torch = {name for name in needed if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert needed - torch <= set(tool.pins(ROOT / LOCKS[0])), "make lock"
    assert "pytest" not in tool.pins(ROOT / LOCKS[0]) and "setuptools" in tool.pins(ROOT / LOCKS[0])


def test_pins_are_read_from_either_kind_of_file(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# x==1\nPy_Yaml==6.0 # why\nnumpy==2.4 \\\n    --hash=sha256:00\n")
    assert tool.pins(tmp_path / "a") == {"py-yaml": "6.0", "numpy": "2.4"}
