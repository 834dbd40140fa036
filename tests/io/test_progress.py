"""How far a long piece of work is: lines in the log at growing intervals, a bar on a terminal."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from test_chunks import images, pool

from codsa.io import progress
from codsa.io.progress import Progress


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 100.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    caplog.set_level(logging.INFO)
    return made


def test_a_line_says_how_fast_and_how_long(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with Progress(200, "rows") as seeds:
        seeds.update(1)
        assert not caplog.messages
        clock.now += 4
        seeds.update(39)
        assert caplog.messages == ["40 of 200 rows, 10 a second, 00:16 left"]
        clock.now += 16
        seeds.update(160)
    assert caplog.messages[1:] == ["200 rows in 00:20, 10 a second"]


def test_waits_grow_and_short_work_says_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with Progress(10_000, "rows") as seeds:
        for _ in range(10_000):
            clock.now += 1
            seeds.update(1)
    assert 30 < len(caplog.messages) < 45  # every five minutes in the end
    caplog.clear()
    with Progress(10, "rows") as seeds:
        clock.now += 1
        seeds.update(10)
    assert not caplog.messages


def test_what_an_earlier_run_did_is_no_speed(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with Progress(200, "rows") as seeds:
        seeds.skip(100)
        clock.now += 10
        seeds.update(20)
    assert caplog.messages == ["120 of 200 rows, 2 a second, 00:40 left", "20 rows in 00:10, 2 a second"]


def test_a_terminal_has_a_bar_and_no_lines(
    clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Progress(200, "rows") as seeds:
        clock.now += 10
        seeds.update(100)
        seeds.bar.refresh()
    assert "100/200" in capsys.readouterr().err and not caplog.messages


def test_few_images_are_reported(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    trained = images(tmp_path)
    clock.step = 3.0
    pool(trained, tmp_path / "pool", 40)
    lines = [message for message in caplog.messages if "rows" in message and "left" in message]
    assert lines and lines[0].startswith("32 of 80 rows")
    assert any(message.startswith("80 rows in") for message in caplog.messages)
