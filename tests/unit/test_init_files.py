"""nixgen init and the files that are there: what somebody else wrote, .gitignore, git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.initproject import (
    EVERY_FILE,
    Run,
    made,
    outside_library,
    problems,
    runner,
    tree,
)

from nixgen.errors import MachineError
from nixgen.init import installsource, scaffold
from nixgen.init import setup as module
from nixgen.init.setup import Options, init
from nixgen.machine import files, git


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nixgen came from an index: a CI job is written."""
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def git_command(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", ["default.nix", "flake.nix", "flake.lock", "shell.nix", "nix/nixgen/default.nix"])
def test_a_file_of_somebody_else_is_not_overwritten(project: Path, run: Run, name: str) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("{ }")
    assert problems(project) == [
        f"{name}: is in the way, and nixgen did not write it\n"
        f"  hint: move it elsewhere, or give it up: nixgen init --force"
    ]
    said = run(project, force=True)
    assert f"warning: {name} was not written by nixgen: it is replaced (--force)." in said
    assert (project / name).read_text() != "{ }"


@pytest.mark.parametrize("name", ["nix", "nix/nixgen"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_where_a_folder_belongs_is_in_the_way_like_any_other(
    project: Path, run: Run, name: str, kind: str
) -> None:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    if kind == "link":
        (project / name).symlink_to("pyproject.toml" if name == "nix" else "nowhere")
    else:
        (project / name).write_text("mine")
    (project / "flake.nix").write_text("{ }")
    assert problems(project) == [
        f"{path}: is in the way, and nixgen did not write it\n"
        f"  hint: move it elsewhere, or give it up: nixgen init --force"
        for path in ("flake.nix", name)
    ]
    said = run(project, force=True)
    assert "warning: flake.nix was not written by nixgen: it is replaced (--force)." in said
    assert f"warning: {name} was not written by nixgen: it is removed (--force)." in said
    assert (project / "nix/nixgen/library").is_file()
    assert not [path for path in project.rglob("*") if path.name.endswith(files.TEMPORARY) or "aside" in path.name]


@pytest.mark.parametrize("link", ["nix", "nix/nixgen", "nix/nixgen/library"])
def test_nothing_is_moved_or_removed_behind_a_link_out_of_the_project(project: Path, link: str) -> None:
    outside = project.parent / "outside"
    files.write_all(outside, {"nixgen": b"theirs", "builders": b"theirs", "mine.nix": b"theirs"})
    (project / link).parent.mkdir(parents=True, exist_ok=True)
    (project / link).symlink_to(outside)
    before = tree(outside)
    for force in (False, True):
        assert problems(project, force=force) == [
            f"{link}: is a link to {outside}: it leads out of the project, and nixgen writes only inside it\n"
            f"  hint: remove the link: rm {link}"
        ]
    assert tree(outside) == before


def test_what_was_put_aside_comes_back_when_nothing_can_be_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "nix").write_text("mine")

    def full(*_: Any, **__: Any) -> None:
        raise MachineError.of("", "the disk is full")

    monkeypatch.setattr(files, "write_all", full)
    assert problems(project, force=True) == ["the disk is full"]


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


def test_a_path_with_an_apostrophe_is_for_nix_shell(tmp_path: Path, run: Run) -> None:
    assert run(made(tmp_path / "it's/demo"))[-1] == (
        "Enter the environment: nix-shell (nix develop cannot: there is an apostrophe in the path of this folder)"
    )


def test_models_that_are_there_already_stay(project: Path, run: Run) -> None:
    (project / "models.toml").write_text("version = 1\n")
    assert "wrote models.toml" not in run(project)
    assert (project / "models.toml").read_text() == "version = 1\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "result\nresult-*\n.venv\n"),
        ("*.log", "*.log\nresult\nresult-*\n.venv\n"),
        ("/.venv/\nresult\n", "/.venv/\nresult\nresult-*\n.venv\n"),
        (".venv\n/result\nresult-*\n", None),
    ],
)
def test_lines_of_gitignore(tmp_path: Path, old: str, new: str | None) -> None:
    (tmp_path / ".gitignore").write_text(old)
    found = scaffold.gitignore(tmp_path, work_tree=False)
    assert found == (None if new is None else new.encode())


