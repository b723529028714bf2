"""What a cache has: its narinfos, read anew each time, and its NARs, as Nix unpacks them.

Nix remembers narinfos of caches that it reached over a network for weeks. Whether they are still so is the question
here, so nothing of that is used.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from nixgen.cache import narinfo
from nixgen.cache.anomalies import Held, Nar
from nixgen.cache.copying import FRESH, reach
from nixgen.cache.narinfo import STORE, NarInfo, base, whole
from nixgen.cache.place import Place
from nixgen.errors import Finding, MachineError
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage
from nixgen.machine import process
from nixgen.nix.tools import Nix, PathInfo

_AT_ONCE = 16  # narinfos that are asked for at once
_LONGEST = 1 << 20  # bytes of a narinfo: twenty thousand references
_SLACK = 1 << 20  # bytes that a packed NAR may have more than an unpacked one
_HASH = 32  # digits of a path's hash
_INSIDE = re.compile(r"(?:(?!\.\.?/)[\w+.~=@,-]+/)*(?!\.\.?$)[\w+.~=@,-]+", re.ASCII)  # where a NAR may lie in it
_NARINFO = re.compile(r"([0-9a-df-np-sv-z]{32})\.narinfo")
_LOST = re.compile(r"does not exist in binary cache|is not valid|HTTP error (?:404|410)")
# What Nix 2.8 and 2.34 say of a NAR's file that is not what its narinfo calls it.
_BROKEN = re.compile(
    r"input compression not recognized|failed to read compressed data|failed to open archive|"
    r"failed to get libarchive filter|(?:error )?while decompressing",
    re.IGNORECASE,
)
# What they say of a narinfo that they cannot read, and of one whose URL is no place in a cache.
_REFUSED = re.compile(
    r"NAR info file .* is corrupt|.*(?:valid store path|contains illegal character)|not a content address|"
    r"invalid character in Base64|"
    r"local binary cache path .* must not|.*: (?:Is a directory|Too many levels of symbolic)"
)

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Contents(Protocol):
    """A cache's paths, by name ("<hash>-<name>") or, where that is not known, by the hash alone.

    Whoever writes a cache's files may have written anything: only a few paths are held at once.
    """

    @property
    def nix(self) -> Nix:
        """Nix on this store."""
        ...

    def listed(self) -> frozenset[str] | None:
        """The hashes of all paths; None where a cache of this kind cannot be listed."""
        ...

    def look(self, names: Iterable[str]) -> Iterator[Held]:
        """What the cache says of each path, in the order of the names, which may be endless."""
        ...

    def nar(self, info: NarInfo, limit: int) -> Nar:
        """A path's NAR, read whole, unless it has more than ``limit`` bytes."""
        ...

    def lost(self, info: NarInfo) -> bool:
        """Whether there is no NAR behind a narinfo."""
        ...

    def forget(self, info: NarInfo) -> None:
        """Removes a narinfo."""
        ...


def open_contents(place: Place) -> Contents:
    """The contents of a cache. Raises MachineError when there is no Nix, or it cannot reach the cache."""
    nix = Nix.here(store=place.url, options=FRESH)
    if place.scheme != "file":  # a folder would be made
        # Nix 2.8 fails at times where several processes ask a new cache at once, and none has asked before.
        reach(nix, place)
    return Files(place, nix, open_storage(place.url)) if place.of_files else Remote(nix)


def nars(
    contents: Contents, seen: Iterable[Held], sizes: Mapping[str, int], done: Callable[[Held], object]
) -> Iterator[Held]:
    """The same with the NAR, read whole, of each path that has a narinfo. ``done`` is told of each.

    ``sizes`` (bytes) are what is known of NARs by other ways than the cache's word: no more is read than that, and
    nothing of a path that is not among them, which is no part of what is compared.
    """

    def read(item: Held) -> Held:
        limit = sizes.get(item.name)
        return item if item.info is None or limit is None else replace(item, nar=contents.nar(item.info, limit))

    for item in ahead(read, seen, os.cpu_count() or 1):
        done(item)
        yield item


def ahead(do: Callable[[_In], _Out], items: Iterable[_In], at_once: int) -> Iterator[_Out]:
    """What ``do`` gives of each item, in their order: ``at_once`` are under way, and no more of them are held."""
    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[_Out]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(do, item))
                if len(waiting) == at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def dumped(nix: Nix, info: NarInfo, limit: int) -> Nar:
    """A path's NAR as Nix unpacks it."""
    state, size = hashlib.sha256(), 0
    try:
        for chunk in nix.dump(info.path):
            state.update(chunk)
            size += len(chunk)
            if size > limit:  # a few bytes of a cache can be unpacked to more than any disk holds
                return Nar(why=f"has more than the {limit} bytes that it should have")
    except MachineError as error:
        return _refused(error)
    return Nar(narinfo.sri(state), size)


def _refused(error: MachineError) -> Nar:
    """What it says of a NAR that Nix cannot give it: whatever it is, it is said of this path, and hides no other."""
    said = error.problems[0].what.partition(": ")[2]
    if _LOST.search(said):
        return Nar(lost=True)
    if _BROKEN.match(said):
        return Nar(why=f"cannot be unpacked ({said})")
    if _REFUSED.match(said):
        return Nar(why=f"Nix refuses to read ({said.splitlines()[0]})")
    return Nar(unread=" ".join(said.split()) or str(error))


