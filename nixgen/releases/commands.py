"""What the commands of ``nixgen registry`` do, but for the printing: the project, its registry, keys and policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nixgen import errors
from nixgen.console import console
from nixgen.errors import UserError
from nixgen.lock import lockfile
from nixgen.log import keys
from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Signer
from nixgen.machine import folders, process
from nixgen.project.project import Project, find_project
from nixgen.registries.place import Place, version_tag
from nixgen.registries.push import send
from nixgen.registry import conditions, modelpack, publish, tracked
from nixgen.registry import promote as moving
from nixgen.registry import verify as verifying
from nixgen.registry.address import checked as address_of
from nixgen.registry.address import local
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.fetch import fetch
from nixgen.registry.known import Trust
from nixgen.registry.modelpack import Exported
from nixgen.registry.names import Ref, Version, shown
from nixgen.registry.opening import open_files
from nixgen.registry.policy import NAME as POLICY
from nixgen.registry.policy import Rules, read_policy
from nixgen.registry.promote import Moved
from nixgen.registry.publish import Artifact, Content, Published
from nixgen.registry.registry import Registry
from nixgen.registry.stamp import Stamp, moment
from nixgen.registry.state import Model, at
from nixgen.releases import pinning

if TYPE_CHECKING:
    from nixgen.data.diff import DataDiff
    from nixgen.models.signing import Signer as Signing
    from nixgen.runs.model import Run

_KEYGEN = "make one: nixgen registry init"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was said on the command line: the project's folder, the registry, its log's key, the key to write with.

    ``sign`` is the key that a version's statement is signed with (PEM), and ``password`` that key's.
    """

    project: Path
    address: str | None = None
    log_key: str | None = None
    key: str | None = None
    by: str = ""
    sign: Path | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """A registry that may be written to now: its address, its log's public key, its checkpoint, the key's folder."""

    address: str
    verifier: str
    checkpoint: Checkpoint
    folder: Path
    made: bool


def init(asked: Asked) -> Begun:
    """Makes the key of a registry's log where there is none, begins the log, and notes both in nixgen.lock.

    With a log's public key, only notes the registry, for who reads it.
    """
    project = find_project(asked.project, lock=False)
    if asked.log_key is not None:
        return _noted(project, asked)
    name = asked.key or f"{project.name}-1"
    folder = keys.place(name)
    made = not (folder / keys.SECRET).exists()
    if made:
        if folder.resolve().is_relative_to(project.root):
            raise UserError.of(str(folder), "is inside the project, which others read", "name a folder outside of it")
        keys.make(folder.name, folder)
    signer = keys.signer(folder, _KEYGEN)
    address = address_of(asked.address or pinning.DEFAULT)
    for pin in pinning.pins(project.root):
        if pin.url == address and pin.verifier != signer.verifier:
            raise UserError.of(address, f"has the key {pin.verifier.name} in nixgen.lock", "name that one with --key")
    checkpoint = pinning.begin(project.root, address, signer)
    tracked.keep(open_files(local(project.root, address)))
    return Begun(address, str(signer.verifier), checkpoint, folder, made)


def _noted(project: Project, asked: Asked) -> Begun:
    """A registry of others in nixgen.lock."""
    if asked.key is not None:
        raise UserError.of("--log-key", "is for reading only, and --key is for writing", "leave one of them out")
    found = pinning.trust(pinning.pins(project.root), asked.address or pinning.DEFAULT, asked.log_key)
    registry = Registry.open(local(project.root, found.address), project.name, found.verifier, found.known)
    checkpoint = registry.log.checkpoint()
    if checkpoint is None:
        raise UserError.of(found.address, "has no log, so it is no registry", "compare the address with its owner's")
    pinning.note(project.root, found.address, found.verifier, checkpoint)
    return Begun(found.address, str(found.verifier), checkpoint, project.root, made=False)


