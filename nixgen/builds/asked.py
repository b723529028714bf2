"""What is to be built, and everything that decides what it needs for that: with another answer, its pins are old."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nixgen.bases.model import Base
from nixgen.errors import Problem
from nixgen.formats.foreign import strings, table
from nixgen.machine import files
from nixgen.project.names import normalized
from nixgen.resolve.model import Package, Resolution, Target

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.project.settings import PackageSettings

_RIPE = {"3.11": 2023, "3.12": 2024, "3.13": 2025, "3.14": 2026}
"""When each Python had been out for a year: before that, many packages had no wheel for it yet."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source that is built: a package of the resolutions, or what only another build needs.

    ``targets`` are those that it is built for, by system; ``extra`` the requirements that ``extra-build-dependencies``
    add, by system; ``newest`` the time of upload that its requirements may have at most, "" for any.
    """

    package: Package
    targets: Mapping[str, Target]
    extra: Mapping[str, tuple[str, ...]]
    newest: str
    inputs: str

    @property
    def name(self) -> str:
        """Its normalized name."""
        return self.package.name

    @property
    def address(self) -> str:
        """What nixgen.lock calls its source."""
        return self.package.address


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
    versions: Mapping[str, tuple[Mapping[str, str], ...]]
    """By system, what is installed, in each environment."""
    problems: tuple[Problem, ...] = ()
    """Patches that are not there, and sources that two environments ask to be built in two ways."""

    def source(self, package: Package, targets: Iterable[Target]) -> Source:
        """A source with all that decides what it needs."""
        by_system = {target.system: target for target in targets}
        extra = {system: self._extra(package.name, system) for system in sorted({*self.versions, *by_system})}
        inputs = {
            "build-constraints": self.build_constraints,
            "config": self.config_of(package.name),
            "constraints": self.constraints,
            "extra": extra if package.name in self.extra else {},
            "glibc": self.glibc,
            "exclude-newer": self.exclude_newer,
            "python": self.python,
            **self.settings.get(package.name, {}),
        }
        digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        return Source(package, by_system, extra, self.exclude_newer or self._newest(package), digest)

    def config_of(self, name: str) -> dict[str, Any]:
        """What the backend of this package is told (uv's ``config-settings``)."""
        return {**self.config.get("", {}), **self.config.get(name, {})}

    def _extra(self, name: str, system: str) -> tuple[str, ...]:
        environments = self.versions.get(system, ())
        beside = [one for one in environments if name in one] or environments
        found = []
        for requirement, runtime in self.extra.get(name, ()):
            version = next((one[normalized(requirement)] for one in beside if one.get(normalized(requirement))), "")
            found.append(f"{requirement}=={version}" if runtime and version else requirement)
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
    versions: dict[str, tuple[Mapping[str, str], ...]] = {}
    for one in resolutions:
        installed = {package.name: package.version or "" for package in one.packages}
        versions[one.target.system] = (*versions.get(one.target.system, ()), installed)
    extra = {
        normalized(name): tuple(_extra(entry) for entry in entries if _extra(entry)[0])
        for name, entries in table(settings.get("extra-build-dependencies")).items()
        if isinstance(entries, list)
    }
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
        versions=versions,
        problems=(*problems, *_built_in_two_ways(resolutions, extra, versions)),
    )


def _built_in_two_ways(
    resolutions: Sequence[Resolution],
    extra: Mapping[str, Sequence[tuple[str, bool]]],
    versions: Mapping[str, Sequence[Mapping[str, str]]],
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
        for environments in versions.values():
            found = {one[other] for one in environments if name in one and one.get(other)}
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
