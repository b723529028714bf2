"""A checkout with core.autocrlf: the files whose bytes count keep them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.initproject import Run, made, runner, tree

from nixgen.generate import planning, write
from nixgen.init import gitattributes, installsource
from nixgen.project.project import find_project

LINES = (
    "/default.nix -text\n/flake.lock -text\n/models.toml -text\n/nix/nixgen/** -text\n"
    "/nixgen.hashes.json -text\n/nixgen.lock -text\n/uv.lock -text\n"
    "/default.nix linguist-generated\n/nix/nixgen/** linguist-generated\n"
)
GENERATED = "".join(line for line in LINES.splitlines(keepends=True) if "-text" not in line)  # case 47


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = made(tmp_path / "work/demo")
    (root / "models.toml").write_text("version = 1\n")
    git(root, "init", "-q")
    return root


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")
    return runner(capsys)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-qm", "all")


def checkout(root: Path, place: Path) -> Path:
    """A teammate's clone whose git changes line ends."""
    git(root.parent, "clone", "-q", "--config", "core.autocrlf=true", str(root), str(place))
    return place


def test_a_checkout_with_other_line_ends_is_up_to_date(project: Path, run: Run, tmp_path: Path) -> None:
    (project / "nixgen.hashes.json").write_text('{"a":\n1}\n')
    run(project)
    commit(project)
    clone = checkout(project, tmp_path / "clone")
    assert b"\r\n" in (clone / "pyproject.toml").read_bytes()
    ours, theirs = tree(project), tree(clone)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {
        ".gitattributes",
        ".github/workflows/reproducibility.yml",
        ".gitignore",
        "flake.nix",
        "pyproject.toml",
        "shell.nix",
    }
    write.check(clone, planning.outputs(find_project(clone)))
    assert run(clone)[-1] == "Everything is up to date."
    assert tree(clone) == theirs


@pytest.mark.heavy
def test_without_the_lines_all_would_be_stale(project: Path, run: Run, tmp_path: Path) -> None:
    run(project)
    (project / ".gitattributes").unlink()
    commit(project)
    clone = checkout(project, tmp_path / "clone")
    said = run(clone)
    assert "wrote .gitattributes" in said
    assert (
        "warning: uv.lock, models.toml: the line ends are those of Windows, so Nix finds other digests than with your "
        "teammates. git leaves them alone from now on (.gitattributes); to have them as they are: "
        "rm uv.lock models.toml && git checkout -- uv.lock models.toml, then: nixgen sync"
    ) in said
    for name in ("uv.lock", "models.toml"):
        (clone / name).unlink()
    git(clone, "checkout", "--", "uv.lock", "models.toml")
    assert run(clone)[-1] != "Everything is up to date."
    assert (clone / "default.nix").read_bytes() == (project / "default.nix").read_bytes()
    assert not [line for line in run(clone) if "Windows" in line]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", LINES),
        (LINES, None),
        (LINES.replace(" ", "\t"), None),
        ("*.png binary", "*.png binary\n" + LINES),
        ("* text=auto\r\n", ("* text=auto\n" + LINES).replace("\n", "\r\n")),
        (LINES.replace("/uv.lock -text\n", ""), LINES.replace("/uv.lock -text\n", "") + "/uv.lock -text\n"),
        (LINES.replace(GENERATED, ""), LINES),
    ],
)
def test_lines_of_gitattributes(tmp_path: Path, old: str, new: str | None) -> None:
    (tmp_path / ".gitattributes").write_bytes(old.encode())
    found = gitattributes.with_lines(tmp_path, work_tree=False)
    assert (found and found.decode()) == new


@pytest.mark.parametrize("line", ["* -text", "* text eol=lf", "* binary", "sub/** -text"])
def test_what_git_leaves_alone_already_needs_no_line(tmp_path: Path, line: str) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitattributes").write_text(f"{line}\n")
    (tmp_path / "sub").mkdir()
    assert gitattributes.with_lines(tmp_path / "sub", work_tree=True) == GENERATED.encode()
    (tmp_path / ".gitattributes").write_text("* text=auto\n")
    assert gitattributes.with_lines(tmp_path / "sub", work_tree=True) == LINES.encode()
