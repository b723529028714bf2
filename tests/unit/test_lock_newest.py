"""A newer nixpkgs than the table's: what Nix answers, what is pinned then, and where nobody answers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.project import Project

from nixgen.bases import nixpkgs
from nixgen.bases.model import NixpkgsBase
from nixgen.errors import UserError
from nixgen.lock import lockfile, newest, pinning
from nixgen.lock.pinning import Options
from nixgen.nix import tools
from nixgen.project.project import find_project
from nixgen.project.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a program of shell stands for Nix")

PIN = nixpkgs.PINS[nixpkgs.DEFAULT]
REV, HASH = "9" * 40, "sha256-" + "B" * 43 + "="
UNREACHED = "unable to download 'https://api.github.example.org/': Couldn't resolve host name (6)"
Answers = Callable[..., Path]


@pytest.fixture
def nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Has a program named nix answer with a revision of this time, or fail with these words; gives its log."""

    def answer(modified: int = PIN.last_modified + 1, *, rev: str = REV, fails: str = "") -> Path:
        newest._locked.cache_clear()
        folder, log = tmp_path / "bin", tmp_path / "log"
        folder.mkdir(exist_ok=True)
        locked = {"rev": rev, "narHash": HASH, "lastModified": modified, "type": "github"}
        said = f'echo "error: {fails}" >&2; exit 1' if fails else f"echo '{json.dumps({'locked': locked})}'"
        (folder / "nix").write_text(f'#!/bin/sh\necho "$*" >> {log}\n{said}\n')
        (folder / "nix").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return log

    tools._version.cache_clear()
    yield answer
    newest._locked.cache_clear()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = Project.make(tmp_path / "p", more='\n[tool.nixgen]\npython = "3.13"\n').folder
    package = '[[package]]\nname = "demo"\nversion = "0.1.0"\nsource = { virtual = "." }\n'
    (made / "uv.lock").write_text(f'version = 1\nrequires-python = ">=3.11"\n{package}')
    return made


def lock(project: Path, **options: bool) -> NixpkgsBase:
    found = pinning.lock(find_project(project), Options(**options)).base
    assert isinstance(found, NixpkgsBase)
    return found


def test_upgrade_pins_what_the_branch_has_now(nix: Answers, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = nix()
    assert lock(project).rev == PIN.rev
    assert not log.exists(), "without --upgrade nobody is asked"
    capsys.readouterr()
    found = lock(project, upgrade=True)
    assert (found.name, found.rev, found.nar_hash) == (PIN.name, REV, HASH)
    assert (found.last_modified, found.glibc) == (PIN.last_modified + 1, PIN.glibc)
    assert f"  nixpkgs: {PIN.rev[:12]} → {REV[:12]}\n" in capsys.readouterr().err
    assert "flake metadata --json github:NixOS/nixpkgs/nixos-26.05" in log.read_text()
    assert nixpkgs.flake_node(found)["original"]["ref"] == "nixos-26.05"
    # A pin that is newer than the table stays, and is no reason to ask again.
    log.unlink()
    assert lock(project) == found
    assert not log.exists()


@pytest.mark.parametrize("offline", [False, True])
def test_without_a_network_the_newest_that_is_known_stays(
    nix: Answers, project: Path, capsys: pytest.CaptureFixture[str], *, offline: bool
) -> None:
    nix()
    newer = lock(project, upgrade=True)
    log = nix(fails=UNREACHED)
    log.unlink()
    capsys.readouterr()
    assert lock(project, upgrade=True, offline=offline) == newer
    why = "it was not asked for (--offline)" if offline else UNREACHED
    assert f"warning: there may be a newer nixos-26.05 than {REV[:12]}: {why}\n" in capsys.readouterr().err
    assert log.exists() is not offline


def test_nothing_older_is_taken(nix: Answers, project: Path) -> None:
    nix(PIN.last_modified - 1)
    assert lock(project, upgrade=True).rev == PIN.rev


def test_without_nix(nix: Answers, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nix()
    monkeypatch.setattr(tools, "located", lambda _name: "/no/nix")
    assert lock(project, upgrade=True).rev == PIN.rev


def test_a_revision_of_ones_own_is_never_asked_for(nix: Answers) -> None:
    log = nix()
    own = nixpkgs.resolve_base(Settings(nixpkgs={"rev": "1" * 40, "narHash": HASH}), "3.13")
    assert newest.renewed(own, None, offline=False) is own
    assert not log.exists()


def test_an_answer_that_is_none(nix: Answers, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nix(rev="nixos-26.05")
    assert lock(project, upgrade=True).rev == PIN.rev
    assert "what it says of github:NixOS/nixpkgs/nixos-26.05 has no revision with a hash" in capsys.readouterr().err


def test_a_stable_branch_that_is_younger_than_the_table(nix: Answers, project: Path) -> None:
    """It is asked for once; its Pythons and systems are those that nixpkgs has not dropped."""
    nix()
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(f'{text}nixpkgs = "nixos-26.11"\n')
    found = lock(project)
    assert (found.name, found.rev, found.glibc) == ("nixos-26.11", REV, PIN.glibc)
    assert lockfile.read_lock(project / "nixgen.lock").base == found
    nix(fails=UNREACHED)
    assert lock(project) == found
    assert lock(project, upgrade=True) == found
    settings = Settings(nixpkgs="nixos-26.11")
    assert nixpkgs.pythons(settings) == ("3.14", "3.13", "3.12")
    assert "x86_64-darwin" not in nixpkgs.systems(settings)
    assert nixpkgs.flake_url(found) == "github:NixOS/nixpkgs/nixos-26.11"


@pytest.mark.parametrize("name", ["nixos-25.11", "nixos-26.12", "nixpkgs", "nixos-26.11/x"])
def test_no_other_name_is_a_branch(name: str) -> None:
    assert nixpkgs.known(name) is None


def test_a_younger_branch_that_nobody_can_ask_for(nix: Answers) -> None:
    nix(fails=UNREACHED)
    base = replace(nixpkgs.resolve_base(Settings(nixpkgs="nixos-27.05"), "3.13"))
    with pytest.raises(UserError) as caught:
        newest.renewed(base, None, offline=False)
    assert str(caught.value) == (
        "pyproject.toml: tool.nixgen.nixpkgs: this nixgen does not know nixos-27.05 yet, and cannot ask for it: "
        f"{UNREACHED}\n  hint: run it with the network: nixgen sync; or use one of nixos-26.05, nixos-unstable"
    )
