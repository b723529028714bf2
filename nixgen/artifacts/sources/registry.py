"""``registry:NAME@ALIAS``: a version of a registry of models, by what its log says.

The log goes on from the checkpoint in nixgen.lock, or nothing is pinned; its entry stands for every byte of the
version. What an alias means is asked when a pin is made, or moved: until then the version stays.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile, Registered
from nixgen.artifacts.progress import Progress
from nixgen.artifacts.sources.context import Context, together
from nixgen.artifacts.sources.paths import chosen
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import Found, store_name
from nixgen.console import console
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.registry.address import is_here, local
from nixgen.registry.entry import Entry
from nixgen.registry.files import Files
from nixgen.registry.known import Registries
from nixgen.registry.names import split_ref
from nixgen.registry.opening import open_files
from nixgen.registry.registry import Registry
from nixgen.registry.verify import published

_VERIFY = "see what is wrong with it: nixgen registry verify; nothing was pinned"


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Pins the version that the log names, after every byte of it was compared with the log's entry.

    Raises Finding for a log that does not go on from the noted checkpoint, and for files that are not what it says.
    """
    del previous  # what an alias is now, the log says
    registry = _opened(spec, context)
    entry = _entry(spec.source, registry)
    hashes = published(registry.files, entry)
    picked = chosen(list(hashes), spec.include, spec.exclude, spec.where, spec.source)
    made = Registered(registry.address, entry.model, entry.version, entry.digest)
    found = _read(registry.files, made, [(path, hashes[path]) for path in picked], context, spec.key)
    for note in _notes(spec.key, registry, entry):
        console.warn(note)
    _known(context).used(registry.address)
    files = [_file(made, path, item) for path, item in zip(picked, found, strict=True)]
    return pinned(spec, files, registered=made)


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Reads pinned files into the holder."""
    made, files = _registered(artifact), list(missing)
    if context.offline and not is_here(made.registry):
        raise UserError.of(artifact.key, "is not in the store, and needs the network", "run it with the network")
    store = open_files(local(context.root, made.registry), own=False)
    rows = [(file.path, file.sha256) for file in files]
    found = _read(store, made, rows, context, artifact.key, hold=True)
    return {file.path: item.path for file, item in zip(files, found, strict=True) if item.path is not None}


def look(spec: ArtifactSpec, pin: PinnedArtifact, context: Context) -> None:
    """Says where a pin that stays is not what its source means now, and what the log says against it.

    Raises Finding where the log has no such version, or another one.
    """
    made = _registered(pin)
    registries = _known(context)
    address = registries.address(made.registry, spec.where)
    if context.offline and not is_here(address):
        return
    try:
        registry = registries.open(address)
        model = registry.state().model(made.model)
    except MachineError as error:
        why = f"{error.problems[0].where} {error.problems[0].what}"
        console.warn(f"{pin.key}: stays {made.version}; its registry cannot be asked: {why}")
        return
    entry = model.versions.get(made.version)
    if entry is None or entry.digest != made.digest:
        has = f"the digest {entry.digest}" if entry else "no such version"
        what = f"nixgen.lock pins {made.model}@{made.version} with the digest {made.digest}, and the log has {has}"
        raise Finding.of(spec.where, what, "take nixgen.lock back from version control, or pin anew: "
                         f"nixgen lock --upgrade {pin.name}")  # fmt: skip
    for note in _notes(pin.key, registry, entry):
        console.warn(note)
    now = _entry(spec.source, registry)
    if now.version != made.version:
        console.info(f"{pin.key}: stays {made.version}, and {spec.source} is {now.version} now. "
                     f"To move: nixgen lock --upgrade {pin.name}")  # fmt: skip


def _opened(spec: ArtifactSpec, context: Context) -> Registry:
    registries = _known(context)
    address = registries.address(spec.registry, spec.where)
    if context.offline and not is_here(address):
        raise UserError.of(spec.where, "needs the network", f"run it with the network: {context.command}")
    return registries.open(address)


def _known(context: Context) -> Registries:
    return context.registries or Registries(context.root, "")


def _entry(source: str, registry: Registry) -> Entry:
    """What the log has of the version that a source means now."""
    project, ref = split_ref(source.removeprefix("registry:"))
    return registry.state().version(project or registry.project, ref)


def _notes(key: str, registry: Registry, entry: Entry) -> Iterator[str]:
    gone = registry.state().model(entry.model).deprecated.get(entry.version)
    if gone is not None:
        yield f"{key}: {entry.name} is deprecated: {gone.why or 'its publisher does not say why'}"


def _registered(artifact: PinnedArtifact) -> Registered:
    if artifact.registered is None:
        raise ValueError("not of a registry")
    return artifact.registered


def _file(made: Registered, path: str, found: Found) -> PinnedFile:
    """A file, with the place where Nix finds it by itself: in the project, or behind a web server."""
    inside = f"{made.model}/{made.version}/{path}"
    url = f"{made.registry}/{quote(inside)}" if made.registry.startswith(("http://", "https://")) else None
    local = None if "://" in made.registry else f"{made.registry}/{inside}"
    return PinnedFile(path, found.size, found.sha256, url=url, local=local)


def _read(
    files: Files, made: Registered, rows: Sequence[tuple[str, str]], context: Context, key: str, *, hold: bool = False
) -> list[Found]:
    """Reads files, given by path and SHA-256; what Nix does not find in the project ends in the holder."""
    keeps = context.holder if hold or "://" in made.registry else None
    scratch = keeps.scratch() if keeps else None
    with Progress(key, len(rows), None) as progress:

        def one(row: tuple[str, str]) -> Found | Problem:
            path, sha256 = row
            name = f"{made.model}/{made.version}/{path}"
            found = _stream(files, name, scratch, progress.bytes)
            if found is not None and found.sha256 == sha256:
                progress.file()
                return context.hold([found], [store_name(path)])[0] if keeps else found
            if found is None:
                return Problem(f"{key}: {name}", "was published, and is missing", _VERIFY)
            if found.path is not None:
                found.path.unlink()
            what = f"is not what was published: its SHA-256 should be {sha256}, and is {found.sha256}"
            return Problem(f"{key}: {name}", what, _VERIFY)

        read = together(one, rows, at_once=4)
    if problems := [item for item in read if isinstance(item, Problem)]:
        raise Finding(problems)
    return [item for item in read if isinstance(item, Found)]


def _stream(files: Files, name: str, scratch: Path | None, progress: Callable[[int], object]) -> Found | None:
    """Reads a file, into the folder for what is on its way; None where there is none."""
    state, size = hashlib.sha256(), 0
    with files.stream(name) as pieces, _scratch(scratch) as file:
        if pieces is None:
            return None
        for piece in pieces:
            state.update(piece)
            size += len(piece)
            progress(len(piece))
            if file is not None:
                file.write(piece)
        return Found(Path(file.name) if file else None, state.hexdigest(), size)


@contextmanager
def _scratch(folder: Path | None) -> Iterator[IO[bytes] | None]:
    """A file on its way, which is removed when it comes to nothing."""
    if folder is None:
        yield None
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", prefix="whole-", dir=folder, delete=False) as file:
            try:
                yield file
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise MachineError.of(str(folder), f"cannot be written: {error.strerror}") from None
