"""A uv project in a folder, and nixgen run in it as a program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import started
from support.nix import ROOT, Output
from support.waiting import without_progress

# What `nixgen init` and uv write at the top of a project.
WRITTEN = {
    ".github/workflows/reproducibility.yml",
    ".gitattributes",
    ".gitignore",
    "default.nix",
    "flake.lock",
    "flake.nix",
    "nixgen.lock",
    "shell.nix",
    "uv.lock",
}

WITH_MODELS = {"inference", "embeddings"}

PYPROJECT = """[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [{dependencies}]
"""


def uv_binary() -> str:
    """The uv that nixgen itself uses."""
    import uv

    return uv.find_uv_bin()


@dataclass(frozen=True)
class Project:
    """A folder with a pyproject.toml."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *dependencies: str, index: str = "", more: str = "") -> Project:
        """Writes pyproject.toml; ``index`` is the only package index that the project uses; ``more`` is more TOML."""
        folder.mkdir(parents=True, exist_ok=True)
        text = PYPROJECT.format(dependencies=", ".join(f'"{name}"' for name in dependencies))
        if index:
            text += f'\n[[tool.uv.index]]\nname = "loopback"\nurl = "{index}"\ndefault = true\n'
        (folder / "pyproject.toml").write_text(text + more)
        return cls(folder)

    @classmethod
    def example(cls, name: str, folder: Path) -> Project:
        """A copy of one of examples/ below ``folder``, with its README's steps done on the debian base."""
        project = cls.copied(name, folder)
        project.git()
        project.must("init", "--base", "debian", "--python", "3.13", "--ci", "github")
        return project

    @classmethod
    def copied(cls, name: str, folder: Path) -> Project:
        """A copy of one of examples/ below ``folder``, as a user has it before the first command."""
        # Two examples have a models.toml of their own, which git knows, and nixgen reads.
        own = {"models.toml"} if name in WITH_MODELS else set()
        ignored = shutil.ignore_patterns(*(WRITTEN - own), ".venv", "nix", ".github", "*.png", "*.wav", "__pycache__")
        project = cls(folder / name)
        shutil.copytree(ROOT / "examples" / name, project.folder, ignore=ignored)
        return project

    def append(self, text: str) -> None:
        """Adds lines to pyproject.toml."""
        path = self.folder / "pyproject.toml"
        path.write_text(path.read_text() + text)

    def replace(self, old: str, new: str, file: str = "pyproject.toml") -> None:
        """Changes a text that one of its files holds."""
        path = self.folder / file
        text = path.read_text()
        if old not in text:
            raise ValueError(f"{file} does not hold {old!r}")
        path.write_text(text.replace(old, new))

    def lock(self) -> None:
        """``uv lock``; told which Python, uv looks at no other: a tenth of the time."""
        done = run([uv_binary(), "lock", "--quiet", "--python", sys.executable], self.folder)
        if not done.ok:
            raise AssertionError(done.tail())

    def git(self) -> None:
        """Makes it a git work tree that knows all its files."""
        for argv in (["git", "init", "--quiet"], ["git", "add", "--all"]):
            subprocess.run(argv, cwd=self.folder, check=True)

    def commit(self, message: str) -> None:
        """Commits all that is there, by somebody."""
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        for argv in (["add", "--all"], ["commit", "--quiet", "--message", message]):
            subprocess.run(["git", *who, *argv], cwd=self.folder, check=True)

    def nixgen(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Output:
        """Runs nixgen in the project, whatever comes out."""
        return Output.of(started.nixgen(argv, cwd or self.folder, environment(env)))

    def must(self, *argv: str) -> Output:
        """Runs nixgen in the project; a failure shows what it printed."""
        done = self.nixgen(*argv)
        if not done.ok:
            raise AssertionError(done.tail())
        return done

    def files(self) -> dict[str, bytes]:
        """Every file but git's own, by its path."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            relative = path.relative_to(self.folder)
            if path.is_file() and relative.parts[0] != ".git":
                found[relative.as_posix()] = path.read_bytes()
        return found


def own_wheel(folder: Path) -> Path:
    """nixgen's own wheel, built in ``folder`` from a copy (``source``) of what git knows, without the network."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for name in names:
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "source" / name)
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "source")]
    done = run(argv, folder)
    if not done.ok:
        raise AssertionError(done.tail())
    (wheel,) = folder.glob("*.whl")
    return wheel


def run(argv: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> Output:
    """Runs a command without standard input; what it gave back."""
    done = subprocess.run(
        argv, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return Output(tuple(argv), done.returncode, done.stdout, without_progress(done.stderr))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' own with ``more``; the repository's nixgen is the one that is imported."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **(more or {})}
