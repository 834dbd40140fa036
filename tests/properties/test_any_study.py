"""Random tables, regions and laws through all stages: every invariant holds, or a stage says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import Ended, call
from hypothesis import given, note, settings
from hypothesis import strategies as st

from codsa.cli.main import main as codsa
from codsa.data.dataset import Dataset, load_dataset
from codsa.data.metrics import law_weights
from codsa.data.pool import load_pool
from codsa.data.rows import AnyDataset, in_memory
from codsa.data.split import TEST, TRAIN, VALIDATION, Split, open_split
from codsa.io.tables import read_parquet
from codsa.stages.sample import in_bounds

LEVELS = ["no", "007", "1e3", "a b", "=x", "ü", "null", "2020-01-01", "True", "%d", "a,b", "'", '"q"', "-1"]
FAST = ("--set", "max_iter=3")


class Case(NamedTuple):
    """A raw table and how it is prepared, split and augmented."""

    table: pd.DataFrame
    prepare: tuple[str, ...]
    law: str
    sizes: tuple[str, str]
    r: float
    grid: tuple[tuple[float, ...], tuple[str, ...]]
    seed: int


def column(kind: str, n: int, random: np.random.Generator, levels: list[str], missing: float) -> pd.Series:
    """Values of a kind, some of them missing."""
    values: Any = {
        "numeric": lambda: random.normal(size=n) * 10.0 ** random.integers(-6, 7),
        "integer": lambda: random.integers(-50, 50, n),
        "counts": lambda: random.poisson(0.5, n),
        "categorical": lambda: random.choice(levels, n),
        "boolean": lambda: random.random(n) < 0.4,
        "datetime": lambda: pd.Timestamp("1999-12-31") + pd.to_timedelta(random.integers(0, 9000, n), unit="h"),
        "constant": lambda: np.full(n, 3.25),
    }[kind]()
    column = pd.Series(values)
    gone = random.random(n) < missing
    if gone.any():
        nullable = {"integer": "Int64", "counts": "Int64", "boolean": "boolean"}
        column = column.astype(nullable[kind]) if kind in nullable else column
        column[gone] = None if kind in ("categorical", *nullable) else pd.NaT if kind == "datetime" else np.nan
    return column


KINDS = ["numeric", "integer", "counts", "categorical", "boolean", "datetime", "constant"]


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    """Draw a case; most of them are good, some a stage must refuse."""
    n, seed = draw(st.integers(80, 140)), draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    names = st.lists(st.sampled_from(LEVELS), min_size=2, max_size=4, unique=True)
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    gaps = draw(st.lists(st.sampled_from([0.0, 0.0, 0.1, 0.3]), min_size=4, max_size=4))
    columns = {f"c{k}": column(kind, n, random, draw(names), gaps[k]) for k, kind in enumerate(kinds)}
    columns["base"] = pd.Series(random.normal(size=n))
    options: list[str] = []
    classes = draw(names)
    if draw(st.booleans()):
        columns["y"] = pd.Series(random.choice(classes, n, p=random.dirichlet(np.full(len(classes), 4.0))))
    else:
        columns["y"] = columns["base"] * 2 + random.normal(size=n)
        options += ["--task", "regression"]
    if draw(st.booleans()):
        columns["g"] = pd.Series(random.integers(0, n // 2, n)).map("G{}".format)
        options += ["--group", "g"]
    rule = draw(st.sampled_from(["default", "default", "quantile", "range", "column"]))
    if rule != "default":
        options += ["--regions", rule, "--region-column", draw(st.sampled_from(["base", *list(columns)[: len(kinds)]]))]
        options += ["--edge", "0"] if rule == "range" else []
        options += ["--quantiles", str(draw(st.integers(2, 4)))]
    options += ["--min-rows", str(draw(st.sampled_from([10, 20])))]
    law = draw(st.sampled_from(["balanced", "training", "first"]))
    size = st.sampled_from(["0.2", "0.3", "8", "12"])
    m = draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=1, max_size=2, unique=True))
    rules = st.sampled_from(["balance", "training", "target", "0.5", "1"])
    alpha = draw(st.lists(rules, min_size=1, max_size=2, unique=True))
    ratio = draw(st.sampled_from([0.4, 0.5, 0.8, 1.0]))
    return Case(
        pd.DataFrame(columns), tuple(options), law, (draw(size), draw(size)), ratio, (tuple(m), tuple(alpha)), seed
    )


def went_well(ended: Ended) -> bool:
    """Say whether a command went well; otherwise it ended in one line of error."""
    errors = [line for line in ended.err.splitlines() if line.startswith("error:")]
    assert ended.code in (0, 2) and "Traceback" not in ended.err, ended
    if ended.code == 2:
        note(ended.err)
        assert len(errors) == 1 and ended.err.splitlines()[-1] == errors[0]
    return ended.code == 0


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def prepared(case: Case, folder: Path) -> Dataset | None:
    """Prepare twice: the same bytes, and the values are those of the table."""
    case.table.to_parquet(folder / "raw.parquet")
    for out in ("data", "again"):
        if not went_well(call(codsa, "prepare", folder / "raw.parquet", *case.prepare, "--out", folder / out)):
            assert not files(folder / out)
            return None
    assert files(folder / "data") == files(folder / "again")
    dataset = load_dataset(folder / "data")
    assert list(dataset.rows.columns) == list(case.table.columns) and len(dataset) == len(case.table)
    for name, raw in case.table.items():
        stored = dataset.rows[name]
        assert stored.isna().tolist() == raw.isna().tolist()
        same = [str(a) == str(b) or a == b for a, b in zip(stored.dropna(), raw.dropna(), strict=True)]
        assert all(same), name
    regions = dataset.regions()
    assert set(regions) == set(range(len(dataset.schema.regions)))
    return dataset


def parted(case: Case, dataset: Dataset, folder: Path) -> tuple[AnyDataset, Split] | None:
    """Split twice: the same bytes, roles that part the rows, groups that are whole, ranks that part S_g and S_r."""
    names = dataset.schema.regions.names
    law = case.law if case.law != "first" else json.dumps({names[-1]: 1, names[0]: 3})
    sizes = ("--validation", case.sizes[0], "--test", case.sizes[1], "--seed", case.seed)
    for out in ("split.parquet", "again.parquet"):
        if not went_well(call(codsa, "split", "--data", folder / "data", "--law", law, *sizes, "--out", folder / out)):
            assert not (folder / out).exists()
            return None
    assert (folder / "split.parquet").read_bytes() == (folder / "again.parquet").read_bytes()
    dataset, split = open_split(folder / "data", folder / "split.parquet")
    roles = [set(split.rows(role)) for role in (TRAIN, VALIDATION, TEST)]
    assert sum(map(len, roles)) == len(set.union(*roles)) == len(dataset) and all(roles)
    keys = [pd.Series(dataset.row_hashes(dataset.schema.identity_columns))]
    keys += [dataset.column(dataset.schema.group)] if dataset.schema.group else []
    for key in keys:
        assert (split.frame["role"].groupby(key.to_numpy()).nunique() == 1).all()
        assert (split.frame["fold"].groupby(key.to_numpy()).nunique() == 1).all()
        assert (split.frame["min_ratio"].fillna(-1).groupby(key.to_numpy()).nunique() == 1).all()
    for r in (0.2, case.r, 1.0):
        parts = set(split.generator_rows(r)), set(split.reserved_rows(r))
        assert parts[0] | parts[1] == roles[0] and not parts[0] & parts[1]
    assert set(split.generator_rows(0.2)) <= set(split.generator_rows(1.0)) == roles[0]
    assert abs(split.q.sum() - 1) < 1e-12 and abs(split.p.sum() - 1) < 1e-12
    assert (split.q >= 0).all() and (split.p > 0).any()
    test = split.rows(TEST)
    assert abs(law_weights(dataset.regions()[test], split.q).mean() - 1) < 1e-9
    return dataset, split


def pooled(case: Case, generator: tuple[str, ...], dataset: AnyDataset, split: Split, folder: Path) -> bool:
    """Train and sample twice: the same bytes, and rows of their region, within its levels and bounds."""
    given = ("--data", folder / "data", "--split", folder / "split.parquet")
    alpha = [float(rule) if rule[0].isdigit() else rule for rule in case.grid[1]]
    grid = json.dumps({"m": list(case.grid[0]), "alpha": alpha})
    trained = (*given, "--generator", *generator, "--r", case.r)
    for out in ("gen", "again/gen"):
        if not went_well(call(codsa, "train-gen", *trained, "--out", folder / out)):
            assert not files(folder / out)
            return False
    assert files(folder / "gen") == files(folder / "again/gen")
    for out, more in (("pool", ()), ("again/pool", ("--shard", "1/2")), ("again/pool", ("--shard", "2/2"))):
        drawn = ("--generator", folder / "gen", "--grid", grid, *given, *more, "--out", folder / out)
        if not went_well(call(codsa, "sample", *drawn)):
            assert not [name for name in files(folder / out) if name.startswith("shard")]
            return False
    pools = [load_pool(folder / name, dataset.schema) for name in ("pool", "again/pool")]
    assert pools[0].digest == pools[1].digest
    real = in_memory(dataset.part(split.rows(TRAIN)))
    seen = set(pd.util.hash_pandas_object(in_memory(dataset.part(split.generator_rows(case.r))), index=False))
    for k, rows in enumerate(pools[0].rows):
        assert list(rows.columns) == list(real.columns) and list(rows.dtypes) == list(real.dtypes)
        assert (dataset.schema.regions.assign(rows) == k).all() and in_bounds(rows, dataset.schema).all()
        if generator[0] == "bootstrap":
            assert set(pd.util.hash_pandas_object(rows, index=False)) <= seen
    return True


def candidates(case: Case, folder: Path) -> bool:
    """Fit, evaluate twice and report: the same bytes, and figures that are numbers."""
    given = ("--data", folder / "data", "--split", folder / "split.parquet")
    points = [word for m in case.grid[0] for word in ("--m", m)] + [
        word for a in case.grid[1] for word in ("--alpha", a)
    ]
    for place in (folder, folder / "again"):
        chosen = ("--pool", folder / "pool", "--r", case.r, *points, *FAST, "--out", place / "fits")
        if not went_well(call(codsa, "fit", *given, *chosen)):
            assert not files(place / "fits")
            return False
        measured = ("--fits", folder / "fits", "--pool", folder / "pool", "--out", place / "eval")
        assert went_well(call(codsa, "eval", *given, *measured))
    assert files(folder / "fits") == files(folder / "again/fits")
    assert files(folder / "eval") == files(folder / "again/eval")
    fits = read_parquet(folder / "fits/fits.parquet")
    assert np.isfinite(fits["validation"]).any() if "validation" in fits else len(fits) > 0
    metrics = json.loads((folder / "eval/metrics.json").read_text(encoding="utf-8"))
    assert metrics
    assert went_well(call(codsa, "report", "--eval", folder / "eval", "--out", folder / "report"))
    assert (folder / "report/report.html").read_text(encoding="utf-8").count("<html") == 1
    return True


def run(case: Case, generator: tuple[str, ...]) -> bool:
    """Take a case through all stages; False where one refused it."""
    note(f"{case._replace(table=case.table.dtypes)} {generator}")  # type: ignore[arg-type]
    with TemporaryDirectory() as place:
        folder = Path(place)
        dataset = prepared(case, folder)
        opened = parted(case, dataset, folder) if dataset is not None else None
        return opened is not None and pooled(case, generator, *opened, folder) and candidates(case, folder)


@pytest.mark.parametrize("name", ["bootstrap", "smote", "gaussian"])
def test_a_study_of_a_random_table(name: str) -> None:
    ended: list[bool] = []

    @given(cases())
    def whole(case: Case) -> None:
        ended.append(run(case, (name,)))

    whole()
    assert sum(ended) >= len(ended) // 4, "nearly every case was refused"


@settings(max_examples=2)
@given(cases())
def test_a_study_of_a_random_table_by_diffusion(case: Case) -> None:
    tiny = [word for pair in ("steps=2", "batch=16", "width=16", "depth=1") for word in ("--set", pair)]
    run(case, ("tabular-diffusion", *tiny))
