"""Preparation of a command that runs under a limit on its address space."""

from __future__ import annotations

import mmap
import resource

BUFFER_BYTES = 256 << 20
"""Address space that the linear algebra libraries take for their buffers, with a margin."""


def reserve_buffers() -> None:
    """Make numpy's and scipy's OpenBLAS allocate their buffers now, where the address space is limited.

    OpenBLAS allocates them at the first product of matrices, and where there is no room it tries again for ever.

    Raises
    ------
    MemoryError
        Where there is no room for them.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    _check_room()
    import numpy as np

    _check_room()
    square = np.ones((64, 64))
    square @ square
    from scipy.linalg.blas import dgemm

    _check_room()
    dgemm(1.0, square, square)


def _check_room() -> None:
    try:
        mmap.mmap(-1, BUFFER_BYTES).close()
    except (OSError, ValueError):
        raise MemoryError from None
