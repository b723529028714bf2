"""``nixgen registry publish``: puts the files of a version into the registry, then says so in its log.

The order is what makes it safe to be interrupted: a version counts from the moment when the log has it. What lies
there without an entry is of a publish that did not end, and the next one of that version clears it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nixgen import console
from nixgen.errors import Finding, NixgenError, Problem, UserError
from nixgen.log.checkpoint import Checkpoint
from nixgen.registry import checksums
from nixgen.registry.checksums import check_path
from nixgen.registry.entry import Entry
from nixgen.registry.files import Files
from nixgen.registry.names import Ref, Version
from nixgen.registry.registry import CHECKSUMS, PUBLISHING, Registry
from nixgen.registry.stamp import Stamp

DOCUMENTS = ("metrics.json", "run.json", "data_manifest.json", "provenance.json", CHECKSUMS)
"""What lies beside the artifact's own files."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to publish: where it is, and the SHA-256 that it had when it was made ("" where nobody noted it)."""

    source: Path
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a version is: its files and the documents beside them, each by its path; ``run`` is what made them."""

    artifacts: Mapping[str, Artifact]
    documents: Mapping[str, bytes]
    run: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publish did. ``fresh``: whether it was there before, with equal bytes."""

    entry: Entry
    checkpoint: Checkpoint
    files: int
    size: int
    fresh: bool


def next_version(registry: Registry, name: str, bump: str) -> str:
    """The version after the highest one; the first is 0.1.0."""
    model = registry.state().models.get(registry.model(name))
    versions = model.ordered() if model else []
    return Version.parse(versions[-1]).bumped(bump).text if versions else "0.1.0"


def publish(registry: Registry, ref: Ref, content: Content, stamp: Stamp, *, take_over: bool = False) -> Published:
    """Publishes a version of a model. Again with equal bytes is fine.

    ``take_over``: what another publish of it has begun is of one that ended. Raises Finding for a version that has
    other bytes, and for an artifact that is not what it was when it was made; UserError for names that cannot be, and
    where another publish of it is under way.
    """
    model, text = registry.model(ref.name), Version.parse(ref.version).text
    artifacts, documents = content.artifacts, content.documents
    _refuse(artifacts, documents)
    with console.step(f"hashing {len(artifacts)} files"):
        hashes, size = _hashed(artifacts)
    hashes |= {path: hashlib.sha256(data).hexdigest() for path, data in documents.items()}
    listing = checksums.dump(hashes)
    entry = stamp.entry("publish", model, text, digest=checksums.digest(listing), run=content.run)
    folder = f"{model}/{text}"
    with registry.files.exclusive():
        if there := _there(registry, entry):
            return there
        mine = f"{stamp.by} {stamp.at}\n".encode()
        _reserve(registry, folder, mine, take_over=take_over)
        try:
            with console.step(f"copying {len(artifacts)} files"):
                for path, artifact in artifacts.items():
                    registry.files.upload(f"{folder}/{path}", artifact.source)
                for path, data in documents.items():
                    registry.files.write(f"{folder}/{path}", data)
                registry.files.write(f"{folder}/{CHECKSUMS}", listing)
            _unchanged(registry.files, folder, hashes)
        except (NixgenError, KeyboardInterrupt):
            registry.files.remove(folder)
            raise
        done = registry.append(entry)
        registry.files.remove(f"{folder}/{PUBLISHING}")
        if done.conflicts:
            raise _other(model, text)
    return Published(entry, done.checkpoint, len(hashes), size, fresh=True)


def _refuse(artifacts: Mapping[str, Artifact], documents: Mapping[str, bytes]) -> None:
    problems: list[Problem] = []
    for path in [*artifacts, *documents]:
        try:
            check_path(path)
        except UserError as error:
            problems += error.problems
    problems += [Problem(path, "has the name of a file that nixgen writes", "rename it")
                 for path in artifacts if path in DOCUMENTS]  # fmt: skip
    if not artifacts:
        problems.append(Problem("", "there is no file to publish", "record the run with --output PATH"))
    if problems:
        raise UserError(problems)


def _hashed(artifacts: Mapping[str, Artifact]) -> tuple[dict[str, str], int]:
    """Path → SHA-256 of what is on the disk, and the size of all. Raises Finding for what changed since it was made."""
    found, problems, size = {}, [], 0
    for path, artifact in artifacts.items():
        try:
            with artifact.source.open("rb") as file:
                found[path] = hashlib.file_digest(file, "sha256").hexdigest()
                size += file.tell()
        except OSError as error:
            mend = "make it again: nixgen reproduce"
            problems.append(Problem(path, f"cannot be read: {error.strerror}", mend))
            continue
        if artifact.sha256 not in {"", found[path]}:
            what = f"is not what the run made: SHA-256 {found[path]}, the run's record has {artifact.sha256}"
            problems.append(Problem(path, what, "publish a run whose outputs are still there, or make them again"))
    if problems:
        raise Finding(problems)
    return found, size


def _there(registry: Registry, entry: Entry) -> Published | None:
    """What is published already, with equal bytes. Raises Finding for others."""
    model = registry.renew().models.get(entry.model)
    old = model.versions.get(entry.version) if model else None
    if old is None:
        return None
    checkpoint = registry.log.checkpoint()
    if old.digest != entry.digest or checkpoint is None:
        raise _other(entry.model, entry.version)
    return Published(old, checkpoint, 0, 0, fresh=False)


def _reserve(registry: Registry, folder: str, mine: bytes, *, take_over: bool) -> None:
    """Takes a version's folder for this publish, and clears what one left there that did not end.

    Raises UserError where nothing is locked, so that another may be under way.
    """
    name = f"{folder}/{PUBLISHING}"
    if registry.files.names(folder) and (registry.files.locks or take_over):
        registry.files.remove(folder)
    if registry.files.create(name, mine):
        return
    who = (registry.files.read(name) or b"somebody").decode("utf-8", "replace").strip()
    what = f"is being published by {who}"
    raise UserError.of(folder, what, "wait for it; if it was killed, publish again with --take-over")


def _unchanged(files: Files, folder: str, hashes: Mapping[str, str]) -> None:
    """That what was copied is what was hashed: a file may change while it is read. Raises Finding."""
    from nixgen.registry.verify import differing

    problems = [Problem(path, f"changed while it was published: {why}", "publish again when nothing writes to it")
                for path, why in differing(files, folder, hashes)]  # fmt: skip
    if problems:
        raise Finding(problems)


def _other(model: str, version: str) -> Finding:
    what = "is published with different bytes, and a version never changes"
    return Finding.of(f"{model}@{version}", what, "publish it under a new version: --bump patch")