def opened(asked: Asked, name: str = "", *, write: bool = False, own: bool = True) -> Registry:
    """The registry that is meant; with ``write``, with the key of its log. Raises UserError, LogFinding.

    With the ``name`` of a model of the project, only what concerns that one is asked for. An address that the user did
    not type, or whose key they do not have, is not ``own``: see :func:`nixgen.registry.opening.open_files`.
    """
    project = find_project(asked.project, lock=False)
    trust = pinning.trust(pinning.pins(project.root), asked.address, asked.log_key)
    signer = _signer(asked.key or trust.verifier.name, trust) if write else None
    place = local(project.root, trust.address)
    own = own and (write or asked.address is not None)
    found = Registry.open(place, project.name, trust.verifier, trust.known, signer, own=own)
    found.address = trust.address
    found.about = found.model(name) if name else ""
    return found


@contextmanager
def writing(asked: Asked, name: str) -> Iterator[Registry]:
    """The registry, to write to a model of it; its checkpoint is noted in nixgen.lock afterwards, failed or not."""
    registry = opened(asked, name, write=True)
    before = registry.log.size
    tracked.keep(registry.files)
    try:
        yield registry
    finally:
        checkpoint = registry.log.checkpoint()
        if checkpoint is not None and checkpoint.size != before:
            root = find_project(asked.project, lock=False).root
            pinning.note(root, registry.address, registry.log.verifier, checkpoint)


def publish_run(asked: Asked, word: str, ref: Ref, bump: str, *, take_over: bool = False, why: str = "") -> Published:
    """Publishes what a run made, as it was recorded."""
    from nixgen.releases import provenance
    from nixgen.releases.documents import documents
    from nixgen.runs import finding

    root = find_project(asked.project, lock=False).root
    found = finding.find(root, word)
    run = found.run
    if run.status != "finished":
        mend = finding.instead(root, _publishable, "publish a run that is finished")
        raise UserError.of(run.id, f"did not end well: it is {run.status}", mend)
    if not run.outputs:
        mend = finding.instead(root, _publishable, "record the run with --output PATH")
        raise UserError.of(run.id, "has no outputs: there is no file to publish", mend)
    artifacts = {one.path: Artifact(root / run.folder / one.path, one.sha256) for one in run.outputs}
    with writing(asked, ref.name) as registry:
        version = ref.version or publish.next_version(registry, ref.name, bump)
        stamp = Stamp.now(asked.by, why)
        whole = Ref(ref.name, version=version)
        beside = {
            **documents(run),
            provenance.NAME: provenance.document(registry, whole, found, asked.sign, asked.password),
        }
        content = Content(artifacts, beside, run.id)
        done = publish.publish(registry, whole, content, stamp, take_over=take_over)
        tracked.warn(registry.files, f"{done.entry.model}/{done.entry.version}")
        return done


def _publishable(run: Run) -> bool:
    return run.status == "finished" and bool(run.outputs)


def verified(registry: Registry, names: frozenset[str], signer: Signing | None = None) -> verifying.Report:
    """Is the registry what its log says, and with a ``signer``, did they sign the statement of each version?"""
    from nixgen.releases import provenance

    report = verifying.verify(registry, names)
    if signer is None:
        return report
    findings = list(report.findings)
    for name, model in sorted(registry.state().models.items()):
        for version in model.ordered() if not names or name in names else ():
            findings += provenance.faults(registry, model.versions[version], signer)
    return replace(report, findings=tuple(dict.fromkeys(findings)))


