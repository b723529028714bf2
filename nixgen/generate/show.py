"""What ``nixgen show`` says: the resolutions of a project, as JSON for programs or as tables for people."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from nixgen import console
from nixgen.errors import Problem, UserError, hint
from nixgen.formats import jsontext
from nixgen.project.project import Project, read_text
from nixgen.project.settings import SYSTEMS
from nixgen.resolve.model import FILES, FileHash, Package, Resolution, Target
from nixgen.resolve.resolution import LOCK_MEND, left_out, merged_problems
from nixgen.resolve.wheels import needs

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.lock.model import Lock

Lines = list[tuple[str, str]]
"""Lines, each with its style: "head", "bad", "note", or "" (:meth:`nixgen.console.Console.results`)."""

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""

_KEYS = ("name", "version", "kind", "file", "url", "path", "sha256", "size")
_values = operator.attrgetter(*_KEYS)
_LARGEST = 10
_SHOWN = 6
_SOURCES = {"sdist": "sdist", "vcs": "git", "archive": "archive", "directory": "folder"}


@dataclass(frozen=True, slots=True)
class Report:
    """What would be installed, for each target; ``left_out`` are default systems that have problems of their own.

    ``glibc`` and ``macos`` are the newest system versions that a wheel may ask for; ``environment`` is the name of the
    environment that this is of, "" for the default one. ``pins`` is what is wrong with nixgen.lock, ``code`` with the
    project's own packages; ``unpacked`` are the sizes of unpacked wheels by their SHA-256, and ``wheels`` tells what
    gives a wheel of what is built, by system and name.
    """

    name: str
    glibc: str
    macos: str
    resolutions: tuple[Resolution, ...]
    left_out: tuple[Resolution, ...] = ()
    environment: str = ""
    pins: tuple[Problem, ...] = ()
    code: tuple[Problem, ...] = ()
    unpacked: Mapping[str, int] = field(default_factory=dict)
    wheels: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def problems(self) -> bool:
        """Whether anything stands in the way on a target that is not left out."""
        return bool(self.pins or self.code) or any(one.problems for one in self.resolutions)


def report(project: Project, systems: Sequence[str], python: str | None, environment: str = "") -> Report:
    """What would be installed, for ``systems`` (none: all of the project's) and ``python`` (None: the project's).

    ``environment`` is the name of one of the project's environments, "" for the default one. The base is that of
    nixgen.lock where it is there and of these settings, else what a new one would have. Raises UserError for a system
    or Python that nixgen or the base does not know, and for an environment that is not there.
    """
    from nixgen.bases import otherpython
    from nixgen.resolve import missing_hashes
    from nixgen.resolve.resolution import export, hint_groups, select, split_served

    _known(systems)
    whole = project
    project = whole.of(environment) if environment else whole
    read = cache(lambda: _lock(whole))

    def meanwhile() -> None:
        _prepare()
        read()

    # What nixgen.lock has is needed then, but for the hashes that uv.lock lacks.
    early = _locked(whole, read())[1] if missing_hashes.lacking(whole.lock_text()) else {}
    exported = export(project, early, meanwhile=meanwhile)
    lock = read()
    base, hashes = _locked(whole, lock)
    wanted = systems or project.settings.systems or whole.settings.systems or ()
    targets, glibc = _targets(whole, wanted, python, base, {environment: exported})
    found = hint_groups(project, select(project, exported, targets, glibc, hashes), glibc, hashes)
    found = otherpython.hinted(project, found)
    named = systems or project.settings.systems is not None
    served, dropped = (found, ()) if named else split_served(found)
    from nixgen.generate.unpacked import sizes
    from nixgen.resolve.alternatives import alternatives

    return Report(
        *(project.name, glibc, project.settings.macos, served, dropped, environment),
        pins=_pins(whole, lock, served, {environment: exported}) if lock is not None and python is None else (),
        code=_code(project, served),
        unpacked=sizes(project.root, served),
        wheels=alternatives(project, exported, served, glibc, otherpython.allowed(project)),
    )


def _prepare() -> None:
    """Imports what :func:`report` needs when uv has exported the lock."""
    from nixgen.bases import choice, python  # noqa: F401 -- they are used elsewhere
    from nixgen.generate import unpacked  # noqa: F401
    from nixgen.resolve import alternatives  # noqa: F401


def targets(project: Project, systems: Sequence[str], python: str | None, environment: str = "") -> tuple[Target, ...]:
    """The targets that :func:`report` resolves for. Raises the same."""
    _known(systems)
    wanted = systems or (project.of(environment).settings.systems if environment else None) or ()
    return _targets(project, wanted, python, _locked(project, _lock(project))[0], None)[0]


def _known(systems: Sequence[str]) -> None:
    unknown = [system for system in systems if system not in SYSTEMS]
    if unknown:
        mend = "use one of " + ", ".join(SYSTEMS)
        raise UserError(Problem("--system", f'"{system}" is not a system', mend) for system in unknown)


def _targets(
    project: Project,
    systems: Sequence[str],
    python: str | None,
    base: Base | None,
    exported: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[tuple[Target, ...], str]:
    """The targets, and the base's glibc."""
    from nixgen.bases.choice import best_python, default_glibc
    from nixgen.bases.python import full_version
    from nixgen.bases.python import targets as of_base

    settings = project.settings
    chosen = base.python if base is not None and python is None and settings.python in {None, base.python} else None
    if chosen is None:
        chosen = best_python(project, settings, python, exported)
    own_base = base if base is not None and base.python == chosen else None
    glibc = own_base.glibc if own_base is not None else default_glibc(settings, chosen)
    full = full_version(settings, chosen, own_base)
    return of_base(settings, systems or settings.systems, chosen, full), glibc


