"""Where the paths of a store lie, from the store's address."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.program import nixgen

from nixgen.errors import UserError
from nixgen.nix import stores
from nixgen.nix.stores import place

PATH = "/nix/store/9nr5xh37wy1gx5sv9j1cj9if5svcw4lj-a"


@pytest.mark.parametrize("store", ["", "auto", "daemon", "local", "unix:///nix/var/nix/daemon-socket/socket"])
def test_the_machines_own(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIX_REMOTE", raising=False)
    assert place(store, PATH) == Path(PATH)


@pytest.mark.parametrize(
    ("store", "where"),
    [
        ("/mnt/root", f"/mnt/root{PATH}"),
        ("/mnt/my%20root", f"/mnt/my root{PATH}"),
        ("/mnt/root?trusted=1", f"/mnt/root{PATH}"),
        ("local?root=/mnt/root", f"/mnt/root{PATH}"),
        ("local:///mnt/root", f"/mnt/root{PATH}"),
        ("local?real=/disk/store", "/disk/store/9nr5xh37wy1gx5sv9j1cj9if5svcw4lj-a"),
        ("auto?root=/mnt/root", f"/mnt/root{PATH}"),
    ],
)
def test_a_store_in_a_folder(store: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIX_REMOTE", raising=False)
    assert place(store, PATH) == Path(where)


def test_dots_are_gone_as_in_nix(tmp_path: Path) -> None:
    assert place(f"{tmp_path}/missing/../root", PATH) == Path(f"{tmp_path}/root{PATH}")


def test_only_a_build_in_another_folder_is_shielded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIX_REMOTE", raising=False)
    monkeypatch.setattr(stores, "_can_shield", lambda: True)
    for store in ("", "daemon", "ssh-ng://host", "/"):
        assert stores.shielded(store, ["nix-store"]) == ["nix-store"]
    assert stores.shielded("/srv/scratch", ["nix-store", "x"])[0] == "unshare"
    assert stores.shielded("/srv/scratch", ["nix-store", "x"])[-2:] == ["nix-store", "x"]
    monkeypatch.setattr(stores, "_can_shield", lambda: False)
    assert stores.shielded("/srv/scratch", ["nix-store"]) == ["nix-store"]


def test_a_folder_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place("./root", PATH) == Path(f"{tmp_path}/root{PATH}")


@pytest.mark.parametrize(
    "store",
    [
        "ssh-ng://host",
        "ssh://host?root=/x",
        "https://cache.example.org",
        "s3://bucket",
        "file:///srv/cache",
        "dummy://",
    ],
)
def test_elsewhere(store: str) -> None:
    assert place(store, PATH) is None


def test_the_default_is_what_the_settings_say() -> None:
    """Case 9: NIX_REMOTE, NIX_CONFIG and nix.conf all end in this one setting."""
    assert stores.configured("auto", (2, 26)) == ""
    assert stores.configured("/mnt/root", (2, 8)) == "/mnt/root"
    assert stores.configured("ssh-ng://host", (2, 34)) == "ssh-ng://host"


def test_a_user_without_nix_has_a_store_in_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 45. From Nix 2.10 on, and only where there is neither /nix/var/nix nor a daemon."""
    monkeypatch.setattr(stores.os, "geteuid", lambda: 1000)
    for name in ("NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_DATA_HOME", "NIX_DAEMON_SOCKET_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(stores, "STATE", tmp_path / "state")
    assert stores.configured("auto", (2, 26)) == str(tmp_path / "nix" / "root")
    assert stores.configured("auto", (2, 8)) == ""
    monkeypatch.setenv("NIX_STATE_DIR", str(tmp_path))
    assert stores.configured("auto", (2, 26)) == ""
    monkeypatch.delenv("NIX_STATE_DIR")
    (tmp_path / "state").mkdir()
    assert stores.configured("auto", (2, 26)) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NIX_STORE_DIR", "/srv/store"),
        ("NIX_STORE", "/srv/store"),
        ("NIX_STORE_DIR", "nix/store"),
        ("NIX_REMOTE", "local?root=/x&store=/srv/store"),
    ],
)
def test_a_store_with_another_name_is_refused_by_every_command(name: str, value: str, tmp_path: Path) -> None:
    """All paths would be others: check said that the record was stale, and a run's record lacked its environment."""
    told = f"error: {name}: names the store {value.rpartition('=')[2]}, and all that nixgen makes and records is of "
    for words in (["check"], ["run", "--record", "true"], ["generate"], ["verify"], ["report"]):
        done = nixgen(*words, cwd=tmp_path, **{name: value})
        assert (done.returncode, done.stderr) == (2, f"{told}/nix/store\n  hint: unset {name}\n")
    assert nixgen("check", "--help", **{name: value}).returncode == 0
    for store in ("local?store=/srv/store", "ssh-ng://host?store=/srv/store"):
        with pytest.raises(UserError, match="all that nixgen makes and records is of /nix/store"):
            stores.configured(store, (2, 8))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NIX_STORE_DIR", "/nix/store/"),
        ("NIX_STORE_DIR", ""),
        ("NIX_STORE", "/nix/store"),
        ("NIX_REMOTE", "daemon"),
        ("NIX_REMOTE", "local?root=/x&store=/nix/store"),
        ("NIX_STATE_DIR", "/srv/state"),
        ("NIX_LOG_DIR", "/srv/logs"),
    ],
)
def test_a_store_elsewhere_with_its_own_name_is_as_good(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    stores.refuse_renamed()
    assert stores.configured("local?root=/x&store=/nix/store", (2, 8)) != ""
    assert stores.state() == Path(value if name == "NIX_STATE_DIR" else "/nix/var/nix")
