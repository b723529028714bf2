"""Where the importable code of a source folder is: what its build backend is told, else what that would find by itself.

The rules are those of each backend for an editable install; nixgen reads their settings and runs none of them.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats.foreign import lookup, strings, table, tables
from nixgen.project import setupfiles
from nixgen.project.project import read_toml
from nixgen.project.setupfiles import UNREAD, Find, Setup

# setuptools' "flat-layout" leaves these out (setuptools.discovery.FlatLayoutPackageFinder.DEFAULT_EXCLUDE), and
# modules with names of tools (FlatLayoutModuleFinder).
_NOT_PACKAGES = frozenset(
    """
    ci bin debian doc docs documentation manpages news newsfragments changelog test tests unit_test unit_tests
    example examples scripts tools util utils python build benchmark benchmarks exercise exercises htmlcov tasks
    fabfile site node_modules venv env dist conftest setup toxfile noxfile pavement dodo
    """.split()  # noqa: SIM905 -- quoted one by one, the words would take 40 lines
)
_WRAPPED = {"flit_scm": "flit_core", "poetry_dynamic_versioning": "poetry"}
"""Backends that are another one but for the version."""

_DEEPEST = 6
"""Folders in each other that a namespace may have above its first module."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source folder as its backend sees it.

    ``name`` is the package's normalized name, ``raw`` as it is written; ``where`` stands before the names of the
    folder's files in sentences ("libs/core/", nothing for the project itself).
    """

    folder: Path
    name: str
    pyproject: Mapping[str, Any]
    setup: Setup
    where: str = ""

    @property
    def raw(self) -> str:
        """The name as pyproject.toml or setup.py has it."""
        given = lookup(self.pyproject, "project", "name") or self.setup.said.get("name")
        return given if isinstance(given, str) else self.name

    @property
    def module(self) -> str:
        """The module that bears the package's name."""
        return self.name.replace("-", "_")

    @property
    def backend(self) -> str:
        """The first part of the build backend's name; setuptools where none is named (PEP 517)."""
        backend = lookup(self.pyproject, "build-system", "build-backend")
        name = (backend if isinstance(backend, str) else "setuptools").partition(".")[0].partition(":")[0]
        return _WRAPPED.get(name, name)

    @property
    def tool(self) -> Mapping[str, Any]:
        """The tables of tools."""
        return table(self.pyproject, "tool")

    @property
    def file(self) -> str:
        """The file that describes the package, for sentences."""
        names = ("pyproject.toml", "setup.py", "setup.cfg")
        return self.where + next((name for name in names if (self.folder / name).is_file()), names[0])

    @property
    def reads_setup(self) -> bool:
        """Whether the backend reads setup.py and setup.cfg: setuptools, and what wraps it."""
        return self.backend not in _BACKENDS

    def has(self, path: str) -> bool:
        """Whether a file is there, within the folder."""
        return not join(path).startswith(("../", "/")) and (self.folder / path).is_file()

    def key(self, name: str) -> str:
        """A key of pyproject.toml, for sentences."""
        return f"{self.where}pyproject.toml: {name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """``roots`` go on sys.path, relative to the folder; ``modules`` are the top-level names that they hold, sorted."""

    roots: tuple[str, ...]
    modules: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A dotted module below a root, or with an empty one all that the root holds, and the key that tells so.

    ``wrong`` is why it cannot be imported by way of sys.path.
    """

    key: str
    root: str
    module: str
    wrong: str = ""


def read(root: Path, name: str, path: str) -> Source:
    """The source folder ``path`` of the project in ``root``. Raises UserError for files that cannot be read."""
    folder, above = root / path, "" if path == "." else f"{path}/"
    if not folder.is_dir():
        what = f"is not a folder, and uv.lock says that {name} is there"
        raise UserError.of(path, what, "bring it back, or: uv lock")
    file = folder / "pyproject.toml"
    pyproject = read_toml(file, f"{above}pyproject.toml") if file.exists() else {}
    return Source(folder, name, pyproject, setupfiles.read(folder, above), above)


