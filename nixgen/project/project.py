"""The uv project: where it is, what its pyproject.toml and uv.lock say, and whether the two belong together."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import toml
from nixgen.formats.foreign import lookup, strings, table
from nixgen.machine import addresses
from nixgen.machine.files import contents, unreadable
from nixgen.project import beginnings, pylockfile, scripts, uvlock
from nixgen.project.names import normalized
from nixgen.project.scripts import Script
from nixgen.project.settings import TAKEN, Settings

UV_LOCK = "uv.lock"
BOM = "\ufeff"
"""The byte order mark, which some editors put before the first character: passed over, as uv and Nix do."""

_PYPROJECT = "pyproject.toml"
_FROM_NIX = ("uv.lock", "models.toml")  # nixgen.lock is refused where it is written

_OF_WORKSPACE = frozenset(
    [
        "build-backend",
        "build-constraint-dependencies",
        "conflicts",
        "constraint-dependencies",
        "default-groups",
        "dependency-groups",
        "dev-dependencies",
        "environments",
        "exclude-dependencies",
        "managed",
        "override-dependencies",
        "package",
        "required-environments",
        "sources",
        "workspace",
    ]
)
"""The settings of uv that it reads of the pyproject.toml of a workspace's root, and of no other file."""

_PLACES = ("extra-index-url", "find-links", "index-url")

_NETRC = (
    "keep the address without them and put them into ~/.netrc: machine HOST login USER password SECRET "
    "(uv and Nix's netrc-file setting both read it)"
)


