"""Directory sources: the project itself, workspace members, path dependencies, importable from the work tree.

Nothing is built and no code is run: metadata is what pyproject.toml says (PEP 621), and what is dynamic stands in
uv.lock, in setup.cfg, or as a literal in a Python file; else a warning says what is not known.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from nixgen.errors import Problem, UserError
from nixgen.formats import foreign
from nixgen.generate.model import SourceTree
from nixgen.project import layout, setupfiles, uvlock, version
from nixgen.project.names import normalized
from nixgen.project.project import Project, read_text
from nixgen.resolve.model import Resolution

METADATA_VERSION = "2.3"
"""Core metadata: 2.3 is the first that asks for normalized names of extras, which these are."""

_OBJECT = re.compile(r"\s*[\w.]+\s*(:\s*[\w.]+\s*)?(\[[\w\s,.-]*\]\s*)?")  # "Entry points specification", data model
_GROUP = re.compile(r"\w+(\.\w+)*")
_SCRIPT = re.compile(r"(?!\.+\Z)[\w.+-]+")  # a file's name in bin/, never "." or ".."
_ENTRY = re.compile(r"[^\s=\[][^=\r\n]*")


def source_trees(project: Project, resolutions: Sequence[Resolution]) -> tuple[SourceTree, ...]:
    """The directory sources of all targets, each once, sorted by name and path.

    Raises UserError with every problem of all of them: files that cannot be read, code that is not found, entry points
    that are none.
    """
    locked = {uvlock.folder(package): package for package in project.uv_lock().local}
    found = {
        (package.name, package.path): package
        for resolution in resolutions
        for package in resolution.packages
        if package.kind == "directory" and package.path
    }
    trees: list[SourceTree] = []
    problems: list[Problem] = []
    for (name, path), package in sorted(found.items(), key=operator.itemgetter(0)):
        try:
            trees.append(_tree(project, name, path, package.version, locked.get(path, {}), built=package.built))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return tuple(trees)


def _tree(
    project: Project, name: str, path: str, known: str | None, locked: Mapping[str, Any], *, built: bool
) -> SourceTree:
    source = layout.read(project.root, name, path)
    found = layout.find(source)
    said = version.Declared(known, None, {}, ()) if known else version.declared(source, found)
    known, note = said.version, said.note
    files = source.setup.files if source.reads_setup else ()
    if built:
        notes = (note,) if note is not None else ()
        return SourceTree(name, known, path, (), (), "", "", _placed(path, files), notes=notes, built=True)
    if found.problems:
        raise UserError(found.problems)
    points, missing = declared_points(source)
    return SourceTree(
        name=name,
        version=known,
        path=path,
        roots=tuple(root if path == "." else layout.join(path, root) for root in found.roots),
        modules=found.modules,
        metadata=metadata(name, known, _described(source), locked, source.file),
        entry_points=entry_points(points, source.file),
        files=_placed(path, (*files, *said.files, *_read_besides(source))),
        lines={layout.join(path, file): lines for file, lines in said.lines.items()},
        notes=(*found.notes, *([note] if note is not None else ()), *missing),
        made=version.made(source, found, known),
    )


def _placed(path: str, files: Iterable[str]) -> tuple[str, ...]:
    """Files of a package, by their paths in the project."""
    return tuple(dict.fromkeys(layout.join(path, file) for file in files))


def _read_besides(source: layout.Source) -> Iterator[str]:
    """The files from which entry points come, and dependencies, which only uv.lock tells."""
    dynamic = foreign.table(source.tool, "setuptools", "dynamic")
    optional = foreign.table(dynamic, "optional-dependencies").values()
    hook = foreign.table(source.tool, "hatch", "metadata", "hooks", "requirements_txt")
    setup = (source.setup.said.get(key) for key in ("install_requires", "entry_points"))
    said = (dynamic.get("dependencies"), *optional, dynamic.get("entry-points"), *setup)
    given = (*(foreign.lookup(one, "file") for one in said), hook.get("files"))
    yield from (name for names in given for name in foreign.strings(names) if source.has(name))


def _described(source: layout.Source) -> Mapping[str, Any]:
    """The [project] table; without one, what else names the package, its dependencies being in uv.lock."""
    project = foreign.table(source.pyproject, "project")
    if project:
        return project
    given = foreign.table(source.tool, "poetry") if source.backend == "poetry" else source.setup.said
    texts = {key: given[key] for key in ("name", "description") if isinstance(given.get(key), str)}
    return {**texts, "dynamic": ["dependencies"]}


def metadata(name: str, version: str, table: Mapping[str, Any], locked: Mapping[str, Any], where: str) -> str:
    """The METADATA of a [project] table (core metadata 2.3); ``locked`` is its entry in uv.lock, for what is dynamic.

    Raises UserError for a requirement that PEP 508 does not allow.
    """
    dynamic = set(foreign.strings(table.get("dynamic")))
    lines = [f"Metadata-Version: {METADATA_VERSION}", f"Name: {table.get('name', name)}", f"Version: {version}"]
    if isinstance(table.get("description"), str):
        lines.append(f"Summary: {table['description']}")
    if isinstance(table.get("requires-python"), str):
        lines.append(f"Requires-Python: {table['requires-python']}")
    if dynamic & {"dependencies", "optional-dependencies"}:
        recorded = foreign.table(locked, "metadata")
        lines += [f"Requires-Dist: {_from_lock(entry)}" for entry in foreign.tables(recorded.get("requires-dist"))]
        lines += [f"Provides-Extra: {extra}" for extra in sorted(foreign.strings(recorded.get("provides-extras")))]
    else:
        lines += [f"Requires-Dist: {text}" for text in foreign.strings(table.get("dependencies"))]
        for extra, texts in sorted(foreign.table(table, "optional-dependencies").items()):
            lines.append(f"Provides-Extra: {normalized(extra)}")
            lines += [f"Requires-Dist: {_of_extra(text, normalized(extra), where)}" for text in foreign.strings(texts)]
    return "".join(" ".join(line.split()) + "\n" for line in lines)


def _of_extra(text: str, extra: str, where: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        marker = Requirement(text).marker
    except InvalidRequirement as error:
        _refuse(where, f"project.optional-dependencies.{extra}", f'"{text}" is not a requirement: {error}')
    if marker is None:
        return f"{text} ; extra == '{extra}'" if "@" in text else f"{text}; extra == '{extra}'"
    head = text.rpartition(";")[0].rstrip()
    return f"{head} ; ({marker}) and extra == '{extra}'"


def _from_lock(entry: Mapping[str, Any]) -> str:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    specifier = "" if entry.get("specifier", "*") == "*" else entry["specifier"]
    marker = f" ; {entry['marker']}" if "marker" in entry else ""
    return f"{entry['name']}{extras}{specifier}{marker}"


_POINTS = {"scripts", "gui-scripts", "entry-points"}


def declared_points(source: layout.Source) -> tuple[Mapping[str, Any], list[Problem]]:
    """The entry points as a [project] table has them, and warnings for those that nobody knows before a build."""
    project = foreign.table(source.pyproject, "project")
    found: dict[str, Any] = {key: project[key] for key in sorted(_POINTS) if key in project}
    dynamic = _POINTS.intersection(foreign.strings(project.get("dynamic")))
    if project and not dynamic:
        return found, []
    groups, key = _backend_points(source)
    if groups is setupfiles.UNREAD or (groups is None and dynamic):
        known = "is computed by setup.py, which nixgen does not run" if key else "is made when the package is built"
        key = key or source.key(f"project.{min(dynamic, default='scripts')}")
        what = f"{known}: the scripts and entry points of {source.name} are missing"
        return found, [Problem(key, what, 'write them under [project.scripts]: NAME = "package.module:function"')]
    for group, points in (groups or {}).items():
        name = {"console_scripts": "scripts", "gui_scripts": "gui-scripts"}.get(group, "entry-points")
        if not project or name in dynamic or (name != "entry-points" and "entry-points" in dynamic):
            found |= {name: {**foreign.table(found, name), group: points}} if name == "entry-points" else {name: points}
    return found, []


def _backend_points(source: layout.Source) -> tuple[Any, str]:
    """Groups of entry points that stand where the backend reads them, None for none, and the key in a setup file."""
    if source.backend == "poetry":
        poetry = foreign.table(source.tool, "poetry")
        scripts = {
            name: foreign.lookup(target, "reference") or foreign.lookup(target, "callable") or target
            for name, target in foreign.table(poetry, "scripts").items()
            if foreign.lookup(target, "type") != "file"
        }
        return {**foreign.table(poetry, "plugins"), **({"console_scripts": scripts} if scripts else {})} or None, ""
    if source.backend in {"flit_core", "flit"}:
        scripts = dict(foreign.table(source.tool, "flit", "scripts"))
        return {
            **foreign.table(source.tool, "flit", "entrypoints"),
            **({"console_scripts": scripts} if scripts else {}),
        } or None, ""
    said = foreign.lookup(source.tool, "setuptools", "dynamic", "entry-points") or source.setup.said.get("entry_points")
    key = source.setup.keys.get("entry_points", "")
    files = [name for name in foreign.strings(foreign.lookup(said, "file")) if source.has(name)]
    if files:
        texts = [read_text(source.folder / name, source.where + name) for name in files]
        return setupfiles.entry_points("\n".join(texts)), key
    return said, key


def entry_points(table: Mapping[str, Any], where: str) -> str:
    """The entry_points.txt of a [project] table, sorted; empty when there are none.

    Raises UserError for a name or an object reference that the entry points specification does not allow, or that
    would not be one file in bin/.
    """
    groups = {
        "console_scripts": ("project.scripts", table.get("scripts", {})),
        "gui_scripts": ("project.gui-scripts", table.get("gui-scripts", {})),
    }
    for group, entries in foreign.table(table, "entry-points").items():
        key = f"project.entry-points.{group}"
        if not _GROUP.fullmatch(group) or group in {"console_scripts", "gui_scripts"}:
            _refuse(where, key, "is not a name for a group of entry points")
        groups[group] = (key, entries)
    sections = []
    for group, (key, entries) in sorted(groups.items()):
        lines = list(_lines(where, key, entries, _ENTRY if key.startswith("project.entry-points") else _SCRIPT))
        if lines:
            sections.append(f"[{group}]\n" + "".join(f"{line}\n" for line in lines))
    return "\n".join(sections)


def _lines(where: str, key: str, entries: Any, shape: re.Pattern[str]) -> Iterator[str]:  # noqa: ANN401 -- from TOML
    if not isinstance(entries, dict):
        _refuse(where, key, "is not a table")
    for name, value in sorted(entries.items()):
        if not shape.fullmatch(name):
            _refuse(where, key, f"{name!r} cannot be the name of an entry point")
        if not isinstance(value, str) or not _OBJECT.fullmatch(value):
            _refuse(where, f"{key}.{name}", f"{value!r} is not an object reference")
        yield f"{name} = {' '.join(value.split())}"


def _refuse(where: str, key: str, what: str) -> NoReturn:
    raise UserError.of(f"{where}: {key}", what, 'write it like: name = "package.module:function"')
