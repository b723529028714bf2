"""What is to be built, and everything that decides what it needs for that: with another answer, its pins are old."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nixgen.bases.model import Base
from nixgen.errors import Problem
from nixgen.formats.foreign import strings, table
from nixgen.machine import files
from nixgen.project import cargo, layout, uvlock, version
from nixgen.project.names import normalized
from nixgen.resolve.model import Package, Resolution, Target

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.project.settings import PackageSettings

_RIPE = {"3.11": 2023, "3.12": 2024, "3.13": 2025, "3.14": 2026}
"""When each Python had been out for a year: before that, many packages had no wheel for it yet."""
_SETUP = ("setup.py", "setup.cfg")  # of setuptools; they may say what is required, too

_TOLD = ("no-binary", "no-build", "no-build-isolation")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Source:
    """One source that is built: a package of the resolutions, or what only another build needs.

    ``targets`` are those that it is built for, by system; ``extra`` the requirements that ``extra-build-dependencies``
    add, by system; ``newest`` the time of upload that its requirements may have at most, "" for any. ``beside`` is by
    system what it is built with where it is not isolated (``no-build-isolation``): what is installed.
    """

    package: Package
    targets: Mapping[str, Target]
    extra: Mapping[str, tuple[str, ...]]
    newest: str
    inputs: str
    beside: Mapping[str, tuple[Package, ...]] | None = None

    @property
    def name(self) -> str:
        """Its normalized name."""
        return self.package.name

    @property
    def address(self) -> str:
        """What nixgen.lock calls its source."""
        return self.package.address


@dataclass(frozen=True, slots=True)
class Folder:
    """A local package that is built: a digest of what says how, and where its code is (:class:`layout.Layout`).

    ``roots`` are relative to the project; ``version`` is what its files tell, where uv.lock has none. ``places`` says
    where its build requirements come from, by name: uv's ``sources``, with paths that are relative to the project.
    ``top`` is the folder above it, if any, that has all that it is built with.
    """

    digest: str
    version: str
    roots: tuple[str, ...]
    modules: tuple[str, ...]
    places: Mapping[str, Any] = field(default_factory=dict)
    top: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """All that a project asks of its builds: read once, then only looked at."""

    python: str
    glibc: str
    constraints: tuple[str, ...]
    build_constraints: tuple[str, ...]
    exclude_newer: str
    extra: Mapping[str, tuple[tuple[str, bool], ...]]
    """By name, requirements, and whether each is to have the version of the environment."""
    settings: Mapping[str, Mapping[str, Any]]
    """By name, ``env``, the variables of a build, and ``patches``, the SHA-256 of each of its patches."""
    config: Mapping[str, Mapping[str, Any]]
    """By name, the settings of the backend (PEP 517); "" those of all."""
    packages: Mapping[str, PackageSettings]
    """By name, what ``[tool.nixgen.packages]`` says."""
    installed: Mapping[str, tuple[Mapping[str, Package], ...]]
    """By system, what is installed, by name, in each environment."""
    folders: Mapping[str, Folder]
    """By its path, each local package that is built, also for another one that requires it."""
    sources: Mapping[str, Any] = field(default_factory=dict)
    """By name, where the requirements of ``extra-build-dependencies`` come from (``[tool.uv.sources]``)."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What is said of all builds or of some (:data:`_TOLD`), by uv's name of the setting."""
    problems: tuple[Problem, ...] = ()
    """Patches that are not there, what ``match-runtime`` cannot match, and what two environments ask in two ways."""

    def source(self, package: Package, targets: Iterable[Target]) -> Source:
        """A source with all that decides what it needs."""
        by_system = {target.system: target for target in targets}
        extra = {system: self._extra(package.name, system) for system in sorted({*self.installed, *by_system})}
        beside = {system: self._beside(package.name, system) for system in extra} if self.shares(package) else None
        inputs = {
            "build-constraints": self.build_constraints,
            "config": self.config_of(package.name),
            "constraints": self.constraints,
            "extra": extra if package.name in self.extra else {},
            "glibc": self.glibc,
            "exclude-newer": self.exclude_newer,
            "python": self.python,
            **({"sources": self.sources} if self.sources and package.name in self.extra else {}),
            **({"told": self.told} if self.told else {}),
            **self.settings.get(package.name, {}),
            **({"folder": self.folders[package.path or ""].digest} if package.path in self.folders else {}),
        }
        if beside is not None:
            inputs["beside"] = {
                system: [[one.name, one.version, one.address] for one in found] for system, found in beside.items()
            }
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        newest = self.exclude_newer or self._newest(package)
        return Source(package, by_system, extra, newest, digest, beside)

    def version(self, package: Package) -> str:
        """The version of a package, "" where neither uv.lock nor its files tell it."""
        folder = self.folders.get(package.path or "")
        return package.version or (folder.version if folder is not None else "")

    def config_of(self, name: str) -> dict[str, Any]:
        """What the backend of this package is told (uv's ``config-settings``): of a key of two, its own first."""
        own, all_ = self.config.get(name, {}), self.config.get("", {})
        both = {key: [*_list(own[key]), *_list(all_[key])] for key in own.keys() & all_.keys()}
        return {**all_, **own, **both}

    def says(self, key: str, name: str) -> bool:
        """Whether ``no-binary``, ``no-build`` or ``no-build-isolation`` holds for a package."""
        return self.told.get(key) is True or name in self.told.get(f"{key}-package", ())

    def shares(self, package: Package) -> bool:
        """Whether a package is built in the environment itself (``no-build-isolation``)."""
        return self.says("no-build-isolation", package.name)

    def _beside(self, name: str, system: str) -> tuple[Package, ...]:
        """What uv has installed when it comes to what it does not isolate: all else."""
        found = {
            package.name: package
            for one in self._environments(name, system)
            for package in one.values()
            if package.name != name and (package.kind == "wheel" or (package.built and not self.shares(package)))
        }
        return tuple(found[key] for key in sorted(found))

    def _environments(self, name: str, system: str) -> Sequence[Mapping[str, Package]]:
        environments = self.installed.get(system, ())
        return [one for one in environments if name in one] or environments

    def _extra(self, name: str, system: str) -> tuple[str, ...]:
        beside = self._environments(name, system)
        found = []
        for text, runtime in self.extra.get(name, ()):
            package = next((one[normalized(text)] for one in beside if runtime and normalized(text) in one), None)
            found.append(_exactly(package) if package is not None else text)
        return tuple(found)

    def _newest(self, package: Package) -> str:
        """The time of its upload: what came later, its author cannot have tried. Not before this Python was ripe."""
        ripe = f"{_RIPE.get(self.python, max(_RIPE.values()))}-10-31T00:00:00+00:00"
        return max(package.uploaded, ripe) if package.uploaded else ""


