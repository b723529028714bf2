"""Takes one package of nixpkgs' shape out of the debian base's core; see nixpkgs_built.nix. Input: the environment."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

given = dict(os.environ)
sys.path.insert(0, given["modules"])
redirect, relink = map(importlib.import_module, ("redirect", "relink"))

OUT, CORE, PATTERN = Path(given["out"]), Path(given["core"]), given["pattern"]
NEEDS = given["needs"].split()
GLIBC = NEEDS[0] if NEEDS else f"{OUT}/lib"
PYTHON = "python3.13"
_DYNAMIC, _RPATH, _RUNPATH = 2, 15, 29


def linked(data: bytes, own: Sequence[str]) -> bytes:
    """An ELF file with a RUNPATH, as nixpkgs' compiler gives it to each."""
    made = relink.File(data)
    made.rpath = [*own, *NEEDS]
    # The core's Python was given these; nixpkgs' was not.
    made.needed = [soname for soname in made.needed if PATTERN != "python" or soname[:6] not in {"libstd", "libgcc"}]
    made.interpreter = f"{GLIBC}/ld-linux-x86-64.so.2".encode()
    content = bytearray(made.write())
    header = next(entry for entry in relink.File(bytes(content)).headers if entry[0] == _DYNAMIC)
    for place in range(header[2], header[2] + header[5], 16):
        if struct.unpack_from("<q", content, place) == (_RPATH,):
            struct.pack_into("<q", content, place, _RUNPATH)
    return bytes(content)


def copy(source: Path | str, target: Path | str, own: Sequence[str] = ()) -> None:
    """Copies one file; of glibc's, what they have compiled in is glibc's own place."""
    data = Path(source).read_bytes()
    for old, new in (("/usr/lib/ld.so.cache", "/etc/ld.so.cache"), ("/usr/lib/locale/", "/lib/locale/")):
        data = bytes(redirect.again(data, f"{CORE}{old}".encode(), f"{OUT}{new}".encode()))
    if data.startswith(b"\x7fELF") and NEEDS:
        data = linked(data, own)
    Path(target).write_bytes(data)
    Path(target).chmod(0o755)


def standard_library(library: Path) -> None:
    """The core's, without what was done to it."""
    shutil.copytree(CORE / "usr/lib" / PYTHON, library, copy_function=copy)
    for folder in [library, *(path for path in library.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    for name in ("EXTERNALLY-MANAGED", "sitecustomize.py", "ctypes/__pycache__/util.cpython-313.pyc"):
        (library / name).unlink()
    util = library / "ctypes/util.py"
    text = util.read_text(encoding="utf-8")
    util.write_text(text[: text.rindex("\n\ndef find_library")], encoding="utf-8")


def main() -> None:
    for folder in ("bin", "lib"):
        (OUT / folder).mkdir(parents=True)
    if PATTERN in {"python", "bash"}:
        program = PYTHON if PATTERN == "python" else "bash"
        copy(CORE / "usr/bin" / program, OUT / "bin" / program)
    else:
        for path in sorted(CORE.glob("usr/lib/*-linux-gnu/*")):
            if re.fullmatch(PATTERN, path.name):
                copy(path, OUT / "lib" / path.name, [f"{OUT}/lib"])
    if PATTERN == "python":
        standard_library(OUT / "lib" / PYTHON)


main()
