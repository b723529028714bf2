"""Plain specifiers and markers: the same answers as packaging's, and without it."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from nixgen.resolve import plain
from nixgen.resolve.model import Target
from nixgen.resolve.targets import environment

_VERSIONS = st.lists(st.sampled_from(["0", "2", "3", "4", "9", "10", "11", "12", "13"]), min_size=1, max_size=4)
_RELEASES = _VERSIONS.map(".".join)
_COMPARE = st.sampled_from(["==", "!=", ">=", "<=", ">", "<"])
_SPECIFIER = st.one_of(
    st.builds("{}{}".format, _COMPARE, _RELEASES),
    st.builds(" {} {} ".format, _COMPARE, _RELEASES),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), _RELEASES),
    st.builds("~=3.{}".format, st.integers(0, 14)),
    st.builds(">={}rc1".format, _RELEASES),
)
_ATOM = st.one_of(
    st.builds("python_full_version {} '{}'".format, _COMPARE, _RELEASES),
    st.builds('python_version {} "{}"'.format, _COMPARE, _RELEASES),
    st.builds("python_full_version == '{}.*'".format, _RELEASES),
    st.builds(
        "sys_platform {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["linux", "darwin", "a b"])
    ),
    st.sampled_from(
        [
            "platform_machine == 'x86_64'",
            "platform_machine in 'x86_64 arm64'",
            "'linux' in sys_platform",
            "'x86_64' == platform_machine",
            "implementation_name == 'cpython'",
            "platform_python_implementation != 'PyPy'",
            "os_name=='posix'",
            "extra == 'or'",
            "sys_platform == 'a or b'",
        ]
    ),
)
_CLAUSE = st.lists(_ATOM, min_size=1, max_size=3).map(" and ".join)
_MARKER = st.one_of(
    st.lists(_CLAUSE, min_size=1, max_size=3).map(" or ".join),
    st.lists(_CLAUSE, min_size=1, max_size=3).map(lambda parts: " or ".join(f"({part})" for part in parts)),
    st.builds("({} or {}) and {}".format, _ATOM, _ATOM, _ATOM),
    st.builds("{} and ({} or {})".format, _ATOM, _ATOM, _ATOM),
    st.builds("({}) and ({})".format, _ATOM, _ATOM),
)
_MACHINES = [
    {**environment(Target(system, python)), "extra": ""}
    for system, python in product(("x86_64-linux", "aarch64-darwin"), ("3.9", "3.12", "3.13"))
]


@given(st.lists(_SPECIFIER, min_size=1, max_size=3).map(",".join), st.one_of(_RELEASES, st.just("3.14.0rc1")))
def test_specifiers_are_answered_as_packaging_does(specifiers: str, version: str) -> None:
    assert plain.allows(specifiers, version) == SpecifierSet(specifiers).contains(version, prereleases=True)


@given(_MARKER, st.sampled_from(_MACHINES))
def test_markers_are_answered_as_packaging_does(marker: str, machine: dict[str, str]) -> None:
    assert plain.holds(marker, {**machine}) == Marker(marker).evaluate({**machine}, context="lock_file")


@pytest.mark.parametrize(
    "marker",
    [
        "python_version > '3,>=2'",
        "python_full_version >= '3.8,!=3.9'",
        "os_name == 'posix\n'",
        "python_version >= '3.9\n'",
        "sys_platform != 'a,b'",
    ],
)
def test_versions_in_markers_that_are_none(marker: str) -> None:
    """Several, and a line end, which specifiers may have."""
    for machine in _MACHINES:
        try:
            wanted = Marker(marker).evaluate({**machine}, context="lock_file")
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                plain.holds(marker, {**machine})
        else:
            assert plain.holds(marker, {**machine}) == wanted


@pytest.mark.parametrize("text", ["", "three", ">=3.x", ">=3.11,,", "=>3"])
def test_what_is_no_specifier_is_refused_unless_packaging_takes_it(text: str) -> None:
    try:
        wanted = SpecifierSet(text).contains("3.11.2")
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            plain.allows(text, "3.11.2")
    else:
        assert plain.allows(text, "3.11.2") == wanted


def test_plain_ones_need_no_packaging() -> None:
    code = (
        "import sys; from nixgen.resolve import plain\n"
        "assert plain.allows('>=3.11,<4,!=3.12.*', '3.13.2')\n"
        "assert plain.holds(\"(sys_platform == 'linux' and python_full_version < '3.12') or os_name == 'nt'\","
        " {'sys_platform': 'linux', 'python_full_version': '3.11.2', 'os_name': 'posix'})\n"
        "assert not any(name.startswith('packaging') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
