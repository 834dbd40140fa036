"""The methods that are compared, their settings, and their environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Peer:
    """A method and how it is run.

    Attributes
    ----------
    adapter : str, optional
        The script that runs it; None: no synthetic rows.
    environment : str, optional
        The requirements file it is installed from; None: the project's own environment.
    settings : mapping
        Arguments that differ from the library's defaults.
    note : str
        How it is conditioned on the region, and what was changed.
    """

    adapter: str | None
    environment: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def own(self) -> bool:
        """Whether it is one of codsa's registered generators, which read datasets themselves."""
        return self.adapter == "codsa"


def _own(generator: str, note: str, **settings: Any) -> Peer:
    return Peer("codsa", None, {"generator": generator, **settings}, note)


PEERS: dict[str, Peer] = {
    "none": Peer(None, note="the real training rows alone"),
    "weighted": Peer(None, note="the real training rows alone, each weighted by q/p of its region"),
    "bootstrap": _own("bootstrap", "codsa's generator: rows of the region drawn again"),
    "smote": _own("smote", "codsa's generator around imbalanced-learn's SMOTE, defaults"),
    "adasyn": _own("adasyn", "codsa's generator around imbalanced-learn's ADASYN, defaults"),
    "smogn": _own("smogn", "codsa's generator after Branco 2017, the region as the relevant rows, defaults"),
    "ctgan": Peer("ctgan", "ctgan", {}, "the region as condition, rows of another region drawn again; defaults"),
    "tvae": Peer("tvae", "ctgan", {}, "one model per region; defaults"),
    "tabddpm": Peer("tabddpm", "tabddpm", {}, "synthcity's `ddpm`, the region as its label; defaults"),
    "forestdiffusion": Peer(
        "forestdiffusion",
        "forestdiffusion",
        {"n_t": 20, "duplicate_K": 10},
        "the region as its label; 20 noise levels and 10 noise draws per row, where the defaults are 50 and 100",
    ),
    "arfpy": Peer("arfpy", "arfpy", {}, "one forest per region; defaults"),
    "mostlyai": Peer("mostlyai", "mostlyai", {}, "rows completed from their region; defaults"),
    "codsa": _own("tabular-diffusion", "the project's conditional diffusion, defaults", precision="auto"),
}


class PeerError(Exception):
    """A method could not be run; the message says why, in one line."""


def one_thread() -> dict[str, str]:
    """Return the environment variables of a process that computes on one thread."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, "1"), "PYTHONNOUSERSITE": "1", "TQDM_DISABLE": "1"}


def python_of(peer: Peer, work_dir: Path) -> Path:
    """Return the interpreter of a method, making its environment the first time."""
    if peer.environment is None:
        return Path(sys.executable)
    folder, file = work_dir / "environments" / peer.environment, HERE / "requirements" / f"{peer.environment}.txt"
    stamp, wanted = folder / "made.txt", sha256(file.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, python, file)
        stamp.write_text(wanted)
    return python


def _make(folder: Path, python: Path, file: Path) -> None:
    """Make a virtual environment from a requirements file.

    A line `# remove: NAME …` names distributions that are taken out again: dependencies that the
    library declares, does not need here, and breaks with.
    """
    lines = file.read_text().splitlines()
    remove = [word for line in lines if line.startswith("# remove:") for word in line.split()[2:]]
    pip = [str(python), "-m", "pip", "--quiet"]
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([*pip, "install", "--requirement", str(file)])
    if remove:
        _run([*pip, "uninstall", "--yes", *remove])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise PeerError(f"not run: its environment could not be made ({said[-1].strip()[:200]})")
