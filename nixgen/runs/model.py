"""The values of a run's record. All frozen; none does any input or output.

Hashes are SHA-256 in hexadecimal where nothing else is said, sizes are bytes, times are aware and in UTC. A text that
is not known is empty, a part that is not known None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from nixgen.data.model import DataManifest

FOLDER = "runs"
"""Where a project keeps its runs, each in a folder that is called as its id."""

NAME = "run.yaml"
STDOUT = "stdout"
STDERR = "stderr"
REPORT_MARK = '<meta name="generator" content="nixgen report">'
"""What a page of ``nixgen report`` has near its beginning, by which it is known for one."""

DIFF = "diff.patch"
CONFIG = "config"

Status = Literal["running", "finished", "failed", "interrupted"]
STATUSES: tuple[Status, ...] = ("running", "finished", "failed", "interrupted")


@dataclass(frozen=True, slots=True)
class Git:
    """The repository when the command started. ``commit`` is empty before the first one, ``branch`` on a detached head.

    ``remote`` has no credentials. Of a ``dirty`` tree, ``diff`` is the file beside the record that makes it of the
    commit, and ``sha256`` the file's hash.
    """

    commit: str = ""
    branch: str = ""
    remote: str = ""
    dirty: bool = False
    diff: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The project: its name, its folder below the repository's top ("." for the top), the hashes of its files."""

    name: str = ""
    path: str = "."
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """What the command ran in. ``name`` is empty for the default one; ``path`` is its store path.

    ``nar_hash`` (SRI) is that of ``path``, and ``closure`` ("sha256:…") the digest of all that it refers to, as Nix's
    database has them. ``recorded`` is the digest that ``nixgen check`` shows, where nixgen.hashes.json is of this
    environment. ``python`` is its full version.
    """

    name: str = ""
    system: str = ""
    base: str = ""
    path: str = ""
    nar_hash: str = ""
    closure: str = ""
    recorded: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor and the version of its driver."""

    name: str
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the command ran on. ``cores`` are those that it might use, ``memory`` is in bytes."""

    os: str = ""
    kernel: str = ""
    cpu: str = ""
    cores: int = 0
    memory: int = 0
    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model or dataset as nixgen.lock pins it; ``sha256`` stands for all of its files, as in nixgen.hashes.json.

    ``revision`` is the full commit, or the version, where the source has one. ``manifest`` is there for data.
    """

    source: str
    revision: str = ""
    sha256: str = ""
    manifest: DataManifest | None = None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration. ``path`` is as it was given; ``sha256`` that of the original.

    ``copy`` is the file beside the record, empty where none could be made; ``masked`` names the keys whose values the
    copy has not.
    """

    path: str
    sha256: str
    copy: str = ""
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seed that was asked for, the variables that it was set in, and what ``nixgen.seed_everything`` said it did.

    ``libraries`` has what each was seeded with; ``nondeterministic`` what is known to give other results each time.
    """

    seed: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    deterministic: bool = False
    nondeterministic: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """A file that came out, by its path as it was given or below a folder that was."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What was to come out, by the paths as they were given: the file with metrics, and the files or folders made."""

    metrics: str = ""
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tracker:
    """Where the run was logged, too: the tracker's kind, its address without credentials, and its id of the run."""

    kind: str
    uri: str
    run: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run. ``folder`` is where the command ran, below the project; ``seconds`` are of a clock that never jumps.

    ``exit`` is None while it runs, and 128 and the signal's number where one ended it. ``missing`` says, in sentences,
    what the record lacks.
    """

    id: str
    status: Status
    command: tuple[str, ...]
    started: datetime
    folder: str = "."
    ended: datetime | None = None
    seconds: float | None = None
    exit: int | None = None
    git: Git | None = None
    project: ProjectFiles | None = None
    environment: Environment | None = None
    machine: Machine | None = None
    models: Mapping[str, Artifact] = field(default_factory=dict)
    data: Mapping[str, Artifact] = field(default_factory=dict)
    config: tuple[ConfigFile, ...] = ()
    asked: Asked | None = None
    seeds: Seeds | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    tracker: Tracker | None = None
    missing: tuple[str, ...] = ()
    nixgen: str = ""
