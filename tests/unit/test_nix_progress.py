"""What a build shows: nothing when it is quick or quiet, a line now and then in a log, one line on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from nixgen.console import console
from nixgen.nix.log import State
from nixgen.nix.progress import Shown, line

NUMPY = "/nix/store/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-numpy-2.4.6.drv"
WHEEL = "/nix/store/8yz41gy8z3sm8f2i5y4qfsgn0zq6vqmq-six-1.17.0-py3-none-any.whl.drv"
STATE = State(
    built=3, to_build=120, fetched=2, to_fetch=5, done_bytes=12 << 20, expected_bytes=80 << 20, running=(NUMPY,)
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (STATE, "building 3 of 120: numpy-2.4.6; downloading 2 of 5, 12 MiB of 80 MiB"),
        (State(built=1, to_build=9, running=(WHEEL, NUMPY)),
         "building 1 of 9: numpy-2.4.6; downloading: six-1.17.0-py3-none-any.whl"),
        (State(), "building: under way"),
        (State(to_build=2, running=(NUMPY, NUMPY, NUMPY, NUMPY, NUMPY)),
         "building 0 of 2: numpy-2.4.6, numpy-2.4.6, numpy-2.4.6 and 2 more"),
        (State(done_bytes=5, expected_bytes=10), "5 B of 10 B"),
    ],
)  # fmt: skip
def test_the_line(state: State, text: str) -> None:
    assert line("building", state) == text


def test_a_log_gets_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = [0.0]
    progress = Shown("building", now=lambda: clock[0])
    for tenth in range(250):
        clock[0] = tenth / 10
        progress(STATE)
    progress(State(ended=True))
    assert capsys.readouterr().err.splitlines() == [line("building", STATE)] * 2


def test_a_terminal_has_one_line_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, clock = Terminal(), [0.0]
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "40")
    progress = Shown("building", now=lambda: clock[0])
    progress(STATE)
    assert screen.getvalue() == ""
    clock[0] = 1.5
    progress(STATE)
    shown = screen.getvalue()
    assert shown == "\rbuilding 3 of 120: numpy-2.4.6; downlo…"
    progress(State(built=1, to_build=1))  # too early
    assert screen.getvalue() == shown
    progress(State(ended=True))
    assert screen.getvalue() == shown + "\r" + " " * 39 + "\r"
    progress(State(ended=True))
    assert screen.getvalue() == shown + "\r" + " " * 39 + "\r"


def test_quiet_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "quiet", True)
    clock = [0.0]
    progress = Shown("building", now=lambda: clock[0])
    clock[0] = 100.0
    progress(STATE)
    assert capsys.readouterr().err == ""
