"""One role for every row, nested S_g, groups and duplicates that stay together."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import RunCli, write_prepared

from codsa.cli.split import main as codsa_split
from codsa.data.dataset import Dataset
from codsa.data.preparation import prepare
from codsa.data.regions import by_quantiles
from codsa.data.rows import StoredDataset
from codsa.data.split import (
    TEST,
    TRAIN,
    VALIDATION,
    Split,
    load_split,
    open_split,
    training_schema,
    training_shares,
    write_split,
)
from codsa.errors import CodsaError
from codsa.io.records import read_json
from codsa.io.seeds import rng, stream
from codsa.io.tables import read_parquet, write_parquet
from codsa.settings.columns import ColumnOptions
from codsa.settings.regions import RegionRule
from codsa.stages.split import Size, parse_size, rank_training, shuffled_units, target_law, units
from codsa.stages.split import split as split_rows

HALF = np.array([0.5, 0.5])
RATIOS = [k / 100 for k in range(1, 101)]


def dataset_of(frame: pd.DataFrame, **said: Any) -> Dataset:
    rows, schema = prepare(frame, ColumnOptions(target="y", **said), RegionRule(min_rows=1))
    return Dataset(rows, schema, "digest")


def plain(rare: int, usual: int) -> Dataset:
    """Rows that are all different, in two regions."""
    x = np.random.default_rng(0).normal(size=rare + usual)
    return dataset_of(pd.DataFrame({"x": x, "y": ["a"] * rare + ["b"] * usual}))


def splitted(dataset: Dataset, q: np.ndarray, validation: Size, test: Size, seed: int = 0) -> Split:
    frame = split_rows(dataset, q, validation, test, rng(stream(seed, "split")))
    return Split(frame, q, training_shares(frame, dataset.schema), "digest")


def counts(roles: Split, role: str) -> list[int]:
    frame = roles.frame
    return [int(((frame["role"] == role) & (frame["region"] == name)).sum()) for name in ("a", "b")]


@pytest.fixture(scope="module")
def roles() -> Split:
    return splitted(plain(70, 231), HALF, Size(count=20), Size(count=40))


def test_counts_are_shared_out_by_q_exactly() -> None:
    found = splitted(plain(70, 230), np.array([0.25, 0.75]), Size(count=40), Size(count=20))
    assert counts(found, VALIDATION) == [10, 30] and counts(found, TEST) == [5, 15]
    assert counts(found, TRAIN) == [55, 185]
    assert found.n == 240 and found.p == pytest.approx([55 / 240, 185 / 240])


def test_shares_are_of_every_region() -> None:
    found = splitted(plain(70, 230), HALF, Size(fraction=0.2), Size(fraction=0.1))
    assert counts(found, VALIDATION) == [14, 46] and counts(found, TEST) == [7, 23]


def test_a_share_of_a_small_region_is_at_least_one_row() -> None:
    found = splitted(plain(5, 230), HALF, Size(fraction=0.1), Size(fraction=0.1))
    assert counts(found, VALIDATION)[0] == counts(found, TEST)[0] == 1


def test_a_region_outside_q_only_trains() -> None:
    found = splitted(plain(70, 230), np.array([0.0, 1.0]), Size(fraction=0.2), Size(count=30))
    assert counts(found, VALIDATION) == [0, 46] and counts(found, TEST) == [0, 30]
    assert counts(found, TRAIN)[0] == 70


def test_every_row_has_one_role(roles: Split) -> None:
    parts = [set(roles.rows(role)) for role in (TRAIN, VALIDATION, TEST)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 301
    assert roles.frame["row_id"].tolist() == list(range(301))


def test_generator_rows_are_nested_and_reserved_rows_their_complement(roles: Split) -> None:
    before: set[int] = set()
    for r in RATIOS:
        inside, outside = set(roles.generator_rows(r)), set(roles.reserved_rows(r))
        assert before <= inside
        assert not inside & outside and inside | outside == set(roles.rows(TRAIN))
        before = inside
    assert not outside


def test_generator_rows_are_the_floor_of_each_region(roles: Split) -> None:
    for r in RATIOS:
        chosen = roles.frame.iloc[roles.generator_rows(r)]["region"]
        for name, total in zip("ab", counts(roles, TRAIN), strict=True):
            assert (chosen == name).sum() == int(Fraction(str(r)) * total)


def test_rows_outside_training_never_enter(roles: Split) -> None:
    others = roles.frame[roles.frame["role"] != TRAIN]
    assert len(others) and (others["fold"] == -1).all() and others["min_ratio"].isna().all()


def test_folds_are_of_about_equal_size(roles: Split) -> None:
    sizes = roles.frame.loc[roles.frame["role"] == TRAIN, "fold"].value_counts()
    assert sorted(sizes.index) == [0, 1, 2, 3, 4] and sizes.max() - sizes.min() <= 1


def test_folds_take_a_fifth_of_every_region(roles: Split) -> None:
    training = roles.frame[roles.frame["role"] == TRAIN]
    for name in ("a", "b"):
        sizes = training.loc[training["region"] == name, "fold"].value_counts().reindex(range(5), fill_value=0)
        assert sizes.max() - sizes.min() <= 1


def table(n: int = 600, seed: int = 5) -> pd.DataFrame:
    """Rows of two regions, in sets of about two that are alike, and in groups of about three."""
    random = np.random.default_rng(seed)
    x = random.integers(0, n // 2, n) / 7
    return pd.DataFrame(
        {"x": x, "g": [f"g{i}" for i in random.integers(0, n // 3, n)], "y": random.choice(["a", "b"], n, p=[0.3, 0.7])}
    )


def changes(first: pd.DataFrame, second: pd.DataFrame) -> list[int]:
    """Return how many of the first 600 rows have another role, another fold, another part of S_g at r = 0.5."""
    one, two = (f.head(600).assign(inside=f.head(600)["min_ratio"] <= 0.5) for f in (first, second))
    return [int((one[name] != two[name]).sum()) for name in ("role", "fold", "inside")]


@pytest.mark.parametrize("group", [None, "g"])
@pytest.mark.parametrize("change", ["a row more", "another cell", "a duplicate less"])
def test_a_small_change_of_the_table_changes_a_handful_of_roles(group: str | None, change: str) -> None:
    """A unit more or less moves each bound between parts by its rows; folds have the most bounds."""
    usual = table()
    found = []
    for place in (0, 300):
        changed = usual.copy()
        if change == "a row more":
            changed = pd.concat([changed, pd.DataFrame({"x": [9.0], "g": ["new"], "y": ["b"]})], ignore_index=True)
        elif change == "another cell":
            changed.loc[place, "x"] = 770.0
        else:
            changed.loc[int(np.flatnonzero(usual["x"].duplicated(keep=False))[place // 2]), "x"] = 770.0
        for size in (Size(count=90), Size(fraction=0.15)):
            one, two = (
                splitted(dataset_of(t if group else t.drop(columns="g"), group=group), HALF, size, size).frame
                for t in (usual, changed)
            )
            found.append(changes(one, two))
    assert (np.max(found, axis=0) <= [8, 20, 8]).all(), found


def test_units_are_numbered_by_first_occurrence() -> None:
    frame = pd.DataFrame({"x": [3.0, 1.0, 3.0, 2.0, 1.0], "y": list("abaab")})
    assert units(dataset_of(frame)).tolist() == [0, 1, 0, 2, 1]


def test_the_order_of_units_stays_when_rows_are_appended_or_leave_their_unit() -> None:
    def order(unit: list[int]) -> np.ndarray:
        return shuffled_units(np.array(unit), rng(stream(0, "order")))

    usual, longer, parted = order([0, 1, 0, 2, 3, 4]), order([0, 1, 0, 2, 3, 4, 5]), order([0, 1, 2, 3, 4, 5])
    assert usual[0] == usual[2] and sorted(set(usual)) == [0, 1, 2, 3, 4] and usual.tolist() != [0, 1, 0, 2, 3, 4]
    for other in (longer[:6], np.delete(parted, 2)):
        kept = usual if len(other) == 6 else np.delete(usual, 2)
        assert np.array_equal(pd.Series(other).rank(method="dense"), pd.Series(kept).rank(method="dense"))


@pytest.mark.parametrize("r", [0.0, -0.5, 1.5, float("nan")])
def test_ratios_out_of_range_are_refused(roles: Split, r: float) -> None:
    for rows in (roles.generator_rows, roles.reserved_rows):
        with pytest.raises(CodsaError, match=r"must lie in \(0, 1\]"):
            rows(r)


def test_the_seed_decides() -> None:
    first, again, other = (splitted(plain(70, 230), HALF, Size(count=20), Size(count=40), seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert not np.array_equal(first.rows(TEST), other.rows(TEST))


def grouped() -> Dataset:
    """400 rows in 100 groups, some with rows of both regions; 20 rows belong to nobody."""
    random = np.random.default_rng(1)
    group = [f"g{i}" for i in random.integers(0, 100, 380)] + [None] * 20
    return dataset_of(
        pd.DataFrame({"x": random.normal(size=400), "g": group, "y": ["a"] * 100 + ["b"] * 300}), group="g"
    )


def stay_together(found: Split, label: pd.Series) -> None:
    """Check that rows of one label share role, fold and the ratio at which they enter S_g."""
    shared = found.frame.assign(min_ratio=found.frame["min_ratio"].fillna(-1)).groupby(label)
    assert (shared[["role", "min_ratio"]].nunique() == 1).all().all()
    assert (shared["fold"].nunique() == 1).all()
    for r in RATIOS:
        inside = pd.Series(np.isin(found.frame["row_id"], found.generator_rows(r)))
        assert (inside.groupby(label).nunique() == 1).all()


def test_groups_straddle_nothing(caplog: pytest.LogCaptureFixture) -> None:
    dataset = grouped()
    found = splitted(dataset, HALF, Size(count=60), Size(count=60))
    assert dataset.rows["g"].value_counts().max() > 1
    stay_together(found, dataset.rows["g"])
    for role in (VALIDATION, TEST):
        rare, usual = counts(found, role)
        assert 0 < rare < 30 and 28 <= usual <= 30  # groups hold three usual rows for a rare one
        assert f"region 'a' gets {rare} of 30 {role} rows" in caplog.text


def test_rows_without_a_group_go_alone() -> None:
    dataset = grouped()
    lone = units(dataset)[dataset.rows["g"].isna()]
    assert len(set(lone)) == 20


def test_duplicate_rows_straddle_nothing() -> None:
    random = np.random.default_rng(2)
    x = random.integers(0, 60, 400)
    dataset = dataset_of(pd.DataFrame({"x": x, "w": x / 2, "y": ["a"] * 100 + ["b"] * 300}))
    label = dataset.rows["y"].astype(str) + dataset.rows["x"].astype(str)
    found = splitted(dataset, HALF, Size(count=60), Size(count=60))
    assert label.value_counts().max() > 3
    stay_together(found, label)


def test_duplicates_are_seen_past_identifiers() -> None:
    frame = pd.DataFrame({"row_id": [9, 4, 7, 1], "x": [0.5, 0.5, 0.5, 1.5], "y": ["a", "a", "b", "b"]})
    assert units(dataset_of(frame)).tolist()[0] == units(dataset_of(frame)).tolist()[1]
    assert len(set(units(dataset_of(frame)))) == 3


def test_duplicates_without_a_group_are_one_unit() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5, 2.5, 2.5, 4.5], "g": ["p", "p", None, None, "s"], "y": list("abbba")})
    first, second, third, fourth, fifth = units(dataset_of(frame, group="g"))
    assert first == second and third == fourth
    assert len({first, third, fifth}) == 3


def test_a_region_with_too_few_rows_is_named() -> None:
    expected = "region 'a' has 12 rows; 17 are needed \\(10 test, 5 validation, 2 training\\)"
    with pytest.raises(CodsaError, match=expected):
        splitted(plain(12, 200), HALF, Size(count=10), Size(count=20))
    assert counts(splitted(plain(17, 200), HALF, Size(count=10), Size(count=20)), TRAIN) == [2, 185]


def test_a_role_without_rows_is_refused() -> None:
    with pytest.raises(CodsaError, match="validation would have no rows"):
        splitted(plain(50, 50), HALF, Size(count=0), Size(count=10))


def test_groups_too_large_to_part_are_refused() -> None:
    frame = pd.DataFrame({"x": np.arange(60.0) / 7, "g": ["one"] * 30 + [f"g{i}" for i in range(30)]})
    dataset = dataset_of(frame.assign(y=["a"] * 30 + ["b"] * 30), group="g")
    with pytest.raises(CodsaError, match=r"region 'a' gets no .* rows: its 30 rows lie in groups too large"):
        splitted(dataset, HALF, Size(count=10), Size(count=10))


@pytest.mark.parametrize(
    ("text", "size"), [("0.25", Size(fraction=0.25)), ("800", Size(count=800)), (3.0, Size(count=3))]
)
def test_sizes(text: str | float, size: Size) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "many", "nan", "inf"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(CodsaError, match=f"size '{text}'"):
        parse_size(text)


@pytest.mark.parametrize(
    ("law", "expected"),
    [("balanced", [0.5, 0.5]), ("training", [0.25, 0.75]), ({"a": 1, "b": 3}, [0.25, 0.75]), ({"b": 2}, [0, 1])],
)
def test_target_laws(law: Any, expected: list[float]) -> None:
    dataset = plain(50, 150)
    assert target_law(law, dataset.schema, dataset.regions()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ("balance", "law 'balance' is not known"),
        (0.5, "law '0.5' is not known"),
        ({"aa": 1}, "no region 'aa'; did you mean 'a'"),
        ({"a": -1, "b": 2}, "must not be negative"),
        ({"a": 0}, "must not all be 0"),
        ({"a": float("nan"), "b": 1}, "law"),
        ({"a": "much"}, "law"),
    ],
)
def test_laws_that_are_none_are_refused(law: Any, message: str) -> None:
    dataset = plain(50, 150)
    with pytest.raises(CodsaError, match=message):
        target_law(law, dataset.schema, dataset.regions())


def test_a_split_comes_back_as_it_was(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    record = read_json(tmp_path / "split.json")["facts"]
    assert record["sizes"]["test"] == {"sick": 10, "well": 10} and record["q"] == [0.5, 0.5]
    assert record["sizes"]["train"] == {"sick": 16, "well": 184} and record["p"] == pytest.approx([0.08, 0.92])
    assert list(split.frame) == ["row_id", "region", "role", "min_ratio", "fold"]
    assert np.array_equal(split.frame["region"], dataset.rows["y"])


def test_a_split_of_other_rows_is_refused(
    dataset: Dataset, split: Split, tmp_path: Path, mixed_table: pd.DataFrame
) -> None:
    other = write_prepared(tmp_path / "other", mixed_table.iloc[:200])
    with pytest.raises(CodsaError, match="made from another dataset or schema"):
        load_split(tmp_path / "split.parquet", other)


def test_an_edited_split_is_refused(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    write_parquet(tmp_path / "split.parquet", split.frame.assign(role=TRAIN))
    with pytest.raises(CodsaError, match="its content differs from its manifest"):
        load_split(tmp_path / "split.parquet", dataset)


def test_a_renamed_split_is_refused(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    for suffix in (".parquet", ".json"):
        (tmp_path / f"split{suffix}").rename(tmp_path / f"roles{suffix}")
    with pytest.raises(CodsaError, match=r"roles\.parquet"):
        load_split(tmp_path / "roles.parquet", dataset)


def test_the_command_is_deterministic_and_depends_on_the_replicate(
    dataset: Dataset, run_cli: RunCli, tmp_path: Path
) -> None:
    def made(name: str, *options: object) -> bytes:
        sizes = ("--validation", 20, "--test", "0.2")
        out = tmp_path / f"{name}.parquet"
        assert run_cli(codsa_split, "--data", tmp_path / "data", "--out", out, *sizes, *options).code == 0
        return out.read_bytes()

    first = made("a", "--replicate", 0)
    assert made("b", "--replicate", 0) == first
    changed = [made("c", "--replicate", 1), made("d", "--seed", 1), made("e", "--experiment", "other")]
    assert len({first, *changed}) == 4
    assert counts_of(tmp_path / "a.parquet") == {"train": 173, "validation": 20, "test": 47}


def counts_of(path: Path) -> dict[str, int]:
    return read_parquet(path)["role"].value_counts().to_dict()


def test_the_law_is_an_option_of_the_command(dataset: Dataset, run_cli: RunCli, tmp_path: Path) -> None:
    law = ("--law", "{sick: 1, well: 4}", "--test", 20, "--validation", 10)
    ended = run_cli(codsa_split, "--data", tmp_path / "data", "--out", tmp_path / "s.parquet", *law)
    assert ended.code == 0
    assert read_json(tmp_path / "s.json")["facts"]["sizes"]["test"] == {"sick": 4, "well": 16}


def test_a_unit_of_most_rows_leaves_rows_to_every_part() -> None:
    """Mammography's largest set of identical rows is half of a class: whichever comes first, no S_g is empty."""
    region = np.repeat([0, 1], [100, 40])
    for place in range(0, 100, 20):
        unit = np.arange(140)
        unit[place : place + 52] = place  # 52 identical rows among the 100 of region 0, anywhere in the order
        found = rank_training(region, unit, np.ones(140, dtype=bool))
        for r in (0.1, 0.5, 0.8):
            chosen = found["min_ratio"] <= r
            assert all(chosen[region == k].any() and not chosen[region == k].all() for k in (0, 1))
            assert len(set(chosen[unit == place])) == 1