def test_an_older_venv_is_moved_aside(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 48: every uv project has one. Not what is no venv, nor the one that nixgen runs from."""
    git_command(project, "init", "-q")
    (project / ".gitignore").write_text("result\nresult-*\n.venv/\n")
    for moved in (".venv.old1", ".venv.old2"):
        (project / ".venv").mkdir()
        (project / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
        assert f"Moved .venv, which uv made, to {moved}: nix develop makes one of its own." in run(project)
        assert (project / moved / "pyvenv.cfg").read_text() == "home = /usr/bin\n"
    (project / ".venv").symlink_to(".venv.old1")
    assert ".venv" not in git_command(project, "status", "--porcelain", "--untracked-files=all", ".venv*")
    assert not [line for line in run(project) if "Moved" in line]
    (project / ".venv").unlink()
    (project / ".venv").mkdir()
    assert not [line for line in run(project) if "Moved" in line]
    (project / ".venv/pyvenv.cfg").touch()
    monkeypatch.setattr("sys.prefix", str(project / ".venv"))
    assert not [line for line in run(project) if "Moved" in line]


def test_what_git_ignores_above_is_not_ignored_again(project: Path) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".gitignore").write_text("result*\n")
    assert scaffold.gitignore(project, work_tree=True) == b".venv\n"


def test_new_files_become_visible_to_a_flake(project: Path, run: Run) -> None:
    git_command(project.parent, "init", "-q")
    (project.parent / ".gitignore").write_text("models.toml\n")
    (project / "models.toml").write_text("version = 1\n")
    (project / "mine.py").touch()
    said = run(project)
    count = len(tree(project)) - 2
    assert [line for line in said if not line.startswith("warning: No CI job")][-4:] == [
        f"Staged {count} new files (git add -N): flakes ignore untracked files.",
        (
            "warning: models.toml is ignored by git, so a flake does not see it. "
            "To change that: git add --force models.toml"
        ),
        "warning: mine.py is not known to git, so a flake does not see it. To change that: git add --all",
        "Enter the environment: nixgen shell (teammates: nix develop, or nix-shell without flakes)",
    ]
    known = set(git_command(project, "ls-files").splitlines())
    assert known == set(tree(project)) - {"mine.py", "models.toml"}
    before = git_command(project, "status", "--porcelain")
    assert not [line for line in run(project) if line.startswith("Staged")]
    assert git_command(project, "status", "--porcelain") == before


def test_an_ignored_folder_of_nixgen_is_one_sentence(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")
    git_command(project, "init", "-q")
    (project / ".gitignore").write_text("nix/\n")
    for name in ("a.py", "b.py"):
        (project / name).touch()
    assert [line for line in run(project) if line.startswith("warning: ")] == [
        "warning: nix/nixgen is ignored by git, so a flake does not see it. To change that: git add --force nix/nixgen",
        "warning: a.py (and 1 more) is not known to git, so a flake does not see it. To change that: git add --all",
    ]


def test_a_work_tree_without_the_program_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git_command(project.parent, "init", "-q")
    monkeypatch.setattr("nixgen.machine.git.shutil.which", lambda _: None)
    assert problems(project)[0].startswith("there is no program git, and the project is in a git work tree")


def test_a_git_that_refuses_comes_after_the_files(project: Path) -> None:
    git_command(project, "init", "-q")
    (project / ".git/index.lock").touch()
    with pytest.raises(MachineError, match=r"index\.lock"):
        init(project, Options())
    assert outside_library(project) == EVERY_FILE
    assert git.in_work_tree(project)
    assert module.COMMAND == "nixgen init"
