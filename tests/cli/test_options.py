"""Every option of every command, given what no one should give it: it works, or ends in one line and exit code 2.

The options are found in the commands themselves, so a new one is tried too.
"""

from __future__ import annotations

import inspect
import os
import signal
import stat
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import numpy as np
import pytest
import requests
import typer
from chosen_study import make_chosen_study
from conftest import Ended, call, make_mixed_table
from PIL import Image
from toy_texts import toy_reviews

from codsa.cli.main import COMMANDS, app
from codsa.cli.main import main as codsa
from codsa.io import downloads

SECONDS = 20
"""No call may take longer."""

INTEGERS = ["-1", "0", str(2**31), str(2**63), str(2**64), str(10**30), "1.5", "x", "١"]
NUMBERS = ["-1", "nan", "inf", "-inf", "-0.0", "1e308", "1e-320", "1e18", "1e400", "x"]
TEXTS = [
    "", " ", "\n", "a" * 10_000, "../..", "/", "😀", "$(id)", "=1+1", "e\u0301", "\udcff", "\x1b[31m", "nan", "1e400",
    "9" * 30, "9" * 5000, "{a: 1, a: 2}", "[" * 5000, "no", "!!python/name:os.system", "a=b", "--out", "-", "0x0",
    "1/1000000000", "99999999", "{m: [1e18], alpha: [balance]}", "{sick: .inf, well: 1}",
]  # fmt: skip
PATHS = ["missing/x", "file", "folder", "fifo", "dangling", "loop", "null", "a" * 300, "\n", "", "\udcff"]

KNOWN: dict[tuple[str, str, str], str] = {
    ("prepare", "", "/"): "a folder is searched for images without end",
    ("prepare", "", "../.."): "a folder of Parquet files of different columns is a traceback",
    **{("train-inverter", "--out", name): "found after training only" for name in ("file", "fifo", "dangling", "loop")},
}
"""(command, option, value): why its fault is not counted here. To be emptied."""
WRITTEN = ("--out", "--embeddings", "--json")
"""Options whose folder or file may be new after a call that went well, and what begins with its name."""
THOROUGH = os.environ.get("CODSA_THOROUGH") == "1"
SHARE = {"fit": 6, "eval": 6, "sample": 4, "report": 4, "train-inverter": 14}
"""One in so many texts is tried of a command that takes a while, others for its next option; of others one in 3."""


class Option(NamedTuple):
    """An option of a command: its flag ('' for an argument), what it takes, and what its help says."""

    command: str
    flag: str
    kind: type
    count: int
    help: str

    @property
    def values(self) -> list[str]:
        """What it is given."""
        values = {int: INTEGERS, float: NUMBERS, Path: PATHS}.get(self.kind, TEXTS)
        share = SHARE.get(self.command, 3) if values is TEXTS and not THOROUGH else 1
        return values[OPTIONS.index(self) % share :: share]


def _kind(annotation: Any) -> tuple[type, int]:
    """Return the type of an option's values, and how many it takes at a time."""
    if get_origin(annotation) in (typing.Union, types.UnionType):
        return _kind(next(kind for kind in get_args(annotation) if kind is not type(None)))
    if get_origin(annotation) is list:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], len(get_args(annotation))
    return annotation, 1


def options() -> Iterator[Option]:
    commands: Any = typer.main.get_command(app)
    for name, command in commands.commands.items():
        annotations = inspect.signature(COMMANDS[name], eval_str=True).parameters
        for parameter in command.params:
            annotation, info = get_args(annotations[parameter.name].annotation)
            kind, count = _kind(annotation)
            if kind is not bool:
                flag = "" if parameter.param_type_name == "argument" else parameter.opts[0]
                yield Option(name, flag, kind, count, info.help)


OPTIONS = list(options())


