"""Two wheels that own the same file: refused with both names, unless `prefer` says whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import SITE, Lab
from support.wheels import make_wheel

MEND = (
    'Drop one of the packages, or say whose files to take: prefer = ["NAME"] under [tool.nixgen] in pyproject.toml, '
    "then run: nixgen sync"
)


def said(lab: Lab, *wheels: Path) -> list[str]:
    """What the environment's builder printed before it failed."""
    printed = lab.failure("environment", wheels)
    assert "Traceback" not in printed
    lines = printed.splitlines()
    start = lines.index("two packages own the same file:")
    return lines[start + 1 : lines.index(MEND)]


@pytest.fixture(scope="module")
def pair(lab: Lab) -> list[Path]:
    return [
        make_wheel(lab.wheels, "left", "1.0", {"shared/__init__.py": "WHO = 'left'\n", "shared/same.py": "x = 1\n"}),
        make_wheel(lab.wheels, "right", "1.0", {"shared/__init__.py": "WHO = 'right'\n", "shared/same.py": "x = 1\n"}),
    ]


def test_the_error_names_both_wheels_and_the_file(lab: Lab, pair: list[Path]) -> None:
    assert said(lab, *pair) == ["  shared/__init__.py is in left and right, with different content"]


@pytest.mark.parametrize("who", ["left", "right"])
def test_prefer_says_whose_file_it_is(lab: Lab, pair: list[Path], who: str) -> None:
    environment = lab.with_arguments(prefer=[who]).environment(*pair)
    code = "import shared, shared.same\nanswer = [shared.WHO, shared.same.x, shared.__spec__.cached]"
    found = lab.value(environment, code)
    assert found == [who, 1, f"{environment}/{SITE}/shared/__pycache__/__init__.cpython-313.pyc"]


def test_the_first_of_two_preferred_wins(lab: Lab, pair: list[Path]) -> None:
    environment = lab.with_arguments(prefer=["right", "left"]).environment(*pair)
    assert lab.value(environment, "import shared\nanswer = shared.WHO") == "right"


def test_preferring_a_third_wheel_does_not_help(lab: Lab, pair: list[Path]) -> None:
    other = make_wheel(lab.wheels, "other", "1.0")
    assert len(said(lab.with_arguments(prefer=["other"]), *pair, other)) == 1


def test_equal_files_are_no_collision(lab: Lab) -> None:
    wheels = [make_wheel(lab.wheels, name, "1.0", {"common/__init__.py": "x = 1\n"}) for name in ("equal-a", "equal-b")]
    assert lab.value(lab.environment(*wheels), "import common\nanswer = common.x") == 1


def test_a_file_in_one_and_a_folder_in_the_other(lab: Lab) -> None:
    wheels = [
        make_wheel(lab.wheels, "as-file", "1.0", {"thing": "a file"}),
        make_wheel(lab.wheels, "as-folder", "1.0", {"thing/__init__.py": ""}),
    ]
    assert said(lab, *wheels) == [f"  {SITE}/thing is a folder in one of as-file, as-folder and a file in another"]
    # Case 21: what the message advises has an effect.
    for who, text in (("as-file", "a file"), ("as-folder", None)):
        environment = lab.with_arguments(prefer=[who]).environment(*wheels)
        code = f"p = pathlib.Path('{environment}/{SITE}/thing')\nanswer = p.read_text() if p.is_file() else None"
        assert lab.value(environment, f"import pathlib\n{code}") == text
    assert lab.value(environment, "import thing\nanswer = thing.__name__") == "thing"


def test_two_entry_points_of_one_name(lab: Lab) -> None:
    wheels = [
        make_wheel(lab.wheels, name, "1.0", entry_points=f"[console_scripts]\nrun = {name}:main\nsame = other:main\n")
        for name in ("first", "second")
    ]
    assert said(lab, *wheels) == ["  the script run is in first and second, and calls something else in each"]
    environment = lab.with_arguments(prefer=["second"]).environment(*wheels)
    assert "from second import main" in lab.nix.inside("cat", f"{environment}/bin/run").stdout
    assert "from other import main" in lab.nix.inside("cat", f"{environment}/bin/same").stdout


def test_a_script_file_and_an_entry_point_of_one_name(lab: Lab) -> None:
    """Neither may win in silence: they are two programs."""
    wheels = [
        make_wheel(lab.wheels, "by-file", "1.0", {"by_file-1.0.data/scripts/meet": "#!python\nprint('file')\n"}),
        make_wheel(lab.wheels, "by-entry", "1.0", entry_points="[console_scripts]\nmeet = by_entry:main\n"),
    ]
    assert said(lab, *wheels) == ["  the script meet is in by-entry and by-file, and calls something else in each"]
    for who, text in (("by-file", "print('file')"), ("by-entry", "from by_entry import main")):
        environment = lab.with_arguments(prefer=[who]).environment(*wheels)
        assert text in lab.nix.inside("cat", f"{environment}/bin/meet").stdout


def test_a_wheels_own_entry_point_replaces_its_own_script(lab: Lab) -> None:
    files = {
        "both_ways-1.0.data/scripts/both": "#!python\nprint('file')\n",
        "both_ways.py": "def main():\n    print('entry')\n",
    }
    points = "[console_scripts]\nboth = both_ways:main\n"
    environment = lab.environment(make_wheel(lab.wheels, "both-ways", "1.0", files, entry_points=points))
    assert lab.nix.inside(f"{environment}/bin/both").stdout == "entry\n"


def test_a_wheel_that_brings_a_python_of_its_own(lab: Lab) -> None:
    wheel = make_wheel(lab.wheels, "takeover", "1.0", {"takeover-1.0.data/scripts/python": "#!/bin/sh\necho mine\n"})
    environment = lab.environment(wheel)
    assert lab.nix.inside(f"{environment}/bin/python", "-c", "print('base')").stdout == "base\n"


def test_all_collisions_are_told_at_once(lab: Lab) -> None:
    wheels = [
        make_wheel(lab.wheels, f"many-{who}", "1.0", {f"m/{n}.txt": who for n in range(3)}) for who in ("a", "b", "c")
    ]
    assert said(lab, *wheels) == [
        f"  m/{number}.txt is in many-a and many-b and many-c, with different content" for number in range(3)
    ]
