"""Progress of a long computation: a bar on a terminal, else lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from typing import Self

from tqdm import tqdm

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 2.0
"""Seconds until the first line; each later wait is twice as long, so that a long run does not fill its log."""
MAX_WAIT_SECONDS = 300.0
"""The longest wait between two lines."""


class Progress:
    """Reports how much is done, how fast, and the time left.

    Parameters
    ----------
    total : int
        The number of units to do.
    unit : str
        The name of the units, in the plural.
    wait : float
        Seconds until the first line; shorter computations write none.
    shown : bool
        False: count only.
    """

    def __init__(self, total: int, unit: str, wait: float = FIRST_WAIT_SECONDS, shown: bool = True) -> None:
        self.total, self.unit, self.first, self.wait = total, unit, wait, wait
        self.done = self.skipped = 0
        self.start = self.last = time.monotonic()
        terminal = sys.stderr.isatty()
        self.logs = shown and not terminal
        self.bar = tqdm(total=total, unit=f" {unit}", leave=False, disable=not (shown and terminal))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        seconds, count = time.monotonic() - self.start, self.done - self.skipped
        if self.logs and error[0] is None and seconds >= self.first:
            log.info("%d %s in %s, %.3g a second", count, self.unit, duration(seconds), count / seconds)

    def update(self, count: int) -> None:
        """Count finished units, and log the progress when it is due."""
        self.done += count
        self.bar.update(count)
        now = time.monotonic()
        if self.logs and now - self.last >= self.wait and self.done < self.total:
            self._log(now)
            self.last, self.wait = now, min(2 * self.wait, MAX_WAIT_SECONDS)

    def skip(self, count: int) -> None:
        """Count units that an earlier run finished; they do not enter the speed."""
        self.skipped += count
        self.done += count
        self.bar.update(count)

    def _log(self, now: float) -> None:
        rate = (self.done - self.skipped) / (now - self.start)
        left = duration((self.total - self.done) / rate) if rate > 0 else "an unknown time"
        log.info("%d of %d %s, %.3g a second, %s left", self.done, self.total, self.unit, rate, left)


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours where there are some."""
    return str(tqdm.format_interval(seconds))
