"""The stage server: commands run in forks of it as they run by themselves, and it ends with who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_workflow import EXPERIMENT

from codsa import __version__
from codsa.workflow import stage_processes
from codsa.workflow.code_digests import PACKAGE
from codsa.workflow.config import Experiment
from codsa.workflow.stage_code import StageCode
from codsa.workflow.study import Study

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")
CLIENT = [sys.executable, "-I", "-S", str(PACKAGE / "cli" / "stage_client.py")]


def ended(*command: str, **more: str) -> tuple[int, str, str]:
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **more}
    run = subprocess.run([*CLIENT, *command], capture_output=True, text=True, env=environment, timeout=120)
    return run.returncode, run.stdout, run.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CODSA_STAGES", "CODSA_PYTHON", "CODSA_CLIENT"):
            patch.setenv(name, "")
        names = StageCode(Study("toy", Experiment.model_validate(EXPERIMENT))).all_stages()
        started = stage_processes.fork_stages(names, 99)
        assert started is not None
        yield started
        address = Path(os.environ["CODSA_STAGES"])
    assert started.stdin is not None
    started.stdin.close()
    assert started.wait(timeout=60) == 0
    assert not address.exists() and not address.parent.exists()


@pytest.fixture
def address(server: subprocess.Popen[str]) -> str:
    return os.environ["CODSA_STAGES"]


def test_a_command_runs_with_its_arguments_streams_and_exit_code(address: str) -> None:
    assert ended("codsa-split", "--version", CODSA_STAGES=address)[:2] == (0, f"codsa {__version__}\n")
    code, out, error = ended("codsa-fit", "--data", "nowhere", CODSA_STAGES=address)
    assert (code, out) == (2, "") and "Missing option" in error
    assert ended("codsa-nothing", CODSA_STAGES=address)[0] == 127


def test_without_a_server_the_command_runs_by_itself(tmp_path: Path) -> None:
    said = ended("echo", "alone", CODSA_STAGES=str(tmp_path / "gone"))
    assert said == (0, "alone\n", "")


def test_a_stage_ends_with_the_signal_that_its_client_gets(address: str, tmp_path: Path) -> None:
    source = ["simulation:imbalanced-classification", "--minority", "900000", "--majority", "900000"]
    environment = {"CODSA_STAGES": address, "PATH": "/usr/bin:/bin"}
    command = [*CLIENT, "codsa-prepare", *source, "--out", str(tmp_path / "data")]
    client = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    client.send_signal(signal.SIGTERM)
    assert client.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (tmp_path / "data").exists()


def test_few_stages_start_no_server() -> None:
    assert stage_processes.fork_stages(["codsa.cli.split"], 3) is None
