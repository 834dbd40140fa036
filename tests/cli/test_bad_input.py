"""Whatever a user gets wrong ends in one line that says so, exit code 2, and no half-written file."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Ended, call, make_mixed_table

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.main import main as codsa
from codsa.cli.prepare import main as codsa_prepare
from codsa.cli.sample import main as codsa_sample
from codsa.cli.split import main as codsa_split
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.io.artifacts import new_files
from codsa.io.digests import file_digest
from codsa.io.files import atomic_write
from codsa.io.manifests import write_manifest
from codsa.io.records import read_json
from codsa.io.tables import read_parquet, write_parquet
from codsa.readers.tables import read_table

FAST = ("--estimator", "gradient-boosting", "--set", "max_iter=3")


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too, with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(ended: Ended, *words: str) -> bool:
    """Check that a command ended with one line of error that has these words, and no traceback."""
    errors = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert ended.code == 2, ended
    assert len(errors) == 1 and ended.err.splitlines()[-1] == errors[0]
    assert "Traceback" not in ended.err + ended.out
    for word in words:
        assert word in errors[0]
    return True


def nothing_but(folder: Path, *names: str) -> bool:
    """Check that a folder holds these files and no other."""
    assert sorted(files(folder)) == sorted(names)
    return True


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, its split, a bootstrap generator at r = 0.5 and a pool of 40 rows of each region; read only."""
    folder = tmp_path_factory.mktemp("study")
    make_mixed_table().to_csv(folder / "raw.csv", index=False)
    dataset = ("--data", folder / "data")
    split = (*dataset, "--split", folder / "split.parquet")
    assert call(codsa_prepare, folder / "raw.csv", "--out", folder / "data").code == 0
    assert call(codsa_split, *dataset, "--out", folder / "split.parquet").code == 0
    options = ("--generator", "bootstrap", "--r", 0.5)
    assert call(codsa_train_gen, *split, *options, "--out", folder / "gen").code == 0
    assert call(codsa_sample, "--generator", folder / "gen", "--rows", 40, "--out", folder / "pool").code == 0
    return folder


@pytest.fixture
def given(study: Path) -> tuple[object, ...]:
    return ("--data", study / "data", "--split", study / "split.parquet")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "artefact"


# ------------------------------------------------------------------ configuration


