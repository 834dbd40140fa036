"""A small finished study in the layout of the workflow, made by the commands: two methods, and one that chooses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from conftest import call

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.prepare import main as codsa_prepare
from codsa.cli.sample import main as codsa_sample
from codsa.cli.split import main as codsa_split
from codsa.cli.train_gen import main as codsa_train_gen

MODEL = ("--estimator", "logistic", "--set", "max_iter=50")
R = 0.5


def _done(command: object, *words: object) -> None:
    ended = call(command, *words)  # type: ignore[arg-type]
    assert ended.code == 0, ended.err


def make_chosen_study(
    folder: Path,
    table: Path,
    prepare: Sequence[object] = (),
    replicates: int = 1,
    model: Sequence[object] = MODEL,
    pool_weight: float = 1.0,
    trust: Sequence[object] = (),
) -> Path:
    """Prepare a table, and fit `none`, `boot` (with bootstrapped rows) and `codsa-auto`, which chooses among them.

    Parameters
    ----------
    prepare : sequence
        Further options of codsa-prepare.
    trust : sequence
        The options of codsa-eval by which an estimator of one's own may run.
    """
    _done(codsa_prepare, table, *prepare, "--out", folder / "data")
    for replicate in range(replicates):
        rep, stream = folder / f"rep~{replicate}", ("--replicate", replicate)
        split = ("--data", folder / "data", "--split", rep / "split.parquet")
        _done(codsa_split, *split[:2], *stream, "--out", split[3])
        generated = rep / "gen~bootstrap" / f"r~{R}"
        options = ("--generator", "bootstrap", "--r", R, *stream)
        _done(codsa_train_gen, *split, *options, "--out", generated / "generator")
        _done(codsa_sample, "--generator", generated / "generator", "--rows", 60, *stream, "--out", generated / "pool")
        none, boot = rep / "fit~none" / "r~1.0", rep / "fit~boot" / f"r~{R}"
        _done(codsa_fit, *split, *model, "--reserve", "all", *stream, "--out", none)
        pool = ("--pool", generated / "pool", "--r", R, "--m", 0.2, "--pool-weight", pool_weight)
        _done(codsa_fit, *split, *model, *pool, *stream, "--out", boot)
        methods = {"none": [none], "boot": [boot], "codsa-auto": [none, boot]}
        words: list[object] = []
        for name, fits in methods.items():
            kind = "primary" if name == "codsa-auto" else "codsa"
            asked = {"method": name, "fits": [str(fit) for fit in fits], "kind": kind}
            asked |= {"pool": [str(generated / "pool")] if boot in fits else [], "out": str(rep / f"eval~{name}")}
            words += ["--evaluation", json.dumps(asked)]
        _done(codsa_eval, *split, *words, *trust, *stream)
    return folder
