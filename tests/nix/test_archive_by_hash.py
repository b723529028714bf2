"""An archive of a project's sources, on real Nix: with every original server off, an empty store is filled from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.loopback import Asked, Reply, listen

if TYPE_CHECKING:
    from checking import Checked

OFF = "http://127.0.0.1:9"
"""A proxy that nobody listens at: whatever is asked through it is refused, as by servers that are gone."""


def without_servers(checked: Checked, store: Path) -> Checked:
    """The same project on an empty store, with every server off."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), OFF)
    nix = checked.nix.with_store(store).with_env(**proxies, no_proxy="").with_settings(connect_timeout="2")
    return replace(checked, nix=nix)


def add(checked: Checked, line: str) -> None:
    """Another line of [tool.nixgen]."""
    place = checked.folder / "pyproject.toml"
    text = place.read_text()
    place.write_text(text.replace("[tool.nixgen]\n", f"[tool.nixgen]\n{line}\n"))
    done = checked.run("generate")
    assert done.ok, done.tail()


def test_without_any_server_all_comes_from_the_archive(checked: Checked, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    done = checked.run("archive", "push", archive)
    assert done.ok, done.tail()
    held = list((archive / "sha256").iterdir())
    assert len(held) > 20, done.stdout
    again = checked.run("archive", "push", archive, "--json")
    assert json.loads(again.stdout) == {"archive": str(archive), "copied": [], "bytes": 0, "there": len(held)}
    add(checked, f'archive = ["{archive}"]')
    checked.check("--update")

    alone = without_servers(checked, tmp_path / "empty")
    found = alone.check()
    assert "identical" in found.stdout
    assert f"from {archive}: the original address failed" in found.stderr


@pytest.mark.one_nix
def test_what_is_kept_is_read_again_and_cleared(checked: Checked, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert checked.run("archive", "push", archive).ok
    (plum,) = checked.index.folder.glob("plum-1.0*.whl")
    place = archive / "sha256" / hashlib.sha256(plum.read_bytes()).hexdigest()
    place.chmod(0o644)
    place.write_bytes(plum.read_bytes()[:-1] + b"!")
    done = checked.run("archive", "verify", archive)
    assert done.returncode == 1
    assert f"{place}: holds other bytes than its name says (plum-1.0-py3-none-any.whl)" in done.stderr

    other = archive / "sha256" / ("0" * 64)
    other.write_bytes(b"of nobody")
    listed = checked.run("archive", "gc", archive)
    assert listed.stdout.split() == [other.name]
    assert other.exists(), "only --delete removes"
    assert checked.run("archive", "gc", archive, "--delete").ok
    assert not other.exists()
    assert place.exists()


@pytest.mark.one_nix
def test_other_bytes_from_an_archive_are_not_taken(checked: Checked, tmp_path: Path) -> None:
    def answer(asked: Asked, _body: bytes) -> Reply:
        return Reply(200, {}, b"other bytes for " + asked.path.encode())

    with listen(answer) as address:
        add(checked, f'archive = ["{address}"]')
        alone = without_servers(checked, tmp_path / "empty")
        alone = replace(alone, nix=alone.nix.with_env(no_proxy=address.partition("://")[2].partition(":")[0]))
        done = alone.run("check")
    assert done.returncode in {3, 5}, done.tail()
    assert f"{address} has other bytes for " in done.stderr
    assert "not taken" in done.stderr
    assert "identical" not in done.stdout


@pytest.mark.one_nix
def test_a_path_that_changed_on_the_disk_is_named(checked: Checked, tmp_path: Path) -> None:
    store = checked.nix.real(next(path for path in checked.valid() if path.endswith("plum-1.0-py3-none-any.whl")))
    kept = store.read_bytes()
    try:
        store.chmod(0o644)
        store.write_bytes(kept[:-1] + b"!")
        done = checked.run("archive", "push", tmp_path / "archive")
    finally:
        store.write_bytes(kept)
        store.chmod(0o444)
    assert done.returncode == 1
    assert "plum-1.0-py3-none-any.whl: is not what Nix fetched: it was not copied" in done.stderr
    assert "nix-store --repair-path" in done.stderr


@pytest.mark.one_nix
def test_where_each_source_is(checked: Checked, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    assert checked.run("archive", "push", archive).ok
    add(checked, f'archive = ["{archive}"]')
    proxied = checked.nix.with_env(
        http_proxy=OFF, https_proxy=OFF, no_proxy="127.0.0.1"
    )  # Debian's mirror is not asked
    checked = checked.with_nix(proxied)
    done = checked.run("show", "--sources", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    plum = rows["plum-1.0-py3-none-any.whl"]
    assert any(row["original"] is False for row in rows.values())
    assert (plum["original"], plum["archive"], plum["cache"], plum["store"]) == (True, True, None, True)
    for path in (archive / "sha256").iterdir():
        path.unlink()
    rare = checked.run("show", "--sources", "--problems")
    assert rare.returncode == 1
    assert "plum-1.0-py3-none-any.whl" in rare.stdout
    assert "hint: keep them: nixgen archive push FOLDER" in rare.stdout
