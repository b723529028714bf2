"""The first program of the debian base: a static busybox, taken out of Debian's package and put into a tarball.

Nix has no shell of its own, but its ``builtin:unpack-channel`` unpacks a .tar.xz that holds one folder. So the
tarball lives in the user's project, and a teammate needs nothing but Nix. The same package gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from nixgen.errors import MachineError
from nixgen.machine import download

FOLDER = "nix/nixgen/bootstrap"
"""Where the tarballs are in a project."""

_BUSYBOX = ("bin/busybox", "usr/bin/busybox")
_ZSTD = re.compile(r"zstd|ld-linux-[^/]*\.so\.\d+|lib(?:c|z|zstd|lzma|lz4|gcc_s|m|pthread)\.so\.\d+")
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_LIMIT = 64 * 1024 * 1024


def file_name(system: str) -> str:
    """The tarball's name for a Nix system."""
    return f"busybox-{system}.tar.xz"


def tarball(url: str, sha256: str, unpackers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The tarball that is made of the busybox-static package at ``url``, whose SHA-256 the signed index gives.

    ``unpackers`` are the packages (address, SHA-256) of zstd and its libraries, where busybox cannot unpack the suite's
    packages. Raises MachineError when a package cannot be had, is another one, or has another shape.
    """
    program, files = busybox(_fetched(url, sha256), url), dict[str, bytes]()
    for address, digest in unpackers:
        files |= _of_zstd(_fetched(address, digest), address)
    if unpackers and "zstd" not in files:
        raise _broken(unpackers[0][0], "there is no zstd in it")
    return pack(program, files)


def _fetched(url: str, sha256: str) -> bytes:
    buffer = io.BytesIO()
    with download.open_url(url) as stream:
        found, _ = download.digest(stream, buffer.write)
    if found != sha256:
        raise MachineError.of(
            download.without_query(url),
            f"the mirror gave different bytes from its signed index says: SHA-256 {found}, not {sha256}",
            "run the command again; if the error stays, use another mirror",
        )
    return buffer.getvalue()


def busybox(deb: bytes, where: str) -> bytes:
    """The program inside a .deb (deb(5)). Raises MachineError."""
    for name, content in _files(deb, where):
        if name in _BUSYBOX:
            return content
    raise _broken(where, "there is no bin/busybox in it")


def _of_zstd(deb: bytes, where: str) -> dict[str, bytes]:
    """What zstd needs to start, by the file's name: itself, the loader and libraries."""
    found = {name.rpartition("/")[2]: content for name, content in _files(deb, where)}
    return {name: content for name, content in found.items() if _ZSTD.fullmatch(name)}


def _files(deb: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """The files in a .deb, links to files beside them included. Raises MachineError."""
    for name, content in _members(deb, where):
        if not name.startswith("data.tar"):
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(_unpacked(deb, name, content, where)), mode="r:*") as archive:
                for member in archive.getmembers():
                    if (member.isfile() or (member.issym() and "/" not in member.linkname)) and member.size <= _LIMIT:
                        with contextlib.suppress(KeyError):  # a link that leads nowhere
                            file = archive.extractfile(member)
                            if file is not None:
                                yield member.name.removeprefix("./"), file.read()
        except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
            raise _broken(where, str(error)) from None


def _unpacked(deb: bytes, name: str, content: bytes, where: str) -> bytes:
    """The data of a .deb in a form that this Python reads: for zstd dpkg is asked, which is where apt is."""
    if name in ("data.tar.xz", "data.tar.gz", "data.tar"):
        return content
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise _broken(where, f"it is packed as {name}, and there is no dpkg-deb on this machine")
    with tempfile.NamedTemporaryFile(suffix=".deb") as file:
        file.write(deb)
        file.flush()
        done = subprocess.run([dpkg, "--fsys-tarfile", file.name], capture_output=True, check=False)
    if done.returncode:
        raise _broken(where, f"dpkg-deb cannot unpack {name}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def pack(program: bytes, more: Mapping[str, bytes] | None = None) -> bytes:
    """The tarball: a folder ``bin`` with ``busybox``, and ``more`` beside it; the same bytes for the same files."""
    files = {"busybox": program, **(more or {})}
    buffer = io.BytesIO()
    with (
        lzma.open(buffer, "wb", format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=9) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        folder = tarfile.TarInfo("bin")
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o755, 1
        archive.addfile(folder)
        for name, content in sorted(files.items()):
            file = tarfile.TarInfo(f"bin/{name}")
            file.size, file.mode, file.mtime = len(content), 0o755, 1
            archive.addfile(file, io.BytesIO(content))
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
        "use another mirror: --mirror https://mirror.example.org/debian",
    )