def read(project: Project, base: Base, resolutions: Sequence[Resolution]) -> Asked:
    """What the project asks for."""
    settings = project.uv_settings()
    problems: list[Problem] = []
    own: dict[str, dict[str, Any]] = {}
    variables = table(settings.get("extra-build-variables"))
    for name in sorted({*project.settings.packages, *map(normalized, variables)}):
        said = project.settings.packages.get(name)
        env = {
            key: text for other, found in variables.items() if normalized(other) == name for key, text in found.items()
        }
        patches = []
        for path in said.patches if said else ():
            data = files.read(project.root, path)
            if data is None:
                where = f"pyproject.toml: tool.nixgen.packages.{name}.patches"
                problems.append(Problem(where, f"{path} is missing", "bring it back, or take it out"))
            else:
                patches.append(hashlib.sha256(data).hexdigest())
        own[name] = {"env": {**env, **(said.env if said else {})}, "patches": patches}
    options = table(project.uv_lock().head, "options")
    installed: dict[str, tuple[Mapping[str, Package], ...]] = {}
    for one in resolutions:
        packages = {package.name: package for package in one.packages}
        installed[one.target.system] = (*installed.get(one.target.system, ()), packages)
    extra = {
        normalized(name): tuple(_extra(entry) for entry in entries if _extra(entry)[0])
        for name, entries in table(settings.get("extra-build-dependencies")).items()
        if isinstance(entries, list)
    }
    sources = _sources(project, (text for entries in extra.values() for text, runtime in entries if not runtime))
    matched = {normalized(text) for entries in extra.values() for text, runtime in entries if runtime}
    beside = (package for environments in installed.values() for one in environments for package in one.values())
    sources |= {one.name: {"path": one.path} for one in beside if one.kind == "directory" and one.name in matched}
    return Asked(
        python=base.python,
        glibc=base.glibc,
        constraints=_requirements(settings.get("constraint-dependencies")),
        build_constraints=_requirements(settings.get("build-constraint-dependencies")),
        exclude_newer=str(options.get("exclude-newer", "")),
        extra=extra,
        settings=own,
        config={
            "": table(settings.get("config-settings")),
            **{
                normalized(name): table(found) for name, found in table(settings.get("config-settings-package")).items()
            },
        },
        packages=project.settings.packages,
        installed=installed,
        folders=_folders(project, resolutions, sources),
        sources=sources,
        told=_told(settings),
        problems=(*problems, *_built_in_two_ways(resolutions, extra, installed), *_unmatched(resolutions, extra)),
    )


