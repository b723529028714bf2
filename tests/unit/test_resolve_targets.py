from __future__ import annotations

import platform
import sys
from dataclasses import replace
from typing import cast

import pytest
from packaging import tags as packaging_tags
from packaging.markers import Marker, default_environment

from nixgen.bases.model import Deb, DebianBase
from nixgen.bases.nixpkgs import resolve_base
from nixgen.bases.python import allows, choose_python, full_version, targets
from nixgen.errors import UserError
from nixgen.project.settings import SYSTEMS, Settings
from nixgen.resolve.model import Target
from nixgen.resolve.targets import environment, platforms, tags

LINUX = Target("x86_64-linux", "3.11", "3.11.2")


def test_targets_are_sorted_by_system_and_default_to_the_settings() -> None:
    assert [t.system for t in targets(Settings(), None, "3.13")] == list(SYSTEMS)
    assert [t.system for t in targets(Settings(), ["x86_64-linux", "aarch64-linux"], "3.13")] == [
        "aarch64-linux",
        "x86_64-linux",
    ]


def test_the_environment_has_every_variable_of_the_standard() -> None:
    for system in SYSTEMS:
        assert environment(Target(system, "3.12")).keys() == default_environment().keys()


@pytest.mark.parametrize(
    ("system", "machine", "platform_system", "sys_platform"),
    [
        ("x86_64-linux", "x86_64", "Linux", "linux"),
        ("aarch64-linux", "aarch64", "Linux", "linux"),
        ("x86_64-darwin", "x86_64", "Darwin", "darwin"),
        ("aarch64-darwin", "arm64", "Darwin", "darwin"),
    ],
)
def test_markers_see_the_names_that_python_reports(
    system: str, machine: str, platform_system: str, sys_platform: str
) -> None:
    found = environment(Target(system, "3.11", "3.11.2"))
    assert found["platform_machine"] == machine
    assert found["platform_system"] == platform_system
    assert found["sys_platform"] == sys_platform
    assert (found["python_version"], found["python_full_version"]) == ("3.11", "3.11.2")


def test_the_whole_version_decides_markers_that_compare_it() -> None:
    marker = Marker("python_full_version < '3.11.3'")
    for target, full, holds in (
        (LINUX, None, True),
        (LINUX, "3.11.3", False),
        (Target("x86_64-linux", "3.11"), None, False),
    ):
        assert marker.evaluate(cast("dict[str, str]", environment(target, full))) is holds


def base(version: str) -> DebianBase:
    deb = Deb("python3.11-minimal", version, "x86_64-linux", "core", "https://debian.example.org/x.deb", "0" * 64, 1)
    return DebianBase("bookworm", "3.11", "2.36", (), (), (), (deb,))


