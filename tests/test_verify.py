"""Artefacts that differ from their manifest are found, removed, and named; prepared data are left to the user."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from conftest import RunCli

from codsa import verify
from codsa.cli import main
from codsa.errors import CodsaError
from codsa.io.digests import file_digest
from codsa.io.records import write_json


def artefact(folder: Path, manifest: str = "manifest.json", **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    path = folder / manifest
    write_json(path, {"stage": "any", "outputs": {name: file_digest(folder / name) for name in files}})
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    artefact(tmp_path / "r/generator", weights="0123456789", losses="1, 2")
    artefact(tmp_path / "r/pool", "shard-0000-of-0001.json", part="rows")
    artefact(tmp_path / "r/data", schema="{}")
    return tmp_path / "r"


def later(path: Path) -> None:
    """Make a file younger than its manifest."""
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10**9))


def test_whole_artefacts_are_left_alone(results: Path, run_cli: RunCli) -> None:
    assert verify.broken(results) == {}
    later(results / "generator/weights")
    assert verify.broken(results, thorough=False) == {}
    verify.refuse_broken(results)
    assert run_cli(main.main, "check", results).code == 0


@pytest.mark.parametrize(("path", "manifest"), [("generator/weights", "generator/manifest.json"),
                                                ("pool/part", "pool/shard-0000-of-0001.json")])  # fmt: skip
def test_a_truncated_file_is_found_and_removed_with_its_artefact(
    results: Path, path: str, manifest: str, run_cli: RunCli
) -> None:
    (results / path).write_text("01")
    later(results / path)
    assert verify.broken(results) == verify.broken(results, thorough=False) == {results / manifest: results / path}
    ended = run_cli(main.main, "check", results)
    assert ended.code == 2 and f"{path}: differs from" in ended.out and "--remove" in ended.err
    artefact = (results / manifest).parent if "generator" in manifest else results / manifest
    with pytest.raises(CodsaError, match=f"truncated or edited.*again with --forcerun {re.escape(str(artefact))} to"):
        verify.refuse_broken(results)
    assert not (results / path).exists() and not (results / manifest).exists()
    verify.refuse_broken(results)


def test_a_change_that_left_the_time_as_it_was_needs_a_thorough_look(results: Path, run_cli: RunCli) -> None:
    before = (results / "pool/part").stat()
    (results / "pool/part").write_text("sowr")
    os.utime(results / "pool/part", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify.broken(results, thorough=False) == {}
    assert len(verify.broken(results)) == 1
    ended = run_cli(main.main, "check", results, "--remove")
    assert ended.code == 0 and "with --forcerun" in ended.out and "shard-0000-of-0001.json" in ended.out
    assert not (results / "pool/shard-0000-of-0001.json").exists() and (results / "generator").exists()


def test_missing_files_and_broken_manifests_are_found(results: Path) -> None:
    (results / "generator/losses").unlink()
    (results / "pool/shard-0000-of-0001.json").write_text("{")
    assert len(verify.broken(results, thorough=False)) == 2


def test_an_edited_schema_is_the_users_right(results: Path) -> None:
    (results / "data/schema").write_text("{'edited': 1}")
    later(results / "data/schema")
    assert verify.broken(results) == {}
