"""A project on the debian base and `nixgen check` in it, with real Nix and a store laid over /nix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from support.nix import ROOT, SYSTEM, Nix, Output, enter
from support.project import PYPROJECT, Project
from support.waiting import without_progress
from support.wheels import make_wheel

if TYPE_CHECKING:
    from support.index import Index

RECORD = "nixgen.hashes.json"
OTHER = "aarch64-darwin"
MODULE = {"plum/__init__.py": "COLOUR = 'purple'\n", "plum/data.txt": "ripe\n"}


@dataclass(frozen=True)
class Checked:
    """A project, and the Nix that it is checked with."""

    project: Project
    nix: Nix
    index: Index

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.project.folder

    @property
    def record(self) -> Path:
        """Its record."""
        return self.folder / RECORD

    def document(self) -> Any:
        """The record as JSON."""
        return json.loads(self.record.read_text())

    def system(self) -> Any:
        """This system's part of it."""
        return self.document()["systems"][SYSTEM]

    def change(self, system: Mapping[str, Any]) -> None:
        """Changes keys of this system's part by hand."""
        document = self.document()
        document["systems"][SYSTEM].update(system)
        self.record.write_text(json.dumps(document))

    def with_nix(self, nix: Nix) -> Checked:
        """The same project with another Nix."""
        return replace(self, nix=nix)

    def environ(self) -> dict[str, str]:
        """What nixgen runs with: the environment of Nix commands, and the repository's nixgen."""
        return {**self.nix.environ(), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def command(self, *words: str | Path) -> list[str]:
        """The whole command line of nixgen with the store over /nix."""
        return [*enter(self.nix.store), sys.executable, "-m", "nixgen", *map(str, words)]

    def run(self, *words: str | Path, before: str = "") -> Output:
        """Runs nixgen; ``before`` is a line of shell that is run first, in the same namespace, with $1 the folder."""
        if not before:
            return self.nix.nixgen(*map(str, words), cwd=self.folder, PYTHONPATH=str(ROOT), NO_COLOR="1")
        inner = [sys.executable, "-m", "nixgen", *map(str, words)]
        inner = ["sh", "-euc", f'{before}; shift; exec "$@"', "sh", str(self.folder), *inner]
        done = subprocess.run(
            [*enter(self.nix.store), *inner],
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Output(tuple(inner), done.returncode, done.stdout, without_progress(done.stderr))

    def start(self, *words: str | Path, output: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Starts nixgen in a process group of its own; its process is the one that signals reach."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def check(self, *words: str | Path, code: int = 0, before: str = "") -> Output:
        """``nixgen check``, which must end with this exit code."""
        done = self.run("check", *words, before=before)
        assert done.returncode == code, done.tail()
        return done

    def wheel(self, version: str, files: Mapping[str, str] = MODULE) -> Path:
        """A wheel of plum on the index."""
        return make_wheel(self.index.folder, "plum", version, files)

    def require(self, requirement: str) -> None:
        """Changes what the project needs, and brings all files up to date."""
        text = (self.folder / "pyproject.toml").read_text()
        start, end = text.index("dependencies = ["), text.index("]\n", text.index("dependencies = ["))
        (self.folder / "pyproject.toml").write_text(f'{text[:start]}dependencies = ["{requirement}"{text[end:]}')
        self.project.lock()
        self.project.must("generate")

    def valid(self) -> list[str]:
        """Every path that Nix's database has."""
        dumped = self.nix.run("nix-store", "--dump-db").stdout
        return sorted(line for line in dumped.splitlines() if line.startswith("/nix/store/"))

    def alone(self, store: Path, *, sources: bool = False) -> Checked:
        """The same with a store that no other test uses: what is built of root and imports is copied into it.

        With ``sources`` also all that is needed to build it again.
        """
        drvs = [self.nix.run("nix-instantiate", "-A", name, self.folder).stdout.strip() for name in ("root", "imports")]
        self.nix.run("nix-store", "--realise", *drvs)
        asked = ["--requisites", "--include-outputs"] if sources else ["--outputs"]
        paths = self.nix.run("nix-store", "--query", *asked, *drvs).stdout.split()
        paths = paths if sources else self.nix.run("nix-store", "--query", "--requisites", *paths).stdout.split()
        store.mkdir(parents=True, exist_ok=True)
        self.nix.inside("sh", "-euc", 'nix-store --export "$@" > "$0"', store / "dump", *paths)
        nix = self.nix.with_store(store)
        nix.inside("sh", "-euc", 'nix-store --import < "$0"', store / "dump")
        (store / "dump").unlink()
        return self.with_nix(nix)

    def state(self) -> dict[str, list[str]]:
        """What a check must leave as it was: the store's paths, the database, the roots that lead somewhere.

        Nix itself removes the others when it next collects garbage.
        """
        nix = self.nix.store / "nix"
        roots = nix / "var/nix/gcroots"
        return {
            "paths": sorted(entry.name for entry in (nix / "store").iterdir() if not entry.name.endswith(".lock")),
            "valid": sorted(set(self.valid())),
            "roots": sorted(
                f"{path.relative_to(roots)} -> {path.readlink()}"
                for path in roots.rglob("*")
                if path.is_symlink() and os.path.lexists(path.readlink())
            ),
        }


def make(folder: Path, pins: Path, index: Index, nix: Nix) -> Checked:
    """A project that needs plum, on the pins of another project, ready to be checked."""
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    text = PYPROJECT.format(dependencies='"plum"')
    tool = (pins / "pyproject.toml").read_text().partition("[tool.nixgen]")[2]
    source = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index.simple}"\ndefault = true\n'
    (folder / "pyproject.toml").write_text(f"{text}\n{source}\n[tool.nixgen]{tool}")
    checked = Checked(Project(folder), nix, index)
    if not any(index.folder.glob("plum-1.0-*")):
        checked.wheel("1.0")
    checked.require("plum==1.0")
    return checked


def findings(done: Any, step: str) -> list[str]:
    """What a step of ``--json`` found, each with what it says."""
    (report,) = json.loads(done.stdout)["reports"]
    (found,) = [one for one in report["steps"] if one["name"] == step]
    return [f"{one['where']}: {one['what']}" for one in found["findings"]]


def steps(done: Any) -> dict[str, Any]:
    """The steps of ``--json``, by name."""
    (report,) = json.loads(done.stdout)["reports"]
    return {step["name"]: step for step in report["steps"]}
