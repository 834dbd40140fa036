"""A split of the rows into roles, as stages read it: S_g, S_r, validation and test (made by `codsa.stages.split`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.regions import Regions
from codsa.data.rows import AnyDataset, StoredDataset, described, open_dataset
from codsa.data.schema import Schema
from codsa.errors import CodsaError
from codsa.io.artifacts import files_output, new_files
from codsa.io.digests import digest
from codsa.io.files import real_path
from codsa.io.manifests import check_files, facts_as, read_manifest, write_manifest
from codsa.io.names import SPLIT
from codsa.io.tables import read_parquet, write_parquet

TRAIN, VALIDATION, TEST = "train", "validation", "test"
UNUSED = "unused"
"""The role of anomalous rows beyond those that validate and test: a detector trains on normal rows."""
FOLDS = 5
"""The number of folds of cross-fitting (appendix D.1)."""
FOLD_RATIO = 1 - 1 / FOLDS
"""The split ratio r of leaving one fold out."""


@dataclass(frozen=True)
class Split:
    """A split and the law it was drawn under.

    Attributes
    ----------
    frame : DataFrame
        As `codsa.stages.split.split` returns it.
    q, p : ndarray of shape (K,)
        Region weights of the target law and of the training rows.
    digest : str
        Of the table, q and the regions, so that a changed law changes the digest.
    regions : Regions, optional
        The partition, its edges by quantile taken from the training rows; default: the dataset's.
    """

    frame: pd.DataFrame
    q: np.ndarray
    p: np.ndarray
    digest: str
    regions: Regions | None = None

    @property
    def n(self) -> int:
        """The number of training rows."""
        return int((self.frame["role"] == TRAIN).sum())

    def rows(self, role: str) -> np.ndarray:
        """Return the row_ids of a role, ndarray of int64."""
        return self.frame.loc[self.frame["role"] == role, "row_id"].to_numpy()

    def generator_rows(self, r: float, fold: int | None = None) -> np.ndarray:
        """Return the row_ids of S_g, ndarray of int64: training rows with min_ratio ≤ r, or outside a fold."""
        return self._training(self._in_generator(r, fold))

    def reserved_rows(self, r: float, fold: int | None = None) -> np.ndarray:
        """Return the row_ids of S_r, ndarray of int64: the training rows not in S_g."""
        return self._training(~self._in_generator(r, fold))

    def _in_generator(self, r: float, fold: int | None) -> pd.Series:
        if fold is None:
            return self.frame["min_ratio"] <= check_ratio(r)
        if not 0 <= fold < FOLDS:
            raise CodsaError(f"fold {fold}: the folds are 0 to {FOLDS - 1}")
        if r != FOLD_RATIO:
            raise CodsaError(f"fold {fold} at r = {r}: leaving one of {FOLDS} folds out is r = {FOLD_RATIO}")
        return self.frame["fold"] != fold

    def _training(self, chosen: pd.Series) -> np.ndarray:
        return self.frame.loc[(self.frame["role"] == TRAIN) & chosen, "row_id"].to_numpy()


def check_ratio(r: float) -> float:
    """Return r, or raise a `CodsaError` unless it lies in (0, 1]."""
    if not 0 < r <= 1:
        raise CodsaError(f"r = {r}: the split ratio must lie in (0, 1]")
    return r


def part_label(r: float, fold: int | None) -> str:
    """Return the name of a part S_g of the training rows in paths and streams, '0.8' or '0.8-fold2'."""
    return str(r) if fold is None else f"{r}-fold{fold}"


def training_shares(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return p, the regions' shares of the training rows, ndarray of shape (K,)."""
    counts = frame.loc[frame["role"] == TRAIN, "region"].value_counts()
    p = np.array([counts.get(name, 0) for name in schema.regions.names], dtype=float)
    return p / p.sum()


