"""What is taken from archives and Debian's snapshots, and what is not."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from support.loopback import Asked, Reply, listen

from nixgen.archive import copying, sources
from nixgen.archive.taking import Archives
from nixgen.bases.debian.sources import snapshots, stamp
from nixgen.errors import MachineError, UserError
from nixgen.log.stores.web import Web
from nixgen.machine import process
from nixgen.nix.json import Derivation, Output
from nixgen.nix.tools import Nix
from nixgen.project.settings import Settings
from nixgen.registry.opening import open_files

CONTENT = b"what was pinned"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SRI = "sha256-" + base64.b64encode(bytes.fromhex(SHA256)).decode()
OUT = "/nix/store/00000000000000000000000000000000-plum_1.0_all.deb"


class Store:
    """A double of Nix with a graph of two derivations and an empty store; it keeps what is added to it."""

    def __init__(self, url: str) -> None:
        fetched = {"name": "plum_1.0_all.deb", "url": url, "outputHashMode": "flat"}
        self.drvs = {
            "/a.drv": Derivation("a", "x", "sh", (), {}, {"out": Output("/a", None)}, ("/b.drv", "/m.drv"), ()),
            "/b.drv": Derivation(
                "plum_1.0_all.deb", "builtin", "builtin:fetchurl", (), fetched, {"out": Output(OUT, SRI)}, (), ()
            ),
            "/m.drv": Derivation("m", "x", "sh", (), {"stdenv": "/s"}, {"out": Output("/m", None)}, ("/n.drv",), ()),
            "/n.drv": Derivation("n", "x", "curl", (), {}, {"out": Output("/n", SRI)}, (), ()),
        }
        self.added: list[bytes] = []

    def graph(self, _drvs: Iterable[str]) -> Mapping[str, Derivation]:
        return self.drvs

    def infos(self, _paths: Iterable[str]) -> dict[str, object]:
        return {}

    def run(self, *words: object) -> process.Result:
        self.added.append(Path(str(words[-1])).read_bytes())
        return process.Result((), 0, OUT + "\n", "")

    def take(self, archives: Archives) -> int:
        return archives.take(cast("Nix", self), ["/a.drv"])


@pytest.fixture
def asked() -> list[str]:
    return []


def serving(asked: list[str], files: Mapping[str, bytes]) -> Any:
    def answer(one: Asked, _body: bytes) -> Reply:
        asked.append(one.path)
        found = files.get(one.path)
        return Reply(404) if found is None else Reply(200, {}, found)

    return listen(answer)


def test_the_sources_are_what_is_fetched_by_hash_and_not_what_nixpkgs_builds_with() -> None:
    url = "https://mirror.example.org/debian/pool/main/p/plum_1.0%2b2_all.deb"
    (found,) = sources.of(cast("Nix", Store(f"{url}#if-it-left-the-mirror,run:nixgen%20lock")), ["/a.drv"])
    assert (found.label, found.url) == ("plum_1.0+2_all.deb", url)
    assert (found.name, found.sha256, found.kind, found.tree, found.given) == (
        "plum_1.0_all.deb", SHA256, "deb", False, False,
    )  # fmt: skip
    assert found.place == f"sha256/{SHA256}"


def test_a_package_that_the_mirror_lost_comes_from_the_snapshot(asked: list[str]) -> None:
    """The paths are those of Debian's snapshot service: archive/NAME/TIME/pool/…"""
    pool = "pool/main/p/plum/plum_1.0_all.deb"
    store = Store(f"https://mirror.example.org/debian/{pool}")
    day = "/archive/debian/20261122T091544Z/"
    with serving(asked, {f"{day}{pool}": CONTENT}) as address:
        assert store.take(Archives((), snapshots(["20261121T091544Z"], address))) == 1
    assert store.added == [CONTENT]
    assert asked[0] == f"/archive/debian/20261121T091544Z/{pool}"
    assert asked[-1] == f"{day}{pool}"


