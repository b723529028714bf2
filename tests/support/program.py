"""nixgen's command line in this process: for tests of what a command says, not of its process."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nixgen.cli import app
from nixgen.console import console


def nixgen(
    *words: str, cwd: Path | None = None, together: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """``nixgen WORDS``: its exit code and what it printed; ``together`` puts stderr into stdout, in order."""
    out = io.StringIO()
    err = out if together else io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _settings(cwd, environment):
        try:
            app(args=list(words), prog_name="nixgen")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
    return subprocess.CompletedProcess(words, code, out.getvalue(), "" if together else err.getvalue())


@contextlib.contextmanager
def _settings(cwd: Path | None, environment: dict[str, str]) -> Iterator[None]:
    """The folder, the environment and a console that no earlier command has made quiet, for a while."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setitem(os.environ, name, value)
        patched.setattr(console, "quiet", False)
        patched.setattr(console, "verbose", False)
        with contextlib.chdir(cwd or Path.cwd()):
            yield