class Files:
    """A cache of narinfo and NAR files."""

    def __init__(self, place: Place, nix: Nix, storage: Storage) -> None:
        self._place = place
        self._nix = nix
        self._storage = storage

    @property
    def nix(self) -> Nix:
        """See :class:`Contents`."""
        return self._nix

    def listed(self) -> frozenset[str] | None:
        """See :class:`Contents`: a folder and a bucket can be listed, a web server cannot."""
        if self._place.scheme == "file":
            folder = Path(unquote(urlsplit(self._place.url).path))
            try:
                with os.scandir(folder) as rows:
                    return self._hashes(row.name for row in rows)
            except FileNotFoundError:
                return frozenset()
            except OSError as error:
                raise MachineError.of(str(folder), f"cannot be read: {error.strerror}") from None
        listing = getattr(self._storage, "names", None)
        return None if listing is None else self._hashes(listing())

    def look(self, names: Iterable[str]) -> Iterator[Held]:
        """See :class:`Contents`."""
        return ahead(self._held, names, _AT_ONCE)

    def nar(self, info: NarInfo, limit: int) -> Nar:
        """See :class:`Contents`; with the file that it lies in."""
        try:
            if not _INSIDE.fullmatch(info.url):
                return Nar(why=f"does not lie in the cache: {info.url[:80]!r}")
            if self._strange(info):
                return Nar(why="is not a file")
            found = dumped(self._nix, info, limit)
            return replace(found, file=self._file(info)) if found.nar_hash == info.nar_hash else found
        except MachineError as error:
            return Nar(unread=_sentence(error))

    def lost(self, info: NarInfo) -> bool:
        """See :class:`Contents`."""
        return bool(_INSIDE.fullmatch(info.url)) and not self._strange(info) and self._storage.read(info.url, 1) is None

    def forget(self, info: NarInfo) -> None:
        """See :class:`Contents`."""
        name = f"{info.name[:_HASH]}.narinfo"
        self._storage.remove(name)
        if self._storage.read(name, 1) is not None:
            what = "is there without its NAR, and cannot be removed, so Nix would not upload it"
            raise MachineError.of(f"{self._place.url}: {name}", what, "remove it, and push again")

    def _held(self, name: str) -> Held:
        file = f"{name[:_HASH]}.narinfo"
        try:
            data = self._storage.read(file, _LONGEST + 1)
        except MachineError as error:
            return Held(name, unread=_sentence(error))
        return Held(name) if data is None else _parsed(name, file, data)

    def _strange(self, info: NarInfo) -> bool:
        """Whether the NAR is neither a file nor missing: a pipe would be read for ever."""
        if self._place.scheme != "file":
            return False
        file = Path(f"{unquote(urlsplit(self._place.url).path)}/{info.url}")
        return file.exists() and not file.is_file()

    def _file(self, info: NarInfo) -> str:
        """How the NAR's file differs from what the narinfo says of it: a clause, empty where it does not."""
        if info.file_hash is None and info.file_size is None:
            return ""
        state, size = hashlib.sha256(), 0
        limit = info.nar_size + _SLACK if info.file_size is None else info.file_size
        with self._storage.stream(info.url) as pieces:
            for piece in pieces or ():
                state.update(piece)
                size += len(piece)
                if size > limit:
                    return f"lies in a file of more than {limit} bytes, which its narinfo does not say"
        if info.file_size not in {None, size}:
            return f"lies in a file of {size} bytes, and its narinfo says {info.file_size}"
        if info.file_hash not in {None, narinfo.sri(state)}:
            return f"lies in a file with hash {narinfo.sri(state)}, and its narinfo says {info.file_hash}"
        return ""

    @staticmethod
    def _hashes(names: Iterable[str]) -> frozenset[str]:
        return frozenset(match[1] for name in names if (match := _NARINFO.fullmatch(name)))


def _parsed(name: str, file: str, data: bytes) -> Held:
    """What a narinfo says of a path."""
    if len(data) > _LONGEST:
        return Held(name, why=f"is longer than {_LONGEST >> 20} MiB, as no narinfo is")
    try:
        info = narinfo.parse(data.decode("utf-8"), file)
    except UnicodeDecodeError:
        return Held(name, why="is not UTF-8 text")
    except Finding as error:
        return Held(name, why=error.problems[0].what)
    if info.store != STORE or (len(name) > _HASH and info.name != name):
        return Held(name, why=f"is about another path: {info.path}")
    return Held(info.name, info)


class Remote:
    """A store of Nix behind ssh: there are no files, and Nix answers for it."""

    def __init__(self, nix: Nix) -> None:
        self._nix = nix

    @property
    def nix(self) -> Nix:
        """See :class:`Contents`."""
        return self._nix

    def listed(self) -> frozenset[str] | None:
        """See :class:`Contents`. What else that machine has in its store is no business of the log."""
        return None

    def look(self, names: Iterable[str]) -> Iterator[Held]:
        """See :class:`Contents`."""
        for some in process.batches(names):
            infos = self._nix.infos(map(whole, some))
            yield from (Held(name, _info(infos.get(whole(name)))) for name in some)

    def nar(self, info: NarInfo, limit: int) -> Nar:
        """See :class:`Contents`."""
        return dumped(self._nix, info, limit)

    def lost(self, info: NarInfo) -> bool:
        """See :class:`Contents`: Nix keeps both together."""
        del info
        return False

    def forget(self, info: NarInfo) -> None:
        """See :class:`Contents`: never called."""
        raise MachineError.of(info.path, "cannot be removed from a store behind ssh")


def _sentence(error: MachineError) -> str:
    return "; ".join(f"{problem.where}: {problem.what}" for problem in error.problems)


def _info(info: PathInfo | None) -> NarInfo | None:
    if info is None:
        return None
    return NarInfo(
        name=base(info.path),
        url="",
        nar_hash=info.nar_hash,
        nar_size=info.nar_size,
        references=tuple(sorted(map(base, info.references))),
        deriver=base(info.deriver) if info.deriver else None,
        signatures=info.signatures,
    )
