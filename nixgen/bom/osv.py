"""Advisories in OSV's format (https://ossf.github.io/osv-schema/): which versions of a package one is about. Pure.

What cannot be compared is said to be unknown, and never taken for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from nixgen.bom import debversion
from nixgen.bom.model import Advised
from nixgen.formats.foreign import lookup, strings, table, tables
from nixgen.project.names import normalized

PYPI = "PyPI"
_LONGEST = 500  # characters of a version of Python's
_SHOWN = 120  # of a summary
_ORDERED = ("ECOSYSTEM",)
_POINTS = ("introduced", "fixed", "last_affected")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an advisory says of a version: affected, or why that cannot be told; ``fixed`` are versions that mend it."""

    affected: bool
    unknown: str = ""
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advisory:
    """An advisory: its identifier and others for the same, one line on what it is about, how grave, and of whom."""

    id: str
    aliases: tuple[str, ...]
    upstream: tuple[str, ...]
    summary: str
    severity: str
    affected: tuple[Mapping[str, Any], ...]


def advisory(document: object) -> Advisory | None:
    """The advisory that a document is, None for one that was withdrawn. Raises ValueError for what is none."""
    found = table(document)
    identifier, affected = found.get("id"), found.get("affected", [])
    if not isinstance(document, dict) or not isinstance(identifier, str) or not identifier:
        raise ValueError('is no advisory: it has no "id"')
    if not isinstance(affected, list) and affected is not None:
        raise ValueError('is no advisory: "affected" is not a list')
    if found.get("withdrawn"):
        return None
    text = found.get("summary") or found.get("details")
    summary = " ".join(text.split()) if isinstance(text, str) else ""
    severity = lookup(found, "database_specific", "severity")
    return Advisory(
        identifier,
        tuple(strings(found.get("aliases"))),
        tuple(strings(found.get("upstream"))),
        summary if len(summary) <= _SHOWN else f"{summary[: _SHOWN - 1]}…",
        severity.lower() if isinstance(severity, str) else "",
        tuple(tables(affected)),
    )


def named(advisory: Advisory) -> Iterator[tuple[str, str]]:
    """The ecosystems and names of the packages that an advisory is about."""
    for one in advisory.affected:
        ecosystem, name = lookup(one, "package", "ecosystem"), lookup(one, "package", "name")
        if isinstance(ecosystem, str) and isinstance(name, str):
            yield ecosystem, normalized(name) if ecosystem == PYPI else name


def covers(ecosystem: str, wanted: str) -> bool:
    """Whether an advisory's ecosystem is the wanted one: a distribution without a release means all of them.

    A release of Ubuntu may say that it has long-term support ("Ubuntu:24.04:LTS").
    """
    return ecosystem.removesuffix(":LTS") == wanted or (":" not in ecosystem and wanted.partition(":")[0] == ecosystem)


def verdict(advisory: Advisory, package: Advised) -> Verdict | None:
    """What an advisory says of a package, None where it is about others."""
    found = [
        _one(one, package)
        for one, (ecosystem, name) in zip(_whole(advisory), named(advisory), strict=True)
        if covers(ecosystem, package.ecosystem) and name == package.name
    ]
    if not found:
        return None
    fixed = tuple(dict.fromkeys(version for one in found for version in one.fixed))
    if any(one.affected for one in found):
        return Verdict(affected=True, fixed=fixed)
    return Verdict(affected=False, unknown=next((one.unknown for one in found if one.unknown), ""))


def _whole(advisory: Advisory) -> list[Mapping[str, Any]]:
    """The entries that :func:`named` tells of."""
    return [
        one
        for one in advisory.affected
        if isinstance(lookup(one, "package", "ecosystem"), str) and isinstance(lookup(one, "package", "name"), str)
    ]


