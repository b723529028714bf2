"""An append-only log of entries: reading it, proving what it says, and finding out that it was tampered with.

What is read from the store is never believed: it counts when it leads to the root of a checkpoint that the log's key
signed. What was recorded earlier (in nixgen.lock) must be the beginning of what is there now.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from nixgen.log import merkle
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.findings import LogFinding, Proof, forked, replayed, shortened, unsigned
from nixgen.log.note import LONGEST, NoteError, Verifier
from nixgen.log.stores.model import Storage
from nixgen.log.tiles import CHECKPOINT, WIDTH, Tiles


class Log:
    """A log as its store shows it now. A log that nobody has appended to has no checkpoint, and the size 0."""

    def __init__(self, storage: Storage, verifier: Verifier, checkpoint: Checkpoint | None) -> None:
        self.storage = storage
        self.verifier = verifier
        self._checkpoint = checkpoint
        self.tiles = Tiles(storage, checkpoint.size if checkpoint else 0, self.root)

    @classmethod
    def open(cls, storage: Storage, verifier: Verifier, recorded: Checkpoint | None = None) -> Self:
        """Reads the checkpoint; with ``recorded``, it must go on from that one.

        Raises LogFinding (not signed by ``verifier``, shortened, forked, replayed, damaged), MachineError.
        """
        log = cls(storage, verifier, read_checkpoint(storage, verifier))
        if recorded is not None:
            log.check(recorded)
        return log

    def checkpoint(self) -> Checkpoint | None:
        """The log's last checkpoint; None when it has none yet."""
        return self._checkpoint

    @property
    def size(self) -> int:
        """How many entries the checkpoint is over."""
        return self.tiles.size

    @property
    def root(self) -> bytes:
        """The root hash of the checkpoint."""
        return self._checkpoint.root if self._checkpoint else merkle.EMPTY

    def lines(self, start: int = 0) -> Iterator[bytes]:
        """The entries' lines from ``start`` on, in order; each bundle is checked before one of its lines is given.

        Raises LogFinding for lines that do not belong to the checkpoint.
        """
        for number in range(start // WIDTH, -(-self.size // WIDTH)):
            yield from self.tiles.lines(number)[max(0, start - number * WIDTH) :]

    def line(self, index: int) -> bytes:
        """The line of one entry. Raises IndexError, LogFinding."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        return self.tiles.lines(index // WIDTH)[index % WIDTH]

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The proof that the entry ``index`` is in the log as the checkpoint has it (RFC 6962, 2.1.1)."""
        return merkle.inclusion(index, self.size, self.tiles.perfect)

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the log of ``new`` entries (all, if not given) begins with that of ``old`` (2.1.2)."""
        size = self.size if new is None else new
        if size > self.size:
            raise ValueError(f"the log has {self.size} entries, not {size}")
        return merkle.consistency(old, size, self.tiles.perfect)

    def check(self, recorded: Checkpoint) -> None:
        """That this log goes on from a checkpoint of earlier. Raises LogFinding with the proof when it does not.

        ``recorded`` must be signed by the log's key: what is not is no proof against anybody.
        """
        try:
            known = Checkpoint.opened(recorded.note.encode(), self.verifier)
        except NoteError as error:
            raise unsigned("the recorded checkpoint", str(error)) from None
        if known != recorded:
            raise unsigned("the recorded checkpoint", "is not what its own signed text says")
        if self._checkpoint is None:
            if known.size:
                raise shortened(self.storage.where, Proof(known, None))
            return
        if known.size > self.size:
            raise self._behind(known, self._checkpoint)
        if known.size == self.size:
            if known.root != self.root:
                raise forked(self.storage.where, Proof(known, self._checkpoint))
        elif known.size:
            self._continues(known, self._checkpoint)

    def renew(self) -> None:
        """Reads the checkpoint again, which must go on from the one before."""
        now = Log(self.storage, self.verifier, read_checkpoint(self.storage, self.verifier))
        if self._checkpoint is not None:
            now.check(self._checkpoint)
        self._checkpoint = now._checkpoint
        self.tiles = now.tiles

    def _continues(self, known: Checkpoint, found: Checkpoint) -> None:
        if (before := self.tiles.root(known.size)) != known.root:
            raise forked(self.storage.where, Proof(known, found, self.consistency(known.size), before))

    def _behind(self, known: Checkpoint, found: Checkpoint) -> LogFinding:
        """What it is when the checkpoint is over fewer entries than the recorded one."""
        whole = Tiles(self.storage, known.size, known.root)
        try:
            before = whole.root(found.size)
            hashes = merkle.consistency(found.size, known.size, whole.perfect) if found.size else ()
        except LogFinding:
            # The tiles of the recorded log are not there any more.
            return shortened(self.storage.where, Proof(known, found))
        proof = Proof(known, found, hashes, before)
        return (replayed if before == found.root else forked)(self.storage.where, proof)


def read_checkpoint(storage: Storage, verifier: Verifier) -> Checkpoint | None:
    """The checkpoint that a store shows, its signature checked; None when there is none. Raises LogFinding."""
    data = storage.read(CHECKPOINT, LONGEST + 1)
    if data is None:
        return None
    try:
        return Checkpoint.opened(data, verifier)
    except NoteError as error:
        raise unsigned(f"{storage.where}: {CHECKPOINT}", str(error)) from None
