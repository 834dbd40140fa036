"""Cross-fitting: a generator per fold, an estimator per fold, and the average of their predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.pool import Pool
from codsa.data.split import FOLD_RATIO, FOLDS, TRAIN, Split
from codsa.errors import CodsaError
from codsa.estimators import Average
from codsa.estimators.store import load_fitted
from codsa.io.seeds import SeedContext
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.stages.evaluate import Fits, choose, read_fits
from codsa.stages.fit import Outcome, fit_grid, write_fits

JUDGE = EstimatorSpec(name="logistic")
GRID = Grid(m=[1.0], alpha=["target"])


def fold_pool(dataset: Dataset, roles: Split, fold: int | None, r: float = FOLD_RATIO) -> Pool:
    """A pool of the rows of S_g themselves, repeated: whoever fits on it fits on these."""
    rows = roles.generator_rows(r, fold)
    region = dataset.regions()[rows]
    table = dataset.rows.iloc[rows][[c.name for c in dataset.schema.modelled]]
    parts = [pd.concat([table[region == k]] * 20, ignore_index=True) for k in range(len(dataset.schema.regions))]
    return Pool(parts, np.zeros(len(parts)), dataset.digest, roles.digest, f"pool {fold}", r, fold, "mine")


def cross(dataset: Dataset, roles: Split, grid: Grid = GRID) -> Outcome:
    pools = [fold_pool(dataset, roles, fold) for fold in range(FOLDS)]
    return fit_grid(dataset, roles, pools, FOLD_RATIO, grid, JUDGE, "cross-entropy", SeedContext(0, "c", 0))


def test_folds_part_the_training_rows(split: Split) -> None:
    kept = [set(split.reserved_rows(FOLD_RATIO, fold)) for fold in range(FOLDS)]
    assert set.union(*kept) == set(split.rows(TRAIN)) and sum(map(len, kept)) == len(split.rows(TRAIN))
    for fold in range(FOLDS):
        seen = set(split.generator_rows(FOLD_RATIO, fold))
        assert not seen & kept[fold] and seen | kept[fold] == set(split.rows(TRAIN))


def test_duplicates_and_groups_share_a_fold(dataset: Dataset, split: Split) -> None:
    twice = split.frame.iloc[[0, 0]]
    assert twice["fold"].nunique() == 1
    assert set(split.frame.loc[split.frame["role"] != TRAIN, "fold"]) == {-1}


@pytest.mark.parametrize(("fold", "r", "said"), [(5, FOLD_RATIO, "folds are 0 to 4"), (1, 0.5, "is r = 0.8")])
def test_a_fold_that_is_none_is_refused(split: Split, fold: int, r: float, said: str) -> None:
    with pytest.raises(CodsaError, match=said):
        split.generator_rows(r, fold)


def test_an_estimator_meets_only_rows_that_its_generator_did_not_see(
    dataset: Dataset, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[np.ndarray] = []
    monkeypatch.setattr(
        "codsa.stages.fit.real_rows", lambda s, r, reserve, fold: met.append(s.reserved_rows(r, fold)) or met[-1]
    )
    cross(dataset, split)
    assert len(met) == FOLDS
    for fold, rows in enumerate(met):
        assert not set(rows) & set(split.generator_rows(FOLD_RATIO, fold))


def test_the_result_is_the_average_of_one_estimator_per_fold(dataset: Dataset, split: Split) -> None:
    outcome = cross(dataset, split)
    made = outcome.fitted[0]
    assert isinstance(made, Average) and len(made.members) == FOLDS
    x = np.random.default_rng(0).normal(size=(7, len(dataset.schema.features)))
    each = np.stack([member.predict(x) for member in made.members])
    assert np.allclose(made.predict(x), each.mean(axis=0)) and each.std(axis=0).max() > 0
    alone = fit_grid(
        dataset, split, [fold_pool(dataset, split, 2)], FOLD_RATIO, GRID, JUDGE, "cross-entropy", SeedContext(0, "c", 0)
    )
    assert np.allclose(alone.fitted[0].predict(x), each[2])


def test_reserve_all_gives_every_estimator_all_real_rows(dataset: Dataset, split: Split) -> None:
    outcome = cross(dataset, split, GRID.model_copy(update={"reserve": "all"}))
    assert outcome.table["real_rows"].tolist() == [split.n]
    assert cross(dataset, split).table["real_rows"].item() < split.n / 3


def test_a_missing_or_doubled_fold_is_refused(dataset: Dataset, split: Split) -> None:
    for folds in ([0, 1, 2, 3], [0, 1, 2, 3, 3]):
        pools = [fold_pool(dataset, split, fold) for fold in folds]
        with pytest.raises(CodsaError, match="one pool of each fold 0 to 4"):
            fit_grid(dataset, split, pools, FOLD_RATIO, GRID, JUDGE, "cross-entropy", SeedContext(0, "c", 0))


@pytest.mark.parametrize(("choose_by", "point"), [("kappa", 1), ("cross-entropy", 2), ("roc-auc", 1)])
def test_the_metric_that_chooses_may_be_another(choose_by: str, point: int) -> None:
    table = pd.DataFrame({"point": [0, 1, 2], "validation": [0.4, 0.5, 0.3]})
    assert choose([Fits(Path("fits"), table, "kappa", choose_by, {}, [])]).point == point


def test_fits_chosen_by_different_metrics_are_refused() -> None:
    table = pd.DataFrame({"point": [0], "validation": [0.4]})
    found = [Fits(Path("fits"), table, "kappa", by, {}, []) for by in ("kappa", "cross-entropy")]
    with pytest.raises(CodsaError, match="one --choose-by"):
        choose(found)


def test_an_average_is_written_and_read_back(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    outcome = cross(dataset, split)
    pools = [fold_pool(dataset, split, fold) for fold in range(FOLDS)]
    inputs = {"dataset": dataset.digest, "split": split.digest}
    inputs |= {f"pool {k}": pool.digest for k, pool in enumerate(pools)}
    write_fits(tmp_path / "fits", outcome, JUDGE, "cross-entropy", inputs, {"r": FOLD_RATIO}, False)
    again = load_fitted(tmp_path / "fits" / "estimator")
    x = np.random.default_rng(0).normal(size=(5, len(dataset.schema.features)))
    assert np.array_equal(again.predict(x), outcome.fitted[0].predict(x))
    found = read_fits(tmp_path / "fits", dataset, split, {pool.digest: pool for pool in pools})
    assert [pool.fold for pool in found.pools] == list(range(FOLDS))
    assert choose([found]).row["r"] == FOLD_RATIO
    with pytest.raises(CodsaError, match="fitted on another pool"):
        read_fits(tmp_path / "fits", dataset, split, {pool.digest: pool for pool in pools[1:]})
