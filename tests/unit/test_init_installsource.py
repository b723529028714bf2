"""Where another machine gets this nixgen from."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from nixgen import __version__
from nixgen.init import installsource

COMMIT = "0123456789abcdef" * 2 + "01234567"
GIT = {"vcs": "git", "commit_id": COMMIT}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=demo", "-c", "user.email=demo@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with one commit, which its origin has."""
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(tmp_path, "clone", "--quiet", "origin", "clone")
    folder = tmp_path / "clone"
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(folder, "push", "--quiet", "origin", "HEAD")
    git(folder, "fetch", "--quiet")
    git(folder, "remote", "set-url", "origin", "https://code.example.org/nixgen.git")
    return folder


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (
            {"url": "https://code.example.org/n.git", "vcs_info": GIT},
            f"nixgen @ git+https://code.example.org/n.git@{COMMIT}",
        ),
        (
            {"url": "https://code.example.org/n", "vcs_info": GIT, "subdirectory": "a"},
            f"nixgen @ git+https://code.example.org/n@{COMMIT}#subdirectory=a",
        ),
        ({"url": "https://name:secret@code.example.org/n.git", "vcs_info": GIT}, ""),
        ({"url": "ssh://git@code.example.org/n.git", "vcs_info": GIT}, ""),
        ({"url": "file:///srv/n.git", "vcs_info": GIT}, ""),
        ({"url": "https://code.example.org/n.git", "vcs_info": {"vcs": "git"}}, ""),
        (
            {"url": "https://files.example.org/n.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}},
            f"nixgen @ https://files.example.org/n.whl#sha256={'0' * 64}",
        ),
        ({"url": "https://files.example.org/n.whl?token=1", "archive_info": {"hashes": {"sha256": "0" * 64}}}, ""),
        ({"url": "https://files.example.org/n.whl", "archive_info": {}}, ""),
        ({"url": "file:///tmp/n.whl", "archive_info": {"hashes": {"sha256": "0" * 64}}}, ""),
        ({"url": "file:///nowhere/at/all", "dir_info": {"editable": True}}, ""),
    ],
)
def test_what_was_noted_when_it_was_installed(noted: dict[str, Any], expected: str) -> None:
    assert installsource.from_direct_url(noted) == expected


def test_a_clone_whose_commit_was_pushed(clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    expected = f"nixgen @ git+https://code.example.org/nixgen.git@{commit}"
    assert installsource.from_folder(clone) == expected
    assert installsource.from_direct_url({"url": clone.as_uri(), "dir_info": {}}) == expected
    git(clone, "remote", "set-url", "origin", "git@code.example.org:team/nixgen.git")
    assert installsource.from_folder(clone) == f"nixgen @ git+https://code.example.org/team/nixgen.git@{commit}"


def test_a_clone_that_nobody_else_can_have(clone: Path, tmp_path: Path) -> None:
    (clone / "below").mkdir()
    assert installsource.from_folder(clone / "below") == ""
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "not pushed")
    assert installsource.from_folder(clone) == ""
    assert installsource.from_folder(tmp_path) == ""


def test_a_clone_without_an_origin(clone: Path) -> None:
    git(clone, "remote", "remove", "origin")
    assert installsource.from_folder(clone) == ""


class Installed:
    """A distribution as importlib.metadata gives it."""

    def __init__(self, noted: dict[str, Any] | None) -> None:
        self.noted = noted

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.noted is None else json.dumps(self.noted)


def test_from_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(None))
    assert installsource.requirement() == f"nixgen=={__version__}"


def test_from_git(monkeypatch: pytest.MonkeyPatch) -> None:
    noted = {"url": "https://code.example.org/n", "vcs_info": GIT}
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(noted))
    assert installsource.requirement() == f"nixgen @ git+https://code.example.org/n@{COMMIT}"


def test_not_installed_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Installed:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", missing)
    monkeypatch.setattr(installsource, "from_folder", lambda folder: f"from {folder.name}")
    assert installsource.requirement() == f"from {Path(installsource.__file__).parents[2].name}"
