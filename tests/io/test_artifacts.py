"""A command touches only what it made: whatever `--out` names, no file of the user's is lost or changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Ended, call, make_mixed_table
from test_bad_input import FAST, files, refused

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.prepare import main as codsa_prepare
from codsa.cli.report import main as codsa_report
from codsa.cli.sample import main as codsa_sample
from codsa.cli.split import main as codsa_split
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.errors import CodsaError
from codsa.io.artifacts import new_files, new_folder
from codsa.io.checkpoints import checkpoint_dir, load_checkpoint, save_checkpoint
from codsa.io.files import atomic_write
from codsa.io.manifests import check_folder, read_manifest, write_manifest
from codsa.io.records import read_json, write_json


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two methods; read only."""
    folder = tmp_path_factory.mktemp("study")
    make_mixed_table().to_csv(folder / "raw.csv", index=False)
    for stage in STAGES.values():
        assert stage(folder, folder).code == 0
    return folder


def given(study: Path) -> tuple[object, ...]:
    return ("--data", study / "data", "--split", study / "split.parquet")


Stage = Callable[[Path, Path], Ended]
STAGES: dict[str, Stage] = {
    "data": lambda study, out: call(codsa_prepare, study / "raw.csv", "--out", out / "data"),
    "split.parquet": lambda study, out: call(codsa_split, "--data", study / "data", "--out", out / "split.parquet"),
    "gen": lambda study, out: call(codsa_train_gen, *given(study), "--generator", "bootstrap", "--out", out / "gen"),
    "pool": lambda study, out: call(codsa_sample, "--generator", study / "gen", "--rows", 30, "--out", out / "pool"),
    "fits": lambda study, out: call(
        codsa_fit, *given(study), "--pool", study / "pool", "--m", 0.1, "--reserve", "all", *FAST, "--out", out / "fits"
    ),
    "eval": lambda study, out: call(codsa_eval, *given(study), "--fits", study / "fits", "--out", out / "eval"),
    "report": lambda study, out: call(codsa_report, "--eval", study / "eval", "--out", out / "report"),
}
FOLDERS = ("gen", "fits")
"""Artefacts that are folders of their own."""


def named(stage: str, study: Path, out: object) -> Ended:
    """Run a stage with a given --out."""
    commands: dict[str, tuple[Callable[[], None], tuple[object, ...]]] = {
        "data": (codsa_prepare, (study / "raw.csv",)),
        "split.parquet": (codsa_split, ("--data", study / "data")),
        "gen": (codsa_train_gen, (*given(study), "--generator", "bootstrap")),
        "pool": (codsa_sample, ("--generator", study / "gen", "--rows", 30)),
        "fits": (codsa_fit, (*given(study), "--reserve", "all", *FAST)),
        "eval": (codsa_eval, (*given(study), "--fits", study / "fits")),
        "report": (codsa_report, ("--eval", study / "eval")),
    }
    main, options = commands[stage]
    return call(main, *options, "--out", out)


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    """A folder of the user's, which is the working folder, with a folder of work in it."""
    folder = tmp_path / "mine"
    (folder / "thesis").mkdir(parents=True)
    for name in ("thesis/chapter.tex", ".hidden", "notes.txt", "metrics.csv", "figures/map.png", "manifest.json"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"mine: {name}")
    before = Path.cwd()
    os.chdir(folder / "thesis")
    yield folder
    os.chdir(before)


@pytest.mark.parametrize("stage", FOLDERS)
@pytest.mark.parametrize("out", [".", "..", "../thesis", "/", "~", "../figures"])
def test_a_folder_of_the_users_is_never_replaced(stage: str, out: str, study: Path, mine: Path) -> None:
    before = files(mine)
    assert refused(named(stage, study, os.path.expanduser(out)))
    assert files(mine) == before


