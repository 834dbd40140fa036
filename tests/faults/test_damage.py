"""Damaged files: whatever happens to any file of any artefact, it is refused in one line, or changes nothing.

The files are found by walking a finished study, so that a new kind of artefact is damaged, too. Each case takes the
next file and a fault drawn from a seeded stream. `CODSA_FAULTS` says how many cases are run.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codsa.io.digests import digest, file_digest
from codsa.io.records import read_json, write_json
from faults.conftest import READERS, content

CASES = int(os.environ.get("CODSA_FAULTS", "450"))
RESEALED = int(os.environ.get("CODSA_FAULTS", "120")) if "CODSA_FAULTS" in os.environ else 120
SECONDS = 60
"""A case that takes longer hangs."""
VALUES: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "text", "../../x", "", [], [1, "a"], {}, {"a": None}, 1e300)
"""What a value in a JSON file becomes."""


def files_of(study: Path) -> list[str]:
    """Return every file of the study that some command reads."""
    names = (str(p.relative_to(study)) for p in sorted(study.rglob("*")) if p.is_file())
    return [name for name in names if name.partition("/")[0] in READERS and name != "raw.csv"]


def flip(data: bytes, random: np.random.Generator, study: Path) -> bytes:
    place = int(random.integers(len(data)))
    return data[:place] + bytes([data[place] ^ (1 << int(random.integers(8)))]) + data[place + 1 :]


def truncate(data: bytes, random: np.random.Generator, study: Path) -> bytes:
    return data[: int(random.integers(len(data)))]


def append(data: bytes, random: np.random.Generator, study: Path) -> bytes:
    return data + random.bytes(int(random.integers(1, 50)))


def swap(data: bytes, random: np.random.Generator, study: Path) -> bytes:
    names = files_of(study)
    return (study / names[int(random.integers(len(names)))]).read_bytes()


def retype(data: bytes, random: np.random.Generator, study: Path) -> bytes:
    try:
        record = json.loads(data)
    except ValueError:
        return flip(data, random, study)
    return json.dumps(retyped(record, random)).encode()


def retyped(record: Any, random: np.random.Generator) -> Any:
    """Return a JSON value in which one value, at a random place, is another."""
    if isinstance(record, (dict, list)) and record and random.random() < 0.85:
        keys = list(record) if isinstance(record, dict) else range(len(record))
        key = keys[int(random.integers(len(keys)))]
        changed = dict(record) if isinstance(record, dict) else list(record)
        if isinstance(changed, dict) and random.random() < 0.1:
            del changed[key]
        else:
            changed[key] = retyped(record[key], random)
        return changed
    return VALUES[int(random.integers(len(VALUES)))]


FAULTS: dict[str, Callable[[bytes, np.random.Generator, Path], bytes | None]] = {
    "flip": flip,
    "truncate": truncate,
    "append": append,
    "swap": swap,
    "retype": retype,
    "delete": lambda data, random, study: None,
}


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"not ended after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def replaced(path: Path, data: bytes | None) -> None:
    path.unlink()
    if data is not None:
        path.write_bytes(data)


def check_refusal(code: int, out: str, err: str) -> None:
    """Check that a command ended with exit code 2, one line that says why, and no traceback."""
    assert "Traceback" not in out + err, err
    assert code == 2
    assert [line.startswith("error: ") for line in err.splitlines()].count(True) == 1, err


@pytest.mark.parametrize("seed", range(CASES))
def test_a_damaged_file_is_refused_or_changes_nothing(
    seed: int, copy: Path, expected: Callable[[str], dict[str, bytes]], tmp_path: Path
) -> None:
    random = np.random.default_rng([20261124, seed])
    names = files_of(copy)
    name = names[seed % len(names)]
    fault = list(FAULTS)[int(random.integers(len(FAULTS)))]
    replaced(copy / name, FAULTS[fault]((copy / name).read_bytes(), random, copy))
    before, part = content(copy), name.partition("/")[0]
    wanted = expected(part)
    (tmp_path / "out").mkdir()
    with time_limit(SECONDS):
        ended = READERS[part].run(copy, tmp_path / "out")
    assert content(copy) == before, (name, fault)
    if ended.code == 0:
        assert content(tmp_path / "out") == wanted, (name, fault)
    else:
        check_refusal(*ended)
        assert content(tmp_path / "out") == {}, (name, fault)


@pytest.mark.parametrize("seed", range(RESEALED))
def test_a_wrong_value_behind_right_digests_is_no_traceback(seed: int, copy: Path, tmp_path: Path) -> None:
    """A stranger's artefact has whatever values, and digests that fit them."""
    random = np.random.default_rng([20261125, seed])
    names = [name for name in files_of(copy) if name.endswith(".json")]
    name = names[seed % len(names)]
    record = read_json(copy / name)
    part = name.partition("/")[0]
    is_manifest = isinstance(record, dict) and {"stage", "outputs", "digest"} <= record.keys()
    changed = retyped(record, random)
    replaced(copy / name, json.dumps(changed).encode())
    if is_manifest and isinstance(changed, dict):
        (copy / name).unlink()
        reseal(copy / name, changed)
    elif not is_manifest:
        seal_again(copy / name, copy / part / "manifest.json")
    before = content(copy)
    (tmp_path / "out").mkdir()
    with time_limit(SECONDS):
        ended = READERS[part].run(copy, tmp_path / "out")
    assert content(copy) == before
    if ended.code:
        check_refusal(*ended)
        assert content(tmp_path / "out") == {}


def reseal(manifest: Path, record: dict[str, Any]) -> None:
    """Write a manifest with a digest that fits it."""
    body = {key: value for key, value in record.items() if key != "digest"}
    write_json(manifest, {**body, "digest": digest(body)})


def seal_again(file: Path, manifest: Path) -> None:
    """Make a manifest fit a changed file."""
    record = read_json(manifest)
    record["outputs"][file.relative_to(manifest.parent).as_posix()] = file_digest(file)
    manifest.unlink()
    reseal(manifest, record)


def test_every_file_of_the_study_is_reached(study: Path) -> None:
    """Cases go through the files in turn, so each is damaged several times."""
    names = files_of(study)
    assert len(names) * 3 <= CASES and {name.partition("/")[0] for name in names} == set(READERS) - {"raw.csv"}