@dataclass(frozen=True, slots=True)
class Project:
    """A uv project or workspace: the folder that holds uv.lock, or the pylock.toml of another tool.

    ``name`` is the project's normalized name, the folder's for a workspace without one; ``pyproject`` is the parsed
    pyproject.toml; ``requires_python`` a version specifier (PEP 440); ``locked`` uv.lock as read, text and value;
    ``uv`` the settings of uv, where they were read. ``lock`` is the name of the lock that counts, and ``pylocks`` are
    those pylock.toml files that the project or one of its environments has, by name. ``scripts`` are those with an
    environment of their own, by its name; ``script`` is the one whose environment this is, or, where there is nothing
    else, the default one's. ``table`` is ``[tool.nixgen]`` as it stands.
    """

    root: Path
    name: str
    pyproject: Mapping[str, Any]
    settings: Settings
    requires_python: str | None
    has_lock: bool
    locked: tuple[str, uvlock.UvLock] | None = field(default=None, repr=False)
    uv: Mapping[str, Any] | None = field(default=None, repr=False)
    lock: str = UV_LOCK
    pylocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    scripts: Mapping[str, Script] = field(default_factory=dict, repr=False)
    script: Script | None = None
    table: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def pylock(self) -> Mapping[str, Any] | None:
        """The pylock.toml that counts, None where that is uv.lock."""
        return self.pylocks.get(self.lock)

    @property
    def locks(self) -> tuple[str, ...]:
        """The locks of all environments, the default one's first."""
        own = (one.lock for one in self.settings.environments.values() if one.lock)
        return tuple(dict.fromkeys((self.lock, *own)))

    @property
    def lock_again(self) -> str:
        """What brings the lock up to date, to be typed."""
        if self.script is not None:
            return f"uv lock --script {self.script.path}"
        return "uv lock" if self.lock == UV_LOCK else f"write {self.lock} again with the tool that made it"

    @property
    def pin_again(self) -> str:
        """What makes nixgen.lock, to be typed: ``init``, where nothing says yet which base the project wants."""
        return "nixgen sync" if self.table or self.scripts else "nixgen init"

    def path(self, relative: str) -> Path:
        """A file of the project."""
        return self.root / relative

    def of(self, environment: str) -> Project:
        """The project as the environment of that name has it. Raises UserError where there is none."""
        if environment not in self.settings.environments:
            known = ", ".join(self.settings.environments) or "none"
            what = f"pyproject.toml has no environment {environment}"
            raise UserError.of("--env", what, f"the environments: {known} (tool.nixgen.environments)")
        settings = self.settings.of(environment)
        if environment in self.scripts:
            return _of_script(replace(self, settings=settings), self.scripts[environment])
        return replace(self, settings=settings, lock=settings.lock or self.lock)

    def with_settings(self, values: Mapping[str, Any]) -> Project:
        """The project as it will be with these keys of ``[tool.nixgen]``. Raises UserError when they do not fit."""
        return replace(self, settings=_settings({**self.table, **values}, tuple(self.scripts.values())))

    def python_version_file(self) -> str | None:
        """The text of .python-version beside pyproject.toml, None where there is none."""
        path = self.path(".python-version")
        return read_text(path, ".python-version") if path.exists() else None

    def uv_settings(self) -> Mapping[str, Any]:
        """uv's settings of the project, by uv's rules.

        They are those of uv.toml beside pyproject.toml, else of ``[tool.uv]``, else of the nearest folder above that
        has one of them (in the repository: a teammate does not have what is above it). What a workspace says of itself
        stands in its own pyproject.toml, whatever else there is.
        """
        if self.uv is not None:
            return self.uv
        own = table(self.pyproject, "tool", "uv")
        found = self.uv_options()
        if found is None:
            return own
        return {
            **{key: value for key, value in found.items() if key not in _OF_WORKSPACE},
            **{key: value for key, value in own.items() if key in _OF_WORKSPACE},
        }

    def uv_options(self) -> Mapping[str, Any] | None:
        """The settings of uv that do not stand in pyproject.toml: None where that has them, or nothing has any."""
        path = self.path("uv.toml")
        if path.is_file():
            return read_toml(path, "uv.toml")
        return self.uv_options_above() if lookup(self.pyproject, "tool", "uv") is None else None

    def uv_options_above(self) -> Mapping[str, Any] | None:
        """The settings of uv in the nearest folder above the project that has any, their paths absolute; None for none.

        They count where the project has neither uv.toml nor ``[tool.uv]``.
        """
        folders = (self.root, *self.root.parents)
        top = next((number for number, folder in enumerate(folders) if (folder / ".git").exists()), 0)
        for folder in folders[1 : top + 1]:
            found = None
            if (folder / "uv.toml").is_file():
                found = read_toml(folder / "uv.toml", str(folder / "uv.toml"))
            elif (folder / "pyproject.toml").is_file():
                found = lookup(read_toml(folder / "pyproject.toml", str(folder / "pyproject.toml")), "tool", "uv")
            if isinstance(found, Mapping):
                return {key: _absolute(folder, key, value) for key, value in found.items() if key not in _OF_WORKSPACE}
        return None

    def direct(self) -> frozenset[str]:
        """The normalized names of what pyproject.toml depends on by itself, with all extras and groups."""
        project = table(self.pyproject, "project")
        lists = [project.get("dependencies"), lookup(self.pyproject, "tool", "uv", "dev-dependencies")]
        lists += [
            *table(project, "optional-dependencies").values(),
            *table(self.pyproject, "dependency-groups").values(),
        ]
        names = (re.match(r"[A-Za-z0-9._-]+", text.strip()) for texts in lists for text in strings(texts))
        return frozenset(normalized(name[0]) for name in names if name)

    def pyproject_text(self) -> str:
        """pyproject.toml as text, "" where a script stands alone."""
        path = self.path(_PYPROJECT)
        return read_text(path, _PYPROJECT) if path.exists() else ""

    def lock_text(self) -> str:
        """uv.lock as text, "" where a pylock.toml counts. Raises UserError when it is missing."""
        if pylockfile.is_name(self.lock):
            return ""
        return self.locked[0] if self.locked else read_text(self.path(self.lock), self.lock)

    def uv_lock(self) -> uvlock.UvLock:
        """What nixgen reads of uv.lock by itself; see :mod:`nixgen.project.uvlock`."""
        if pylockfile.is_name(self.lock):
            return uvlock.UvLock({}, ())
        return self.locked[1] if self.locked else uvlock.read(self.lock_text())


