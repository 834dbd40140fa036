"""The stage that splits the rows: their roles (training, validation, test), and the order in which they join S_g.

One split serves every ratio r. The training rows of region k have random ranks 0..n_k−1, and a row joins the
generator part S_g once r reaches its `min_ratio`, (rank + 1)/n_k. So S_g holds the first ⌊r·n_k⌋ ranks of each region,
S_g ⊂ S_g' for r < r', and S_r is the complement by construction. Rows of one group, and byte-identical rows, form a
unit: they share one role and one `min_ratio`.

A split is stable: the random order has one number for every row of the table, and a unit takes that of its first row.
So an appended row or a changed cell leaves the order of all other units, and at most a handful of roles change.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from codsa.data.allocation import whole_counts
from codsa.data.rows import AnyDataset
from codsa.data.schema import Schema
from codsa.data.split import FOLDS, TEST, TRAIN, UNUSED, VALIDATION, settled_regions
from codsa.errors import CodsaError, shortened
from codsa.io.yamls import parse_decimal
from codsa.settings.limits import MOST_ROWS

log = logging.getLogger(__name__)

MIN_TRAINING_ROWS = 2
"""Training rows that a region needs: one for S_g, one for S_r."""


@dataclass(frozen=True)
class Size:
    """How large a role is: a number of rows under Q, or a share of every region.

    Attributes
    ----------
    count : int, optional
        Rows over all regions, allocated by q.
    fraction : float, optional
        The share of its rows that every region with q_k > 0 gives. Metrics then weigh the rows to Q, so that large
        regions give more rows than a `count` could take of them.
    """

    count: int | None = None
    fraction: float | None = None

    def rows(self, available: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Return the rows to take of each region, ndarray of int64, shape (K,)."""
        if self.count is not None:
            return whole_counts(self.count, q)
        share = np.floor(float(self.fraction or 0.0) * available + 1e-9)
        return np.where(q > 0, np.maximum(share, 1), 0).astype(np.int64)


def parse_size(text: str | float) -> Size:
    """Read a role's size: a whole number above 0 is a count, a number in (0, 1) a share.

    Raises
    ------
    CodsaError
        For anything else.
    """
    size_text = str(text)
    number = parse_decimal(size_text) or -1.0
    if 0 < number < 1:
        return Size(fraction=number)
    if number > MOST_ROWS:
        raise CodsaError(f"size '{shortened(size_text)}': more than {MOST_ROWS} rows; lower it")
    if number >= 1 and number.is_integer():
        return Size(count=int(number))
    raise CodsaError(f"size '{shortened(size_text)}': give a whole number of rows, or a share between 0 and 1")


def target_law(law: str | Mapping[str, float], schema: Schema, regions: np.ndarray) -> np.ndarray:
    """Return the region weights q of the law Q under which the model is evaluated.

    Parameters
    ----------
    law : 'balanced', 'training', or mapping of region name to weight
        Weights are scaled to sum to 1; a region not named has weight 0.
    regions : ndarray of int64, shape (n,)
        The region of every row of the dataset.

    Returns
    -------
    ndarray of shape (K,)
    """
    names = schema.regions.names
    if law == "balanced":
        return np.full(len(names), 1.0 / len(names))
    if law == "training":
        return np.bincount(regions, minlength=len(names)) / len(regions)
    if not isinstance(law, Mapping):
        raise CodsaError(f"law '{law}' is not known; give balanced, training or weights by region")
    q = np.zeros(len(names))
    for name, weight in law.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
            raise CodsaError(f"law {dict(law)}: the weight of region '{name}' is not a finite number")
        q[schema.regions.index(str(name))] = weight
    if (q < 0).any() or q.sum() <= 0:
        raise CodsaError(f"law {dict(law)}: weights must not be negative and must not all be 0")
    if not math.isfinite(q.sum()):
        raise CodsaError(f"law {dict(law)}: the weights' sum is not finite; scale them down")
    return q / q.sum()


def units(dataset: AnyDataset) -> np.ndarray:
    """Return the unit of every row as a number: rows of one group, and byte-identical rows, share one.

    Rows with the same array (an image, say) are identical, whatever their other columns.

    Returns
    -------
    ndarray of int64, shape (n,)
        Equal where rows belong together, directly or through other rows; numbered by first occurrence.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    same = pd.factorize(dataset.row_hashes(dataset.schema.identity_columns))[0]
    if dataset.schema.group is None:
        return np.asarray(same, dtype=np.int64)
    group = pd.factorize(dataset.column(dataset.schema.group), use_na_sentinel=True)[0]
    alone = group < 0
    group[alone] = group.max() + 1 + np.arange(alone.sum())
    size = int(same.max()) + int(group.max()) + 2
    ones = np.ones(len(group), dtype=np.int8)
    graph = coo_array((ones, (group, int(group.max()) + 1 + same)), shape=(size, size))
    return np.asarray(pd.factorize(connected_components(graph, directed=False)[1][group])[0], dtype=np.int64)


def shuffled_units(unit: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the units' numbers in a random order that stays when rows are appended, and when other units change.

    Parameters
    ----------
    unit : ndarray of int64, shape (n,)
        As `units` returns it.

    Returns
    -------
    ndarray of int64, shape (n,)
        Each row's unit, by its place in the order.
    """
    keys = random.random(len(unit))  # one for each row, so that a unit that appears or vanishes shifts no other's
    _, first_rows, index = np.unique(unit, return_index=True, return_inverse=True)
    place = np.empty(len(first_rows), dtype=np.int64)
    place[np.argsort(keys[first_rows], kind="stable")] = np.arange(len(first_rows))
    return place[index]