def configured(folder: Path, **changes: Any) -> Path:
    experiment = {"name": "toy", "data": {"simulation": {"name": "imbalanced-classification"}}, **changes}
    (folder / "toy.yaml").write_text(yaml.safe_dump(experiment), encoding="utf-8")
    config = {"results": str(folder / "results"), "experiments": [str(folder / "toy.yaml")]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder / "config.yaml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"replicate": 2}, ("toy.yaml", "unknown key 'replicate'", "did you mean 'replicates'")),
        ({"grid": {"alphas": [1]}}, ("toy.yaml", "grid: unknown key 'alphas'", "did you mean 'alpha'")),
        ({"grid": {"r": [1.5]}}, ("toy.yaml", "grid.r.0 = 1.5")),
        ({"scales": {"full": {}}}, ("toy.yaml", "no scale 'quick'")),
    ],
)
def test_a_wrong_experiment(changes: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    assert refused(call(codsa, "summary", "--config", configured(tmp_path, **changes)), *words)


def test_a_wrong_configuration(tmp_path: Path) -> None:
    config = configured(tmp_path)
    config.write_text(config.read_text(encoding="utf-8") + "scail: quick\n", encoding="utf-8")
    assert refused(call(codsa, "summary", "--config", config), "unknown key 'scail'", "did you mean 'scale'")
    assert refused(call(codsa, "summary", "--config", tmp_path / "none.yaml"), "none.yaml", "no such file")
    assert refused(call(codsa, "summary", "--config", tmp_path), str(tmp_path))


# ------------------------------------------------------------------ raw tables


def table(**columns: Any) -> pd.DataFrame:
    n = 60
    return pd.DataFrame({"x": np.linspace(0, 1, n), "y": ["a", "b"] * (n // 2), **columns})


def prepared(raw: Path, out: Path, *options: object) -> Ended:
    ended = call(codsa_prepare, raw, "--out", out, *options)
    assert ended.code == 0 or not out.exists() or not files(out)
    return ended


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({}, ("--target", "yy"), ("no column 'yy'", "did you mean 'y'")),
        ({"y": "same"}, (), ("target 'y'", "constant (same)")),
        ({"y": ["a"] * 55 + ["b"] * 5}, (), ("region 'b' has 5 rows (fewer than 20)", "one region only")),
        ({"void": np.nan}, ("--column", "void=numeric"), ("column 'void'", "every value is missing")),
        ({"void": np.nan}, ("--column", "void=feature"), ("column 'void'", "every value is missing")),
        ({"void": np.nan}, ("--group", "void"), ("column 'void'", "every value is missing")),
        ({"w": [np.inf, -np.inf] + [1.5] * 58}, (), ("column 'w'", "2 infinite values")),
        ({"w": ["u"] * 60}, ("--column", "w=integer"), ("column 'w'", "not readable as integer")),
        ({}, ("--column", "x=nummeric"), ("'nummeric'", "did you mean 'numeric'")),
        ({}, ("--column", "x"), ("--column x", "NAME=")),
        ({}, ("--column", "x=target"), ("--column x=target", "target")),
        ({}, ("--regions", "rang"), ("by = 'rang'", "did you mean 'range'")),
        ({}, ("--regions", "range", "--region-column", "x", "--edge", "soon"), ("edge 'soon'",)),
        ({}, ("--regions", "range", "--region-column", "x", "--edge", "2020-01-01"), ("has no row",)),
        ({}, ("--regions", "expression", "--expression", "low"), ("--expression low", "NAME=VALUE")),
        ({}, ("--regions", "expression", "--expression", "low=x <"), ("'x <'", "cannot be evaluated")),
        ({}, ("--task", "clustering"), ("task = 'clustering'",)),
        ({}, ("--sha256", "0" * 64), ("checksum", "expected 0000")),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_wrong_table(
    suffix: str, columns: dict[str, Any], options: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, out: Path
) -> None:
    frame, raw = table(**columns), tmp_path / f"raw{suffix}"
    frame.to_csv(raw, index=False) if suffix == ".csv" else frame.to_parquet(raw)
    assert refused(prepared(raw, out, *options), *words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"", ("t.csv", "empty")),
        ("t.csv", b"\n\n", ("t.csv", "empty")),
        ("t.csv", b"x,y\n", ("t.csv", "no rows")),
        ("t.csv", b"x,y,x\n1,a,2\n", ("column name 'x' stands 2 times",)),
        ("t.csv", "x,y\n1,caf\u00e9\n".encode("latin-1"), ("target 'y' is constant (caf\u00e9)",)),
        ("t.csv", b"x,y\n1,a,3\n2,b,4\n", ("more fields than the header",)),
        ("t.csv", b"x,y\n1,a\n2,b,4,5\n", ("not readable as .csv",)),
        ("t.csv.gz", b"nonsense", ("not readable as .csv",)),
        ("t.csv.gz", gzip.compress(b"x,y\n1,a\n" * 2000, mtime=0)[:-20], ("not readable as .csv",)),
        ("t.csv.xz", b"nonsense", ("not readable as .csv",)),
        ("t.csv.bz2", b"nonsense", ("not readable as .csv",)),
        ("t.csv.zip", b"nonsense", ("not readable as .csv",)),
        ("t.csv.zst", b"nonsense", ("not readable as .csv",)),
        ("t.parquet", b"PAR1nonsense", ("not readable as Parquet",)),
        ("t.parquet", b"", ("empty",)),
        ("t.pdf", b"nonsense", ("'.pdf' is not known", ".csv, .tsv, .txt, .jsonl, .parquet, .xlsx or .ods")),
    ],
)
def test_a_file_that_is_no_table(name: str, content: bytes, words: tuple[str, ...], tmp_path: Path, out: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(prepared(tmp_path / name, out), *words)


def test_a_truncated_parquet(tmp_path: Path, out: Path) -> None:
    raw = tmp_path / "raw.parquet"
    table().to_parquet(raw)
    raw.write_bytes(raw.read_bytes()[:-100])
    assert refused(prepared(raw, out), "raw.parquet", "not readable as Parquet", "truncated")


def test_duplicate_names_and_lists_in_a_parquet(tmp_path: Path, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1.5], [2.5], ["a"]], names=["x", "x", "y"]), tmp_path / "twice.parquet")
    assert refused(prepared(tmp_path / "twice.parquet", out), "column name 'x' stands 2 times")
    table(v=[[1.0, 2.0]] * 60).to_parquet(tmp_path / "lists.parquet")
    assert refused(prepared(tmp_path / "lists.parquet", out), "column 'v'", "ndarray")