@pytest.mark.parametrize("stage", FOLDERS)
def test_an_empty_working_folder_stays(
    stage: str, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert refused(named(stage, study, "."), "working folder")


@pytest.mark.parametrize("stage", STAGES)
def test_files_of_the_users_are_never_overwritten(stage: str, study: Path, tmp_path: Path) -> None:
    """Whatever names a stage writes: where the user has files of these names already, they stay, and it says so."""
    assert STAGES[stage](study, tmp_path / "once").code == 0
    written = sorted(files(tmp_path / "once"))
    target = tmp_path / "once" if stage == "split.parquet" else tmp_path / "once" / stage
    for name in written:
        users = tmp_path / "users"
        shutil.rmtree(users, ignore_errors=True)
        path = users / Path(name).relative_to("." if stage == "split.parquet" else stage)
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        before = files(users)
        out = users / "split.parquet" if stage == "split.parquet" else users
        assert refused(named(stage, study, out)), (name, target)
        assert files(users) == before


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_made_itself_is_replaced(stage: str, study: Path, tmp_path: Path) -> None:
    assert STAGES[stage](study, tmp_path).code == 0
    first = files(tmp_path)
    assert STAGES[stage](study, tmp_path).code == 0
    assert files(tmp_path) == first


@pytest.mark.parametrize("stage", STAGES)
def test_what_lies_beside_an_artefact_stays(stage: str, study: Path, tmp_path: Path) -> None:
    assert STAGES[stage](study, tmp_path).code == 0
    folder = tmp_path if stage == "split.parquet" else tmp_path / stage
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "mine.png").write_text("mine")
    before = files(tmp_path)
    ended = STAGES[stage](study, tmp_path)
    assert refused(ended, "mine.png") if stage in FOLDERS else ended.code == 0
    assert files(tmp_path) == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_changed_artefact_is_kept_under_another_name(stage: str, study: Path, tmp_path: Path) -> None:
    assert STAGES[stage](study, tmp_path).code == 0
    whole = files(tmp_path)
    manifest = next(path for path in tmp_path.rglob("*.json") if is_manifest(path))
    changed = manifest.parent / sorted(read_manifest(manifest).outputs)[0]
    changed.write_text("corrected by hand")
    assert STAGES[stage](study, tmp_path).code == 0
    after = files(tmp_path)
    assert {name: after[name] for name in whole} == whole
    assert b"corrected by hand" in [content for name, content in after.items() if ".changed-1" in name]


