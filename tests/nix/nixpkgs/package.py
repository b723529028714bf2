"""Takes one package of nixpkgs' shape out of trees of Debian's files; see default.nix. Input: the environment."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import struct
import sys
from pathlib import Path

import starter

given = dict(os.environ)
sys.path.insert(0, given["modules"])
bytecode, redirect, relink = map(importlib.import_module, ("bytecode", "redirect", "relink"))

OUT = Path(given["out"])
LIBRARIES = Path(given.get("lib", given["out"])) / "lib"
PROGRAMS = Path(given.get("bin", given["out"])) / "bin"
TREES = [Path(tree) for tree in given["trees"].split()]
CORE = TREES[0]
NEEDS = [Path(folder) for folder in given["needs"].split()]
GLIBC = NEEDS[0] if NEEDS else LIBRARIES
PYTHON = "python3.13"
IS_PYTHON = PYTHON in given["programs"].split()
_DYNAMIC, _RPATH, _RUNPATH = 2, 15, 29
# What Debian's C library was led to, and where nixpkgs' looks for it: in its own store path.
_HERE = {"/usr/lib/ld.so.cache": "/etc/ld.so.cache", "/usr/lib/locale/": "/lib/locale/", "/usr/share/": "/share/"}


def linked(data: bytes) -> bytes:
    """An ELF file with a RUNPATH, as nixpkgs' compiler gives it to each; a library that nobody has ends it."""
    made = relink.File(data)
    # The core's Python was given libraries of its own accord; nixpkgs' was not.
    folders = {}
    for soname in made.needed:
        having = [folder for folder in (LIBRARIES, *NEEDS) if (folder / soname).exists()]
        if not having:
            raise SystemExit(f"{given['name']}: nothing that it needs has {soname}")
        folders[having[0]] = None
    made.rpath = [*map(str, folders)]
    made.interpreter = str(GLIBC / "ld-linux-x86-64.so.2").encode()
    content = bytearray(made.write())
    header = next(entry for entry in relink.File(bytes(content)).headers if entry[0] == _DYNAMIC)
    for place in range(header[2], header[2] + header[5], 16):
        if struct.unpack_from("<q", content, place) == (_RPATH,):
            struct.pack_into("<q", content, place, _RUNPATH)
    return bytes(content)


def without_trees(data: bytes) -> bytes:
    """Without the store paths of the trees, as nixpkgs' remove-references-to: a text says what is here instead."""
    for tree in TREES:
        if b"\0" not in data:
            data = data.replace(f"{tree}/usr".encode(), str(OUT).encode())
        data = data.replace(tree.name[:32].encode(), b"e" * 32)
    return data


def copy(source: Path | str, target: Path | str) -> None:
    """Copies one file, what it has compiled in changed."""
    data = Path(source).read_bytes()
    for old, new in () if NEEDS else _HERE.items():
        data = bytes(redirect.again(data, f"{CORE}{old}".encode(), f"{OUT}{new}".encode()))
    if data.startswith(b"\x7fELF") and NEEDS:
        data = linked(data)
    Path(target).write_bytes(without_trees(data))
    Path(target).chmod(0o755)


def libraries() -> None:
    """Those whose names fit, by links where they are links: all have to be there before one is linked to another."""
    found = {
        path.name: path
        for tree in reversed(TREES)  # the core's counts: other trees have a copy of its loader
        for path in sorted(tree.glob("usr/lib/*-linux-gnu/*"))
        if re.fullmatch(given["libraries"], path.name)
    }
    if not found:
        raise SystemExit(f"{given['name']}: no library is named like {given['libraries']}")
    LIBRARIES.mkdir(parents=True)
    for name, path in found.items():
        if path.is_symlink() and path.readlink().name in found:
            (LIBRARIES / name).symlink_to(path.readlink().name)
        else:
            shutil.copy(path, LIBRARIES / name)
            (LIBRARIES / name).chmod(0o755)
    for path in sorted(LIBRARIES.iterdir()):
        if not path.is_symlink():
            copy(path, path)
        # What compilers look for, which Debian has in other packages.
        if not (linkable := LIBRARIES / f"{path.name.partition('.so')[0]}.so").exists():
            linkable.symlink_to(path.name)
    for name in given.get("folders", "").split():
        shutil.copytree(next(CORE.glob(f"usr/lib/*-linux-gnu/{name}")), LIBRARIES / name, copy_function=copy)


def program(name: str) -> None:
    """A program of Debian's; of Python, one that its shared library is started by."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    if IS_PYTHON:
        (PROGRAMS / name).write_bytes(linked(starter.program(f"lib{name}.so.1.0")))
        (PROGRAMS / name).chmod(0o755)
        (PROGRAMS / "python3").symlink_to(name)
        return
    # Those that read folders of the base are started by scripts there.
    wanted = (tree / "usr/bin" / one for tree in TREES for one in (f".{name}-unwrapped", name))
    copy(next(path for path in wanted if path.exists()), PROGRAMS / name)


def standard_library(library: Path) -> None:
    """The core's, without what was done to it, and with what nixpkgs adds: a sitecustomize beside the packages."""
    shutil.copytree(CORE / "usr/lib" / PYTHON, library, copy_function=copy)
    for folder in [library, *(path for path in library.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    for name in ("EXTERNALLY-MANAGED", "sitecustomize.py"):
        (library / name).unlink()
    util = library / "ctypes/util.py"
    util.write_bytes(util.read_bytes().partition(b'\n\ndef find_library(name):\n    """The soname')[0])
    (library / "site-packages").mkdir()
    (library / "site-packages/sitecustomize.py").write_text("import sys\n\nsys.path.append('/of/nixpkgs')\n")
    # All has byte code, or Python writes it into the store where root enters the shell.
    for path in sorted(library.rglob("*.py")):
        name, compiled = path.relative_to(library).as_posix(), Path(bytecode.place(str(path)))
        changed = path == util or not compiled.exists() or b"e" * 32 in compiled.read_bytes()
        if changed and bytecode.wanted(name):
            compiled.unlink(missing_ok=True)
            bytecode.write(path.read_bytes(), str(path), name)


for output in given.get("outputs", "out").split():
    Path(given[output]).mkdir()
if given["libraries"]:
    libraries()
for each in given["programs"].split():
    program(each)
for each in given["wrapped"].split():
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    (PROGRAMS / each).write_text(f'#!{given["shell"]}\nexec {given["compilers"]}/usr/bin/{each} "$@"\n')
    (PROGRAMS / each).chmod(0o755)
if IS_PYTHON:
    shutil.copytree(given["headers"], OUT / "include" / PYTHON)
    standard_library(OUT / "lib" / PYTHON)
