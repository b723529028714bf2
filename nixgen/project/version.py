"""The version of a local package that its backend makes (``dynamic = ["version"]``), as far as it stands in a file."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from nixgen.errors import Problem
from nixgen.formats.foreign import lookup, strings, table
from nixgen.project.layout import Layout, Source, join
from nixgen.project.project import read_text
from nixgen.project.setupfiles import UNREAD

UNKNOWN = "0.0.0"
"""Stands for a version that is only known when the package is built (from git's tags, say); a warning says so."""

_PLACEHOLDERS = {"0.0.0", "0.0", "0"}
_TEMPLATES = {"version_file_template", "write_to_template"}
_STEPS = 5  # from __init__.py to the module that it takes __version__ from


@dataclass(frozen=True, slots=True)
class Declared:
    """A version, and the warning where it is not known.

    ``lines`` are those that tell it in files of Python, ``files`` are others that do; all paths are the package's.
    """

    version: str
    note: Problem | None
    lines: Mapping[str, str]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file tells, None for what cannot be read of it; ``lines`` and ``files`` as those of Declared."""

    text: str | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def declared(source: Source, layout: Layout) -> Declared:
    """The version, by what the settings of the package's backend say."""
    found = _from_file(source, layout)
    said = found.text or _fallback(source)
    if said in _PLACEHOLDERS and lookup(source.tool, "poetry-dynamic-versioning", "enable") is True:
        said = None
    try:
        return Declared(str(Version(said or "")), None, found.lines, found.files)
    except InvalidVersion:
        pass
    key, how, mend = _unknown(source)
    what = f"{how}, which nixgen does not do: {source.name} has the version {UNKNOWN} in the environment"
    if said:
        what = f'"{said}" is not a version (PEP 440): {source.name} has the version {UNKNOWN} in the environment'
    return Declared(UNKNOWN, Problem(key, what, mend), found.lines, found.files)


def made(source: Source, layout: Layout, version: str) -> dict[str, str]:
    """The modules with the version that a backend writes when it builds, by their path below a folder of ``sys.path``.

    git mostly ignores them: in a clone they are missing, and the package may import them. They say what setuptools-scm,
    hatch-vcs and pdm write by themselves; where a template of the project's own says it, they are left out.
    """
    scm = table(source.tool, "setuptools_scm") or table(source.tool, "setuptools-scm")
    build = table(source.tool, "hatch", "build")
    hooks = [table(one, "hooks", "vcs") for one in (build, table(build, "targets", "wheel"))]
    pdm = table(source.tool, "pdm", "version")
    named = [] if _TEMPLATES & scm.keys() else [scm.get("version_file"), scm.get("write_to")]
    named += [hook.get("version-file") for hook in hooks if "template" not in hook]
    written = table(source.tool, "versioningit", "write")
    named += [] if "template" in written else [written.get("file")]
    found = {below: _module(version) for path in named if isinstance(path, str) and (below := _below(layout, path))}
    if isinstance(pdm.get("write_to"), str) and "write_template" not in pdm:
        found[join(pdm["write_to"])] = f"__version__ = {version!r}\n"
    return {
        path: text
        for path, text in sorted(found.items())
        if path.endswith(".py") and path.partition("/")[0] in layout.modules and "/" in path
    }


def _below(layout: Layout, path: str) -> str:
    """A file's path below the folder of ``sys.path`` that it is in, "" where it is in none."""
    for root in sorted(layout.roots, key=len, reverse=True):
        if root == "." or join(path).startswith(f"{root}/"):
            return join(path) if root == "." else join(path).removeprefix(f"{root}/")
    return ""


def _module(version: str) -> str:
    release = tuple(int(part) if part.isdecimal() else part for part in version.replace("+", ".").split("."))
    return (
        f"__version__ = version = {version!r}\n__version_tuple__ = version_tuple = {release!r}\n"
        "__commit_id__ = commit_id = None\n"
    )


def _fallback(source: Source) -> str | None:
    """What pyproject.toml itself says."""
    tool = source.tool
    fallbacks: list[Any] = [
        lookup(source.pyproject, "project", "version"),
        lookup(tool, "poetry", "version") if source.backend == "poetry" else None,
        lookup(tool, "hatch", "version", "fallback-version"),
        lookup(tool, "hatch", "version", "raw-options", "fallback_version"),
        lookup(tool, "setuptools_scm", "fallback_version"),
        lookup(tool, "setuptools-scm", "fallback_version"),
        lookup(tool, "pdm", "version", "fallback_version"),
        lookup(tool, "uv-dynamic-versioning", "fallback-version"),
        lookup(tool, "versioningit", "default-version"),
        lookup(tool, "setuptools-git-versioning", "starting_version"),
    ]
    return next((one for one in fallbacks if isinstance(one, str)), None)


def _from_file(source: Source, layout: Layout) -> _Found:
    hatch, pdm = table(source.tool, "hatch", "version"), table(source.tool, "pdm", "version")
    if source.backend == "hatchling" and "pattern" not in hatch and isinstance(hatch.get("path"), str):
        expression = hatch.get("expression")
        names = {expression} if isinstance(expression, str) else {"__version__", "VERSION"}
        return _literal(source.folder, Path(hatch["path"]), names)
    if source.backend == "pdm" and isinstance(pdm.get("path"), str):
        return _literal(source.folder, Path(pdm["path"]), {"__version__", "version"})
    if source.backend in {"flit_core", "flit"}:
        roots = [join(root, module) for root in layout.roots for module in layout.modules]
        return _attribute(source.folder, ["."], [f"{root.replace('/', '.')}.__version__" for root in roots])
    dynamic = lookup(source.tool, "setuptools", "dynamic", "version")
    said = source.setup.said.get("version") if dynamic is None else dynamic
    if isinstance(said, str):
        return _Found(said)
    attribute = lookup(said, "attr")
    if isinstance(attribute, str):
        return _attribute(source.folder, [*layout.roots, "src", "."], [attribute])
    files = tuple(path for path in strings(lookup(said, "file")) if source.has(path))
    texts = [read_text(source.folder / path, source.where + path) for path in files]
    return _Found("\n".join(texts).strip() or None, files=files)


def _is_file(folder: Path, path: str) -> bool:
    return not join(path).startswith(("../", "/")) and (folder / path).is_file()


def _attribute(folder: Path, roots: Sequence[str], attributes: Sequence[str]) -> _Found:
    """The literal of ``package.module.NAME``, looked for in roots."""
    seen = _Found()
    for attribute in attributes:
        module, _, name = attribute.rpartition(".")
        for root in roots:
            for end in ("/__init__.py", ".py"):
                path = join(root, f"{module.replace('.', '/')}{end}") if module else ""
                found = _literal(folder, Path(path), {name}) if path else seen
                if found.text:
                    return found
                seen = replace(seen, lines={**seen.lines, **found.lines})
    return seen


def _literal(folder: Path, path: Path, names: set[str], steps: int = _STEPS) -> _Found:
    """The text that a file gives one of these names, or that a module beside it does from which it is imported."""
    if not steps or not _is_file(folder, path.as_posix()):
        return _Found()
    try:
        text = plain(read_text(folder / path, str(path)))
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _Found()
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        lines = "\n".join(text.split("\n")[statement.lineno - 1 : statement.end_lineno])
        said = {join(path.as_posix()): lines}
        if any(isinstance(target, ast.Name) and target.id in names for target in targets):
            return _Found(_text(getattr(statement, "value", None)), said)
        if isinstance(statement, ast.ImportFrom):
            imported = {alias.name for alias in statement.names if (alias.asname or alias.name) in names}
            if imported:
                found = _beside(folder, path, statement, imported, steps - 1)
                return replace(found, lines={**found.lines, **said})
    return _Found()


def plain(text: str) -> str:
    """A text with the line ends of Unix, as nix/stale.nix takes it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _beside(folder: Path, path: Path, statement: ast.ImportFrom, names: set[str], steps: int) -> _Found:
    parts = (statement.module or "").split(".") if statement.module else []
    above = path.parent
    if statement.level:
        for _ in range(statement.level - 1):
            above = above.parent
    elif parts and above.name == parts[0]:
        above = above.parent
    place = above.joinpath(*parts)
    found = [place / "__init__.py"] if not parts else [place.with_name(f"{place.name}.py"), place / "__init__.py"]
    file = next((one for one in found if (folder / one).is_file()), None)
    return _literal(folder, file, names, steps) if file else _Found()


def _text(value: ast.expr | None) -> str | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.Tuple | ast.List):
        items = [item.value for item in value.elts if isinstance(item, ast.Constant)]
        return ".".join(map(str, items)) if len(items) == len(value.elts) else None
    return None


def _unknown(source: Source) -> tuple[str, str, str]:
    """The key, what makes the version, and how to say it."""
    tool, static = source.tool, "write it as project.version, or: {} (then: nixgen sync)"
    hatch = lookup(tool, "hatch", "version", "source")
    requires = " ".join(strings(lookup(source.pyproject, "build-system", "requires"))).lower().replace("_", "-")
    key = source.key("project.version") if "project" in source.pyproject else f"{source.file}: version"
    for there, told in (
        ("uv-dynamic-versioning" in requires, 'fallback-version = "1.2.3" under [tool.uv-dynamic-versioning]'),
        ("versioningit" in requires, 'default-version = "1.2.3" under [tool.versioningit]'),
        (hatch == "vcs", 'fallback-version = "1.2.3" under [tool.hatch.version]'),
        ("setuptools-git-versioning" in requires, 'starting_version = "1.2.3" under [tool.setuptools-git-versioning]'),
        (
            any(one in requires for one in ("setuptools-scm", "flit-scm")) or "setuptools_scm" in tool,
            'fallback_version = "1.2.3" under [tool.setuptools_scm]',
        ),
        (lookup(tool, "pdm", "version", "source") == "scm", 'fallback_version = "1.2.3" under [tool.pdm.version]'),
        ("poetry-dynamic-versioning" in tool, "enable = false under [tool.poetry-dynamic-versioning]"),
    ):
        if there:
            return key, "is made from git's tags", static.format(told)
    if source.setup.said.get("version") is UNREAD:
        key = source.setup.keys["version"]
    return (
        key,
        "is computed when the package is built",
        'write it as version = "1.2.3" under [project], without "version" in dynamic',
    )
