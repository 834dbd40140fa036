"""Runs commands, each in a process of its own, and says which modules of the package each has loaded.

Reads a JSON list of [module, argument, …] and writes a JSON list of lists. Libraries are loaded once, for all.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path

import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import sklearn.ensemble  # noqa: F401
import torch  # noqa: F401


def loaded_by(module: str, arguments: list[str], record: Path) -> None:
    """Run a command in a child process, which writes down the modules that it has loaded."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if status:
            sys.exit(f"{module} {' '.join(arguments)}: ended with {os.waitstatus_to_exitcode(status)}")
        return
    sys.argv = [module, *arguments]
    code = 0
    try:
        with contextlib.redirect_stdout(sys.stderr):
            importlib.import_module(module).main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    record.write_text(json.dumps(sorted(name for name in sys.modules if name.split(".")[0] == "codsa")))
    os._exit(code)


def main() -> None:
    """Run the commands that standard input lists."""
    record = Path(sys.argv[1])
    modules = []
    for module, *arguments in json.load(sys.stdin):
        loaded_by(module, arguments, record)
        modules.append(json.loads(record.read_text()))
    print(json.dumps(modules))


if __name__ == "__main__":
    main()