def _lock(project: Project) -> Lock | None:
    """nixgen.lock, None where there is none."""
    path = project.path("nixgen.lock")
    if not path.exists():
        return None
    from nixgen.lock.lockfile import parse_lock

    return parse_lock(read_text(path, "nixgen.lock"))


def _pins(
    project: Project, lock: Lock, found: Sequence[Resolution], exported: Mapping[str, dict[str, Any]]
) -> tuple[Problem, ...]:
    """What nixgen.lock lacks: it is of other settings, or has no pins to build what has to be built.

    ``exported`` is the lock as far as it is exported already, by environment.
    """
    from nixgen.lock import fit

    problems = fit.problems(project.settings, lock)
    built = any(package.built for one in found for package in one.packages)
    if not built or lock.base.kind != project.settings.base:
        return tuple(problems)
    from nixgen.bases.python import full_version
    from nixgen.bases.python import targets as of_base
    from nixgen.builds import asked, use
    from nixgen.resolve import environments

    # What a build asks for depends on all environments and targets.
    hashes = {entry.url: entry for entry in lock.hashes}
    full = full_version(project.settings, lock.base.python, lock.base)
    wanted = of_base(project.settings, None, lock.base.python, full)
    whole, _ = environments.select(
        *(project, environments.export(project, hashes, exported), wanted, lock.base.glibc, hashes)
    )
    systems = {one.target.system for one in found}
    shown = [one for one in environments.of(found[0].environment, whole) if one.target.system in systems]
    return (*problems, *use.used(asked.read(project, lock.base, whole), shown, lock.builds).problems)


def _code(project: Project, found: Sequence[Resolution]) -> tuple[Problem, ...]:
    """What stands in the way of the packages that lie in the project: code that is not found, say."""
    if not any(package.kind == "directory" for one in found for package in one.packages):
        return ()
    from nixgen.generate.trees import source_trees

    bad = {problem.where for one in found for problem in one.problems}
    kept = [replace(one, packages=tuple(own for own in one.packages if own.name not in bad)) for one in found]
    try:
        source_trees(project, kept)
    except UserError as error:
        return error.problems
    return ()


def _locked(project: Project, lock: Lock | None) -> tuple[Base | None, dict[str, FileHash]]:
    """The base and the hashes of nixgen.lock; no base when there is no lock, or the settings name another kind."""
    if lock is None:
        return None, {}
    hashes = {entry.url: entry for entry in lock.hashes}
    return (lock.base if lock.base.kind == project.settings.base else None), hashes


def as_json(found: Report) -> str:
    """The JSON of ``nixgen show --json``, version 1: what is not known is null, nothing is left out."""
    targets = {
        one.target.system: {
            "python": one.target.python,
            "packages": [
                _package(package, found.wheels.get((one.target.system, package.name), "")) for package in one.packages
            ],
            "problems": _problems(one.problems),
            "needs": _limit(found, one),
            "download": sum(package.size or 0 for package in one.packages),
            "sizesUnknown": _unknown(one.packages),
            "unpacked": sum(found.unpacked.get(package.sha256 or "", 0) for package in one.packages),
            "unpackedUnknown": _packed(found, one.packages),
        }
        for one in found.resolutions
    }
    left = {one.target.system: _problems(one.problems) for one in found.left_out}
    document = {"version": JSON_VERSION, "project": found.name, "targets": targets, "leftOut": left}
    document["problems"] = _problems((*found.pins, *found.code))
    return jsontext.dumps({**document, **({"environment": found.environment} if found.environment else {})})


