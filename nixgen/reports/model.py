"""The values of a report. All frozen; none does any input or output.

Hashes are SHA-256 in hexadecimal, sizes bytes (None: not known), times texts in UTC (RFC 3339, "" for not known).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nixgen.errors import Problem
from nixgen.runs.model import Run

State = Literal["yes", "no", "unknown"]
"""Whether something holds. What was not looked at is unknown."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at, or was not: what was found, when, and what to type where it does not hold."""

    name: str
    state: State
    value: str
    mend: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the environment. ``installed``: its size is that on the disk, not that of what is downloaded.

    ``build``: it is not in the environment, but builds something that is.
    """

    name: str
    version: str
    kind: str
    licence: str = ""
    size: int | None = None
    installed: bool = False
    build: bool = False
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model or dataset of nixgen.lock, ``sha256`` over all of its files. ``used``: the run that is shown used it."""

    kind: str
    name: str
    source: str
    revision: str
    licence: str
    sha256: str
    files: int
    size: int
    rows: int | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class Closure:
    """What nixgen.hashes.json has of the environment's system.

    ``changed`` names what it was made from and is another now, None where that cannot be told.
    """

    digest: str
    paths: int
    size: int
    builder: str
    when: str = ""
    changed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A version in a registry: who published it when, of which run, and the aliases that it has now."""

    model: str
    version: str
    at: str
    by: str
    run: str
    digest: str
    aliases: tuple[str, ...] = ()
    deprecated: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a registry; ``conditions`` are those of the policy, each with whether it held."""

    at: str
    model: str
    what: str
    by: str
    why: str
    conditions: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Shelf:
    """A registry as its log has it: ``entries`` were proven. ``moves`` are those of aliases and the rest, latest first.

    ``versions`` are those of the run that is shown, those with an alias, and the last ones; ``more`` are left out.
    ``hashes`` has for versions of the run that is shown what was published, path → hash, and ``statements`` whether the
    statement about the run is signed there, by whom, and whether that was verified.
    """

    address: str
    entries: int
    versions: tuple[Published, ...] = ()
    moves: tuple[Event, ...] = ()
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    more: int = 0
    statements: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Remade:
    """A reproduction of the run. ``counts``: it was compared with the record as it is."""

    at: str
    verdict: str
    machine: str
    differences: tuple[str, ...] = ()
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A saved result of ``nixgen check --json`` for one system, and its steps."""

    project: str
    system: str
    code: int
    verdict: str
    digest: str
    when: str = ""
    steps: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """An advisory about a package of the environment; ``unknown`` says why that cannot be told for sure, if so."""

    package: str
    version: str
    ids: tuple[str, ...]
    severity: str = ""
    summary: str = ""
    fixed: tuple[str, ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """What databases of advisories have of the environment; ``unasked`` says of what they have nothing."""

    packages: int
    advisories: int
    found: tuple[Vulnerability, ...] = ()
    unasked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was read. A part that is not there is None or empty; what could not be read is among ``problems``.

    ``run`` is the one that is shown, ``runs`` the last ones with it, the earliest first; ``copies`` says for the copies
    of its configurations whether they are what the record says.
    ``policy``: what promotion.toml names; ``policy_when``: when it was committed, "" where it is not as it is there.
    """

    project: str
    version: str = ""
    environment: str = ""
    system: str = ""
    made: str = ""
    packages: tuple[Package, ...] | None = None
    artifacts: tuple[Artifact, ...] | None = None
    closure: Closure | None = None
    checked: tuple[Checked, ...] = ()
    audited: Audited | None = None
    run: Run | None = None
    runs: tuple[Run, ...] = ()
    commit_here: bool | None = None
    diff_kept: bool = False
    copies: Mapping[str, State] = field(default_factory=dict)
    remade: tuple[Remade, ...] = ()
    shelves: tuple[Shelf, ...] = ()
    policy: tuple[str, ...] | None = None
    policy_when: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What the page shows: the facts, what was checked, and the checklist of a reproducible experiment."""

    facts: Facts
    checks: tuple[Item, ...]
    checklist: tuple[Item, ...]
