"""Where the importable code of a source folder is: what its build backend is told, else src/, else flat.

The rules are those of each backend for an editable install; nixgen reads their settings and runs none of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixgen.formats.foreign import lookup, strings, table, tables
from nixgen.project.names import normalized

# setuptools' "flat-layout" leaves these out (setuptools.discovery.FlatLayoutPackageFinder.DEFAULT_EXCLUDE), and
# modules with names of tools (FlatLayoutModuleFinder).
_NOT_PACKAGES = frozenset(
    """
    ci bin debian doc docs documentation manpages news newsfragments changelog test tests unit_test unit_tests
    example examples scripts tools util utils python build benchmark benchmarks exercise exercises htmlcov tasks
    fabfile site node_modules venv env dist conftest setup toxfile noxfile pavement dodo
    """.split()  # noqa: SIM905 -- quoted one by one, the words would take 40 lines
)


@dataclass(frozen=True, slots=True)
class Layout:
    """``roots`` go on sys.path, relative to the folder; ``modules`` are the top-level names that they hold, sorted."""

    roots: tuple[str, ...]
    modules: tuple[str, ...]


def find(folder: Path, name: str, pyproject: Mapping[str, Any]) -> Layout:
    """The layout of the package ``name`` (normalized) in a folder with this pyproject.toml."""
    backend = str(lookup(pyproject, "build-system", "build-backend") or "setuptools.build_meta")
    told = _BACKENDS.get(backend.partition(".")[0].partition(":")[0], _nothing)
    found = [
        (join(root), module)
        for root, module in told(table(pyproject, "tool"), name)
        if not join(root).startswith(("..", "/"))
    ]
    if not found:
        return _guess(folder, name)
    roots = tuple(dict.fromkeys(root for root, _ in found))
    named = {module for root, module in found if module and _importable(folder / root, module)}
    for root, module in found:
        if not module:
            named |= set(_modules(folder / root, flat=root == "."))
    return Layout(roots, tuple(sorted(named)))


def join(*parts: str) -> str:
    """A path of forward slashes without empty or "." parts."""
    return posixpath.normpath(posixpath.join(*parts))


def _guess(folder: Path, name: str) -> Layout:
    """As hatchling, flit, poetry and setuptools: the package's own name, in src/ or beside pyproject.toml."""
    for root in ("src", "."):
        if own := _own(folder / root, name):
            beside = _modules(folder / root, flat=root == ".") if root == "src" else ()
            return Layout((root,), tuple(sorted({own, *beside})))
    root = "src" if (folder / "src").is_dir() else "."
    return Layout((root,), tuple(sorted(_modules(folder / root, flat=root == "."))))


def _own(root: Path, name: str) -> str | None:
    """The module that bears the package's name, whatever its case: Pillow-like names are lowered by PEP 503."""
    wanted = name.replace("-", "_")
    for entry in _entries(root):
        module = entry.name.removesuffix(".py")
        if module.lower() in {wanted, wanted.split("_")[0] + "." + wanted} and _importable(root, module):
            return module
    return None


def _modules(root: Path, *, flat: bool) -> Iterator[str]:
    for entry in _entries(root):
        module = entry.name.removesuffix(".py")
        if flat and (module.lower() in _NOT_PACKAGES or (entry.is_dir() and not (entry / "__init__.py").is_file())):
            continue
        if _importable(root, module):
            yield module


def _entries(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.is_dir() else []


def _importable(root: Path, module: str) -> bool:
    """Whether ``import module`` finds something in ``root``: a file, a package, a namespace with Python files in it."""
    if not module.isidentifier() or module == "__pycache__":
        return False
    if (root / f"{module}.py").is_file() or (root / module / "__init__.py").is_file():
        return True
    package = root / module
    return package.is_dir() and not package.is_symlink() and any(package.rglob("*.py"))


Told = Iterable[tuple[str, str]]
"""Pairs of a root and a module in it; an empty module stands for all that the root holds."""


def _nothing(_tool: Mapping[str, Any], _name: str) -> Told:
    return ()


def _folders(paths: Iterable[str]) -> Told:
    """Packages given by their folders: src/demo is the module demo in the root src."""
    for path in paths:
        root, module = posixpath.split(join(path))
        yield root or ".", module.removesuffix(".py")


def _uv(tool: Mapping[str, Any], name: str) -> Told:
    settings = table(tool, "uv", "build-backend")
    root = settings.get("module-root", "src")
    for module in strings(settings.get("module-name")) or [name.replace("-", "_")]:
        yield str(root) or ".", module.split(".")[0].removesuffix("-stubs")


def _hatchling(tool: Mapping[str, Any], _name: str) -> Told:
    build = table(tool, "hatch", "build")
    wheel = table(build, "targets", "wheel")
    for root in strings(build.get("dev-mode-dirs")):
        yield root, ""
    yield from _folders(strings(wheel.get("packages")) or strings(build.get("packages")))
    sources = wheel.get("sources", build.get("sources"))
    if not wheel.get("packages") and isinstance(sources, list):
        yield from ((root, "") for root in strings(sources))


def _setuptools(tool: Mapping[str, Any], _name: str) -> Told:
    settings = table(tool, "setuptools")
    named = settings.get("packages")
    folders = table(settings, "package-dir")
    top = str(folders.get("", "."))
    if isinstance(named, list):
        for package in strings(named):
            first = package.split(".")[0]
            given = str(folders.get(first, ""))
            at_home = posixpath.basename(given) == first
            yield (posixpath.dirname(given) or ".") if at_home else top, first
    for root in strings(lookup(named, "find", "where")):
        yield root, ""
    if not named and "" in folders:
        yield top, ""
    yield from ((top, module) for module in strings(settings.get("py-modules")))


def _poetry(tool: Mapping[str, Any], _name: str) -> Told:
    for package in tables(lookup(tool, "poetry", "packages")):
        if isinstance(package.get("include"), str):
            yield str(package.get("from", ".")), package["include"].split("/")[0].removesuffix(".py")


def _maturin(tool: Mapping[str, Any], name: str) -> Told:
    settings = table(tool, "maturin")
    if isinstance(settings.get("python-source"), str):
        module = str(settings.get("module-name", name.replace("-", "_"))).split(".")[0]
        yield settings["python-source"], module


def _flit(tool: Mapping[str, Any], name: str) -> Told:
    module = lookup(tool, "flit", "module", "name")
    if isinstance(module, str) and normalized(module) != name:
        yield "src", module.split(".")[0]
        yield ".", module.split(".")[0]


def _pdm(tool: Mapping[str, Any], _name: str) -> Told:
    root = lookup(tool, "pdm", "build", "package-dir")
    if isinstance(root, str):
        yield root, ""


def _scikit_build(tool: Mapping[str, Any], _name: str) -> Told:
    packages = lookup(tool, "scikit-build", "wheel", "packages")
    paths = packages.values() if isinstance(packages, dict) else strings(packages)
    return _folders(map(str, paths))


_BACKENDS: Mapping[str, Callable[[Mapping[str, Any], str], Told]] = {
    "uv_build": _uv,
    "hatchling": _hatchling,
    "setuptools": _setuptools,
    "poetry": _poetry,
    "maturin": _maturin,
    "flit_core": _flit,
    "flit": _flit,
    "pdm": _pdm,
    "scikit_build_core": _scikit_build,
}
