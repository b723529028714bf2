"""git: what becomes visible to a flake, and what does not."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nixgen.check.explain.text import moment
from nixgen.errors import MachineError
from nixgen.machine.git import Visibility, committed, ignored_paths, in_work_tree, make_visible, rules, unknown_files

FILES = ["default.nix", "nix/nixgen/bootstrap/a.tar.xz", "[odd] *name", "uv.lock"]


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in a subfolder of a repository."""
    git(tmp_path, "init", "-q")
    root = tmp_path / "sub/project"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_new_files_become_visible_once(project: Path) -> None:
    assert make_visible(project, [*FILES, "not-there"]) == Visibility(tuple(FILES), ())
    assert make_visible(project, FILES) == Visibility((), ())
    assert git(project, "ls-files").splitlines() == sorted(FILES)
    assert git(project, "diff", "--cached", "--name-only") == ""


def test_when_a_file_was_committed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit may have any number for its time."""
    for seconds, wanted in ((1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)), (10**13, None)):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"@{seconds} +0000")
        (project / "uv.lock").write_text(str(seconds))
        git(project, "add", "uv.lock")
        git(project, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "-m", "all")
        assert committed(project, "uv.lock") == wanted
        assert moment(10**13) == "10000000000000 s after 1970"


def test_a_name_is_not_a_pattern(project: Path) -> None:
    (project / "o-other-name").touch()
    make_visible(project, ["[odd] *name"])
    assert git(project, "ls-files").splitlines() == ["[odd] *name"]


def test_what_is_ignored_stays_so_and_is_told(project: Path) -> None:
    (project.parent / ".gitignore").write_text("*.lock\n")
    assert make_visible(project, FILES) == Visibility(tuple(FILES[:3]), ("uv.lock",))
    assert ignored_paths(project, ["result", "a.lock"]) == {"a.lock"}
    assert ignored_paths(project, []) == set()


def test_the_rule_that_ignores_a_path(project: Path) -> None:
    (project / ".gitignore").write_text("# ours\n*.bin\nbuild/\nä b\n")
    (project / "kept").mkdir()
    (project / "kept/.gitignore").write_text("!*\n")
    for name in ("build", "kept/build"):
        (project / name).mkdir()
    paths = ["m.bin", "build/x", "ä b", "free", "kept/m.bin", "kept/build/x", "kept/ä b"]
    assert rules(project, paths) == {
        "m.bin": "sub/project/.gitignore:2: *.bin",
        "build/x": "sub/project/.gitignore:3: build/",
        "ä b": "sub/project/.gitignore:4: ä b",
    }
    assert rules(project, []) == {}


def test_unknown_files_are_those_that_are_neither_known_nor_ignored(project: Path) -> None:
    for name in ("known.py", "src/ünknown.py", "ignored.py", "unknown.txt", "../outside.py"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).touch()
    (project / ".gitignore").write_text("ignored*\n")
    git(project, "add", "--intent-to-add", "known.py")
    assert unknown_files(project, "*.py") == ["src/ünknown.py"]


def test_a_file_that_git_knows_though_it_is_ignored_is_visible(project: Path) -> None:
    git(project, "add", "uv.lock")
    (project / ".gitignore").write_text("*.lock\n")
    assert make_visible(project, ["uv.lock"]) == Visibility((), ())


def test_where_there_is_no_git(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_work_tree(project)
    assert not in_work_tree(tmp_path / ".git")
    outside = tmp_path.parent / "outside"
    outside.mkdir(exist_ok=True)
    assert not in_work_tree(outside)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not in_work_tree(outside)
    with pytest.raises(MachineError, match="there is no program git, and the project is in a git work tree"):
        in_work_tree(project)


def test_a_git_that_refuses_is_quoted(project: Path) -> None:
    (project.parents[1] / ".git/index.lock").touch()
    with pytest.raises(MachineError, match=r"index\.lock"):
        make_visible(project, FILES)


def test_a_repository_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 16: git reads none of it, and Nix then fails with a page of git's usage."""
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try this without another user
    with pytest.raises(MachineError) as caught:
        in_work_tree(tmp_path)
    assert "it belongs to another user; nor will Nix" in str(caught.value)
    assert f"git config --global --add safe.directory {tmp_path}" in str(caught.value)
