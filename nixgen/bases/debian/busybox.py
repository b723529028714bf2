"""The first program of the debian base: a static busybox, taken out of Debian's package and put into a tarball.

Nix has no shell of its own, but its ``builtin:unpack-channel`` unpacks a .tar.xz that holds one folder. So the
tarball lives in the user's project, and a teammate needs nothing but Nix. The same package gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator

from nixgen.errors import MachineError
from nixgen.machine import download

FOLDER = "nix/nixgen/bootstrap"
"""Where the tarballs are in a project."""

_BUSYBOX = ("bin/busybox", "usr/bin/busybox")
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_LIMIT = 64 * 1024 * 1024


def file_name(system: str) -> str:
    """The tarball's name for a Nix system."""
    return f"busybox-{system}.tar.xz"


def tarball(url: str, sha256: str) -> bytes:
    """The tarball that is made of the busybox-static package at ``url``, whose SHA-256 the signed index gives.

    Raises MachineError when the package cannot be had, is another one, or has another shape.
    """
    buffer = io.BytesIO()
    with download.open_url(url) as stream:
        found, _ = download.digest(stream, buffer.write, _LIMIT)
    if found != sha256:
        raise MachineError.of(
            download.without_query(url),
            f"the mirror gave other bytes than its signed index says: SHA-256 {found}, not {sha256}",
            "run the command again; if it stays so, use another mirror",
        )
    return pack(busybox(buffer.getvalue(), url))


def busybox(deb: bytes, where: str) -> bytes:
    """The program inside a .deb (deb(5)). Raises MachineError."""
    for name, content in _members(deb, where):
        if not name.startswith("data.tar"):
            continue
        if name not in ("data.tar.xz", "data.tar.gz", "data.tar"):
            raise MachineError.of(
                download.without_query(where),
                f"the package is packed as {name}, which this Python cannot unpack",
                "set tool.nixgen.suite to a suite whose packages are packed with xz",
            )
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
                for member in archive:
                    if member.isfile() and member.name.removeprefix("./") in _BUSYBOX and member.size <= _LIMIT:
                        file = archive.extractfile(member)
                        return file.read() if file else b""
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise _broken(where, str(error)) from None
    raise _broken(where, "there is no bin/busybox in it")


def pack(program: bytes) -> bytes:
    """The tarball: a folder ``bin`` with ``busybox``, the same bytes for the same program."""
    buffer = io.BytesIO()
    with (
        lzma.open(buffer, "wb", format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=9) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        folder = tarfile.TarInfo("bin")
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1
        archive.addfile(folder)
        file = tarfile.TarInfo("bin/busybox")
        file.size, file.mode, file.mtime = len(program), 0o755, 1
        archive.addfile(file, io.BytesIO(program))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    """The tarball's pin, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _members(deb: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """The members of an ar archive (deb(5), "FORMAT"): a header of 60 bytes each, content padded to an even size."""
    if not deb.startswith(_AR_MAGIC):
        raise _broken(where, "it is not a Debian package")
    position = len(_AR_MAGIC)
    while position < len(deb):
        header = deb[position : position + _AR_HEADER]
        size = header[48:58].strip()
        if len(header) != _AR_HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise _broken(where, "its archive is damaged")
        position += _AR_HEADER
        content = deb[position : position + int(size)]
        if len(content) != int(size):
            raise _broken(where, "its archive is cut short")
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), content
        position += int(size) + int(size) % 2


def _broken(where: str, why: str) -> MachineError:
    return MachineError.of(
        download.without_query(where),
        f"the package cannot be unpacked: {why}",
        "use another mirror: nixgen lock --mirror",
    )
