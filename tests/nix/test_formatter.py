"""`nix fmt` on the debian base: white space of .nix files, and Python files by the environment's ruff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab


@pytest.fixture(scope="module")
def program(lab: Lab) -> str:
    return f"{lab.build('formatter')}/bin/nixgen-format"


def test_white_space_of_nix_files(lab: Lab, program: str, tmp_path: Path) -> None:
    files = {
        "a.nix": ("{  \r\n}\t\n\n\n", "{\n}\n"),
        "deep/b.nix": ("{ }", "{ }\n"),
        "good.nix": ("{ }\n", "{ }\n"),
        ".hidden/c.nix": ("{ }  ", "{ }  "),
        "other.txt": ("x  ", "x  "),
    }
    for name, (before, _) in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(before.encode())
    done = lab.nix.inside(program, cwd=tmp_path)
    assert done.stderr.splitlines() == ["formatted ./a.nix", "formatted ./deep/b.nix"]
    assert {name: (tmp_path / name).read_bytes().decode() for name in files} == {
        name: after for name, (_, after) in files.items()
    }
    assert lab.nix.inside(program, cwd=tmp_path).stderr == ""


def test_only_what_is_asked_for(lab: Lab, program: str, tmp_path: Path) -> None:
    for name in ("a.nix", "b.nix"):
        (tmp_path / name).write_text("{ }")
    lab.nix.inside(program, "a.nix", cwd=tmp_path)
    assert ((tmp_path / "a.nix").read_text(), (tmp_path / "b.nix").read_text()) == ("{ }\n", "{ }")


def test_links_are_not_followed(lab: Lab, program: str, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("{ }")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/a.nix").symlink_to("../outside.txt")
    lab.nix.inside(program, cwd=tmp_path / "work")
    assert (tmp_path / "outside.txt").read_text() == "{ }"


def test_ruff_is_called_when_the_project_has_it(lab: Lab, tmp_path: Path) -> None:
    """With a script in ruff's place: what it is given, and that its exit code is passed on."""
    script = '#!/bin/sh\necho "ruff $*"\nexit 3\n'
    wheel = make_wheel(lab.wheels, "ruff", "0.0.1", {"ruff-0.0.1.data/scripts/ruff": script})
    program = f"{lab.build('formatter', [wheel])}/bin/nixgen-format"
    done = lab.nix.inside(program, "x.py", cwd=tmp_path, check=False)
    assert (done.stdout, done.returncode) == ("ruff format x.py\n", 3)
