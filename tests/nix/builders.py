"""The builders' own modules, for tests of one function: they live in the Nix library, which is no Python package.

Importing bytecode.py changes the process (no .pyc is written, no warning shown), as a builder wants it; here both are
put back.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType

from support.nix import ROOT

FOLDER = ROOT / "nix" / "builders" / "wheel"


def _load(name: str) -> ModuleType:
    writes, filters = sys.dont_write_bytecode, warnings.filters[:]
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
    try:
        return importlib.import_module(name)
    finally:
        del sys.path[:2]
        sys.dont_write_bytecode = writes
        warnings.filters[:] = filters  # type: ignore[index]


alternatives, archive, bytecode, elf = map(_load, ("alternatives", "archive", "bytecode", "elf"))
entrypoints, hostpaths = map(_load, ("entrypoints", "hostpaths"))
libraries, needs, redirect, relink = map(_load, ("libraries", "needs", "redirect", "relink"))
toolchain, workers = map(_load, ("toolchain", "workers"))