class Base(NamedTuple):
    """A call that works: options with their values."""

    command: str
    given: list[tuple[str, ...]]

    def with_value(self, option: Option, value: str) -> list[str]:
        kept = [words for words in self.given if words[0] != option.flag]
        values = (value,) * option.count
        words = [*values] if option.flag == "" else [option.flag, *values]
        return [self.command, *[w for words in kept for w in words if w != ""], *words]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw tables, images and texts, and a study of the table through all stages; read only."""
    folder = tmp_path_factory.mktemp("study")
    make_mixed_table(160).to_csv(folder / "raw.csv", index=False)
    toy_reviews(60).to_csv(folder / "texts.csv", index=False)
    for k in range(48):
        place = folder / "images" / ("cat" if k % 2 else "dog") / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (4, 4), dtype=np.uint8)).save(place)
    (folder / "toy.yaml").write_text("name: toy\ndata: {path: x.csv}\n", encoding="utf-8")
    (folder / "config.yaml").write_text(f"results: {folder}/results\nexperiments: [{folder}/toy.yaml]\n")
    for stage in ("prepare", "split", "train-gen", "sample", "fit", "eval", "report"):
        base = bases(folder, folder / OUTPUTS[stage])[stage]
        ended = call(codsa, base.command, *[w for words in base.given for w in words if w])
        assert ended.code == 0, ended
    make_chosen_study(folder / "chosen", folder / "raw.csv")
    return folder


OUTPUTS = {
    "prepare": "data", "split": "split.parquet", "train-gen": "gen", "sample": "pool", "fit": "fits", "eval": "eval",
    "report": "results/toy",
}  # fmt: skip


SMALL = [
    ("--set", pair)
    for pair in (
        "width=32", "layers=1", "heads=2", "repeat=4", "vocabulary=80", "tokens=48", "batch=32", "steps=1",
        "corrector_steps=0", "precision='no'",
    )
]  # fmt: skip


def bases(study: Path, out: Path) -> dict[str, Base]:
    """A call of every command that works, by the command's name, and of prepare for every kind of source."""
    data = [("--data", f"{study}/data")]
    split = [*data, ("--split", f"{study}/split.parquet")]
    to = ("--out", str(out))
    model = [("--reserve", "all"), ("--r", "0.5"), ("--m", "0.1"), ("--set", "max_iter=3")]
    calls = {
        "run": [("", f"{study}/toy.yaml"), ("--dry-run",)],  # refused, once all options are read: its table is missing
        "new": [("", f"{study}/raw.csv"), ("--target", "y"), to],
        "download": [("", "mnist"), to],
        "prepare": [("", f"{study}/raw.csv"), to],
        "prepare simulation": [
            ("", "simulation:imbalanced-classification"),
            ("--minority", "60"),
            ("--majority", "60"),
            to,
        ],
        "prepare images": [("", f"{study}/images"), ("--target", "label"), to],
        "prepare texts": [
            ("", f"{study}/texts.csv"), ("--target", "stars"), ("--text", "text"), ("--encoder", "toy"),
            ("--column", "place=ignored"), to,
        ],
        "split": [*data, to],
        "train-gen": [*split, ("--generator", "bootstrap"), ("--r", "0.5"), to],
        "train-inverter": [("", f"{study}/texts.csv"), ("--encoder", "toy"), *SMALL, to],
        "sample": [("--generator", f"{study}/gen"), ("--rows", "20"), to],
        "fit": [*split, ("--pool", f"{study}/pool"), *model, to],
        "eval": [*split, ("--fits", f"{study}/fits"), ("--pool", f"{study}/pool"), to],
        "report": [("--eval", f"{study}/eval"), to],
        "predict": [("", f"{study}/chosen"), ("", f"{study}/raw.csv"), ("--out", f"{out}.csv")],
        "export": [("", f"{study}/chosen"), to],
        "paper": [("--scale", "smoke"), ("--results", f"{study}/results")],
        # refused, once all options are read: a region of one row
        "triage": [("", f"{study}/raw.csv"), ("--target", "y"), ("--region", "patient_id")],
        "summary": [("--config", f"{study}/config.yaml")],
        "check": [("", f"{study}/results")],
    }  # fmt: skip
    return {name: Base(name.split()[0], given) for name, given in calls.items()}


def base_of(option: Option, known: dict[str, Base]) -> Base:
    """The call in which an option says something: its help begins with the kind of source it is for."""
    kind = option.help.partition(":")[0].lower()
    base = known.get(f"{option.command} {kind}", known[option.command])
    if option.command == "sample" and option.flag in ("--grid", "--data", "--split"):
        study = Path(base.given[0][1]).parent
        grid = [("--grid", "{m: [0.1], alpha: [balance]}"), ("--data", f"{study}/data")]
        return Base("sample", [base.given[0], *grid, ("--split", f"{study}/split.parquet"), base.given[-1]])
    return base