def test_a_table_that_is_not_there(tmp_path: Path, out: Path) -> None:
    assert refused(prepared(tmp_path / "none.csv", out), "none.csv", "no such file")
    assert refused(prepared(tmp_path, out), "no images found")
    assert refused(call(codsa_prepare, "simulation:imbalanced", "--out", out), "no simulation 'imbalanced'")


@pytest.mark.parametrize(
    "suffix", [".csv", ".tsv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip", ".csv.zst", ".PARQUET"]
)
def test_tables_of_every_kind_are_read(suffix: str, tmp_path: Path, out: Path) -> None:
    import pyarrow as pa

    raw, frame = tmp_path / f"raw{suffix}", table(x=[None, "é", "?"] * 20)
    if suffix == ".PARQUET":
        frame.replace("?", None).to_parquet(raw)
    elif suffix == ".csv.zst":
        with pa.output_stream(str(raw), compression="zstd") as stream:
            stream.write(frame.to_csv(index=False).encode())
    else:
        frame.to_csv(raw, index=False, sep="\t" if suffix == ".tsv" else ",")
    assert prepared(raw, out).code == 0
    assert read_parquet(out / "rows.parquet")["x"].value_counts(dropna=False).tolist() == [40, 20]


def test_a_comma_at_the_end_of_rows_moves_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,a,\n2,b,\n", encoding="utf-8")
    assert read_table(tmp_path / "t.csv").to_dict("list") == {"x": [1, 2], "y": ["a", "b"]}


# ------------------------------------------------------------------ downloads


@pytest.fixture
def url(tmp_path: Path) -> tuple[str, str]:
    raw = tmp_path / "raw.csv"
    table().to_csv(raw, index=False)
    return raw.as_uri(), file_digest(raw)


def test_a_url_is_fetched_with_its_checksum(url: tuple[str, str], out: Path) -> None:
    address, sha256 = url
    assert call(codsa_prepare, address, "--sha256", sha256.upper(), "--out", out).code == 0
    assert file_digest(out / "raw/raw.csv") == sha256
    assert read_json(out / "manifest.json")["parameters"]["sha256"] == sha256


def test_a_url_needs_its_checksum(url: tuple[str, str], out: Path) -> None:
    assert refused(prepared(url[0], out), "needs its checksum", "sha256")  # type: ignore[arg-type]


def test_a_download_of_other_content_is_refused(url: tuple[str, str], out: Path) -> None:
    ended = prepared(url[0], out, "--sha256", "f" * 64)  # type: ignore[arg-type]
    assert refused(ended, f"checksum {url[1]}, expected {'f' * 64}")


def test_an_address_that_leads_nowhere(url: tuple[str, str], out: Path) -> None:
    ended = prepared(url[0] + ".none", out, "--sha256", "f" * 64)  # type: ignore[arg-type]
    assert refused(ended, "raw.csv.none", "cannot be fetched")


# ------------------------------------------------------------------ datasets


def copied(study: Path, tmp_path: Path) -> Path:
    shutil.copytree(study, tmp_path / "study")
    return tmp_path / "study"


def test_a_region_with_too_few_rows_for_the_split(study: Path, out: Path) -> None:
    ended = call(codsa_split, "--data", study / "data", "--test", 60, "--validation", 20, "--out", out)
    assert refused(ended, "region 'sick' has 36 rows; 42 are needed (30 test, 10 validation, 2 training)")
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--law", "balance"), ("law = 'balance'",)),
        (("--law", "{ill: 1}"), ("no region 'ill'",)),
        (("--law", "0.5"), ("law = 0.5",)),
        (("--law", "{sick"), ("'{sick'", "cannot be read")),
        (("--test", "0"), ("size 0",)),
        (("--validation", "half"), ("size 'half'",)),
    ],
)
def test_a_wrong_split(options: tuple[str, ...], words: tuple[str, ...], study: Path, out: Path) -> None:
    assert refused(call(codsa_split, "--data", study / "data", "--out", out, *options), *words)
    assert not out.parent.exists()


