"""Whether nixgen.lock is of the settings that the project has now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nixgen.bases.model import DebianBase, NixpkgsBase
from nixgen.errors import Problem

if TYPE_CHECKING:
    from nixgen.lock.model import Lock
    from nixgen.project.settings import Settings

_LOCK = "nixgen.lock"
_MEND = "nixgen sync"


def problems(settings: Settings, lock: Lock) -> list[Problem]:
    """In what nixgen.lock was made for other settings than those of now; the last says what mends all of them."""
    base = lock.base
    pairs: list[tuple[str, object, object]] = []
    if settings.base != base.kind:
        pairs = [("base", settings.base, base.kind)]
    else:
        pairs = [("python", settings.python or base.python, base.python)]
        if isinstance(base, NixpkgsBase) and base.python_full:
            pairs.append(("python", settings.python_full or base.python_full, base.python_full))
        pairs += [("libraries", sorted(settings.libraries), sorted(base.libraries))]
        pairs += [("tools", sorted(settings.tools), sorted(base.tools))]
    if settings.base == base.kind and lock.builds.sources:
        pairs += [("build-libraries", list(settings.build_libraries), list(base.build_libraries))]
        pairs += [("build-tools", list(settings.build_tools), list(base.build_tools))]
    if isinstance(base, DebianBase) and settings.base == base.kind:
        pairs += [("suite", settings.suite or base.suite, base.suite)]
        pinned = {entry.system for entry in base.bootstrap}
        unpinned = [system for system in settings.systems or () if system not in pinned]
        pairs += [("systems", system, ", ".join(sorted(pinned))) for system in unpinned]
    if isinstance(base, NixpkgsBase) and settings.base == base.kind:
        pairs.append(("unfree", settings.unfree, base.unfree))
        pin = settings.nixpkgs
        if isinstance(pin, str):
            pairs.append(("nixpkgs", pin, base.name))
        elif pin is not None:
            pairs.append(("nixpkgs", f"{pin['rev']} with {pin['narHash']}", f"{base.rev} with {base.nar_hash}"))
    found = [
        Problem(_LOCK, f"was made for {key} {_shown(locked)}, and the settings say {_shown(wanted)}")
        for key, wanted, locked in pairs
        if wanted != locked
    ]
    return [*found[:-1], *(replace(one, mend=_MEND) for one in found[-1:])]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)
