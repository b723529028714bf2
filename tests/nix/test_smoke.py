"""checks.smoke: the project's own commands, in the sandbox, in the environment, in a copy of the code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lab import PYTHON
from pinned import Rows
from support.nix import SYSTEM
from support.wheels import make_wheel

if TYPE_CHECKING:
    from lab import Lab

TREE = {
    "name": "demo",
    "version": "1.0",
    "roots": ["src"],
    "modules": ["demo"],
    "path": ".",
    "systems": [SYSTEM],
    "metadata": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    "entryPoints": "",
}
LOOK = """\
import os, sys, demo, helper
assert demo.__file__ == os.getcwd() + "/src/demo/__init__.py" == os.environ["NIXGEN_ROOT"] + "/src/demo/__init__.py"
assert not os.path.exists("private.txt") and sorted(os.listdir()) == ["src"], os.listdir()
assert not {"out", "source", "commandsPath", "tools", "variables", "bash"} & os.environ.keys(), os.environ
assert os.path.realpath(sys.prefix) == os.path.realpath(os.environ["VIRTUAL_ENV"])
assert os.access(os.environ["HOME"], os.W_OK) and not sys.stdin.read()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "project/src/demo"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("answer = 42\n")
    (package / "look.py").write_text(LOOK)
    (tmp_path / "project/private.txt").write_text("never copied\n")
    return tmp_path / "project"


def helper(lab: Lab) -> Path:
    return make_wheel(lab.wheels, "helper", "1.0", {"helper.py": ""})


def test_commands_see_the_environment_and_a_copy_that_can_be_written(each_lab: Lab, project: Path) -> None:
    commands = [
        "python -m demo.look",
        "echo 'more = 1' >> src/demo/__init__.py && python -c 'import demo; assert demo.more'",
        'test "$(python -c "print(1 + 1)")" = 2; test -z "$NOTHING"',
    ]
    lab = each_lab.with_arguments(smoke=commands, trees=[TREE])
    wheel = helper(lab)
    built = lab.build("smoke", [wheel], root=project)
    assert lab.nix.real(built).read_text().splitlines() == commands
    assert lab.build("checks.smoke", [wheel], root=project) == built


@pytest.mark.one_nix
def test_the_first_that_fails_ends_it_and_is_named_with_its_exit_code(each_lab: Lab) -> None:
    lab = each_lab.with_arguments(smoke=["echo first", "echo why >&2; exit 3", "echo never"])
    said = lab.failure("smoke").splitlines()
    assert "this smoke command ended with exit code 3: echo why >&2; exit 3" in said
    assert any(line.endswith("first") for line in said)
    assert any(line.endswith("why") for line in said)
    assert not any(line.endswith("never") for line in said)


def test_a_command_that_crashes_is_named_with_its_signal(lab: Lab) -> None:
    said = lab.with_arguments(smoke=["kill -SEGV $$"]).failure("smoke")
    assert "this smoke command was killed by signal 11: kill -SEGV $$" in said


def test_without_a_package_the_python_files_are_the_code(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "main.py").write_text("import scripts.part\n")
    (tmp_path / "scripts/part.py").write_text("print('part')\n")
    (tmp_path / "data.csv").write_text("a\n")
    lab = lab.with_arguments(smoke=["python main.py", "cd /; python -c 'import main'", "test -e data.csv"])
    assert lab.nix.real(lab.build("smoke", root=tmp_path)).is_file()


def test_models_are_there(lab: Lab) -> None:
    lab = Rows(lab.index).add("models.vad", {"vad.onnx": b"weights"}).on(lab)
    lab = lab.with_arguments(smoke=['test -e "$NIXGEN_MODELS/vad/vad.onnx"', 'test -z "$HF_HUB_CACHE"'])
    assert lab.nix.real(lab.build("smoke")).is_file()


def test_there_is_no_network(lab: Lab) -> None:
    command = "python -c \"import socket; socket.create_connection(('192.0.2.1', 80), 1)\""
    said = lab.with_arguments(smoke=[command]).failure("smoke")
    assert "OSError: [Errno 101] Network is unreachable" in said


def test_without_commands_it_is_null(lab: Lab) -> None:
    project = f"({lab.expression()})"
    assert lab.nix.evaluate(f"{project}.smoke") is None
    assert lab.nix.evaluate(f"builtins.attrNames {project}.checks") == ["imports"]
    assert PYTHON in str(lab.nix.evaluate(f"{project}.base.version"))
