"""The values of a check: what a record holds, and what a check found. All frozen; none does any input or output.

Store paths of outputs are whole ("/nix/store/<hash>-<name>"), those of closures are names ("<hash>-<name>"). NAR hashes
are SRI text ("sha256-…", base 64), sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nixgen.errors import BuildFailed, Finding, MachineError, NoRecord, Problem, Stale
from nixgen.nix.tools import Recipe as Recipe  # noqa: PLC0414 -- a value of the record, too
from nixgen.project import pylockfile

Verdict = Literal["reproduced", "differs", "inconclusive"]
StepName = Literal["stale", "recipe", "build", "bytes", "rebuild", "works"]
FileChange = Literal["added", "removed", "kind", "mode", "link", "content"]

LOCKS = (".python-version", "models.toml", "nixgen.lock", "pyproject.toml", "uv.lock", "uv.toml")
"""The files whose digests default.nix has, where they say something; of each local package there are some more."""
_OF_PACKAGES = ("pyproject.toml", "setup.cfg", "setup.py")


def is_lock(name: str) -> bool:
    """Whether an input is one of these files, by its path in the project."""
    last = name.rpartition("/")[2]
    return name in LOCKS or last in _OF_PACKAGES or pylockfile.is_name(name) or name.endswith((".py", ".py.lock"))


GRAVITY = (
    BuildFailed.exit_code,
    Finding.exit_code,
    Stale.exit_code,
    MachineError.exit_code,
    NoRecord.exit_code,
)
"""The exit codes of a check, the gravest first: of several, that one decides."""


@dataclass(frozen=True, slots=True, order=True)
class ClosurePath:
    """One store path of a closure. ``name`` is "<hash>-<name>"; ``references`` are such names, sorted, itself included.

    ``nar_size`` is in bytes.
    """

    name: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """Its line in the text whose SHA-256 is the closure's digest."""
        return f"{self.name} {self.nar_hash} {self.nar_size} {' '.join(self.references)}\n"


@dataclass(frozen=True, slots=True, order=True)
class WheelInput:
    """A wheel as uv.lock names it; ``sha256`` is hexadecimal."""

    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, order=True)
class ArtifactInput:
    """A model or dataset: its commit, where its source has one, and what stands for all of its files.

    ``digest`` is the SHA-256 (hexadecimal) of one line "size, blank, sha256, blank, path" a file, by path.
    """

    commit: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class BaseInput:
    """The base's pin. ``name`` is the suite or the pin's name; ``packages`` are Debian's, name → version.

    ``digest`` stands for all of it: nixpkgs' NAR hash, or the SHA-256 (hexadecimal) over the pinned packages of the
    system.
    """

    kind: str
    name: str
    python: str
    digest: str
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the derivations of one system are made from, in words that tell which of it changed.

    ``files`` are digests of the lock files by name; ``library`` is the NAR hash of nixgen's own Nix library;
    ``project`` the SHA-256 (hexadecimal) of what default.nix says of the project itself: the metadata of its packages,
    its services, and settings that reach derivations. Its code is in none of them.
    """

    files: Mapping[str, str]
    library: str
    project: str
    base: BaseInput
    wheels: Mapping[str, WheelInput] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactInput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Builder:
    """Facts about the machine that built; they are never compared."""

    nix: str
    kernel: str
    cpu: str
    cores: int


@dataclass(frozen=True, slots=True)
class SystemRecord:
    """What was found for one system. ``outputs`` are named as nix/project.nix names its ``recipes``.

    ``digest`` is "sha256:" and the closure's digest in hexadecimal (:func:`nixgen.check.digest.closure_digest`).
    ``images`` are the digests ("sha256:…") of those images that the project wants to have recorded, by output.
    """

    digest: str
    inputs: Inputs
    outputs: Mapping[str, Recipe]
    closure: Mapping[str, ClosurePath]
    builder: Builder
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """nixgen.hashes.json: the systems of a project, by name ("x86_64-linux")."""

    project: str
    systems: Mapping[str, SystemRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class FileDifference:
    """A file that is not the same on both sides of a store path. ``path`` is relative to it ("" is the path itself).

    ``detail`` is a clause for people ("644 bytes, 645 expected; first difference at offset 16"); ``causes`` are
    sentences that the bytes give away.
    """

    path: str
    change: FileChange
    detail: str = ""
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A store path whose bytes are not those that were expected.

    ``path`` is its name; the hashes are NAR hashes, ``database`` that which Nix has noted, None where it has none.
    ``said`` is where it comes from ("the disk changed after the build"), ``files`` what differs in it as far as the
    other bytes can be had, ``causes`` all causes, ``repeat`` the command that shows it again.
    """

    path: str
    expected: str
    found: str
    database: str | None = None
    said: str = ""
    files: tuple[FileDifference, ...] = ()
    causes: tuple[str, ...] = ()
    repeat: str = ""
    diffoscope: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class PathVerdict:
    """What rebuilding gave for one derivation. ``name`` is that of its output ("wheels.numpy"), ``why`` a clause."""

    name: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a check. ``ok`` is None where it was not asked for or could not be done.

    ``code`` is the exit code that it asks for (0: none), ``summary`` one line, ``seconds`` what it took.
    """

    name: StepName
    ok: bool | None
    summary: str
    code: int = 0
    findings: tuple[Problem, ...] = ()
    verdicts: tuple[PathVerdict, ...] = ()
    differences: tuple[Difference, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a check gave.

    ``digest`` is that of the closure found here ("sha256:…"), "" where nothing was built; ``paths`` and ``size``
    (bytes) are its. ``updated``: the record has been written, and was not compared with.
    """

    project: str
    system: str
    steps: tuple[Step, ...]
    digest: str = ""
    paths: int = 0
    size: int = 0
    updated: bool = False

    @property
    def exit_code(self) -> int:
        """The gravest of the steps' codes, 0 where there is none."""
        codes = {step.code for step in self.steps}
        return next((code for code in GRAVITY if code in codes), 0)
