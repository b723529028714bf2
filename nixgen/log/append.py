"""Adding to a log, so that a crash at any write leaves the old checkpoint valid, and several may append at once.

An append is announced first: the file ``pending/N``, where N is the log's size, has the new entries and the root that
they lead to, signed. It is created only where there is none, so one of several wins. Then its tiles are written, then
the checkpoint is replaced, then the announcement is removed. Whoever finds an announcement for the log's present size
does the rest of it first; both write the same bytes, so it does not matter who is faster, or died. An announcement
counts only when the checkpoint, read after it, is still that of size N: one that is late is dropped by its writer.

Folders are locked as well, but not every file system and no bucket can do that.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from nixgen.errors import MachineError, UserError
from nixgen.log import merkle
from nixgen.log.checkpoint import Checkpoint, root_text
from nixgen.log.entry import E, Entry, EntryError
from nixgen.log.findings import damaged
from nixgen.log.log import Log
from nixgen.log.note import LONGEST, Note, NoteError, Signer, Verifier
from nixgen.log.seen import Seen
from nixgen.log.tiles import BUNDLE, CHECKPOINT, WIDTH, Tiles, filled, grown

_TRIES = 50
_PENDING = BUNDLE + (64 << 10)  # bytes of an announcement: its lines, and the signed text above them
_PAUSE = 0.2  # seconds, at most, before it is tried again
_TEXT = re.compile(r"nixgen append to ([^\n]+)\n([0-9]+)\n([0-9]+)\n([A-Za-z0-9+/=]{44})\n")


@dataclass(frozen=True, slots=True)
class Announcement:
    """An append that is under way: from ``old`` entries to ``size``, whose root will be ``root`` (base64)."""

    old: int
    size: int
    root: str
    lines: tuple[bytes, ...]

    def data(self, signer: Signer) -> bytes:
        """Its file: a note, an empty line, the entries' lines."""
        note = signer.sign(f"nixgen append to {signer.name}\n{self.old}\n{self.size}\n{self.root}\n")
        return note.encode() + b"\n" + b"".join(line + b"\n" for line in self.lines)

    @classmethod
    def parse(cls, data: bytes, verifier: Verifier) -> Announcement | None:
        """The announcement, when the log's key signed it; None for anything else."""
        text, _, rest = data.partition(b"\n\n")
        signatures, _, lines = rest.partition(b"\n\n")
        try:
            matched = _TEXT.fullmatch(Note.parse(text + b"\n\n" + signatures + b"\n").verified(verifier))
        except NoteError:
            return None
        if matched is None or matched[1] != verifier.name or not lines.endswith(b"\n"):
            return None
        old, size = int(matched[2]), int(matched[3])
        if lines.count(b"\n") != size - old:
            return None
        return cls(old, size, matched[4], tuple(lines[:-1].split(b"\n")))


@dataclass(frozen=True, slots=True)
class Appended(Generic[E]):
    """What an append did: the log's checkpoint now, the entries that are new in it, and those in conflict.

    ``conflicts`` are among those that were given: the log has another content under one of their keys. They are in the
    log, too, each once, with ``conflict`` set.
    """

    checkpoint: Checkpoint
    added: tuple[E, ...] = ()
    conflicts: tuple[E, ...] = ()


