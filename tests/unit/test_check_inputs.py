"""What the record says that derivations are made from."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.plans import DEBIAN, DEBIAN_PLAN, MODELS, MODELS_PLAN, NIXPKGS, NIXPKGS_PLAN, TREE, deb

from nixgen.check.facts import builder, system
from nixgen.check.inputs import artifact_input, base_input, inputs, library_hash
from nixgen.generate.model import Plan
from nixgen.machine.background import Beside

X86, ARM = "x86_64-linux", "aarch64-linux"


def library(root: Path, **files: str) -> Path:
    for name, text in {"default.nix": "{ }", "builders/a.py": "A = 1\n", **files}.items():
        path = root / "nix/nixgen" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_wheels_are_those_of_the_system(tmp_path: Path) -> None:
    found = inputs(DEBIAN_PLAN, library(tmp_path), X86).wheels
    assert list(found) == ["numpy", "six", "typing-extensions"]
    assert found["numpy"].version == "2.4.6"
    assert found["numpy"].sha256 == "a" * 64
    other = inputs(DEBIAN_PLAN, tmp_path, ARM).wheels
    assert list(other) == ["numpy", "six"]
    assert other["numpy"].sha256 == "b" * 64


def test_the_base_is_its_packages_of_the_system() -> None:
    found = base_input(DEBIAN, X86)
    assert (found.kind, found.name, found.python) == ("debian", "bookworm", "3.11")
    assert found.packages == {"bash": "1.0+b1", "ffmpeg": "1.0+b1", "libc6": "1.0+b1"}
    assert base_input(replace(DEBIAN, debs=DEBIAN.debs[::-1]), X86) == found
    assert base_input(replace(DEBIAN, debs=(*DEBIAN.debs, deb("zlib1g", ARM, "core", "7"))), X86) == found
    for changed in (
        replace(DEBIAN, debs=(replace(DEBIAN.debs[0], sha256="0" * 64), *DEBIAN.debs[1:])),
        replace(DEBIAN, debs=(replace(DEBIAN.debs[0], part="extra"), *DEBIAN.debs[1:])),
        replace(DEBIAN, bootstrap=(replace(DEBIAN.bootstrap[0], sha256="0" * 64), DEBIAN.bootstrap[1])),
    ):
        assert base_input(changed, X86).digest != found.digest


def test_nixpkgs_is_its_hash_and_what_is_taken_of_it() -> None:
    bare = replace(NIXPKGS, libraries=(), tools=())
    assert base_input(bare, X86).digest == NIXPKGS.nar_hash
    digests = {
        base_input(each, X86).digest
        for each in (bare, replace(bare, libraries=("git",)), replace(bare, tools=("git",)), NIXPKGS)
    }
    assert len(digests) == 4


def test_an_artifact_is_its_files_and_their_places() -> None:
    minilm = MODELS[0]
    found = artifact_input(minilm)
    assert found.commit == minilm.commit
    assert artifact_input(replace(minilm, files=minilm.files[::-1])) == found
    for changed in (
        minilm.files[1:],
        (replace(minilm.files[0], path="other.json"), *minilm.files[1:]),
        (replace(minilm.files[0], sha256="0" * 64), *minilm.files[1:]),
    ):
        assert artifact_input(replace(minilm, files=changed)).digest != found.digest
    moved = replace(minilm, files=(replace(minilm.files[0], url="https://mirror.example.org/x"), *minilm.files[1:]))
    assert artifact_input(moved) == found


def test_the_library_is_what_nixgen_wrote_but_for_the_base(tmp_path: Path) -> None:
    found = library_hash(library(tmp_path))
    library(tmp_path, **{"base.nix": "{ }", "bootstrap/busybox.tar.xz": "x", "files": "# Written by nixgen\n"})
    (tmp_path / "nix/nixgen/builders/__pycache__").mkdir()
    (tmp_path / "nix/nixgen/builders/__pycache__/a.pyc").write_text("x")
    assert library_hash(tmp_path) == found
    library(tmp_path, **{"builders/a.py": "A = 2\n"})
    assert library_hash(tmp_path) != found


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (replace(DEBIAN_PLAN, trees=(replace(TREE, metadata="Name: other\n"),)), False),
        (replace(DEBIAN_PLAN, prefer=("six",)), False),
        (replace(DEBIAN_PLAN, prefer=("six", "numpy")), False),
        (replace(DEBIAN_PLAN, name="other"), False),
        (replace(DEBIAN_PLAN, services=MODELS_PLAN.services), False),
        (replace(DEBIAN_PLAN, base=NIXPKGS, digests={"uv.lock": "9" * 64}), True),
        (replace(DEBIAN_PLAN, resolutions=DEBIAN_PLAN.resolutions[:1], systems=(X86,)), True),
    ],
)
def test_the_project_is_what_is_neither_wheel_nor_base(tmp_path: Path, changed: Plan, *, same: bool) -> None:
    before, after = (inputs(plan, tmp_path, X86).project for plan in (DEBIAN_PLAN, changed))
    assert (before == after) is same


def test_all_of_it_can_be_recorded(tmp_path: Path) -> None:
    for plan in (DEBIAN_PLAN, NIXPKGS_PLAN, MODELS_PLAN):
        found = inputs(plan, library(tmp_path), X86)
        assert set(found.files) == {"uv.lock", "nixgen.lock"}
        assert list(found.artifacts) == sorted(artifact.key for artifact in plan.artifacts)


def test_a_file_with_a_version_is_recorded_whatever_its_name(tmp_path: Path) -> None:
    sha = "9" * 64
    told = {"VERSION": f"text:{sha}", "setup.py": f"whole:{sha}", "a/code.py": "lines:a = 1\nb = 2", "uv.lock": sha}
    found = inputs(replace(DEBIAN_PLAN, digests={**told, "uv.toml": ""}), library(tmp_path), X86).files
    lines = hashlib.sha256(b"lines:a = 1\nb = 2").hexdigest()
    assert found == {"VERSION": sha, "a/code.py": lines, "setup.py": sha, "uv.lock": sha}


def test_facts_about_this_machine() -> None:
    assert system().split("-") == [os.uname().machine, os.uname().sysname.lower()]
    found = builder((2, 8, 0))
    assert found.nix == "2.8.0"
    assert found.cores >= 1
    assert found.cpu
    assert "\n" not in found.kernel + found.cpu


def test_work_beside_gives_what_it_gave_or_raises_what_it_raised() -> None:
    assert Beside(lambda: 7).result() == 7

    def fails() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Beside(fails).result()


def test_the_order_of_prefer_counts(tmp_path: Path) -> None:
    """Case 24: the first of them wins, so another order is another environment."""
    one, other = (
        inputs(replace(DEBIAN_PLAN, prefer=names), library(tmp_path), X86).project
        for names in (("six", "numpy"), ("numpy", "six"))
    )
    assert one != other
