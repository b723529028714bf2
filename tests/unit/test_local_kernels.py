"""Kernels for notebooks: where they are written, whose they are, and the script that starts one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import PYPROJECT, make, package, uv_lock, wheel
from support.program import nixgen

from nixgen.errors import NixgenError
from nixgen.local import kernels, venvs
from nixgen.machine import folders
from nixgen.project.project import Project, find_project
from nixgen.sync import shell

IPYKERNEL = package("ipykernel", "7.0", wheel("ipykernel-7.0-py3-none-any.whl"))
SETUP = "0123456789abcdfghijklmnpqrsvwxyz-{}-setup"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def made(root: Path, pyproject: str = PYPROJECT, lock: str = IPYKERNEL) -> Path:
    """A project that is set up."""
    make(root, pyproject, uv_lock(lock, dependencies=("ipykernel",), requires='{ name = "ipykernel" }'))
    (root / "default.nix").write_text("{ }\n")
    return root


def venv(root: Path, full: str, *, key: str = "key", store: Path = Path("/nix/store"), kernel: bool = True) -> Path:
    """A venv as the shell makes one; .venv leads to it."""
    folder = root / f".venv-{key}"
    spec = folder / f"share/jupyter/kernels/nixgen-{full}/kernel.json"
    if kernel:
        spec.parent.mkdir(parents=True)
        spec.touch()
    folder.mkdir(exist_ok=True)
    (folder / "nixgen").write_text(f"# Made\n{store}/{SETUP.format(full)}\n{root}\n3\nab cd\n")
    (root / ".venv").unlink(missing_ok=True)
    (root / ".venv").symlink_to(folder.name)
    return folder


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell is entered without Nix."""

    def ready(project: Project, environment: str) -> shell.Ready:
        full = f"demo-app-{environment}" if environment else "demo-app"
        found = venvs.current(project.root, full)
        folder = found.folder if found else venv(project.root, full, key=full)
        return shell.Ready(shell.Shell("", "", "", {}), 0, 0, str(folder))

    monkeypatch.setattr(shell, "ready", ready)


def problems(root: Path, environment: str = "") -> list[str]:
    with pytest.raises(NixgenError) as caught:
        kernels.install(find_project(root), environment)
    return [str(problem) for problem in caught.value.problems]


def test_where_the_kernels_of_a_user_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.jupyter("kernels") == tmp_path / "data/kernels"
    monkeypatch.setenv("JUPYTER_DATA_DIR", "")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert folders.jupyter("kernels") == tmp_path / "Library/Jupyter/kernels"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert folders.jupyter("kernels") == tmp_path / ".local/share/jupyter/kernels"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert folders.jupyter() == tmp_path / "share/jupyter"


@pytest.mark.usefixtures("entered")
def test_a_kernel_has_the_projects_name_and_an_absolute_command(tmp_path: Path, data: Path) -> None:
    kernels.install(find_project(made(tmp_path / "mine")), "")
    spec = json.loads((data / "kernels/nixgen-demo-app/kernel.json").read_text())
    assert spec["argv"] == ["/bin/sh", f"{data}/kernels/nixgen-demo-app/start", "-f", "{connection_file}"]
    # By this VS Code finds its interpreter.
    assert spec["metadata"]["interpreter"] == {"path": f"{tmp_path}/mine/.venv/bin/python"}
    assert (spec["display_name"], spec["language"]) == ("demo-app", "python")
    before = sorted((data / "kernels").rglob("*"))
    kernels.install(find_project(tmp_path / "mine"), "")
    assert sorted((data / "kernels").rglob("*")) == before


