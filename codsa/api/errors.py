"""A user's mistakes as scikit-learn reports them: errors that are a ValueError, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from codsa.errors import CodsaError


class InputError(CodsaError, ValueError):
    """A `CodsaError` of the Python interface; scikit-learn's tools expect a ValueError."""


@contextmanager
def as_value_error() -> Iterator[None]:
    """Turn a `CodsaError` into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except CodsaError as error:
        raise InputError(str(error)) from error
