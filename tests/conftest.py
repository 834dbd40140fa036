"""What the tests share: a table with every kind of column, its dataset and split, and a way to call a command."""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from toy_texts import use_toy_encoder

from codsa.data.dataset import Dataset, load_dataset, write_dataset
from codsa.data.preparation import prepare
from codsa.data.split import Split, load_split, write_split
from codsa.io.seeds import rng, stream
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.split import Size, target_law
from codsa.stages.split import split as split_rows

# Property-based tests: few examples, always the same ones; more with CODSA_THOROUGH=1 or --hypothesis-profile thorough.
_COMMON: dict[str, Any] = {"derandomize": True, "deadline": None, "database": None}
_COMMON["suppress_health_check"] = list(HealthCheck)
_QUICK = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
settings.register_profile("quick", max_examples=6, phases=_QUICK, **_COMMON)
settings.register_profile("thorough", max_examples=200, phases=(*_QUICK, Phase.shrink), **_COMMON)
settings.load_profile("thorough" if os.environ.get("CODSA_THOROUGH") == "1" else "quick")


class Ended(NamedTuple):
    """How a command ended: exit code 0 is success."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Ended]


def call(main: Callable[[], None], *arguments: object) -> Ended:
    """Call a command's entry point with arguments."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["command", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            logging.captureWarnings(False)
    return Ended(code, out.getvalue(), err.getvalue())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the longest tests first: at the end the other processes would wait for them."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Make a folder once, for all processes that run tests, and return it; the others wait until it is there."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / f"{name}.done").exists():
            shutil.rmtree(root / name, ignore_errors=True)
            make(root / name)
            (root / f"{name}.done").touch()
    return root / name


@pytest.fixture
def run_cli() -> RunCli:
    """`run_cli(codsa.cli.split.main, "--data", folder, …)` → (code, out, err)."""
    return call


def make_mixed_table(n: int = 240) -> pd.DataFrame:
    """Make a table with every kind of column and a class of which 15 % are 'sick'."""
    random = np.random.default_rng(20250407)
    sick = np.arange(n) % 20 < 3
    income = np.where(random.random(n) < 0.3, 0.0, random.lognormal(1.0, 1.5, n))
    score = random.normal(np.where(sick, 1.5, 0.0), 1.0)
    score[random.permutation(n)[: n // 10]] = np.nan
    site = random.choice(["north", "south", "west"], n, p=[0.6, 0.3, 0.1]).astype(object)
    site[random.permutation(n)[: n // 16]] = None
    seen = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), unit="D")
    return pd.DataFrame(
        {
            "patient_id": [f"P{i:04d}" for i in random.permutation(n)],
            "income": income,
            "score": score,
            "visits": random.poisson(3, n) + 2 * sick,
            "site": site,
            "smoker": random.random(n) < np.where(sick, 0.7, 0.3),
            "seen": seen.strftime("%Y-%m-%d"),
            "empty": np.nan,
            "y": np.where(sick, "sick", "well"),
        }
    )


@pytest.fixture
def mixed_table() -> pd.DataFrame:
    """240 rows: numeric, integer, categorical, boolean, dates, missing values, an identifier, an empty column."""
    return make_mixed_table()


def write_prepared(folder: Path, raw: pd.DataFrame, rule: RegionRule | None = None, **said: object) -> Dataset:
    """Prepare a table with target `y`, write it and load it back."""
    rows, schema = prepare(raw, ColumnOptions(target="y", **said), rule or RegionRule())
    write_dataset(folder, rows, schema, {})
    return load_dataset(folder)


@pytest.fixture
def dataset(mixed_table: pd.DataFrame, tmp_path: Path) -> Dataset:
    """The mixed table, prepared, written to `tmp_path / "data"` and loaded back."""
    return write_prepared(tmp_path / "data", mixed_table)


@pytest.fixture
def split(dataset: Dataset, tmp_path: Path) -> Split:
    """The dataset's split, written to `tmp_path / "split.parquet"`: 20 validation and 20 test rows, Q balanced."""
    q = target_law("balanced", dataset.schema, dataset.regions())
    frame = split_rows(dataset, q, Size(count=20), Size(count=20), rng(stream(0, "split")))
    write_split(tmp_path / "split.parquet", frame, dataset, q, {})
    return load_split(tmp_path / "split.parquet", dataset)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence encoder is one that needs no model."""
    use_toy_encoder(monkeypatch)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running Slurm for the tests under tests/cluster; without one a test is skipped, and says so."""
    import own_slurm as slurm

    reason = slurm.missing()
    if reason is not None:
        pytest.skip(f"NOTHING WAS TESTED ON SLURM: {reason}")
    taken = slurm.lock()
    if taken is None:
        pytest.skip("NOTHING WAS TESTED ON SLURM: another test run on this machine has it")
    with taken:
        slurm.start(tmp_path_factory.mktemp("slurm"))
        yield
        slurm.stop()
