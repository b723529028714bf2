"""Reads what a report is made of: the project, its record, its runs, its registries. What is damaged is noted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from nixgen.bom import audit
from nixgen.bom.collect import collect as bill_of
from nixgen.bom.database import advisories
from nixgen.bom.model import Bom, Component
from nixgen.check import inputs, record
from nixgen.check.compare import input_changes, size
from nixgen.check.model import Record
from nixgen.console import console
from nixgen.errors import NixgenError, Problem
from nixgen.generate import planning
from nixgen.generate.model import Plan
from nixgen.lock import lockfile
from nixgen.machine import git
from nixgen.models.signing import Signer
from nixgen.project.project import Project
from nixgen.registry import policy
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.registry import Registry
from nixgen.registry.state import Model
from nixgen.registry.state import State as Log
from nixgen.registry.verify import published
from nixgen.releases import commands, pinning, provenance
from nixgen.releases.listing import did
from nixgen.reports.checked import read_result
from nixgen.reports.model import (
    Artifact,
    Audited,
    Closure,
    Event,
    Facts,
    Item,
    Package,
    Published,
    Remade,
    Shelf,
    State,
    Vulnerability,
)
from nixgen.runs import finding, outputs, recordfile, reproductions
from nixgen.runs.finding import Found
from nixgen.runs.model import Run
from nixgen.runs.verdict import SAID

RUNS = 20
"""How many runs a report shows, the last ones."""

EVENTS = 50
"""How many events, and how many versions without an alias, of a registry it shows, the last ones."""

_KINDS = {"pypi": "Python", "deb": "base", "nix": "base", "github": "base"}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to be of: a run ("" for the last one), an environment and a system ("" for the run's).

    ``check`` is a saved result of the check; ``made`` when the report is made (seconds), None to leave that out.
    ``databases`` are of advisories, ``signed_by`` is the public key that statements are to be signed with.
    """

    run: str = ""
    environment: str = ""
    system: str = ""
    check: Path | None = None
    made: int | None = None
    databases: tuple[str, ...] = ()
    signed_by: Path | None = None


@dataclass(slots=True)
class _Reading:
    """The project that is read, and what could not be read of it."""

    project: Project
    problems: list[Problem] = field(default_factory=list)

    def part(self, read: Callable[[], _T]) -> _T | None:
        """What this reads, None where it cannot: then the problem is noted."""
        try:
            return read()
        except NixgenError as error:
            self.problems += error.problems
            return None


def collect(project: Project, asked: Asked) -> Facts:
    """All facts.

    Raises UserError for a run, a check's result, an environment or a system that was asked for and is not there.
    """
    reading = _Reading(project)
    if asked.environment:
        project.of(asked.environment)
    shown = finding.find(project.root, asked.run) if asked.run else None
    checked = read_result(asked.check) if asked.check else ()
    recent = _recent(reading)
    shown = shown or (recent[-1] if recent else None)
    run = shown.run if shown else None
    ran = run.environment if run else None
    environment = asked.environment or (ran.name if ran else "")
    with console.step("resolving"):
        plan = reading.part(lambda: planning.plan(project, planning.read_pins(project)))
    recorded = reading.part(lambda: record.read_record(project.root / record.NAME))
    system = asked.system or _system(ran.system if ran else "", recorded, plan)
    systems = (system,) if system else ()
    made = None
    if plan is not None:
        bill = partial(bill_of, project, environment, systems, plan)
        made = bill() if asked.system else reading.part(bill)
    lock = reading.part(lambda: lockfile.read_lock(project.root / lockfile.NAME)) if plan is None else None
    pinned = plan.artifacts if plan else lock.artifacts if lock else None
    used = {f"{kind}.{name}" for kind, names in _used(run) for name in names}
    rules = reading.part(lambda: policy.read_policy(project.root))
    signer = Signer(asked.signed_by) if asked.signed_by else None
    shelves = tuple(_shelves(reading, run, signer)) if plan or lock else ()
    return Facts(
        project=project.name,
        version=made.version if made else "",
        environment=environment,
        system=system,
        made=_stamp(datetime.fromtimestamp(asked.made, UTC)) if asked.made is not None else "",
        packages=tuple(_packages(made, recorded, system)) if made else None,
        artifacts=None
        if pinned is None
        else tuple(
            Artifact(
                one.kind, one.name, one.source, one.exact, one.licence or "", one.digest,
                len(one.files), one.size, one.data.record_count if one.data else None, one.key in used,
            )
            for one in pinned
        ),
        closure=_closure(project, plan, recorded, system),
        checked=checked,
        audited=_audited(made, asked.databases) if made and asked.databases else None,
        run=run,
        runs=tuple(run for _, run in sorted({one.run.id: one.run for one in (*recent, shown) if one}.items())),
        commit_here=_has_commit(project, run),
        diff_kept=bool(shown and run and run.git and _same(shown.folder, run.git.diff, run.git.sha256)),
        copies=_copies(shown) if shown else {},
        remade=tuple(_remade(reading, shown)) if shown else (),
        shelves=shelves,
        policy=None if rules is None else (*rules.aliases, *(f"{name}@{alias}" for name, alias in rules.models)),
        policy_when=_committed(project, policy.NAME),
        problems=tuple(dict.fromkeys(reading.problems)),
    )  # fmt: skip


