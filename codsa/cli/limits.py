"""What is made sure of before a command works under a limit of memory."""

from __future__ import annotations

import mmap
import resource

BUFFERS = 256 << 20
"""Bytes of address space that the linear algebra libraries take for their buffers, with room for more."""


def reserve_buffers() -> None:
    """Have numpy's and scipy's OpenBLAS take their buffers now, where the address space is limited.

    They are taken at the first product of matrices, and where there is no room OpenBLAS tries again for ever.

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
        mmap.mmap(-1, BUFFERS).close()
    except (OSError, ValueError):
        raise MemoryError from None