def test_a_folder_that_is_no_dataset(tmp_path: Path, out: Path) -> None:
    assert refused(call(codsa_split, "--data", tmp_path, "--out", out), "manifest.json", "no such file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: (data / "rows.parquet").write_bytes((data / "rows.parquet").read_bytes()[:-50]), ("truncated",)),
        (lambda data: (data / "rows.parquet").unlink(), ("rows.parquet", "no such file")),
        (lambda data: (data / "schema.json").write_text("{"), ("schema.json", "not readable as JSON")),
        (lambda data: (data / "schema.json").write_text("[]"), ("not a CoDSA schema",)),
        (lambda data: table().to_parquet(data / "rows.parquet"), ("rows.parquet", "differs from its manifest")),
    ],
)
def test_a_spoilt_dataset(
    spoil: Callable[[Path], Any], words: tuple[str, ...], study: Path, tmp_path: Path, out: Path
) -> None:
    folder = copied(study, tmp_path)
    spoil(folder / "data")
    assert refused(call(codsa_split, "--data", folder / "data", "--out", out), *words)
    assert not out.parent.exists()


# ------------------------------------------------------------------ generators and pools


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--r", "0"), ("r = 0.0", "(0, 1]")),
        (("--r", "1.01"), ("r = 1.01", "(0, 1]")),
        (("--r", "0.01"), ("region 'sick' has no row in S_g at r = 0.01",)),
        (("--generator", "bootsrap"), ("no generator 'bootsrap'", "did you mean 'bootstrap'")),
        (("--generator", "my.own:Thing"), ("my.own:Thing", "cannot be imported")),
        (
            ("--generator", "smote", "--set", "k_neighbour=3"),
            ("no setting 'k_neighbour'", "did you mean 'k_neighbors'"),
        ),
        (("--set", "steps"), ("--set steps", "KEY=VALUE")),
        (("--generator", "tabular-diffusion", "--pretrained", "none"), ("none/manifest.json", "no such file")),
    ],
)
def test_a_wrong_training(
    options: tuple[str, ...], words: tuple[str, ...], given: tuple[object, ...], out: Path
) -> None:
    assert refused(call(codsa_train_gen, *given, "--generator", "bootstrap", *options, "--out", out), *words)
    assert not out.parent.exists() or not files(out.parent)


def test_training_needs_a_split_of_the_same_rows(study: Path, tmp_path: Path, out: Path) -> None:
    assert refused(call(codsa_train_gen, "--data", study / "data", "--out", out), "--split is needed")
    other = other_study(study, tmp_path)
    split = ("--data", study / "data", "--split", other / "split.parquet")
    assert refused(call(codsa_train_gen, *split, "--out", out), "made from another dataset")


def test_a_folder_of_another_stage(study: Path, given: tuple[object, ...], out: Path) -> None:
    ended = call(codsa_sample, "--generator", study / "data", "--rows", 5, "--out", out)
    assert refused(ended, "made by stage 'prepare', not 'train-gen'")
    assert refused(call(codsa_eval, *given, "--fits", study / "gen", "--out", out), "'train-gen', not 'fit'")
    assert refused(call(codsa_fit, *given, "--pool", study / "gen", "--out", out), "no pool there")
    ended = call(codsa_train_gen, *given, "--pretrained", study / "gen", "--out", out)
    assert refused(ended, "made by stage 'train-gen', not 'pretrain'")
    assert not out.exists()


