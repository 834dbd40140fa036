"""The stage server of a run on this machine: one process that has the libraries loaded, and forks for every stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codsa.workflow.code_digests import PACKAGE, closure, libraries

FEWEST_STAGES = 4
"""A run of fewer stages starts each by itself, which takes no longer."""
SLOW = ("diffusers", "peft", "transformers", "sentence_transformers", "tokenizers", "torchvision")
"""Libraries of images and texts alone, which take seconds to import and start threads."""
LONGEST_ADDRESS = 100
"""Bytes that the path of a socket may have."""


def fork_stages(names: Iterable[str], count: int) -> subprocess.Popen[str] | None:
    """Start the server, and say so to the jobs that this process starts (see `logged` in `workflow/rules/common.smk`).

    Parameters
    ----------
    names : iterable of str
        What the stages name (see `codsa.workflow.stage_code`); the server imports the package's modules
        behind it, and what these import.
    count : int
        The number of stages to run.

    Returns
    -------
    Popen, optional
        The server, which ends with this process; None where none was started: for few stages, and where forks of a
        process with such libraries are not safe (all systems but Linux).
    """
    if count < FEWEST_STAGES or sys.platform != "linux":
        return None
    address = Path(tempfile.mkdtemp(prefix="codsa-"), "stages")
    if len(os.fsencode(address)) > LONGEST_ADDRESS:
        address.parent.rmdir()
        return None
    own = sorted(module for module in closure(names) if module.split(".")[0] == PACKAGE.name)
    others = [module for module in libraries(own) if module.split(".")[0] not in SLOW]
    command = [sys.executable, "-m", "codsa.cli.stage_server", str(address)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert server.stdin is not None
    server.stdin.write(json.dumps([*others, *own]) + "\n")
    server.stdin.flush()
    os.environ["CODSA_STAGES"] = str(address)
    os.environ["CODSA_PYTHON"] = sys.executable
    os.environ["CODSA_CLIENT"] = str(PACKAGE / "cli" / "stage_client.py")
    return server