def _recent(reading: _Reading) -> list[Found]:
    """The last runs, the earliest first."""
    found = []
    for folder in finding.folders(reading.project.root)[-RUNS:]:
        run = reading.part(partial(recordfile.read, folder))
        if run is not None:
            found.append(Found(folder, run))
    return found


def _used(run: Run | None) -> Iterator[tuple[str, Sequence[str]]]:
    if run is not None:
        yield "models", tuple(run.models)
        yield "data", tuple(run.data)


def _system(ran: str, recorded: Record | None, plan: Plan | None) -> str:
    """The run's system, else the record's last one (x86_64-linux, if it has it), else the project's."""
    known = sorted(recorded.systems) if recorded and recorded.systems else sorted(plan.systems) if plan else []
    return ran or (known[-1] if known else "")


def _packages(bom: Bom, recorded: Record | None, system: str) -> Iterator[Package]:
    here = recorded.systems.get(system) if recorded else None
    for one in bom.components:
        if one.type not in {"library", "platform"}:
            continue
        stored = next((value for key, value in one.properties if key == "nixgen:storePath"), "")
        path = here.closure.get(stored.rpartition("/")[2]) if here else None
        down = sum(file.size for file in one.files)
        yield Package(
            name=one.name,
            version=one.version,
            kind=_kind(one),
            licence=", ".join(licence.text for licence in one.licences),
            size=path.nar_size if path else down or None,
            installed=path is not None,
            build=one.scope == "excluded",
            sha256=one.files[0].sha256 if len(one.files) == 1 else "",
        )


def _kind(one: Component) -> str:
    kind = one.purl.removeprefix("pkg:").partition("/")[0]
    return _KINDS.get(kind, "project")


def _closure(project: Project, plan: Plan | None, recorded: Record | None, system: str) -> Closure | None:
    here = recorded.systems.get(system) if recorded else None
    if here is None:
        return None
    changed = None
    if plan is not None:
        with contextlib.suppress(NixgenError):
            now = inputs.inputs(plan, project.root, system)
            changed = tuple(dict.fromkeys(change.where for change in input_changes(here.inputs, now)))
    builder = f"Nix {here.builder.nix}, {here.builder.kernel}, {here.builder.cpu}"
    when = _committed(project, record.NAME)
    return Closure(here.digest, len(here.closure), size(here.closure), builder, when, changed)


def _has_commit(project: Project, run: Run | None) -> bool | None:
    """Whether the run's commit is in the repository here; None where nobody can tell."""
    if run is None or run.git is None or not run.git.commit:
        return None
    with contextlib.suppress(NixgenError):
        return git.has_commit(project.root, run.git.commit) if git.in_work_tree(project.root) else None
    return None


def _committed(project: Project, name: str) -> str:
    with contextlib.suppress(NixgenError):
        when = git.committed(project.root, name) if git.in_work_tree(project.root) else None
        return _stamp(when) if when else ""
    return ""


def _same(folder: Path, name: str, sha256: str) -> bool:
    """Whether a file beside a record has the hash that the record says."""
    place = folder / name
    found, _ = outputs.hashed([place] if name else [])
    return place in found and found[place].sha256 == sha256


def _copies(found: Found) -> dict[str, State]:
    """Whether each configuration's copy is the original; one without its secrets has no hash to be compared with."""
    told: dict[str, State] = {}
    for one in found.run.config:
        if one.masked and one.copy:
            told[one.path] = "unknown"
        else:
            told[one.path] = "yes" if _same(found.folder, one.copy, one.sha256) else "no"
    return told