def by_quantile(folder: Path) -> tuple[Dataset, Split]:
    random = np.random.default_rng(4)
    raw = pd.DataFrame({"x": random.normal(size=300), "site": random.choice(["n", "s", "w"], 300)})
    raw["y"] = raw["x"] + random.normal(size=300)
    dataset = write_prepared(
        folder / "data", raw, RegionRule(by="quantile", column="y", quantiles=3), task="regression"
    )
    q = np.full(3, 1 / 3)
    frame = split_rows(dataset, q, Size(count=60), Size(count=60), rng(stream(0, "split")))
    write_split(folder / "split.parquet", frame, dataset, q, {})
    return dataset, load_split(folder / "split.parquet", dataset)


def test_edges_by_quantile_are_those_of_the_training_rows(tmp_path: Path) -> None:
    dataset, roles = by_quantile(tmp_path)
    opened, again = open_split(tmp_path / "data", tmp_path / "split.parquet")
    assert opened.digest == dataset.digest and again.digest == roles.digest
    y = dataset.rows.loc[roles.rows(TRAIN), "y"]
    edges = [edge for low, edge in opened.schema.regions.members if edge is not None]
    assert len(edges) == 2 and set(edges) <= set(y)
    assert opened.schema.regions.names == dataset.schema.regions.names == ["y 0–33 %", "y 33–67 %", "y 67–100 %"]
    assert np.array_equal(np.array(again.regions.names)[opened.regions()], roles.frame["region"])  # type: ignore[union-attr]
    training = roles.rows(TRAIN)
    assert np.array_equal(opened.regions()[training], dataset.regions()[training])


