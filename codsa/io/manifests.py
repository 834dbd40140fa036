"""The record beside every artefact: its stage, inputs, settings and versions.

A manifest lists the artefact's files with their digests, and holds a digest of itself. Reading a manifest checks
them, so that a foreign or damaged artefact is refused before anything reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from codsa import __version__
from codsa.errors import CodsaError
from codsa.io.digests import digest, file_digest
from codsa.io.records import parse_as, read_as, read_json, to_json, write_json

FORMAT = 3
"""The version of the layout of artefacts on disk."""
LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "imbalanced-learn",
    "torch",
    "diffusers",
    "transformers",
    "sentence-transformers",
)
T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """The record of an artefact.

    Attributes
    ----------
    format : int
        `FORMAT`.
    stage : str
        The stage that wrote the artefact.
    inputs, outputs : dict of name to SHA-256
        The inputs, and the artefact's files by their paths relative to the manifest's folder.
    parameters : dict
        The settings of the stage, the seed included.
    versions : dict
        Of the libraries that can change a result.
    facts : dict
        Further values for later stages and the report.
    digest : str
        SHA-256 of all other attributes.
    """

    format: int
    stage: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    parameters: dict[str, Any]
    versions: dict[str, str]
    facts: dict[str, Any] = field(default_factory=dict)
    digest: str = ""

    @property
    def content(self) -> dict[str, Any]:
        """All but the digest."""
        return {key: value for key, value in asdict(self).items() if key != "digest"}


def versions() -> dict[str, str]:
    """Return the versions of the libraries that can change a result, where installed."""
    installed = {"codsa": __version__}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def write_manifest(
    path: Path, stage: str, inputs: Mapping[str, str], parameters: Mapping[str, Any], **facts: Any
) -> None:
    """Write the manifest of all other files in its folder.

    It holds no times and no absolute paths, so that the same stage with the same inputs writes the same bytes.

    Parameters
    ----------
    path : Path
        The manifest's path, in a folder with the artefact's files and nothing else.
    stage : str
        The stage that wrote the artefact.
    inputs : mapping of name to SHA-256
        Digests of the inputs.
    parameters : mapping
        The settings of the stage, the seed included.
    **facts
        Further values for later stages and the report.
    """
    outputs = {name: file_digest(path.parent / name) for name in listed_files(path.parent) if name != path.name}
    record = Manifest(
        FORMAT, stage, dict(inputs), outputs=outputs, parameters=dict(parameters), versions=versions(), facts=facts
    )
    write_json(path, {**record.content, "digest": digest(record.content)})


def listed_files(folder: Path) -> list[str]:
    """Return the files under a folder that a manifest lists, sorted: all but hidden ones at its top."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path.as_posix() for path in files if not path.parts[0].startswith("."))


def read_manifest(path: Path, stage: str | None = None) -> Manifest:
    """Read a manifest and check its format, its stage, the names that it lists and its own digest.

    Parameters
    ----------
    path : Path
    stage : str, optional
        The stage that must have written the artefact.

    Raises
    ------
    CodsaError
        Naming the file and its fault.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        number = content.get("format") if isinstance(content, dict) else None
        written = f"has format {number!r}" if number is not None else "is not a manifest of this version"
        raise CodsaError(f"{path}: {written}, this is codsa {__version__} with format {FORMAT}; make it again")
    record = read_as(path, Manifest)
    if digest({key: value for key, value in content.items() if key != "digest"}) != record.digest:
        raise CodsaError(f"{path}: was changed since it was written (its digest is another); re-run its stage")
    if stage is not None and record.stage != stage:
        raise CodsaError(f"{path.parent}: made by stage '{record.stage}', not '{stage}'; give the other folder")
    for name in record.outputs:
        _refuse_path(name, path)
    return record


def _refuse_path(name: str, manifest: Path) -> None:
    """Raise a `CodsaError` unless a listed name is a plain path inside the manifest's folder."""
    parts = PurePosixPath(name).parts
    plain = name == "/".join(parts) and not name.startswith("/") and "\\" not in name and name.isprintable()
    if not plain or not parts or ".." in parts or "." in parts:
        raise CodsaError(f"{manifest}: lists {name!r}, which is no plain path inside its folder; do not use it")


def facts_as(record: Manifest, kind: type[T], where: Path) -> T:
    """Return a manifest's facts as a dataclass, checking every value's type."""
    return parse_as(to_json(record.facts), kind, str(where))


def parameters_as(record: Manifest, kind: type[T], where: Path) -> T:
    """Return a manifest's parameters as a dataclass, checking every value's type."""
    return parse_as(to_json(record.parameters), kind, str(where))


def check_files(path: Path, record: Manifest) -> None:
    """Check every file that a manifest lists; a missing or changed one is a `CodsaError`."""
    for fault in faults(path, record):
        raise CodsaError(fault[1])


def faults(path: Path, record: Manifest) -> Iterator[tuple[Path, str]]:
    """Yield the listed files that are missing or changed, each with its fault in words."""
    for name, expected in record.outputs.items():
        file = path.parent / name
        if not file.is_file():
            yield file, f"{file}: no such file, though its manifest lists it; re-run its stage"
        elif _leads_outside(file, path.parent):
            yield file, f"{file}: is a link out of its folder; put the file itself there"
        elif file_digest(file) != expected:
            yield (
                file,
                f"{file}: its content differs from its manifest (truncated or edited); re-run the stage that made it",
            )


def _leads_outside(file: Path, folder: Path) -> bool:
    return not file.resolve().is_relative_to(folder.resolve())


def check_folder(folder: Path, stage: str) -> Manifest:
    """Read a folder's manifest and check its stage, every file that it lists, and that there is no other.

    Raises
    ------
    CodsaError
        Naming the file that is missing, changed or not listed.
    """
    path = folder / "manifest.json"
    record = read_manifest(path, stage)
    check_files(path, record)
    unlisted = [name for name in listed_files(folder) if name not in record.outputs and name != path.name]
    if unlisted:
        raise CodsaError(f"{folder / unlisted[0]}: its manifest does not list it; move it away")
    return record
