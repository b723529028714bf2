"""What a download shows: nothing when it is quick or quiet, one sentence in a log, one line on a terminal."""

from __future__ import annotations

import io
import sys
import time

import pytest

from nixgen.artifacts import progress as module
from nixgen.artifacts.progress import Progress
from nixgen.console import console


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_PATIENCE", 1.0)
    return now


def test_what_is_over_within_a_second_shows_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("models.m", 2, 1000) as progress:
        clock[0] += 0.9
        progress.bytes(500)
    assert capsys.readouterr().err == ""


def test_a_log_gets_one_sentence(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("models.m", 2, 5 << 30) as progress:
        for _ in range(5):
            clock[0] += 1
            progress.bytes(1 << 20)
    assert capsys.readouterr().err == "models.m: downloading 2 files, 5.0 GiB …\n"


def test_quiet(clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "quiet", True)
    with Progress("models.m", 1, None) as progress:
        clock[0] += 5
        progress.bytes(1)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_one_line_that_goes_away(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("models.m", 3, 4 << 20) as progress:
        clock[0] += 2
        progress.file()
        progress.bytes(1 << 20)
        clock[0] += 0.1
        progress.bytes(1 << 20)  # too soon after the last
    line = "models.m: 1 of 3 files, 1.0 MiB of 4.0 MiB, 512 KiB/s"
    assert terminal.getvalue() == f"\r{line}\r{' ' * len(line)}\r"
