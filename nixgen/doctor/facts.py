"""What a doctor knows: the machine, its Nix, the servers that it asks, and the project, as values that are read once.

``reading.py`` reads them; the checks do no input or output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nixgen.errors import Problem
from nixgen.machine.git import Visibility
from nixgen.machine.host import Host

Venv = Literal["none", "ours", "broken", "foreign"]


@dataclass(frozen=True, slots=True)
class User:
    """Who runs nixgen: ``groups`` by name. ``cache`` is where programs keep what can be made again."""

    name: str
    uid: int
    groups: frozenset[str] = frozenset()
    cache: str = ""
    cache_writable: bool = True


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of a folder: ``uses`` says what lies there, ``free`` is in bytes.

    ``files`` is how many more files it takes, None where it has no limit; ``folds_case`` whether "A" is "a" there.
    """

    path: str
    uses: tuple[str, ...]
    free: int
    files: int | None = None
    folds_case: bool = False

    @property
    def store(self) -> bool:
        """Whether Nix's store lies there."""
        return self.uses[0] == STORE


STORE = "Nix's store"


@dataclass(frozen=True, slots=True)
class Nix:
    """Nix as it is here. ``settings`` are None where Nix does not tell them; ``features`` are the experimental ones.

    ``socket`` is that of the daemon which this user needs, ``refused`` why it does not answer; ``unit`` whether the
    system has the daemon as a service, ``environment`` the daemon's variables, None where nobody may see them.
    ``writable`` is whether the store is, to a user without a daemon, ``own_store`` a folder that Nix takes instead;
    ``build_group`` is whether the group of
    build-users-group exists; ``sandboxes`` whether a sandbox can be made by this user, None where that was not tried.
    """

    version: tuple[int, ...]
    settings: Mapping[str, Any] | None = None
    features: frozenset[str] = frozenset()
    on_path: bool = True
    folder: str = ""
    socket: str | None = None
    refused: str = ""
    unit: bool = True
    writable: bool = True
    environment: Mapping[str, str] | None = None
    own_store: str = ""
    build_group: bool = True
    sandboxes: bool | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A substituter: ``silent`` says why it gave no answer, ``ahead`` by how many seconds its clock differs."""

    address: str
    silent: str = ""
    ahead: float | None = None


@dataclass(frozen=True, slots=True)
class Gpu:
    """GPUs: the ``cards`` on the bus, by vendor, and the names of those that a driver shows.

    ``libcuda`` is the library of NVIDIA's driver that shells lead to, "" where there is none, ``problem`` what is wrong
    with it.
    """

    cards: tuple[str, ...] = ()
    driven: tuple[str, ...] = ()
    driver: str = ""
    libcuda: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project: ``problems`` keep nixgen from planning it, ``stale`` are files that generate would write otherwise.

    ``base`` and its ``glibc`` are "" where they are not known, ``systems`` None. ``hidden`` are files that a flake
    needs and does not see, ``code`` those with Python in them. ``recorded`` is None where nobody could look.
    """

    root: str
    name: str = ""
    base: str = ""
    glibc: str = ""
    systems: tuple[str, ...] | None = None
    problems: tuple[Problem, ...] = ()
    stale: tuple[Problem, ...] | None = ()
    work_tree: bool = False
    git_problem: Problem | None = None
    hidden: Visibility = field(default_factory=Visibility)
    code: tuple[str, ...] = ()
    venv: Venv = "none"
    recorded: bool | None = True
    record_problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it. ``nix`` or ``project`` is None where there is none: ``nix_problem`` and ``project_problem`` say why.

    ``servers`` is None where none was to be asked. ``times`` are those of files and commits, by name; ``now`` is this
    machine's. ``certificates`` is a problem with them, ``variables`` those of the environment that count.
    ``kernels`` are problems of those that nixgen installed for notebooks.
    """

    host: Host
    system: str
    user: User
    cores: int = 1
    now: float = 0.0
    times: Mapping[str, float] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    git: bool = True
    certificates: Problem | None = None
    disks: tuple[Disk, ...] = ()
    nix: Nix | None = None
    nix_problem: Problem | None = None
    servers: tuple[Server, ...] | None = None
    gpu: Gpu = Gpu()
    kernels: tuple[Problem, ...] = ()
    project: Project | None = None
    project_problem: Problem | None = None
