"""The program ``nixgen``, and ``python -m nixgen``: Ctrl-C is told in one line, also while it starts and ends."""

from __future__ import annotations

import gc
import os
import signal
from typing import NoReturn

_MANY = 50_000  # values until the next look for those in circles: a lock has more, and all of them are kept
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it


def _end(_signal: int, _frame: object) -> NoReturn:
    """Nothing was begun yet, or all is done: there is nothing to clear up."""
    os.write(2, b"interrupted\n")
    os._exit(_INTERRUPTED)


# Before anything else is imported, which takes most of the start; while a command runs, its own handler counts
# (nixgen.cli.Edge). Who started it may want it to go on (nohup).
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)


def main() -> NoReturn:
    """Runs the command line and exits."""
    gc.disable()  # what is imported stays: there is nothing to collect yet
    from nixgen.cli import main as run

    gc.freeze()
    gc.set_threshold(_MANY)
    gc.enable()
    run()


if __name__ == "__main__":
    main()
