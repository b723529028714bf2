"""Which components of an environment have known vulnerabilities, by an advisory database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nixgen.bom import osv
from nixgen.bom.model import Advised, Bom, Component
from nixgen.errors import UserError
from nixgen.formats import jsontext

JSON_VERSION = 1
_SHOWN = 12  # names in a line


@dataclass(frozen=True, slots=True)
class Finding:
    """A vulnerability of a package, with all its identifiers; ``unknown`` says why it is not decided, if it is not."""

    package: Advised
    components: tuple[str, ...]
    ids: tuple[str, ...]
    summary: str
    severity: str
    fixed: tuple[str, ...]
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. ``unasked`` are names of components that were not looked up, by the reason why."""

    name: str
    environment: str
    findings: tuple[Finding, ...]
    undecided: tuple[Finding, ...]
    checked: int
    advisories: int
    unasked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def audit(bom: Bom, advisories: Iterable[osv.Advisory]) -> Audit:
    """Looks every component up. Raises UserError where the advisories are about none of its ecosystems."""
    packages: dict[Advised, list[Component]] = {}
    for one in bom.components:
        if one.advised is not None:
            packages.setdefault(one.advised, []).append(one)
    wanted: dict[str, list[Advised]] = {}
    for package in packages:
        wanted.setdefault(package.name, []).append(package)
    ecosystems: set[str] = set()
    count = 0
    found: list[tuple[Advised, osv.Advisory, osv.Verdict]] = []
    for advisory in advisories:
        count += 1
        asked: set[Advised] = set()
        for ecosystem, name in osv.named(advisory):
            ecosystems.add(ecosystem)
            asked.update(wanted.get(name, ()))
        for package in asked:
            verdict = osv.verdict(advisory, package)
            if verdict is not None and (verdict.affected or verdict.unknown):
                found.append((package, advisory, verdict))
    covered = {one.ecosystem for one in packages if any(osv.covers(own, one.ecosystem) for own in ecosystems)}
    if packages and not covered:
        lacking = ", ".join(sorted({one.ecosystem for one in packages}))
        has = ", ".join(sorted(ecosystems)[:_SHOWN]) or "none"
        raise UserError.of("--database", f"has no advisories for {lacking}; it has: {has}", "name another one, too")
    findings = _grouped([one for one in found if one[2].affected], packages)
    sure = {(one.package, name) for one in findings for name in one.ids}
    open_ones = [one for one in found if not one[2].affected and (one[0], one[1].id) not in sure]
    return Audit(
        *(bom.name, bom.environment, findings, _grouped(open_ones, packages)),
        checked=sum(one.ecosystem in covered for one in packages),
        advisories=count,
        unasked=_unasked(bom, covered),
    )


def _unasked(bom: Bom, covered: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for one in bom.components:
        if one.advised is None:
            found.setdefault(_WHY.get(one.type, "no advisories are known for their kind"), []).append(one.name)
        elif one.advised.ecosystem not in covered:
            found.setdefault(f"the database has no advisories for {one.advised.ecosystem}", []).append(one.name)
    return {why: tuple(sorted(set(names))) for why, names in sorted(found.items())}


_WHY = {
    "machine-learning-model": "models have no advisories",
    "data": "data has no advisories",
    "library": "they are not of an index or of Debian",
    "platform": "they are not of an index or of Debian",
}


def _grouped(
    found: Sequence[tuple[Advised, osv.Advisory, osv.Verdict]], packages: Mapping[Advised, Sequence[Component]]
) -> tuple[Finding, ...]:
    """One finding for each vulnerability of a package: databases tell the same one under several identifiers."""
    groups: list[tuple[Advised, set[str], list[tuple[osv.Advisory, osv.Verdict]]]] = []
    for package, advisory, verdict in sorted(found, key=lambda one: (_key(one[0]), one[1].id)):
        names = {advisory.id, *advisory.aliases}
        same = [one for one in groups if one[0] == package and one[1] & names]
        groups = [one for one in groups if one not in same]
        members = [pair for one in same for pair in one[2]]
        groups.append((package, names.union(*(one[1] for one in same)), [*members, (advisory, verdict)]))
    made = []
    for package, names, members in groups:
        first = [advisory.id for advisory, _ in members]
        upstream = {name for advisory, _ in members for name in advisory.upstream}
        made.append(
            Finding(
                package,
                tuple(sorted({one.name for one in packages[package]})),
                tuple(dict.fromkeys((*first, *sorted(names | upstream)))),
                next((advisory.summary for advisory, _ in members if advisory.summary), ""),
                next((advisory.severity for advisory, _ in members if advisory.severity), ""),
                tuple(dict.fromkeys(version for _, verdict in members for version in verdict.fixed)),
                next((verdict.unknown for _, verdict in members if verdict.unknown), ""),
            )
        )
    return tuple(sorted(made, key=lambda one: (_key(one.package), one.ids)))


def _key(package: Advised) -> tuple[str, str, str]:
    return package.ecosystem, package.name, package.version


def as_text(found: Audit) -> list[tuple[str, str]]:
    """The findings, what is undecided, what was not looked up, and a last line with numbers."""
    lines: list[tuple[str, str]] = []
    for one in found.findings:
        lines.append(("bad", f"{_title(one)}: {', '.join(one.ids)}"))
        told = ", ".join(filter(None, (one.severity, one.summary)))
        lines += [("", f"    {told}")] if told else []
        fixed = f"fixed in {', '.join(one.fixed)}" if one.fixed else "no fixed version is known"
        lines.append(("", f"    {fixed}"))
    for one in found.undecided:
        lines.append(("note", f"{_title(one)}: unknown whether {', '.join(one.ids)} is about it"))
        lines.append(("", f"    {one.unknown}"))
    for why, names in found.unasked.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(("note", f"unknown, because {why}: {', '.join(names[:_SHOWN])}{more}"))
    counts = f"{_count(len(found.findings), 'known vulnerability', 'known vulnerabilities')}"
    open_ones = f", {len(found.undecided)} undecided" if found.undecided else ""
    checked = _count(found.checked, "package", "packages")
    advisories = _count(found.advisories, "advisory", "advisories")
    lines.append(("head", f"{counts}{open_ones} in {checked}, by {advisories}"))
    return lines


def as_json(found: Audit) -> str:
    """The same for programs."""

    def told(one: Finding) -> dict[str, Any]:
        package = one.package
        return {
            "package": package.name,
            "version": package.version,
            "ecosystem": package.ecosystem,
            "components": list(one.components),
            "id": one.ids[0],
            "aliases": list(one.ids[1:]),
            "summary": one.summary,
            "severity": one.severity or None,
            "fixed": list(one.fixed),
            **({"unknown": one.unknown} if one.unknown else {}),
        }

    return jsontext.dumps(
        {
            "version": JSON_VERSION,
            "project": found.name,
            **({"environment": found.environment} if found.environment else {}),
            "checked": found.checked,
            "advisories": found.advisories,
            "findings": [told(one) for one in found.findings],
            "undecided": [told(one) for one in found.undecided],
            "unknown": [{"why": why, "components": list(names)} for why, names in found.unasked.items()],
        }
    )


def _title(one: Finding) -> str:
    others = [name for name in one.components if name != one.package.name]
    shown = f" ({', '.join(others[:_SHOWN])})" if others else ""
    return f"{one.package.name} {one.package.version or '?'}{shown}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
