"""Why two archives differ: the times, the order and the modes of the same members, or which members differ.

ZIP (wheels, jars, .npz), tar, ar (static libraries) and gzip. Archives are only listed and read in memory; nothing is
unpacked to the disk, and what is not well formed, or too large when it is unpacked, has no causes.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nixgen.check.explain.bytes import Bytes
from nixgen.check.explain.text import moment

LARGEST = 256 << 20
"""How many bytes of unpacked content are looked at."""

_GZIP = b"\x1f\x8b\x08"
_ZIP = b"PK\x03\x04"
_AR = b"!<arch>\n"
_AR_HEADER = 60
_USTAR = slice(257, 262)
_NAMED = 3  # members that a sentence names
_COMPRESSED: Mapping[bytes, tuple[str, Callable[[], Any]]] = {
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMADecompressor),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    ``time`` is when it was written, ``notes`` what else the archive says of it, ``content`` what stands for its bytes.
    """

    name: str
    time: str
    notes: tuple[object, ...]
    content: object


def causes(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    """What two archives of one kind give away; empty where they are none, or not of one kind."""
    for kind, begins, members in (
        ("ZIP archive", _zipped, _zip),
        ("static library", _library, _ar),
        ("tar archive", _tarred, _tar),
    ):
        if begins(expected) and begins(found):
            try:
                return compare(kind, members(expected), members(found))
            except (
                ValueError,
                KeyError,
                EOFError,
                OSError,
                zipfile.BadZipFile,
                tarfile.TarError,
                zlib.error,
                RuntimeError,
                NotImplementedError,
                struct.error,
            ):
                return ()
    return ()


def compare(kind: str, expected: Sequence[Member], found: Sequence[Member]) -> tuple[str, ...]:
    """The sentences about two lists of members, in the order of the archive."""
    before, now = {member.name: member for member in expected}, {member.name: member for member in found}
    said: list[str] = []
    if lost := sorted(before.keys() - now.keys()):
        said.append(f"a {kind} that lacks {_listed(lost)}")
    if new := sorted(now.keys() - before.keys()):
        said.append(f"a {kind} with {_listed(new)}, not expected")
    both = [name for name in before if name in now]
    if other := [name for name in both if before[name].content != now[name].content]:
        said.append(f"a {kind} with other content in {_listed(other)}")
    if [name for name in before if name in now] != [name for name in now if name in before]:
        said.append(f"a {kind} with its members in another order")
    if times := [name for name in both if before[name].time != now[name].time]:
        name = times[0]
        said.append(f"a {kind} that holds the time of {_listed(times)}: {now[name].time}, {before[name].time} expected")
    if noted := [name for name in both if before[name].notes != now[name].notes]:
        said.append(f"a {kind} that notes another mode, owner or system for {_listed(noted)}")
    return tuple(said) or (f"a {kind} with the same members, packed differently",)


def unpacked(expected: Bytes, found: Bytes) -> tuple[tuple[str, ...], bytes, bytes] | None:
    """Two compressed files: what their headers give away, and their contents; None where they are none."""
    if expected[:3] == _GZIP and found[:3] == _GZIP:
        one, other = _inflated(expected), _inflated(found)
        return None if one is None or other is None else (_gzip_header(expected, found), one, other)
    for magic, (_, decompressor) in _COMPRESSED.items():
        if expected[: len(magic)] == magic and found[: len(magic)] == magic:
            try:
                both = [decompressor().decompress(content[:], LARGEST) for content in (expected, found)]
            except (OSError, EOFError, lzma.LZMAError):
                return None
            return None if max(map(len, both)) >= LARGEST else ((), both[0], both[1])
    return None


def _gzip_header(expected: Bytes, found: Bytes) -> tuple[str, ...]:
    """RFC 1952, section 2.3: the time is in the bytes 4 to 8."""
    (time,), (before,) = (struct.unpack("<I", content[4:8]) for content in (found, expected))
    if time == before:
        return ()
    return (f"gzip's header holds a time: {moment(time)}, {moment(before)} expected; use gzip --no-name",)


def _inflated(content: Bytes) -> bytes | None:
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(content[:], LARGEST)
    except zlib.error:
        return None
    return plain if inflater.eof else None


def _zipped(content: Bytes) -> bool:
    return content[:4] == _ZIP


def _zip(content: Bytes) -> list[Member]:
    with zipfile.ZipFile(io.BytesIO(content[:])) as archive:
        members = sorted(archive.infolist(), key=lambda info: info.header_offset)
        small = sum(info.file_size for info in members) <= LARGEST
        return [
            Member(
                info.filename,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*info.date_time),
                (info.external_attr, info.create_system, info.extra, info.comment),
                hashlib.sha256(archive.read(info)).digest() if small else (info.CRC, info.file_size),
            )
            for info in members
        ]


def _tarred(content: Bytes) -> bool:
    return content[_USTAR] == b"ustar"


def _tar(content: Bytes) -> list[Member]:
    with tarfile.open(fileobj=io.BytesIO(content[:]), mode="r:") as archive:
        members = []
        for info in archive:
            file = archive.extractfile(info) if info.isfile() else None
            digest = hashlib.sha256(file.read()).digest() if file else (info.type, info.linkname)
            notes = (info.mode, info.uid, info.gid, info.uname, info.gname)
            members.append(Member(info.name, moment(int(info.mtime)), notes, digest))
        return members


def _library(content: Bytes) -> bool:
    return content[: len(_AR)] == _AR


def _ar(content: Bytes) -> list[Member]:
    """ar(5): headers of 60 characters, each followed by the content, padded to an even size."""
    members: list[Member] = []
    at, whole = len(_AR), content[:]
    while at + _AR_HEADER <= len(whole):
        header = whole[at : at + _AR_HEADER]
        name, time, owner = header[:16].decode("utf-8", "replace").strip(), header[16:28].strip(), header[28:48]
        size = int(header[48:58])
        body = whole[at + _AR_HEADER : at + _AR_HEADER + size]
        if name in ("/", "/SYM64/", "//"):  # the tables
            name = f"table {name}"
        seen = sum(member.name.split(" #")[0] == name for member in members)
        members.append(Member(f"{name} #{seen}" if seen else name, _ar_time(time), (owner,), body))
        at += _AR_HEADER + size + size % 2
    return members


def _ar_time(field: bytes) -> str:
    return moment(int(field or b"0"))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
