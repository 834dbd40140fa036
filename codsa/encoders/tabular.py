"""Typed rows as arrays of about unit scale, for neural generators, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.regions import Regions
from codsa.data.schema import Column, is_ordered
from codsa.encoders.blocks import Arrays, Block, LevelBlock, OrderedBlock, strip_prefix
from codsa.encoders.dependencies import FunctionalDependencies
from codsa.encoders.evidence import determines_region
from codsa.encoders.vectors import VectorBlock
from codsa.errors import CodsaError


class TabularEncoder:
    """Rows of typed columns as an array of about unit scale, and back.

    Attributes
    ----------
    blocks : list of OrderedBlock, LevelBlock or VectorBlock
        One per column that is modelled.
    dependencies : FunctionalDependencies
        How the other columns follow from the modelled ones.
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
        """Fit the scalings and levels of columns to rows.

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
        unsupported = next((column for column in columns if column.type in ("image", "text")), None)
        if unsupported is not None:
            raise CodsaError(
                f"column '{unsupported.name}' holds {unsupported.type}s, which are not encoded as a table; use "
                "image-diffusion, text-diffusion, distortions, text-noise or bootstrap"
            )
        if regions is not None and region is not None and (region < 0).any():
            raise CodsaError(f"row {int(np.flatnonzero(region < 0)[0])} lies in no region; widen the regions")
        region_column = None if regions is None else regions.column
        functional = (
            FunctionalDependencies.fit(rows, columns, region, region_column)
            if dependencies
            else FunctionalDependencies(columns)
        )
        blocks = [
            fit_block(
                column,
                rows[column.name],
                regions=regions,
                region=region,
                determining=column.name in functional.region_determining,
                scaling=scaling,
            )
            for column in columns
            if column.name not in functional.names
        ]
        return cls(blocks, functional)

    @property
    def width(self) -> int:
        """The number of array columns: one of zeros where no column is modelled."""
        return max(1, sum(block.width for block in self.blocks))

    @property
    def regional(self) -> bool:
        """Whether the meaning of an array depends on its region."""
        return any(block.regional for block in self.blocks)

    def encode(self, rows: pd.DataFrame, region: np.ndarray | None = None) -> np.ndarray:
        """Return rows as an ndarray of float32, shape (n, width).

        Parameters
        ----------
        region : ndarray of int64, shape (n,), optional
            The rows' regions; needed where a modelled column is encoded within its region.
        """
        arrays = [block.encode(rows[block.column.name], region) for block in self.blocks]
        return np.hstack(arrays or [np.zeros((len(rows), 1))]).astype(np.float32)

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.DataFrame:
        """Return rows in the schema's types, each in its region, from an ndarray of shape (n, width)."""
        edges = np.cumsum([0, *(block.width for block in self.blocks)])
        array = array.astype(np.float64)
        series = {
            block.column.name: block.decode(array[:, start:stop], region)
            for block, start, stop in zip(self.blocks, edges, edges[1:], strict=False)
        }
        return self.dependencies.rebuild(pd.DataFrame(series, index=range(len(array))), region)

    def adapt(
        self, rows: pd.DataFrame, columns: list[Column], source: Regions, regions: Regions, region: np.ndarray
    ) -> TabularEncoder:
        """Return the encoder of a source set for a study, with the study's regions, levels, bounds and dependencies.

        Parameters
        ----------
        rows : DataFrame of shape (n_g, d)
        columns : list of Column
        source, regions : Regions
            The partitions of the source set and of the study: by the same column into as many regions.
        region : ndarray of int64, shape (n_g,)

        Raises
        ------
        CodsaError
            When the source was prepared with other columns, types or regions.
        """
        self.check(columns)
        expected, actual = ((r.kind, r.column, len(r)) for r in (source, regions))
        if self.regional and expected != actual:
            raise CodsaError(
                f"the pretrained encoder is for regions (kind, column, number) {expected}, the data have {actual}; "
                "prepare the source set with the same regions"
            )
        new_region = None if regions.members == source.members else region
        blocks: list[Block] = [
            block.adapt(rows[column.name], column, new_region, len(regions))
            for block, column in zip(self.blocks, columns, strict=True)
        ]
        return TabularEncoder(blocks, FunctionalDependencies.fit(rows, columns, region, regions.column))

    def check(self, columns: list[Column]) -> None:
        """Raise a `CodsaError` unless the encoder was fitted on columns of these names and types."""
        expected = [(block.column.name, block.column.type) for block in self.blocks]
        actual = [(column.name, column.type) for column in columns]
        if expected != actual:
            raise CodsaError(
                f"the pretrained encoder models columns {expected}, the data have {actual}; prepare the source "
                "set with the same columns and types"
            )

    def to_arrays(self) -> Arrays:
        """Return all fitted values as named arrays, for safetensors; one of them, `facts`, holds JSON as bytes."""
        arrays: Arrays = {}
        for j, block in enumerate(self.blocks):
            arrays |= {f"{j}.{name}": array for name, array in block.arrays().items()}
        blocks = {block.column.name: block.to_dict() for block in self.blocks}
        text = json.dumps({"blocks": blocks, "dependencies": self.dependencies.to_dict()})
        return arrays | {"facts": np.frombuffer(text.encode(), dtype=np.uint8).copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], columns: list[Column]) -> TabularEncoder:
        """Read an encoder from what `to_arrays` returned and the columns that it was fitted on."""
        facts = json.loads(np.asarray(arrays["facts"]).tobytes())
        by_name = {column.name: column for column in columns}
        blocks: list[Block] = []
        for j, (name, record) in enumerate(facts["blocks"].items()):
            column = by_name[name]
            blocks.append(block_class(column).restore(column, record, strip_prefix(arrays, f"{j}.")))
        return cls(blocks, FunctionalDependencies.from_dict(columns, facts["dependencies"]))


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
    """Fit a column's block, within each region where the column defines or determines the region.

    Parameters
    ----------
    column : Column
    values : Series of n rows
    regions : Regions, optional
    region : ndarray of int64, shape (n,), optional
        The rows' regions.
    determining : bool
        Whether the column is known to determine the region.
    scaling : str
        A name of `codsa.encoders.scaling.NAMES`.
    """
    if block_class(column) is VectorBlock:
        return VectorBlock.fit(column, values)
    if regions is None or region is None:
        regional = False
    else:
        regional = determining or column.name == regions.column or determines_region(values, column, region)
    within = region if regional else None
    if not is_ordered(column):
        return LevelBlock.fit(column, values, within, 0 if regions is None else len(regions))
    atoms = regions is not None and regions.kind == "values" and column.name == regions.column
    return OrderedBlock.fit(column, values, within, atoms, scaling)


def any_determines_region(rows: pd.DataFrame, columns: list[Column], region: np.ndarray) -> bool:
    """Say whether some column determines the region of every row (see `codsa.encoders.evidence.determines_region`).

    Parameters
    ----------
    rows : DataFrame of shape (n, d)
    columns : list of Column
    region : ndarray of int64, shape (n,)
    """
    return any(determines_region(rows[column.name], column, region) for column in columns)
