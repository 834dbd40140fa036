"""Chunks: runs of rows that go through a network together, whatever the number of rows asked."""

from __future__ import annotations

from collections.abc import Iterator


def chunks(count: int, size: int) -> Iterator[slice]:
    """Give the chunks of so many rows in order, the last one cut; of no rows, one empty chunk."""
    for first in range(0, max(count, 1), size):
        yield slice(first, min(first + size, count))
