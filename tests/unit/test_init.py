"""nixgen init: what it writes, says and leaves alone, and that nothing is written when something is wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.plans import DEBIAN

from nixgen import files, flakelock, generate, git, lock, scaffold, uv
from nixgen import init as module
from nixgen.errors import MachineError, UserError
from nixgen.init import Options, init
from nixgen.lockfile import parse_lock
from nixgen.model import Lock
from nixgen.nar import hash_path
from nixgen.nixpkgs import PINS
from nixgen.project import Project

PYPROJECT = """\
[project]  # what uv knows
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["plain"]

[tool.uv]
package = false
"""
WHEEL = '{{ url = "https://files.example.org/{name}-1.0-{tags}.whl", hash = "sha256:{digest}", size = 10 }}'
UV_LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "demo"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "plain" }}]

[package.metadata]
requires-dist = [{{ name = "plain" }}]

[[package]]
name = "plain"
version = "1.0"
source = {{ registry = "https://index.example.org/simple" }}
wheels = [
    {wheels},
]
"""
EVERY_FILE = {
    ".gitignore",
    "default.nix",
    "flake.lock",
    "flake.nix",
    "models.toml",
    "nixgen.lock",
    "pyproject.toml",
    "shell.nix",
    "uv.lock",
}
Run = Callable[..., list[str]]


def uv_lock(*tags: str) -> str:
    wheels = (WHEEL.format(name="plain", tags=tag, digest=hashlib.sha256(tag.encode()).hexdigest()) for tag in tags)
    return UV_LOCK.format(wheels=",\n    ".join(wheels))


def tree(root: Path) -> dict[str, bytes]:
    found = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".git/")}


def states(root: Path) -> dict[Path, tuple[int, int, int]]:
    """Which file it is, its permissions, and when it was written: what a reader does not change."""
    found = {path: path.stat() for path in root.rglob("*")}
    return {path: (state.st_ino, state.st_mode, state.st_mtime_ns) for path, state in found.items()}