def hostile_path(name: str, folder: Path) -> str:
    """Make what a path in `PATHS` stands for, and return it."""
    place = folder / "hostile"
    place.mkdir(exist_ok=True)
    path = place / name
    if name == "file" and not path.exists():
        path.write_bytes(b"mine\n")
    elif name == "folder":
        path.mkdir(exist_ok=True)
        (path / "mine.txt").write_bytes(b"mine\n")
    elif name == "fifo" and not path.exists():
        os.mkfifo(path)
    elif name == "dangling" and not path.is_symlink():
        path.symlink_to(place / "nowhere")
    elif name == "loop" and not path.is_symlink():
        path.symlink_to(path)
    return {"null": "/dev/null", "": ""}.get(name, str(path))


class TooSlow(Exception):
    """A call took too long."""


@pytest.fixture
def guarded(toy: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No network, a sentence encoder that needs no model, and an alarm."""

    def no_network(*_: object, **__: object) -> None:
        raise requests.ConnectionError("no network")

    def ring(*_: object) -> None:
        raise TooSlow

    monkeypatch.setattr(requests, "get", no_network)
    monkeypatch.setattr(downloads, "RETRIES", 0)
    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def entries(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Everything but folders under a folder: mode, size and time of its last change."""
    facts = {path.relative_to(folder).as_posix(): path.lstat() for path in sorted(folder.rglob("*"))}
    return {name: (f.st_mode, f.st_size, f.st_mtime_ns) for name, f in facts.items() if not stat.S_ISDIR(f.st_mode)}


def fault(arguments: list[str], out: Path, untouched: list[Path], may_write: str | None) -> str | None:
    """Call a command and say what is wrong about how it ended, if anything."""
    before = [entries(folder) for folder in untouched]
    signal.alarm(SECONDS)
    try:
        ended = call(codsa, *arguments)
    except TooSlow:
        return f"over {SECONDS} s"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    written = (may_write, str(Path(may_write).parent)) if may_write and ended.code == 0 else ()
    changed = []
    for folder, old in zip(untouched, before, strict=True):
        new = entries(folder)
        changed += [name for name in old if new.get(name) != old[name]]
        changed += [name for name in new if name not in old and not str(folder / name).startswith(written)]
    return _fault_of(ended, out, changed)


def _fault_of(ended: Ended, out: Path, changed: list[str]) -> str | None:
    errors = [line for line in ended.err.splitlines() if line.startswith("error:")]
    usage = "─ Error ─" in ended.err
    if ended.code not in (0, 2) or "Traceback" in ended.err + ended.out:
        return f"exit code {ended.code}: {ended.err[-300:]}"
    if ended.code == 2 and not usage and (len(errors) != 1 or ended.err.splitlines()[-1] != errors[0]):
        return f"not one line of error: {ended.err[-300:]}"
    if ended.code == 2 and len(ended.err) > 5000:
        return f"an error of {len(ended.err)} characters"
    left = [path.name for path in out.parent.rglob("*") if not path.is_dir()]
    if left and (ended.code == 2 or any(name.endswith((".new", ".part")) for name in left)):
        return f"left {left}"
    return f"changed {changed[:5]}" if changed else None


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: f"{o.command}{o.flag or ' argument'}")
def test_an_option_takes_nothing_hostile(
    option: Option, study: Path, guarded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    faults: list[str] = []
    for count, value in enumerate(option.values):
        out = tmp_path / f"out {count}" / "artefact"
        out.parent.mkdir()
        base = base_of(option, bases(study, out))
        if (option.command, option.flag, value) in KNOWN or (option.flag, value) == ("--out", "null"):
            continue  # as root an artefact would take the place of the device itself
        given = hostile_path(value, tmp_path) if option.kind is Path else value
        untouched = [study, tmp_path / "here", *([tmp_path / "hostile"] if option.kind is Path else [])]
        may_write = given if option.flag in WRITTEN else None
        problem = fault(base.with_value(option, given), out, untouched, may_write)
        if problem is not None:
            faults.append(f"{value[:40]!r}: {problem[:300]}")
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)