def find_project(start: Path, *, lock: bool = True, script: Path | None = None) -> Project:
    """The project of a folder: the nearest pyproject.toml upwards, or the workspace that it is a member of, as in uv.

    Raises UserError when there is none, when it cannot be read, and for every problem of its settings; with ``lock``
    (all commands but init) also when uv.lock is missing, of an unknown version, or holds credentials. ``script`` is one
    that init is to make an environment of, whatever its metadata says.
    """
    start = start.resolve()
    if not start.is_dir():
        raise UserError.of(str(start), "is not a folder" if start.exists() else "does not exist")
    root = _root(start) if script is None else next(filter(_has_lists, (start, start.parent)), start)
    if root is None:
        what = f"neither {start} nor a folder above it has a pyproject.toml and a uv.lock"
        raise UserError.of("", what, beginnings.without_pyproject(start))
    pyproject = read_toml(root / _PYPROJECT, _PYPROJECT) if (root / _PYPROJECT).exists() else {}
    above = _workspace(root, pyproject)
    if above is not None:
        root, pyproject = above, read_toml(above / _PYPROJECT, _PYPROJECT)
    named = lookup(pyproject, "tool", "nixgen", "scripts")
    project = _project(root, pyproject, _scripts(root, script, named if isinstance(named, list) else None))
    said = {one.path: one.metadata for one in project.scripts.values()} | {_PYPROJECT: pyproject}
    said["uv.toml"] = project.uv_options() or {}
    # A user name is what keyring is asked with.
    users = project.uv_settings().get("keyring-provider") != "subprocess"
    problems = [
        Problem(name, f"carries credentials in {url}", _NETRC)
        for name in said
        for url in _secrets(said[name], users=users)
    ]
    links = _links_out(root)
    problems += links
    if lock and not links:
        problems += _lock_problems(project)
        if project.has_lock:
            project = _with_locks(project)
    problems += _strange_files(project)
    if problems:
        raise UserError(problems)
    return project


def _has_lists(folder: Path) -> bool:
    """Whether a folder has a pyproject.toml, or the lock of another tool."""
    return (folder / _PYPROJECT).exists() or bool(pylockfile.names(folder))


def _root(start: Path) -> Path | None:
    """The folder that a project begins in; one with nothing but scripts is its own, unless it belongs to a project."""
    for folder in (start, *start.parents):
        if _has_lists(folder) or (_scripts(folder, None) and not _has_lists(folder.parent)):
            return folder
    return None


def _scripts(root: Path, wanted: Path | None, named: Sequence[object] | None = None) -> tuple[Script, ...]:
    """The scripts that are ``named``, else those that have a lock and ``[tool.nixgen]``; and ``wanted``."""
    extra = wanted.relative_to(root).as_posix() if wanted is not None and wanted.is_relative_to(root) else None
    found = []
    listed = scripts.names(root, below=_has_lists(root)) if named is None else _present(root, named)
    for path in sorted({*listed, *([extra] if extra else [])}):
        text, lock = read_text(root / path, path), f"{path}.lock"
        if path != extra and named is None and "nixgen" not in text:
            continue
        script = scripts.read(path, text, read_text(root / lock, lock) if (root / lock).exists() else None)
        if path == extra or named is not None or scripts.is_ours(script):
            found.append(script)
    return tuple(found)


def _present(root: Path, named: Sequence[object]) -> list[str]:
    """The scripts of the setting, less what is no path. Raises UserError for those that are not there."""
    paths = [path for path in dict.fromkeys(named) if isinstance(path, str) and path.endswith(".py")]
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        where = "pyproject.toml: tool.nixgen.scripts"
        raise UserError(Problem(where, f"{path} is missing", "bring it back, or take it out") for path in missing)
    return paths


def _settings(table: Mapping[str, Any], found: Sequence[Script]) -> Settings:
    """The settings, with an environment for each script."""
    settings = Settings.parse(table)
    if not found:
        return settings
    problems = scripts.same_names(found, settings.environments)
    problems += [
        Problem(script.path, f"{script.name} is the name of something else in default.nix", "give it another name")
        for script in found
        if script.name in TAKEN
    ]
    if problems:
        raise UserError(problems)
    own = {script.name: Settings.of_script(script.settings, script.path) for script in found}
    return replace(settings, environments=dict(sorted({**settings.environments, **own}.items())))


