"""Where a package has no wheel for the project's Python: which Python of the base has one, and how to get there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from projects import NUMPY, PYPROJECT, make, package, uv_lock, wheel

from nixgen.bases.model import NixpkgsBase
from nixgen.bases.otherpython import hinted, of_built
from nixgen.builds.advice import Adviser
from nixgen.nix.failures import Broken
from nixgen.nix.json import Derivation, Output
from nixgen.project.project import Project, find_project
from nixgen.resolve import resolution
from nixgen.resolve.model import Target

LINUX = Target("x86_64-linux", "3.13")
DEBIAN = '[tool.nixgen]\nbase = "debian"\n'


def cp(*pythons: int, name: str = "old") -> list[str]:
    return [wheel(f"{name}-1-cp3{one}-cp3{one}-manylinux_2_17_x86_64.whl") for one in pythons]


def project(root: Path, *packages: str, requires: str = ">=3.11", settings: str = "") -> Project:
    names = tuple(text.split('name = "')[1].split('"')[0] for text in packages)
    text = PYPROJECT.replace(">=3.11", requires).replace('"six", "numpy>=2"', ", ".join(f'"{name}"' for name in names))
    recorded = ", ".join(f'{{ name = "{name}" }}' for name in names)
    lock = uv_lock(*packages, dependencies=names, requires=recorded).replace(">=3.11", requires, 1)
    return find_project(make(root, text + settings, lock))


def mends(found: Project, target: Target = LINUX) -> Sequence[str]:
    return [
        problem.mend
        for one in hinted(found, resolution.resolve(found, [target], "2.36", {}))
        for problem in one.problems
    ]


def test_the_newest_python_of_the_base_that_has_a_wheel_is_named(tmp_path: Path) -> None:
    assert mends(project(tmp_path, package("old", "1", *cp(9, 10, 11, 12)))) == [
        "uv python pin 3.12\n"
        "then the same command again: for Python 3.12 there is a wheel of old; or choose another version of it"
    ]


def test_what_has_wheels_today_is_not_lost_for_it(tmp_path: Path) -> None:
    new = package("new", "1", *cp(11, 13, name="new"))
    (mend,) = mends(project(tmp_path, package("old", "1", *cp(11, 12)), new))
    assert mend.startswith("uv python pin 3.11\n")
    (mend,) = mends(project(tmp_path / "none", package("old", "1", *cp(12)), new))
    assert mend.startswith("uv python pin 3.12\n")


def test_a_python_that_the_base_lacks_is_not_named(tmp_path: Path) -> None:
    plain = "choose a version that has one, or set another python under [tool.nixgen]"
    assert mends(project(tmp_path / "gone", package("old", "1", *cp(9, 10)), requires=">=3.9")) == [plain]
    settings = f'{DEBIAN}suite = "trixie"\n'
    assert mends(project(tmp_path / "suite", package("old", "1", *cp(11, 12)), settings=settings)) == [plain]
    (mend,) = mends(project(tmp_path / "debian", package("old", "1", *cp(11, 12)), settings=DEBIAN))
    assert mend.startswith("uv python pin 3.11\n")


def test_requires_python_is_to_be_widened_first(tmp_path: Path) -> None:
    (mend,) = mends(project(tmp_path, package("old", "1", *cp(12)), requires=">=3.13"))
    assert mend.startswith(
        'widen requires-python = ">=3.13" in pyproject.toml to allow 3.12, then: uv lock && uv python pin 3.12\n'
    )


def test_another_system_has_other_wheels(tmp_path: Path) -> None:
    found = project(tmp_path, package("old", "1", *cp(12), wheel("old-1-cp311-cp311-manylinux_2_17_aarch64.whl")))
    (mend,) = mends(found, Target("aarch64-linux", "3.13"))
    assert mend.startswith("uv python pin 3.11\n")


@pytest.mark.parametrize("failed", [True, False])
def test_what_is_built_for_want_of_a_wheel_says_so_too(tmp_path: Path, failed: bool) -> None:  # noqa: FBT001
    old = package("old", "1", *cp(11, 12), sdist="old-1.tar.gz")
    pure = package("pure", "1", sdist="pure-1.tar.gz")
    found = project(tmp_path, old, pure, NUMPY)
    assert of_built(found, LINUX, "old", failed=failed) == (
        "uv python pin 3.12\nthen the same command again: for Python 3.12 there is a wheel of old, and nothing is built"
    )
    assert not of_built(found, LINUX, "pure", failed=failed)
    assert not of_built(found, LINUX, "numpy", failed=failed)
    assert not of_built(found, LINUX, "hatchling", failed=failed)


def test_a_lock_that_was_cut_to_a_newer_python_says_so_where_a_build_failed(tmp_path: Path) -> None:
    """``uv init`` writes requires-python = ">=3.13", and uv.lock then has no wheels of numpy 1.26 at all."""
    found = project(tmp_path, package("old", "1", sdist="old-1.tar.gz"), requires=">=3.13")
    assert not of_built(found, LINUX, "old", failed=False)
    assert of_built(found, LINUX, "old", failed=True) == (
        "if old has wheels for Python 3.12, which uv.lock leaves out: "
        'widen requires-python = ">=3.13" in pyproject.toml to allow 3.12, then: uv lock && uv python pin 3.12'
    )


def test_a_build_that_fails_is_told_with_it_before_what_else_would_mend_it(tmp_path: Path) -> None:
    found = project(tmp_path, package("old", "1", *cp(12), sdist="old-1.tar.gz"))
    base = NixpkgsBase("nixos-26.05", "0" * 40, "sha256-", 1, "2.42", "3.13", (), ())
    env = {"project": "old", "mode": "wheel"}
    derivation = Derivation("old", LINUX.system, "b", (), env, {"out": Output("/nix/store/x", None)}, (), ())
    told = Adviser.of(found, base, LINUX.system)({"a.drv": Broken(derivation, ("sh: 1: cmake: not found",))})["a.drv"]
    lines = told.splitlines()
    assert lines[0] == "uv python pin 3.12"
    assert "have this in pyproject.toml, then: nixgen sync" in lines
    check = Broken(Derivation("imports", LINUX.system, "b", (), {}, {}, (), ()), ("it is wrong",))
    assert Adviser.of(found, base, LINUX.system)({"a.drv": check}) == {}
