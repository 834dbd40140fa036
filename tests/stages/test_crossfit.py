"""Cross-fitting: a generator per fold, an estimator per fold, and the average of their predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codsa.data.dataset import Dataset
from codsa.data.pool import Pool
from codsa.data.split import FOLD_RATIO, FOLDS, TRAIN, VALIDATION, Split
from codsa.errors import CodsaError
from codsa.estimators import Average
from codsa.estimators.store import load_fitted
from codsa.io.seeds import SeedContext
from codsa.settings.estimator import EstimatorSpec
from codsa.settings.grid import Grid
from codsa.stages.fit import EstimatorFits, fit_grid, write_fits
from codsa.stages.fits import Fits, choose, read_fits
from codsa.stages.scoring import evaluation_set

JUDGE = EstimatorSpec(name="logistic")
SEEDS = SeedContext(0, "c", 0)
GRID = Grid(m=[1.0], alpha=["target"])


def fold_pool(dataset: Dataset, roles: Split, fold: int | None, r: float = FOLD_RATIO) -> Pool:
    """A pool of the rows of S_g themselves, repeated: whoever fits on it fits on these."""
    rows = roles.generator_rows(r, fold)
    region = dataset.regions()[rows]
    table = dataset.rows.iloc[rows][[c.name for c in dataset.schema.modelled]]
    parts = [pd.concat([table[region == k]] * 20, ignore_index=True) for k in range(len(dataset.schema.regions))]
    return Pool(parts, np.zeros(len(parts)), dataset.digest, roles.digest, f"pool {fold}", r, fold, "mine")


def fitted(dataset: Dataset, roles: Split, pools: list[Pool], grid: Grid = GRID) -> dict[str, EstimatorFits]:
    return fit_grid(dataset, roles, pools, FOLD_RATIO, grid, {"own": JUDGE}, "cross-entropy", SEEDS)


def cross(dataset: Dataset, roles: Split, grid: Grid = GRID) -> EstimatorFits:
    return fitted(dataset, roles, [fold_pool(dataset, roles, fold) for fold in range(FOLDS)], grid)["own"]


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
    made = outcome.points[0].predictor
    assert isinstance(made, Average) and len(made.members) == FOLDS
    x = np.random.default_rng(0).normal(size=(7, len(dataset.schema.features)))
    each = np.stack([member.predict(x) for member in made.members])
    assert np.allclose(made.predict(x), each.mean(axis=0)) and each.std(axis=0).max() > 0
    alone = fitted(dataset, split, [fold_pool(dataset, split, 2)])["own"]
    assert np.allclose(alone.points[0].predictor.predict(x), each[2])


def test_reserve_all_gives_every_estimator_all_real_rows(dataset: Dataset, split: Split) -> None:
    outcome = cross(dataset, split, GRID.model_copy(update={"reserve": "all"}))
    assert [point.record["real_rows"] for point in outcome.points] == [split.n]
    assert cross(dataset, split).points[0].record["real_rows"] < split.n / 3


def test_a_missing_or_doubled_fold_is_refused(dataset: Dataset, split: Split) -> None:
    for folds in ([0, 1, 2, 3], [0, 1, 2, 3, 3]):
        pools = [fold_pool(dataset, split, fold) for fold in folds]
        with pytest.raises(CodsaError, match="one pool of each fold 0 to 4"):
            fitted(dataset, split, pools)


def written(folder: Path, dataset: Dataset, split: Split, choose_by: str = "cross-entropy") -> dict[str, EstimatorFits]:
    """Cross-fits on disk, chosen by a metric."""
    pools = [fold_pool(dataset, split, fold) for fold in range(FOLDS)]
    fits = fit_grid(dataset, split, pools, FOLD_RATIO, GRID, {"own": JUDGE}, choose_by, SEEDS)
    inputs = {"dataset": dataset.digest, "split": split.digest} | {f"pool {k}": p.digest for k, p in enumerate(pools)}
    rows = evaluation_set(dataset, split, VALIDATION)
    write_fits(folder, fits, rows, "cross-entropy", inputs, {"r": FOLD_RATIO}, False, choose_by)
    return fits


def test_fits_chosen_by_different_metrics_are_refused(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    for metric in ("kappa", "cross-entropy"):
        written(tmp_path / metric, dataset, split, metric)
    found = [read_fits(tmp_path / metric, dataset, split, {}) for metric in ("kappa", "cross-entropy")]
    with pytest.raises(CodsaError, match="one --choose-by"):
        choose(found, "own", "raw", evaluation_set(dataset, split, VALIDATION), SEEDS)


def test_an_average_is_written_and_read_back(dataset: Dataset, split: Split, tmp_path: Path) -> None:
    fits = written(tmp_path / "fits", dataset, split)["own"]
    pools = [fold_pool(dataset, split, fold) for fold in range(FOLDS)]
    again = load_fitted(tmp_path / "fits/estimators/own/0000")
    x = np.random.default_rng(0).normal(size=(5, len(dataset.schema.features)))
    assert np.array_equal(again.predict(x), fits.points[0].predictor.predict(x))
    found = read_fits(tmp_path / "fits", dataset, split, {pool.digest: pool for pool in pools})
    assert [pool.fold for pool in found.pools] == list(range(FOLDS))
    chosen: Fits = choose([found], "own", "raw", evaluation_set(dataset, split, VALIDATION), SEEDS).fits
    assert chosen is found
    with pytest.raises(CodsaError, match="fitted on another pool"):
        read_fits(tmp_path / "fits", dataset, split, {pool.digest: pool for pool in pools[1:]})
