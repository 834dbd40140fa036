"""One Slurm for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import own_slurm as slurm
import pytest


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A running Slurm; without one the test is skipped, and says so."""
    reason = slurm.missing()
    if reason is not None:
        pytest.skip(f"NOTHING WAS TESTED ON SLURM: {reason}")
    taken = slurm.lock()
    if taken is None:
        pytest.skip("NOTHING WAS TESTED ON SLURM: another test run on this machine has it")
    with taken:
        slurm.start(tmp_path_factory.mktemp("slurm"))
        yield
        slurm.stop()
