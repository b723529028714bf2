"""The tarball with the first busybox: made of a .deb, the same bytes every time."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.debian import deb

from nixgen.bases.debian import busybox
from nixgen.errors import MachineError

WHERE = "https://mirror.example.org/busybox.deb"


@pytest.mark.parametrize("packed", ["xz", "gz"])
@pytest.mark.parametrize("path", ["bin/busybox", "usr/bin/busybox"])
def test_the_program_inside_a_package(packed: str, path: str) -> None:
    package = deb({"usr/share/doc/busybox": b"no", path: b"program"}, packed=packed)
    assert busybox.busybox(package, WHERE) == b"program"


def test_the_tarball_holds_one_folder_and_nothing_of_its_maker() -> None:
    data = busybox.pack(b"program")
    assert data == busybox.pack(b"program")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as archive:
        members = archive.getmembers()
        assert [(m.name, m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname, m.isdir()) for m in members] == [
            ("bin", 0o755, 1, 0, 0, "", "", True),
            ("bin/busybox", 0o755, 1, 0, 0, "", "", False),
        ]
        file = archive.extractfile("bin/busybox")
        assert file is not None
        assert file.read() == b"program"


def _with(package: bytes, old: bytes, new: bytes) -> bytes:
    assert old in package
    return package.replace(old, new)


GOOD = deb({"bin/busybox": b"program"})


@pytest.mark.parametrize(
    ("package", "why"),
    [
        (b"", "the package cannot be unpacked: it is not a Debian package"),
        (GOOD[:100], "the package cannot be unpacked: its archive is damaged"),
        (GOOD[:-10], "the package cannot be unpacked: its archive is cut short"),
        (
            _with(GOOD, b"data.tar.xz ", b"data.tar.zst"),
            "the package cannot be unpacked: dpkg-deb cannot unpack data.tar.zst: ",
        ),
        (
            _with(GOOD, b"data.tar.xz ", b"note.tar.xz "),
            "the package cannot be unpacked: there is no bin/busybox in it",
        ),
        (deb({"bin/other": b""}), "the package cannot be unpacked: there is no bin/busybox in it"),
    ],
)
def test_what_is_no_busybox(package: bytes, why: str) -> None:
    with pytest.raises(MachineError) as caught:
        busybox.busybox(package, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: {why}")


@given(st.binary() | st.integers(0, len(GOOD)).flatmap(lambda at: st.binary().map(lambda b: GOOD[:at] + b)))
def test_no_bytes_are_more_than_a_bad_package(package: bytes) -> None:
    with contextlib.suppress(MachineError):
        busybox.busybox(package, WHERE)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "busybox.deb").write_bytes(GOOD)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/busybox.deb"
    server.shutdown()
    server.server_close()
    thread.join()


def test_from_the_address_to_the_tarball(served: str) -> None:
    assert busybox.tarball(served, hashlib.sha256(GOOD).hexdigest()) == busybox.pack(b"program")


def test_other_bytes_than_the_index_says_are_refused(served: str) -> None:
    with pytest.raises(MachineError) as caught:
        busybox.tarball(served, "0" * 64)
    found = hashlib.sha256(GOOD).hexdigest()
    assert str(caught.value) == (
        f"{served}: the mirror gave different bytes from its signed index says: SHA-256 {found}, not {'0' * 64}\n"
        "  hint: run the command again; if the error stays, use another mirror"
    )


def test_the_name() -> None:
    assert busybox.file_name("x86_64-linux") == "busybox-x86_64-linux.tar.xz"
