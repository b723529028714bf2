"""nixgen's own code, run where a store of the tests lies over /nix."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.nix import ROOT, Nix, enter

# The expression of a derivation that a static busybox builds: no base, nothing to fetch.
MADE = """
{{ name ? "made", script ? "echo made > $out", more ? {{ }} }}:
derivation ({{
  inherit name;
  system = builtins.currentSystem;
  builder = "${{{folder}}}/busybox";
  args = [ "sh" "-c" script ];
}} // more)
"""
START = """
import json, sys
from pathlib import Path
from nixgen.nix import hashing as narhash
from nixgen.errors import NixgenError
from nixgen.nix.tools import Nix
from nixgen.nix.failures import Owner
nix = Nix.here()
try:
{code}
except NixgenError as error:
    answer = [type(error).__name__, str(error)]
print(json.dumps(answer))
"""


def program(code: str) -> str:
    """Python that has ``nix``, the wrapper round the machine's Nix, and prints the ``answer`` that the code sets."""
    return START.format(code="".join(f"    {line}\n" for line in code.strip().splitlines()))


def ask(nix: Nix, code: str, *argv: str | Path, **env: str) -> Any:
    """Runs such code; the answer. An error of nixgen is [the name of its class, its text]."""
    done = nix.inside(sys.executable, "-c", program(code), *argv, PYTHONPATH=str(ROOT), **env)
    return json.loads(done.stdout.splitlines()[-1])


def begin(nix: Nix, code: str, *argv: str | Path) -> subprocess.Popen[str]:
    """Starts such code, in a process group of its own. ``process.pid`` is the code's own process."""
    (nix.store / "nix").mkdir(parents=True, exist_ok=True)
    command = [*enter(nix.store), sys.executable, "-c", program(code), *map(str, argv)]
    return subprocess.Popen(
        command,
        env={**nix.environ(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def made(folder: Path) -> Path:
    """A file with the expression MADE."""
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed; `make test` installs it"
    (folder / "bin").mkdir()
    shutil.copy(busybox, folder / "bin/busybox")
    file = folder / "made.nix"
    file.write_text(MADE.format(folder=folder / "bin"))
    return file