def role_sizes(frame: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the number of rows of each role and region."""
    roles = frame.groupby("role", sort=True)["region"]
    return {str(role): {str(k): int(v) for k, v in names.value_counts(sort=False).items()} for role, names in roles}


def settled_regions(dataset: AnyDataset, training: np.ndarray) -> Regions:
    """Return a dataset's partition, its edges by quantile taken from the training rows (see `Regions.settled`).

    Parameters
    ----------
    training : ndarray of bool, shape (n,)
    """
    regions = dataset.schema.regions
    return regions.settled(dataset.column(str(regions.column))[training]) if regions.quantiles else regions


def in_regions_of(split: Split, dataset: AnyDataset) -> AnyDataset:
    """Return the dataset with the regions of a split: the schema's partition, and each row's region."""
    if split.regions is None or split.regions == dataset.schema.regions:
        return dataset
    schema = replace(dataset.schema, regions=split.regions)
    if not isinstance(dataset, StoredDataset):
        return replace(dataset, schema=schema)
    index = pd.Index(split.regions.names).get_indexer(pd.Index(split.frame["region"])).astype(np.int64)
    return replace(dataset, schema=schema, index=index)


def training_schema(dataset: AnyDataset, split: Split) -> Schema:
    """Return the schema by which estimators encode rows: levels and bounds are those of the training rows.

    Validation and test rows, and generated rows that a source set taught, may hold levels that it lacks, and values
    beyond its bounds; `codsa.estimators.base.preprocessor` says what estimators make of them.

    Returns
    -------
    Schema
        As `codsa.data.rows.described` returns it, of S_g ∪ S_r.
    """
    return described(dataset.schema, dataset.part(split.rows(TRAIN)))


def write_split(
    path: Path, frame: pd.DataFrame, dataset: AnyDataset, q: np.ndarray, parameters: Mapping[str, Any]
) -> None:
    """Write `split.parquet` and, beside it, `split.json` with the laws, the sizes and the regions."""
    regions = settled_regions(dataset, (frame["role"] == TRAIN).to_numpy())
    facts = {"q": q, "p": training_shares(frame, dataset.schema), "sizes": role_sizes(frame)}
    facts |= {"regions": regions.to_dict()}
    path = real_path(path)
    with new_files(record_of(path), SPLIT) as staged:
        write_parquet(staged / path.name, frame)
        write_manifest(staged / record_of(path).name, SPLIT, {"dataset": dataset.digest}, parameters, **facts)


def record_of(path: Path) -> Path:
    """Return the manifest of a split: the .json beside it."""
    return path.with_suffix(".json")


def split_output(path: Path) -> None:
    """Raise a `CodsaError` where a split cannot be written: a name ending in .json, or a file in the way."""
    if record_of(path) == path:
        raise CodsaError(f"{path}: the .json beside a split is its manifest; give another name, split.parquet say")
    files_output(record_of(real_path(path)), SPLIT, (real_path(path).name,))


@dataclass(frozen=True)
class SplitFacts:
    """The facts of a split's manifest.

    Attributes
    ----------
    q, p : list of float
        Region weights of the target law and of the training rows.
    sizes : dict
        Rows of each role and region.
    regions : dict
        The partition, as `Regions.to_dict` returns it.
    """

    q: list[float]
    p: list[float]
    sizes: dict[str, dict[str, int]]
    regions: dict[str, Any]


def open_split(data: Path, split: Path) -> tuple[AnyDataset, Split]:
    """Open a dataset and one of its splits; the dataset comes in the split's regions.

    Every stage after codsa-split opens them together: where regions are by quantile, their edges are those of the
    split's training rows.

    Parameters
    ----------
    data : Path
        The folder that codsa-prepare wrote.
    split : Path
        The table that codsa-split wrote.
    """
    dataset = open_dataset(data)
    roles = load_split(split, dataset)
    return in_regions_of(roles, dataset), roles


def load_split(path: Path, dataset: AnyDataset) -> Split:
    """Read a split and check its files, its dataset, its row_ids, its law and its regions.

    The dataset keeps the regions that it has; `open_split` gives it those of the split.
    """
    record = read_manifest(record_of(path), SPLIT)
    if path.name not in record.outputs:
        raise CodsaError(f"{path}: the .json beside it is not of this split; run codsa-split again")
    check_files(record_of(path), record)
    if record.inputs.get("dataset") != dataset.digest:
        raise CodsaError(f"{path}: made from another dataset or schema; run codsa-split again")
    frame = read_parquet(path)
    if not np.array_equal(frame["row_id"], np.arange(len(dataset))):
        raise CodsaError(f"{path}: its row_ids are not those of the dataset; run codsa-split again")
    facts = facts_as(record, SplitFacts, record_of(path))
    q, p = np.array(facts.q), training_shares(frame, dataset.schema)
    if len(q) != len(p) or not (np.isfinite(q).all() and (q >= 0).all() and abs(q.sum() - 1) < 1e-9):
        raise CodsaError(f"{record_of(path)}: q = {facts.q} is no law over the {len(p)} regions; run codsa-split again")
    regions = Regions.from_dict(facts.regions)
    if regions.names != dataset.schema.regions.names:
        raise CodsaError(f"{record_of(path)}: its regions are not those of the dataset; run codsa-split again")
    return Split(frame, q, p, digest([record.outputs[path.name], q, facts.regions]), regions)