def export(asked: Asked, ref: Ref, out: Path | None, push: str) -> tuple[Entry, Path | None, str, Exported]:
    """Writes a version as an OCI artifact, and pushes it: the version, where to, the place with its tag, and what."""
    registry = opened(asked, ref.name)
    entry = registry.state().version(registry.project, ref)
    place = Place.of(push) if push else None
    [tag, *_] = (place.tags() if place else ()) or (version_tag(entry.version),)
    if entry.version in registry.state().model(entry.model).deprecated:
        console.warn(f"{entry.name} is deprecated: see nixgen registry show {ref}")
    if out is None and not push:
        out = Path(f"{ref.name}-{entry.version}.oci")

    done = modelpack.export(registry, entry, out, lambda image: send(place, image, [tag]) if place else None)
    return entry, out, f"{place.host}/{place.name}:{tag}" if place else "", done


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion came to: each condition of the policy, and the move, or why there was none."""

    verdict: tuple[Condition, ...]
    moved: Moved | None = None
    failed: errors.Finding | None = None


def promote(asked: Asked, ref: Ref, alias: str, override: str) -> Promoted:
    """Asks the policy's conditions, and moves the alias if they hold, or if ``override`` says why that is accepted."""
    root = find_project(asked.project, lock=False).root
    with writing(asked, ref.name) as registry:
        entry = registry.state().version(registry.project, ref)
        if not ref.version and not ref.alias:
            console.info(f"{ref} names no version: takes the newest, {entry.version}")
        verdict = tuple(checked(registry, root, entry, alias))
        whole, stamp = Ref(ref.name, version=entry.version), Stamp.now(asked.by, override)
        try:
            done = moving.promote(registry, whole, alias, stamp, verdict, override=bool(override))
        except errors.Finding as error:
            return Promoted(verdict, failed=error)
    return Promoted(verdict, done)


def checked(registry: Registry, root: Path, entry: Entry, alias: str) -> list[Condition]:
    """What the policy's conditions come to; none where there is no policy. Raises UserError."""
    policy = read_policy(root)
    if policy is None:
        return []
    rules = policy.rules(entry.model.partition("/")[2], alias)
    if rules is None:
        what = f"says nothing of {shown(alias)}, so it cannot be moved"
        raise UserError.of(POLICY, what, f"write what it needs: [aliases.{shown(alias)}]")

    def smoke(command: Sequence[str]) -> tuple[bool, str]:
        with TemporaryDirectory(prefix="nixgen-smoke-") as made:
            fetch(registry, entry, Path(made, "version"))
            return _in_environment(root, command, Path(made, "version"))

    about = conditions.Asked(
        smoke,
        lambda: _reproduced(registry, root, entry),
        lambda name, now: _drifted(registry, root, name, now, entry),
        lambda key: _unsigned(registry, entry, root / key),
    )
    return conditions.conditions(registry, entry, alias, rules, about)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an alias is rolled back, to which version ("" for the one before), and the file of the written plan."""

    why: str = ""
    to: str = ""
    plan: Path | None = None


def rollback(asked: Asked, name: str, alias: str, reason: Reason) -> Moved:
    """Goes back to a version that the alias had; with the policy's written plan, which the log keeps."""
    policy = read_policy(find_project(asked.project, lock=False).root)
    rules = (policy.rules(name, alias) if policy else None) or Rules()
    if rules.plan and reason.plan is None:
        raise UserError.of(POLICY, f"asks for a written plan to roll {alias} back", "name the file: --plan rollback.md")
    text = "\n".join(filter(None, (reason.why, _text(reason.plan) if reason.plan else "")))
    with writing(asked, name) as registry:
        to = Version.parse(reason.to).text if reason.to else ""
        return moving.rollback(registry, name, alias, Stamp.now(asked.by, text), to)


def deprecate(asked: Asked, ref: Ref, why: str) -> Entry:
    """Says in the log that a version is not to be used any more; its files stay."""
    with writing(asked, ref.name) as registry:
        entry = _exact(registry, ref)
        told = Stamp.now(asked.by, why).entry("deprecate", entry.model, entry.version)
        registry.append(told)
    return told


def approve(asked: Asked, ref: Ref, name: str) -> Entry:
    """Signs a version with a person's own key, and says so in the log."""
    signer = keys.signer(keys.find(name, _KEYGEN), _KEYGEN)
    with writing(asked, ref.name) as registry:
        entry = _exact(registry, ref)
        if problems := verifying.damages(registry.files, entry):
            raise errors.Finding(problems)
        note = signer.sign(conditions.approval(entry))
        told = Stamp.now(asked.by or signer.name).entry("approve", entry.model, entry.version, note=note)
        registry.append(told)
    return told


