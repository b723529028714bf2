"""Caches in nixgen.lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import SIGNER, VERIFIER, digest
from support import remembered

from nixgen.bases.model import NixpkgsBase
from nixgen.errors import UserError
from nixgen.lock import lockfile, pinning
from nixgen.lock.logpins import LogPin, pinned
from nixgen.lock.model import Lock
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Signer
from nixgen.project.project import find_project

URL = "s3://team-cache?region=eu-west-1"
BASE = NixpkgsBase("nixos-26.05", "0" * 40, "sha256-" + "A" * 43 + "=", 1, "2.40", "3.12", (), ())


def pin(url: str = URL, size: int = 7) -> LogPin:
    return LogPin(url, VERIFIER, Checkpoint.signed(SIGNER, size, digest(size)))


def text(*pins: LogPin) -> str:
    return lockfile.dump_lock(Lock(BASE, cache=pins))


def changed(**changes: Any) -> str:
    table = json.loads(text(pin()))
    for key, value in changes.items():
        table["cache"][URL][key] = value
    return json.dumps(table)


def refusal(lock: str) -> str:
    with pytest.raises(UserError) as caught:
        lockfile.parse_lock(lock)
    return str(caught.value).replace("\n  hint: restore it: git checkout nixgen.lock", "")


def test_what_the_lock_says() -> None:
    written = text(pin())
    table = json.loads(written)["cache"]
    assert table == {
        URL: {
            "origin": "example.com/log",
            "key": str(VERIFIER),
            "size": 7,
            "root": "eQJpm+Qsio5G+7tFAXJlF+hrIsVqGJ92JabaSQgbJFE=",
            "checkpoint": pin().checkpoint.note,
        }
    }
    assert [line for line in written.splitlines() if line.startswith(f'    "{URL}": {{"checkpoint": "')]


def test_nothing_for_no_caches() -> None:
    assert '"cache"' not in text()
    assert lockfile.parse_lock(text()).cache == ()


@given(
    st.dictionaries(
        st.sampled_from(("file:///srv/cache", URL, "https://example.com/cache", "ssh-ng://me@host", "ssh-ng://host")),
        st.integers(0, 1 << 62),
    )
)
def test_what_is_written_is_read(caches: dict[str, int]) -> None:
    pins = tuple(pin(url, size) for url, size in sorted(caches.items()))
    lock = Lock(BASE, cache=pins)
    written = lockfile.dump_lock(lock)
    found = lockfile.parse_lock(written)
    assert found == lock
    assert [item.checkpoint.note for item in found.cache] == [item.checkpoint.note for item in pins]
    assert lockfile.dump_lock(found) == written
    assert lockfile.logs_of(written, "cache") == pins


def test_a_pin_takes_the_place_of_the_one_before() -> None:
    other = pin("file:///srv/cache", 3)
    assert pinned((pin(), other), pin(size=9)) == (other, pin(size=9))
    assert pinned((), other) == (other,)


WHERE = f'nixgen.lock: cache."{URL}"'


@pytest.mark.parametrize(
    ("lock", "problem"),
    [
        (changed(size=8), f"{WHERE}.size: is not what the checkpoint says, which is 7"),
        (changed(origin="other"), f"{WHERE}.origin: is not what the checkpoint says, which is example.com/log"),
        (
            changed(root="A" * 43 + "="),
            f"{WHERE}.root: is not what the checkpoint says, which is {json.loads(text(pin()))['cache'][URL]['root']}",
        ),
        (changed(root="no"), f"{WHERE}.root: has an impossible value: 'no'"),
        (changed(key="no"), f"{WHERE}.key: is not a verifier key: "),
        (
            changed(key=str(Signer("other", bytes(32)).verifier)),
            f'{WHERE}.key: is of "other", and the checkpoint of "example.com/log"',
        ),
        (changed(checkpoint="no"), f"{WHERE}.checkpoint: is not a note: no signature follows its text"),
        (changed(checkpoint="\ud800"), f"{WHERE}.checkpoint: is not text"),
        (changed(checkpoint=SIGNER.sign("no\n")), f"{WHERE}.checkpoint: is not a checkpoint: "),
        (changed(chekpoint="no"), f'{WHERE}.chekpoint: is not a known key; did you mean "checkpoint"?'),
        (changed(size=None), f"{WHERE}.size: is nothing, not a number"),
        (text(pin("ftp://example.com")), 'nixgen.lock: cache."ftp://example.com": is not an address that starts with'),
        (text(pin("https://me:word@example.com")), "has an address with a user name or password in it"),
        (text(pin("ssh-ng://me:word@example.com")), "has an address with a user name or password in it"),
    ],
)
def test_pins_that_are_none(lock: str, problem: str) -> None:
    assert problem in refusal(lock)
    assert lockfile.logs_of(lock, "cache") == ()


def test_caches_of_a_lock_that_cannot_be_read() -> None:
    table = json.loads(text(pin()))
    table["base"] = {"kind": "unknown"}
    table["version"] = 99
    assert lockfile.logs_of(json.dumps(table), "cache") == (pin(),)
    for spoilt in ("", "{", "[]", "null", text(pin())[:-5], '{"cache": 1}', "[" * 100_000):
        assert lockfile.logs_of(spoilt, "cache") == ()


# nixgen lock


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A locked project on the nixpkgs base, whose lock tells of a cache."""
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n[tool.nixgen]\nbase = "nixpkgs"\n'
    )
    remembered.lock(tmp_path)
    pinning.lock(find_project(tmp_path), pinning.Options(offline=True))
    made = lockfile.read_lock(tmp_path / "nixgen.lock")
    (tmp_path / "nixgen.lock").write_text(lockfile.dump_lock(Lock(made.base, made.hashes, made.artifacts, (pin(),))))
    return tmp_path


@pytest.mark.parametrize("upgrade", [False, True])
def test_locking_again_keeps_the_caches(project: Path, *, upgrade: bool) -> None:
    before = (project / "nixgen.lock").read_bytes()
    pinning.lock(find_project(project), pinning.Options(upgrade=upgrade, offline=True))
    assert (project / "nixgen.lock").read_bytes() == before


def test_a_lock_that_cannot_be_read_is_written_anew_with_its_caches(project: Path) -> None:
    before = (project / "nixgen.lock").read_text()
    (project / "nixgen.lock").write_text(before.replace('"narHash"', '"narhash"'))
    pinning.lock(find_project(project), pinning.Options(upgrade=True, offline=True))
    assert (project / "nixgen.lock").read_text() == before


def test_caches_that_are_lost_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (project / "nixgen.lock").read_text()
    (project / "nixgen.lock").write_text(before.replace('"size": 7', '"size": 8'))
    pinning.lock(find_project(project), pinning.Options(upgrade=True, offline=True))
    assert lockfile.read_lock(project / "nixgen.lock").cache == ()
    told = "warning: what nixgen.lock said of cache cannot be read, and is gone: see its older revisions\n"
    assert told in capsys.readouterr().err
