"""The debian base: which suite has which Python, which packages it is made of, and their pins.

The core is the same for every project of a suite, so that wheels built on it are shared; ``libraries`` and
``tools`` of the settings come on top.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from nixgen.bases.debian import apt
from nixgen.bases.debian import sources as lists
from nixgen.bases.model import PARTS, Bootstrap, Deb, DebianBase, Part
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine.background import Beside

if TYPE_CHECKING:
    from nixgen.bases.debian.sources import Mirror
    from nixgen.project.settings import Settings


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite: its Python versions, newest first, its glibc's version, its own names for packages, and whose it is.

    ``release`` is the number of the release, "" of one that has none.
    """

    name: str
    pythons: tuple[str, ...]
    glibc: str
    stable: bool
    glib: str
    vendor: str = "Debian"
    release: str = ""

    def __str__(self) -> str:
        """The suite as people call it: "Debian trixie"."""
        return f"{self.vendor} {self.name}"


SUITES = {
    suite.name: suite
    for suite in (
        Suite("bookworm", ("3.11",), "2.36", stable=True, glib="libglib2.0-0", release="12"),
        Suite("trixie", ("3.13",), "2.41", stable=True, glib="libglib2.0-0t64", release="13"),
        Suite("forky", ("3.14", "3.13"), "2.43", stable=False, glib="libglib2.0-0t64", release="14"),
        Suite("sid", ("3.14", "3.13"), "2.43", stable=False, glib="libglib2.0-0t64"),
        Suite("noble", ("3.12",), "2.39", stable=True, glib="libglib2.0-0t64", vendor="Ubuntu", release="24.04"),
    )
}
"""Looked up with ``apt-cache policy python3.X libc6`` in each suite; forky and sid still move."""

TOO_OLD = {"buster": "3.7", "bullseye": "3.9", "focal": "3.8", "jammy": "3.10"}
"""Suites whose Python nixgen does not serve."""

COMMON = (
    "bash",  # the shell of the environment, and the builder that `nix develop` needs
    "libc-bin",  # the locale C.UTF-8
    "libdeflate0",  # unpacks wheels in half of zlib's time
    "tzdata",  # zoneinfo finds time zones without asking the host
    # What PEP 600 lets a manylinux wheel expect from the system: auditwheel's policy file, manylinux_2_17 and newer.
    # The rest of that list (libc, libm, libnsl.so.1, libresolv, ...) is in libc6.
    "libatomic1",
    "libexpat1",
    "libgcc-s1",
    "libgl1",
    "libice6",
    "libsm6",
    "libstdc++6",
    "libx11-6",
    "libxext6",
    "libxrender1",
    "zlib1g",
)
"""The core's roots that have the same name in every suite; the suite's glib and its Python join them."""

LEFT_OUT = (
    # Only dpkg's maintainer scripts use these, and nixgen runs no such script: bash and the libraries depend on them
    # for the moment of their installation.
    "base-files",
    "debconf",
    "debianutils",
    "dpkg",
    "netbase",
    "python3",
    "x11-common",
    # The drivers behind libGL.so.1: with LLVM 46 MiB of the closure's 66. libGL itself loads without one, and who
    # draws with OpenGL on the debian base names a driver in `libraries`.
    "libglx-mesa0",
)
"""Packages that the core takes as there: neither they nor what only they depend on is pinned (unless named)."""


COMPONENTS = {"Debian": ("main",), "Ubuntu": ("main", "universe")}
"""The parts of an archive that the base is taken from: all that is free."""

TOOLCHAIN = ("binutils", "g++", "gcc", "libc6-dev", "make", "perl-base", "pkg-config")
"""What sources are built with, besides Python's headers. perl-base is on every Debian, so no package asks for it, and
libpq-dev's pg_config is written in perl."""

UNUSED = ("liberror-perl", "perl")
"""What git depends on, and fetching does not: these are in no part on its behalf."""

_SHOWN = 5


def suite_of(settings: Settings, python: str) -> Suite:
    """The suite to use: the setting's, else the first that has this Python. Raises UserError."""
    if settings.suite is not None:
        suite = SUITES.get(settings.suite)
        if suite is None:
            raise UserError.of(
                "pyproject.toml: tool.nixgen.suite",
                f"{settings.suite}'s Python is {TOO_OLD[settings.suite]}, and nixgen needs 3.11 or newer"
                if settings.suite in TOO_OLD
                else f'"{settings.suite}" is not a suite of Debian or Ubuntu that nixgen knows',
                "use one of " + ", ".join(SUITES),
            )
        if python not in suite.pythons:
            raise UserError.of(
                "pyproject.toml: tool.nixgen.suite",
                f"{suite} has no Python {python}, but {' and '.join(suite.pythons)}",
                f'set python = "{suite.pythons[0]}", or another suite',
            )
        return suite
    found = next((suite for suite in _debians() if python in suite.pythons), None)
    if found is None:
        raise UserError.of(
            "pyproject.toml: tool.nixgen.python",
            f"no Debian suite has Python {python}",
            "use one of " + ", ".join(f"{suite.pythons[0]} ({suite.name})" for suite in _debians() if suite.stable),
        )
    return found