def _one(entry: Mapping[str, Any], package: Advised) -> Verdict:
    key = _order(package.ecosystem)
    versions, ranges = strings(entry.get("versions")), tables(entry.get("ranges"))
    mine = key(package.version)
    if package.version and any(_same(version, package.version, key) for version in versions):
        return Verdict(affected=True, fixed=_fixed(ranges, mine, key))
    ordered = [one for one in ranges if one.get("type") in _ORDERED]
    unknown = ""
    for one in ordered:
        inside = _inside(one, mine, key)
        if inside is True:
            return Verdict(affected=True, fixed=_fixed(ordered, mine, key))
        if inside is None:
            unknown = unknown or (
                f'the version "{package.version}" has no place in an order'
                if mine is None
                else "it names a version that has no place in an order"
            )
    if not unknown and not package.version:
        unknown = "the version is not known"
    if not unknown and not ordered and not versions:
        unknown = (
            "its ranges are not of versions (commits of git, say)"
            if ranges
            else "it does not say which versions it is about"
        )
    return Verdict(affected=False, unknown=unknown)


Key = Callable[[str], Any]
"""The place of a version in its order, None for a text that has none."""


def _order(ecosystem: str) -> Key:
    return _python if ecosystem == PYPI else debversion.parse


def _python(text: str) -> Version | None:
    """A version by PEP 440, without its local part: a build of its own has the weaknesses of what it is built from."""
    if len(text) > _LONGEST:
        return None
    try:
        return Version(Version(text).public)
    except (InvalidVersion, ValueError):  # the second for a number of thousands of digits
        return None


def _same(one: str, other: str, key: Key) -> bool:
    if one == other:
        return True
    first, second = key(one), key(other)
    return first is not None and first == second


def _inside(found: Mapping[str, Any], mine: Any, key: Key) -> bool | None:  # noqa: ANN401 -- of either order
    """Whether a version is in a range, by the events in their order; None where that cannot be told."""
    events = [(kind, event[kind]) for event in tables(found.get("events")) for kind in _POINTS if kind in event]
    limits = [event["limit"] for event in tables(found.get("events")) if "limit" in event]
    if not any(kind == "introduced" for kind, _ in events) or not all(isinstance(text, str) for _, text in events):
        return None
    if not limits and all(event == ("introduced", "0") for event in events):
        return True  # every version there is, whatever it looks like
    places = [(kind, None if text == "0" and kind == "introduced" else key(text), text) for kind, text in events]
    if mine is None or any(place is None and text != "0" for _, place, text in places):
        return None
    if limits and "*" not in limits:
        ends = [key(text) if isinstance(text, str) else None for text in limits]
        if any(end is None for end in ends):
            return None
        if not any(mine < end for end in ends):
            return False
    inside = False
    for kind, place in _sorted(places):
        if kind == "introduced" and (place is None or mine >= place):
            inside = True
        elif (kind == "fixed" and mine >= place) or (kind == "last_affected" and mine > place):
            inside = False
    return inside


def _sorted(places: Sequence[tuple[str, Any, str]]) -> list[tuple[str, Any]]:
    """Events by their versions; of one version in the order that they are told in. "0" is before every version."""
    first = [(kind, place) for kind, place, _ in places if place is None]
    later = sorted(((kind, place) for kind, place, _ in places if place is not None), key=lambda event: event[1])
    return [*first, *later]


def _fixed(ranges: Sequence[Mapping[str, Any]], mine: Any, key: Key) -> tuple[str, ...]:  # noqa: ANN401 -- the same
    """The next version that mends it, of each range."""
    found = []
    for one in ranges if mine is not None else ():
        if one.get("type") not in _ORDERED:
            continue
        told = [event["fixed"] for event in tables(one.get("events")) if isinstance(event.get("fixed"), str)]
        later = [(place, text) for text in told if (place := key(text)) is not None and place > mine]
        if later:
            found.append(min(later, key=lambda pair: pair[0])[1])
    return tuple(dict.fromkeys(found))
