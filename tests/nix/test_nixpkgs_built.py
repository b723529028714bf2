"""The nixpkgs base over a double that is built (case 68): its launcher starts, and finds what a project declares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab import PYTHON
from support.nix import ROOT, SYSTEM
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

pytestmark = pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="the double is of x86_64")
BASE = """
  {{
    kind = "nixpkgs"; python = "{python}"; systems = [ "{system}" ]; rev = "r"; tools = [ ];
    libraries = [ "util-linux" ];
  }};
  nixpkgs.legacyPackages."{system}" = import {double} {{
    system = "{system}"; core = builtins.storePath "{core}"; python = "{core}/usr/bin/python{python}";
    modules = builtins.path {{ name = "modules"; path = {modules}; }};
  }}
"""


@pytest.fixture(scope="module")
def base(lab: Lab) -> str:
    """What the laboratory's project is given for a base."""
    values = {"python": PYTHON, "system": SYSTEM, "core": lab.build("base.core")}
    places = {"double": ROOT / "tests/nix/nixpkgs_built.nix", "modules": ROOT / "nix/builders/wheel"}
    return BASE.format(**values, **places).rstrip().removesuffix(";")


@pytest.fixture(scope="module")
def environment(lab: Lab, base: str) -> Path:
    return lab.environment(
        make_wheel(lab.wheels, "plum", "1.0", {"plum.py": "import ctypes, ssl, sqlite3\n"}), base=base
    )


def test_a_library_is_found_by_its_name(lab: Lab, environment: Path) -> None:
    """_ctypes has a RUNPATH, and so the program's RPATH does not count for it."""
    code = (
        "import ctypes.util, sysconfig\n"
        "names = [ctypes.util.find_library(n) for n in ('mount', 'X11', 'stdc++', 'c', 'ssl')]\n"
        "answer = [names, ctypes.CDLL('libmount.so.1')._name, ctypes.CDLL('libX11.so.6')._name,\n"
        "    sorted({line.split()[-1].partition('-')[2].split('/')[0] for line in open('/proc/self/maps')\n"
        "            if 'libmount' in line or '/ld' in line or '/loader' in line})]"
    )
    assert lab.value(environment, code) == [
        ["libmount.so.1", "libX11.so.6", "libstdc++.so.6", "libc.so.6", None],
        "libmount.so.1",
        "libX11.so.6",
        [f"python{PYTHON}-launcher", "util-linux-2.41"],
    ]


def test_nothing_of_the_host_is_loaded(lab: Lab, environment: Path) -> None:
    code = (
        "import ctypes, ssl, sqlite3\nctypes.CDLL('libGL.so.1')\n"
        "maps = {line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}\n"
        "answer = sorted(path for path in maps if not path.startswith('/nix/store/'))"
    )
    assert lab.value(environment, code) == []


def test_the_import_check_passes_on_it(lab: Lab, base: str) -> None:
    wheel = make_wheel(lab.wheels, "plum", "1.0", {"plum.py": "import ctypes, ssl, sqlite3\n"})
    assert lab.nix.real(lab.build("imports", [wheel], base=base)).read_text() == "plum\n"