def append(log: Log, entries: Sequence[E], signer: Signer, seen: Seen[E]) -> Appended[E]:
    """Adds entries that the log does not have yet, and signs the new checkpoint, which ``log`` has afterwards.

    ``seen`` is what is remembered of the log. Several may append at once, and a crash at any moment leaves the log as
    it was before or as it is after. Raises UserError for a key that is not the log's or an impossible entry,
    LogFinding, MachineError.
    """
    if signer.verifier != log.verifier:
        raise UserError.of("", f"the key of {signer.name} is not the log's, which is {log.verifier}", "use the log's")
    for entry in entries:
        _possible(entry)
    done: list[E] = []
    told: tuple[E, ...] = ()
    with log.storage.exclusive():
        tries = _TRIES
        while tries:
            log.renew()
            name = f"pending/{log.size}"
            found = log.storage.read(name, _PENDING + 1)
            if found is not None and len(found) > _PENDING:
                raise damaged(f"{log.storage.where}: {name}", "is longer than any append")
            theirs = Announcement.parse(found, log.verifier) if found is not None else None
            if theirs is not None and _finish(log, theirs, signer):
                tries -= 1
                continue
            seen.update(log)
            added, conflicts = seen.select(entries)
            conflicts = told + tuple(entry for entry in conflicts if entry not in told)
            if not added:
                return Appended(_begun(log, signer), tuple(done), conflicts)
            some = added[: _at_once(log, added)]
            ours = _announcement(log, some)
            data = ours.data(signer)
            taken = log.storage.create(name, data) if found is None else log.storage.replace(name, data, found)
            if taken and _finish(log, ours, signer):
                done += some
                if len(some) < len(added):
                    told = conflicts
                    continue
                log.renew()
                return Appended(_begun(log, signer), tuple(done), conflicts)
            tries -= 1
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 -- no secret
    what = f"gave up after {_TRIES} conflicting appends"
    raise MachineError.of(log.storage.where, what, "run the command again")


def _at_once(log: Log, added: Sequence[Entry]) -> int:
    """How many of the entries one append takes: what it writes must be short enough to be read again."""
    rest = log.size % WIDTH
    bundle = sum(len(line) + 1 for line in log.lines(log.size - rest)) if rest else 0
    total = 0
    for count, entry in enumerate(added):
        length = len(entry.line()) + 1
        bundle = length + (bundle if (rest + count) % WIDTH else 0)
        total += length
        if bundle > BUNDLE or total > BUNDLE:
            if count == 0:
                what = f"cannot be logged: the {WIDTH} entries that lie together have more than {BUNDLE >> 20} MiB"
                raise UserError.of(entry.name, what, "log it later, when others have been logged")
            return count
    return len(added)


def _announcement(log: Log, added: Sequence[Entry]) -> Announcement:
    lines = tuple(entry.line() for entry in added)
    size = log.size + len(lines)
    root = Tiles(log.storage, size, None, grown(log.tiles, lines)).root()
    return Announcement(log.size, size, root_text(root), lines)


def _finish(log: Log, what: Announcement, signer: Signer) -> bool:
    """Does what is announced for the log as it was read. False when it is not for this log, or came too late."""
    if what.old != log.size or what.size != what.old + len(what.lines):
        return False
    files = grown(log.tiles, what.lines)
    root = Tiles(log.storage, what.size, None, files).root()
    if root_text(root) != what.root:
        return False
    name = f"pending/{what.old}"
    before = log.checkpoint()
    old = before.note.encode() if before else None
    if log.storage.read(CHECKPOINT, LONGEST + 1) != old:
        log.storage.remove(name)  # only an announcement for the present size counts, and nobody acts on this one
        return False
    for path, data in files.items():
        log.storage.write(path, data)
    new = Checkpoint.signed(signer, what.size, root).note.encode()
    if old is None:
        log.storage.create(CHECKPOINT, new)
    else:
        log.storage.replace(CHECKPOINT, new, old)  # where it fails, somebody else did the same
    log.storage.remove(name)
    for path in filled(files):
        log.storage.remove(path)
    return True


def _begun(log: Log, signer: Signer) -> Checkpoint:
    """The log's checkpoint; an empty log gets one."""
    found = log.checkpoint()
    if found is None:
        log.storage.create(CHECKPOINT, Checkpoint.signed(signer, 0, merkle.EMPTY).note.encode())
        log.renew()
        found = log.checkpoint()
    if found is None:
        raise MachineError.of(log.storage.where, "does not give what was written to it", "check the store")
    return found


def _possible(entry: Entry) -> None:
    try:
        parsed = type(entry).parse(entry.line())
    except EntryError as error:
        raise UserError.of(entry.name, f"cannot be logged: it {error}") from None
    if parsed.conflict:
        raise UserError.of(entry.name, "cannot be logged: whether it is in conflict is for the log to say")
