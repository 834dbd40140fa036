"""Arrays as values of a table: an image or a vector beside each row's other columns.

An array column is one contiguous ndarray behind pandas' extension interface, so rows with an array are
chosen, joined and passed through the stages like any others. On disk it is what other tools read: an image
as a struct {bytes, path} with PNG bytes, a vector as a list of float32.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype

from codsa.errors import CodsaError

ELEMENTS: dict[str, np.dtype[Any]] = {"image": np.dtype(np.uint8), "vector": np.dtype(np.float32)}
"""The elements of each type of array: uint8 of shape (height, width, channels), float32 of shape (d,)."""
_NAME = re.compile(r"(image|vector)\[(\d+(?:, \d+)*)\]")


@register_extension_dtype
class ArrayDtype(ExtensionDtype):
    """The type of an array column: 'image[28, 28, 1]' or 'vector[384]'.

    Parameters
    ----------
    array_type : {'image', 'vector'}
    shape : sequence of int
        The shape of one value.
    """

    kind = "O"
    _metadata = ("array_type", "shape")

    def __init__(self, array_type: str, shape: Sequence[int]) -> None:
        self.array_type, self.shape = array_type, tuple(int(s) for s in shape)

    @property
    def type(self) -> Any:  # type: ignore[override]
        """The type of one value."""
        return np.ndarray

    @property
    def name(self) -> str:  # type: ignore[override]
        """The type as text."""
        return f"{self.array_type}[{', '.join(map(str, self.shape))}]"

    @property
    def element(self) -> np.dtype[Any]:
        """The numpy type of an element."""
        return ELEMENTS[self.array_type]

    @classmethod
    def construct_from_string(cls, string: str) -> Self:
        """Read a type from text; raise a TypeError for another type's name, as pandas requires."""
        parts = _NAME.fullmatch(string) if isinstance(string, str) else None
        if parts is None:
            raise TypeError(f"'{string}' is not the type of an array column")
        return cls(parts[1], [int(s) for s in parts[2].split(",")])

    @classmethod
    def construct_array_type(cls) -> Any:
        """Return the array type."""
        return ArrayValues


class ArrayValues(ExtensionArray):
    """The values of an array column.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
    dtype : ArrayDtype
    """

    def __init__(self, values: np.ndarray, dtype: ArrayDtype) -> None:
        if values.shape[1:] != dtype.shape or values.dtype != dtype.element:
            raise ValueError(f"an array of shape {values.shape} and type {values.dtype} is not {dtype.name}")
        self.values, self._dtype = values, dtype

    @property
    def dtype(self) -> ArrayDtype:
        """The type."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return int(self.values.nbytes)

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> Self:
        if isinstance(scalars, cls):
            return cls(scalars.values.copy() if copy else scalars.values, scalars.dtype)
        arrays = [np.asarray(value) for value in scalars]
        if dtype is None:
            raise TypeError("an array column needs its type")
        array_dtype = dtype if isinstance(dtype, ArrayDtype) else ArrayDtype.construct_from_string(str(dtype))
        values = np.stack(arrays) if arrays else np.empty((0, *array_dtype.shape))
        return cls(values.astype(array_dtype.element), array_dtype)

    @classmethod
    def _from_factorized(cls, values: Any, original: Any) -> Self:
        return cls(np.asarray(values), original.dtype)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        return cls(np.concatenate([part.values for part in to_concat]), to_concat[0].dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, (int, np.integer)):
            return self.values[item]
        return type(self)(self.values[pd.api.indexers.check_array_indexer(self, item)], self._dtype)  # type: ignore[arg-type]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[key] = value.values if isinstance(value, ArrayValues) else value

    def __eq__(self, other: object) -> Any:
        theirs = getattr(other, "array", other)
        if not isinstance(theirs, ArrayValues):
            return NotImplemented
        return (self.values == theirs.values).reshape(len(self), -1).all(axis=1)

    def isna(self) -> np.ndarray:
        """Return a mask of missing values, which an array column never has."""
        return np.zeros(len(self), dtype=bool)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """Return the values at the given positions; -1 with `allow_fill` is an error."""
        positions = np.asarray(indices, dtype=np.intp)
        if allow_fill and (positions < 0).any():
            raise ValueError("an array column has no missing values")
        return type(self)(self.values[positions], self._dtype)

    def copy(self) -> Self:
        """Return a copy."""
        return type(self)(self.values.copy(), self._dtype)

    def _hash_pandas_object(self, *, encoding: str, hash_key: str, categorize: bool) -> np.ndarray:
        """Return a 64-bit hash of each value's bytes, the same on every machine."""
        digests = (hashlib.blake2b(value.tobytes(), digest_size=8).digest() for value in self.values)
        return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)

    def _formatter(self, boxed: bool = False) -> Any:
        return lambda value: f"<{self._dtype.array_type}>"

    def __arrow_array__(self, type: Any = None) -> Any:
        """Return the column as it is stored."""
        import pyarrow as pa

        if self._dtype.array_type == "vector":
            flat = pa.array(self.values.reshape(-1))
            return pa.FixedSizeListArray.from_arrays(flat, self._dtype.shape[0])
        from codsa.io.image_codec import encode

        fields = [pa.array([encode(image) for image in self.values], pa.binary()), pa.nulls(len(self), pa.string())]
        return pa.StructArray.from_arrays(fields, names=["bytes", "path"])