def test_what_is_no_package_is_not_looked_for_in_snapshots(asked: list[str]) -> None:
    with serving(asked, {}) as address:
        assert Store("https://files.example.org/plum.whl").take(Archives((), (address,))) == 0
    assert asked == []


def test_endless_and_other_bytes_are_not_taken(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with serving(asked, {f"/sha256/{SHA256}": CONTENT * 100_000}) as address:
        store = Store("https://files.example.org/plum.whl")
        assert store.take(Archives((address,), (), {SHA256: len(CONTENT)})) == 0
    assert store.added == []
    told = capsys.readouterr().err
    assert "has other bytes for plum_1.0_all.deb" in told
    read = re.search(r"(\d+) of them read", told)
    assert read is not None
    assert int(read[1]) < 1 << 20, "no more is read than the lock says"


def test_an_archive_that_cannot_be_reached_is_passed_over(asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "sha256").mkdir()
    (tmp_path / "sha256" / SHA256).write_bytes(CONTENT)
    store = Store("https://files.example.org/plum.whl")
    with serving(asked, {}) as address:
        assert store.take(Archives((address, str(tmp_path)))) == 1
    assert store.added == [CONTENT]


def test_without_a_network_nobody_waits_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not reached is not asked for the next file."""
    asked: list[str] = []

    @contextmanager
    def unreached(_web: Web, name: str) -> Iterator[None]:
        asked.append(name)
        raise MachineError.of("snapshot.example.org", "cannot be reached")
        yield

    monkeypatch.setattr(Web, "stream", unreached)
    store = Store("https://mirror.example.org/debian/pool/main/p/plum.deb")
    archives = Archives((), snapshots(["20261121T091544Z", "20261101T091544Z"], "https://snapshot.example.org"))
    assert [store.take(archives), store.take(archives)] == [0, 0]
    assert len(asked) == 1


def test_a_web_server_that_takes_files_is_an_archive(tmp_path: Path) -> None:
    held: dict[str, bytes] = {}

    def answer(one: Asked, body: bytes) -> Reply:
        if one.method == "PUT":
            held[one.path] = body
            return Reply(201)
        return Reply(200 if one.path in held else 404, {}, held.get(one.path, b""))

    big = tmp_path / "big"
    big.write_bytes(b"0123456789" * 50_000)
    with listen(answer) as address:
        files = open_files(address)
        assert not files.exists("sha256/00")
        files.upload("sha256/00", big)
        assert files.exists("sha256/00")
        assert held == {"/sha256/00": big.read_bytes()}
        with pytest.raises(UserError, match="lists no folder"):
            copying.listed(files)


def test_what_is_read_ends_behind_the_limit() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    assert copying.hashed(endless(), 5000) == ("", 6000)
    assert copying.hashed(iter([b"what was ", b"pinned"]), 15) == (SHA256, 15)


def test_the_stamp_is_the_latest_of_the_signed_indexes() -> None:
    dates = ["Sat, 21 Nov 2026 09:15:44 UTC", "Sun, 29 Nov 2026 00:53:14 UTC", "Sat, 28 Nov 2026 14:09:31 +0000"]
    assert stamp(dates) == "20261129T005314Z"
    assert stamp([]) == ""
    places = snapshots(["20261231T235959Z"], "https://snapshot.example.org/")
    assert places[0] == "https://snapshot.example.org/archive/debian/20261231T235959Z"
    assert places[-1] == "https://snapshot.example.org/archive/debian-security/20270101T235959Z"


@pytest.mark.parametrize(
    "given", ["https://user:secret@archive.example.org", "ftp://archive.example.org", "https://h/?token=1", ""]
)
def test_addresses_that_no_archive_has_are_refused(given: str) -> None:
    with pytest.raises(UserError, match="archive"):
        Settings.parse({"archive": [given]})


def test_addresses_and_folders_of_archives() -> None:
    given = (
        "https://archive.example.org/a",
        "s3://bucket/prefix",
        "s3://bucket?endpoint=https://s3.example.org",
        "/srv/archive",
        "../archive",
    )
    assert Settings.parse({"archive": list(given)}).archive == given