def pythons(settings: Settings) -> tuple[str, ...]:
    """The Python versions that the debian base can give under these settings, the best choice first.

    Newest first, but those of stable suites before those of testing: a mirror drops testing's packages within days,
    and then a pin of them cannot be fetched any more.
    """
    suites = [SUITES[settings.suite]] if settings.suite in SUITES else _debians()
    found = {python: suite.stable for suite in reversed(suites) for python in suite.pythons}
    return tuple(sorted(found, key=lambda python: (found[python], *map(int, python.split("."))), reverse=True))


def suite_title(name: str) -> str:
    """A suite as people call it: "Debian trixie", "Ubuntu noble"."""
    return str(SUITES.get(name, f"Debian {name}"))


def nearest(suite: Suite) -> list[Suite]:
    """The suites of the same vendor, this one first, then those nearest in time, the newer before the older."""
    same = [one for one in SUITES.values() if one.vendor == suite.vendor]
    own = same.index(suite)
    return [same[at] for at in sorted(range(len(same)), key=lambda at: (abs(at - own), -at))]


def _debians() -> list[Suite]:
    """The suites to choose from where none is named: Ubuntu's need a mirror of Ubuntu's."""
    return [suite for suite in SUITES.values() if suite.vendor == "Debian"]


def default_glibc(settings: Settings, python: str) -> str:
    """The version of glibc to resolve for while there is no nixgen.lock. Raises UserError."""
    return suite_of(settings, python).glibc


