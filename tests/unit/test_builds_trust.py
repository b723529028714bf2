"""What a source may have nixgen fetch. No test of this file contacts anything: names are looked up in a table."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nixgen.builds.asked import Source
from nixgen.builds.trust import Trust
from nixgen.machine import addresses
from nixgen.resolve.model import Package

NONE = Trust(frozenset(), frozenset())
SOURCE = Source(Package("old", "1", "sdist"), {}, {}, "", "")
OWN = replace(SOURCE, package=Package("old", "1", "directory", path="."))
NAMES = {
    "inside.example.org": "10.1.2.3",
    "loop.example.org": "127.0.0.1",
    "metadata.example.org": "169.254.169.254",
    "six.example.org": "::1",
    "example.org": "192.0.43.10",
    "localhost": "127.0.0.1",
    "127.1": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
}
INTERNAL = [
    *("http://127.0.0.1/x-1.tar.gz", "http://127.0.0.1:8000/x-1.tar.gz", "https://127.1/x", "http://2130706433/x"),
    *("http://0x7f.1/x", "http://[::1]/x", "http://[::ffff:127.0.0.1]/x", "http://[fe80::1%25eth0]/x", "http://0.0.0.0/x"),
    *("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x", "http://192.168.1.1/x", "http://100.64.0.1/x"),
    *("http://localhost/x", "HTTP://LOCALHOST/x", "http://inside.example.org/x", "https://loop.example.org/x"),
    *("http://metadata.example.org/x", "http://six.example.org/x", "http://example.org@127.0.0.1/x"),
    *("git+http://127.0.0.1/x.git", "git+ssh://git@127.0.0.1/x.git", "git+https://inside.example.org/x@main"),
]  # fmt: skip
ODD = [
    *("file:///etc/passwd", "git+file:///srv/x", "/etc/passwd", "./x", "http:127.0.0.1/x", "http:/127.0.0.1/x"),
    *("http://127.0.0.1\\@example.org/x", "http://127。0。0。1/x", "ftp://example.org/x", "git://example.org/x"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(host: str, port: object) -> list[tuple[object, ...]]:
        address = NAMES.get(host.lower(), host)
        if not set(address) <= set("0123456789.") and ":" not in address:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)


def refused(*requires: str, places: Mapping[str, object] | None = None, **given: Any) -> str:
    trust: Trust = given.get("trust", NONE)
    problems = trust.address_problems(given.get("source", SOURCE), requires, json.dumps(places or {}))
    return "; ".join(problem.what for problem in problems)


@pytest.mark.parametrize("url", INTERNAL)
def test_what_lies_on_this_machine_or_in_a_private_network_is_not_fetched_for_a_source(url: str) -> None:
    said = refused("setuptools>=40", f"x @ {url}")
    assert said.endswith(f"it requires what lies on this machine or in a private network: {addresses.blotted(url)}")
    assert refused(f"x[a, b]@{url} ; python_version > '3'") == said
    plain = url.removeprefix("git+")
    for key, row in (("url", plain), ("git", plain)):
        assert "in a private network" in refused(places={"sources": {"x": {key: row}}, "index": []})
        assert "in a private network" in refused(places={"sources": {"x": [{key: row, "marker": "a"}]}})
    assert "in a private network" in refused(
        places={"sources": {"x": {"index": "a"}}, "index": [{"name": "a", "url": plain}]}
    )
    assert refused(f"x @ {url}", source=OWN) == "", "the project's own pyproject.toml"


@pytest.mark.parametrize("url", ODD)
def test_what_is_no_address_of_https_or_git_is_not_read_for_a_source(url: str) -> None:
    assert "neither at an https nor at a git address" in refused(f"x @ {url}")


@pytest.mark.parametrize(
    "text", ["setuptools", "x>=1 ; sys_platform == 'a@http://127.0.0.1/'", "x @ https://example.org/x-1.tar.gz", ""]
)
def test_what_is_public_is_fetched(text: str) -> None:
    assert refused(text) == ""
    assert refused("x @ https://nowhere.example.org/x") == "", "a name that leads nowhere"


def test_what_the_project_itself_names_is_fetched() -> None:
    trust = Trust(frozenset(), frozenset({addresses.origin("http://127.0.0.1:3141")}))
    assert refused("x @ http://127.0.0.1:3141/x-1.tar.gz", trust=trust) == ""
    assert refused("x @ http://127.0.0.1:3142/x-1.tar.gz", trust=trust) != ""
    assert refused("x @ https://127.0.0.1:3141/x-1.tar.gz", trust=trust) != ""


CRATES_OF_CARGO = "registry+https://github.com/rust-lang/some-index"
OTHER = "sparse+https://crates.example.org/index/"


def test_only_registries_of_crates_that_the_project_names_are_asked() -> None:
    trust = Trust(frozenset({OTHER.rstrip("/")}), frozenset({("http", "127.0.0.1", 80)}))
    assert trust.registry_problems(SOURCE, [CRATES_OF_CARGO, OTHER]) == []
    strange = ["sparse+http://127.0.0.1/", "sparse+https://crates.example.org/", f"{CRATES_OF_CARGO}/../../x"]
    assert trust.registry_problems(OWN, strange) == []
    found = trust.registry_problems(SOURCE, [*strange, *strange, "registry+https://me:s3cret@example.org/"])
    assert str(found[1]) == (
        f"old: Cargo.lock names a registry that this project does not trust: {CRATES_OF_CARGO}/../../x\n"
        f'  hint: if you do: crate-registries = ["{CRATES_OF_CARGO}/../../x"] under [tool.nixgen], then: nixgen sync; '
        "else change it by a patch, under packages of [tool.nixgen]"
    )
    assert len(found) == 4
    assert "s3cret" not in str(found)
