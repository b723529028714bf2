"""Whom the cache's commands believe: what is given, what nixgen.lock has, and what is noted there."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from nixgen.bases.model import NixpkgsBase
from nixgen.cache import pinning, place
from nixgen.cache.narinfo import PublicKey
from nixgen.errors import UserError
from nixgen.lock import lockfile
from nixgen.lock.logpins import LogPin
from nixgen.lock.model import Lock
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Signer

URL = "file:///srv/cache"
SSH = "ssh-ng://nix@builder.example.org"
SIGNER, STRANGER = Signer("team-1", bytes(32)), Signer("team-1", bytes([1] * 32))
KEY, OTHER = (PublicKey(f"team-{number}", bytes([number] * 32)) for number in (1, 2))
BASE = NixpkgsBase("nixos-26.05", "0" * 40, "sha256-" + "A" * 43 + "=", 1, "2.40", "3.12", (), ())


def checkpoint(size: int = 7) -> Checkpoint:
    return Checkpoint.signed(SIGNER, size, bytes([size] * 32))


PIN = LogPin(URL, SIGNER.verifier, checkpoint(), (str(KEY),))
BEHIND = LogPin(SSH, SIGNER.verifier, checkpoint(), (str(KEY),), "file:///srv/log")


def project(folder: Path, *pins: LogPin) -> Path:
    (folder / "nixgen.lock").write_text(lockfile.dump_lock(Lock(BASE, cache=pins)))
    return folder


def sentence(error: pytest.ExceptionInfo[UserError]) -> str:
    return str(error.value)


def test_keys_and_the_logs_address_are_kept_in_the_lock(tmp_path: Path) -> None:
    assert pinning.pins(project(tmp_path, PIN, BEHIND)) == (PIN, BEHIND)
    assert pinning.pins(tmp_path / "elsewhere") == pinning.pins(None) == ()
    text = (tmp_path / "nixgen.lock").read_text()
    for wrong in ('"keys": ["team-1"]', '"keys": "team-1"'):
        with pytest.raises(UserError, match="keys"):
            lockfile.parse_lock(text.replace(f'"keys": ["{KEY}"]', wrong))
    with pytest.raises(UserError, match="log: is not an address that starts with"):
        lockfile.parse_lock(text.replace("file:///srv/log", "ftp://srv/log"))


def test_the_only_cache_that_is_noted_need_not_be_named() -> None:
    assert pinning.choose([PIN], None, None) == (place.parse(URL), PIN)
    assert pinning.choose([BEHIND], None, None) == (place.parse(SSH, "file:///srv/log"), BEHIND)
    with pytest.raises(UserError) as none:
        pinning.choose([], None, None)
    assert sentence(none) == "nixgen.lock: has no cache\n  hint: name one, like file:///srv/cache"
    with pytest.raises(UserError) as several:
        pinning.choose([PIN, BEHIND], None, None)
    assert sentence(several) == f"nixgen.lock: has several caches\n  hint: they are {URL}, {SSH}"


def test_a_cache_may_be_named_in_any_way() -> None:
    for text in (URL, "/srv/cache", "file:///srv/cache/", f"{URL}?compression=xz"):
        found, pin = pinning.choose([PIN, BEHIND], text, None)
        assert (found.url, pin) == (URL, PIN)
    assert pinning.choose([PIN, BEHIND], f"{SSH}/", None)[0].log == "file:///srv/log"
    assert pinning.choose([PIN, BEHIND], SSH, "/other")[0].log == "file:///other"
    assert pinning.choose([PIN], "https://cache.example.org", None)[1] is None


def test_what_the_lock_has_is_believed() -> None:
    found = pinning.trust(place.parse(URL), PIN)
    assert found == pinning.Trust(SIGNER.verifier, (KEY,), checkpoint())


def test_what_is_given_counts_as_text_or_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "log.pub").write_text(f"{SIGNER.verifier}\n")
    (tmp_path / "cache.pub").write_text(f"{OTHER}\n")
    where = place.parse(URL)
    wanted = pinning.Trust(SIGNER.verifier, (OTHER,))
    assert pinning.trust(where, None, str(SIGNER.verifier), [str(OTHER)]) == wanted
    assert pinning.trust(where, None, str(tmp_path / "log.pub"), [str(tmp_path / "cache.pub")]) == wanted
    assert pinning.trust(where, PIN, keys=[str(OTHER)]) == replace(wanted, known=checkpoint())


def test_keys_with_every_character_of_base_64_are_no_file_names() -> None:
    for raw in (b"\xff" * 32, bytes(range(224, 256)), b"\xfb\xef\xbe" * 10 + b"\xff\xff"):
        key = f"team-1:{base64.b64encode(raw).decode()}"
        assert pinning.text_of(key) == key
        verifier = str(Signer("team-1", raw).verifier)
        assert pinning.text_of(verifier) == verifier


def test_who_is_not_known_is_not_believed(tmp_path: Path) -> None:
    where = place.parse(URL)
    with pytest.raises(UserError, match="no key of its log: pass --log-key"):
        pinning.trust(where, None)
    with pytest.raises(UserError, match="no key of its paths"):
        pinning.trust(where, None, str(SIGNER.verifier))
    with pytest.raises(UserError, match="no key of its paths"):
        pinning.trust(where, replace(PIN, keys=()))
    with pytest.raises(UserError) as other:
        pinning.trust(where, PIN, str(STRANGER.verifier))
    assert sentence(other) == (
        "--log-key: is not the key that nixgen.lock has for this cache\n"
        f"  hint: ask whoever gave you the key why; nixgen.lock has {SIGNER.verifier}"
    )
    with pytest.raises(UserError, match=r"^--log-key: is not a verifier key"):
        pinning.trust(where, None, "team-1")
    with pytest.raises(UserError, match="is neither a key nor a file that can be read"):
        pinning.trust(where, None, str(tmp_path / "none.pub"))
    with pytest.raises(UserError, match=r"^nowhere\.pub: is neither a key nor a file that can be read"):
        pinning.trust(where, None, "nowhere.pub")


def test_what_is_noted(tmp_path: Path) -> None:
    root = project(tmp_path)
    where = place.parse(URL)
    assert pinning.note(root, where, SIGNER.verifier, [KEY], checkpoint())
    assert pinning.pins(root) == (PIN,)
    assert not pinning.note(root, where, SIGNER.verifier, [KEY], checkpoint())
    assert pinning.note(root, where, SIGNER.verifier, [OTHER], checkpoint(9))
    assert pinning.pins(root) == (replace(PIN, checkpoint=checkpoint(9), keys=(str(KEY), str(OTHER))),)
    assert pinning.note(root, place.parse(SSH, "/srv/log"), SIGNER.verifier, [KEY], checkpoint())
    assert pinning.pins(root)[1] == BEHIND
