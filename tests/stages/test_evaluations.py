"""Several evaluations in one call: the bytes of single calls, and refusals that name the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import RunCli

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.sample import main as codsa_sample
from codsa.cli.train_gen import main as codsa_train_gen
from codsa.data.dataset import Dataset
from codsa.data.split import Split
from codsa.errors import CodsaError
from codsa.settings.evaluation import Evaluation


def test_one_call_writes_the_bytes_of_two(run_cli: RunCli, dataset: Dataset, split: Split, tmp_path: Path) -> None:
    given = ["--data", tmp_path / "data", "--split", tmp_path / "split.parquet"]
    run_cli(codsa_train_gen, *given, "--generator", "bootstrap", "--r", 0.5, "--out", tmp_path / "gen")
    run_cli(codsa_sample, "--generator", tmp_path / "gen", "--rows", 40, "--out", tmp_path / "pool")
    model = ["--set", "max_iter=3", "--reserve", "all"]
    run_cli(codsa_fit, *given, *model, "--out", tmp_path / "none")
    pool = ["--pool", tmp_path / "pool", "--r", 0.5, "--m", 0.1]
    run_cli(codsa_fit, *given, *model, *pool, "--out", tmp_path / "boot")
    asked: list[dict[str, Any]] = [
        {"method": "none", "fits": [str(tmp_path / "none")]},
        {"method": "boot", "fits": [str(tmp_path / "boot")], "pool": [str(tmp_path / "pool")]},
    ]
    for one in asked:
        words = [
            "--method",
            one["method"],
            "--fits",
            one["fits"][0],
            *(["--pool", tmp_path / "pool"] * ("pool" in one)),
        ]
        ended = run_cli(codsa_eval, *given, *words, "--out", tmp_path / "single" / one["method"])
        assert ended.code == 0, ended
    several = [
        word
        for one in asked
        for word in ("--evaluation", json.dumps({**one, "out": str(tmp_path / "several" / one["method"])}))
    ]
    ended = run_cli(codsa_eval, *given, *several)
    assert ended.code == 0, ended
    files = sorted(path.relative_to(tmp_path / "single") for path in (tmp_path / "single").rglob("*.*"))
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "several" / file).read_bytes() == (tmp_path / "single" / file).read_bytes(), file
    again = run_cli(codsa_eval, *given, *several[:2], *several[:2])
    assert again.code == 2 and "give each a folder of its own" in again.err


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("fits", "write a mapping"),
        ({"fits": ["a"]}, "out is missing"),
        ({"out": "a"}, "fits is missing"),
        ({"out": "a", "fits": []}, "fits = "),
        ({"out": "a", "fits": ["b"], "pools": ["c"]}, "unknown key 'pools'; did you mean 'pool'"),
        ({"out": "a", "fits": "b"}, "fits = 'b': give a list"),
        ({"out": ["a"], "fits": ["b"]}, "out = .*: give a path"),
        ({"out": "a", "fits": [3]}, "fits.0 = 3: give a path"),
        ({"out": "a", "fits": ["b"], "method": " x"}, "method 'x': give text without spaces"),
    ],
)
def test_a_wrong_evaluation_is_named(record: Any, fault: str) -> None:
    with pytest.raises(CodsaError, match=f"--evaluation.*{fault}"):
        Evaluation.read(record, "--evaluation")


@pytest.mark.parametrize("words", [[], ["--fits", "a"], ["--evaluation", "{out: a, fits: [b]}", "--out", "c"]])
def test_single_options_and_evaluations_exclude_each_other(run_cli: RunCli, words: list[str], tmp_path: Path) -> None:
    ended = run_cli(codsa_eval, "--data", tmp_path, "--split", tmp_path / "s.parquet", *words)
    assert ended.code == 2 and "--evaluation" in ended.err and len(ended.err.splitlines()) == 1