@pytest.mark.usefixtures("entered")
def test_two_projects_of_one_name_have_a_kernel_each(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first/mine"), made(tmp_path / "second/mine")
    assert kernels.install(find_project(first), "").title == "demo-app"
    other = kernels.install(find_project(second), "")
    assert other.title == "demo-app (second)"
    assert [kernel.root for kernel in kernels.known()] == [first, second]
    assert [kernel.root for kernel in kernels.chosen((), second)] == [second]
    # The name is free again when the first one is gone.
    first.rename(tmp_path / "moved")
    assert kernels.install(find_project(second), "").name == "nixgen-demo-app"


@pytest.mark.usefixtures("entered")
def test_an_environment_with_a_name_has_a_kernel_of_its_own(tmp_path: Path) -> None:
    root = made(tmp_path / "mine", PYPROJECT + "[tool.nixgen.environments.docs]\n")
    kernels.install(find_project(root), "")
    docs = kernels.install(find_project(root), "docs")
    assert (docs.name, docs.environment, docs.problem()) == ("nixgen-demo-app-docs", "docs", GONE)
    assert "--env docs" in (docs.folder / "start.sh").read_text()
    assert len(kernels.chosen((), root)) == 2


GONE = "its environment was removed by Nix's garbage collection"


@pytest.mark.parametrize(
    ("more", "typed"),
    [
        ("", "nixgen add --dev ipykernel"),
        ('[tool.nixgen]\ngroups = ["lab", "test"]\n', "nixgen add --group lab ipykernel"),
        ('[tool.nixgen]\ngroups = ["lab", "dev"]\n', "nixgen add --dev ipykernel"),
        ("[tool.nixgen]\ngroups = []\n", "nixgen add ipykernel"),
    ],
)
def test_without_ipykernel_it_says_what_to_type(tmp_path: Path, more: str, typed: str) -> None:
    groups = "[dependency-groups]\nlab = []\ntest = []\ndev = []\n"
    root = make(tmp_path / "mine", PYPROJECT + groups + more)
    (root / "default.nix").write_text("{ }\n")
    what = "uv.lock: has no ipykernel, which starts a kernel"
    assert problems(root) == [f"{what}\n  hint: {typed}"]


def test_a_project_that_is_not_set_up_is_told(tmp_path: Path) -> None:
    root = made(tmp_path / "mine")
    (root / "default.nix").unlink()
    assert problems(root) == ["demo-app is not set up yet\n  hint: nixgen init"]


def test_an_environment_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, mend in (("/tmp/nixgen-venv", "make it writable, or work on a copy"), ("", "nixgen doctor")):
        made_ = shell.Ready(shell.Shell("", "", "", {}), 0, 0, place)
        monkeypatch.setattr(shell, "ready", lambda *_, made_=made_: made_)
        (told,) = problems(made(tmp_path / "mine"))
        assert told.endswith(f"hint: {mend}")


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize("kind", ["a kernel", "a link"])
def test_what_somebody_else_wrote_stays(tmp_path: Path, data: Path, kind: str) -> None:
    place, outside = data / "kernels/nixgen-demo-app", tmp_path / "outside"
    outside.mkdir()
    (outside / "kernel.json").write_text('{"argv": [], "display_name": "mine"}')
    place.parent.mkdir(parents=True)
    if kind == "a link":
        place.symlink_to(outside)
    else:
        outside.rename(place)
        outside = place
    (told,) = problems(made(tmp_path / "mine"))
    assert told == f"{place}: is in the way, and nixgen did not write it\n  hint: move it elsewhere"
    assert [path.name for path in outside.iterdir()] == ["kernel.json"]
    assert kernels.known() == []


@pytest.mark.usefixtures("entered")
def test_only_what_nixgen_wrote_is_removed(tmp_path: Path, data: Path) -> None:
    root = made(tmp_path / "mine")
    kernels.install(find_project(root), "")
    (data / "kernels/nixgen-demo-app/logo-64x64.png").touch()
    (data / "kernels/other").mkdir()
    assert nixgen("kernel", "remove", cwd=root).stderr == "Removed the kernel nixgen-demo-app.\n"
    left = {path.relative_to(data).as_posix() for path in data.rglob("*")}
    assert left == {"kernels", "kernels/other", "kernels/nixgen-demo-app", "kernels/nixgen-demo-app/logo-64x64.png"}
    again = nixgen("kernel", "remove", cwd=root)
    assert (again.returncode, again.stderr) == (
        1, f"error: {root}: has no kernel\n  hint: see which there are: nixgen kernel list\n"
    )  # fmt: skip
    named = nixgen("kernel", "remove", "demo-app", "more", cwd=tmp_path)
    assert [line for line in named.stderr.splitlines() if line.startswith("error")] == [
        "error: demo-app: is no kernel that nixgen wrote",
        "error: more: is no kernel that nixgen wrote",
    ]


@pytest.mark.usefixtures("entered")
def test_the_list_says_what_is_wrong_with_each(tmp_path: Path) -> None:
    root, gone = made(tmp_path / "mine"), made(tmp_path / "gone/mine")
    kernels.install(find_project(root), "")
    kernels.install(find_project(gone), "")
    gone.rename(tmp_path / "elsewhere")
    lines = nixgen("kernel", "list").stdout.splitlines()
    assert lines[0].split("  ")[:2] == ["nixgen-demo-app", ""]
    assert GONE in lines[0]
    assert "its project is gone" in lines[1]
    (root / ".venv-demo-app/nixgen").unlink()
    found = json.loads(nixgen("kernel", "list", "--json").stdout)["kernels"]
    assert [row["problem"] for row in found] == ["its environment was never entered", "its project is gone"]
    for text in ("", "[]", '{"metadata": {"nixgen": {"project": 1}}}', "{"):
        (folders.jupyter("kernels") / "nixgen-demo-app/kernel.json").write_text(text)
        assert len(kernels.known()) == 1


def start(kernel: kernels.Kernel) -> subprocess.CompletedProcess[str]:
    """As Jupyter starts it; and as VS Code does, which is the same."""
    jupyter, vscode = (
        subprocess.run(
            [program, kernel.folder / "start", "-f", "f"], capture_output=True, text=True, check=False, cwd="/"
        )
        for program in ("/bin/sh", sys.executable)
    )
    assert (jupyter.stdout, jupyter.stderr, jupyter.returncode) == (vscode.stdout, vscode.stderr, vscode.returncode)
    return jupyter


@pytest.mark.usefixtures("entered")
@pytest.mark.parametrize("name", ["mine", 'it\'s $HOME `id` "x" \\n', "-n"])
def test_the_script_starts_the_environment_that_venv_leads_to(tmp_path: Path, name: str) -> None:
    root, store = made(tmp_path / name), tmp_path / "store"
    kernel = kernels.install(find_project(root), "")
    shutil.rmtree(root / ".venv-demo-app")
    for key, full in (("a", "demo-app"), ("b", "demo-app"), ("c", "other-demo-app")):
        place = store / key
        (place / SETUP.format(full)).mkdir(parents=True)
        program = place / SETUP.format(full) / "kernel"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" {key} "$@"\n')
        program.chmod(0o755)
        folder = venv(root, full, key=key, store=place)
        os.utime(folder / "nixgen", (ord(key), ord(key)))
    assert start(kernel).stdout == f"b\n{root}\n-f\nf\n"  # .venv leads to another environment: the latest
    (root / ".venv").unlink()
    (root / ".venv").symlink_to(".venv-a")
    assert start(kernel).stdout == f"a\n{root}\n-f\nf\n"
    (store / "a" / SETUP.format("demo-app") / "kernel").unlink()
    assert "is of an older nixgen. Run: cd " in start(kernel).stderr
    (store / "a" / SETUP.format("demo-app")).rmdir()
    assert start(kernel).returncode == 1
    assert "is gone. Run: cd " in start(kernel).stderr
