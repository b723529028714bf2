"""A project with the lock of another tool (pylock.toml, PEP 751), pinned, built and held to that lock on real Nix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from checking import Checked, make
from support.nix import SYSTEM, Nix
from support.project import run, uv_binary

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]


@pytest.fixture(scope="module")
def exported(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    checked = make(tmp_path_factory.mktemp("exported") / "demo", pins, plums, nix28)
    done = run([uv_binary(), "export", "--quiet", "--format=pylock.toml", "-o", "pylock.toml"], checked.folder)
    assert done.ok, done.tail()
    (checked.folder / "uv.lock").unlink()
    for words in (("lock", "--offline"), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


def test_it_is_built_and_default_nix_names_its_lock(exported: Checked) -> None:
    first, *_ = (exported.folder / "default.nix").read_text().splitlines()
    assert first.startswith('# Written by nixgen from "pylock.toml" and nixgen.lock;')
    environment = exported.nix.build(exported.folder, "environment")
    assert (
        exported.nix.run(str(environment / "bin/python"), "-c", "import plum; print(plum.COLOUR)").stdout == "purple\n"
    )


def test_another_lock_is_another_environment(exported: Checked) -> None:
    lock = exported.folder / "pylock.toml"
    before = lock.read_text()
    try:
        lock.write_text(f"{before}\n# more\n")
        done = exported.nix.evaluate(f"(import {exported.folder} {{ }}).environment.name", check=False)
        assert "pylock.toml changed after default.nix was generated" in done.stderr
    finally:
        lock.write_text(before)
