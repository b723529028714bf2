"""A member of an archive that is pinned itself: a file, or a folder, of a zip, a wheel or a tar.

The archive's source is any that gives one file (https:, github:, s3:, a path, a layer of oci:), or ``archive:PACKAGE``:
a wheel of that package in uv.lock, by the hash that is there. The archive lands in the store; Nix takes the members out
of it, and checks each by its own hash.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from nixgen.artifacts.model import ArtifactSpec, PinnedArchive, PinnedArtifact, PinnedFile, scheme_of
from nixgen.artifacts.sources.context import Context
from nixgen.artifacts.sources.local import copied
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.sources.wheel import wheel_of
from nixgen.artifacts.store import Folder, archive_name, store_name
from nixgen.errors import MachineError, UserError
from nixgen.machine.download import CHUNK

_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    # Of what made-up headers hold: letters that are none, numbers too large, names without a letter.
    ValueError,
    ArithmeticError,
    IndexError,
    struct.error,
)
_SHOWN = 3
_LONGEST_READ = 8 << 20  # bytes of a zip's list of members, or of a tar's header, that are read at once
_LARGEST_LIST = 100 << 20  # bytes of memory
_MEMBER = 700  # of it, that a member of a tar takes besides its name
_DICTIONARY = 100 << 20  # bytes of memory that unpacking may take; xz -9 takes 65 MiB


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins the archive, reads it, and pins the member, or all files below the folder, with hashes of their own."""
    del previous
    with tempfile.TemporaryDirectory(prefix="nixgen-") as spare:
        keeps = context if context.holder else replace(context, holder=Folder(Path(spare)))
        candidates = _archives(spec, keeps)
        for archive, path in candidates:
            with opened(path, spec.where) as members:
                if len(candidates) > 1 and not any(_matches(str(spec.member), name) for name in members.names):
                    continue
                return pinned(spec, _members(spec, archive, members))
    raise UserError.of(spec.where, f"no layer of {spec.source} has {spec.member}", "check member")


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads the archive into the holder. Each member's place is the archive's."""
    from nixgen.artifacts import sources

    files = list(missing)
    archive = files[0].archive
    if archive is None or context.holder is None:
        raise ValueError("not a member of an archive, or nothing that could hold it")
    whole = PinnedFile(archive_name(archive), archive.size, archive.sha256, archive.url, archive.local)
    scheme = scheme_of(artifact.source)
    scheme = "https" if scheme == "archive" else scheme
    inner = replace(artifact, scheme=scheme, member=None, files=(whole,))
    [place] = sources.fetch(inner, context).values()
    return {file.path: place for file in files}


class Members:
    """What an open archive holds: ``names`` are its files' paths, "./" taken off; others are in ``odd``, with why."""

    def __init__(self, names: list[str], odd: dict[str, str], open_one: Callable[[str], IO[bytes]]) -> None:
        self.names, self.odd, self.open = names, odd, open_one


@contextmanager
def opened(path: Path, where: str) -> Iterator[Members]:
    """An archive, whatever its kind. Raises UserError for what is none, or is broken."""
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(_Limited(file)) as zipped:
                    yield _zip(zipped)
            else:
                with tarfile.open(fileobj=_Limited(_unpacked(file)), mode="r:") as tarred:
                    yield _tar(tarred)
    except _BROKEN as error:
        if isinstance(error, OSError) and not isinstance(error, tarfile.TarError) and error.errno:
            raise MachineError.of(str(path), f"cannot be read: {error.strerror}") from None
        what = f"its archive is broken, or is neither a zip (or wheel) nor a tar that this Python reads: {error}"
        raise UserError.of(where, what, "check the source") from None


