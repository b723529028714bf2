"""What became of the base's pins: sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nixgen.bases.debian.suites import suite_title
from nixgen.bases.model import Base, Deb, DebianBase, NixpkgsBase
from nixgen.console import size


def summary(old: Base | None, new: Base) -> Iterator[str]:
    """What is pinned now, and what became of the pins before, in sentences and one line for each change."""
    if isinstance(new, NixpkgsBase):
        yield f"Pinned nixpkgs {new.name} at {new.rev[:12]} (glibc {new.glibc}), Python {new.python}."
        if isinstance(old, NixpkgsBase) and old.rev != new.rev:
            yield f"  nixpkgs: {old.rev[:12]} → {new.rev[:12]}"
        return
    for system in sorted({deb.system for deb in new.debs}):
        debs = [deb for deb in new.debs if deb.system == system]
        yield (
            f"Pinned {suite_title(new.suite)} for {system}: {len(debs)} packages, "
            f"{size(sum(deb.size for deb in debs))}, Python {new.python}, glibc {new.glibc}."
        )
    if isinstance(old, DebianBase):
        choices = [("Debian", old.suite, new.suite), ("Python", old.python, new.python)]
        changed = [f"{what} {was} → {now}" for what, was, now in choices if was != now]
        if changed:
            yield f"  {', '.join(changed)}: {counted(old.debs, new.debs)}."
        else:
            yield from differences(old.debs, new.debs)


def differences(old: Sequence[Deb], new: Sequence[Deb]) -> Iterator[str]:
    """One line for each package that is new, gone or has another version, with the systems that this is so for."""
    before = {(deb.name, deb.system): deb.version for deb in old}
    after = {(deb.name, deb.system): deb.version for deb in new}
    changes: dict[tuple[str, str], list[str]] = {}
    for name, system in sorted(before.keys() | after.keys()):
        was, now = before.get((name, system)), after.get((name, system))
        if was is None:
            changes.setdefault((name, f"new, {now}"), []).append(system)
        elif now is None:
            changes.setdefault((name, f"gone, was {was}"), []).append(system)
        elif was != now:
            changes.setdefault((name, f"{was} → {now}"), []).append(system)
    for (name, change), systems in changes.items():
        yield f"  {name}: {change} ({', '.join(systems)})"


def counted(old: Sequence[Deb], new: Sequence[Deb]) -> str:
    """The same in numbers: a base of another suite or Python shares next to nothing with the one before."""
    before = {(deb.name, deb.system): deb.version for deb in old}
    names, was = {deb.name for deb in new}, {deb.name for deb in old}
    another = {deb.name for deb in new if before.get((deb.name, deb.system), deb.version) != deb.version}
    counts = [
        (len(another), "has another version", "have another version"),
        (len(names - was), "is new", "are new"),
        (len(was - names), "is gone", "are gone"),
    ]
    told = [(count, one if count == 1 else several) for count, one, several in counts if count]
    if not told:
        return "the same packages"
    (count, what), *rest = told
    first = f"{count} package{'' if count == 1 else 's'} {what}"
    return ", ".join([first, *(f"{count} {what}" for count, what in rest)])