def _package(package: Package, wheel: str) -> dict[str, Any]:
    told: dict[str, Any] = dict(zip(_KEYS, _values(package), strict=True))
    if package.git is not None:
        told["url"] = str(package.git)
    return told | {"why": package.why, "wheel": wheel} if package.built else told


def _problems(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"package": problem.where, "problem": problem.what, "mend": problem.mend} for problem in problems]


def _limit(found: Report, one: Resolution) -> str:
    """The newest system that a wheel may ask for."""
    return f"macOS {found.macos}" if one.target.system.endswith("-darwin") else f"glibc {found.glibc}"


def _unknown(packages: Sequence[Package]) -> int:
    """How many files have no size in uv.lock."""
    return sum(package.size is None for package in packages if package.kind in FILES and package.file)


def _packed(found: Report, packages: Sequence[Package]) -> int:
    """How many wheels are not here, so that their size is known when they are fetched."""
    wheels = [package for package in packages if package.kind == "wheel" and package.file]
    return sum((package.sha256 or "") not in found.unpacked for package in wheels)


def as_text(found: Report, *, width: int | None = None) -> Lines:
    """The report for people: what is wrong, what is built, one table of all targets, and totals.

    No line of the table has more than ``width`` characters.
    """
    lines = [("head", _title(found)), ("", "")]
    lines += _wrong(found)
    lines += _built(found)
    lines += _table(found, width)
    lines += _largest(found)
    lines += [("head", "in all"), *_plain(console.table([_total(found, one) for one in found.resolutions]))]
    if not found.unpacked and any(_packed(found, one.packages) for one in found.resolutions):
        lines.append(("", "  unpacked sizes are known only of wheels in the Nix store"))
    return lines


def problems_as_text(found: Report) -> Lines:
    """Only what is wrong, for ``--problems``."""
    if found.problems:
        return _wrong(found)[:-1]
    return [("", f"{found.name}: no problems on {_listed([one.target.system for one in found.resolutions])}")]


def _title(found: Report) -> str:
    pythons = sorted({one.target.python for one in found.resolutions})
    limits = dict.fromkeys(_limit(found, one) for one in found.resolutions)
    systems = _listed([one.target.system for one in found.resolutions])
    whose = f"{found.name}, environment {found.environment}," if found.environment else found.name
    return f"{whose} for {systems}: Python {' and '.join(pythons)}, {' and '.join(limits)}"


def _wrong(found: Report) -> Lines:
    """The problems, each once; then those of systems that are left out."""
    lines: Lines = []
    merged = [*found.pins, *found.code, *merged_problems(found.resolutions)]
    hashes = [one for one in merged if one.mend.startswith(LOCK_MEND)]
    if merged:
        lines.append(("bad", _count(len(merged), "problem")))
    for problem in merged:
        if problem not in hashes:
            lines.append(("bad", f"  {problem.where}: {problem.what}"))
            lines += [("", f"  {line}") for line in hint(problem.mend)]
    if hashes:
        lines.append(("bad", f"  no hash in uv.lock: {_listed([one.where for one in hashes], _SHOWN)}"))
        lines += [("", f"  {line}") for line in hint(hashes[0].mend)]
    if found.left_out:
        lines += [("", "")] if lines else []
        lines.append(("note", "left out: default systems with problems of their own (--system shows one)"))
        lines += [("", f"  {left_out(one).replace(' is left out', '', 1)}") for one in found.left_out]
    return [*lines, ("", "")] if lines else []


def _built(found: Report) -> Lines:
    """What is built from its source: where, from what, and why no wheel is taken."""
    systems: dict[tuple[str, str, str, str], list[str]] = {}
    for one in found.resolutions:
        for package in one.packages:
            if package.built:
                source = _SOURCES[package.kind]
                named = f"{package.name} {package.version}" if package.version else package.name
                wheel = found.wheels.get((one.target.system, package.name), "")
                systems.setdefault((named, source, package.why, wheel), []).append(one.target.system)
    if not systems:
        return []
    rows = [
        (named, f"{source}{_only(names, found)}" + (f": {why}" if why else "") + (f" ({wheel})" if wheel else ""))
        for (named, source, why, wheel), names in sorted(systems.items())
    ]
    return [("note", "built from source"), *_plain(console.table(rows)), ("", "")]


def _only(systems: Sequence[str], found: Report) -> str:
    return "" if len(systems) == len(found.resolutions) else f" on {_listed(systems)}"