def test_a_large_dataset_has_the_regions_of_its_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_quantile(tmp_path)
    small, roles = open_split(tmp_path / "data", tmp_path / "split.parquet")
    monkeypatch.setattr("codsa.data.rows.MEMORY_CELLS", 1)
    large, again = open_split(tmp_path / "data", tmp_path / "split.parquet")
    assert isinstance(large, StoredDataset) and np.array_equal(large.regions(), small.regions())
    assert large.schema.regions == small.schema.regions and again.digest == roles.digest
    assert training_schema(large, again) == training_schema(small, roles)


def test_a_region_without_training_rows_is_refused() -> None:
    regions = by_quantiles("x", pd.Series(np.arange(90.0)), 3)
    with pytest.raises(CodsaError, match="region 'x 33–67 %' has no training row; give fewer quantiles"):
        regions.settled(pd.Series([1.0, 2.0, 80.0]))


def test_the_training_schema_is_that_of_the_training_rows(dataset: Dataset, split: Split) -> None:
    """Levels, bounds and missing values of no other row; classes, types and regions are the dataset's."""
    rows = dataset.rows.copy()
    others = np.r_[split.rows(VALIDATION), split.rows(TEST)]
    rows.loc[others, "income"], rows.loc[others, "site"] = 1e9, "elsewhere"
    described = training_schema(replace(dataset, rows=rows), split)
    assert described == training_schema(dataset, split)
    income, own = described.column("income"), dataset.rows.loc[split.rows(TRAIN), "income"]
    assert (income.minimum, income.maximum) == (own.min(), own.max())
    assert described.classes == dataset.schema.classes and described.regions == dataset.schema.regions
    assert [(c.name, c.type, c.role) for c in described.columns] == [
        (c.name, c.type, c.role) for c in dataset.schema.columns
    ]
    identifier = described.column("patient_id")
    assert (identifier.levels, identifier.minimum) == (None, None)
