"""What columns hold is known from the rows that may be seen: the whole way from a table to a generator and to fits.

Each study is made twice, the second time from a table whose validation and test rows have other features: extremes and
levels that no other row has, and targets moved within their stratum.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import call

from codsa.cli.main import main as codsa
from codsa.data.split import TEST, TRAIN, VALIDATION
from codsa.io.names import FITS, MANIFEST, PREDICTIONS
from codsa.io.records import read_json
from codsa.io.tables import read_parquet

ROWS = 240
GENERATORS = {
    "smote": [],
    "gaussian": [],
    "tabular-diffusion": ["--set", "steps=5", "--set", "width=8"],
}
STUDIES = {
    "class": [],
    "column": ["--regions", "column", "--region-column", "part"],
    "quantile": ["--task", "regression", "--regions", "quantile", "--region-column", "y", "--quantiles", "3"],
}
COLUMNS = ["--column", "k=integer", "--column", "code=categorical", "--column", "rare=numeric"]


@dataclass(frozen=True)
class Study:
    """One way to part the rows: its table, what the commands are told, and the role of every row."""

    name: str
    table: pd.DataFrame
    role: pd.Series

    def moved(self, roles: list[str], random: np.random.Generator) -> pd.DataFrame:
        """Return the table with all that rows of these roles may hold changed, but the stratum that they lie in."""
        table, chosen = self.table.copy(), self.role.isin(roles).to_numpy()
        count = int(chosen.sum())
        table.loc[chosen, "x"] = random.normal(size=count) * 1e4
        table.loc[chosen, "k"] = random.integers(-900, 900, count)
        table.loc[chosen, "rare"] = random.normal(size=count) - 1e4
        table.loc[chosen, "when"] = [f"{year}-07-01" for year in random.integers(1900, 2100, count)]
        table.loc[chosen, "site"] = random.choice(["other", "elsewhere", None], count)
        table.loc[chosen, "code"] = random.integers(100, 120, count)
        if self.name == "column":
            table.loc[chosen, "y"] = random.permutation(table.loc[chosen, "y"])
        if self.name == "quantile":
            third = table["y"].rank(pct=True).to_numpy() * 3
            table.loc[chosen & (third <= 1), "y"] -= 1e4
            table.loc[chosen & (third > 2), "y"] += 1e4
            middle, own = chosen & (third > 1) & (third <= 2), table.loc[~chosen & (third > 1) & (third <= 2), "y"]
            table.loc[middle, "y"] = random.uniform(own.min(), own.max(), int(middle.sum()))
        return table


def raw(name: str) -> pd.DataFrame:
    random = np.random.default_rng(7)
    x = random.normal(size=ROWS)
    y = np.where(x + random.normal(size=ROWS) > 0, "b", "a")
    return pd.DataFrame(
        {
            "x": np.where(random.random(ROWS) < 0.05, np.nan, x),
            "k": random.integers(0, 40, ROWS),
            "rare": random.normal(size=ROWS),
            "when": [f"2020-01-{day:02}" for day in random.integers(1, 28, ROWS)],
            "site": random.choice(["north", "south", "west"], ROWS),
            "code": random.integers(1, 5, ROWS),
            "part": random.choice(["left", "right"], ROWS),
            "y": x + random.normal(size=ROWS) if name == "quantile" else y,
        }
    )


def run(*arguments: object) -> None:
    ended = call(codsa, *arguments)
    assert ended.code == 0, ended.err


def prepared(name: str, table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Prepare and split a table in a folder, and return its split."""
    folder.mkdir()
    table.to_parquet(folder / "raw.parquet")
    run("prepare", folder / "raw.parquet", "--target", "y", *STUDIES[name], *COLUMNS, "--out", folder / "data")
    sizes = ("--validation", 36, "--test", 36)
    run("split", "--data", folder / "data", *sizes, "--out", folder / "split.parquet")
    return read_parquet(folder / "split.parquet")


