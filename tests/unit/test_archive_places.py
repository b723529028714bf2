"""An archive is filled, read again and cleared, wherever it lies: a folder, a bucket (moto), a web server."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from support.loopback import Asked, Reply, listen

from nixgen.archive import copying
from nixgen.archive.sources import Source
from nixgen.cache import archive
from nixgen.cache.archive import Whereabouts
from nixgen.cache.wherewords import as_text
from nixgen.errors import Finding, MachineError, UserError
from nixgen.nix.tools import Nix
from nixgen.registry.files import Files
from nixgen.registry.opening import open_files

KINDS = ("folder", "bucket", "web")


class Store:
    """A double of Nix whose store has some files."""

    def __init__(self, folder: Path, contents: Sequence[bytes]) -> None:
        self.store, self.folder = "file://", folder
        folder.mkdir()
        self.sources = [self._put(number, content) for number, content in enumerate(contents)]

    def _put(self, number: int, content: bytes) -> Source:
        (self.folder / f"file{number}").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        return Source(f"file{number}", sha256, f"/nix/store/file{number}", "", "", "file", given=True)

    @contextlib.contextmanager
    def roots(self) -> Iterator[Path]:
        yield self.folder

    def infos(self, paths: Iterable[str]) -> dict[str, None]:
        return dict.fromkeys(paths)

    def physical(self, path: str) -> Path:
        return self.folder / path.rpartition("/")[2]

    def push(self, files: Files) -> copying.Pushed:
        return copying.push(cast("Nix", self), files, self.sources)


class Server:
    """A web server that takes PUT; ``fails`` says which requests it breaks off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fails: Callable[[Asked], bool] = lambda _: False
        self.lock = threading.Lock()

    def answer(self, asked: Asked, body: bytes) -> Reply:
        with self.lock:
            if self.fails(asked):
                return Reply(500)
            if asked.method == "PUT":
                self.files[asked.path] = body
            elif asked.method == "DELETE":
                self.files.pop(asked.path, None)
            elif asked.path not in self.files:
                return Reply(404)
            return Reply(200, {}, self.files.get(asked.path, b"") if asked.method != "DELETE" else b"")


@pytest.fixture(params=KINDS)
def files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Files]:
    if request.param == "folder":
        yield open_files(str(tmp_path / "archive"))
    elif request.param == "web":
        with listen(Server().answer) as address:
            yield open_files(f"{address}/archive")
    else:
        with bucket(monkeypatch) as address:
            yield open_files(address)


@contextlib.contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server, boto3 = pytest.importorskip("moto.server"), pytest.importorskip("boto3")
    pytest.importorskip("obstore")
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    running = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        made: Any = boto3.resource("s3", endpoint_url=f"http://{host}:{port}").Bucket("nixgen-archive")
        made.create()
        yield f"s3://nixgen-archive/kept?endpoint={host}:{port}&scheme=http&region=us-east-1"
        made.objects.all().delete()
        made.delete()
    finally:
        running.stop()