def find(source: Source) -> Layout:
    """The layout of a package. It has at least one module, or problems, but where no code is said to be in it."""
    told = _BACKENDS.get(source.backend, _setuptools)(source)
    if told is not None and not (parts := list(told)):
        return Layout(("src" if (source.folder / "src").is_dir() else ".",), ())
    if told is None:
        parts = list(_guess(source))
        if not parts and not _stubs(source.folder):
            what = f"no module of {source.name} is found: neither src/{source.module} nor {source.module} is there"
            return Layout((".",), (), (Problem(source.file, what, _mend(source)),))
    problems = []
    modules: set[str] = set()
    for part in parts:
        found = _named(source.folder, part)
        modules |= set(found)
        if not found and not _stubs(source.folder / part.root):
            problems.append(Problem(part.key, part.wrong or _missing(part), _mend(source)))
    roots = tuple(dict.fromkeys(join(part.root) for part in parts)) or (".",)
    notes = [*(_notes(source, modules) if told is None else ()), *_elsewhere(source, roots)]
    return Layout(roots, tuple(sorted(modules)), tuple(dict.fromkeys(problems)), tuple(notes))


def _elsewhere(source: Source, roots: tuple[str, ...]) -> Iterator[Problem]:
    """What a wheel of hatchling's has at another place than the work tree: code in it finds it there only."""
    told = lookup(source.tool, "hatch", "build", "targets", "wheel", "force-include")
    for path, target in told.items() if source.backend == "hatchling" and isinstance(told, Mapping) else ():
        if isinstance(target, str) and not any(join(root, target.strip("/")) == join(path) for root in roots):
            what = f"{path} is in a wheel as {target}, and is not there in the work tree, which is what is imported"
            wanted = join(roots[0], target.strip("/"))
            yield Problem(source.key("tool.hatch.build.targets.wheel.force-include"), what, f"move it to {wanted}")


def _notes(source: Source, modules: set[str]) -> Iterator[Problem]:
    key = unread(source.setup)
    if key and source.reads_setup:
        what = f"is computed by setup.py, which nixgen does not run; taken as its modules: {', '.join(sorted(modules))}"
        yield Problem(source.setup.keys[key], what, _mend(source))


def unread(setup: Setup) -> str | None:
    """The keyword about the layout that only running setup.py would tell."""
    for key in ("packages", "package_dir", "py_modules"):
        value = setup.said.get(key)
        inner = value if isinstance(value, list) else value.values() if isinstance(value, Mapping) else ()
        if value is UNREAD or UNREAD in inner:
            return key
    return None


def join(*parts: str) -> str:
    """A path of forward slashes without empty or "." parts."""
    return posixpath.normpath(posixpath.join(*parts))


def _named(folder: Path, part: Part) -> list[str]:
    """The top-level names of a part that are there."""
    root = join(part.root)
    if part.wrong or root.startswith(("../", "/")) or root == "..":
        return []
    if not part.module:
        return list(_modules(folder / root, flat=root == "."))
    path = folder.joinpath(root, *part.module.split("."))
    if not all(map(str.isidentifier, part.module.split("."))):
        return []
    there = path.with_name(f"{path.name}.py").is_file() or (path.is_dir() and any(path.iterdir()))
    return [part.module.split(".")[0]] if there else []


def _missing(part: Part) -> str:
    root = join(part.root)
    if root.startswith(("../", "/")) or root == "..":
        return f"{root} lies outside of the package's folder"
    if not part.module:
        return f"no module is found in {root}"
    return f"{join(root, part.module.replace('.', '/'))} is neither a folder nor a Python file"


_WRITE = {
    "uv_build": 'module-name = "{}" under [tool.uv.build-backend]',
    "hatchling": 'packages = ["{}"] under [tool.hatch.build.targets.wheel]',
    "poetry": 'packages = [{{ include = "{}" }}] under [tool.poetry]',
    "flit_core": 'name = "{}" under [tool.flit.module]',
    "pdm": 'includes = ["{}"] under [tool.pdm.build]',
}


def _mend(source: Source) -> str:
    write = _WRITE.get(source.backend, 'packages = ["{}"] under [tool.setuptools]').format(source.module)
    return f"say where the code is: {write}; a folder without code: package = false under [tool.uv], then: uv lock"


