"""Artefacts that differ from their manifest are found, moved aside, and named; the schema is the user's to correct."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from conftest import RunCli

from codsa.cli import main
from codsa.errors import CodsaError
from codsa.io import verify
from codsa.io.manifests import write_manifest


def artefact(folder: Path, stage: str, manifest: str = "manifest.json", **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    write_manifest(folder / manifest, stage, {}, {})
    return folder / manifest


@pytest.fixture
def results(tmp_path: Path) -> Path:
    artefact(tmp_path / "r/generator", "train-gen", weights="0123456789", losses="1, 2")
    artefact(tmp_path / "r/pool", "sample", "shard-0000-of-0001.json", part="rows")
    artefact(tmp_path / "r/data", "prepare", **{"schema.json": "{}", "rows.parquet": "rows"})
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


@pytest.mark.parametrize(
    ("path", "manifest", "kept"),
    [
        ("generator/weights", "generator/manifest.json", "generator.changed-1/weights"),
        ("pool/part", "pool/shard-0000-of-0001.json", "pool/part.changed-1"),
        ("data/rows.parquet", "data/manifest.json", "data.changed-1/rows.parquet"),
    ],
)
def test_a_truncated_file_is_found_and_moved_aside_with_its_artefact(
    results: Path, path: str, manifest: str, kept: str, run_cli: RunCli
) -> None:
    (results / path).write_text("01")
    later(results / path)
    assert verify.broken(results) == verify.broken(results, thorough=False) == {results / manifest: results / path}
    ended = run_cli(main.main, "check", results)
    assert ended.code == 2 and f"{path}: differs from" in ended.out and "--set-aside" in ended.err
    wanted = (results / manifest).parent if "generator" in manifest else results / manifest
    with pytest.raises(CodsaError, match=f"truncated or edited.*again with --forcerun {re.escape(str(wanted))} to"):
        verify.refuse_broken(results)
    assert not (results / path).exists() and not (results / manifest).exists()
    assert (results / kept).read_text() == "01"
    verify.refuse_broken(results)


def test_a_change_that_left_the_time_as_it_was_needs_a_thorough_look(results: Path, run_cli: RunCli) -> None:
    before = (results / "pool/part").stat()
    (results / "pool/part").write_text("sowr")
    os.utime(results / "pool/part", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert verify.broken(results, thorough=False) == {}
    assert len(verify.broken(results)) == 1
    ended = run_cli(main.main, "check", results, "--set-aside")
    assert ended.code == 0 and "with --forcerun" in ended.out and "shard-0000-of-0001.json" in ended.out
    assert not (results / "pool/shard-0000-of-0001.json").exists() and (results / "generator").exists()
    assert (results / "pool/part.changed-1").read_text() == "sowr"


def test_missing_files_and_broken_manifests_are_found(results: Path) -> None:
    (results / "generator/losses").unlink()
    (results / "pool/shard-0000-of-0001.json").write_text("{")
    assert len(verify.broken(results, thorough=False)) == 2


def test_an_edited_schema_is_the_users_right(results: Path) -> None:
    (results / "data/schema.json").write_text("{'edited': 1}")
    later(results / "data/schema.json")
    assert verify.broken(results) == {}


def test_files_of_the_users_that_are_called_alike_are_left_alone(results: Path) -> None:
    (results / "notes").mkdir()
    (results / "notes/manifest.json").write_text('{"name": "a web page"}')
    (results / "notes/report.json").write_text("no JSON")
    assert verify.broken(results) == {}


@pytest.mark.parametrize("name", ["/etc/passwd", "../kept", "a/../../kept", "./part", "", "C:\\\\x"])
def test_a_manifest_that_lists_files_elsewhere_touches_none(name: str, results: Path) -> None:
    """A stranger's shard manifest once had files outside the study removed at the start of a run."""
    from codsa.io.digests import digest
    from codsa.io.records import read_json, write_json

    kept = results / "kept"
    kept.write_text("mine")
    path = results / "pool/shard-0000-of-0001.json"
    record = {key: value for key, value in read_json(path).items() if key != "digest"}
    record["outputs"] = {name: "0" * 64}
    write_json(path, {**record, "digest": digest(record)})
    with pytest.raises(CodsaError, match="truncated or edited"):
        verify.refuse_broken(results)
    assert kept.read_text() == "mine" and (results / "pool/part").read_text() == "rows"
    assert (results / "pool/shard-0000-of-0001.json.changed-1").exists()