def _remade(reading: _Reading, found: Found) -> Iterator[Remade]:
    known = reading.part(lambda: reproductions.reproductions(found.folder)) or []
    own = reproductions.digest(found.folder) if known else ""
    for one in known:
        machine = one.made.machine
        told = f"{machine.cpu}, {machine.cores} {'core' if machine.cores == 1 else 'cores'}" if machine else ""
        names = tuple(f"{each.kind}: {each.name}" for each in one.differences)
        yield Remade(_stamp(one.made.started), SAID[one.verdict], told, names, counts=one.record == own)


def _audited(bom: Bom, databases: Sequence[str]) -> Audited:
    """What the databases have of the environment. Raises UserError, MachineError for those that cannot be read."""
    with console.step("reading advisories"):
        found = audit.audit(bom, chain.from_iterable(map(advisories, databases)))
    told = [
        Vulnerability(one.package.name, one.package.version, one.ids, one.severity, one.summary, one.fixed, one.unknown)
        for one in (*found.findings, *found.undecided)
    ]
    unasked = [f"{len(names):,}: {why}" for why, names in found.unasked.items()]
    return Audited(found.checked, found.advisories, tuple(told), tuple(unasked))


def _shelves(reading: _Reading, run: Run | None, signer: Signer | None) -> Iterator[Shelf]:
    project = reading.project
    for pin in reading.part(lambda: pinning.pins(project.root)) or ():
        found = reading.part(partial(_shelf, project, pin.url, run, signer))
        if found is not None:
            yield found


def _shelf(project: Project, address: str, run: Run | None, signer: Signer | None) -> Shelf:
    registry = commands.opened(commands.Asked(project.root, address), own=False)
    state = registry.state()
    models = [model for _, model in sorted(state.models.items()) if model.name.startswith(f"{registry.project}/")]
    of_run = [entry for model in models for entry in model.versions.values() if run and entry.run == run.id]
    hashes = {entry.name: published(registry.files, entry) for entry in of_run}
    versions = [_published(model, model.versions[version]) for model in models for version in model.ordered()]
    moved = [_event(entry) for model in models for entry in model.events if entry.kind != "publish"]
    moved.sort(key=lambda event: event.at, reverse=True)
    versions.sort(key=lambda one: one.at)
    late = {one.at for one in versions[-EVENTS:]}
    told = [one for one in versions if one.aliases or one.at in late or f"{one.model}@{one.version}" in hashes]
    events = [*_wrong(state), *moved][:EVENTS]
    statements = tuple(_statement(registry, entry, signer) for entry in of_run)
    return Shelf(address, registry.log.size, tuple(told), tuple(events), hashes, len(versions) - len(told), statements)


def _statement(registry: Registry, entry: Entry, signer: Signer | None) -> Item:
    """Whether the statement about a version's run is signed, by whom, and whether that is so."""
    name = f"Statement about {entry.name}"
    found = provenance.signed(registry, entry)
    if found is None:
        return Item(name, "no", "is not signed", "nixgen registry publish … --sign KEY.pem, under a new version")
    if signer is None:
        return Item(name, "unknown", f"signed by {found}; not verified", "nixgen report --signed-by KEY.pub")
    try:
        faults = provenance.faults(registry, entry, signer)
    except NixgenError as error:  # the key cannot be read, or what verifies is not installed
        told = "; ".join(" ".join(filter(None, (one.where, one.what))) for one in error.problems)
        return Item(name, "unknown", f"signed by {found}; not verified: {told}", error.problems[0].mend)
    if faults:
        return Item(name, "no", "; ".join(one.what for one in faults), "nixgen registry verify --signed-by KEY.pub")
    key = signer.key.name if signer.key else ""
    return Item(name, "yes", f"signed by {found}, which is {key}, and about this run and these files")


def _published(model: Model, entry: Entry) -> Published:
    aliases = tuple(alias for alias, version in model.aliases().items() if version == entry.version)
    gone = model.deprecated.get(entry.version)
    told = f"{gone.by}: {gone.why}" if gone else ""
    return Published(model.name, entry.version, entry.at, entry.by, entry.run, entry.digest, aliases, told)


def _event(entry: Entry) -> Event:
    met = tuple(map(_condition, entry.verdict))
    what = f"{did(entry)}, although a condition did not hold" if entry.override else did(entry)
    return Event(entry.at, entry.model, what, entry.by, entry.why, met)


def _condition(one: Condition) -> Item:
    return Item(one.name, "yes" if one.holds else "no", f"{one.value} (wanted: {one.wanted})")


def _wrong(state: Log) -> Iterator[Event]:
    for entry, why in state.wrong:
        yield Event(entry.at, entry.model, f"the entry {entry.kind} {entry.version} {why}", entry.by, entry.why)


def _stamp(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