def _guess(source: Source) -> Iterator[Part]:
    """As hatchling, flit, poetry and setuptools: the package's own name, in src/ or beside pyproject.toml."""
    folder = source.folder
    # Of a package in both places, hatchling and poetry take the one beside pyproject.toml. Of what else is in src/,
    # setuptools alone takes all.
    for root in (".", "src") if source.backend in {"hatchling", "poetry"} else ("src", "."):
        if own := _own(folder / root, source.module):
            beside = _modules(folder / root, flat=False) if root == "src" and source.reads_setup else ()
            yield from (Part(source.file, root, module) for module in sorted({own, *beside}))
            return
    for root in ("src", "."):
        for entry in _entries(folder / root):
            if _is_folder(entry, flat=root == ".") and (entry / source.module / "__init__.py").is_file():
                yield Part(source.file, root, f"{entry.name}.{source.module}")
                return
    found = False
    for root, namespaces in (("src", True), (".", False), (".", True)):
        if not found:
            for module in _modules(folder / root, flat=root == ".", namespaces=namespaces):
                found = True
                yield Part(source.file, root, module)


def _own(root: Path, wanted: str) -> str | None:
    """The module that bears the package's name, whatever its case: Pillow-like names are lowered by PEP 503."""
    for entry in _entries(root):
        module = entry.name.removesuffix(".py")
        if module.lower() == wanted and _importable(root, module):
            return module
    return None


def _modules(root: Path, *, flat: bool, namespaces: bool = False) -> Iterator[str]:
    """The top-level modules of a root; a ``flat`` one holds other things, too."""
    for entry in _entries(root):
        module = entry.name.removesuffix(".py")
        if flat and module.lower() in _NOT_PACKAGES:
            continue
        if flat and not namespaces and entry.is_dir() and not (entry / "__init__.py").is_file():
            continue
        if _importable(root, module):
            yield module


def _is_folder(entry: Path, *, flat: bool) -> bool:
    named = entry.name.isidentifier() and not (flat and entry.name.lower() in _NOT_PACKAGES)
    return named and entry.is_dir() and not entry.is_symlink()


