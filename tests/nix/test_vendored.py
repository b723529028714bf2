"""The library as a project has it, in two files, against this repository's; and what evaluating it does not need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.nix import ROOT, Nix
from support.project import Project

ODD = "a b'ü#%20 ${x}+?"


@pytest.fixture
def project(pins: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pins, tmp_path / ODD / "demo"))


def test_it_is_the_librarys_own(nix: Nix, library: Path, pins: Path, tmp_path: Path) -> None:
    """Each text byte for byte, and with all modules joined the same derivations."""
    pins = Path(shutil.copytree(pins, tmp_path / "demo"))
    texts = f'(import {pins}/nix/nixgen/library)."texts.nix" == import {ROOT}/nix/texts.nix'
    apart = f"import {pins}/apart.nix {{ }}"
    text = (pins / "default.nix").read_text()
    assert text.count("import ./nix/nixgen)") == 1
    (pins / "apart.nix").write_text(text.replace("import ./nix/nixgen)", f"import {library})"))
    wanted = "(made: [ made.environment.drvPath made.imports.drvPath made.shell.stdenv.drvPath ])"
    joined, separate, same = nix.evaluate(
        f"let of = {wanted}; in [ (of (import {pins} {{ }})) (of ({apart})) ({texts}) ]"
    )
    assert same is True
    assert joined == separate


def test_neither_a_home_nor_a_plain_folder_is_needed(nix: Nix, project: Path, tmp_path: Path) -> None:
    """What Nix fetches goes through a cache in the home directory; this does not."""
    home = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere/cache"}
    words = ("nix-instantiate", "-A", "environment", "-A", "shell")
    made = nix.inside(*words, cwd=project, **home).stdout
    assert nix.inside(*words, "--store", tmp_path / "elsewhere", cwd=project, **home).stdout == made
    assert nix.inside(*words, "--option", "restrict-eval", "true", "-I", project, project, **home).stdout == made


def test_a_part_that_git_does_not_know_is_told(nix: Nix, project: Path) -> None:
    (project / "nix/nixgen/library").unlink()
    done = nix.inside("nix-instantiate", "-A", "environment", cwd=project, check=False)
    assert (
        "nix/nixgen/library is missing, or git does not know it\n  hint: git add nix/nixgen, or: nixgen sync"
        in done.said
    )


def test_the_many_files_of_an_older_nixgen_become_few(nix: Nix, project: Path, library: Path) -> None:
    """`generate` puts the few into their place."""
    folder = project / "nix/nixgen"
    before = nix.inside("nix-instantiate", "-A", "environment", cwd=project).stdout
    older = {path.relative_to(library).as_posix(): path.read_bytes() for path in library.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    for name, data in older.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "files").write_text("# Written by nixgen\n" + "".join(f"{name}\n" for name in sorted(older)))
    Project(project).must("generate")
    assert sum(path.is_file() for path in folder.rglob("*")) < 10
    assert nix.inside("nix-instantiate", "-A", "environment", cwd=project).stdout == before
