"""Typed rows as arrays of about unit scale, for neural generators, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.regions import Regions
from codsa.data.schema import Column, is_ordered
from codsa.encoders.blocks import Arrays, Block, LevelBlock, OrderedBlock, under
from codsa.encoders.dependencies import FunctionalDependencies
from codsa.encoders.evidence import tells
from codsa.encoders.vectors import VectorBlock
from codsa.errors import CodsaError


class TabularEncoder:
    """Rows of typed columns as an array of about unit scale, and back.

    Attributes
    ----------
    blocks : list of OrderedBlock, LevelBlock or VectorBlock
        One per column that is modelled.
    dependencies : Ties
        How the other columns follow from these.
    """

    def __init__(self, blocks: list[Block], dependencies: FunctionalDependencies) -> None:
        self.blocks, self.dependencies = blocks, dependencies

    @classmethod
    def fit(
        cls,
        rows: pd.DataFrame,
        columns: list[Column],
        regions: Regions | None = None,
        region: np.ndarray | None = None,
        dependencies: bool = False,
        scaling: str = "normal-score",
    ) -> TabularEncoder:
        """Learn the distributions and levels of columns from rows.

        Parameters
        ----------
        rows : DataFrame of shape (n, d)
        columns : list of Column
        regions : Regions, optional
            The partition; without it every column has one scale everywhere.
        region : ndarray of int64, shape (n,), optional
            The rows' regions.
        dependencies : bool
            Leave out columns that others determine, and rebuild them (see `codsa.encoders.dependencies`).
        scaling : str
            How numbers are scaled: a name of `codsa.encoders.scaling.NAMES`.

        Raises
        ------
        CodsaError
            For an infinite value, or a column of images or texts.
        """
        held = next((c for c in columns if c.type in ("image", "text")), None)
        if held is not None:
            raise CodsaError(
                f"column '{held.name}' holds {held.type}s, which are not encoded as a table; use image-diffusion, "
                "text-diffusion, distortions, text-noise or bootstrap"
            )
        if regions is not None and region is not None and (region < 0).any():
            raise CodsaError(f"row {int(np.flatnonzero(region < 0)[0])} lies in no region; widen the regions")
        deciding = None if regions is None else regions.column
        found = (
            FunctionalDependencies.fit(rows, columns, region, deciding)
            if dependencies
            else FunctionalDependencies(columns)
        )
        kept = [c for c in columns if c.name not in found.names]
        blocks = [
            fit_block(c, rows[c.name], regions, region, c.name in found.region_determining, scaling) for c in kept
        ]
        return cls(blocks, found)

    @property
    def width(self) -> int:
        """The number of array columns: one of zeros where no column is modelled."""
        return max(1, sum(block.width for block in self.blocks))

    @property
    def regional(self) -> bool:
        """Whether an array has another meaning in another region."""
        return any(block.regional for block in self.blocks)

    def encode(self, rows: pd.DataFrame, region: np.ndarray | None = None) -> np.ndarray:
        """Return rows as an ndarray of float32, shape (n, width).

        Parameters
        ----------
        region : ndarray of int64, shape (n,), optional
            The rows' regions; needed where a modelled column decides them.
        """
        parts = [block.encode(rows[block.column.name], region) for block in self.blocks]
        return np.hstack(parts or [np.zeros((len(rows), 1))]).astype(np.float32)

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows in the schema's types, each in its region, from an ndarray of shape (n, width)."""
        bounds = np.cumsum([0, *(block.width for block in self.blocks)])
        parts = zip(self.blocks, bounds, bounds[1:], strict=False)
        wide = array.astype(np.float64)
        made = {b.column.name: b.decode(wide[:, i:j], region) for b, i, j in parts}
        return self.dependencies.rebuild(pd.DataFrame(made, index=range(len(array))), region)

    def adapt(
        self, rows: pd.DataFrame, columns: list[Column], source: Regions, regions: Regions, region: np.ndarray
    ) -> TabularEncoder:
        """Return the encoder of a source set for a study: its regions, levels, bounds and ties.

        Parameters
        ----------
        rows : DataFrame of shape (n_g, d)
        columns : list of Column
        source, regions : Regions
            The partitions of the source set and of the study: by the same column into as many.
        region : ndarray of int64, shape (n_g,)

        Raises
        ------
        CodsaError
            When the source was prepared with other columns, types or regions.
        """
        self.check(columns)
        mine, theirs = ((r.kind, r.column, len(r)) for r in (source, regions))
        if self.regional and mine != theirs:
            raise CodsaError(
                f"the pretrained encoder is for regions (kind, column, number) {mine}, the data have {theirs}; "
                "prepare the source set with the same regions"
            )
        index = None if regions.members == source.members else region
        pairs = zip(self.blocks, columns, strict=True)
        blocks: list[Block] = [b.adapt(rows[c.name], c, index, len(regions)) for b, c in pairs]
        return TabularEncoder(blocks, FunctionalDependencies.fit(rows, columns, region, regions.column))

    def check(self, columns: list[Column]) -> None:
        """Raise a `CodsaError` unless it was fitted on these columns."""
        mine, theirs = [(b.column.name, b.column.type) for b in self.blocks], [(c.name, c.type) for c in columns]
        if mine != theirs:
            raise CodsaError(
                f"the pretrained encoder models columns {mine}, the data have {theirs}; prepare the source "
                "set with the same columns and types"
            )

    def to_arrays(self) -> Arrays:
        """Return what was learned as named arrays, for safetensors."""
        made: Arrays = {}
        for j, block in enumerate(self.blocks):
            made |= {f"{j}.{name}": array for name, array in block.arrays().items()}
        facts = {"blocks": {b.column.name: b.facts() for b in self.blocks}, "dependencies": self.dependencies.facts()}
        return made | {"facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8).copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], columns: list[Column]) -> TabularEncoder:
        """Read an encoder from what `to_arrays` gave and the columns it was fitted on."""
        facts = json.loads(np.asarray(arrays["facts"]).tobytes())
        known = {c.name: c for c in columns}
        blocks: list[Block] = []
        for j, (name, own) in enumerate(facts["blocks"].items()):
            kind = block_class(known[name])
            blocks.append(kind.read(known[name], own, under(arrays, f"{j}.")))
        return cls(blocks, FunctionalDependencies.from_facts(columns, facts["dependencies"]))


def block_class(column: Column) -> type[OrderedBlock] | type[LevelBlock] | type[VectorBlock]:
    """Return the class of a column's block."""
    if column.is_array:
        return VectorBlock
    return OrderedBlock if is_ordered(column) else LevelBlock


def fit_block(
    column: Column,
    values: pd.Series,
    regions: Regions | None,
    region: np.ndarray | None,
    determining: bool,
    scaling: str,
) -> Block:
    """Fit a column's block, region by region where it decides or tells the region."""
    if block_class(column) is VectorBlock:
        return VectorBlock.fit(column, values)
    if regions is None or region is None:
        inside = None
    else:
        inside = region if determining or column.name == regions.column or tells(values, column, region) else None
    if not is_ordered(column):
        return LevelBlock.fit(column, values, inside, 0 if regions is None else len(regions))
    atoms = regions is not None and regions.kind == "values" and column.name == regions.column
    return OrderedBlock.fit(column, values, inside, atoms, scaling)


def tells_region(rows: pd.DataFrame, columns: list[Column], region: np.ndarray) -> bool:
    """Say whether the values of some column tell the region of every row (see `codsa.encoders.evidence.tells`).

    Parameters
    ----------
    rows : DataFrame of shape (n, d)
    columns : list of Column
    region : ndarray of int64, shape (n,)
    """
    return any(tells(rows[column.name], column, region) for column in columns)
