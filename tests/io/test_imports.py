"""What commands import: nothing heavy for --help, and of large libraries no more than they use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from codsa.io.imports import COMPILER, module_as, replaced, without_compiler

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(path.stem for path in (ROOT / "codsa/cli").glob("*.py") if "\nmain = runner(app)" in path.read_text())
# pydantic is not among these: options are made from its sections, so that help needs them.
HEAVY = {"numpy", "pandas", "pyarrow", "scipy", "sklearn", "skops", "torch", "diffusers", "matplotlib"}


def imported(code: str) -> set[str]:
    """The modules that a process has imported in the end."""
    show = "\nimport json, sys; print(json.dumps(list(sys.modules)), file=sys.stderr)"
    command = [sys.executable, "-c", code + show]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    return set(json.loads(run.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = f"import sys; sys.argv = ['codsa', '--help']\nfrom codsa.cli.{command} import main\n"
    seen = imported(code + "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code")
    assert f"codsa.cli.{command}" in seen and not HEAVY & seen


def test_training_and_sampling_leave_the_compiler_out() -> None:
    seen = imported(
        "import torch\nfrom codsa.nn.edm import Noise, sampling_scheduler\nfrom codsa.nn.trainer import *\n"
        "sampling_scheduler(Noise())\nnet = torch.nn.Linear(2, 1)\nrecipe = TrainingRecipe(3, 0.01)\n"
        "Trainer(net, recipe, lambda model, g: model(torch.ones(4, 2)).mean(), None, 0).run()"
    )
    assert "diffusers" in seen and COMPILER not in seen


def test_trusted_types_are_known_without_all_of_scikit_learn() -> None:
    seen = imported("from codsa.io.library_internals import import_skops\nimport_skops()")
    assert "skops.io" in seen and not {"sklearn.mixture", "sklearn.utils._testing", "torch"} & seen


def test_the_compiler_is_there_for_those_who_ask() -> None:
    code = (
        "import sys, torch\nfrom codsa.io.imports import without_compiler\n"
        "with without_compiler():\n    net = torch.nn.Linear(2, 1)\n"
        "    torch.optim.Adam(net.parameters()).zero_grad()\n"
        "    assert torch._dynamo.list_backends\nimport torch._dynamo\nassert torch._dynamo.__file__\n"
        "assert torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(1)).item() == 2"
    )
    assert COMPILER in imported(code)
    with without_compiler():
        torch.optim.SGD(torch.nn.Linear(2, 1).parameters())


def test_other_modules_and_attributes_are_put_back() -> None:
    stand_in = ModuleType("nowhere")
    with module_as("nowhere", stand_in):
        assert sys.modules["nowhere"] is stand_in
    with pytest.raises(RuntimeError), module_as("nowhere", None):
        with pytest.raises(ImportError):
            __import__("nowhere")
        raise RuntimeError
    assert "nowhere" not in sys.modules
    with module_as("json", stand_in):
        assert sys.modules["json"] is json
    with replaced(stand_in, "__name__", "other"):
        assert stand_in.__name__ == "other"
    assert stand_in.__name__ == "nowhere"
