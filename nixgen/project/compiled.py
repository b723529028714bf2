"""Whether a local package has parts that must be compiled: it is then built, too, as a source is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nixgen.formats.foreign import lookup, strings, table
from nixgen.project import layout
from nixgen.project.layout import Source
from nixgen.project.names import normalized
from nixgen.project.setupfiles import UNREAD, Extension

_BACKENDS = {
    "maturin": "maturin",
    "scikit_build_core": "scikit-build-core",
    "mesonpy": "meson-python",
    "py_build_cmake": "py-build-cmake",
    "sipbuild": "sip",
    "enscons": "enscons",
    "setuptools_rust": "setuptools-rust",
}
_HOOKS = {"mypyc", "cython", "scikit-build", "cmake", "meson", "zig", "cffi"}
"""Build hooks of hatchling that compile."""

_KEYWORDS = (
    "ext_modules",
    "rust_extensions",
    "cffi_modules",
    "cmake_extensions",
    "milksnake_tasks",
    "libraries",
    "skbuild",
)
"""What ``setup()`` is given to compile something."""

_NEEDS = {"setuptools-rust", "cython", "pybind11", "nanobind", "cffi", "scikit-build", "mypy", "setuptools-golang"}
"""Build requirements that are for compiling, where setup.py cannot be read otherwise."""


def parts(source: Source, skipped: Sequence[str]) -> str:
    """What has to be compiled, as a sentence says it, "" for nothing.

    Nothing, too, where ``skipped`` (``skip-imports``) names a module of the package: then its Python part alone counts.
    """
    found = next(_found(source), None)
    if found is None:
        return ""
    modules = {*layout.find(source).modules, source.module}
    return "" if any(name.split(".")[0] in modules for name in skipped) else found


def _found(source: Source) -> Iterator[str]:
    backend, tool = source.backend, source.tool
    if backend in _BACKENDS:
        yield _BACKENDS[backend]
    if backend == "hatchling":
        hooks = [*table(tool, "hatch", "build", "hooks"), *table(tool, "hatch", "build", "targets", "wheel", "hooks")]
        yield from (hook for hook in hooks if hook in _HOOKS)
    elif backend == "poetry":
        if lookup(tool, "poetry", "build") is not None:
            yield "a build script"
    elif backend == "pdm":
        if lookup(tool, "pdm", "build", "run-setuptools") is True:
            yield "a build with setuptools"
    elif backend not in {"flit_core", "flit", "uv_build"}:
        yield from _setuptools(source)


def _setuptools(source: Source) -> Iterator[str]:
    for path in (("setuptools", "ext-modules"), ("setuptools-rust", "ext-modules"), ("setuptools-rust", "bins")):
        entries = lookup(source.tool, *path)
        if isinstance(entries, list) and entries:
            names = [lookup(entry, "name") or lookup(entry, "target") for entry in entries]
            yield _quoted([name if isinstance(name, str) else None for name in names])
    for keyword in _KEYWORDS:
        value = source.setup.said.get(keyword)
        if value not in (None, [], {}, "", False):
            listed = value if isinstance(value, list) else [value]
            extensions = [one.name for one in listed if isinstance(one, Extension)]
            yield "an extension module that setup.py makes" if value is UNREAD else _quoted(extensions)
    if source.setup.said.get("cmdclass") is UNREAD or "setup.py" in source.setup.files:
        for requirement in strings(lookup(source.pyproject, "build-system", "requires")):
            name = normalized(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
            if name in _NEEDS:
                yield name


def _quoted(names: Sequence[str | None]) -> str:
    known = [name for name in names if name]
    return f"the extension {', '.join(known)}" if known else "an extension module"
