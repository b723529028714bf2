"""Runs the guard: as a part of nixgen (``python -m nixgen.guard``) or as a folder alone (``python -I -S guard``)."""

from __future__ import annotations

import os
import sys


def _alone() -> str:
    """Makes a package of this folder, wherever it lies and whatever it is called; its name.

    Neither this folder nor the one above it is a place for imports: a json.py there would come before Python's own.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    # Copies often keep the times of files, by which Python tells whether bytecode is that of an older guard.
    sys.dont_write_bytecode = True
    package = type(sys)("guard")
    package.__path__ = [folder]
    sys.modules["guard"] = package
    return "guard"


if __name__ == "__main__":
    program = f"{__package__ or _alone()}.program"
    __import__(program)
    sys.exit(sys.modules[program].main())
