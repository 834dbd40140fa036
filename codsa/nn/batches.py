"""Batches in which rare regions are as frequent as common ones."""

from __future__ import annotations

import numpy as np
import torch


class BalancedBatches:
    """Draws batches of rows in which every region is equally likely.

    Parameters
    ----------
    regions : ndarray of int64, shape (n,)
        The rows' regions.
    batch : int
        Rows in a batch.
    """

    def __init__(self, regions: np.ndarray, batch: int) -> None:
        members = [torch.from_numpy(np.flatnonzero(regions == k)) for k in np.unique(regions)]
        self.sizes, self.by_region = torch.tensor([len(rows) for rows in members]), torch.cat(members)
        self.starts, self.batch = torch.cumsum(self.sizes, 0) - self.sizes, batch

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Return the indices of a batch's rows, tensor of int64, shape (batch,)."""
        region = torch.randint(len(self.sizes), (self.batch,), generator=generator)
        fraction = torch.rand(self.batch, generator=generator, dtype=torch.float64)
        return self.by_region[self.starts[region] + (fraction * self.sizes[region]).long()]