def test_a_spoilt_generator(study: Path, tmp_path: Path, out: Path) -> None:
    folder = copied(study, tmp_path)
    members = folder / "gen/members.parquet"
    members.write_bytes(members.read_bytes()[:-1] + b"x")
    ended = call(codsa_sample, "--generator", folder / "gen", "--rows", 5, "--out", out)
    assert refused(ended, "members.parquet", "differs from its manifest")
    members.unlink()
    ended = call(codsa_sample, "--generator", folder / "gen", "--rows", 5, "--out", out)
    assert refused(ended, "members.parquet", "no such file") and not out.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("either --rows, or --grid",)),
        (("--rows", "5", "--region", "ill"), ("no region 'ill'",)),
        (("--rows", "5", "--shard", "3/2"), ("--shard 3/2",)),
        (("--grid", "{m: [1], alpha: [balance]}"), ("--grid needs --data and --split",)),
    ],
)
def test_a_wrong_sampling(options: tuple[str, ...], words: tuple[str, ...], study: Path, out: Path) -> None:
    assert refused(call(codsa_sample, "--generator", study / "gen", *options, "--out", out), *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ("{m: [1], alfa: [balance]}", ("unknown key 'alfa'", "did you mean 'alpha'")),
        ("{m: 1, alpha: [balance]}", ("grid: m = 1", "list")),
        ("3", ("grid: holds no keys but 3",)),
        ("{m: [1], alpha: [1.5]}", ("alpha = 1.5", "[0, 1]")),
        ("{m: [1], alpha: [{sick: 0.5}]}", ("not on the simplex",)),
        ("{m: [1], alpha: [0.5], focus: ill}", ("no region 'ill'",)),
        ("{m: [1], alpha: [0.5], reserve: some}", ("reserve = 'some'",)),
    ],
)
def test_a_wrong_grid(grid: str, words: tuple[str, ...], study: Path, given: tuple[object, ...], out: Path) -> None:
    assert refused(call(codsa_sample, "--generator", study / "gen", "--grid", grid, *given, "--out", out), *words)
    assert not out.exists()


def other_study(study: Path, tmp_path: Path) -> Path:
    """The same rows with one value changed, and the split of another replicate."""
    folder = tmp_path / "other"
    rows = pd.read_csv(study / "raw.csv")
    rows.loc[0, "income"] += 1
    folder.mkdir()
    rows.to_csv(folder / "raw.csv", index=False)
    assert call(codsa_prepare, folder / "raw.csv", "--out", folder / "data").code == 0
    assert call(codsa_split, "--data", folder / "data", "--out", folder / "split.parquet").code == 0
    return folder


def test_a_generator_of_another_dataset(study: Path, tmp_path: Path, out: Path) -> None:
    other = other_study(study, tmp_path)
    given = ("--data", other / "data", "--split", other / "split.parquet")
    grid = ("--grid", "{m: [1], alpha: [balance]}")
    ended = call(codsa_sample, "--generator", study / "gen", *grid, *given, "--out", out)
    assert refused(ended, "trained on another dataset") and not out.exists()


def test_a_pool_of_another_dataset(study: Path, tmp_path: Path, out: Path) -> None:
    other = other_study(study, tmp_path)
    given = ("--data", other / "data", "--split", other / "split.parquet")
    asked = ("--r", 0.5, "--m", 0.1, *FAST)
    ended = call(codsa_fit, *given, "--pool", study / "pool", *asked, "--out", out)
    assert refused(ended, "the pool comes from a generator of another dataset") and not out.exists()


def test_a_pool_of_other_columns(study: Path, tmp_path: Path, out: Path) -> None:
    table(y=["sick", "well"] * 30).to_csv(tmp_path / "raw.csv", index=False)
    assert call(codsa_prepare, tmp_path / "raw.csv", "--out", tmp_path / "data").code == 0
    assert call(codsa_split, "--data", tmp_path / "data", "--out", tmp_path / "split.parquet").code == 0
    given = ("--data", tmp_path / "data", "--split", tmp_path / "split.parquet")
    ended = call(codsa_fit, *given, "--pool", study / "pool", "--r", 0.5, "--m", 0.1, *FAST, "--out", out)
    assert refused(ended, "columns are not those of the dataset") and not out.exists()


def test_a_pool_of_another_split_or_ratio(study: Path, tmp_path: Path, out: Path) -> None:
    """Its generator may have seen rows that validate, test or are reserved here."""
    split = tmp_path / "split.parquet"
    assert call(codsa_split, "--data", study / "data", "--replicate", 1, "--out", split).code == 0
    asked = ("--pool", study / "pool", "--m", 0.1, *FAST, "--out", out)
    ended = call(codsa_fit, "--data", study / "data", "--split", split, "--r", 0.5, *asked)
    assert refused(ended, "trained on another split")
    ended = call(codsa_fit, "--data", study / "data", "--split", study / "split.parquet", "--r", 0.25, *asked)
    assert refused(ended, "trained at r = 0.5, not 0.25") and not out.exists()


