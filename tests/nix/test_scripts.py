"""Scripts with inline metadata (PEP 723) beside a project: built, entered and run with arguments, on real Nix."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, make, steps
from support.nix import Nix
from support.project import run, uv_binary
from support.wheels import make_wheel

if TYPE_CHECKING:
    from support.index import Index

REPORT = """#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = ["plum==2.0"]
#
# [[tool.uv.index]]
# name = "loopback"
# url = "{index}"
# default = true
#
# [tool.nixgen]
# smoke = ["python -c 'import plum; assert plum.COLOUR == 2'"]
# ///
import pathlib, sys
import helper, plum
data = pathlib.Path(__file__).with_name("data.txt").read_text()
print(plum.COLOUR, helper.NAME, data, *sys.argv[1:])
sys.exit(len(sys.argv) - 1)
"""


@pytest.fixture(scope="module")
def scripted(nix28: Nix, pins: Path, plums: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    make_wheel(plums.folder, "plum", "2.0", {"plum.py": "COLOUR = 2\n"})
    checked = make(tmp_path_factory.mktemp("scripted") / "demo", pins, plums, nix28)
    folder = checked.folder / "tools"
    folder.mkdir()
    (folder / "report.py").write_text(REPORT.format(index=plums.simple))
    (folder / "helper.py").write_text("NAME = 'helper'\n")
    (folder / "data.txt").write_text("data")
    done = run([uv_binary(), "lock", "--quiet", "--script", "tools/report.py"], checked.folder)
    assert done.ok, done.tail()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    return checked


@pytest.fixture(params=["nix28", "nix_new"])
def each(request: pytest.FixtureRequest, scripted: Checked) -> Checked:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Nix)
    return scripted.with_nix(found)


def test_a_script_runs_in_its_environment_with_arguments(each: Checked) -> None:
    program = each.nix.build(each.folder, "environments.report.programs.report") / "bin/report"
    done = each.nix.run(str(program), "a", "b c", check=False)
    assert (done.stdout, done.returncode) == ("2 helper data a b c\n", 2)
    default = each.nix.build(each.folder, "environment")
    assert each.nix.run(str(default / "bin/python"), "-c", "import plum; print(plum.COLOUR)").stdout == "purple\n"


def test_it_is_what_nix_run_starts(each: Checked) -> None:
    programs = f"builtins.mapAttrs (_: app: app.program) (import {each.folder} {{ }}).apps"
    found = each.nix.evaluate(programs)
    assert found["default"] == found["report"]
    assert found["report"].endswith("/bin/report")


def test_its_code_may_change_and_its_metadata_may_not(scripted: Checked, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(scripted.folder, folder, symlinks=True)
    script = folder / "tools/report.py"
    script.write_text(script.read_text() + "# more\n")
    evaluated = f"(import {folder} {{ }}).apps.report.type"
    assert scripted.nix.evaluate(evaluated) == "app"
    script.write_text(script.read_text().replace("plum==2.0", "plum"))
    done = scripted.nix.evaluate(evaluated, check=False)
    assert "tools/report.py changed after default.nix was generated" in done.stderr


def test_it_is_checked_and_recorded(scripted: Checked) -> None:
    scripted.check("--update")
    assert "tools/report.py" in scripted.system()["inputs"]
    done = scripted.check("--json")
    assert steps(done)["works"]["summary"].endswith("; and in the environment report")