def outside_library(root: Path) -> set[str]:
    return {name for name in tree(root) if not name.startswith("nix/")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "work/demo"
    root.mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "uv.lock").write_text(uv_lock("py3-none-any"))
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """init; gives the lines that it said."""

    def call(root: Path, **options: Any) -> list[str]:
        capsys.readouterr()
        init(root, Options(**options))
        return capsys.readouterr().err.splitlines()

    return call


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The debian base without apt: its pins are the hand-made ones. Gives the tarballs."""
    data = {f"nix/nixgen/bootstrap/{one.file}": one.system.encode() for one in DEBIAN.bootstrap}
    pinned = tuple(replace(one, sha256=hashlib.sha256(one.system.encode()).hexdigest()) for one in DEBIAN.bootstrap)

    real = lock.pins

    def pins(project: Project, options: lock.Options, old: Lock | None) -> tuple[Lock, dict[str, bytes]]:
        settings = project.settings
        if settings.base == "nixpkgs":
            return real(project, options, old)
        systems = settings.default_systems()
        bootstrap = tuple(one for one in pinned if one.system in systems)
        debs = tuple(one for one in DEBIAN.debs if one.system in systems)
        base = replace(DEBIAN, libraries=settings.libraries, tools=settings.tools, bootstrap=bootstrap, debs=debs)
        return Lock(base), {path: data for path, data in data.items() if any(system in path for system in systems)}

    monkeypatch.setattr(lock, "pins", pins)
    return data


def problems(root: Path, **options: Any) -> list[str]:
    """The problems that init raises; it must not have written anything."""
    before = tree(root)
    with pytest.raises((UserError, MachineError)) as caught:
        init(root, Options(**options))
    assert tree(root) == before
    return [str(problem) for problem in caught.value.problems]


def git_command(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def test_what_is_written_and_said(project: Path, run: Run) -> None:
    said = run(project)
    library = len(tree(project / "nix"))
    assert said == [
        f"The project is demo in {project}.",
        "Pinned nixpkgs nixos-26.05 at 5880666fd9eb (glibc 2.42), Python 3.14.",
        "wrote pyproject.toml",
        "wrote nixgen.lock",
        "wrote flake.nix",
        "wrote flake.lock",
        "wrote shell.nix",
        "wrote models.toml",
        "wrote .gitignore",
        "wrote default.nix",
        f"nix/nixgen/: {library} written",
        "Enter the environment: nix develop (without flakes: nix-shell)",
    ]
    assert outside_library(project) == EVERY_FILE
    assert (project / "pyproject.toml").read_text() == (
        PYPROJECT + '\n[tool.nixgen]\nbase = "nixpkgs"\npython = "3.14"\n'
    )
    assert (project / ".gitignore").read_text() == "result\nresult-*\n.venv\n"
    assert parse_lock((project / "nixgen.lock").read_text()).base.kind == "nixpkgs"
    assert 'file = "plain-1.0-py3-none-any.whl"' in (project / "default.nix").read_text()
    node = json.loads((project / "flake.lock").read_text())["nodes"]["nixpkgs"]
    assert node["locked"]["narHash"] == PINS["nixos-26.05"].nar_hash
    assert node["original"] == {"owner": "NixOS", "ref": "nixos-26.05", "repo": "nixpkgs", "type": "github"}


def test_what_init_wrote_is_what_generate_would_write(project: Path, run: Run) -> None:
    from nixgen.project import find_project

    run(project)
    generate.check(project, generate.outputs(find_project(project)))


@pytest.mark.parametrize("options", [{}, {"base": "nixpkgs", "python": "3.13"}, {"force": True}])
def test_a_second_run_changes_nothing(project: Path, run: Run, options: dict[str, Any]) -> None:
    run(project, **options)
    before = states(project)
    assert run(project, **options) == [f"The project is demo in {project}.", "Everything is up to date."]
    assert states(project) == before


def test_the_project_is_found_upwards(project: Path, run: Run) -> None:
    (project / "src/deep").mkdir(parents=True)
    run(project / "src/deep")
    assert outside_library(project) == EVERY_FILE


def test_the_options_become_settings(project: Path, run: Run) -> None:
    run(project, python="3.12", systems=("x86_64-linux", "aarch64-linux"), nixpkgs="nixos-unstable")
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"] == {
        "base": "nixpkgs",
        "python": "3.12",
        "systems": ["aarch64-linux", "x86_64-linux"],
        "nixpkgs": "nixos-unstable",
    }
    assert "github:NixOS/nixpkgs/nixos-unstable" in (project / "flake.nix").read_text()
    assert 'systems = [ "aarch64-linux" "x86_64-linux" ];' in (project / "nix/nixgen/base.nix").read_text()


def test_a_revision_of_nixpkgs(project: Path, run: Run) -> None:
    rev, nar_hash = "7" * 40, "sha256-" + "A" * 43 + "="
    run(project, nixpkgs=f"{rev}@{nar_hash}")
    assert f"github:NixOS/nixpkgs/{rev}" in (project / "flake.nix").read_text()
    assert json.loads((project / "flake.lock").read_text())["nodes"]["nixpkgs"]["locked"]["rev"] == rev
    assert run(project)[-1] == "Everything is up to date."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"base": "guix"}, "pyproject.toml: tool.nixgen.base: "),
        ({"systems": ("x86_64-windows",)}, "pyproject.toml: tool.nixgen.systems[0]: "),
        ({"nixpkgs": "nixos-1.0"}, "pyproject.toml: tool.nixgen.nixpkgs: "),
        ({"nixpkgs": "abc@sha256-x"}, '--nixpkgs: "abc@sha256-x" is not a revision with its hash'),
        ({"python": "2.7"}, "--python: "),
        ({"python": "3.9"}, "--python: "),
        ({"base": "debian", "nixpkgs": "nixos-26.05"}, "pyproject.toml: tool.nixgen.nixpkgs: "),
    ],
)
def test_options_that_cannot_be_met(project: Path, options: dict[str, Any], expected: str) -> None:
    assert problems(project, **options)[0].startswith(expected)


def test_the_version_file_is_heeded(project: Path, run: Run) -> None:
    (project / ".python-version").write_text("3.12\n")
    run(project)
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"]["python"] == "3.12"


def test_systems_without_wheels_are_left_out_and_told(project: Path, run: Run) -> None:
    (project / "uv.lock").write_text(uv_lock("cp314-cp314-manylinux_2_28_x86_64", "cp314-cp314-macosx_11_0_arm64"))
    said = [line for line in run(project) if line.startswith("Left out")]
    assert [line.partition(", because plain ")[0] for line in said] == [
        "Left out: aarch64-linux",
        "Left out: x86_64-darwin",
    ]
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"]["systems"] == [
        "aarch64-darwin",
        "x86_64-linux",
    ]
    assert run(project)[-1] == "Everything is up to date."


def test_a_system_that_was_asked_for_is_not_left_out(project: Path) -> None:
    (project / "uv.lock").write_text(uv_lock("cp314-cp314-manylinux_2_28_x86_64"))
    found = problems(project, systems=("x86_64-linux", "aarch64-linux"))
    assert len(found) == 1
    assert found[0].startswith("plain (aarch64-linux): ")


def test_a_package_that_has_a_wheel_nowhere(project: Path) -> None:
    (project / "uv.lock").write_text(uv_lock("cp39-cp39-manylinux_2_28_x86_64"))
    found = problems(project)
    for system in ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"):
        assert any(problem.startswith("plain (") and system in problem for problem in found)


@pytest.mark.parametrize("name", ["default.nix", "flake.nix", "flake.lock", "shell.nix", "nix/nixgen/default.nix"])
def test_a_file_of_somebody_else_is_not_overwritten(project: Path, run: Run, name: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("{ }")
    assert problems(project) == [
        f"{name}: is in the way, and nixgen did not write it\n    move it elsewhere, or give it up: nixgen init --force"
    ]
    said = run(project, force=True)
    assert f"warning: {name} was not written by nixgen: it is replaced (--force)." in said
    assert (project / name).read_text() != "{ }"


def test_all_files_in_the_way_are_named_at_once(project: Path) -> None:
    for name in ("default.nix", "flake.nix", "shell.nix"):
        (project / name).write_text("{ }")
    assert [problem.partition(":")[0] for problem in problems(project)] == ["default.nix", "flake.nix", "shell.nix"]


def test_what_the_user_made_of_the_files_stays(project: Path, run: Run) -> None:
    run(project)
    mine = {"flake.nix": "{ outputs = _: { }; }\n", "shell.nix": "1\n", "models.toml": "version = 1\n# mine\n"}
    for name, text in mine.items():
        (project / name).write_text(text)
    (project / "flake.lock").write_text('{"nodes": {"root": {}}, "root": "root", "version": 7}')
    before = tree(project)
    said = run(project)
    assert tree(project) == before
    assert "warning: flake.nix is yours and stays as it is; its input nixpkgs does not say github:" in said[1]


def test_models_that_are_there_already_stay(project: Path, run: Run) -> None:
    (project / "models.toml").write_text("version = 1\n")
    assert "wrote models.toml" not in run(project)
    assert (project / "models.toml").read_text() == "version = 1\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "result\nresult-*\n.venv\n"),
        ("*.log", "*.log\nresult\nresult-*\n.venv\n"),
        ("/.venv/\nresult\n", "/.venv/\nresult\nresult-*\n"),
        (".venv\n/result\nresult-*\n", None),
    ],
)
def test_lines_of_gitignore(tmp_path: Path, old: str, new: str | None) -> None:
    (tmp_path / ".gitignore").write_text(old)
    found = scaffold.gitignore(tmp_path, work_tree=False)
    assert found == (None if new is None else new.encode())


def test_what_git_ignores_above_is_not_ignored_again(project: Path) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".gitignore").write_text("result*\n")
    assert scaffold.gitignore(project, work_tree=True) == b".venv\n"


def test_new_files_become_visible_to_a_flake(project: Path, run: Run) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".gitignore").write_text("models.toml\n")
    (project / "mine.py").touch()
    said = run(project)
    count = len(tree(project)) - 2
    assert said[-4:] == [
        f"Told git of {count} new files (git add --intent-to-add), because a flake sees only what git knows.",
        (
            "warning: models.toml is ignored by git, so a flake does not see it. "
            "To change that: git add --force models.toml"
        ),
        "warning: mine.py is not known to git, so a flake does not see it. To change that: git add .",
        "Enter the environment: nix develop (without flakes: nix-shell)",
    ]
    known = set(git_command(project, "ls-files").splitlines())
    assert known == set(tree(project)) - {"mine.py", "models.toml"}
    before = git_command(project, "status", "--porcelain")
    assert not [line for line in run(project) if line.startswith("Told")]
    assert git_command(project, "status", "--porcelain") == before


def test_an_ignored_folder_of_nixgen_is_one_sentence(project: Path, run: Run) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".gitignore").write_text("nix/\n")
    for name in ("a.py", "b.py"):
        (project / name).touch()
    assert [line for line in run(project) if line.startswith("warning: ")] == [
        "warning: nix/nixgen is ignored by git, so a flake does not see it. To change that: git add --force nix/nixgen",
        "warning: a.py (and 1 more) is not known to git, so a flake does not see it. To change that: git add .",
    ]


def test_a_work_tree_without_the_program_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git_command(project.parent, "init", "-q")
    monkeypatch.setattr("nixgen.git.shutil.which", lambda _: None)
    assert problems(project)[0].startswith("there is no program git, and the project is in a git work tree")


def test_uv_lock_is_made_where_there_is_none(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "uv.lock").unlink()
    monkeypatch.setattr(uv, "lock", lambda root: (root / "uv.lock").write_text(uv_lock("py3-none-any")))
    assert run(project)[1] == "There is no uv.lock: running uv lock."
    assert outside_library(project) == EVERY_FILE


def test_no_project(tmp_path: Path) -> None:
    assert "pyproject.toml" in problems(tmp_path)[0]


def test_unreadable_toml(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    assert problems(project)[0].startswith("pyproject.toml: ")


def test_the_debian_base(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    said = run(project, base="debian", python="3.11")
    assert "Pinned Debian bookworm for aarch64-linux: 1 packages, 2.0 KiB, Python 3.11, glibc 2.36." in said
    found = tree(project)
    assert {path: found[path] for path in debian} == debian
    node = json.loads(found["flake.lock"])["nodes"]["nixpkgs"]
    assert node["locked"]["narHash"] == hash_path(project / "nix/nixgen")
    assert flakelock.DEBIAN_URL in found["flake.nix"].decode()
    assert run(project)[-1] == "Everything is up to date."
    assert tree(project) == found


def test_another_base_rewrites_a_flake_that_nobody_touched(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    run(project, base="debian", python="3.11")
    run(project, base="nixpkgs")
    found = tree(project)
    assert "github:NixOS/nixpkgs/nixos-26.05" in found["flake.nix"].decode()
    assert json.loads(found["flake.lock"])["nodes"]["nixpkgs"]["locked"]["type"] == "github"
    assert not debian.keys() & found.keys()


def test_a_system_that_is_added_later_is_pinned(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    run(project, base="debian", python="3.11", systems=("x86_64-linux",))
    assert len(debian.keys() & tree(project).keys()) == 1
    run(project, systems=("x86_64-linux", "aarch64-linux"))
    assert debian.keys() <= tree(project).keys()


@pytest.mark.parametrize("moment", ["plan", "scaffold", "write"])
def test_an_interrupt_leaves_the_project_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target, name = {
        "plan": (generate, "plan"),
        "scaffold": (scaffold, "scaffold"),
        "write": (files.os, "fsync"),  # type: ignore[attr-defined]
    }[moment]
    monkeypatch.setattr(target, name, interrupt)
    before = tree(project)
    with pytest.raises(KeyboardInterrupt):
        init(project, Options())
    assert tree(project) == before
    assert not (project / "nix").exists()


def test_a_git_that_refuses_comes_after_the_files(project: Path) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".git/index.lock").touch()
    with pytest.raises(MachineError, match=r"index\.lock"):
        init(project, Options())
    assert outside_library(project) == EVERY_FILE
    assert git.in_work_tree(project)
    assert module.COMMAND == "nixgen init"


def command(root: Path, *arguments: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "nixgen", *arguments, "--project", str(root)]
    return subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, text=True)


def test_two_runs_at_once(project: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone/demo"
    shutil.copytree(project, alone)
    init(alone, Options())
    both = [command(project, "init"), command(project, "init")]
    said = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert tree(project) == tree(alone)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_nothing_half_written(
    project: Path, tmp_path: Path, number: signal.Signals
) -> None:
    before = tree(project)
    shutil.copytree(project, tmp_path / "alone/demo")
    init(tmp_path / "alone/demo", Options())
    after = tree(tmp_path / "alone/demo")
    for moment in range(8):
        running = command(project, "init")
        try:
            running.communicate(timeout=0.08 * moment)
        except subprocess.TimeoutExpired:
            running.send_signal(number)
            running.communicate(timeout=60)
        assert running.returncode not in {2, 3}
        found = {name: data for name, data in tree(project).items() if not name.endswith(files.TEMPORARY)}
        assert before.keys() <= found.keys() <= after.keys()
        assert all(data in {before.get(name), after[name]} for name, data in found.items())
        if number == signal.SIGINT:
            assert tree(project) in (before, after)
        if found == after:
            break
    init(project, Options())
    assert tree(project) == after


def test_a_read_only_project(mounted: Path, project: Path) -> None:
    root = mounted / "demo"
    shutil.copytree(project, root)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    running = command(root, "init")
    said = running.communicate(timeout=60)[1].splitlines()
    assert said[-2:] == [
        f"error: {root}: cannot be written (Read-only file system); nothing was changed",
        "    make the folder writable, or work on a copy",
    ]
    assert running.returncode == 3


def test_check_at_the_command_line(project: Path) -> None:
    init(project, Options())
    assert command(project, "generate", "--check").wait(timeout=60) == 0
    (project / "default.nix").write_text("# Written by nixgen\n")
    running = command(project, "generate", "--check")
    assert running.communicate(timeout=60)[1].splitlines() == [
        "error: default.nix: is stale: nixgen would write something else",
        "    write them again: nixgen generate",
    ]
    assert running.returncode == 1


def test_an_environment_of_nothing_is_told(project: Path, run: Run) -> None:
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(re.sub(r"(?s)dependencies = \[.*?\]", "dependencies = []", text))
    (project / "uv.lock").unlink(missing_ok=True)
    assert (
        "warning: demo installs nothing, so the environment is empty; add what it needs: uv add NAME "
        "(in a workspace, the root must depend on its members: uv add MEMBER)"
    ) in run(project)
