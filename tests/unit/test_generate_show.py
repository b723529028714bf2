from __future__ import annotations

import json
from pathlib import Path

import pytest
from projects import FILES, HASH, NUMPY, PYPROJECT, make, package, uv_lock, wheel

from nixgen.console import size, table
from nixgen.errors import Problem, UserError
from nixgen.generate import show
from nixgen.project.project import find_project
from nixgen.resolve.model import Package, Resolution, Target

LINUX = Target("x86_64-linux", "3.11")
FILE = "six-1.17.0-py2.py3-none-any.whl"
FOUND = Resolution(
    LINUX,
    (
        Package("demo", None, "directory", path="."),
        Package("gone", "1", "wheel"),
        Package("repo", "2", "vcs", url="https://example.org/repo.git"),
        Package("six", "1.17.0", "wheel", FILE, f"{FILES}/{FILE}", HASH, 11050),
    ),
    (Problem("gone", "has no wheel that fits", "choose a version that has one"),),
)


def test_json_is_what_the_documentation_says() -> None:
    assert json.loads(show.as_json("demo", [FOUND])) == {
        "version": 1,
        "project": "demo",
        "targets": {
            "x86_64-linux": {
                "python": "3.11",
                "packages": [
                    dict.fromkeys(("version", "file", "url", "sha256", "size"))
                    | {"name": "demo", "kind": "directory", "path": "."},
                    dict.fromkeys(("file", "url", "path", "sha256", "size"))
                    | {"name": "gone", "version": "1", "kind": "wheel"},
                    {
                        "name": "repo",
                        "version": "2",
                        "kind": "vcs",
                        "file": None,
                        "url": "https://example.org/repo.git",
                        "path": None,
                        "sha256": None,
                        "size": None,
                    },
                    {
                        "name": "six",
                        "version": "1.17.0",
                        "kind": "wheel",
                        "file": FILE,
                        "url": f"{FILES}/{FILE}",
                        "path": None,
                        "sha256": HASH,
                        "size": 11050,
                    },
                ],
                "problems": [
                    {"package": "gone", "problem": "has no wheel that fits", "mend": "choose a version that has one"}
                ],
            }
        },
    }


def test_the_table_is_for_people() -> None:
    assert show.as_text("demo", [FOUND]) == (
        "demo for x86_64-linux, Python 3.11\n"
        "\n"
        "  package  version  file                                      size\n"
        "  demo     dynamic  the folder .\n"
        "  gone     1        (wheel)                                      ?\n"
        "  repo     2        (https://example.org/repo.git) (built)       ?\n"
        "  six      1.17.0   six-1.17.0-py2.py3-none-any.whl         11 KiB\n"
        "\n"
        "  4 packages, 1 wheel (11 KiB), 1 built\n"
        "\n"
        "  1 problem:\n"
        "    gone has no wheel that fits\n"
        "      choose a version that has one"
    )


def test_several_targets_end_with_a_line_each() -> None:
    lines = show.as_text("demo", [FOUND, Resolution(Target("aarch64-linux", "3.11"), ())]).splitlines()
    assert lines[-2:] == [
        "x86_64-linux:   4 packages, 1 wheel (11 KiB), 1 built; 1 problem",
        "aarch64-linux:  0 packages, 0 wheels (sizes not in uv.lock); 0 problems",
    ]


def test_sizes_that_are_not_known_are_told() -> None:
    unknown = Package("numpy", "2", "wheel", "numpy-2-py3-none-any.whl")
    text = show.as_text("demo", [Resolution(LINUX, (unknown, *FOUND.packages[3:]))])
    assert text.endswith("2 packages, 2 wheels (at least 11 KiB: 1 sizes are not in uv.lock)")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10189, "10 KiB"),
        (1048575, "1.0 MiB"),
        (41 * 1024**2, "41 MiB"),
        (5 * 1024**5, "5120 TiB"),
    ],
)
def test_sizes_for_people(count: int | None, text: str) -> None:
    assert size(count) == text


def test_a_table_without_rows_has_no_lines() -> None:
    assert table([]) == []


def test_without_a_lock_the_base_gives_python_and_glibc(tmp_path: Path) -> None:
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\nbase = "debian"\n'))
    found = show.resolutions(project, ["x86_64-linux"], "3.11")
    assert [one.target for one in found] == [LINUX]
    assert [package.file for package in found[0].packages] == [
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        FILE,
    ]


def test_the_python_can_be_overridden(tmp_path: Path) -> None:
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n'))
    (found,) = show.resolutions(project, ["x86_64-linux"], "3.12")
    assert found.target.python == "3.12"
    assert found.packages[0].file == "numpy-2.4.6-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"


def test_a_default_system_without_wheels_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-manylinux_2_17_x86_64.whl")))
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n', lock))
    assert [one.target.system for one in show.resolutions(project, [], None)] == ["x86_64-linux"]
    assert "aarch64-linux is left out: no wheel there for six (--system shows it)\n" in capsys.readouterr().err
    (found,) = show.resolutions(project, ["aarch64-linux"], None)
    assert found.problems[0].where == "six"


def test_an_unknown_system_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        show.resolutions(find_project(make(tmp_path)), ["amiga"], None)
    assert str(caught.value) == (
        '--system: "amiga" is not a system\n    use one of aarch64-darwin, aarch64-linux, x86_64-darwin, x86_64-linux'
    )