def is_manifest(path: Path) -> bool:
    content = read_json(path)
    return isinstance(content, dict) and {"stage", "outputs"} <= content.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_a_link_is_followed(stage: str, study: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    name = "split.parquet" if stage == "split.parquet" else stage
    (tmp_path / "links" / name).symlink_to(tmp_path / "real" / name)
    assert STAGES[stage](study, tmp_path / "links").code == 0
    assert (tmp_path / "links" / name).is_symlink() and (tmp_path / "real" / name).exists()


def test_another_stages_folder_is_not_replaced(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "fits", tmp_path / "gen")
    before = files(tmp_path)
    assert refused(STAGES["gen"](study, tmp_path), "made by stage 'fit', not 'train-gen'")
    assert files(tmp_path) == before


def test_a_pool_drawn_in_other_shards_replaces_the_old_one(study: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    (pool / "region~0-sick").mkdir(parents=True)
    (pool / "region~0-sick" / "mine.parquet").write_text("mine")
    (pool / "shard-0007-of-0009.json").write_text("mine")
    options = ("--generator", study / "gen", "--rows", 30, "--out", pool)
    assert refused(call(codsa_sample, *options), "shard-0007-of-0009.json")
    (pool / "shard-0007-of-0009.json").unlink()
    for shard in ("1/1", "1/2", "2/2"):
        assert call(codsa_sample, *options, "--shard", shard).code == 0
    assert sorted(path.name for path in pool.glob("*.json")) == ["shard-0000-of-0002.json", "shard-0001-of-0002.json"]
    assert sorted(path.name for path in (pool / "region~0-sick").iterdir()) == [
        "mine.parquet", "part-0000-of-0002.parquet", "part-0001-of-0002.parquet",
    ]  # fmt: skip


def test_an_older_format_is_named(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study / "gen", tmp_path / "gen")
    record = read_json(tmp_path / "gen/manifest.json")
    write_json(tmp_path / "gen/manifest.json", {**record, "format": 0})
    ended = call(codsa_sample, "--generator", tmp_path / "gen", "--rows", 3, "--out", tmp_path / "pool")
    assert refused(ended, "format 0", "make it again")


# ------------------------------------------------------------------ what depends on what


def test_an_edited_law_is_noticed(study: Path, tmp_path: Path) -> None:
    """q stood in no digest: an edited split.json moved the headline figure."""
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    record = read_json(folder / "split.json")
    record["facts"]["q"] = [0.99, 0.01]
    write_json(folder / "split.json", record)
    assert refused(STAGES["eval"](folder, tmp_path / "a"), "split.json", "was changed since it was written")
    resealed(folder / "split.json", record)
    assert refused(STAGES["eval"](folder, tmp_path / "b"), "fitted on another split")
    for q in ([5, -4], [0.5, None], [1.0], "half"):
        record["facts"]["q"] = q
        resealed(folder / "split.json", record)
        assert refused(STAGES["eval"](folder, tmp_path / "c"), "split.json")


def resealed(path: Path, record: dict[str, object]) -> None:
    """Write a manifest as a stranger would who knows how its digest is made."""
    from codsa.io.digests import digest

    content = {key: value for key, value in record.items() if key != "digest"}
    write_json(path, {**content, "digest": digest(content)})


def test_another_studys_rows_are_noticed(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    make_mixed_table(200).to_csv(tmp_path / "other.csv", index=False)
    assert call(codsa_prepare, tmp_path / "other.csv", "--out", tmp_path / "other").code == 0
    shutil.copy(tmp_path / "other/rows.parquet", folder / "data/rows.parquet")
    assert refused(STAGES["split.parquet"](folder, tmp_path), "rows.parquet", "differs from its manifest")
    (folder / "data/manifest.json").unlink()
    assert refused(STAGES["split.parquet"](folder, tmp_path), "manifest.json", "no such file")


@pytest.mark.parametrize("name", ["metrics.json", "fits.parquet"])
def test_an_edited_or_swapped_evaluation_is_not_reported(name: str, study: Path, tmp_path: Path) -> None:
    ended = call(codsa_eval, *given(study), "--fits", study / "fits", "--method", "b", "--out", tmp_path / "b")
    assert ended.code == 0
    shutil.copytree(study / "eval", tmp_path / "a")
    if name == "metrics.json":
        shutil.copy(tmp_path / "b" / name, tmp_path / "a" / name)
    else:
        (tmp_path / "a" / name).write_bytes((tmp_path / "a" / name).read_bytes() + b"\0")
    ended = call(codsa_report, "--eval", tmp_path / "a", "--out", tmp_path / "report")
    assert refused(ended, name, "differs from its manifest") and not (tmp_path / "report").exists()


# ------------------------------------------------------------------ writing


def toy(folder: Path, text: str) -> None:
    with new_folder(folder, "toy") as staged:
        (staged / "a.txt").write_text(text)
        write_manifest(staged / "manifest.json", "toy", {}, {})


def test_the_old_folder_comes_back_when_the_new_one_cannot_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(tmp_path / "out", "old")
    rename = os.rename

    def fails(source: Path, target: Path) -> None:
        if target == tmp_path / "out" and ".old." not in str(source):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(PermissionError):
        toy(tmp_path / "out", "new")
    assert (tmp_path / "out/a.txt").read_text() == "old"
    assert sorted(files(tmp_path)) == ["out/a.txt", "out/manifest.json"]


def test_a_file_or_folder_that_its_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    toy(tmp_path / "out", "x")
    check_folder(tmp_path / "out", "toy")
    (tmp_path / "out/member~1").mkdir()
    (tmp_path / "out/member~1/model.skops").write_text("a stranger's")
    with pytest.raises(CodsaError, match="does not list it"):
        check_folder(tmp_path / "out", "toy")


def test_leavings_of_a_killed_process_are_removed_and_others_are_not(tmp_path: Path) -> None:
    script = "import os, sys; from pathlib import Path; from codsa.io.files import staging\n"
    script += "with staging(Path(sys.argv[1])) as part: part.write_text('half'); os._exit(9)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.json")], check=False)
    left = list(files(tmp_path))
    assert len(left) == 1 and left[0].endswith(".part")
    (tmp_path / ".a.json.other-machine-1.part").write_text("another machine's")
    (tmp_path / ".a.json.mine.part").write_text("mine")
    with atomic_write(tmp_path / "a.json") as part:
        part.write_text("whole")
    assert sorted(files(tmp_path)) == [".a.json.mine.part", ".a.json.other-machine-1.part", "a.json"]