@pytest.fixture(scope="module", params=list(STUDIES))
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A table in which a level, and all values of a column, occur in validation and test rows alone."""
    table = raw(request.param)
    role = prepared(request.param, table, tmp_path_factory.mktemp("roles") / "study")["role"]
    table.loc[role == TRAIN, "rare"] = np.nan
    table.loc[role != TRAIN, "site"] = table.loc[role != TRAIN, "site"].replace("west", "lone")
    return Study(request.param, table, role)


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of a folder's files but the manifest, which names the dataset."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST]
    assert paths
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def given(folder: Path) -> tuple[object, ...]:
    return "--data", folder / "data", "--split", folder / "split.parquet"


def generated(folder: Path, generator: str) -> dict[str, bytes]:
    """Train on S_g, draw a few rows, and return the generator's files."""
    out = folder / f"gen-{generator}"
    run("train-gen", *given(folder), "--generator", generator, *GENERATORS[generator], "--r", 0.6, "--out", out)
    run("sample", "--generator", out, "--rows", 30, "--out", folder / f"pool-{generator}")
    return files(out)


def test_no_byte_of_a_generator_comes_from_other_rows_than_s_g(study: Study, tmp_path: Path) -> None:
    changed = study.moved([VALIDATION, TEST], np.random.default_rng(1))
    splits = [prepared(study.name, table, tmp_path / name) for name, table in (("one", study.table), ("two", changed))]
    pd.testing.assert_frame_equal(*splits)
    assert (tmp_path / "one/data/schema.json").read_bytes() != (tmp_path / "two/data/schema.json").read_bytes()
    for generator in GENERATORS:
        usual, other = (generated(tmp_path / name, generator) for name in ("one", "two"))
        assert "schema.json" in usual and [name for name in usual if usual[name] != other[name]] == []
        assert usual.keys() == other.keys()
        pools = [read_parquet(p) for p in sorted(tmp_path.glob(f"*/pool-{generator}/**/*.parquet"))]
        half = len(pools) // 2
        pd.testing.assert_frame_equal(pd.concat(pools[:half]), pd.concat(pools[half:]))
        assert pd.concat(pools)["rare"].isna().all() and "lone" not in set(pd.concat(pools)["site"])


def test_a_generator_knows_the_columns_of_s_g(study: Study, tmp_path: Path) -> None:
    split = prepared(study.name, study.table, tmp_path / "study")
    generated(tmp_path / "study", "gaussian")
    columns = {c["name"]: c for c in read_json(tmp_path / "study/gen-gaussian/schema.json")["columns"]}
    own = study.table[split["min_ratio"] <= 0.6]
    assert (columns["x"]["minimum"], columns["x"]["maximum"]) == (own["x"].min(), own["x"].max())
    assert columns["x"]["missing"] == own["x"].isna().sum()
    assert columns["site"]["levels"] == sorted(own["site"].unique()) and "lone" not in columns["site"]["levels"]
    assert (columns["rare"]["minimum"], columns["rare"]["missing"]) == (None, len(own))


@pytest.mark.parametrize("estimator", ["gradient-boosting", "mlp"])
def test_fits_do_not_depend_on_test_rows(study: Study, tmp_path: Path, estimator: str) -> None:
    """Estimators encode by the training rows, so that test rows of new levels and extremes change no fit's bytes."""
    seen = []
    for name, table in (("one", study.table), ("two", study.moved([TEST], np.random.default_rng(2)))):
        folder = tmp_path / name
        prepared(study.name, table, folder)
        settings = ["--set", "max_iter=5"] if estimator == "gradient-boosting" else ["--set", "epochs=2"]
        run("fit", *given(folder), "--m", 0, "--estimator", estimator, *settings, "--out", folder / "fits")
        run("eval", *given(folder), "--fits", folder / "fits", "--out", folder / "eval")
        seen.append(files(folder / "fits"))
    assert {FITS, PREDICTIONS} <= seen[0].keys() and seen[0] == seen[1]
    predicted = [read_parquet(tmp_path / name / "eval" / PREDICTIONS) for name in ("one", "two")]
    assert not predicted[0].equals(predicted[1])
