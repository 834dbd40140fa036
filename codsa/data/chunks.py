"""Chunks: consecutive rows that go through a network together, whatever the number of rows asked."""

from __future__ import annotations

from collections.abc import Iterator


def chunks(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` of `count` rows, in order; one empty slice where there are no rows."""
    for first in range(0, max(count, 1), size):
        yield slice(first, min(first + size, count))
