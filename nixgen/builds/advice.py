"""What to put into pyproject.toml when a build, or a check of what was built, misses something: read from its log."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nixgen.bases import otherpython
from nixgen.bases.model import DebianBase
from nixgen.bases.providers import providers
from nixgen.builds import missing
from nixgen.builds.known import SUITES, Known, known
from nixgen.formats import toml
from nixgen.formats.foreign import lookup
from nixgen.resolve.model import Target

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.bases.needs import Need
    from nixgen.nix.failures import Broken
    from nixgen.project.project import Project
    from nixgen.project.settings import PackageSettings, Settings
    from nixgen.resolve.model import Package

_EXTRA = "tool.uv.extra-build-dependencies"
_RUST = re.compile(r"(?:maturin|setuptools[-_.]rust)\b", re.IGNORECASE)
_HAVE = "have this in pyproject.toml, then: nixgen sync"


@dataclass(slots=True)
class _Lines:
    """Tables and keys of pyproject.toml with what their lists have, and what is added, each with why."""

    has: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    added: dict[tuple[str, str], dict[str, list[str]]] = field(default_factory=dict)

    def add(self, table: str, key: str, has: tuple[str, ...], name: str, why: str = "") -> None:
        """One more name in a list, unless it is there."""
        if name not in has:
            self.has[table, key] = has
            reasons = self.added.setdefault((table, key), {}).setdefault(name, [])
            if why and why not in reasons:
                reasons.append(why)

    def text(self, pyproject: str) -> str:
        """What to write into ``pyproject``, the text of that file; "" for nothing.

        It is TOML that can be pasted below the rest. What belongs into a table that is there already says so.
        """
        tables: dict[str, list[str]] = {}
        inside: dict[str, list[str]] = {}
        for (table, key), names in sorted(self.added.items(), reverse=True):
            listed = ", ".join(f'"{name}"' for name in (*self.has[table, key], *names))
            why = ", ".join(reason for reasons in names.values() for reason in reasons)
            comment = f"  # {why}" if why else ""
            line = f"{key} = [{listed}]"
            there = _lookup(pyproject, table)
            above, _, name = table.rpartition(".")
            if _lookup(f"{pyproject}\n[{table}]\n{line}\n", table) is not None:
                tables.setdefault(f"[{table}]", []).insert(0, f"{line}{comment}")
            elif there is None:
                inside.setdefault(f"# in [{above}]", []).append(f"{name} = {{{line}}}{comment}")
            else:
                instead = f", instead of its {key}" if key in there else ""
                inside.setdefault(f"# in [{table}]{instead}", []).append(f"{line}{comment}")
        return "\n".join(f"  {line}" for part in (inside, tables) for head in part for line in (head, *part[head]))


def _lookup(pyproject: str, table: str) -> Mapping[str, Any] | None:
    """A table of pyproject.toml, None where it is not there, or cannot be read."""
    try:
        found = lookup(toml.loads(pyproject), *table.split("."))
    except toml.TomlError:
        return None
    return found if isinstance(found, Mapping) else None


@dataclass(frozen=True, slots=True)
class Adviser:
    """Knows the project's settings, its pyproject.toml and its base; ``system`` is the one that builds are for.

    ``python`` says of a package which other Python would have a wheel of it.
    """

    settings: Settings
    base: Base
    system: str
    pyproject: str = ""
    python: Callable[[str], str] = lambda _: ""

    @classmethod
    def of(cls, project: Project, base: Base, system: str) -> Adviser:
        """The one of a project."""
        other = partial(otherpython.of_built, project, Target(system, base.python), failed=True)
        return cls(project.settings, base, system, project.pyproject_text(), other)

    def __call__(self, broken: Mapping[str, Broken]) -> dict[str, str]:
        """For each derivation that failed, by its .drv, what to do; absent where its log tells nothing."""
        needs = {drv: (missing.needs if _built(one) else missing.sonames)(one.log) for drv, one in broken.items()}
        every = {need for found in needs.values() for need in found}
        packages = providers(self.base, self.system, every) if every else {}
        texts = {drv: self._text(one, needs[drv], packages) for drv, one in broken.items()}
        return {drv: text for drv, text in texts.items() if text}

    def _text(self, one: Broken, needs: Sequence[Need], packages: Mapping[Need, tuple[str, ...]]) -> str:
        lines, name = _Lines(), _built(one)
        for need in needs:
            if best := next(iter(packages.get(need, ())), ""):
                self._add(lines, name, need, best, set() if _without_compilers(one) else self._toolchain())
        if not name and isinstance(self.base, DebianBase):
            for module, package in missing.of_the_base(one.log).items():
                lines.add("tool.nixgen", "libraries", self.settings.libraries, package, module)
        for requirement in missing.requirements(one.log) if name else ():
            lines.add(_EXTRA, name, (), requirement)
        for row in known([name], self.base.suite) if isinstance(self.base, DebianBase) else ():
            # What a log says in words that are not read is most often what the table has.
            if needs or not {*row.build_libraries, *row.build_tools} <= self._said(name):
                add_known(lines, self.settings, row)
        text = lines.text(self.pyproject)
        return "\n".join(filter(None, (self.python(name) if name else "", f"{_HAVE}\n{text}" if text else "")))

    def _add(self, lines: _Lines, name: str, need: Need, package: str, there: Collection[str]) -> None:
        if not name:
            lines.add("tool.nixgen", "libraries", self.settings.libraries, package, str(need))
        elif package not in there:
            key = "build-tools" if need.kind == "program" and not package.endswith("-dev") else "build-libraries"
            lines.add(f"tool.nixgen.packages.{name}", key, _listed(self.settings, name, key), package, str(need))

    def _said(self, name: str) -> set[str]:
        """What the settings name for the build of a package."""
        keys = ("build-libraries", "build-tools")
        return {package for key in keys for package in _listed(self.settings, name, key)}

    def _toolchain(self) -> set[str]:
        """What is there for every build already: that it is missing has another reason."""
        debs = self.base.debs if isinstance(self.base, DebianBase) else ()
        return {deb.name for deb in debs if deb.part in {"core", "build"} and deb.system == self.system}


def add_known(lines: _Lines, settings: Settings, row: Known) -> None:
    """What a row knows and the settings do not have."""
    table = f"tool.nixgen.packages.{row.name}"
    for key, names in (("build-libraries", row.build_libraries), ("build-tools", row.build_tools)):
        for package in names:
            lines.add(table, key, _listed(settings, row.name, key), package)
    for package in row.libraries:
        lines.add("tool.nixgen", "libraries", settings.libraries, package)


def beforehand(settings: Settings, base: Base, names: Iterable[str], pyproject: str = "") -> str:
    """What the table of known needs says of sources that are to be built, "" where the settings have all of it."""
    lines = _Lines()
    rows = known(names, base.suite) if isinstance(base, DebianBase) else ()
    for row in rows:
        add_known(lines, settings, row)
    told = ", ".join(f"{row.name} (tried: {row.tried} on {row.suite})" for row in rows)
    text = lines.text(pyproject)
    return f"known to need packages of the base: {told}. In pyproject.toml:\n{text}" if text else ""


def rust(settings: Settings, requires: Mapping[str, Iterable[str]], pyproject: str = "") -> str:
    """What sources need whose requirements run cargo, "" where the settings have it: some would try to download it."""
    lines, names = _Lines(), []
    for name, texts in sorted(requires.items()):
        if any(_RUST.match(text) for text in texts) and "cargo" not in settings.build_tools:
            names.append(name)
            for package in ("cargo", "rustc"):
                lines.add(
                    f"tool.nixgen.packages.{name}", "build-tools", _listed(settings, name, "build-tools"), package
                )
    return f"built with Rust: {', '.join(names)}. In pyproject.toml:\n{lines.text(pyproject)}" if names else ""


def known_settings(settings: Settings, suite: str, packages: Iterable[Package]) -> dict[str, dict[str, list[str]]]:
    """What the table of known needs adds to the settings, by table of pyproject.toml: whole lists, by key.

    On the suites whose names are known; a row that is of builds counts where the package is built.
    """
    lines = _Lines()
    built = {package.name: package.built for package in packages}
    for row in known(built, suite) if settings.base == "debian" and suite in SUITES else ():
        if built[row.name] or not (row.build_libraries or row.build_tools):
            add_known(lines, settings, row)
    found: dict[str, dict[str, list[str]]] = {}
    for (table, key), added in lines.added.items():
        found.setdefault(table, {})[key] = [*lines.has[table, key], *added]
    return found


def _without_compilers(one: Broken) -> bool:
    """Whether it was taken for a build that needs none: to name any tool or library gives it all of them."""
    return "toolchain" not in one.derivation.env.get("path", "toolchain")


def _listed(settings: Settings, name: str, key: str) -> tuple[str, ...]:
    said: PackageSettings | None = settings.packages.get(name)
    if said is None:
        return ()
    return said.build_tools if key == "build-tools" else said.build_libraries


def _built(one: Broken) -> str:
    """The distribution that a derivation builds, "" for a check of what is built."""
    env = one.derivation.env
    return env.get("project", "") if env.get("mode") in {"wheel", "dynamic"} else ""
