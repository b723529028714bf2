"""A person at a terminal: types the lines of stdin into a program that has one, and reads what comes.

    python .ci/typist.py NAME COMMAND... <LINES

A line is `what is typed`, or `what is typed => what the screen then has to show` (a regular expression). Behind each,
a prompt has to answer, within ten minutes: what was typed may build. `^C` at the end is Ctrl-C in place of Enter.
Prints how long each line took; exit code 1, and the end of the screen, where something did not come.
"""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time

PATIENCE, AGAIN = 600, 3  # seconds
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\r\x00]")


class Terminal:
    """A program on a pseudo terminal, and all that it showed so far, without colours and movements."""

    def __init__(self, command: list[str]) -> None:
        child, self._master = pty.fork()
        if child == 0:
            os.execvp(command[0], command)
        self._raw = ""
        self.ended = False

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    @property
    def screen(self) -> str:
        """What it showed."""
        return _SEQUENCE.sub("", self._raw)

    def wait(self, pattern: str, since: int, seconds: float) -> bool:
        """Whether the screen shows the pattern behind what it showed then."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.screen[since:]):
            left = end - time.monotonic()
            if left <= 0 or self.ended:
                return False
            if select.select([self._master], [], [], min(left, 1))[0]:
                self._read()
        return True

    def _read(self) -> None:
        try:
            read = os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # Linux's way to say that nobody has the other end any more
            read = ""
        self.ended = not read
        self._raw += read
        if re.search(r"\x1b\[0?c", read):
            self.send("\x1b[?62c")  # fish asks what kind of terminal this is, and waits

    def prompt(self, number: int) -> bool:
        """Whether a prompt answers. Asked again, because a program that starts may throw away what was typed before."""
        since = len(self.screen)
        for _ in range(PATIENCE // AGAIN):
            self.send(f'echo "pro""mpt"-{number}-\r')
            if self.wait(f"prompt-{number}-", since, AGAIN):
                return True
        return False


def main() -> int:
    """Type all lines; 1 where one did not do what it is to do."""
    name, *command = sys.argv[1:]
    terminal = Terminal(command)
    lines = [line.strip() for line in sys.stdin if line.strip()]
    began = time.monotonic()
    well = terminal.prompt(0)
    for number, line in enumerate(lines, 1):
        if not well:
            break
        typed, _, wanted = line.partition(" => ")
        since, began = len(terminal.screen), time.monotonic()
        terminal.send(typed[:-2] + "\x03" if typed.endswith("^C") else typed + "\r")
        well = terminal.prompt(number) and re.search(wanted, terminal.screen[since:]) is not None
        seconds = time.monotonic() - began
        print(f"{name}: {typed} ({seconds:.0f} s)" + ("" if well else f": no {wanted or 'prompt'}"), file=sys.stderr)
    if not well:
        print("\n".join(terminal.screen.splitlines()[-40:]), file=sys.stderr)
    terminal.send("\x03\r")
    return 0 if well else 1


sys.exit(main())
