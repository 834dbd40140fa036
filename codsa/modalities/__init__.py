"""The differences between tables, images and texts: stages ask the modality of a column and never branch on it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from codsa.data.schema import Column, Schema
from codsa.errors import CodsaError
from codsa.modalities.base import Comparison, Modality
from codsa.settings.registry import MODALITIES

__all__ = ["Comparison", "Modality", "modalities_of", "modality_of"]


def modality_of(column: Column) -> type[Modality]:
    """Return the modality whose registry entry lists a column's type; tables where none does."""
    entry = next((entry for entry in MODALITIES if column.type in entry.types), MODALITIES[-1])
    module, _, name = entry.target.partition(":")
    modality: type[Modality] = getattr(importlib.import_module(module), name)
    return modality


def modalities_of(schema: Schema, encoder: str | None = None) -> list[Modality]:
    """Return the modalities of a schema's modelled columns, in the registry's order, tables last.

    Parameters
    ----------
    encoder : str, optional
        A sentence encoder's folder or name, with which generated texts are embedded again.

    Raises
    ------
    CodsaError
        For an encoder where no modality uses one.
    """
    classes = _in_registry_order({modality_of(column) for column in schema.modelled})
    if encoder is not None and not any(modality.uses_encoder(schema) for modality in classes):
        raise CodsaError("encoder: the data model no text with embeddings, so there is no round trip; leave it out")
    return [modality(schema, encoder) for modality in classes]


def _in_registry_order(classes: Iterable[type[Modality]]) -> list[type[Modality]]:
    position = {entry.target.partition(":")[2]: i for i, entry in enumerate(MODALITIES)}
    return sorted(classes, key=lambda modality: position[modality.__name__])