def _table(found: Report, width: int | None) -> Lines:
    """A row for each package; targets that differ in no row share a column."""
    packages = [{package.name: package for package in one.packages} for one in found.resolutions]
    bad = [{problem.where for problem in one.problems} for one in found.resolutions]
    names = sorted(set().union(*packages))
    if not names:
        return []
    of_name = {name: [one.get(name) for one in packages] for name in names}
    versions = {name: sorted({_version(one) for one in of_name[name] if one}) for name in names}
    cells = [
        tuple(
            _cell(of_name[name][at], wrong=name in bad[at], alone=len(packages) == 1, forked=len(versions[name]) > 1)
            for name in names
        )
        for at in range(len(packages))
    ]
    columns: dict[tuple[str, ...], list[str]] = {}
    for one, cell in zip(found.resolutions, cells, strict=True):
        columns.setdefault(cell, []).append(one.target.system)
    heads = [_head(systems, found) for systems in columns.values()]
    rows = [("package", "version", "download", *heads)]
    rows += [
        (name, ", ".join(versions[name]), _size(of_name[name]), *(column[at] for column in columns))
        for at, name in enumerate(names)
    ]
    styles = ["head"]
    for name in names:
        built = any(one is not None and one.built for one in of_name[name])
        styles.append("bad" if any(name in one for one in bad) else "note" if built else "")
    lines = console.table(rows, right=frozenset({2}), indent="", width=width)
    return [*zip(styles, lines, strict=True), ("", "")]


def _head(systems: Sequence[str], found: Report) -> str:
    if len(systems) == len(found.resolutions) > 1:
        return "all targets"
    for kernel in ("linux", "darwin"):
        if len(systems) > 1 and set(systems) == {one for one in SYSTEMS if one.endswith(kernel)}:
            return kernel
    return ", ".join(systems)


def _cell(package: Package | None, *, wrong: bool, alone: bool, forked: bool) -> str:
    """What a target gets of a package."""
    if package is None:
        return "-"
    if package.kind == "wheel" and package.file is None:
        told = "no wheel"
    elif package.kind == "wheel":
        told = package.file if alone and package.file else needs(package.file or "")
    elif package.kind == "directory":
        told = f"{'built from ' if package.built else ''}the folder {package.path}"
    else:
        told = f"built ({_SOURCES[package.kind]})"
    version = f"{_version(package)}, " if forked else ""
    return f"{version}{told}" + (" (!)" if wrong else "")


def _version(package: Package) -> str:
    return package.version or ("dynamic" if package.kind == "directory" else "?")


def _size(packages: Sequence[Package | None]) -> str:
    sizes = {package.size for package in packages if package is not None and package.kind in FILES and package.file}
    known = [size for size in sizes if size is not None]
    if not sizes:
        return ""
    return ("≤ " if len(set(map(console.size, known))) > 1 else "") + console.size(max(known, default=None))


def _largest(found: Report) -> Lines:
    sizes: dict[tuple[str, str], int] = {}
    for package in (package for one in found.resolutions for package in one.packages):
        key = (package.name, package.version or "?")
        sizes[key] = max(sizes.get(key, 0), package.size or 0)
    if len(sizes) <= _LARGEST:
        return []
    ordered = sorted(((size, key) for key, size in sizes.items() if size), key=lambda item: (-item[0], item[1]))
    rows = [(name, version, console.size(size)) for size, (name, version) in ordered[:_LARGEST]]
    return [("head", "largest downloads"), *_plain(console.table(rows, right=frozenset({2}))), ("", "")] if rows else []


def _total(found: Report, one: Resolution) -> tuple[str, str]:
    wheels = sum(package.kind == "wheel" and package.file is not None for package in one.packages)
    built = sum(package.built for package in one.packages)
    parts = [_count(len(one.packages), "package"), _count(wheels, "wheel"), *([f"{built} built"] if built else [])]
    known, unknown = sum(package.size or 0 for package in one.packages), _unknown(one.packages)
    size = (
        f"{'at least ' if unknown else ''}{console.size(known)} to download" if known or not unknown else "size unknown"
    )
    if unknown:
        size += f" ({_count(unknown, 'size')} not in uv.lock)"
    return one.target.system, "; ".join(
        [", ".join(parts), size, *_unpacked(found, one), _count(len(one.problems), "problem")]
    )


def _unpacked(found: Report, one: Resolution) -> list[str]:
    """What the wheels take when they are unpacked, as far as it is known."""
    here = sum(found.unpacked.get(package.sha256 or "", 0) for package in one.packages)
    missing = _packed(found, one.packages)
    if not here:
        return []
    return [
        f"at least {console.size(here)} unpacked ({missing} not fetched yet)"
        if missing
        else f"{console.size(here)} unpacked"
    ]


def _plain(lines: Sequence[str]) -> Lines:
    return [("", line) for line in lines]


def _listed(names: Sequence[str], most: int | None = None) -> str:
    shown = list(names[:most])
    if len(names) > len(shown):
        return f"{', '.join(shown)} and {len(names) - len(shown)} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "no target"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
