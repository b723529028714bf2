"""Programs that are run: their lines as they come, and their end when nobody wants them any more."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.nix import ROOT
from support.waiting import until

from nixgen import console as console_module
from nixgen.errors import MachineError
from nixgen.machine import process as run

# Writes its own end into a file when it is asked to end, as Nix removes what it began.
POLITE = """\
import os, signal, sys, time
def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(0.2)
    os.write(2, b"x" * 200000)
    open(sys.argv[1], "w").write("tidy")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1] + ".begun", "w").close()
os.write(2, b"ready\\n")  # print is not to be interrupted by a signal whose handler prints
time.sleep(3600)
"""


def test_lines_come_one_by_one_and_the_end_is_kept() -> None:
    code = "import sys; print('out'); [print(f'line {n}', file=sys.stderr) for n in range(50)]; sys.exit(3)"
    seen: list[str] = []
    result = run.follow([sys.executable, "-c", code], seen.append)
    assert seen == [f"line {n}\n" for n in range(50)]
    assert (result.code, result.out) == (3, "out\n")
    assert result.err.splitlines() == [f"line {n}" for n in range(30, 50)]


def test_large_output_does_not_stop_it() -> None:
    code = "import sys; print('o' * 300000); print('e' * 300000, file=sys.stderr); print('o' * 300000)"
    result = run.follow([sys.executable, "-c", code], lambda _line: None)
    assert len(result.out) == 600002


def test_what_the_listener_raises_ends_the_program_first(tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818 -- it stands for any
        pass

    def listen(_line: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        run.follow([sys.executable, "-c", POLITE, tmp_path / "end"], listen)
    assert (tmp_path / "end").read_text() == "tidy"


def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_PATIENCE", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(3600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    run.end(process)
    assert process.returncode == -signal.SIGKILL


def test_a_program_that_missed_the_signal_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_AGAIN", 0.05)
    code = (
        "import signal, sys, time; heard = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: heard.append(1) or len(heard) < 3 or sys.exit(7))\n"
        "print(flush=True); time.sleep(3600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    run.end(process)
    assert process.returncode == 7


def test_a_missing_program_is_told_with_how_to_get_it() -> None:
    with pytest.raises(MachineError) as caught:
        run.follow(["/nowhere/nix"], print, missing="install it")
    assert str(caught.value) == "there is no program /nowhere/nix\n  hint: install it"


@pytest.mark.parametrize("how", ["follow(command, print)", "run(command)"])
def test_an_interrupt_waits_for_the_programs_own_end(tmp_path: Path, how: str) -> None:
    """Of nixgen alone, as `kill -INT` sends it: the terminal's Ctrl-C reaches the program as well."""
    begun, command = tmp_path / "end.begun", [sys.executable, "-c", POLITE, str(tmp_path / "end")]
    process = subprocess.Popen(
        [sys.executable, "-c", f"from nixgen.machine import process as run; command = {command!r}; run.{how}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    until(begun.exists, running=process)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    assert (tmp_path / "end").read_text() == "tidy"


@pytest.mark.parametrize("how", ["follow(command, print)", "run(command)"])
def test_an_interrupt_while_a_program_is_started_waits_for_its_end(tmp_path: Path, how: str) -> None:
    """On a busy machine the program may run before Popen has returned."""
    code = (
        "import os, signal, subprocess\n"
        "from nixgen.machine import process as run\n"
        "begin = subprocess.Popen\n"
        "def slow(*words, **options):\n"
        "    process = begin(*words, **options)\n"
        "    process.stderr.readline()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return process\n"
        "subprocess.Popen = slow\n"
        f"command = {[sys.executable, '-c', POLITE, str(tmp_path / 'end')]!r}; run.{how}"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "KeyboardInterrupt" in done.stderr
    assert (tmp_path / "end").read_text() == "tidy"


class Terminal(io.StringIO):
    """A terminal that has ``started`` made when something is written to it."""

    started: Path

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.started.touch()
        return super().write(text)


def test_a_program_that_takes_long_is_named_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and not where a step says already what is going on; elsewhere it is nobody's business."""
    terminal = Terminal()
    terminal.started = tmp_path / "said"
    wait = ["sh", "-c", f"until [ -e {tmp_path}/said ]; do sleep 0.02; done"]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal)
        patched.setattr(console_module, "_PATIENCE", 0.01)
        run.run(wait)
        assert terminal.getvalue() == "Waiting for sh …\n"
        (tmp_path / "said").unlink()
        with console_module.step("Reading"):
            run.run(wait)
    assert terminal.getvalue() == "Waiting for sh …\nReading …\n"
