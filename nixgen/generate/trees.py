"""Directory sources: the project itself, workspace members, path dependencies, importable from the work tree.

Nothing is built: metadata is what pyproject.toml says statically (PEP 621), and what is dynamic is taken from uv.lock.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nixgen.errors import UserError
from nixgen.formats import foreign
from nixgen.generate import layout
from nixgen.generate.model import SourceTree
from nixgen.project import uvlock
from nixgen.project.names import normalized
from nixgen.project.project import Project, read_text, read_toml
from nixgen.resolve.model import Resolution

UNKNOWN_VERSION = "0.0.0"
"""The version of a package whose own is made when it is built (from git tags, say), which nixgen does not do."""

METADATA_VERSION = "2.3"
"""Core metadata: 2.3 is the first that asks for normalized names of extras, which these are."""

_OBJECT = re.compile(r"\s*[\w.]+\s*(:\s*[\w.]+\s*)?(\[[\w\s,.-]*\]\s*)?")  # "Entry points specification", data model
_GROUP = re.compile(r"\w+(\.\w+)*")
_SCRIPT = re.compile(r"(?!\.+\Z)[\w.+-]+")  # a file's name in bin/, never "." or ".."
_ENTRY = re.compile(r"[^\s=\[][^=\r\n]*")


def source_trees(project: Project, resolutions: Sequence[Resolution]) -> tuple[SourceTree, ...]:
    """The directory sources of all targets, each once, sorted by name and path.

    Raises UserError when a folder's pyproject.toml cannot be read, or names an entry point that is not one.
    """
    locked = {uvlock.folder(package): package for package in project.uv_lock().local}
    found = {
        (package.name, package.path): package.version
        for resolution in resolutions
        for package in resolution.packages
        if package.kind == "directory" and package.path
    }
    return tuple(
        _tree(project, name, path, version, locked.get(path, {})) for (name, path), version in sorted(found.items())
    )


def _tree(project: Project, name: str, path: str, version: str | None, locked: Mapping[str, Any]) -> SourceTree:
    folder = project.path(path)
    where = "pyproject.toml" if path == "." else f"{path}/pyproject.toml"
    if not folder.is_dir():
        raise UserError.of(
            path, f"is not a folder, and uv.lock says that {name} is there", "bring it back, or: uv lock"
        )
    file = folder / "pyproject.toml"
    pyproject = read_toml(file, where) if file.exists() else {}
    table = foreign.table(pyproject, "project")
    found = layout.find(folder, name, pyproject)
    known = version or _declared_version(folder, pyproject) or UNKNOWN_VERSION
    return SourceTree(
        name=name,
        version=known,
        path=path,
        roots=tuple(root if path == "." else layout.join(path, root) for root in found.roots),
        modules=found.modules,
        metadata=metadata(name, known, table, locked, where),
        entry_points=entry_points(table, where),
    )


def metadata(name: str, version: str, table: Mapping[str, Any], locked: Mapping[str, Any], where: str) -> str:
    """The METADATA of a [project] table (core metadata 2.3); ``locked`` is its entry in uv.lock, for what is dynamic.

    Raises UserError for a requirement that PEP 508 does not allow.
    """
    dynamic = set(foreign.strings(table.get("dynamic"))) if table else {"dependencies"}
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


def _declared_version(folder: Path, pyproject: Mapping[str, Any]) -> str | None:
    """A dynamic version that stands as a literal in a file: hatchling's ``path``, setuptools' ``attr`` and ``file``."""
    file, name = foreign.lookup(pyproject, "tool", "hatch", "version", "path"), None
    setuptools = foreign.table(pyproject, "tool", "setuptools", "dynamic", "version")
    if isinstance(setuptools.get("attr"), str):
        module, _, name = setuptools["attr"].rpartition(".")
        parts = "/".join(module.split("."))
        candidates = [f"{root}{parts}{end}" for root in ("src/", "") for end in ("/__init__.py", ".py")]
        file = next((path for path in candidates if (folder / path).is_file()), None)
    elif isinstance(setuptools.get("file"), str):
        path = folder / setuptools["file"]
        return (read_text(path, str(path)).strip() or None) if path.is_file() else None
    if not isinstance(file, str) or not (folder / file).is_file():
        return None
    return _literal(read_text(folder / file, file), {name} if name else {"__version__", "VERSION"})


def _literal(source: str, names: set[str]) -> str | None:
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id in names for target in targets):
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                return value.value
    return None
