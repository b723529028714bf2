"""Hashes of files that uv.lock names without one, and how files are read from the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.index import Index
from urllib3.util import connection

from nixgen.errors import MachineError, UserError
from nixgen.resolve import hashes
from nixgen.resolve.model import FileHash, Package, Resolution, Target

Serve = Callable[..., Index]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)
    (tmp_path / "home").mkdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for name in ("a-1-py3-none-any.whl", "b-1-py3-none-any.whl"):
        (made / name).write_bytes(name.encode() * 1000)
    return made


def expected(url: str, path: Path) -> FileHash:
    data = path.read_bytes()
    return FileHash(url, hashlib.sha256(data).hexdigest(), len(data))


def test_only_chosen_files_without_a_hash_are_asked_for() -> None:
    packages = (
        Package("a", "1", "wheel", "a.whl", "https://files.example.org/a.whl"),
        Package("b", "1", "wheel", "b.whl", "https://files.example.org/b.whl", sha256="0" * 64),
        Package("c", "1", "sdist", "c.tar.gz", "https://files.example.org/c.tar.gz"),
        Package("d", "1", "directory", path="."),
    )
    resolutions = [Resolution(Target(system, "3.11"), packages) for system in ("x86_64-linux", "aarch64-linux")]
    assert hashes.without_hash(resolutions) == ("https://files.example.org/a.whl", "https://files.example.org/c.tar.gz")


def test_files_are_hashed(index: Serve, folder: Path) -> None:
    served = index(folder)
    paths = sorted(folder.iterdir())
    seen: list[FileHash] = []
    found = hashes.hash_urls([served.url(paths[1]), served.url(paths[0]), served.url(paths[1])], seen.append)
    assert found == tuple(expected(served.url(path), path) for path in paths)
    assert sorted(seen, key=lambda entry: entry.url) == list(found)


def test_a_file_on_this_machine(folder: Path) -> None:
    path = folder / "a-1-py3-none-any.whl"
    assert hashes.hash_urls([path.as_uri()]) == (expected(path.as_uri(), path),)


def test_netrc_is_honoured(index: Serve, folder: Path, tmp_path: Path) -> None:
    served = index(folder, credentials="me:s3cret")
    path = folder / "a-1-py3-none-any.whl"
    with pytest.raises(MachineError) as caught:
        hashes.hash_urls([served.url(path)])
    assert str(caught.value) == (
        f"{served.url(path)}: the server answered 401 Unauthorized\n"
        f"  hint: give the user name and password for 127.0.0.1 in {tmp_path}/home/.netrc"
    )
    (tmp_path / "home" / ".netrc").write_text("machine other.example.org login x password y\n")
    with pytest.raises(MachineError):
        hashes.hash_urls([served.url(path)])
    (tmp_path / "home" / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    (tmp_path / "home" / ".netrc").chmod(0o600)
    assert hashes.hash_urls([served.url(path)]) == (expected(served.url(path), path),)


def test_another_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: Serve, folder: Path) -> None:
    served = index(folder, credentials="me:s3cret")
    monkeypatch.setenv("NETRC", str(tmp_path / "ours"))
    (tmp_path / "ours").write_text("machine 127.0.0.1 login me password s3cret\n")
    (tmp_path / "ours").chmod(0o600)
    path = folder / "a-1-py3-none-any.whl"
    assert hashes.hash_urls([served.url(path)]) == (expected(served.url(path), path),)


def test_a_netrc_that_cannot_be_read(index: Serve, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / ".netrc").write_text("machine\n")
    with pytest.raises(UserError, match=r"\.netrc: cannot be read: "):
        hashes.hash_urls([index(folder).url(folder / "a-1-py3-none-any.whl")])


def test_every_file_that_cannot_be_read_is_told(index: Serve, folder: Path) -> None:
    served = index(folder)
    urls = [f"{served.address}/files/{name}" for name in ("x.whl?token=hush", "y.whl")]
    with pytest.raises(MachineError) as caught:
        hashes.hash_urls([*urls, served.url(folder / "a-1-py3-none-any.whl"), "http://127.0.0.1:9/z.whl"])
    assert {problem.where: problem.what for problem in caught.value.problems} == {
        "http://127.0.0.1:9/z.whl": "cannot be read: [Errno 111] Connection refused",
        f"{served.address}/files/x.whl": "the server answered 404 Not Found",
        f"{served.address}/files/y.whl": "the server answered 404 Not Found",
    }
    assert "hush" not in str(caught.value)


def test_a_fault_that_passes_is_tried_again(index: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = index(folder)
    path = folder / "a-1-py3-none-any.whl"
    faults: list[Exception] = [OSError("Temporary failure in name resolution"), TimeoutError("timed out")]
    real = connection.create_connection

    def faulty(*arguments: Any, **options: Any) -> Any:
        if faults:
            raise faults.pop(0)
        return real(*arguments, **options)

    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(connection, "create_connection", faulty)
    assert hashes.hash_urls([served.url(path)]) == (expected(served.url(path), path),)
    faults += [OSError("no route")] * 3
    with pytest.raises(MachineError, match="cannot be read: no route\n"):
        hashes.hash_urls([served.url(path)])


def test_credentials_in_an_address_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        hashes.hash_urls(["https://me:s3cret@files.example.org/a.whl"])
    assert str(caught.value) == (
        "https://files.example.org/a.whl: the address carries a user name or password, which would be written to "
        f"shared files\n"
        f"  hint: put them into {tmp_path}/home/.netrc (machine files.example.org login … password …), "
        "and leave them out of the address"
    )


def test_other_kinds_of_addresses() -> None:
    with pytest.raises(UserError, match=r"^ftp://files\.example\.org/a: is not an http, https or file address"):
        hashes.hash_urls(["ftp://files.example.org/a"])