def split(
    dataset: AnyDataset, q: np.ndarray, validation: Size, test: Size | None, random: np.random.Generator
) -> pd.DataFrame:
    """Give every row a role, and every training row its `min_ratio` and fold.

    Parameters
    ----------
    dataset : AnyDataset
    q : ndarray of shape (K,)
        The weights of Q, by which validation and test rows are drawn.
    validation, test : Size
        No test size: no row gets that role, where the caller holds its test rows back itself.
    random : numpy.random.Generator

    Returns
    -------
    DataFrame of n rows
        row_id, region (name), role, min_ratio (the least r at which the row is in S_g; NaN outside
        training), fold (-1 outside training). Where regions are by quantile, roles are dealt by the dataset's edges;
        then the edges are taken from the training rows, which keep their regions.

    Raises
    ------
    CodsaError
        Naming the region that has too few rows, how many it has and how many it needs.
    """
    region = dataset.regions()
    strata = _strata(dataset, region, q)
    available = np.bincount(strata.index, minlength=len(strata.names))
    sizes = {TEST: test, VALIDATION: validation}
    counts = {name: size.rows(available, strata.q) for name, size in sizes.items() if size is not None}
    _check_enough_rows(strata, available, counts)
    shuffled = shuffled_units(units(dataset), random)
    role = assign_roles(strata.index, shuffled, counts)
    _check_roles_filled(strata, role, counts)
    role[(role == TRAIN) & strata.anomalous[strata.index]] = UNUSED
    names = np.array(dataset.schema.regions.names, dtype=object)
    frame = pd.DataFrame(
        {
            "row_id": np.arange(len(region), dtype=np.int64),
            "region": names[_final_regions(dataset, region, role, q, [*counts])],
            "role": role,
        }
    )
    return frame.assign(**rank_training(region, shuffled, role == TRAIN))


def _final_regions(
    dataset: AnyDataset, region: np.ndarray, role: np.ndarray, q: np.ndarray, held_out: list[str]
) -> np.ndarray:
    """Return each row's region once edges by quantile are taken from the training rows, ndarray of int64.

    Raises
    ------
    CodsaError
        Where a region that counts under Q has no validation or test row left.
    """
    regions = settled_regions(dataset, role == TRAIN)
    if not regions.quantiles:
        return region
    final = regions.assign(pd.DataFrame({regions.column: dataset.column(str(regions.column))}))
    for role_name in held_out:
        counts = np.bincount(final[role == role_name], minlength=len(regions))
        if (counts[q > 0] == 0).any():
            name = regions.names[int(np.flatnonzero((counts == 0) & (q > 0))[0])]
            raise CodsaError(
                f"region '{name}' gets no {role_name} row; raise the {role_name} count, or give fewer regions"
            )
    return final


@dataclass(frozen=True)
class Strata:
    """The sets of rows from which validation and test rows are drawn: one stratum per region.

    For detection each region has two strata of equal weight: its normal rows and its anomalous rows.

    Attributes
    ----------
    names : list of str
    index : ndarray of int64, shape (n,)
        Each row's stratum.
    q : ndarray of shape (S,)
        Weights of the strata under Q.
    anomalous : ndarray of bool, shape (S,)
    """

    names: list[str]
    index: np.ndarray
    q: np.ndarray
    anomalous: np.ndarray


def _strata(dataset: AnyDataset, region: np.ndarray, q: np.ndarray) -> Strata:
    schema = dataset.schema
    names = [f"region '{name}'" for name in schema.regions.names]
    if schema.task != "detection":
        return Strata(names, region, q, np.zeros(len(q), dtype=bool))
    anomalous = ~dataset.column(schema.target).isin(schema.normal).to_numpy(dtype=bool)
    stratum_names = [f"{name}, {kind}" for name in names for kind in ("normal", "anomalous")]
    return Strata(stratum_names, 2 * region + anomalous, np.repeat(q / 2, 2), np.tile([False, True], len(q)))


