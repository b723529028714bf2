"""Reads a bundle from its beginning to its end, once: every byte is compared with bundle.json, and given to a sink.

What a hostile file can do is bounded here: names are those of bundle.json, sizes too, and no more than a piece of it
is in memory.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nixgen.bundle import model, start, tarform
from nixgen.bundle.model import Bundle, File
from nixgen.bundle.narstream import NarStream
from nixgen.bundle.tarform import DIRECTORY, FILE, LINK, DamagedError, Entry
from nixgen.check.model import ClosurePath
from nixgen.errors import Finding, UserError
from nixgen.machine import files

_PIECE = 1 << 20
_LARGEST = 64 << 20
"""Bytes of bundle.json, and of each of the other texts in front: a closure of 200,000 paths."""

_AGAIN = "get the file again, from who made it"
DIRECTORY_MODE, FILE_MODES = 0o755, {False: 0o444, True: 0o555}
"""Modes of what lies in the store."""
PROJECT_MODES = {False: 0o644, True: 0o755}
LINK_MODE = 0o777


class Sink:
    """What becomes of what is read. Contents come in pieces; ``end`` says that they were those that were promised."""

    def begin(self, bundle: Bundle, digest: str, statement: bytes, log: bytes) -> None:
        """All that comes before contents."""

    def file(self, path: str, file: File) -> None:
        """A file of the project begins."""

    def path(self, path: ClosurePath) -> None:
        """A store path begins, whose NAR follows."""

    def piece(self, piece: bytes) -> None:
        """A part of it."""

    def end(self) -> None:
        """It was whole."""


def read(place: Path, sink: Sink) -> None:
    """Reads a bundle. Raises Finding for one that is damaged or not what it says, UserError for what is none.

    Also what the sink raises.
    """
    with _readable(str(place)):
        opened = files.opened(place)
    with opened as file:
        read_file(file, str(place), sink)


def read_file(file: IO[bytes], name: str, sink: Sink) -> None:
    """The same of a file that is open."""
    try:
        _Reading(file, name, sink).run()
    except DamagedError as error:
        raise Finding.of(name, str(error), _AGAIN) from None


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError.of(name, f"cannot be read: {error.strerror}", "name a file of nixgen bundle") from None


class _Reading:
    def __init__(self, file: IO[bytes], name: str, sink: Sink) -> None:
        self._name, self._sink = name, sink
        with _readable(name):
            self._start = file.read(start.SIZE)
        if len(self._start) < start.SIZE or not self._start.startswith(b"#!/bin/sh\n"):
            raise UserError.of(name, "is not a bundle", "make one: nixgen bundle")
        self._source = _Unpacked(file, name)
        self._next = self._header()

    def run(self) -> None:
        data = self._text(model.NAME)
        bundle, digest = model.parse(data, self._name), model.digest(data)
        if hashlib.sha256(self._start).hexdigest() != bundle.start:
            raise DamagedError("begins with another start script than it was made with")
        statement = self._text(model.STATEMENT)
        log = self._text(model.LOG) if bundle.log else b""
        if bundle.log and hashlib.sha256(log).hexdigest() != bundle.log:
            raise DamagedError(f"{model.LOG} is another one than it was made with")
        self._sink.begin(bundle, digest, statement, log)
        for path, file in bundle.files.items():
            self._file(path, file)
        for store_path in bundle.order:
            self._path(bundle.paths[store_path])
        if self._next is not None:
            raise DamagedError(f"has an entry that is not in {model.NAME}: {_shown(self._next.name)}")
        self._source.ended()

    def _header(self) -> Entry | None:
        return tarform.read(self._source.take)

    def _content(self, entry: Entry) -> Iterator[bytes]:
        left = entry.size
        while left:
            piece = self._source.some(min(left, _PIECE))
            left -= len(piece)
            yield piece
        if any(self._source.take(len(tarform.padding(entry.size)))):
            raise DamagedError("has an entry of another form than bundles have")
        self._next = self._header()

    def _text(self, name: str) -> bytes:
        entry = self._next
        if entry is None or entry.name != name.encode() or entry.kind != FILE:
            raise DamagedError(f"has no {name}")
        if entry.size > _LARGEST:
            raise DamagedError(f"has a {name} of more than {_LARGEST >> 20} MiB")
        return b"".join(self._content(entry))

    def _file(self, path: str, file: File) -> None:
        mode = LINK_MODE if file.target else PROJECT_MODES[file.executable]
        name, target = _bytes(model.PROJECT + path), _bytes(file.target)
        wanted = Entry(name, LINK if target else FILE, mode, file.size, target)
        if self._next != wanted:
            raise DamagedError(f"{path} is missing, or another one than {model.NAME} has")
        self._sink.file(path, file)
        found = hashlib.sha256()
        for piece in self._content(wanted):
            found.update(piece)
            self._sink.piece(piece)
        if not target and found.hexdigest() != file.sha256:
            raise DamagedError(f"{path} is damaged: its SHA-256 is {found.hexdigest()}, not {file.sha256}")
        self._sink.end()

    def _path(self, path: ClosurePath) -> None:
        begin, nar, found, size = _bytes(model.STORE + path.name), NarStream(), hashlib.sha256(), 0

        def put(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > path.nar_size:
                raise DamagedError(f"{path.name} is larger than {model.NAME} has it")
            found.update(piece)
            self._sink.piece(piece)

        self._sink.path(path)
        while (entry := self._next) is not None and (entry.name == begin or entry.name.startswith(begin + b"/")):
            modes = {DIRECTORY: {DIRECTORY_MODE}, FILE: {*FILE_MODES.values()}, LINK: {LINK_MODE}}[entry.kind]
            if entry.mode not in modes:
                raise DamagedError(f"{_shown(entry.name)} has another mode than files of a store have")
            parts = tuple(entry.name[len(begin) + 1 :].split(b"/")) if entry.name != begin else ()
            put(nar.begin(parts, entry))
            for piece in self._content(entry):
                put(piece)
            put(nar.end(parts, entry))
        put(nar.close())
        if f"sha256-{base64.b64encode(found.digest()).decode()}" != path.nar_hash or size != path.nar_size:
            raise DamagedError(f"{path.name} is damaged, or not there: it has another hash than {model.NAME} has")
        self._sink.end()


class _Unpacked:
    """What a gzip file holds, a piece at a time."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name, self._inflate = file, name, zlib.decompressobj(wbits=31)
        self._waiting = b""

    def some(self, most: int) -> bytes:
        """At most this many bytes, at least one. Raises DamagedError."""
        if not self._waiting:
            self._waiting = self._more()
        found, self._waiting = self._waiting[:most], self._waiting[most:]
        return found

    def take(self, count: int) -> bytes:
        """So many bytes."""
        found = b""
        while len(found) < count:
            found += self.some(count - len(found))
        return found

    def ended(self) -> None:
        """Nothing may follow. Raises DamagedError."""
        if self._waiting or self._more(last=True) or self._inflate.unused_data or self._read(1):
            raise DamagedError("has something behind its end")

    def _read(self, most: int) -> bytes:
        with _readable(self._name):
            return self._file.read(most)

    def _more(self, *, last: bool = False) -> bytes:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._read(_PIECE)
            if not data:
                break
            try:
                if found := self._inflate.decompress(data, _PIECE):
                    return found
            except zlib.error as error:
                raise DamagedError(f"is damaged: {error}") from None
        if last and self._inflate.eof:
            return b""
        raise DamagedError("is cut off" if not self._inflate.eof else "ends before all of it was read")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "replace")
