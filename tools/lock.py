"""Write the lock files: the pins of constraints.txt with the SHA-256 of each of their files on the package index.

`make lock` runs this in the development environment, with uv, after constraints.txt was changed. requirements.lock
holds what a study needs, requirements-dev.lock what tests and checks need besides. torch is in neither: a machine
without a GPU, one with CUDA and an image take other files of the same version, with other CUDA packages.
"""

from __future__ import annotations

import subprocess
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
UNLOCKED = "torch"
BUILD = "setuptools"
"""What builds codsa itself."""
HEADER = "# Written by `make lock` from constraints.txt: edit that. torch is pinned there, without a hash.\n"


def pins(path: Path) -> dict[str, str]:
    """Return the pins of a constraint or lock file: version by canonical name."""
    lines = (line.split("#")[0].strip().rstrip("\\").strip() for line in path.read_text().splitlines())
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def closure(name: str, extras: frozenset[str]) -> set[str]:
    """Return the canonical names of an installed distribution's dependencies, and of theirs."""
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [(name, extras)]
    while left:
        current = left.pop()
        if current not in seen:
            seen.add(current)
            left += _dependencies(*current)
    return {name for name, _ in seen}


def _dependencies(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Return what a distribution requires here, with the extras that it requires of it."""
    required = [Requirement(text) for text in requires(name) or []]
    return [
        (canonicalize_name(r.name), frozenset(r.extras))
        for r in required
        if r.marker is None or any(r.marker.evaluate({"extra": extra}) for extra in extras | {""})
    ]


def lock(names: set[str], versions: dict[str, str], path: Path) -> None:
    """Write the pins of some names with the hashes of all their files."""
    wanted = "".join(f"{name}=={versions[name]}\n" for name in sorted(names))
    options = ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11"]
    listed = subprocess.run(
        ["uv", "pip", "compile", "--quiet", *options, "-"], input=wanted, capture_output=True, text=True, check=True
    ).stdout
    path.write_text(HEADER + listed)


def main() -> None:
    """Write both lock files."""
    versions = pins(ROOT / "constraints.txt")
    del versions[UNLOCKED]
    needed = closure("codsa", frozenset({"cluster", "spreadsheets", "text"})) & set(versions) | {BUILD}
    lock(needed, versions, ROOT / "requirements.lock")
    lock(set(versions) - needed, versions, ROOT / "requirements-dev.lock")


if __name__ == "__main__":
    main()