def test_everything_is_forced_to_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, rename, replace = os.fsync, os.rename, os.replace

    def synced(handle: int) -> None:
        events.append(f"sync {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", lambda a, b: (events.append("rename"), rename(a, b)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    toy(tmp_path / "out", "x")
    with atomic_write(tmp_path / "file") as part:
        part.write_text("x")
    last = max(k for k, event in enumerate(events) if event == "rename")
    assert "sync a.txt" in events[:last] and f"sync {tmp_path.name}" in events[last:]


def test_files_written_together_are_all_old_or_all_new(tmp_path: Path) -> None:
    """A full disk left a new metrics.csv beside an old report.html."""

    def write(text: str, fail: bool = False) -> None:
        with new_files(tmp_path / "m.json", "toy") as staged:
            (staged / "a.csv").write_text(text)
            if fail:
                raise OSError(28, "No space left on device")
            (staged / "b.html").write_text(text)
            write_manifest(staged / "m.json", "toy", {}, {})

    write("old")
    before = files(tmp_path)
    with pytest.raises(OSError, match="No space"):
        write("new", fail=True)
    assert files(tmp_path) == before
    write("new")
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.html").read_text() == "new"


# ------------------------------------------------------------------ checkpoints


def test_a_damaged_checkpoint_is_discarded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import torch

    path = tmp_path / "net.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "c": torch.ones(2, dtype=torch.bfloat16)}
    save_checkpoint(path, tensors, {"step": 3, "losses": [1.5, None]})
    whole = path.read_bytes()
    loaded = load_checkpoint(path)
    assert loaded is not None and loaded[1] == {"step": 3, "losses": [1.5, None]}
    assert all(torch.equal(loaded[0][name], tensors[name]) for name in tensors)
    for place in range(0, len(whole), 7):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            again = load_checkpoint(path)
            if again is None:
                assert not path.exists() and "discarded" in caplog.text
            else:  # a space of the header
                assert again[1] == loaded[1] and all(torch.equal(again[0][k], tensors[k]) for k in tensors)


def test_only_own_checkpoints_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "gen"
    users = tmp_path / "gen.checkpoints" / "0123456789abcdef"
    users.mkdir(parents=True)
    (users / "mine").write_text("mine")
    with checkpoint_dir(out, {}, {"steps": 1}) as folder:
        (folder / "net").write_text("weights")
    assert files(tmp_path) == {"gen.checkpoints/0123456789abcdef/mine": b"mine"}
    with pytest.raises(KeyboardInterrupt), checkpoint_dir(out, {}, {"steps": 2}) as folder:
        (folder / "net").write_text("weights")
        raise KeyboardInterrupt
    assert (folder / "net").exists()
    with checkpoint_dir(out, {}, {"steps": 3}):
        pass
    assert not folder.exists()