def _check_enough_rows(strata: Strata, available: np.ndarray, counts: Mapping[str, np.ndarray]) -> None:
    """Raise a `CodsaError` where a stratum has fewer rows than its roles need."""
    for k, name in enumerate(strata.names):
        test, validation = (int(counts[role][k]) if role in counts else 0 for role in (TEST, VALIDATION))
        training = 0 if strata.anomalous[k] else MIN_TRAINING_ROWS
        needed = test + validation + training
        if available[k] < needed:
            raise CodsaError(
                f"{name} has {available[k]} rows; {needed} are needed ({test} test, {validation} "
                f"validation, {training} training): lower the counts, or allow pooling of small regions"
            )
    for role, role_counts in counts.items():
        if role_counts.sum() == 0:
            raise CodsaError(f"{role} would have no rows; raise its count or fraction")


def assign_roles(region: np.ndarray, unit: np.ndarray, counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Fill test, then validation, with complete units in shuffled order; the other rows train.

    A unit that would overfill a region is skipped, so that roles are filled exactly where most units are single rows.

    Parameters
    ----------
    region, unit : ndarray of int64, shape (n,)
        `unit` numbers the units in shuffled order.
    counts : mapping of role to ndarray of shape (K,)
        Rows of each region that the role needs.

    Returns
    -------
    ndarray of str, shape (n,)
    """
    role = np.full(len(region), TRAIN, dtype=object)
    sizes = np.unique(unit, return_counts=True)[1]
    rows = np.split(np.argsort(unit, kind="stable"), np.cumsum(sizes)[:-1])
    for role_name, role_counts in counts.items():
        missing = role_counts.copy()
        for unit_rows in rows:
            if missing.sum() == 0:
                break
            unit_counts = np.bincount(region[unit_rows], minlength=len(missing))
            if role[unit_rows[0]] == TRAIN and (unit_counts <= missing).all():
                role[unit_rows] = role_name
                missing -= unit_counts
    return role


def _check_roles_filled(strata: Strata, role: np.ndarray, counts: Mapping[str, np.ndarray]) -> None:
    """Raise where groups leave a region no row of a role it needs; warn where it gets fewer rows than asked for."""
    needed_counts = [*counts.items(), (TRAIN, np.where(strata.anomalous, 0, 1))]
    for k, name in enumerate(strata.names):
        stratum_roles = role[strata.index == k]
        for role_name, needed in needed_counts:
            count = int((stratum_roles == role_name).sum())
            if role_name != TRAIN and 0 < count < needed[k]:
                log.warning("%s gets %d of %d %s rows: groups are kept whole", name, count, needed[k], role_name)
            if needed[k] > 0 and count == 0:
                raise CodsaError(
                    f"{name} gets no {role_name} rows: its {len(stratum_roles)} rows lie in groups too large to "
                    "part; use smaller groups or larger validation and test sets"
                )


def _is_large(unit: np.ndarray) -> np.ndarray:
    """Say of each row whether its unit holds more than a tenth of the rows, ndarray of bool.

    Such units are ranked last: a unit of over half the rows, ranked first, would leave S_g empty at r = 0.5.
    """
    _, index, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    return sizes[index] > max(len(unit) / 10, 1)


def rank_training(region: np.ndarray, unit: np.ndarray, train: np.ndarray) -> dict[str, np.ndarray]:
    """Rank the training rows within their regions, in the units' shuffled order, very large units last.

    A unit's fold is that of its rank among the units whose first row lies in its region: each fold takes a fifth of
    the ranks of every region, and one unit more or less changes the folds of a handful.

    Parameters
    ----------
    region : ndarray of int64, shape (n,)
    unit : ndarray of int64, shape (n,)
        Numbers the units in shuffled order.
    train : ndarray of bool, shape (n,)

    Returns
    -------
    dict of ndarray of shape (n,)
        min_ratio and fold, as `split` describes them.
    """
    min_ratio = np.full(len(region), np.nan)
    for k in np.unique(region[train]):
        rows = np.flatnonzero(train & (region == k))
        rows = rows[np.lexsort((unit[rows], _is_large(unit[rows])))]
        min_ratio[rows] = (np.arange(len(rows)) + 1) / len(rows)
    unit_ratio = pd.Series(min_ratio).groupby(unit).transform("max").to_numpy()
    return {"min_ratio": np.where(train, unit_ratio, np.nan), "fold": _folds(region, unit, train)}


def _folds(region: np.ndarray, unit: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the fold of every training row, -1 for the others, ndarray of int64, shape (n,)."""
    fold = np.full(len(region), -1, dtype=np.int64)
    if not train.any():
        return fold
    _, first, index = np.unique(unit[train], return_index=True, return_inverse=True)
    home = region[train][first]
    unit_fold = np.empty(len(first), dtype=np.int64)
    for k in np.unique(home):
        members = np.flatnonzero(home == k)  # in shuffled order
        unit_fold[members] = (np.arange(len(members)) * FOLDS // len(members) + k) % FOLDS
    fold[train] = unit_fold[index]
    return fold
