"""A finished toy study of every kind of artefact, and for each the command that reads it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Ended, call, make_mixed_table

from codsa.cli.eval import main as codsa_eval
from codsa.cli.fit import main as codsa_fit
from codsa.cli.main import main as codsa
from codsa.cli.prepare import main as codsa_prepare
from codsa.cli.report import main as codsa_report
from codsa.cli.sample import main as codsa_sample
from codsa.cli.split import main as codsa_split
from codsa.cli.train_gen import main as codsa_train_gen

TREES = ("--estimator", "gradient-boosting", "--set", "max_iter=2")
MLP = ("--estimator", "mlp", "--set", "epochs=1", "--set", "hidden=[4]")
TINY = ("--set", "steps=2", "--set", "width=8", "--set", "depth=1", "--set", "sampler_steps=2", "--set", "batch=32")
ROWS = "24"


@dataclass(frozen=True)
class Reader:
    """The command that reads an artefact.

    Attributes
    ----------
    main : callable
        Its entry point.
    arguments : callable
        (study, out) → its arguments.
    """

    main: Callable[[], None]
    arguments: Callable[[Path, Path], tuple[object, ...]]

    def run(self, study: Path, out: Path) -> Ended:
        """Run the command in this process."""
        return call(self.main, *self.arguments(study, out))


def given(study: Path) -> tuple[object, ...]:
    return ("--data", study / "data", "--split", study / "split.parquet")


def sampling(name: str) -> Reader:
    return Reader(codsa_sample, lambda s, out: ("--generator", s / name, "--rows", ROWS, "--out", out / "pool"))


def evaluating(name: str, *pool: str) -> Reader:
    def arguments(study: Path, out: Path) -> tuple[object, ...]:
        pools = [word for one in pool for word in ("--pool", study / one)]
        return (*given(study), "--fits", study / name, *pools, "--method", name, "--out", out / "eval")

    return Reader(codsa_eval, arguments)


def fitting(*options: object) -> Reader:
    return Reader(codsa_fit, lambda s, out: (*given(s), *options, "--out", out / "fits"))


def fitting_pool(study: Path, out: Path) -> tuple[object, ...]:
    return (*given(study), "--pool", study / "pool", "--m", 0.1, "--reserve", "all", *TREES, "--out", out / "fits")


def tuning(study: Path, out: Path) -> tuple[object, ...]:
    return (
        *given(study),
        "--pretrained",
        study / "pretrained",
        *TINY,
        "--set",
        "labels=denoiser",
        "--out",
        out / "gen",
    )


READERS = {
    "raw.csv": Reader(codsa_prepare, lambda s, out: (s / "raw.csv", "--out", out / "data")),
    "data": fitting("--reserve", "all", *TREES),
    "split.parquet": fitting("--reserve", "all", *TREES),
    "split.json": fitting("--reserve", "all", *TREES),
    "gen-bootstrap": sampling("gen-bootstrap"),
    "gen-gaussian": sampling("gen-gaussian"),
    "gen-smote": sampling("gen-smote"),
    "gen-diffusion": sampling("gen-diffusion"),
    "pretrained": Reader(codsa_train_gen, tuning),
    "pool": Reader(codsa_fit, fitting_pool),
    "fits-trees": evaluating("fits-trees", "pool"),
    "fits-mlp": evaluating("fits-mlp"),
    "fits-logistic": evaluating("fits-logistic"),
    "eval-trees": Reader(codsa_report, lambda s, out: ("--eval", s / "eval-trees", "--out", out / "report")),
    "report": Reader(codsa, lambda s, out: ("check", s / "report")),
}
"""By the first part of a file's path in the study."""


def build(folder: Path) -> Path:
    """Run every stage, with generators and estimators of every kind that a table has."""
    make_mixed_table(120).drop(columns=["seen", "empty"]).to_csv(folder / "raw.csv", index=False)
    steps: list[tuple[Callable[[], None], tuple[object, ...]]] = [
        (codsa_prepare, (folder / "raw.csv", "--out", folder / "data", "--min-rows", 5)),
        (codsa_split, ("--data", folder / "data", "--out", folder / "split.parquet")),
    ]
    for name in ("bootstrap", "gaussian", "smote"):
        steps.append((codsa_train_gen, (*given(folder), "--generator", name, "--out", folder / f"gen-{name}")))
    steps += [
        (codsa_train_gen, (*given(folder), *TINY, "--out", folder / "gen-diffusion")),
        (codsa_train_gen, ("--data", folder / "data", "--pretrain", "denoiser", *TINY, "--out", folder / "pretrained")),
    ]
    for shard in ("1/2", "2/2"):
        drawn = ("--generator", folder / "gen-bootstrap", "--rows", ROWS, "--shard", shard, "--out", folder / "pool")
        steps.append((codsa_sample, drawn))
    pool = ("--pool", folder / "pool", "--m", 0.1, "--m", 0.2)
    steps += [
        (codsa_fit, (*given(folder), *pool, "--reserve", "all", *TREES, "--keep-grid", "--out", folder / "fits-trees")),
        (codsa_fit, (*given(folder), "--reserve", "all", *MLP, "--out", folder / "fits-mlp")),
        (codsa_fit, (*given(folder), "--reserve", "all", "--estimator", "logistic", "--out", folder / "fits-logistic")),
        (codsa_eval, (*evaluating("fits-trees", "pool").arguments(folder, folder)[:-1], folder / "eval-trees")),
        (codsa_report, ("--eval", folder / "eval-trees", "--out", folder / "report")),
    ]
    for main, arguments in steps:
        ended = call(main, *arguments)
        assert ended.code == 0, ended
    return folder


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study; read only."""
    return build(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def copy(study: Path, tmp_path: Path) -> Path:
    """A copy of the study whose files may be replaced, though not written in place."""
    return Path(shutil.copytree(study, tmp_path / "study", copy_function=os.link))


def content(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="session")
def expected(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, bytes]]:
    """What the reader of an artefact writes when nothing is wrong."""
    known: dict[str, dict[str, bytes]] = {}

    def of(part: str) -> dict[str, bytes]:
        if part not in known:
            out = tmp_path_factory.mktemp("expected")
            ended = READERS[part].run(study, out)
            assert ended.code == 0, ended
            known[part] = content(out)
        return known[part]

    return of
