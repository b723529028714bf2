"""Entries made to order, and a store of a log in memory that can fail, be watched, and be tampered with."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence

from nixgen.cache.entry import Entry
from nixgen.log import append as appending
from nixgen.log.append import Appended
from nixgen.log.log import Log
from nixgen.log.note import Signer
from nixgen.log.seen import Seen
from nixgen.log.stores.model import LONGEST
from nixgen.nix import base32

SIGNER = Signer("example.com/log", bytes(32))
VERIFIER = SIGNER.verifier
Done = Appended[Entry]


def append(log: Log, said: Sequence[Entry], signer: Signer = SIGNER, seen: Seen[Entry] | None = None) -> Done:
    return appending.append(log, said, signer, seen or Seen(Entry))


class CrashError(Exception):
    """The process ends here."""


class Memory:
    """A store whose operations go through ``before``, which may raise or wait."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files: dict[str, bytes] = {} if files is None else files
        self.before: Callable[[str, str], None] = lambda _what, _name: None
        self.reads: list[str] = []
        self.where = "memory:log"

    def read(self, name: str, limit: int = LONGEST) -> bytes | None:
        self.before("read", name)
        self.reads.append(name)
        found = self.files.get(name)
        return None if found is None else found[:limit]

    @contextlib.contextmanager
    def stream(self, name: str) -> Iterator[Iterator[bytes] | None]:
        found = self.files.get(name)
        yield None if found is None else iter([found])

    def write(self, name: str, data: bytes) -> None:
        self.before("write", name)
        self.files[name] = data

    def create(self, name: str, data: bytes) -> bool:
        self.before("create", name)
        if name in self.files:
            return False
        self.files[name] = data
        return True

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        self.before("replace", name)
        if self.files.get(name) != old:
            return False
        self.files[name] = data
        return True

    def remove(self, name: str) -> None:
        self.before("remove", name)
        for path in [path for path in self.files if path == name or path.startswith(f"{name}/")]:
            del self.files[path]

    def exclusive(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def digest(what: object) -> bytes:
    return hashlib.sha256(str(what).encode()).digest()


def store_name(what: object, name: str) -> str:
    return "".join(base32.ALPHABET[byte % 32] for byte in digest(what)) + f"-{name}"


@functools.cache  # they are frozen, and the tests of a log ask for the same ones thousands of times
def entry(number: int, *, content: object = "", drv: bool = True) -> Entry:
    """An entry of its own for each number; ``content`` changes the path's bytes."""
    path = store_name(number, f"p{number}")
    return Entry(
        path=path,
        nar_hash="sha256-" + base64.b64encode(digest((number, content))).decode(),
        nar_size=1000 + number,
        references=tuple(sorted({path, store_name("libc", "glibc-2.40")})),
        drv=store_name((number, "drv"), f"p{number}.drv") if drv else None,
        output="out" if drv else None,
    )


def entries(start: int, end: int) -> list[Entry]:
    return [entry(number) for number in range(start, end)]


def opened(store: Memory) -> Log:
    return Log.open(store, VERIFIER)


def filled(*sizes: int) -> Memory:
    """A store with a log that was appended to in steps, up to each of these sizes."""
    store = Memory()
    for start, end in zip((0, *sizes), sizes, strict=False):
        append(opened(store), entries(start, end), SIGNER)
    return store


class Watched(Memory):
    """Its checkpoint is noted each time that it changes."""

    def __init__(self, shared: Memory, seen: list[bytes]) -> None:
        super().__init__(shared.files)
        self._seen = seen

    def create(self, name: str, data: bytes) -> bool:
        done = super().create(name, data)
        self._note(name, data, done=done)
        return done

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        done = super().replace(name, data, old)
        self._note(name, data, done=done)
        return done

    def _note(self, name: str, data: bytes, *, done: bool) -> None:
        if done and name == "checkpoint":
            self._seen.append(data)


def crashing(at: int) -> Callable[[str, str], None]:
    """Ends the process before its operation ``at`` that changes something."""
    count = 0

    def before(what: str, _name: str) -> None:
        nonlocal count
        if what != "read":
            count += 1
            if count == at:
                raise CrashError

    return before