def core_roots(suite: Suite, python: str) -> tuple[str, ...]:
    """What the core is the closure of. Debian keeps distutils, which 3.12 dropped, in a package of its own."""
    interpreter = [f"python{python}"] + (["python3-distutils"] if python == "3.11" else [])
    return tuple(sorted([*COMMON, suite.glib, *interpreter]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to pin: the base of these settings for a Python; with ``toolchain`` the compilers, with ``git`` git."""

    settings: Settings
    python: str
    toolchain: bool = False
    git: bool = False

    @property
    def suite(self) -> Suite:
        """The suite to use. Raises UserError."""
        return suite_of(self.settings, self.python)

    @property
    def named(self) -> dict[Part, dict[str, tuple[str, ...]]]:
        """The packages that the settings name, by the part that they go to and their key below tool.nixgen."""
        found: dict[Part, dict[str, tuple[str, ...]]] = {
            "extra": {"libraries": self.settings.libraries, "tools": self.settings.tools}
        }
        if self.toolchain:
            found["needs"] = {
                "packages.NAME.build-libraries": self.settings.build_libraries,
                "packages.NAME.build-tools": self.settings.build_tools,
            }
        return found

    @property
    def parts(self) -> dict[Part, tuple[str, ...]]:
        """What each part but the core is the closure of, without what the core has."""
        found: dict[Part, tuple[str, ...]] = {
            part: tuple(sorted({name for names in keys.values() for name in names}))
            for part, keys in self.named.items()
        }
        if self.toolchain:
            found["build"] = tuple(sorted([*TOOLCHAIN, f"libpython{self.python}-dev"]))
        if self.git:
            found["git"] = ("git",)
        return {part: names for part, names in found.items() if names}


def resolve_base(
    wanted: Wanted,
    systems: Sequence[str],
    mirror: Mirror,
    *,
    bootstrap: Callable[..., Bootstrap],
    kept: DebianBase | None = None,
) -> DebianBase:
    """Pin the base for all systems, from the signed indexes of ``mirror``.

    ``bootstrap`` is given each system with its busybox-static, and behind it what unpacks the suite's packages where
    busybox cannot, and says how that is pinned. What ``kept`` pins stays as
    it is, but for what is asked for no more, and for what something new needs in another version. Raises UserError for
    names in the settings that Debian does not know, for all systems at once, and MachineError.
    """
    suite, settings = wanted.suite, wanted.settings
    old = kept if kept is not None and (kept.suite, kept.python) == (suite.name, wanted.python) else None
    sources = mirror.sources(suite.name, stable=suite.stable, components=COMPONENTS[suite.vendor])

    def one(system: str) -> _Pinned | NixgenError:
        try:
            with apt.open_apt(sources, system) as tool:
                return _pin(tool, wanted, system, old)
        except NixgenError as error:
            return error

    pinning = [Beside(partial(one, system)) for system in systems]
    results = [each.result() for each in pinning]
    _raise_any(dict(zip(systems, results, strict=True)))
    pinned = [result for result in results if isinstance(result, _Pinned)]
    if superseded := sorted({name for result in pinned for name in result.old}):
        few = ", ".join(superseded[:_SHOWN]) + (" …" if len(superseded) > _SHOWN else "")
        console.info(
            f"Of {len(superseded)} pinned {'package' if len(superseded) == 1 else 'packages'} {suite} has "
            f"newer versions by now, and mirrors drop the old ones. To take the newer: nixgen lock --upgrade ({few})"
        )
    return DebianBase(
        suite=suite.name,
        python=wanted.python,
        glibc=min((result.glibc for result in pinned), key=lambda version: tuple(map(int, version.split(".")))),
        libraries=tuple(settings.libraries),
        tools=tuple(settings.tools),
        bootstrap=tuple(bootstrap(system, *result.first) for system, result in zip(systems, pinned, strict=True)),
        debs=tuple(deb for result in pinned for deb in result.debs),
        build_libraries=settings.build_libraries if wanted.toolchain else (),
        build_tools=settings.build_tools if wanted.toolchain else (),
        snapshots=_snapshots(suite, pinned, old),
    )


def _snapshots(suite: Suite, pinned: Sequence[_Pinned], old: DebianBase | None) -> tuple[str, ...]:
    """When the mirror had the packages: now, for those that are new, and when those were pinned that are kept."""
    if suite.vendor != "Debian":
        return ()
    known = {deb.sha256 for deb in (old.debs if old else ())}
    found = {deb.sha256 for result in pinned for deb in result.debs}
    now = lists.stamp(date for result in pinned for date in result.dates) if found - known else ""
    return tuple(dict.fromkeys(filter(None, (now, *(old.snapshots if old and found & known else ())))))


def _raise_any(results: Mapping[str, _Pinned | NixgenError]) -> None:
    """Raise the errors among the results as one; what is not so for all systems is told with those that it is for."""
    errors = {system: result for system, result in results.items() if isinstance(result, NixgenError)}
    if not errors:
        return
    kind = type(next(iter(errors.values())))
    found: dict[Problem, list[str]] = {}
    for system, error in errors.items():
        for problem in error.problems if type(error) is kind else ():
            found.setdefault(problem, []).append(system)
    raise kind(
        problem if len(names) == len(results) else replace(problem, what=_only_for(names, problem.what))
        for problem, names in found.items()
    )


def _only_for(systems: Sequence[str], what: str) -> str:
    """A sentence, its first line closed with the systems that it holds for."""
    head, newline, rest = what.partition("\n")
    return f"{head} for {' and '.join(systems)}{newline}{rest}"


@dataclass(frozen=True, slots=True)
class _Pinned:
    old: frozenset[str]  # names of pins that are kept, and of which the mirror has another version
    glibc: str
    first: tuple[apt.Package, ...]  # busybox, and what unpacks zstd where packages are packed so
    debs: tuple[Deb, ...]
    dates: tuple[str, ...]  # of the signed indexes


def _pin(tool: apt.Apt, wanted: Wanted, system: str, kept: DebianBase | None) -> _Pinned:
    suite = wanted.suite
    _check_names(tool, {key: names for keys in wanted.named.values() for key, names in keys.items()}, suite)
    roots = core_roots(suite, wanted.python)
    added = sorted({name for names in wanted.parts.values() for name in names})
    without = set(LEFT_OUT) - set(added)
    try:
        core = tool.plan(roots, LEFT_OUT)
        zstd = tool.plan(["zstd"], LEFT_OUT) if suite.vendor == "Ubuntu" else ()
        (busybox,) = (item for item in tool.plan(["busybox-static"], [*LEFT_OUT, "libc6"]) if item.name[:4] == "busy")
    except apt.RefusedError as error:
        raise MachineError.of(
            "",
            f"apt cannot put the base together from {suite}\n{error}",
            "look at the mirror: it may be in the middle of an update, or lack a part of the suite",
        ) from None
    try:
        everything = tool.plan([*roots, *added], without) if added else core
        closures = {
            part: tool.plan([*roots, *names], {*without, *UNUSED} if part == "git" else without)
            for part, names in wanted.parts.items()
        }
    except apt.RefusedError as error:
        keys = ", ".join(key for keys in wanted.named.values() for key in keys)
        raise UserError.of(
            f"pyproject.toml: tool.nixgen.{keys}",
            f"apt cannot install these packages together from {suite}\n{error}",
            "take one of them out",
        ) from None
    debs = _with_kept(tool, [*roots, *added], without, everything, kept, system)
    planned: dict[Part, set[str]] = {"core": {package.name for package in core}}
    planned |= {part: {package.name for package in found} for part, found in closures.items()}
    there = {package.name: package.version for package in everything}
    (libc,) = (deb for deb in debs.values() if deb.name == "libc6")
    return _Pinned(
        old=frozenset(name for name, deb in debs.items() if there.get(name, deb.version) != deb.version),
        glibc=major_minor(libc.version),
        first=(busybox, *zstd),
        debs=_in_parts(debs, planned, kept, system),
        dates=tuple(tool.dates()),
    )


def _in_parts(
    debs: Mapping[str, Deb], planned: Mapping[Part, set[str]], kept: DebianBase | None, system: str
) -> tuple[Deb, ...]:
    """Each package in the trees that it belongs to; one that is only kept stays where it was."""
    were: dict[str, set[str]] = {}
    for deb in kept.debs if kept else ():
        if deb.system == system:
            were.setdefault(deb.part, set()).add(deb.name)
    only_kept = debs.keys() - set[str]().union(*planned.values())

    def members(part: Part) -> set[str]:
        return debs.keys() & (planned.get(part, set()) | (were.get(part, set()) & only_kept))

    core = members("core") | (debs.keys() & were.get("core", set()))
    build = members("build") - core
    found: dict[Part, set[str]] = {
        "core": core,
        "extra": members("extra") - core,
        "build": build,
        "needs": members("needs") - core - build,
        "git": members("git") - core,
    }
    return tuple(replace(debs[name], part=part) for part in sorted(PARTS) for name in sorted(found[part]))


def _with_kept(
    tool: apt.Apt,
    roots: Sequence[str],
    without: Iterable[str],
    everything: Sequence[apt.Package],
    kept: DebianBase | None,
    system: str,
) -> dict[str, Deb]:
    """The pins by name: those that are kept, and from the mirror what these lack; without any, all from the mirror."""
    old = {deb.name: deb for deb in (kept.debs if kept else ()) if deb.system == system}
    mirrors = {package.name: _deb(package, system) for package in everything}
    if kept is None or not old:
        return mirrors
    asked = {*kept.libraries, *kept.tools, *kept.build_libraries, *kept.build_tools}
    asked.update(TOOLCHAIN if kept.toolchain else ())
    asked.update(["git"] if kept.git else ())
    if not asked <= set(roots):
        # A package of the mirror's may need less than its older version did: only what left the settings goes.
        old = {name: deb for name, deb in old.items() if name in mirrors or deb.part == "core"}
    try:
        new = tool.plan(roots, without, {name: deb.version for name, deb in old.items()})
    except apt.RefusedError:
        # With the old versions it cannot be solved: then all are the mirror's.
        return mirrors
    return old | {package.name: _deb(package, system) for package in new}


def major_minor(version: str) -> str:
    """The first two numbers of a Debian version: "2.36" of "2.36-9+deb12u14". Raises MachineError."""
    match = re.match(r"(?:\d+:)?(\d+\.\d+)", version)
    if match is None:
        raise MachineError.of("", f"libc6 has a version that nixgen does not understand: {version}", "report it")
    return match[1]


def _deb(package: apt.Package, system: str) -> Deb:
    return Deb(
        name=package.name,
        version=package.version,
        system=system,
        part="extra",
        url=package.url,
        sha256=package.sha256,
        size=package.size,
    )


def _check_names(tool: apt.Apt, named: Mapping[str, tuple[str, ...]], suite: Suite) -> None:
    """Every name in the settings must be a package: apt itself would take a pattern or a virtual package too."""
    known = tool.show([name for names in named.values() for name in names])
    problems = []
    for key, names in named.items():
        for name in names:
            if name not in known:
                near = tool.nearest(name)
                mend = f"did you mean {' or '.join(near)}?" if near else "look for it: apt-cache search WORD"
                where = f"pyproject.toml: tool.nixgen.{key}"
                problems.append(Problem(where, f'{suite} has no package "{name}"', mend))
    if problems:
        raise UserError(problems)
