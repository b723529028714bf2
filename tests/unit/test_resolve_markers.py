"""Markers that a target does not determine, and systems that uv's environments leave out (cases 41, 62)."""

# ruff: noqa: E501 -- entries of lock files are as long as they are
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from projects import NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel
from support.resolving import resolved

from nixgen.bases.python import targets
from nixgen.errors import Problem
from nixgen.generate import planning, render
from nixgen.lock import fit, lockfile, pinning
from nixgen.project.project import find_project
from nixgen.resolve.markers import Markers
from nixgen.resolve.model import Target
from nixgen.resolve.resolution import left_out, merged_problems, resolve, split_served

LINUX = Markers(
    Target("x86_64-linux", "3.11", "3.11.2"), "14.0", ["sys_platform == 'linux' and platform_release >= '6'"]
)
MAC = Markers(Target("aarch64-darwin", "3.11", "3.11.9"), "14.0")


@pytest.mark.parametrize(
    ("marker", "linux", "mac"),
    [
        ("sys_platform == 'linux'", True, False),
        ("platform_release >= '5'", None, True),
        ("platform_release < '5'", None, False),
        ("platform_release >= '23'", None, True),
        ("platform_release >= '23.0.0'", None, True),
        ("platform_release > '23'", None, None),
        ("platform_release >= '24.0'", None, None),
        ("platform_release == '22.1'", None, False),
        ("platform_release != '22.1'", None, True),
        ("'5' < platform_release", None, None),
        ("platform_release >= 'x'", None, None),
        ("platform_release >= '6'", True, True),
        ('platform_release >= "6"', True, True),
        ("'microsoft' in platform_version", None, None),
        ("'WSL' not in platform_release", None, None),
        ("sys_platform == 'win32' and platform_release >= '30'", False, False),
        ("sys_platform == 'linux' or 'x' in platform_version", True, None),
        ("platform_release >= '30' and sys_platform == 'darwin'", False, None),
        ("platform_machine == 'arm64'", False, True),
    ],
)
def test_what_holds_for_a_target(marker: str, *, linux: bool | None, mac: bool | None) -> None:
    assert (LINUX.holds(marker), MAC.holds(marker)) == (linux, mac)
    assert bool(MAC.undecided(marker)) >= (mac is None)


@pytest.mark.parametrize(
    ("marker", "decides"),
    [
        (None, False),
        ("python_full_version < '3.12'", False),
        ("python_full_version >= '3.11'", False),
        ("python_full_version > '3.11'", True),
        ("python_full_version < '3.11.3'", True),
        ("python_full_version == '3.11.4'", True),
        ("python_full_version == '3.11.*'", False),
        ("python_full_version < '3.10.3'", False),
        ("implementation_version < '3.11.3'", True),
        ("python_full_version < '3.11.3' and sys_platform == 'win32'", False),
        ("python_full_version < '3.11.3' and platform_release >= '6'", True),
    ],
)
def test_whether_a_patch_release_decides(marker: str | None, *, decides: bool) -> None:
    assert LINUX.patch_decides(marker) == decides


def locked(root: Path, dependency: str, marker: str, uv: str = "", head: str = "") -> Path:
    """A project whose dependency on six has a marker."""
    requires = f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", marker = "{marker}" }}'
    lock = uv_lock(NUMPY, SIX, requires=requires).replace(
        '{ name = "six" },', f'{{ name = "six", marker = "{marker}" }},'
    )
    lock = lock.replace('requires-python = ">=3.11"\n', f'requires-python = ">=3.11"\n{head}', 1)
    return make(root, PYPROJECT.replace('"six"', f'"{dependency}"') + uv, lock)


def test_a_kernels_version_is_named_and_never_dropped(tmp_path: Path) -> None:
    marker = "platform_release >= '5'"
    found = resolved(locked(tmp_path, f"six; {marker}", marker))
    assert [package.name for package in found.packages] == ["numpy", "six"]
    assert found.problems == (
        Problem(
            "six",
            "is wanted on some machines of this system only: platform_release >= '5'",
            "say under [tool.uv] which they are, environments = [\"platform_release >= '5'\"], then: uv lock",
        ),
    )


def test_environments_say_which_machines_a_lock_is_for(tmp_path: Path) -> None:
    marker = "platform_release >= '5'"
    uv = f'[tool.uv]\nenvironments = ["{marker}"]\n'
    head = f'resolution-markers = [\n    "{marker}",\n]\nsupported-markers = [\n    "{marker}",\n]\n'
    assert resolved(locked(tmp_path, f"six; {marker}", marker, uv, head)).problems == ()