class _Limited(io.BufferedIOBase):
    """A file of which nobody reads much at once, whatever an archive says of its own sizes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable  # type: ignore[method-assign]

    def read(self, size: int | None = -1, /) -> bytes:
        data = self._file.read(_LONGEST_READ + 1 if size is None or size < 0 else min(size, _LONGEST_READ + 1))
        if len(data) > _LONGEST_READ:
            raise tarfile.TarError("its list of members is too long")
        return data


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """What a packed file holds, by the magic number at its start."""
    file.seek(0)
    start = file.read(1 << 16)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if start.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        lzma.LZMADecompressor(memlimit=_DICTIONARY).decompress(start, 1)
        return lzma.LZMAFile(file)
    return file


def _zip(archive: zipfile.ZipFile) -> Members:
    names, odd = [], {}
    for entry in archive.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir():
            continue
        if kind not in (0, stat.S_IFREG):
            odd[entry.filename] = "is a link or something else, not a file"
        elif entry.flag_bits & 1:
            odd[entry.filename] = "is encrypted"
        elif entry.compress_type == zipfile.ZIP_BZIP2:
            # A few bytes of it may be gigabytes, which Python unpacks at once.
            odd[entry.filename] = "is packed with bzip2, not with deflate"
        else:
            names.append(entry.filename)
    return Members(names, odd, archive.open)


def _tar(archive: tarfile.TarFile) -> Members:
    entries: dict[str, tarfile.TarInfo] = {}
    names, odd = [], {}
    left = _LARGEST_LIST
    while entry := archive.next():
        archive.members = []  # type: ignore[attr-defined] # else each is kept twice
        entry.pax_headers = {}
        name = entry.name.removeprefix("./")
        left -= _MEMBER + 4 * len(name)
        if left < 0:
            raise tarfile.TarError(f"it has more than {len(entries):,} members")
        if entry.isreg():
            names.append(name)
            entries[name] = entry
        elif not entry.isdir():
            odd[name] = "is a link or something else, not a file"

    def open_one(name: str) -> IO[bytes]:
        stream = archive.extractfile(entries[name])
        if stream is None:
            raise tarfile.TarError(f"{name} cannot be read")
        return stream

    return Members(names, odd, open_one)


def _archives(spec: ArtifactSpec, context: Context) -> list[tuple[PinnedArchive, Path]]:
    """The archive that a source names, pinned and read; more than one where a source has several (oci)."""
    from nixgen.artifacts import sources

    if spec.source.startswith("archive:"):
        url, sha256, size = wheel_of(spec, context.root)
        inner = replace(spec, source=url, sha256=sha256, member=None, include=(), exclude=())
        if spec.sha256 not in (None, sha256):
            raise UserError.of(spec.where, f"its sha256 is not the one in uv.lock, {sha256}", "take it out")
        del size
    else:
        inner = replace(spec, member=None, include=(), exclude=(), sha256=None if _several(spec) else spec.sha256)
    inner = replace(inner, layout=("plain",))
    found = sources.resolve(inner, None, context)
    if len(found.files) > 1 and not _several(spec):
        raise UserError.of(
            spec.where, f"{spec.source} is {len(found.files)} files, and not an archive", "take member out"
        )
    places = sources.fetch(found, context)
    return [_named(file, places[file.path], spec, context) for file in found.files]


def _named(file: PinnedFile, place: Path, spec: ArtifactSpec, context: Context) -> tuple[PinnedArchive, Path]:
    """An archive, in the holder under the name that Nix looks for it by."""
    archive = PinnedArchive(file.sha256, file.size, file.url, file.local)
    if context.holder is not None and archive_name(archive) != store_name(file.path):
        copy = copied(place, context.holder.scratch(), file, spec.where)
        context.hold([copy], [archive_name(archive)])
    return archive, place


def _several(spec: ArtifactSpec) -> bool:
    return spec.source.startswith("oci:")


def _members(spec: ArtifactSpec, archive: PinnedArchive, members: Members) -> list[PinnedFile]:
    member = str(spec.member).removeprefix("./")
    if member.endswith("/"):
        below = [name.removeprefix(member) for name in (*members.names, *members.odd) if name.startswith(member)]
        picked = chosen(below, spec.include, spec.exclude, spec.where, f"{spec.source} {member}")
        names = {path: member + path for path in picked}
    else:
        names = {member.rpartition("/")[2]: member}
    counted = Counter(members.names)
    files = []
    for path, name in sorted(names.items()):
        if name in members.odd:
            raise UserError.of(spec.where, f"{name} {members.odd[name]}, in the archive", "choose another member")
        if counted[name] > 1:
            raise UserError.of(spec.where, f"the archive has {name} {counted[name]} times", "tell its publisher")
        if not counted[name]:
            near = [other for other in members.names if other.endswith(path)] or sorted(members.names)
            some = ", ".join(ascii(other)[1:-1] for other in near[:_SHOWN]) + (" …" if len(near) > _SHOWN else "")
            raise UserError.of(spec.where, f"the archive has no {name}", f"it has, for example: {some or 'nothing'}")
        with members.open(name) as stream:
            sha256, size = _digest(stream)
        files.append(PinnedFile(path, size, sha256, member=name, archive=archive))
    return files


def _matches(member: str, name: str) -> bool:
    member = member.removeprefix("./")
    return name.startswith(member) if member.endswith("/") else name == member


def _digest(stream: IO[bytes]) -> tuple[str, int]:
    state, size = hashlib.sha256(), 0
    while data := stream.read(CHUNK):
        state.update(data)
        size += len(data)
    return state.hexdigest(), size
