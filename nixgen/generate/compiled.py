"""Whether a local package has parts that must be compiled, which nixgen does not do yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nixgen.errors import Problem
from nixgen.formats.foreign import lookup, strings, table
from nixgen.generate.layout import Source
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


def problem(source: Source, modules: Sequence[str], skipped: Sequence[str]) -> Problem | None:
    """What has to be compiled, as an error; none where ``skipped`` (``skip-imports``) names a module of the package."""
    found = next(_found(source), None)
    if found is None or any(name.split(".")[0] in {*modules, source.module} for name in skipped):
        return None
    key, what, names = found
    name = next((name for name in names if name), f"{source.module}.NAME")
    return Problem(
        key,
        f"{source.name} has to be compiled ({what}); builds from source come with a later version",
        "depend on a published version that has wheels; or, when its Python part alone is what is imported, name the "
        f'compiled module: skip-imports = ["{name}"] under [tool.nixgen] in pyproject.toml, then: nixgen generate',
    )


def _found(source: Source) -> Iterator[tuple[str, str, list[str | None]]]:
    backend, tool = source.backend, source.tool
    if backend in _BACKENDS:
        name = lookup(tool, "maturin", "module-name")
        yield source.key("build-system.build-backend"), _BACKENDS[backend], [name if isinstance(name, str) else None]
    if backend == "hatchling":
        hooks = [*table(tool, "hatch", "build", "hooks"), *table(tool, "hatch", "build", "targets", "wheel", "hooks")]
        yield from ((source.key(f"tool.hatch.build.hooks.{hook}"), hook, []) for hook in hooks if hook in _HOOKS)
    elif backend == "poetry":
        if lookup(tool, "poetry", "build") is not None:
            yield source.key("tool.poetry.build"), "a build script", []
    elif backend == "pdm":
        if lookup(tool, "pdm", "build", "run-setuptools") is True:
            yield source.key("tool.pdm.build.run-setuptools"), "a build with setuptools", []
    elif backend not in {"flit_core", "flit", "uv_build"}:
        yield from _setuptools(source)


def _setuptools(source: Source) -> Iterator[tuple[str, str, list[str | None]]]:
    for path in (("setuptools", "ext-modules"), ("setuptools-rust", "ext-modules"), ("setuptools-rust", "bins")):
        entries = lookup(source.tool, *path)
        if isinstance(entries, list) and entries:
            names = [lookup(entry, "name") or lookup(entry, "target") for entry in entries]
            named: list[str | None] = [name if isinstance(name, str) else None for name in names]
            yield source.key(f"tool.{'.'.join(path)}"), _quoted(named), named
    for keyword in _KEYWORDS:
        value = source.setup.said.get(keyword)
        if value not in (None, [], {}, "", False):
            listed = value if isinstance(value, list) else [value]
            extensions = [one.name for one in listed if isinstance(one, Extension)]
            what = "an extension module that setup.py makes" if value is UNREAD else _quoted(extensions)
            yield source.setup.keys.get(keyword, f"{source.where}setup.py: {keyword}"), what, extensions
    if source.setup.said.get("cmdclass") is UNREAD or "setup.py" in source.setup.files:
        for requirement in strings(lookup(source.pyproject, "build-system", "requires")):
            name = normalized(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])
            if name in _NEEDS:
                yield source.key("build-system.requires"), name, []


def _quoted(names: Sequence[str | None]) -> str:
    known = [name for name in names if name]
    return f"the extension {', '.join(known)}" if known else "an extension module"