LINUX_ONLY = "[tool.uv]\nenvironments = [\"sys_platform == 'linux'\"]\n"
HEAD = "resolution-markers = [\n    \"sys_platform == 'linux'\",\n]\nsupported-markers = [\n    \"sys_platform == 'linux'\",\n]\n"


def test_case_62_a_system_that_environments_leave_out(tmp_path: Path) -> None:
    on_linux = "sys_platform == 'linux'"
    project = find_project(locked(tmp_path, f"six; {on_linux}", on_linux, LINUX_ONLY, HEAD))
    everywhere = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    served, dropped = split_served(everywhere)
    assert [one.target.system for one in served] == ["aarch64-linux", "x86_64-linux"]
    assert all(one.packages and not one.problems for one in served)
    assert [left_out(one) for one in dropped] == [
        f"{system} is left out: uv.lock is not made for this system, but for {on_linux} ([tool.uv] environments)"
        for system in ("aarch64-darwin", "x86_64-darwin")
    ]
    only = resolve(project, targets(project.settings, ["aarch64-darwin"], "3.11"), "2.36", {})
    assert split_served(only) == (only, ())
    (problem,) = merged_problems(only)
    assert problem.where == "uv.lock (aarch64-darwin)"


@pytest.mark.parametrize(
    ("marker", "patch"), [("python_full_version < '3.11.3'", True), ("python_full_version < '3.12'", False)]
)
def test_case_41_a_resolution_knows_whether_the_patch_release_counts(
    tmp_path: Path, *, marker: str, patch: bool
) -> None:
    assert resolved(locked(tmp_path, f"six; {marker}", marker)).patch == patch


@pytest.mark.parametrize(
    ("marker", "setting", "exact"),
    [
        ("python_full_version < '3.11.3'", "3.11", "3.11.18"),
        ("python_full_version < '3.12'", "3.11", None),
        ("python_full_version < '3.12'", "3.11.4", "3.11.4"),
    ],
)
def test_case_41_what_is_compared_with_nixpkgs(tmp_path: Path, marker: str, setting: str, exact: str | None) -> None:
    text = f'[tool.nixgen]\npython = "{setting}"\nsystems = ["x86_64-linux"]\n'
    project = find_project(locked(tmp_path, f"six; {marker}", marker, text))
    made, tarballs, _ = pinning.pins(project, pinning.Options(offline=True), None)
    assert made.base.kind == "nixpkgs"
    assert made.base.python_full == exact or setting == "3.11"
    assert lockfile.parse_lock(lockfile.dump_lock(made)) == made
    pins = planning.Pins(made, lockfile.dump_lock(made).encode(), tarballs)
    plan = planning.plan(project, pins)
    assert plan.exact_python == exact
    assert (f'pythonFull = "{exact}";' in render.base_nix(plan)) == (exact is not None)


def test_case_41_the_patch_release_stays_as_it_was_pinned(tmp_path: Path) -> None:
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.13"\n'))
    old, _, _ = pinning.pins(project, pinning.Options(offline=True), None)
    assert old.base.kind == "nixpkgs"
    kept, _, _ = pinning.pins(
        project, pinning.Options(offline=True), replace(old, base=replace(old.base, python_full="3.13.1"))
    )
    assert kept.base == replace(old.base, python_full="3.13.1")
    exact = replace(project, settings=replace(project.settings, python_full="3.13.2"))
    (problem,) = fit.problems(exact.settings, kept)
    assert problem.what == "was made for python 3.13.1, and the settings say 3.13.2"
    new, _, _ = pinning.pins(exact, pinning.Options(offline=True), kept)
    assert new.base == replace(old.base, python_full="3.13.2")


def test_case_51_generate_tells_which_system_it_drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = package("six", "1.17.0", wheel("six-1.17.0-py3-none-manylinux_2_17_x86_64.whl"))
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n', uv_lock(NUMPY, here)))
    made, tarballs, _ = pinning.pins(project, pinning.Options(offline=True), None)
    plan = planning.plan(project, planning.Pins(made, lockfile.dump_lock(made).encode(), tarballs))
    assert plan.systems == ("x86_64-linux",)
    assert capsys.readouterr().err.splitlines()[0] == (
        "warning: aarch64-darwin is left out: no wheel there for six (nixgen show --system aarch64-darwin)"
    )
