"""What ``nixgen show`` says: the resolutions of a project, as JSON for programs or as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nixgen import console
from nixgen.bases.model import Base
from nixgen.errors import Problem, UserError
from nixgen.formats import jsontext
from nixgen.project.project import Project, read_text
from nixgen.project.settings import SYSTEMS
from nixgen.resolve.model import FileHash, Package, Resolution, Target

JSON_VERSION = 1
"""The version of the JSON's form: it grows when a key changes its meaning or goes."""


def resolutions(project: Project, systems: Sequence[str], python: str | None) -> tuple[Resolution, ...]:
    """What would be installed, for ``systems`` (none: all of the project's) and ``python`` (None: the project's).

    The base is that of nixgen.lock where it is there and of these settings, else what a new one would have. Raises
    UserError for a system or Python that nixgen or the base does not know.
    """
    from nixgen.resolve.resolution import export, hint_groups, left_out, select, split_served

    _known(systems)
    base, hashes = _locked(project)
    exported = export(project, hashes)
    targets, glibc = _targets(project, systems, python, base, exported)
    found = hint_groups(project, select(project, exported, targets, glibc, hashes), glibc, hashes)
    if systems or project.settings.systems is not None:
        return found
    served, dropped = split_served(found)
    for resolution in dropped:
        console.info(f"{left_out(resolution)} (--system shows it)")
    return served


def targets(project: Project, systems: Sequence[str], python: str | None) -> tuple[Target, ...]:
    """The targets that :func:`resolutions` resolves for. Raises the same."""
    _known(systems)
    return _targets(project, systems, python, _locked(project)[0], None)[0]


def _known(systems: Sequence[str]) -> None:
    unknown = [system for system in systems if system not in SYSTEMS]
    if unknown:
        mend = "use one of " + ", ".join(SYSTEMS)
        raise UserError(Problem("--system", f'"{system}" is not a system', mend) for system in unknown)


def _targets(
    project: Project, systems: Sequence[str], python: str | None, base: Base | None, exported: dict[str, Any] | None
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


def _locked(project: Project) -> tuple[Base | None, dict[str, FileHash]]:
    """The base and the hashes of nixgen.lock; no base when there is no lock, or the settings name another kind."""
    path = project.path("nixgen.lock")
    if not path.exists():
        return None, {}
    from nixgen.lock.lockfile import parse_lock

    lock = parse_lock(read_text(path, "nixgen.lock"))
    hashes = {entry.url: entry for entry in lock.hashes}
    return (lock.base if lock.base.kind == project.settings.base else None), hashes


def as_json(name: str, found: Sequence[Resolution]) -> str:
    """The JSON of ``nixgen show --json``, version 1: what is not known is null, nothing is left out."""
    targets = {
        resolution.target.system: {
            "python": resolution.target.python,
            "packages": [_package(package) for package in resolution.packages],
            "problems": [
                {"package": problem.where, "problem": problem.what, "mend": problem.mend}
                for problem in resolution.problems
            ],
        }
        for resolution in found
    }
    return jsontext.dumps({"version": JSON_VERSION, "project": name, "targets": targets})


def _package(package: Package) -> dict[str, Any]:
    keys = ("name", "version", "kind", "file", "url", "path", "sha256", "size")
    return {key: getattr(package, key) for key in keys}


def as_text(name: str, found: Sequence[Resolution]) -> str:
    """A table for each target, with totals and problems, and a line for each target at the end."""
    lines = []
    summary = []
    for resolution in found:
        target = resolution.target
        lines += [f"{name} for {target.system}, Python {target.python}", ""]
        lines += console.table(
            [("package", "version", "file", "size"), *map(_row, resolution.packages)], right=frozenset({3})
        )
        total = _total(resolution.packages)
        lines += ["", f"  {total}"]
        if resolution.problems:
            lines += ["", "  " + _count(len(resolution.problems), "problem") + ":"]
            for problem in resolution.problems:
                lines.append(f"    {problem.where} {problem.what}")
                lines += [f"      {problem.mend}"] if problem.mend else []
        lines.append("")
        summary.append((f"{target.system}:", total + "; " + _count(len(resolution.problems), "problem")))
    return "\n".join(lines + (console.table(summary, indent="") if len(summary) > 1 else [])).rstrip()


def _row(package: Package) -> tuple[str, str, str, str]:
    if package.kind == "directory":
        return package.name, package.version or "dynamic", f"the folder {package.path}", ""
    file = package.file or f"({package.kind})" if package.kind != "vcs" else f"({package.url})"
    file = f"{file} (built)" if package.built else file
    return package.name, package.version or "?", file, console.size(package.size)


def _total(packages: Sequence[Package]) -> str:
    wheels = [package for package in packages if package.kind == "wheel" and package.file is not None]
    known = [package.size for package in wheels if package.size is not None]
    size = f"{console.size(sum(known))}" if known else "sizes not in uv.lock"
    if known and len(known) < len(wheels):
        size = f"at least {size}: {len(wheels) - len(known)} sizes are not in uv.lock"
    built = sum(package.built for package in packages)
    more = f", {built} built" if built else ""
    return f"{_count(len(packages), 'package')}, {_count(len(wheels), 'wheel')} ({size}){more}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