def _of_script(project: Project, script: Script) -> Project:
    """The project as the environment of a script has it."""
    return replace(
        project,
        pyproject=script.as_pyproject(),
        requires_python=script.requires_python,
        lock=script.lock,
        has_lock=script.lock_text is not None,
        locked=(script.lock_text, script.locked) if script.lock_text is not None and script.locked else None,
        script=script,
    )


_UNLOCKED = "make it: uv lock (nixgen init, which comes first, does it, too)"


def _lock_problems(project: Project) -> list[Problem]:
    """What speaks against the locks; what a pylock.toml says is checked when it is read."""
    missing = [name for name in project.locks if not project.path(name).exists()]
    if missing:
        mends = {
            name: _UNLOCKED
            if lookup(project.pyproject, "tool", "nixgen") is None
            else "make it: uv lock"
            if name == UV_LOCK
            else "lock with the tool that makes it"
            if pylockfile.is_name(name)
            else f"make it: uv lock --script {name.removesuffix('.lock')}"
            for name in missing
        }
        return [Problem(name, "is missing", mend) for name, mend in mends.items()]
    texts = {project.lock: project.lock_text()} | {one.lock: one.lock_text or "" for one in project.scripts.values()}
    return [
        Problem(name, f"carries credentials in {url}", _NETRC + ", then: uv lock")
        for name, text in texts.items()
        for url in dict.fromkeys(addresses.found(text))
    ]


def _with_locks(project: Project) -> Project:
    """The project with its locks read."""
    pylocks = {
        name: pylockfile.read(read_text(project.path(name), name), name)
        for name in project.locks
        if pylockfile.is_name(name) and project.path(name).exists()
    }
    project = replace(project, pylocks=pylocks)
    if project.pylock is not None:
        return replace(project, requires_python=project.requires_python or project.pylock.get("requires-python"))
    if project.script is not None:
        return project
    text = project.lock_text()
    return replace(project, locked=(text, uvlock.read(text)))


def _lock_name(root: Path, settings: Settings) -> str:
    """The lock that counts: the one that is set, else uv.lock, else the one pylock.toml that is there."""
    found = pylockfile.names(root)
    if settings.lock is not None or (root / UV_LOCK).exists() or not found:
        return settings.lock or UV_LOCK
    if len(found) > 1 and found[0] != pylockfile.NAME:
        what = f"is needed, since there are several locks: {', '.join(found)}"
        raise UserError.of("pyproject.toml: tool.nixgen.lock", what, f'lock = "{found[0]}"')
    return found[0]


def _absolute(folder: Path, key: str, value: Any) -> Any:  # noqa: ANN401 -- any TOML value
    """A setting of uv in a folder, with the paths that it has in the place of addresses absolute."""

    def place(text: object) -> object:
        if not isinstance(text, str) or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
            return text
        return str(folder / text)

    if key == "index" and isinstance(value, list):
        return [{**one, "url": place(one.get("url"))} if isinstance(one, dict) else one for one in value]
    if key in _PLACES:
        return [place(one) for one in value] if isinstance(value, list) else place(value)
    return value


def _strange_files(project: Project) -> list[Problem]:
    """What uv would read, and never end: a device or a pipe in the place of a file."""
    members = strings(lookup(project.pyproject, "tool", "uv", "workspace", "members"))
    found = (glob.glob(pattern, root_dir=project.root) for pattern in members)  # noqa: PTH207 -- Path.glob raises
    folders = {project.path(path) for paths in found for path in paths}
    if project.locked:
        folders |= {project.path(uvlock.folder(package)) for package in project.locked[1].local}
    files = [project.path("uv.toml"), *(folder / name for folder in folders for name in ("pyproject.toml", "uv.toml"))]
    strange = sorted(path for path in files if path.exists() and not path.is_file())
    return [Problem(os.path.relpath(path, project.root), "is not a regular file", "remove it") for path in strange]


def _links_out(root: Path) -> list[Problem]:
    """A flake is a copy of the project's folder: a link out of it leads nowhere there."""
    links = {name: Path(os.path.realpath(root / name)) for name in _FROM_NIX if (root / name).is_symlink()}
    return [
        Problem(
            name,
            f"is a link out of the project ({place}), which neither a teammate nor Nix has",
            "put the file itself in the place of the link",
        )
        for name, place in links.items()
        if not place.is_relative_to(root)
    ]


