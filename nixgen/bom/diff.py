"""What differs between two bills of materials: of nixgen or of another tool, as long as it is CycloneDX in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixgen.bom.purl import unversioned
from nixgen.console import visible
from nixgen.errors import MachineError, UserError
from nixgen.formats import foreign, jsontext, strictjson
from nixgen.machine import files

JSON_VERSION = 1
_MEND = "make one: nixgen sbom --out sbom.json"
_SHOWN = 12  # digits of a hash
_HASHES = frozenset({"nixgen:narHash", "nixgen:contentHash"})


@dataclass(frozen=True, slots=True)
class Part:
    """What is compared of a component: its name, its versions and its hashes, each by where it is from."""

    name: str
    versions: tuple[str, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A component on both sides; ``None`` on the side that does not have it."""

    old: Part | None
    new: Part | None

    @property
    def name(self) -> str:
        """What it is called."""
        part = self.new or self.old
        return part.name if part is not None else ""


def read(path: Path) -> dict[str, Any]:
    """A document of CycloneDX. Raises UserError for what is none, MachineError for what cannot be read."""
    try:
        text = files.contents(path).decode()
    except FileNotFoundError:
        raise UserError.of(str(path), "is not there", _MEND) from None
    except UnicodeDecodeError:
        raise UserError.of(str(path), "is not UTF-8 text", _MEND) from None
    except OSError as error:
        raise MachineError.of(str(path), f"cannot be read: {error.strerror or error}") from None
    found = strictjson.document(text, str(path), "a bill of materials", _MEND)
    if not isinstance(found, dict) or found.get("bomFormat") != "CycloneDX":
        raise UserError.of(str(path), 'is not a CycloneDX document in JSON ("bomFormat" does not say so)', _MEND)
    if not isinstance(found.get("components", []), list):
        raise UserError.of(f"{path}: components", "is not a list", _MEND)
    return found


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """What differs, sorted by name."""
    before, after = _parts(old), _parts(new)
    found = [Change(before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)]
    return tuple(sorted(found, key=lambda one: (one.name, repr(one))))


def as_text(found: tuple[Change, ...]) -> str:
    """A line for each change: added, removed, then what changed."""
    lines: list[str] = []
    lines += [f"+ {_named(one.new)}" for one in found if one.new is not None and one.old is None]
    lines += [f"- {_named(one.old)}" for one in found if one.old is not None and one.new is None]
    lines += [
        f"~ {one.name} {_change(one.old, one.new)}" for one in found if one.old is not None and one.new is not None
    ]
    added = sum(one.old is None for one in found)
    removed = sum(one.new is None for one in found)
    if not found:
        return "no differences"
    return "\n".join([*lines, f"{added} added, {removed} removed, {len(found) - added - removed} changed"])


def as_json(found: tuple[Change, ...]) -> str:
    """The same for programs."""

    def told(part: Part) -> dict[str, Any]:
        return {"versions": list(part.versions), "hashes": list(part.hashes)}

    return jsontext.dumps(
        {
            "version": JSON_VERSION,
            "added": [{"name": one.name, **told(one.new)} for one in found if one.new and not one.old],
            "removed": [{"name": one.name, **told(one.old)} for one in found if one.old and not one.new],
            "changed": [
                {"name": one.name, "old": told(one.old), "new": told(one.new)} for one in found if one.old and one.new
            ],
        }
    )


def _named(part: Part) -> str:
    return visible(f"{part.name} {', '.join(part.versions)}".rstrip())


def _change(old: Part, new: Part) -> str:
    if old.versions != new.versions:
        return visible(f"{', '.join(old.versions) or '?'} -> {', '.join(new.versions) or '?'}")
    gone, come = sorted({*old.hashes} - {*new.hashes}), sorted({*new.hashes} - {*old.hashes})
    shown = visible(f"{', '.join(new.versions)}: other bytes")
    return f"{shown} ({_short(gone)} -> {_short(come)})"


def _short(hashes: list[str]) -> str:
    more = f" and {len(hashes) - 1} more" if len(hashes) > 1 else ""
    return visible(f"{hashes[0].removeprefix('sha256-')[:_SHOWN]}{more}") if hashes else "no hash"


def _parts(document: Mapping[str, Any]) -> dict[tuple[str, str], Part]:
    """The components by what they are called in every version; the several versions of one are together."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in foreign.tables(document.get("components")):
        address = one.get("purl")
        name, kind = str(one.get("name", "")), str(one.get("type", ""))
        key = ("purl", unversioned(address)) if isinstance(address, str) and address else (kind, name)
        found.setdefault(key, []).append(one)
    return {
        key: Part(
            str(some[0].get("name", "")),
            tuple(sorted({str(one["version"]) for one in some if one.get("version")})),
            tuple(sorted({digest for one in some for digest in _digests(one)})),
        )
        for key, some in found.items()
    }


def _digests(one: Mapping[str, Any]) -> set[str]:
    entries = [*foreign.tables(one.get("hashes"))]
    for other in (*foreign.tables(one.get("externalReferences")), *foreign.tables(one.get("components"))):
        entries += foreign.tables(other.get("hashes"))
    found = {str(entry["content"]) for entry in entries if isinstance(entry.get("content"), str)}
    told = foreign.tables(one.get("properties"))
    return found | {str(pair.get("value", "")) for pair in told if pair.get("name") in _HASHES}
