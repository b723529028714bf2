"""What a cache has: its narinfos, read anew each time, and its NARs, as Nix unpacks them.

Nix remembers narinfos of caches that it reached over a network for weeks. Whether they are still so is the question
here, so nothing of that is used.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from nixgen.cache import narinfo
from nixgen.cache.anomalies import Held, Nar
from nixgen.cache.copying import FRESH, reach
from nixgen.cache.narinfo import STORE, NarInfo, base, whole
from nixgen.cache.place import Place
from nixgen.errors import Finding, MachineError
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage
from nixgen.nix.tools import Nix, PathInfo

_AT_ONCE = 16  # narinfos that are asked for at once
_LONGEST = 4 << 20  # bytes of a narinfo
_HASH = 32  # digits of a path's hash
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

Done = Callable[[int, int, str], object]
"""Told how many of how many are done, and which was the last."""


class Contents(Protocol):
    """A cache's paths, by name ("<hash>-<name>") or, where that is not known, by the hash alone."""

    @property
    def nix(self) -> Nix:
        """Nix on this store."""
        ...

    def listed(self) -> frozenset[str] | None:
        """The hashes of all paths; None where a cache of this kind cannot be listed."""
        ...

    def look(self, names: Iterable[str]) -> dict[str, Held]:
        """What the cache says of paths, by the given names. Raises MachineError when it cannot be reached."""
        ...


def open_contents(place: Place) -> Contents:
    """The contents of a cache. Raises MachineError when there is no Nix, or it cannot reach the cache."""
    nix = Nix.here(store=place.url, options=FRESH)
    if place.scheme != "file":  # a folder would be made
        # Nix 2.8 fails at times where several processes ask a new cache at once, and none has asked before.
        reach(nix, place)
    return Files(place, nix, open_storage(place.url)) if place.of_files else Remote(nix)


def nars(contents: Contents, seen: Mapping[str, Held], sizes: Mapping[str, int], done: Done) -> dict[str, Held]:
    """The same with the NAR of each path that has a narinfo, read whole. ``done`` is told of each.

    ``sizes`` (bytes) are what is known of NARs by other ways than the cache's word: no more is read than that.
    """
    rows = [(key, item.info) for key, item in seen.items() if item.info is not None and item.nar is None]
    answer = dict(seen)

    def read(row: tuple[str, NarInfo]) -> tuple[str, Nar]:
        return row[0], _nar(contents.nix, row[1], sizes.get(row[1].name, row[1].nar_size))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, (key, nar) in enumerate(pool.map(read, rows), 1):
            answer[key] = replace(answer[key], nar=nar)
            done(number, len(rows), answer[key].name)
    return answer


def _nar(nix: Nix, info: NarInfo, limit: int) -> Nar:
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
    """What it says of a NAR that Nix cannot give it. What is the machine's matter is raised again."""
    said = error.problems[0].what.partition(": ")[2]
    if _LOST.search(said):
        return Nar(lost=True)
    if _BROKEN.match(said):
        return Nar(why=f"cannot be unpacked ({said})")
    if _REFUSED.match(said):
        return Nar(why=f"Nix refuses to read ({said.splitlines()[0]})")
    raise error


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
                names = [path.name for path in folder.iterdir()]
            except FileNotFoundError:
                names = []
            except OSError as error:
                raise MachineError.of(str(folder), f"cannot be read: {error.strerror}") from None
        else:
            listing = getattr(self._storage, "names", None)
            if listing is None:
                return None
            names = listing()
        return frozenset(match[1] for name in names if (match := _NARINFO.fullmatch(name)))

    def look(self, names: Iterable[str]) -> dict[str, Held]:
        """See :class:`Contents`."""
        wanted = list(names)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(wanted, pool.map(self._seen, wanted), strict=True))

    def _seen(self, name: str) -> Held:
        file = f"{name[:_HASH]}.narinfo"
        data = self._storage.read(file)
        if data is None:
            return Held(name)
        if len(data) > _LONGEST:
            return Held(name, why=f"has {len(data)} bytes, more than any narinfo")
        try:
            info = narinfo.parse(data.decode("utf-8"), file)
        except UnicodeDecodeError:
            return Held(name, why="is not UTF-8 text")
        except Finding as error:
            return Held(name, why=error.problems[0].what)
        if info.store != STORE or (len(name) > _HASH and info.name != name):
            return Held(name, why=f"is about another path: {info.path}")
        return Held(info.name, info, self._strange(info))

    def _strange(self, info: NarInfo) -> Nar | None:
        """The NAR, where it is neither a file nor missing: a pipe would be read for ever."""
        if self._place.scheme != "file":
            return None
        file = Path(f"{unquote(urlsplit(self._place.url).path)}/{info.url}")
        return Nar(why="is not a file") if file.exists() and not file.is_file() else None


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

    def look(self, names: Iterable[str]) -> dict[str, Held]:
        """See :class:`Contents`."""
        wanted = list(names)
        infos = self._nix.infos(whole(name) for name in wanted)
        return {name: Held(name, _info(infos.get(whole(name)))) for name in wanted}


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
