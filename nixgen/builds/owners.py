"""Whose a file is that Nix fetches for builds: what to call it when it cannot be fetched, or is another one now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from nixgen.bases.model import Base, DebianBase
from nixgen.builds import use
from nixgen.nix.failures import Owner

_ANEW = "nixgen lock --upgrade && nixgen sync"


def of_base(base: Base) -> dict[str, Owner]:
    """Each package of the debian base, by its SHA-256."""
    debs = base.debs if isinstance(base, DebianBase) else ()
    return {deb.sha256: Owner(f"Debian's {deb.name} {deb.version}", "nixgen.lock", _ANEW) for deb in debs}


def of_build(row: Mapping[str, object]) -> dict[str, Owner]:
    """What a build, or a wheel that only builds need, is made from, its crates included; no folder of the project."""
    what = f"{row['name']} {row['version']}"
    crates = cast("Iterable[Mapping[str, str]]", row.get("crates", ()))
    found = {
        one["sha256"]: Owner(f"the crate {one['name']} {one['version']} of {row['name']}", "nixgen.lock", _ANEW)
        for one in crates
    }
    own = Owner(what, "nixgen.lock", _ANEW, "nixgen lock")
    if "folder" not in row:
        needed = Owner(f"{what}, which a build needs", "nixgen.lock", _ANEW)
        found[use.source_hash(row)] = own if "git" in row else needed
    return found


def of_source(name: str, version: str | None) -> Owner:
    """The owner of a file of uv.lock."""
    what = " ".join(filter(None, (name, version)))
    return Owner(what, "uv.lock", f"nixgen upgrade {name}")


def of_rows(sources: Iterable[Mapping[str, object]], others: Iterable[Mapping[str, object]]) -> dict[str, Owner]:
    """The owners of rows that are asked about: ``sources`` of the project, and ``others`` that only builds need."""
    found: dict[str, Owner] = {}
    for row in others:
        found |= of_build(row)
    for row in sources:
        if not {"git", "folder"} & row.keys():
            found[use.source_hash(row)] = of_source(str(row["name"]), str(row["version"]))
    return found