def test_the_whole_version_is_that_of_the_pinned_interpreter() -> None:
    debian = Settings(base="debian")
    assert full_version(debian, "3.11", base("3.11.7-6+deb12u9")) == "3.11.7"
    assert full_version(debian, "3.11", base("1:3.11.8~rc1-1")) == "3.11.8"
    assert full_version(debian, "3.11") == "3.11.2"
    assert full_version(debian, "3.13") == "3.13.5"
    assert full_version(Settings(), "3.99") == "3.99.0"
    exact = Settings(python="3.13", python_full="3.13.9")
    assert full_version(exact, "3.13") == "3.13.9"
    assert full_version(exact, "3.12") != "3.13.9"
    pin = resolve_base(Settings(), "3.13")
    assert full_version(Settings(), "3.13", replace(pin, python_full="3.13.4")) == "3.13.4"
    with pytest.raises(UserError, match=r"the debian base has Python 3\.11\.7, not 3\.11\.9"):
        full_version(Settings(base="debian", python="3.11", python_full="3.11.9"), "3.11", base("3.11.7-6+deb12u9"))


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="compares with this interpreter")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_linux_tags_are_what_packaging_gives_on_such_a_machine(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """packaging's own rule, asked on a machine that seems to have glibc 2.36 and no other C library."""
    from packaging import _manylinux

    monkeypatch.setattr(_manylinux, "_get_glibc_version", lambda: (2, 36))
    monkeypatch.setattr(_manylinux, "_is_compatible", lambda _arch, _version: True)
    monkeypatch.setattr(_manylinux, "_have_compatible_abi", lambda _executable, _archs: True)
    expected = [*_manylinux.platform_tags([machine]), f"linux_{machine}"]
    assert list(platforms(f"{machine}-linux", "2.36", "14.0")) == expected


def test_tags_are_in_the_order_of_packaging_itself() -> None:
    names = list(platforms("x86_64-linux", "2.36", "14.0"))
    found = tags("3.11", names)
    expected = [
        *packaging_tags.cpython_tags((3, 11), ["cp311"], names),
        *packaging_tags.compatible_tags((3, 11), "cp311", names),
    ]
    assert found == expected
    assert [str(tag) for tag in found[:2]] == [
        "cp311-cp311-manylinux_2_36_x86_64",
        "cp311-cp311-manylinux_2_35_x86_64",
    ]
    assert str(found[-1]) == "py30-none-any"


def test_the_floor_bounds_the_tags() -> None:
    names = list(platforms("x86_64-linux", "2.28", "14.0"))
    assert names[0] == "manylinux_2_28_x86_64"
    assert names[-3:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    assert list(platforms("aarch64-linux", "2.18", "14.0")) == [
        "manylinux_2_18_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
        "linux_aarch64",
    ]


def test_macs_have_the_tags_of_their_machine_and_universal_ones() -> None:
    arm = list(platforms("aarch64-darwin", "2.36", "14.0"))
    assert arm[:2] == ["macosx_14_0_arm64", "macosx_14_0_universal2"]
    assert "macosx_15_0_arm64" not in arm
    assert "macosx_10_9_x86_64" in list(platforms("x86_64-darwin", "2.36", "14.0"))


HAS = ("3.14", "3.13", "3.11")


@pytest.mark.parametrize(
    ("option", "setting", "file", "expected"),
    [
        ("3.11", "3.13", "3.14", "3.11"),
        (None, "3.13", "3.14", "3.13"),
        (None, None, "3.13.2\n", "3.13"),
        (None, None, "# ours\n\ncpython@3.11\n", "3.11"),
        (None, None, "cpython-3.11.4-linux-x86_64-gnu", "3.11"),
        (None, None, None, "3.14"),
        (None, None, "\n", "3.14"),
    ],
)
def test_the_python_is_the_first_that_is_named(
    option: str | None, setting: str | None, file: str | None, expected: str
) -> None:
    assert choose_python(Settings(python=setting), ">=3.11", file, HAS, option) == expected


def test_with_none_named_it_is_the_bases_best_that_requires_python_allows() -> None:
    assert choose_python(Settings(), None, None, ["3.13", "3.14"]) == "3.13"
    assert choose_python(Settings(), ">=3.11,<3.14", None, HAS) == "3.13"


@pytest.mark.parametrize(
    ("requires", "python", "file", "sentence"),
    [
        (
            ">=3.15",
            None,
            None,
            'pyproject.toml: project.requires-python: ">=3.15" allows none of the Pythons that the nixpkgs base has: '
            '3.14, 3.13, 3.11\n  hint: change requires-python, or try base = "debian"',
        ),
        (
            ">=3.11",
            "3.12",
            None,
            "pyproject.toml: tool.nixgen.python: the nixpkgs base has no Python 3.12, but 3.14, 3.13, 3.11\n"
            "  hint: use one of 3.14, 3.13, 3.11",
        ),
        (
            ">=3.12",
            None,
            "3.11",
            '.python-version: requires-python = ">=3.12" does not allow Python 3.11\n'
            "  hint: uv python pin 3.14, and the same command again; or use one of 3.14, 3.13",
        ),
        (
            None,
            None,
            "pypy3.10",
            '.python-version: "pypy3.10" is not a version of CPython that nixgen understands\n'
            "  hint: uv python pin 3.14, and the same command again; or use one of 3.14, 3.13, 3.11",
        ),
        (
            None,
            None,
            "3.13t",
            '.python-version: "3.13t" is not a version of CPython that nixgen understands\n'
            "  hint: uv python pin 3.14, and the same command again; or use one of 3.14, 3.13, 3.11",
        ),
        (
            "three",
            None,
            None,
            'pyproject.toml: project.requires-python: "three" is not a version specifier\n'
            '  hint: write it like ">=3.11"',
        ),
    ],
)
def test_a_python_that_cannot_be_is_refused_with_those_that_can(
    requires: str | None, python: str | None, file: str | None, sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        choose_python(Settings(python=python), requires, file, HAS)
    assert str(caught.value) == sentence


def test_a_python_is_allowed_when_one_of_its_releases_is() -> None:
    assert allows(">=3.11.5", "3.11")
    assert allows("<3.11.1", "3.11")
    assert not allows(">=3.12", "3.11")
    assert not allows("<3.11", "3.11")