def _told(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: True for key in _TOLD if settings.get(key) is True}
    lists = {f"{key}-package": strings(settings.get(f"{key}-package")) for key in _TOLD}
    return {**found, **{key: sorted(map(normalized, names)) for key, names in lists.items() if names}}


def _sources(project: Project, requirements: Iterable[str]) -> dict[str, Any]:
    """Where these requirements come from, by normalized name."""
    names = {_name(text) for text in requirements}
    return {name: source for name, source in _places(project, project.pyproject, ".").items() if name in names}


def _places(project: Project, pyproject: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The sources of a pyproject.toml in the folder ``path``, as the project itself would write them."""
    members = {str(package.get("name")): uvlock.folder(package) for package in project.uv_lock().local}

    def placed(name: str, source: Any) -> Any:  # noqa: ANN401 -- any TOML value
        if isinstance(source, list):
            return [placed(name, one) for one in source]
        member = members.get(name) if isinstance(source, dict) and source.get("workspace") is True else None
        if not isinstance(source, dict) or not (member or isinstance(source.get("path"), str)):
            return source
        place = member or posixpath.join(project.root.as_posix(), path, source["path"])
        place = posixpath.relpath(posixpath.join(project.root.as_posix(), place), project.root.as_posix())
        return {"path": place, **{key: source[key] for key in source.keys() & {"marker", "extra", "group"}}}

    return {
        normalized(name): placed(normalized(name), source)
        for name, source in table(pyproject, "tool", "uv", "sources").items()
    }


def _required(project: Project, names: Collection[str], places: Mapping[str, Any]) -> dict[str, str]:
    """Of what is required, the folders, with their names."""
    rows = {name: source if isinstance(source, list) else [source] for name, source in places.items() if name in names}
    paths = {table(one).get("path"): name for name in sorted(rows) for one in rows[name]}
    return {path: name for path, name in paths.items() if isinstance(path, str) and (project.root / path).is_dir()}


def _name(requirement: str) -> str:
    match = _NAME.match(requirement.strip())
    return normalized(match[0]) if match else ""


def _exactly(package: Package) -> str:
    """The requirement that only this package meets."""
    if package.kind == "directory":
        return package.name  # where it is, the sources say
    if package.git is not None or package.kind == "archive":
        return f"{package.name} @ {package.address}"
    return f"{package.name}=={package.version}"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _unmatched(resolutions: Sequence[Resolution], extra: Mapping[str, Sequence[tuple[str, bool]]]) -> Iterator[Problem]:
    """What ``match-runtime`` cannot be fulfilled for. The sentences are uv's (``uv sync``)."""
    found = {}
    for one in resolutions:
        there = {package.name: package for package in one.packages}
        matched = [(name, text) for name, entries in extra.items() for text, runtime in entries if runtime]
        for name, text in matched:
            if name not in there or not there[name].built:
                continue
            mend = f"take match-runtime out of extra-build-dependencies.{name} under [tool.uv]"
            if normalized(text) != _name(text):
                said = "dependencies marked with `match-runtime = true` cannot include version specifiers"
                found[name, text] = Problem(name, f"{said}, but found: `{text}`", mend)
            elif normalized(text) not in there:
                said = f"`{text}` was declared as an extra build dependency with `match-runtime = true`"
                found[name, text] = Problem(
                    name,
                    f"{said}, but was not found in the resolution for {one.target.system}",
                    f"uv add {text}; or {mend}",
                )
    return iter(found[key] for key in sorted(found))


def _folders(project: Project, resolutions: Sequence[Resolution], extra: Mapping[str, Any]) -> dict[str, Folder]:
    """By its path, each local package that is built, and those that their builds require.

    What counts is its build system, and what setup.py may ask for; of what is required for it, the metadata, too.
    """
    wanted = {
        package.path: package.name
        for one in resolutions
        for package in one.packages
        if package.kind == "directory" and package.built and package.path
    }
    wanted |= _required(project, extra.keys(), extra)
    shared = _places(project, project.pyproject, ".")
    found: dict[str, Folder] = {}
    needs: dict[str, list[str]] = {}
    said: dict[str, list[object]] = {}
    while open_ := wanted.keys() - found.keys():
        path = min(open_)
        source = layout.read(project.root, wanted[path], path)
        system = source.pyproject.get("build-system")
        how = [system, *(files.read(source.folder, name) for name in _SETUP)]
        top = path
        if crates := cargo.manifests(project.root, path, source.pyproject):
            top, locks = cargo.around(project.root, path, crates)
            how += [top, *(files.read(project.root, lock) for lock in locks)]
        said[path] = [*how, source.pyproject.get("project"), table(source.tool, "poetry")]
        places = {**shared, **_places(project, source.pyproject, path)}
        more = _required(project, {_name(text) for text in strings(table(system).get("requires"))}, places)
        needs[path] = sorted(more)
        wanted = {**more, **wanted}
        lies = layout.find(source)
        found[path] = Folder(
            repr(how),
            version.declared(source, lies).version,
            tuple(posixpath.normpath(f"{path}/{root}") for root in lies.roots),
            lies.modules,
            places,
            top,
        )
    return {path: replace(one, digest=_digest(path, one.digest, needs, said)) for path, one in found.items()}


def _digest(path: str, how: str, needs: Mapping[str, Sequence[str]], said: Mapping[str, object]) -> str:
    """Of all that says what a folder is built with."""
    reached: list[str] = []
    open_ = list(needs[path])
    while open_:
        other = open_.pop()
        if other not in reached:
            reached.append(other)
            open_ += needs[other]
    more = repr([(other, said[other]) for other in sorted(reached)]) if reached else ""
    return hashlib.sha256(f"{how}{more}".encode()).hexdigest()


def _built_in_two_ways(
    resolutions: Sequence[Resolution],
    extra: Mapping[str, Sequence[tuple[str, bool]]],
    installed: Mapping[str, Sequence[Mapping[str, Package]]],
) -> list[Problem]:
    """What one build cannot be for all environments: a package of one version has one build for each system."""
    addresses: dict[tuple[str, str], set[str]] = {}
    for package in (package for one in resolutions for package in one.packages):
        if package.built and package.version:
            addresses.setdefault((package.name, package.version), set()).add(package.address)
    problems = [
        Problem(
            name, f"{version} is built from {' and '.join(sorted(found))}", "take the same source in all environments"
        )
        for (name, version), found in sorted(addresses.items())
        if len(found) > 1
    ]
    matched = [(name, normalized(text)) for name, entries in extra.items() for text, runtime in entries if runtime]
    for name, other in sorted(matched):
        for environments in installed.values():
            found = {one[other].version or "" for one in environments if name in one and other in one}
            if len(found) > 1:
                what = f"is built for {other} {' and '.join(sorted(found))}, which environments have (match-runtime)"
                problems.append(Problem(name, what, f"take the same {other} where {name} is"))
                break
    return problems


def _requirements(value: object) -> tuple[str, ...]:
    """The requirements of a setting of uv's, which are texts, or tables with the text in ``requirement``."""
    entries = value if isinstance(value, list) else []
    return tuple(text for entry in entries for text in (_extra(entry)[0],) if text)


def _extra(entry: object) -> tuple[str, bool]:
    if isinstance(entry, str):
        return entry, False
    found = table(entry)
    return next(iter(strings(found.get("requirement"))), ""), found.get("match-runtime") is True
