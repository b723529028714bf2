"""What is wrong with a path of a cache: its narinfo, its NAR, the log and the record, held against each other.

Pure: what was seen goes in, what is wrong comes out. Each kind has its own meaning:

missing    logged or recorded, and not in the cache: collected, or deleted
extra      in the cache, with no signature that counts, and known to neither log nor record
rewritten  not what was logged, and no trusted key signed it so
resigned   not what was logged, under a valid signature of a trusted key: Nix would take it
unlogged   in the cache, signed or recorded, and not in the log
unsigned   what was logged, without a valid signature of a trusted key
conflict   the log has several contents for it: two builds gave different bytes
recorded   cache and log agree, and the project's record has other bytes
unread     its narinfo or NAR could not be read now, so nothing can be said
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from nixgen.cache.entry import Entry
from nixgen.cache.narinfo import NarInfo, PublicKey
from nixgen.check.model import ClosurePath
from nixgen.errors import Finding, MachineError, NixgenError, Problem

_SHOWN = 5  # names of a sentence

Kind = Literal["missing", "extra", "rewritten", "resigned", "unlogged", "unsigned", "conflict", "recorded", "unread"]


@dataclass(frozen=True, slots=True)
class Nar:
    """A NAR as the cache gives it, unpacked: its hash (SRI text) and size; or why it cannot be had.

    ``lost`` says that there is none. ``why`` is a clause that begins with a verb, empty where the NAR was read;
    ``file`` is one about its file, where the NAR is fine and the file is not what the narinfo calls it; ``unread`` is
    what the machine said where it could not be asked for.
    """

    nar_hash: str = ""
    nar_size: int = 0
    lost: bool = False
    why: str = ""
    file: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What a cache holds of a path. ``info`` is None where there is no narinfo, or one that is none (``why``).

    ``nar`` is None where it was not read; ``unread`` is what the machine said where the narinfo could not be.
    """

    name: str
    info: NarInfo | None = None
    nar: Nar | None = None
    why: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Anomaly:
    """One thing that is wrong. ``path`` is "<hash>-<name>", ``what`` a sentence without a full stop about it."""

    path: str
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class _Content:
    """What the log, the record and a narinfo all say of a path."""

    nar_hash: str
    nar_size: int
    references: tuple[str, ...]


def anomalies(
    seen: Held, logged: Sequence[Entry], recorded: ClosurePath | None, keys: Sequence[PublicKey]
) -> tuple[Anomaly, ...]:
    """All that is wrong with one path.

    ``logged`` are the log's entries for it in their order, of which the first counts; ``keys`` those that are trusted.
    """
    found: list[tuple[Kind, str]] = []
    known = _content(logged[0]) if logged else None
    if len({_content(entry) for entry in logged}) > 1:
        hashes = " and ".join(dict.fromkeys(entry.nar_hash for entry in logged))
        found.append(("conflict", f"has several contents in the log ({hashes}): it was built twice, differently"))
    if seen.unread:
        found.append(("unread", f"has a narinfo that cannot be read: {seen.unread}"))
    elif seen.why:
        found.append(("rewritten", f"has a narinfo that {seen.why}"))
    elif seen.info is None:
        if known or recorded:
            where = "is in the log" if known else "is in the record, not in the log"
            found.append(("missing", f"{where}, and the cache does not have it: it was collected or deleted"))
    else:
        found += _present(seen.info, seen.nar, known, recorded, keys)
    return tuple(Anomaly(seen.name, kind, what) for kind, what in found)


def _present(
    info: NarInfo,
    nar: Nar | None,
    known: _Content | None,
    recorded: ClosurePath | None,
    keys: Sequence[PublicKey],
) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    says = _Content(info.nar_hash, info.nar_size, info.references)
    signer = next((key for key in keys if key.signed(info)), None)
    if known is None:
        found.append(_stranger(info, signer, keys, recorded))
    elif says != known:
        found.append(_other(info, says, known, signer, keys))
    elif signer is None:
        found.append(("unsigned", _unsigned(info, keys)))
    found += _bytes(nar, says, known) if nar is not None else []
    if recorded is not None and known in {None, says}:
        wanted = _Content(recorded.nar_hash, recorded.nar_size, recorded.references)
        if says != wanted:
            found.append(("recorded", f"is not what the record has: {difference(says, wanted)}"))
    return found