def test_it_is_filled_once_read_again_and_cleared(files: Files, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", [b"one", b"two" * 1_000_000, b""])
    assert store.push(files).size == 3_000_003
    again = store.push(files)
    assert (again.copied, again.there) == ((), 3)
    found = copying.verify(files, {one.sha256: one.name for one in store.sources}, {})
    assert (found.whole, found.problems) == (3, ())
    kept = [one.sha256 for one in store.sources]
    if "://127" in files.where:
        with pytest.raises(UserError, match="lists no folder") as raised:
            copying.unneeded(files, kept[1:])
        assert "--registry" not in str(raised.value), "no option of nixgen archive gc"
        return
    unneeded = copying.unneeded(files, kept[1:])
    assert unneeded == kept[:1]
    copying.remove(files, unneeded)
    assert sorted(copying.listed(files)) == sorted(kept[1:])


def test_a_path_that_changed_is_not_published(files: Files, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", [b"one", b"two"])
    (store.folder / "file0").write_bytes(b"0ne")
    with pytest.raises(Finding, match="file0: is not what Nix fetched"):
        store.push(files)
    assert [one.name for one in copying.absent(files, store.sources)] == ["file0"]


def test_two_pushes_at_once_leave_whole_files(files: Files, tmp_path: Path) -> None:
    stores = [Store(tmp_path / f"store{n}", [bytes([k]) * 300_000 for k in range(6)]) for n in range(3)]
    threads = [threading.Thread(target=store.push, args=(files,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copying.verify(files, {one.sha256: one.name for one in stores[0].sources}, {}).whole == 6


def test_what_could_not_be_removed_is_not_said_to_be(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", [b"one", b"two"])
    names = [one.sha256 for one in store.sources]
    folder = open_files(str(tmp_path / "archive"))
    store.push(folder)
    outside = tmp_path / "outside"
    (tmp_path / "archive/sha256").rename(outside)
    (tmp_path / "archive/sha256").symlink_to(outside)
    with pytest.raises(MachineError, match=f"sha256/{names[0]}: could not be removed"):
        copying.remove(folder, names)
    assert len(list(outside.iterdir())) == 2, "what a link leads to is not the archive's"


@pytest.mark.parametrize("at", ["HEAD", "PUT"])
def test_a_server_that_fails_is_told_and_has_no_half_file(tmp_path: Path, at: str) -> None:
    server = Server()
    store = Store(tmp_path / "store", [b"one", b"two"])
    server.fails = lambda asked: asked.method == at and store.sources[1].sha256 in asked.path
    with listen(server.answer) as address:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nixgen.machine.download.time.sleep", lambda _: None)
            with pytest.raises(MachineError, match="answered 500"):
                store.push(open_files(address))
        server.fails = lambda _: False
        store.push(open_files(address))
        assert sorted(server.files.values()) == [b"one", b"two"]


def test_a_clone_that_may_lack_tags_judges_nothing(tmp_path: Path) -> None:
    def git(*words: object) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *map(str, words)], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "whole")
    for number in range(2):
        git("-C", "whole", "commit", "-q", "--allow-empty", "-m", number)
    git("-C", "whole", "tag", "v1", "HEAD~1")
    git("clone", "-q", "--depth=1", f"file://{tmp_path}/whole", "shallow")
    assert archive.kept_tags(tmp_path / "whole", "*") == ["v1"]
    with pytest.raises(UserError, match="is a shallow clone") as raised:
        archive.kept_tags(tmp_path / "shallow", "*")
    assert "fetch --unshallow --tags" in str(raised.value)
    assert archive.kept_tags(tmp_path / "shallow", "") == []
    (tmp_path / "none").mkdir()
    assert archive.kept_tags(tmp_path / "none", "*") == []


@pytest.mark.parametrize(("archive", "named"), [(None, ", and name FOLDER: [tool.nixgen] archive"), (False, "")])
def test_where_files_are_is_said_with_what_keeps_them(archive: bool | None, named: str) -> None:  # noqa: FBT001
    one = Source("bash.deb", "0" * 64, "/o", "/d", "http://deb.example.org/bash_5.2%2bb1_amd64.deb", "deb")
    lines = [line for _, line in as_text([Whereabouts(one, True, archive, None, True)], 1, problems=True)]
    assert lines[1].split()[:2] == ["bash_5.2+b1_amd64.deb", "yes"]
    assert lines[-1] == f"hint: keep them: nixgen archive push FOLDER{named}"


def test_a_server_that_has_everything_has_nothing(tmp_path: Path) -> None:
    """A page for whatever is asked, as a captive portal and some hosts of pages have it."""
    store = Store(tmp_path / "store", [b"one"])
    told = pytest.raises(MachineError, match="says of every file that it is there")
    with listen(lambda _asked, _body: Reply(200, {}, b"<html>")) as address, told:
        store.push(open_files(address))
