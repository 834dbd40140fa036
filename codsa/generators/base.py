"""The protocol that every generator keeps, and the way to make one by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd

from codsa.data.schema import Schema, cast
from codsa.errors import CodsaError
from codsa.io.class_sources import class_attribute
from codsa.settings.registry import GENERATORS, check_settings, load, locate

BLOCK_ROWS = 1024
"""Rows of a block, of generators that draw thousands a second."""

Modality = Literal["tables", "images", "texts", "any"]
"""What a generator can draw: plain columns; a column of images beside them; texts with their embeddings; or each."""


class Generator(ABC):
    """A conditional generator of rows, given their region.

    A subclass takes its settings as keyword arguments with defaults, and adds a line to the
    registry; a user's own is named `module:Class` in the experiment.

    Attributes
    ----------
    modality : {'tables', 'images', 'texts', 'any'}
        The data that the class can be fitted on. The contract suite fits it on such data.
    uses_gpu : bool
        Whether fitting or drawing is faster on a GPU. The workflow asks for no GPU where this is False. It is read
        from the source of the class, so write a plain `True` or `False` into the class body.
    resamples : bool
        Whether its rows are real ones, drawn again or changed by a rule: a control beside generators that learn the
        law of rows. It is read from the source, as `uses_gpu` is.
    streams : bool
        Whether `fit` also takes `codsa.data.rows.StoredRows`, which need not fit into memory.
    slow : bool
        Whether drawing a block takes long, so that blocks are kept for a job that was killed and starts again.
    block : int
        Rows that are drawn from one stream. A pool's last block ends with the chunk that completes the rows asked for
        (see `sample_chunks`).
    pretraining : mapping
        Settings that replace the user's where it is fitted on a source set.
    """

    modality: ClassVar[Modality] = "tables"
    uses_gpu: ClassVar[bool] = True
    resamples: ClassVar[bool] = False
    streams = False
    slow = False
    block = BLOCK_ROWS
    pretraining: Mapping[str, Any] = {}

    @abstractmethod
    def fit(
        self,
        rows: pd.DataFrame,
        regions: np.ndarray,
        schema: Schema,
        stream: np.random.SeedSequence,
        checkpoint_dir: Path | None = None,
        pretrained: Path | None = None,
    ) -> Self:
        """Learn the conditional law of each region from S_g.

        Parameters
        ----------
        rows : DataFrame of shape (n_g, d)
            The rows of S_g: the modelled columns, in the schema's types.
        regions : ndarray of int64, shape (n_g,)
        schema : Schema
        stream : numpy.random.SeedSequence
            The only source of randomness.
        checkpoint_dir : Path, optional
            A folder for checkpoints, from which a killed run resumes.
        pretrained : Path, optional
            A folder with an encoder–decoder fitted on a source set.
        """

    @abstractmethod
    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region.

        Returns
        -------
        DataFrame of shape (count, d)
            The modelled columns, in the schema's types.
        """

    def sample_chunks(self, region: int, count: int, stream: np.random.SeedSequence) -> Iterator[pd.DataFrame]:
        """Give the rows that `sample` draws in order, some at a time; the caller stops when it has enough.

        By default there is one chunk. A subclass whose rows take long computes each chunk when it is asked for. A chunk
        must depend on `region`, `count` and `stream` alone, so that few rows are the first of many.
        """
        yield self.sample(region, count, stream)

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what `load` needs into an existing folder; no pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, schema: Schema, settings: Mapping[str, Any]) -> Self:
        """Read a fitted generator, on a machine with or without a GPU."""


def complete(generated: pd.DataFrame, region: int, schema: Schema) -> pd.DataFrame:
    """Set the columns that a region fixes to one value, and put all in the schema's order."""
    fixed = schema.regions.constant(region)
    constants = {name: cast(pd.Series([value] * len(generated)), schema.column(name)) for name, value in fixed.items()}
    all_columns = generated.assign(**constants)
    return all_columns[[c.name for c in schema.modelled if c.name in all_columns]]


def make(name: str, settings: Mapping[str, Any]) -> Generator:
    """Make an unfitted generator from its registered name or `module:Class` and its settings.

    Raises
    ------
    CodsaError
        For a name or a setting that is not known.

    Examples
    --------
    >>> from codsa.data.preparation import prepare
    >>> from codsa.generators import make
    >>> from codsa.io.seeds import stream
    >>> from codsa.readers.simulations import simulate
    >>> from codsa.settings.columns import ColumnOptions
    >>> from codsa.settings.regions import RegionRule
    >>> table = simulate("imbalanced-classification", minority=30, majority=60, seed=0)
    >>> rows, schema = prepare(table, ColumnOptions(target="y"), RegionRule(by="class"))
    >>> smote = make("smote", {"k_neighbors": 3}).fit(rows, schema.regions.assign(rows), schema, stream(0, "fit"))
    >>> smote.sample(region=0, count=5, stream=stream(0, "sample")).shape
    (5, 11)
    """
    generator: Generator = generator_class(name, settings)(**settings)
    return generator


def generator_class(name: str, settings: Mapping[str, Any], trusted: Collection[str] | None = None) -> type[Generator]:
    """Return the class behind a name, once it is known to take these settings.

    Parameters
    ----------
    trusted : collection of str, optional
        See `codsa.settings.registry.load`.
    """
    call = load("generator", name, GENERATORS, trusted)
    if not issubclass(call, Generator):
        raise CodsaError(f"generator '{name}': is no codsa.generators.Generator; derive the class from it")
    check_settings("generator", name, call, settings)
    return call


def uses_gpu(name: str) -> bool:
    """Return `Generator.uses_gpu` of a registered name or `module:Class`, read from its source: nothing is imported.

    True where the source is not found, or does not say it as a plain `True` or `False`.
    """
    module, _, class_name = locate("generator", name, GENERATORS).partition(":")
    return bool(class_attribute(module, class_name, "uses_gpu", default=True))


def resamples(name: str) -> bool:
    """Return `Generator.resamples` of a registered name or `module:Class`, read from its source: nothing is imported.

    False where the source is not found, or does not say it as a plain `True` or `False`.
    """
    module, _, class_name = locate("generator", name, GENERATORS).partition(":")
    return bool(class_attribute(module, class_name, "resamples", default=False))
