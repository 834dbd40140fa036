"""What a run says while it goes: steps, the time left, and what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from codsa.workflow.run_log import RunLog, approximately
from codsa.workflow.running import failure

TABLE = """Job stats:
job              count
-------------  -------
prepare              1
fit                  4
evaluate_toy         1
all                  1
total                7

"""


def fed(lines: str, log: RunLog | None = None) -> RunLog:
    log = log or RunLog(cores=1)
    for line in lines.splitlines():
        log.read(line)
    return log


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_follows_the_jobs_of_each_stage() -> None:
    clock = Clock()
    log = fed(TABLE, RunLog(cores=1, clock=clock))
    assert log.total == 7 and log.left["evaluate"] == 1
    fed("Job 1: Preparing", log)
    clock.now = 50.0
    fed("Finished jobid: 1 (Rule: prepare)\n1 of 7 steps (14%) done", log)
    assert log.seconds_left() is None  # nothing is known yet of what takes long
    fed("Job 2: Fitting", log)
    clock.now = 58.0
    fed("Finished jobid: 2 (Rule: fit)\n2 of 7 steps (28%) done", log)
    assert (log.done, log.message) == (2, "Fitting")
    assert log.seconds_left() == pytest.approx(3 * 8 + 20)  # an evaluation weighs 2.5 fits
    log.cores = 2
    assert log.seconds_left() == pytest.approx(22)


def test_a_dry_run_counts_its_jobs_once() -> None:
    assert fed(TABLE + TABLE).left.total() == 7


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "time left unknown yet"), (4, "about 10 s left"), (312, "about 5 min left"), (9000, "about 2.5 h left")],
)
def test_times_are_said_in_words(seconds: float | None, said: str) -> None:
    assert approximately(seconds) == said


def test_a_failure_shows_what_the_command_said(tmp_path: Path) -> None:
    path = tmp_path / "fit.log"
    path.write_text("INFO fitting\nerror: metric 'f2': did you mean 'f1'?\n1.0 CPU-seconds, 9 MB at most\n")
    log = fed(f"Error in rule fit:\n    message: None\n    log: {path} (check log file(s) for error details)\n")
    assert failure(log, []) == f"fit failed: metric 'f2': did you mean 'f1'? ({path})"


def test_a_locked_folder_says_how_to_free_it() -> None:
    assert "--unlock" in failure(RunLog(1), ["Error: Directory cannot be locked. Please make sure"])


def test_any_other_failure_shows_the_first_lines_of_the_error() -> None:
    said = failure(RunLog(1), ["Building DAG of jobs...", "WorkflowError:", "  no such thing", ""])
    assert said == "WorkflowError: / no such thing"
