"""What workers leave beside a cache: for each path that one published, a signed note of its bytes.

A receipt is made before its path is uploaded, by a write that succeeds for one of several who try at once. So the first
one decides what the path's bytes are, and none with others is ever published, however many workers build it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from nixgen.cache import place as places
from nixgen.cache.contents import ahead
from nixgen.cache.entry import LONGEST, Entry
from nixgen.cache.place import Place
from nixgen.errors import Problem
from nixgen.log.entry import EntryError
from nixgen.log.note import Note, NoteError, Signer, Verifier
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage

FOLDER = "nixgen-fleet"
"""The folder of the receipts, beside the cache's files."""

_HEAD = "nixgen fleet built\n"
_AT_ONCE = 16
_DIGITS = 32  # of a path's hash
_OTHERS = "find out which build differs: nixgen check --rebuild; then remove the receipt of the wrong one"


@dataclass(frozen=True, slots=True)
class Receipts:
    """The receipts of a cache, and the keys that workers sign them with."""

    storage: Storage
    workers: tuple[Verifier, ...]

    @classmethod
    def of(cls, place: Place, workers: Iterable[Verifier]) -> Receipts:
        """Those of a cache. Raises UserError for one that has no place for files."""
        return cls(open_storage(places.beside(place.url, FOLDER)), tuple(workers))

    def claim(self, entries: Sequence[Entry], signer: Signer) -> list[Problem]:
        """Leaves a receipt for each path, where none is there; what is there with other bytes is a problem."""

        def one(entry: Entry) -> Problem | None:
            data = signer.sign(f"{_HEAD}{entry.line().decode('ascii')}\n").encode()
            if self.storage.create(_file(entry.path), data):
                return None
            there = self.read(entry.path)
            if isinstance(there, Entry) and there.content() == entry.content():
                return None
            if isinstance(there, Entry):
                what = f"was built with other bytes before: NAR hash {there.nar_hash}, here it is {entry.nar_hash}"
                return Problem(entry.path, what, _OTHERS)
            return there or Problem(entry.path, "has a receipt that comes and goes", "run the command again")

        return [problem for problem in ahead(one, entries, _AT_ONCE) if problem is not None]

    def read(self, name: str) -> Entry | Problem | None:
        """The receipt of a path; None where there is none, a problem where no worker of the fleet signed it."""
        file = _file(name)
        data = self.storage.read(file, 2 * LONGEST)
        if data is None:
            return None
        where = f"{self.storage.where}/{file}"
        mend = "find out who wrote it; then remove it"
        for worker in self.workers:
            try:
                text = Note.parse(data).verified(worker)
                entry = Entry.parse(text.removeprefix(_HEAD).removesuffix("\n").encode())
            except (NoteError, EntryError) as error:
                why = str(error)
            else:
                if entry.path == name and text.startswith(_HEAD) and not entry.conflict:
                    return entry
                why = "is of another path"
        return Problem(where, f"{why}: it does not count", mend)

    def closure(self, names: Iterable[str]) -> Iterator[tuple[str, Entry | Problem | None]]:
        """The receipts of paths and of all that they refer to, as the receipts say; each once."""
        seen: set[str] = set()
        front = sorted(set(names))
        while front:
            seen.update(front)
            found = list(zip(front, ahead(self.read, front, _AT_ONCE), strict=True))
            yield from found
            more = {name for _, one in found if isinstance(one, Entry) for name in one.references}
            front = sorted(more - seen)


def _file(name: str) -> str:
    return f"{name[:_DIGITS]}.receipt"