def then(asked: Asked, date: str) -> tuple[str, list[tuple[Model, dict[str, Entry]]]]:
    """What each alias was at a time, which is a date (its end) or a time (RFC 3339; without a zone, UTC)."""
    try:
        time = datetime.fromisoformat(date)
    except ValueError:
        raise UserError.of(date, "is not a date", "write it like 2026-05-03, or 2026-05-03T12:00Z") from None
    if len(date) <= len("2026-05-03"):
        time = time.replace(hour=23, minute=59, second=59, microsecond=999_999)
    asked_at = moment(time if time.tzinfo else time.replace(tzinfo=UTC))
    models = sorted(opened(asked).state().models.items())
    return asked_at, [(model, at(model, asked_at)) for _, model in models if model.versions]


def _exact(registry: Registry, ref: Ref) -> Entry:
    if not ref.version and not ref.alias:
        raise UserError.of(str(ref), "names no version", f"write {ref.name}@1.2.0, or an alias")
    return registry.state().version(registry.project, ref)


def _signer(name: str, trust: Trust) -> Signer:
    signer = keys.signer(keys.find(name, _KEYGEN), _KEYGEN)
    if signer.verifier != trust.verifier:
        mend = f"nixgen.lock has {trust.verifier}: name that key with --key"
        raise UserError.of(trust.address, f"its log is not signed with the key {signer.name} of yours", mend)
    return signer


def _text(file: Path) -> str:
    place = folders.typed(str(file))
    try:
        text = place.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError.of(str(file), f"cannot be read: {why}", "name a file with the plan") from None
    if not text:
        raise UserError.of(str(file), "is empty", "write what is rolled back, why, and what comes then")
    return text


def _reproduced(registry: Registry, root: Path, entry: Entry) -> str:
    """The best verdict that a reproduction of a version's run came to: "bytes", "metrics", or "" for none.

    The run counts if the project has its record as it was published; a reproduction, if it is of this very record.
    """
    from nixgen.releases.documents import RUN, documents
    from nixgen.runs import recordfile, reproductions
    from nixgen.runs.model import FOLDER as RUNS
    from nixgen.runs.model import NAME as RECORD

    folder = root / RUNS / entry.run
    if not entry.run or not (folder / RECORD).is_file():
        return ""
    published = verifying.document(registry.files, entry, RUN)
    try:
        mine = documents(recordfile.read(folder))[RUN]
        if published != json.loads(mine):
            return ""
        return reproductions.best(reproductions.reproductions(folder), reproductions.digest(folder))
    except (errors.NixgenError, OSError, ValueError, RecursionError):  # what cannot be read proves nothing
        return ""


def _unsigned(registry: Registry, entry: Entry, key: Path) -> str:
    """Why the statement about a version's run is not signed with a key, "" if it is."""
    from nixgen.models.signing import Signer as Signing
    from nixgen.releases import provenance

    try:
        wrong = provenance.faults(registry, entry, Signing(key))
    except errors.NixgenError as error:
        wrong = error.problems
    return wrong[0].what if wrong else ""


def _drifted(registry: Registry, root: Path, name: str, old: Entry, new: Entry) -> DataDiff:
    """What differs in a dataset between two versions' runs, as they were published. Raises UserError."""
    from nixgen.releases.documents import RUN, published_run
    from nixgen.runs import lineage

    runs = [published_run(verifying.document(registry.files, one, RUN), one.name) for one in (old, new)]
    for run, entry in zip(runs, (old, new), strict=True):
        if name not in run.data:
            raise UserError.of(entry.name, f"its run did not use {name}", "promote it with --override and the reason")
    return lineage.data(find_project(root, lock=False), runs[0], runs[1], name)


def _in_environment(root: Path, command: Sequence[str], folder: Path) -> tuple[bool, str]:
    """Runs a command as ``nixgen run`` does, in the project's folder: whether it ended with 0, and how it ended.

    What it printed is shown where it did not end with 0.
    """
    from nixgen.models import verify

    how = verify.Options()
    try:
        words, env = verify.command_line(root / lockfile.NAME, (), command, how)
        done = process.run(words, cwd=root, env={**env, "NIXGEN_VERSION": str(folder)}, check=False)
    except errors.NixgenError as error:
        return False, error.problems[0].what
    if done.code != 0:
        console.info("\n".join([*done.out.splitlines()[-process.TAIL :], done.tail()]))
    return done.code == 0, f"ended with {done.code}"
