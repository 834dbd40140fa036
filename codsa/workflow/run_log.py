"""What a run of Snakemake says while it goes: steps done, the step at work, the time left, what failed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

WEIGHTS = {"pretrain": 30.0, "train_generator": 10.0, "evaluate": 10.0, "fit": 4.0, "sample": 3.0, "all": 0.0}
"""Seconds of a rule's jobs relative to each other, until one of them has ended; 1 for all others."""
COUNT = re.compile(r"(\w[\w.-]*) +(\d+)")
STARTED = re.compile(r"Job (\d+): (.+)")
FINISHED = re.compile(r"Finished jobid: (\d+) \(Rule: (.+)\)")
STEPS = re.compile(r"(\d+) of (\d+) steps \(")
FAILED = re.compile(r"Error in rule (.+):")
LOG = re.compile(r"    log: (.+?)(?: \(check log file.*)?")


def stage_of(rule: str) -> str:
    """Return a rule's stage: every study has an evaluation rule of its own."""
    return "evaluate" if rule.startswith("evaluate_") else rule


@dataclass
class RunLog:
    """Follows the lines of a run.

    Attributes
    ----------
    cores : int
        Jobs that run at once.
    done, total : int
        Steps.
    message : str
        What is at work: the message of the job that started last.
    failed, failed_log : str
        The rule that failed first, and the file with what its command said; empty while all is well.
    """

    cores: int
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    total: int = 0
    message: str = ""
    failed: str = ""
    failed_log: str = ""
    left: Counter[str] = field(default_factory=Counter)
    _table: bool = False
    _begun: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, list[float]] = field(default_factory=dict)

    def read(self, line: str) -> None:
        """Take in one line."""
        if self._table:
            self._count(line)
        elif line.startswith("Job stats:"):
            self._table = not self.left  # a dry run prints it twice
        elif match := STARTED.fullmatch(line):
            self._begun[match[1]], self.message = self.clock(), match[2]
        elif match := FINISHED.fullmatch(line):
            self._finish(match[1], stage_of(match[2]))
        elif match := STEPS.match(line):
            self.done, self.total = int(match[1]), int(match[2])
        elif not self.failed and (match := FAILED.match(line)):
            self.failed = match[1]
        elif self.failed and not self.failed_log and (match := LOG.fullmatch(line)):
            self.failed_log = match[1]

    def _count(self, line: str) -> None:
        """Read a line of the table of jobs by rule; a blank one ends it."""
        if not line:
            self._table = False
        elif match := COUNT.fullmatch(line):
            if match[1] == "total":
                self.total = int(match[2])
            else:
                self.left[stage_of(match[1])] += int(match[2])

    def _finish(self, job: str, stage: str) -> None:
        self.left[stage] -= 1
        if job in self._begun:
            self._seconds.setdefault(stage, []).append(self.clock() - self._begun.pop(job))

    def seconds_left(self) -> float | None:
        """Return an estimate of the seconds left; None before a job of a weighty stage has ended.

        Each stage counts with the mean time of its jobs so far, and one of which none has ended with its weight, in
        proportion. The first jobs wait for the libraries to load, so light stages give no proportion.
        """
        means = {stage: sum(times) / len(times) for stage, times in self._seconds.items()}
        weighty = [stage for stage in means if WEIGHTS.get(stage, 1.0) > 1]
        if not weighty:
            return None
        unit = sum(means[stage] for stage in weighty) / sum(WEIGHTS[stage] for stage in weighty)
        times = {stage: means.get(stage, unit * WEIGHTS.get(stage, 1.0)) for stage in self.left}
        work = sum(count * times[stage] for stage, count in self.left.items() if count > 0)
        return work / max(1, min(self.cores, self.left.total()))


def approximately(seconds: float | None) -> str:
    """Return a time as a reader wants it: 'about 4 min left'."""
    if seconds is None:
        return "time left unknown yet"
    if seconds < 90:
        return f"about {max(10, 10 * round(seconds / 10))} s left"
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes < 90 else f"about {seconds / 3600:.1f} h left"