def _project(root: Path, pyproject: Mapping[str, Any], found: tuple[Script, ...] = ()) -> Project:
    table = _table(pyproject, "project")
    tool = _table(pyproject, "tool")
    alone = not pyproject and not pylockfile.names(root) and bool(found)
    own = scripts.folder_settings(found, None if alone else _table(tool, "nixgen", "tool."))
    settings = _settings(own, found)
    lock = _lock_name(root, settings)
    if not alone and lock == UV_LOCK and "project" not in pyproject and "workspace" not in _table(tool, "uv", "tool."):
        raise UserError.of("pyproject.toml", "has no [project] table", beginnings.without_project(root, tool))
    name, requires = table.get("name", root.name), table.get("requires-python")
    problems = [
        Problem(f"pyproject.toml: project.{key}", "is not a string", f'write it in quotes: {key} = "…"')
        for key, value in (("name", name), ("requires-python", requires or ""))
        if not isinstance(value, str)
    ]
    if problems:
        raise UserError(problems)
    project = Project(
        root=root,
        name=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project",
        pyproject=pyproject,
        settings=settings,
        requires_python=requires,
        has_lock=(root / lock).exists(),
        lock=lock,
        scripts={script.name: script for script in found},
        table=own,
    )
    if not alone:
        return project
    every = [script.requires_python for script in found if script.requires_python]
    return replace(_of_script(project, found[0]), requires_python=",".join(dict.fromkeys(every)) or None)


def _table(parent: Mapping[str, Any], key: str, above: str = "") -> Mapping[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise UserError.of(f"pyproject.toml: {above}{key}", "is not a table", f"write it as [{above}{key}]")
    return value


def _workspace(root: Path, pyproject: Mapping[str, Any]) -> Path | None:
    """The folder above whose [tool.uv.workspace] names ``root`` as a member, None if ``root`` stands for itself."""
    if "workspace" in _table(_table(pyproject, "tool"), "uv", "tool."):
        return None
    for folder in root.parents:
        if not (folder / "pyproject.toml").is_file():
            continue
        above = read_toml(folder / "pyproject.toml", str(folder / "pyproject.toml"))
        workspace = lookup(above, "tool", "uv", "workspace")
        if workspace is None:
            continue
        path = root.relative_to(folder).as_posix()
        included = any(_matches(path, glob) for glob in strings(lookup(workspace, "members")))
        excluded = any(_matches(path, glob) for glob in strings(lookup(workspace, "exclude")))
        return folder if included and not excluded else None
    return None


def _matches(path: str, glob: str) -> bool:
    parts, wanted = path.split("/"), glob.removeprefix("./").strip("/").split("/")
    if "**" in wanted:
        return fnmatch.fnmatchcase(path, glob.strip("/"))
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _secrets(value: Any, *, queries: bool = True, users: bool = True) -> Iterator[str]:  # noqa: ANN401 -- any TOML value
    """Addresses with credentials anywhere in pyproject.toml: index settings, sources, direct references.

    A token in project.urls is for everybody who reads the project's page (that of a badge, say).
    """
    if isinstance(value, str):
        yield from addresses.found(value, queries=queries, users=users)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, queries=queries and key != "urls", users=users)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, queries=queries, users=users)


def read_text(path: Path, name: str) -> str:
    """A text file, less a byte order mark.

    Raises UserError when it is missing, a folder or not UTF-8, MachineError when it may not be read.
    """
    try:
        return contents(path).decode("utf-8").removeprefix(BOM)
    except FileNotFoundError:
        raise UserError.of(name, "is missing") from None
    except IsADirectoryError:
        raise UserError.of(name, "is a folder, not a file", "move it elsewhere") from None
    except UnicodeDecodeError as error:
        raise UserError.of(name, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise unreadable(name, error) from None


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """A TOML file. Raises as :func:`read_text` does, and UserError with the line of what is not TOML."""
    try:
        return toml.loads(read_text(path, name))
    except toml.TomlError as error:
        raise UserError.of(name, f"is not TOML that can be read: {error}", "mend that line") from None
