"""Where tables, images and texts differ: stages ask the modality of a column, and know no other difference."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from codsa.data.schema import Column, Schema
from codsa.errors import CodsaError
from codsa.modalities.base import Comparison, Modality
from codsa.settings.registry import MODALITIES

__all__ = ["Comparison", "Modality", "modalities_of", "modality_of"]


def modality_of(column: Column) -> type[Modality]:
    """Return the modality of a column's type: the one that names it, or else tables."""
    entry = next((entry for entry in MODALITIES if column.type in entry.types), MODALITIES[-1])
    module, _, name = entry.target.partition(":")
    modality: type[Modality] = getattr(importlib.import_module(module), name)
    return modality


def modalities_of(schema: Schema, encoder: str | None = None) -> list[Modality]:
    """Return the modalities of a schema's modelled columns, in the registry's order, tables last.

    Parameters
    ----------
    encoder : str, optional
        A sentence encoder's folder or name, by which generated texts are embedded again.

    Raises
    ------
    CodsaError
        For an encoder where no modality has a use for one.
    """
    classes = _in_order({modality_of(column) for column in schema.modelled})
    if encoder is not None and not any(modality.takes_encoder(schema) for modality in classes):
        raise CodsaError("encoder: the data model no text with embeddings, so there is no round trip; leave it out")
    return [modality(schema, encoder) for modality in classes]


def _in_order(classes: Iterable[type[Modality]]) -> list[type[Modality]]:
    places = {entry.target.partition(":")[2]: place for place, entry in enumerate(MODALITIES)}
    return sorted(classes, key=lambda modality: places[modality.__name__])
