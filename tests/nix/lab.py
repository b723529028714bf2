"""Projects made to order for the Nix library: wheels from the factory, pins of the debian base, real Nix."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.nix import SYSTEM, Nix, Output
from support.wheels import sha256

from nixgen import resources

if TYPE_CHECKING:
    from support.index import Index

PYTHON = "3.13"
SITE = f"lib/python{PYTHON}/site-packages"
_numbers = itertools.count()


@dataclass(frozen=True)
class Lab:
    """One Nix, the library on the debian base, and an index whose folder takes the wheels of a test.

    ``library`` holds what a project's nix/nixgen folder holds; ``folder`` is for what a test writes.
    """

    nix: Nix
    library: Path
    index: Index
    folder: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wheels(self) -> Path:
        """Where wheels are made; the index serves this folder."""
        return self.index.folder

    def entry(self, wheel: Path) -> dict[str, Any]:
        """The line of default.nix for a wheel."""
        name, version = wheel.name.split("-")[:2]
        return {
            "name": name.replace("_", "-"),
            "version": version,
            "file": wheel.name,
            "systems": [SYSTEM],
            "sha256": sha256(wheel),
            "url": self.index.url(wheel),
        }

    def with_arguments(self, **arguments: Any) -> Lab:
        """The same with more of what default.nix hands to the library."""
        return replace(self, arguments={**self.arguments, **arguments})

    def expression(self, wheels: Iterable[Path] = (), *, root: Path | None = None, base: str = "pins") -> str:
        """A Nix expression that gives what a generated default.nix gives; ``base`` may change ``pins``."""
        number = next(_numbers)
        given = {"system": SYSTEM, "name": "demo", "trees": [], "wheels": [self.entry(wheel) for wheel in wheels]}
        file = self.folder / f".arguments-{number}.json"  # hidden: no part of the project
        file.write_text(json.dumps({**given, **self.arguments}))
        return (
            f"let given = builtins.fromJSON (builtins.readFile {file}); pins = import {self.library}/base.nix; in "
            f"(import {self.library}).project (given // {{ root = {root or self.folder}; base = {base}; }})"
        )

    def build(self, attribute: str, wheels: Iterable[Path] = (), **how: Any) -> Path:
        """Builds an attribute of the project; the store path as Nix names it."""
        return self.nix.build_expression(f"({self.expression(wheels, **how)}).{attribute}")

    def environment(self, *wheels: Path, **how: Any) -> Path:
        """Builds the environment."""
        return self.build("environment", wheels, **how)

    def failure(self, attribute: str, wheels: Iterable[Path] = (), **how: Any) -> str:
        """Builds what cannot be built; all that Nix and the builders printed."""
        expression = f"({self.expression(wheels, **how)}).{attribute}"
        done = self.nix.run("nix-build", "--no-out-link", "--keep-going", "-E", expression, check=False)
        assert not done.ok, done.tail()
        return done.stderr

    def installed(self, *wheels: Path) -> list[Path]:
        """Builds wheels alone, in one go; where each lies on the disk."""
        names = [self.entry(wheel)["name"] for wheel in wheels]
        listed = " ".join(f'wheels."{name}"' for name in names)
        done = self.nix.run("nix-build", "--no-out-link", "-E", f"with ({self.expression(wheels)}); [ {listed} ]")
        return [self.nix.real(line) for line in done.stdout.split()]

    def log(self, attribute: str, wheels: Iterable[Path] = ()) -> str:
        """The log of the build of an attribute that was built before."""
        drv = self.nix.evaluate(f"({self.expression(wheels)}).{attribute}.drvPath")
        return self.nix.run("nix-store", "--read-log", drv).stdout

    def python(self, environment: Path, code: str, *arguments: str, check: bool = True, **env: str) -> Output:
        """Runs code with the environment's Python, outside of the sandbox."""
        return self.nix.inside(f"{environment}/bin/python", "-c", code, *arguments, cwd=self.folder, check=check, **env)

    def value(self, environment: Path, code: str, *arguments: str) -> Any:
        """What code with a JSON-able ``answer`` gives in the environment's Python."""
        program = f"import json, sys\n{code}\nprint(json.dumps(answer))"
        return json.loads(self.python(environment, program, *arguments).stdout.splitlines()[-1])

    def in_sandbox(self, command: str) -> str:
        """Runs a bash command as a build, in which ``out`` is to be written; what it wrote."""
        arguments = f'[ "-c" {json.dumps(command)} ]'
        base = f"({self.expression()}).base"
        # Paths of the store in the command are what the build may see.
        paths = " ".join(sorted({word for word in command.split() if word.startswith("/nix/store/")}))
        inputs = " ".join(f"(builtins.storePath {_top(path)})" for path in paths.split())
        drv = (
            f'derivation {{ inherit ({base}) system; name = "in-sandbox"; builder = ({base}).bash; '
            f"args = {arguments}; inputs = [ {inputs} ]; }}"
        )
        return self.nix.real(self.nix.build_expression(drv)).read_text()


def _top(path: str) -> str:
    return "/".join(path.split("/")[:4])


def make_library(folder: Path, pins: Path) -> Path:
    """A copy of this repository's nix/, with the pins of a project and its first program."""
    package, folder = folder / "nixgen", folder / "nix"
    for name, content in resources.library().items():
        place = (package if name.startswith(("guard/", "machine/", "nix/", "oci/", "runs/")) else folder) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    (folder / "base.nix").write_bytes((pins / "nix/nixgen/base.nix").read_bytes())
    (folder / "bootstrap").mkdir()
    for path in (pins / "nix/nixgen/bootstrap").iterdir():
        (folder / "bootstrap" / path.name).write_bytes(path.read_bytes())
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: the tests run in several."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def rows(record: Path) -> dict[str, tuple[str, str]]:
    """A RECORD: path → (hash, size)."""
    with record.open(newline="", encoding="utf-8") as file:
        return {row[0]: (row[1], row[2]) for row in csv.reader(file)}


def tree(folder: Path) -> list[str]:
    """Every file and link below a folder, by its path in it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    )


def lines_with(text: str, words: Sequence[str]) -> list[str]:
    """The lines that hold all the words."""
    return [line for line in text.splitlines() if all(word in line for word in words)]