def _entries(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.is_dir() else []


def _stubs(root: Path) -> bool:
    """Whether there is a package of types alone (PEP 561), which nothing imports."""
    return any(entry.name.endswith("-stubs") and entry.is_dir() for entry in (*_entries(root), *_entries(root / "src")))


def _importable(root: Path, module: str) -> bool:
    """Whether ``import module`` finds something in ``root``: a file, a package, a namespace with Python files in it."""
    if not module.isidentifier() or module == "__pycache__":
        return False
    if (root / f"{module}.py").is_file() or (root / module / "__init__.py").is_file():
        return True
    package = root / module
    return package.is_dir() and not package.is_symlink() and _has_python(package)


def _has_python(folder: Path) -> bool:
    for place, folders, files in os.walk(folder):
        if any(file.endswith(".py") for file in files):
            return True
        deep = len(Path(place).relative_to(folder).parts)
        folders[:] = [] if deep >= _DEEPEST else [name for name in folders if name.isidentifier()]
    return False


Told = Iterable[Part] | None
"""What a backend is told: None is nothing at all, so that it looks by itself; no part is that there is no code."""


def _folders(key: str, paths: Iterable[str]) -> Iterator[Part]:
    """Packages given by their folders: src/demo is the module demo in the root src."""
    for path in paths:
        root, module = posixpath.split(join(path.removeprefix("/")) if path != "/" else path)
        yield Part(key, root or ".", module.removesuffix(".py"))


def _uv(source: Source) -> Told:
    settings = table(source.tool, "uv", "build-backend")
    key = source.key("tool.uv.build-backend.module-name")
    root = str(settings.get("module-root", "src")) or "."
    names = strings(settings.get("module-name"))
    if not names and settings.get("namespace") is True and not _named(source.folder, Part(key, root, source.module)):
        return [Part(source.key("tool.uv.build-backend.namespace"), root, "")]
    if not names and _stubs(source.folder / root):
        return None
    return [Part(key, root, module) for module in names or [source.module] if not module.endswith("-stubs")] or None


def _hatchling(source: Source) -> Told:
    build = table(source.tool, "hatch", "build")
    wheel = table(build, "targets", "wheel")
    at = "tool.hatch.build.targets.wheel"
    dev = source.key("tool.hatch.build.dev-mode-dirs")
    parts = [Part(dev, root, "") for root in strings(build.get("dev-mode-dirs"))]

    def given(key: str) -> Any:  # noqa: ANN401 -- from TOML
        return wheel.get(key, build.get(key))

    packages, sources = strings(given("packages")), given("sources")
    parts += _folders(source.key(f"{at}.packages"), packages)
    stripped = strings(sources) if not isinstance(sources, Mapping) else [one for one in sources if not sources[one]]
    if not packages:
        only = strings(given("only-include")) or [_static(pattern) for pattern in strings(given("include"))]
        key = source.key(f"{at}.{'only-include' if given('only-include') else 'include'}")
        for path in dict.fromkeys(path for path in map(join, only) if path != "."):
            root = next((join(one) for one in stripped if f"{path}/".startswith(f"{join(one)}/")), ".")
            inside = posixpath.relpath(path, root)
            parts.append(Part(key, root, "" if inside == "." else inside.split("/")[0].removesuffix(".py")))
        if not only and not isinstance(sources, Mapping):
            parts += [Part(source.key(f"{at}.sources"), root, "") for root in stripped]
    if isinstance(sources, Mapping):
        for path, target in sources.items():
            if target:
                parts.append(_moved(source.key(f"{at}.sources"), path, str(target)))
    for path, target in table(wheel, "force-include").items():
        if isinstance(target, str) and "/" not in target.strip("/") and (source.folder / path).is_dir():
            parts.append(_moved(source.key(f"{at}.force-include"), path, target.strip("/")))
    return parts or (() if given("bypass-selection") is True else None)


def _static(pattern: str) -> str:
    """The folder or file that a pattern of git's form begins with."""
    parts = []
    for part in pattern.removeprefix("/").split("/"):
        if any(letter in part for letter in "*?[!"):
            break
        parts.append(part)
    return "/".join(parts)


def _moved(key: str, path: str, target: str) -> Part:
    """A folder that the wheel has under another name: to be found on sys.path, its own has to end with that."""
    path, target = join(path), join(target)
    if path == target or path.endswith(f"/{target}"):
        return Part(key, path.removesuffix(target).rstrip("/") or ".", target.replace("/", "."))
    what = f"the package {target.replace('/', '.')} lies in {path}: on sys.path a folder has its own name only"
    return Part(key, ".", target.replace("/", "."), f"{what}; move it to {target}")


def _setuptools(source: Source) -> Told:
    settings = table(source.tool, "setuptools")

    def given(name: str, keyword: str) -> tuple[Any, str]:
        if name in settings:
            return settings[name], source.key(f"tool.setuptools.{name}")
        return source.setup.said.get(keyword), source.setup.keys.get(keyword, "")

    (packages, key), (folders, at) = given("packages", "packages"), given("package-dir", "package_dir")
    modules, beside = given("py-modules", "py_modules")
    if unread(source.setup) and "packages" not in settings:
        return None  # the guess is what setuptools finds by itself
    places = {str(name): str(place) for name, place in folders.items()} if isinstance(folders, Mapping) else {}
    if isinstance(packages, Mapping) and isinstance(packages.get("find"), Mapping):
        told = packages["find"]
        include, exclude = tuple(strings(told.get("include", "*"))), tuple(strings(told.get("exclude")))
        roots = strings(told.get("where", "."))
        finds = [Find(root, include, exclude, told.get("namespaces") is not False) for root in roots]
        key += ".find"
    else:
        finds = [packages] if isinstance(packages, Find) else []
    parts = [part for find in finds for part in _searched(source.folder, key, find, places)]
    named = [_placed(key, package, places) for package in strings(packages)]
    top = places.get("", ".") or "."
    singles = [Part(beside, top, module) for module in strings(modules)]
    if finds or packages is not None or modules is not None:
        return [*parts, *named, *singles]
    if "" in places:
        return [Part(at, top, "")]
    return [_placed(at, package, places) for package in places] or None


def _searched(folder: Path, key: str, find: Find, places: Mapping[str, str]) -> Iterator[Part]:
    root = join(find.where)
    found = False
    for entry in _entries(folder / root) if not root.startswith(("..", "/")) else []:
        name = entry.name
        flat = root == "." and find.include == ("*",)
        if not _is_folder(entry, flat=flat) or (not find.namespaces and not (entry / "__init__.py").is_file()):
            continue
        included = any(fnmatchcase(name, pattern.split(".")[0]) for pattern in find.include)
        if included and not any(fnmatchcase(name, one) for one in find.exclude) and _importable(folder / root, name):
            found = True
            yield _placed(key, name, places) if name in places else Part(key, root, name)
    if not found:
        yield Part(key, root, "", _missing(Part(key, root, "")) if root != "." else "finds no package beside it")


def _placed(key: str, package: str, places: Mapping[str, str]) -> Part:
    """A package where ``package_dir`` says that it is, as distutils reads it."""
    parts = package.split(".")
    for end in range(len(parts), 0, -1):
        head = ".".join(parts[:end])
        if head in places:
            return _moved(key, posixpath.join(places[head] or ".", *parts[end:]), "/".join(parts))
    return Part(key, places.get("", ".") or ".", package)


def _poetry(source: Source) -> Told:
    settings = table(source.tool, "poetry")
    key = source.key("tool.poetry.packages")
    parts = []
    for package in tables(settings.get("packages")):
        if isinstance(package.get("include"), str):
            module = _static(package["include"]).removesuffix(".py").replace("/", ".")
            root, target = str(package.get("from", ".")), package.get("to")
            if isinstance(target, str) and target:
                parts.append(_moved(key, join(root, *module.split(".")), join(target, *module.split("."))))
            else:
                parts.append(Part(key, root, module))
    return parts or (() if settings.get("package-mode") is False else None)


def _maturin(source: Source) -> Told:
    settings = table(source.tool, "maturin")
    root = settings.get("python-source")
    if not isinstance(root, str):
        return None
    module = str(settings.get("module-name", source.module)).split(".")[0]
    names = strings(settings.get("python-packages")) or [module]
    return [Part(source.key("tool.maturin.python-source"), root, name) for name in names]


def _flit(source: Source) -> Told:
    named = lookup(source.tool, "flit", "module", "name") or lookup(source.tool, "flit", "metadata", "module")
    module = named if isinstance(named, str) else source.raw.replace("-", "_")
    key = source.key("tool.flit.module.name" if named else "project.name")
    parts = [Part(key, root, module) for root in ("src", ".")]
    there = [part for part in parts if _named(source.folder, part)]
    return there[:1] or (parts[1:] if named else None)


def _pdm(source: Source) -> Told:
    build = table(source.tool, "pdm", "build")
    root, includes = build.get("package-dir"), [_static(one) for one in strings(build.get("includes"))]
    if lookup(source.tool, "pdm", "distribution") is False:
        return ()
    top = root if isinstance(root, str) else "src" if (source.folder / "src").is_dir() else "."
    key = source.key("tool.pdm.build.includes")
    paths = [posixpath.relpath(join(path), join(top)) for path in includes if path]
    named = [
        Part(key, top, path.removesuffix(".py").replace("/", ".") if path != "." else "")
        for path in paths
        if not path.startswith("../") and (path.endswith(".py") or (source.folder / top / path).is_dir())
    ]
    if named:
        return named
    at = source.key("tool.pdm.build.package-dir")
    excluded = {join(one) for one in strings(build.get("excludes"))} | {"tests"}
    packages = [
        entry.name
        for entry in _entries(source.folder / top)
        if (entry / "__init__.py").is_file() and entry.name.isidentifier() and join(top, entry.name) not in excluded
    ]
    if packages and not includes:
        return [Part(at, top, package) for package in packages]
    return [Part(at, top, "")] if isinstance(root, str) else None


def _scikit_build(source: Source) -> Told:
    packages = lookup(source.tool, "scikit-build", "wheel", "packages")
    key = source.key("tool.scikit-build.wheel.packages")
    if isinstance(packages, Mapping):
        return [_moved(key, str(path), str(target)) for target, path in packages.items()]
    found = strings(packages) or [
        f"{root}/{source.module}" for root in ("src", "python") if (source.folder / root / source.module).is_dir()
    ]
    return list(_folders(key, found)) or (() if packages == [] else None)


_BACKENDS: Mapping[str, Callable[[Source], Told]] = {
    "uv_build": _uv,
    "hatchling": _hatchling,
    "poetry": _poetry,
    "maturin": _maturin,
    "flit_core": _flit,
    "flit": _flit,
    "pdm": _pdm,
    "scikit_build_core": _scikit_build,
}
"""A backend that is not here reads what setuptools reads, or wraps it: there only are settings where that is so."""
