"""Where the paths of a store lie, from the store's address."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_the_default_is_what_nix_remote_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIX_REMOTE", "ssh-ng://host")
    assert place("", PATH) is None
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    assert place("", PATH) == Path(PATH)
    monkeypatch.setenv("NIX_REMOTE", "/mnt/root")
    assert place("auto", PATH) == Path(f"/mnt/root{PATH}")
