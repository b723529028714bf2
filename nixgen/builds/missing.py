"""What a build or a program did not find, read out of the lines that it printed: compilers', linkers', build tools'."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nixgen.bases.needs import Kind, Need

# Of a bounded length: a log may have lines of megabytes, and no pattern may take the square of that.
_NAME = r"[A-Za-z0-9_][\w.+-]{0,127}"
_WORD = r"[\w.+-]{1,128}"
_SONAME = r"[\w.+-]{1,128}\.so(?:\.[\w.]{1,64})?"
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    # gcc, clang
    ("header", rf"fatal error: '?({_NAME}(?:/{_NAME})*)'?(?:: No such file or directory| file not found)"),
    # GNU ld, lld, Apple's ld
    ("library", rf"cannot find -l({_NAME})|unable to find library -l({_NAME})|library (?:not found for -l|')({_NAME})"),
    # the loader
    ("soname", rf"(?:^|[\s:'\"])({_SONAME}): cannot open shared object file"),
    # nixgen's own check of what wheels need
    ("soname", rf"^ *({_SONAME}): \S+ \(of \S+\) needs it\b.* cannot be imported$"),
    # pkg-config, pkgconf
    ("module", rf"No package '({_NAME})' found|Package '?({_NAME})'? was not found in the pkg-config"),
    ("module", rf"Package '({_NAME})', required by '[^']*', not found"),
    ("module", rf"Package requirements \(({_NAME})[^)]*\) were not met"),
    ("module", rf"[Cc]ould not find ({_NAME}) via pkg-config|system library `({_NAME})` required by crate"),
    # meson
    ("module", rf"ERROR: Dependency ['\"]({_NAME})['\"] (?:is required but )?not found"),
    ("module", rf"ERROR: Dependency lookup for ({_NAME}) with method"),
    ("program", rf"ERROR: Program ['\"]?({_NAME})['\"]? (?:not found|.*found: NO)"),
    ("program", rf"ERROR: Unknown compiler\(s\): \[\[?'({_NAME})'"),
    # cmake: what is optional begins with "--"
    ("cmake", rf"^(?!\s*-- ).*\bCould NOT find ({_NAME})\b"),
    ("cmake", rf"[Cc]ould not find a package configuration file provided by \"({_NAME})\""),
    ("program", rf"CMake executable is ({_NAME})$"),
    # Pillow, xmlsec, lxml
    ("module", rf"headers or library files could not be found for ({_NAME}),"),
    ("module", rf"error: ({_NAME}) is not installed or not in path\b"),
    ("module", rf"[Pp]lease make sure the ({_NAME}) and ({_NAME}) development packages are installed"),
    # Python, setuptools, shells, make
    ("program", rf"error: command '({_NAME})' failed: No such file or directory|unable to execute '({_NAME})'"),
    ("program", rf"No such file or directory: '({_NAME})'$|(?:^|: )({_NAME}) executable not found"),
    ("program", rf"(?:^|/)\w*sh: (?:line )?(?:\d+: )?({_NAME}): (?:command )?not found"),
    ("program", rf"^make(?:\[\d+\])?: ({_NAME}): No such file or directory"),
)  # fmt: skip
# What programs say that load a library by a name of their own (cffi, ctypes.util.find_library).
_BY_NAME = re.compile(
    rf"cannot load library '({_WORD})'|[Ll]ocate a library called '({_WORD})'|"
    rf"[Nn]o library called [\"']({_WORD})[\"'] was found|(?<![\w.+-])({_WORD}) library not found\b"
)
_READERS = [(kind, re.compile(pattern)) for kind, pattern in _PATTERNS]
# Sentences that name no file.
_SENTENCES = (
    ("Cargo, the Rust package manager, is not installed", ("cargo", "rustc")),
    ("can't find Rust compiler", ("cargo", "rustc")),
    ("No CMAKE_Fortran_COMPILER could be found", ("gfortran",)),
    ("Problem with the CMake installation, aborting build", ("cmake",)),
    ('unable to find a build program corresponding to "Ninja"', ("ninja",)),
    ("CMake must be installed to build", ("cmake",)),
)
_FILES = re.compile(r"\.(py|txt|in|toml|cfg|c|cc|cpp|h|hpp|pyx|json|ya?ml|md|rst|git)$", re.IGNORECASE)
"""What a source itself lacks: no program is called so."""
_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_OTHER_NAMES = {"Cython": "cython", "pkg_resources": "setuptools<81", "skbuild": "scikit-build", "yaml": "pyyaml"}
_ITS_OWN = {"distutils": "setuptools"}  # left Python with 3.12; setuptools brings it
_OF_THE_BASE = {"tkinter": "python3-tk", "_tkinter": "python3-tk", "_gdbm": "python3-gdbm"}
_MOST = 6


def needs(lines: Iterable[str]) -> tuple[Need, ...]:
    """What the lines say is missing, in their order, each once."""
    return tuple(dict.fromkeys(need for line in lines for need in _read(line)))[:_MOST]


def sonames(lines: Iterable[str]) -> tuple[Need, ...]:
    """The libraries that the lines of a check say cannot be loaded, in their order, each once."""
    found: dict[Need, None] = {}
    for line in lines:
        found |= dict.fromkeys(need for need in _read(line) if need.kind == "soname")
        found |= dict.fromkeys(_soname(next(filter(None, match.groups()))) for match in _BY_NAME.finditer(line))
    return tuple(found)


def _soname(name: str) -> Need:
    """A library's file: "libpango-1.0-0", as Windows calls it, is libpango-1.0.so.0; "PortAudio" is libPortAudio.so."""
    if ".so" in name:
        return Need("soname", name)
    base, _, version = name.removeprefix("lib").rpartition("-")
    whole = not base or not version.isdigit()
    return Need("soname", f"lib{name.removeprefix('lib')}.so" if whole else f"lib{base}.so.{version}")


def _read(line: str) -> Iterator[Need]:
    for kind, reader in _READERS:
        for match in reader.finditer(line):
            for name in filter(None, match.groups()):
                if kind != "program" or not _FILES.search(name):
                    yield Need(kind, name)
    for sentence, programs in _SENTENCES:
        if sentence in line:
            yield from (Need("program", program) for program in programs)


def of_the_base(lines: Iterable[str]) -> dict[str, str]:
    """The parts of the standard library that Debian has as packages of their own, as far as told: module → package."""
    names = [match[1] for line in lines for match in _MODULE.finditer(line)]
    return {name: _OF_THE_BASE[name] for name in names if name in _OF_THE_BASE}


def requirements(lines: Iterable[str]) -> tuple[str, ...]:
    """The Python packages that a build imported and its ``build-system.requires`` does not name, as far as told."""
    names = [match[1].partition(".")[0] for line in lines for match in _MODULE.finditer(line)]
    return tuple(dict.fromkeys(_ITS_OWN.get(name) or _OTHER_NAMES.get(name) or name for name in names))[:_MOST]