def column(kind: str, values: np.ndarray) -> pd.Series:
    """Return arrays as a column.

    Parameters
    ----------
    kind : {'image', 'vector'}
    values : ndarray of shape (n, ...)
    """
    dtype = ArrayDtype(kind, values.shape[1:])
    return pd.Series(ArrayValues(np.ascontiguousarray(values.astype(dtype.element, copy=False)), dtype))


def arrays(values: pd.Series) -> np.ndarray:
    """Return an array column as an ndarray of shape (n, ...)."""
    extension_array = values.array
    assert isinstance(extension_array, ArrayValues)
    return extension_array.values


def is_array(values: pd.Series) -> bool:
    """Say whether a column holds arrays."""
    return isinstance(values.dtype, ArrayDtype)


def read(values: pd.Series, kind: str, shape: Sequence[int] | None, name: str) -> pd.Series:
    """Return stored values as an array column; an array column is returned as it is.

    Parameters
    ----------
    values : Series of length n
    kind : {'image', 'vector'}
    shape : sequence of int, optional
        The shape of every value; default: that of the first.

    name : str
        The column's name, for errors.

    Raises
    ------
    CodsaError
        Where a value cannot be decoded, or has another shape.
    """
    if is_array(values):
        dtype = values.dtype
        assert isinstance(dtype, ArrayDtype)
        if dtype.array_type != kind or (shape is not None and dtype.shape != tuple(shape)):
            raise CodsaError(f"column '{name}': holds {dtype.name}, the schema says {kind}{list(shape or [])}")
        return values
    decoded = [_decoded(value, kind, name, row) for row, value in enumerate(values)]
    expected_shape = tuple(shape if shape is not None else decoded[0].shape) if decoded or shape is not None else (0,)
    misshapen = next((row for row, array in enumerate(decoded) if array.shape != expected_shape), None)
    if misshapen is not None:
        raise CodsaError(
            f"column '{name}': row {misshapen} has the shape {decoded[misshapen].shape}, not {expected_shape}"
        )
    stacked = np.stack(decoded) if decoded else np.empty((0, *expected_shape))
    return pd.Series(column(kind, stacked).array, index=values.index)


def _decoded(value: Any, kind: str, name: str, row: int) -> np.ndarray:
    if kind == "vector":
        return _vector(value, name, row)
    from codsa.io.image_codec import decode

    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise CodsaError(f"column '{name}': row {row} holds no image bytes; run codsa-prepare again")
    return decode(data, f"column '{name}', row {row}")


def _vector(value: Any, name: str, row: int) -> np.ndarray:
    try:
        vector = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError):
        vector = np.empty((), dtype=np.float32)
    if vector.ndim != 1:
        raise CodsaError(f"column '{name}': row {row} holds '{value}', which is no vector; correct its type")
    return vector
