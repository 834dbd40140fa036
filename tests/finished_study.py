"""A small study that went through all stages, in the folders that the workflow gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from conftest import call

from codsa.cli.main import main as codsa

BOOSTING = ("--set", "max_iter=10", "--set", "min_samples_leaf=3")
FOLDS = [f"0.8-fold{j}" for j in range(5)]
CANDIDATES = {"codsa-auto": ["none", "weighted", "added"]}


def run(*words: object) -> None:
    ended = call(codsa, *words)
    assert ended.code == 0, ended


def make_study(
    folder: Path,
    source: Path | pd.DataFrame,
    *prepared: str,
    methods: Sequence[str] = ("none", "weighted", "added", "cross", "codsa-auto"),
    generator: str = "smote",
    estimator: Sequence[str] = BOOSTING,
    replicate: int = 0,
) -> Path:
    """Study a table, images or texts by some of the methods none, weighted, added, cross (five folds), codsa-auto.

    Parameters
    ----------
    source : Path or DataFrame
        With the target y.
    *prepared : str
        Further options of codsa-prepare.
    replicate : int
        After the first one, the data are there already.
    """
    if isinstance(source, pd.DataFrame):
        path = folder.parent / "table.csv"
        folder.parent.mkdir(parents=True, exist_ok=True)
        source.to_csv(path, index=False)
        source = path
    if not (folder / "data").exists():
        run("prepare", source, "--out", folder / "data", *prepared)
    rep, stream = folder / f"rep~{replicate}", ("--seed", 3, "--experiment", "toy", "--replicate", replicate)
    rows = ("--data", folder / "data", "--split", rep / "split.parquet")
    run("split", "--data", folder / "data", "--out", rep / "split.parquet", *stream)
    parts = {"added": ["1.0"], "cross": FOLDS}
    for part in [part for method in methods for part in parts.get(method, [])]:
        place = rep / "gen~own" / f"r~{part}"
        ratio = ("--fold", part[-1]) if "fold" in part else ("--r", part)
        run("train-gen", *rows, "--generator", generator, *ratio, "--out", place / "generator", *stream)
        grid = f"{{m: [0.5, 1.0], reserve: {'disjoint' if 'fold' in part else 'all'}}}"
        run("sample", "--generator", place / "generator", "--grid", grid, *rows, "--out", place / "pool", *stream)
    for method in [method for method in methods if method not in CANDIDATES]:
        pools = [word for part in parts.get(method, []) for word in ("--pool", rep / f"gen~own/r~{part}/pool")]
        words = [*pools, *(("--m", 0.5, "--m", 1) if pools else ())]
        words += ["--weighted"] if method == "weighted" else []
        words += [] if method == "cross" else ["--reserve", "all"]
        run("fit", *rows, *words, *estimator, "--out", fits_of(rep, method), *stream)
    run("eval", *rows, *(word for method in methods for word in evaluation(rep, method, methods, parts)), *stream)
    return folder


def fits_of(rep: Path, method: str) -> Path:
    return rep / f"fit~{method}" / ("r~0.8-cross" if method == "cross" else "r~1.0")


def evaluation(rep: Path, method: str, methods: Sequence[str], parts: dict[str, list[str]]) -> tuple[str, str]:
    fits = [name for name in CANDIDATES.get(method, [method]) if name in methods]
    pools = [str(rep / f"gen~own/r~{part}/pool") for name in fits for part in parts.get(name, [])]
    kind = "primary" if method == "codsa-auto" else "control"
    paths = [str(fits_of(rep, name)) for name in fits]
    return "--evaluation", f"{{method: {method}, fits: {paths}, pool: {pools}, kind: {kind}, out: {rep}/eval~{method}}}"