def _stranger(
    info: NarInfo, signer: PublicKey | None, keys: Sequence[PublicKey], recorded: ClosurePath | None
) -> tuple[Kind, str]:
    if signer is not None:
        return "unlogged", f"is signed with {signer.name}, so Nix takes it, and is not in the log"
    if recorded is not None:
        return "unlogged", f"is in the record and not in the log, and {_unsigned(info, keys)}"
    return "extra", f"is known to neither the log nor the record, and {_unsigned(info, keys)}"


def _other(
    info: NarInfo, says: _Content, known: _Content, signer: PublicKey | None, keys: Sequence[PublicKey]
) -> tuple[Kind, str]:
    how = difference(says, known)
    if signer is not None:
        return "resigned", f"is not what was logged, and was signed anew with {signer.name}, so Nix takes it: {how}"
    return "rewritten", f"has a narinfo that is not what was logged, and {_unsigned(info, keys)}: {how}"


def _bytes(nar: Nar, says: _Content, known: _Content | None) -> list[tuple[Kind, str]]:
    if nar.unread:
        return [("unread", f"has a NAR that cannot be read: {nar.unread}")]
    if (nar.nar_hash, nar.nar_size) == (says.nar_hash, says.nar_size):
        return [("rewritten", f"has a NAR that {nar.file}")] if nar.file and known in {None, says} else []
    if nar.lost:
        return [("missing", "has a narinfo in the cache and no NAR: that was collected or deleted")]
    return [("rewritten", f"has {_rewritten(nar, says, known)}")]


def _rewritten(nar: Nar, says: _Content, known: _Content | None) -> str:
    if nar.why:
        return f"a NAR that {nar.why}"
    if nar.nar_hash == says.nar_hash:
        return f"a NAR of {nar.nar_size} bytes, and its narinfo says {says.nar_size}"
    if known is not None and nar.nar_hash == known.nar_hash:
        return "the NAR that was logged, and a narinfo that is not its own: Nix refuses it"
    hashes = f"NAR hash {nar.nar_hash}, not {says.nar_hash}"
    return f"a NAR that is not what its narinfo says, so Nix refuses it: {hashes}"


def _unsigned(info: NarInfo, keys: Sequence[PublicKey]) -> str:
    """Why no trusted key counts, as a clause."""
    if not info.signatures:
        return "has no signature"
    names = [signature.partition(":")[0][:80] for signature in info.signatures]
    broken = sorted({key.name for key in keys} & set(names))
    if broken:
        return f"its signature by {', '.join(broken)} does not fit"
    others = sorted(set(names))
    return f"is signed only by the untrusted key{'s' if len(others) > 1 else ''} {_some(others)}"


def difference(found: _Content | ClosurePath, wanted: _Content | ClosurePath) -> str:
    """How one content differs from another, as clauses."""
    parts = []
    if found.nar_hash != wanted.nar_hash:
        parts.append(f"NAR hash {found.nar_hash}, not {wanted.nar_hash}")
    elif found.nar_size != wanted.nar_size:
        parts.append(f"NAR size {found.nar_size}, not {wanted.nar_size}")
    more = sorted(set(found.references) - set(wanted.references))
    fewer = sorted(set(wanted.references) - set(found.references))
    if more:
        parts.append(f"refers to {_some(more)} as well")
    if fewer:
        parts.append(f"does not refer to {_some(fewer)}")
    return "; ".join(parts)


def _some(names: Sequence[str]) -> str:
    """The first names: a cache may have thousands."""
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")


def failure(problems: Iterable[Problem], anomalies: Sequence[Anomaly], paths: int) -> NixgenError:
    """The error for what is wrong: a finding, or the machine's matter where none of the paths could be read."""
    nothing = paths > 0 and sum(item.kind == "unread" for item in anomalies) == len(anomalies) == paths
    return (MachineError if nothing else Finding)(problems)


def _content(entry: Entry) -> _Content:
    return _Content(entry.nar_hash, entry.nar_size, entry.references)