def test_shards_of_different_generators(study: Path, given: tuple[object, ...], tmp_path: Path, out: Path) -> None:
    assert call(codsa_train_gen, *given, "--generator", "bootstrap", "--r", 0.8, "--out", tmp_path / "gen").code == 0
    for generator, shard in ((study / "gen", "1/2"), (tmp_path / "gen", "2/2")):
        ended = call(codsa_sample, "--generator", generator, "--rows", 9, "--shard", shard, "--out", tmp_path / "pool")
        assert ended.code == 0
    ended = call(codsa_fit, *given, "--pool", tmp_path / "pool", "--r", 0.5, "--m", 0.1, *FAST, "--out", out)
    assert refused(ended, "different generators") and not out.exists()


def test_a_pool_that_lacks_a_shard_or_is_spoilt(
    study: Path, given: tuple[object, ...], tmp_path: Path, out: Path
) -> None:
    pool = tmp_path / "pool"
    sampled = ("--generator", study / "gen", "--rows", 9, "--out", pool)
    assert call(codsa_sample, *sampled, "--shard", "1/2").code == 0
    asked = (*given, "--pool", pool, "--r", 0.5, "--m", 0.1, *FAST, "--out", out)
    assert refused(call(codsa_fit, *asked), "1 of 2 shards")
    assert call(codsa_sample, *sampled).code == 0
    part = next(pool.glob("region~0*/*.parquet"))
    write_parquet(part, read_parquet(part).head(3))
    assert refused(call(codsa_fit, *asked), part.name, "differs from its manifest") and not out.exists()


# ------------------------------------------------------------------ fits


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--r", "0"), ("r = 0.0", "(0, 1]")),
        (("--r", "1.5"), ("r = 1.5", "(0, 1]")),
        (("--r", "nan"), ("r = nan", "(0, 1]")),
        (("--alpha", "1.5"), ("alpha = 1.5", "[0, 1]")),
        (("--alpha", "{sick: 0.5, well: 0.6}"), ("not on the simplex", "sum to 1.1")),
        (("--alpha", "{ill: 1}"), ("no region 'ill'", "did you mean")),
        (("--alpha", "[0.5, 0.5]"), ("alpha = [0.5, 0.5]",)),
        (("--alpha", "balanced"), ("alpha 'balanced'", "did you mean 'balance'")),
        (("--alpha", ""), ("--alpha: an empty value",)),
        (("--alpha", "null"), ("alpha = None",)),
        (("--m", "-1"), ("m.0 = -1.0",)),
        (("--m", "inf"), ("m.0 = inf",)),
        (("--m", "3"), ("the allocation asks for", "the pool holds 40", "lower m")),
        (("--focus", "ill", "--alpha", "0.5"), ("no region 'ill'",)),
        (("--reserve", "disjunct"), ("reserve = 'disjunct'", "did you mean 'disjoint'")),
        (("--estimator", "gradient-bosting"), ("no estimator 'gradient-bosting'", "did you mean 'gradient-boosting'")),
        (("--set", "max_itr=5"), ("no setting 'max_itr'", "did you mean 'max_iter'")),
        (("--metric", "kapa"), ("metric 'kapa'", "did you mean 'kappa'")),
        (("--metric", "mse"), ("metric 'mse' is not one for classification",)),
        (("--preprocess", "scale"), ("preprocess = 'scale'",)),
        (("--preprocess", "none"), ("takes numbers only",)),
    ],
)
def test_a_wrong_fit(
    options: tuple[str, ...], words: tuple[str, ...], study: Path, given: tuple[object, ...], out: Path
) -> None:
    usual = ("--pool", study / "pool", "--r", 0.5, *FAST, "--out", out)
    asked = options if "--m" in options else (*options, "--m", 0.1)
    assert refused(call(codsa_fit, *given, *usual, *asked), *words)
    assert not out.parent.exists() or not files(out.parent)


def test_nothing_to_fit_on(given: tuple[object, ...], out: Path) -> None:
    assert refused(call(codsa_fit, *given, "--r", 0.5, "--m", 1, *FAST, "--out", out), "no pool; give --pool")
    assert not out.exists()


