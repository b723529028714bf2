"""Each kind of store keeps the promises that a log is built on: folders, S3 (moto), web servers."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from logs import SIGNER, VERIFIER, append, entries
from support.loopback import Asked, Reply, listen
from support.waiting import PATIENCE

from nixgen.cache.entry import read
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.log.log import Log
from nixgen.log.stores.folder import Folder
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage

BUCKET = "nixgen-log"


class Server:
    """A web server that takes uploads, as WebDAV servers do. ``status`` answers everything with one status."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.status = 0
        self.tags = True  # ETags are given, and conditions looked at
        self.asked: list[Asked] = []

    def answer(self, asked: Asked, body: bytes) -> Reply:
        with self.lock:
            self.asked.append(asked)
            if self.status:
                return Reply(self.status)
            found = self.files.get(asked.path)
            tag = f'"{hashlib.sha256(found).hexdigest()}"' if found is not None else None
            if asked.method == "GET":
                headers = {"ETag": tag} if tag and self.tags else {}
                return Reply(404) if found is None else Reply(200, headers, found)
            if self.tags and not self._holds(asked.headers, tag):
                return Reply(412)
            if asked.method == "PUT":
                self.files[asked.path] = body
                return Reply(201 if found is None else 204)
            for path in [path for path in self.files if path == asked.path or path.startswith(f"{asked.path}/")]:
                del self.files[path]
            return Reply(204)

    @staticmethod
    def _holds(headers: Mapping[str, str], tag: str | None) -> bool:
        wanted = headers.get("If-Match")
        return (wanted is None or wanted == tag) and not (headers.get("If-None-Match") == "*" and tag)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    running = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a bucket, as Nix has it."""
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("obstore")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=f"http://{endpoint}")
    client.create_bucket(Bucket=BUCKET)
    yield f"s3://{BUCKET}/caches/log?endpoint={endpoint}&scheme=http&region=us-east-1"
    for row in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=row["Key"])
    client.delete_bucket(Bucket=BUCKET)


Make = Callable[[], Storage]


CAREFUL = ["folder", "file", "s3", "http"]


@pytest.fixture(params=CAREFUL)
def make(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> Iterator[Make]:
    """Opens the same store anew each time."""
    with ExitStack() as stack:
        if request.param == "folder":
            url = str(tmp_path / "log")
        elif request.param == "file":
            url = (tmp_path / "a log").as_uri()
        elif request.param == "s3":
            url = request.getfixturevalue("bucket")
        else:
            url = stack.enter_context(listen(server.answer)) + "/caches/log/"
        yield lambda: open_storage(url)


def test_promises(make: Make) -> None:
    store = make()
    assert store.read("checkpoint") is None
    assert store.read("tile/0/000.p/7") is None
    store.write("tile/0/000.p/7", b"seven")
    store.write("tile/0/000", b"all")
    assert (make().read("tile/0/000.p/7"), make().read("tile/0/000")) == (b"seven", b"all")
    store.write("tile/0/000", b"again")
    assert make().read("tile/0/000") == b"again"

    assert store.create("pending/7", b"one")
    assert not make().create("pending/7", b"two")
    assert not store.create("pending/7", b"one")
    assert store.read("pending/7") == b"one"
    store.remove("pending/7")
    store.remove("pending/7")
    assert store.read("pending/7") is None
    assert store.create("pending/7", b"three")

    assert not store.replace("checkpoint", b"two", b"one")
    store.write("checkpoint", b"one")
    assert not store.replace("checkpoint", b"two", b"zero")
    assert store.replace("checkpoint", b"two", b"one")
    assert not make().replace("checkpoint", b"three", b"one")
    assert make().read("checkpoint") == b"two"

    store.remove("tile/0/000.p")
    assert (store.read("tile/0/000.p/7"), store.read("tile/0/000")) == (None, b"again")
    with store.exclusive():
        assert store.read("checkpoint") == b"two"


def test_one_of_many_creates(make: Make) -> None:
    stores = [make() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda pair: pair[1].create("pending/0", b"%d" % pair[0]), enumerate(stores)))
    assert made.count(True) == 1
    assert stores[0].read("pending/0") == b"%d" % made.index(True)


def test_one_of_many_replaces(make: Make) -> None:
    stores = [make() for _ in range(6)]
    stores[0].write("checkpoint", b"old")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda pair: pair[1].replace("checkpoint", b"%d" % pair[0], b"old"), enumerate(stores)))
    assert done.count(True) == 1
    assert stores[0].read("checkpoint") == b"%d" % done.index(True)


def test_a_log_in_it(make: Make) -> None:
    first = append(Log.open(make(), VERIFIER), entries(0, 3), SIGNER).checkpoint
    append(Log.open(make(), VERIFIER, first), entries(3, 300), SIGNER)
    log = Log.open(make(), VERIFIER, first)
    assert list(read(log)) == entries(0, 300)
    assert make().read("tile/0/000.p/3") is None
    assert make().read("pending/3") is None


@pytest.mark.heavy
def test_writers_without_a_lock(bucket: str) -> None:
    """Conditional writes alone keep them apart."""

    def push(number: int) -> None:
        for turn in range(3):
            start = number * 100 + turn * 4
            append(Log.open(open_storage(bucket), VERIFIER), entries(start, start + 4), SIGNER)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(push, range(3)))
    found = list(read(Log.open(open_storage(bucket), VERIFIER)))
    assert sorted(found, key=lambda item: item.nar_size) == [
        item for number in range(3) for item in entries(number * 100, number * 100 + 12)
    ]


# What goes wrong


def failure(do: Callable[[], object], kind: type[NixgenError] = MachineError) -> str:
    with pytest.raises(kind) as caught:
        do()
    return str(caught.value)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    store = Folder(tmp_path / "log")
    assert store.read("checkpoint") is None
    assert failure(lambda: store.write("checkpoint", b"")).startswith(f"{tmp_path}/log/checkpoint: cannot be written: ")
    assert "cannot be written" in failure(lambda: store.exclusive().__enter__())


def test_a_full_disk(mounted: Path) -> None:
    store = Folder(mounted)
    store.write("tile/0/000", b"old")
    wanted = f"{mounted}: the disk is full\n  hint: free some room and try again"
    assert failure(lambda: store.write("tile/0/000", os.urandom(1 << 20))) == wanted
    assert store.read("tile/0/000") == b"old"
    assert [path.name for path in (mounted / "tile/0").iterdir()] == ["000"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    store = Folder(tmp_path)
    assert store.create("pending/0", b"one")
    assert not store.create("pending/0", b"two")
    assert store.read("pending/0") == b"one"


def test_who_waits_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, held, done = Folder(tmp_path), threading.Event(), threading.Event()
    said: list[str] = []

    def told(text: str) -> None:
        said.append(text)
        done.set()  # only now may the other one end

    def other() -> None:
        with Folder(tmp_path).exclusive():
            held.set()
            done.wait(PATIENCE)

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(PATIENCE)
    monkeypatch.setattr(console, "info", told)
    with store.exclusive():
        assert done.is_set()
    thread.join()
    assert said == [f"Another nixgen appends to {tmp_path}: waiting for it to end."]


def test_web_servers_that_refuse(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with listen(server.answer) as url:
        store = open_storage(f"{url}/log?token=secret")
        server.status = 405
        assert failure(lambda: store.write("checkpoint", b"")) == (
            f"{url}/log/checkpoint: the server answered 405 Method Not Allowed to PUT\n"
            "  hint: the server takes no uploads: push to the folder or bucket behind it"
        )
        server.status = 403
        assert "give the user name and password for 127.0.0.1 in " in failure(lambda: store.read("checkpoint"))
        server.status = 500
        assert failure(lambda: store.read("checkpoint")).endswith("  hint: check the address, and the network or proxy")
        store.remove("checkpoint")
    gone = open_storage(f"{url}/log")
    assert "cannot be read" in failure(lambda: gone.read("checkpoint"))
    assert "cannot be reached" in failure(lambda: gone.write("checkpoint", b""))
    assert "user name or password" in failure(lambda: open_storage("https://me:word@example.com/log"), UserError)


class Careless(Server):
    """Looks at neither, one, or both of the conditions; its tags may be weak."""

    def __init__(self, *looks_at: str, weak: bool = False) -> None:
        super().__init__()
        self.looks_at = looks_at
        self.weak = weak

    def answer(self, asked: Asked, body: bytes) -> Reply:
        for name in {"If-Match", "If-None-Match"} - set(self.looks_at):
            if name in asked.headers:
                del asked.headers[name]  # type: ignore[attr-defined]
        reply = super().answer(asked, body)
        if self.weak and "ETag" in reply.headers:
            reply.headers["ETag"] = f"W/{reply.headers['ETag']}"
        return reply


CARELESS = [
    Careless,
    lambda: Careless("If-Match"),
    lambda: Careless("If-None-Match"),
    lambda: Careless("If-Match", "If-None-Match", weak=True),
]


@pytest.mark.parametrize("make_server", CARELESS)
def test_a_server_that_ignores_conditions_gets_no_log(make_server: Callable[[], Server]) -> None:  # case 43
    """Two pushes at once could fork it: that is found out before the first append."""
    careless = make_server()
    with listen(careless.answer) as url:
        log = Log.open(open_storage(f"{url}/log"), VERIFIER)
        assert failure(lambda: append(log, entries(0, 3)), UserError) == (
            f"{url}/log: ignores If-None-Match or If-Match, so two pushes at once could fork the log: "
            "nothing was appended\n  hint: keep the log elsewhere: --log file:///folder, or --log s3://bucket/log"
        )
        assert set(careless.files) == {"/log/conditions"}


def test_a_careful_server_is_asked_once(server: Server) -> None:
    with listen(server.answer) as url:
        log = Log.open(open_storage(f"{url}/log"), VERIFIER)
        append(log, entries(0, 3))
        append(log, entries(3, 6))
        append(Log.open(open_storage(f"{url}/log"), VERIFIER), entries(6, 9))
    asked = [one.method for one in server.asked if one.path == "/log/conditions"]
    assert asked == ["GET", "PUT", "PUT", "PUT", "GET", "GET", "PUT", "PUT", "GET"]


def test_s3_that_cannot_be_used(bucket: str) -> None:
    absent = open_storage(bucket.replace(BUCKET, "no-such-bucket"))
    assert absent.read("checkpoint") is None
    assert "s3://no-such-bucket/caches/log: " in failure(lambda: absent.write("checkpoint", b""))
    nowhere = open_storage("s3://bucket/log?endpoint=127.0.0.1:9&scheme=http")
    assert "check the network, the endpoint and the credentials" in failure(lambda: nowhere.read("checkpoint"))


@pytest.mark.parametrize("kept", [(), ("create",), ("update",)])
def test_a_bucket_that_ignores_conditions_gets_no_log(
    bucket: str, kept: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:  # case 43
    import obstore

    put = obstore.put

    def old(store: Any, path: str, data: bytes, *, mode: Any, **more: Any) -> object:
        kind = mode if isinstance(mode, str) else "update"
        return put(store, path, data, mode=mode if kind in {"overwrite", *kept} else "overwrite", **more)

    monkeypatch.setattr(obstore, "put", old)
    log = Log.open(open_storage(bucket), VERIFIER)
    assert "ignores If-None-Match or If-Match" in failure(lambda: append(log, entries(0, 3)), UserError)
    assert open_storage(bucket).read("checkpoint") is None


def test_the_keys_of_a_profile(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}")
    (tmp_path / "home/.aws").mkdir(parents=True)
    (tmp_path / "home/.aws/config").write_text("[profile team]\nregion = us-east-1\n[profile sso]\nsso_session = x\n")
    keys = "aws_access_key_id = me\naws_secret_access_key = secret\n"
    (tmp_path / "home/.aws/credentials").write_text(f"[default]\n{keys}[team]\n{keys}")
    open_storage(bucket).write("checkpoint", b"one")
    assert open_storage(f"{bucket}&profile=team").read("checkpoint") == b"one"
    monkeypatch.setenv("AWS_PROFILE", "sso")
    said = failure(lambda: open_storage(bucket), UserError)
    assert "the profile sso of ~/.aws has no key in it" in said
    assert "aws configure export-credentials --profile sso" in said
    assert "no key in it" in failure(lambda: open_storage(f"{bucket}&profile=none"), UserError)


def test_addresses_that_nothing_reads() -> None:
    assert failure(lambda: open_storage("ssh-ng://host/log"), UserError).endswith(
        "  hint: use file://, s3:// or https://, or name a folder for the log with --log"
    )


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore.store", None)
    wanted = re.escape(
        "s3://bucket/log: s3: needs a library that is not here\n  hint: in a clone of nixgen: uv tool install"
    )
    with pytest.raises(UserError, match=wanted):
        open_storage("s3://bucket/log")