def test_a_wrong_evaluation(given: tuple[object, ...], study: Path, tmp_path: Path, out: Path) -> None:
    fits = tmp_path / "fits"
    assert call(codsa_fit, *given, "--reserve", "all", *FAST, "--out", fits).code == 0
    split = tmp_path / "split.parquet"
    assert call(codsa_split, "--data", study / "data", "--replicate", 1, "--out", split).code == 0
    ended = call(codsa_eval, "--data", study / "data", "--split", split, "--fits", fits, "--out", out)
    assert refused(ended, "fitted on another split")
    fits_table = read_parquet(fits / "fits.parquet").assign(validation=0.0)
    write_parquet(fits / "fits.parquet", fits_table)
    assert refused(call(codsa_eval, *given, "--fits", fits, "--out", out), "differs from its manifest")
    assert not out.exists()


# ------------------------------------------------------------------ a full disk


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def no_space(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Parquet files end half-way, and JSON files as well."""

    def half(self: pd.DataFrame, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"PAR1")
        full()

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    return monkeypatch


Stage = Callable[[Path, Path], Ended]
STAGES: dict[str, Stage] = {
    "prepare": lambda study, out: call(codsa_prepare, study / "raw.csv", "--out", out),
    "split": lambda study, out: call(codsa_split, "--data", study / "data", "--out", out / "split.parquet"),
    "train-gen": lambda study, out: call(
        codsa_train_gen, "--data", study / "data", "--split", study / "split.parquet", "--generator", "bootstrap",
        "--out", out / "gen",
    ),
    "sample": lambda study, out: call(codsa_sample, "--generator", study / "gen", "--rows", 5, "--out", out),
    "fit": lambda study, out: call(
        codsa_fit, "--data", study / "data", "--split", study / "split.parquet", "--reserve", "all", *FAST,
        "--out", out / "fits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_leaves_nothing(stage: str, study: Path, tmp_path: Path, no_space: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    assert refused(STAGES[stage](study, tmp_path / "out"), "No space left on device")
    assert nothing_but(tmp_path / "out")


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_leaves_no_half_manifest(
    stage: str, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(Path, "write_text", full)
    assert refused(STAGES[stage](study, tmp_path / "out"), "No space left on device")
    assert not [name for name in files(tmp_path / "out") if name.endswith((".json", ".part"))]


def test_a_full_disk_keeps_what_was_there(study: Path, tmp_path: Path, no_space: pytest.MonkeyPatch) -> None:
    folder = copied(study, tmp_path)
    before = files(folder)
    for stage, name in (("prepare", "data"), ("split", "."), ("train-gen", "."), ("sample", "pool")):
        assert refused(STAGES[stage](folder, folder / name), "No space left on device")
    assert files(folder) == before


def test_a_full_disk_for_a_new_experiment(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(self: Path, text: str, **_: object) -> None:
        self.write_bytes(text[:10].encode())
        full()

    monkeypatch.setattr(Path, "write_text", half)
    ended = call(codsa, "new", study / "raw.csv", "--target", "y", "--out", tmp_path / "out/mine.yaml")
    assert refused(ended, "No space left on device") and nothing_but(tmp_path / "out")


def test_a_file_where_a_folder_is_needed(study: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for stage in ("prepare", "split", "train-gen"):
        assert refused(STAGES[stage](study, tmp_path / "file"), "file")
    assert files(tmp_path) == {"file": b"mine"}


def test_errors_of_ours_keep_their_traceback(study: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codsa.data.rows.open_dataset", lambda folder: {}["ours"])
    with pytest.raises(KeyError, match="ours"):
        call(codsa_split, "--data", study / "data", "--out", out)


def test_a_whole_file_is_renamed_at_the_end(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as part:
        part.write_text("new", encoding="utf-8")
        assert not (tmp_path / "a.txt").exists() and part.parent == tmp_path
    assert files(tmp_path) == {"a.txt": b"new"}
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a.txt") as part:
        part.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert files(tmp_path) == {"a.txt": b"new"}


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_files_have_the_permissions_that_the_umask_leaves(mask: int, tmp_path: Path) -> None:
    """The library for weights keeps its files to the owner, whom a group does not share them with then."""
    from safetensors.numpy import save_file

    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "folder") as part:
            part.mkdir()
            save_file({"x": np.ones(3)}, part / "weights.safetensors")
        with new_files(tmp_path / "b.json", "toy") as staged:
            save_file({"x": np.ones(3)}, staged / "a.safetensors")
            write_manifest(staged / "b.json", "toy", {}, {})
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3 and {path.stat().st_mode & 0o777 for path in written} == {0o666 & ~mask}


def test_digests_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
