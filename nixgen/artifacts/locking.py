"""What ``nixgen lock`` does for models and data: keeps the pins of what is unchanged, asks the sources for the rest.

Nothing is written into the project here; only the sources use the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.artifacts import drift
from nixgen.artifacts.describing import with_manifest
from nixgen.artifacts.fields import FILE, nearest
from nixgen.artifacts.manifest import read_manifest
from nixgen.artifacts.model import ArtifactSpec, Manifest, PinnedArtifact, scheme_of
from nixgen.artifacts.paths import clashes, path_problem
from nixgen.console import console, size
from nixgen.errors import Finding, MachineError, NixgenError, Problem, UserError
from nixgen.machine.files import refuse_read_only

if TYPE_CHECKING:
    from nixgen.artifacts.sources.context import Context
    from nixgen.registry.known import Registries

_SHOWN = 20  # files of one artifact that are named without --verbose
_COMMIT = 12


@dataclass(frozen=True, slots=True)
class Request:
    """How to lock: ``upgrade`` asks anew what a revision means now, of ``names`` only when there are any."""

    upgrade: bool = False
    names: tuple[str, ...] = ()
    offline: bool = False

    def moves(self, spec: ArtifactSpec) -> bool:
        """Whether this artifact's pin is to be moved even though it still fits."""
        return self.upgrade and (not self.names or spec.name in self.names or spec.key in self.names)


def lock_artifacts(
    root: Path,
    uv_lock: str,
    old: Sequence[PinnedArtifact],
    request: Request,
    registries: Registries | None = None,
) -> tuple[PinnedArtifact, ...]:
    """The pins of all that models.toml asks for. ``uv_lock`` is that file's text; ``old`` are the pins until now.

    ``registries`` are those of models that the project knows; what is pinned from one is noted there. Raises Finding
    for a registry that is not what its log says, or whose log is not what it was; UserError for what is wrong in
    models.toml, for names to upgrade that it lacks, offline for what would have to be asked, and for what the sources
    answer; MachineError where the network or a program fails.
    """
    manifest = read_manifest(root)
    _check_names(manifest, request)
    pins = {pin.key: pin for pin in old}
    ask = [spec for spec in manifest.specs if _asks(root, spec, pins.get(spec.key), uv_lock, request)]
    if request.offline:
        _refuse_offline(ask, pins, uv_lock)
    asked = {spec.key for spec in ask}
    kept = [(spec, pins[spec.key]) for spec in manifest.specs if spec.key not in asked and pins[spec.key].registered]
    fresh: dict[str, PinnedArtifact] = {}
    if ask or kept:
        context = _context(root, request, registries)
        fresh = _resolved(ask, pins, request, context) if ask else {}
        _look(kept, context)
    found = tuple(
        fresh[spec.key] if spec.key in asked else drift.fitted(spec, pins[spec.key]) for spec in manifest.specs
    )
    _warn_of_code(found)
    return found


def summary(old: Sequence[PinnedArtifact], new: Sequence[PinnedArtifact], request: Request) -> Iterator[str]:
    """What is pinned now that was not before, and which files that changes, one line each."""
    before = {pin.key: pin for pin in old}
    for pin in new:
        was = before.pop(pin.key, None)
        if was != pin:
            yield f"Pinned {described(pin)}."
            yield from _moved(was, pin)
        elif request.upgrade and _moving(pin) and (not request.names or {pin.name, pin.key} & {*request.names}):
            yield f"{pin.key}: {_moving(pin)} is still {_short(pin)}."
    for key in before:
        yield f"{key}: no longer pinned, {FILE} does not have it."


def described(pin: PinnedArtifact) -> str:
    """One artifact in one line: name, source, commit, files and size."""
    files = f"{len(pin.files)} file{'' if len(pin.files) == 1 else 's'}, {size(pin.size)}"
    at = f" at {_short(pin)}" if pin.registered or (pin.commit and pin.scheme in {"hf", "github"}) else ""
    revision = f" {pin.revision}" if pin.revision else ""
    return f"{pin.key}: {pin.source}{revision}{at}, {files}"


def _asks(root: Path, spec: ArtifactSpec, pin: PinnedArtifact | None, uv_lock: str, request: Request) -> bool:
    """Whether the source must be asked. A file of the project is read each time: that costs no network."""
    if pin is None or request.moves(spec) or any(drift.changes(spec, pin, uv_lock)):
        return True
    if pin.registered:
        return False  # a version never changes, and an alias is followed when that is asked for
    places = {file.archive.local if file.archive else file.local for file in pin.files}
    return any(place is not None and (root / place).exists() for place in places)


def _check_names(manifest: Manifest, request: Request) -> None:
    known = {name for spec in manifest.specs for name in (spec.name, spec.key)}
    short = sorted({spec.name for spec in manifest.specs})
    unknown = [name for name in request.names if name not in known]
    if unknown:
        mend = "" if short else "add it: nixgen model add NAME SOURCE"
        raise UserError(
            Problem(name, f"is no model and no data of {FILE}", mend or nearest(name, short)) for name in unknown
        )


def _refuse_offline(ask: Iterable[ArtifactSpec], pins: Mapping[str, PinnedArtifact], uv_lock: str) -> None:
    problems = []
    for spec in ask:
        if scheme_of(spec.source) in {"file", "registry"}:
            continue  # a registry says itself whether it needs the network
        pin = pins.get(spec.key)
        why = next((f"{key} {what}" for key, what in drift.changes(spec, pin, uv_lock)), "") if pin else "is not pinned"
        why = why or "cannot be upgraded without the network"
        problems.append(Problem(spec.where, why, "run it with the network: nixgen sync"))
    if problems:
        raise UserError(problems)


def _context(root: Path, request: Request, registries: Registries | None) -> Context:
    from nixgen.artifacts.sources.context import Context
    from nixgen.artifacts.store import Folder, Store, cache_folder

    holder = Store.here() or Folder(cache_folder() / "files")
    return Context(root, holder, offline=request.offline, registries=registries)


def _resolved(
    ask: Sequence[ArtifactSpec], pins: Mapping[str, PinnedArtifact], request: Request, context: Context
) -> dict[str, PinnedArtifact]:
    """What the sources answer, all of them asked before anything is raised."""
    refuse_read_only(context.root)
    found: dict[str, PinnedArtifact] = {}
    errors: list[NixgenError] = []
    for spec in ask:
        previous = pins.get(spec.key)
        try:
            with console.step(f"Asking for {spec.key} ({spec.source})"):
                pin = _checked(spec, _resolve(spec, previous, context, moves=request.moves(spec)))
                if spec.kind == "data":
                    pin = with_manifest(pin, previous, context)
                found[spec.key] = drift.fitted(spec, pin)
        except NixgenError as error:
            errors.append(error)
    _raise(errors)
    return found


def _look(kept: Iterable[tuple[ArtifactSpec, PinnedArtifact]], context: Context) -> None:
    """What registries say of the versions that stay."""
    from nixgen.artifacts.sources import registry

    errors: list[NixgenError] = []
    for spec, pin in kept:
        try:
            registry.look(spec, pin, context)
        except NixgenError as error:
            errors.append(error)
    _raise(errors)


def _raise(errors: Sequence[NixgenError]) -> None:
    """All problems at once, as the first one's kind: a log's finding has a proof of its own, which is told already."""
    if errors:
        kinds = (Finding, UserError, MachineError)
        kind = next((kind for kind in kinds if isinstance(errors[0], kind)), type(errors[0]))
        raise kind(dict.fromkeys(problem for error in errors for problem in error.problems))


def _resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context, *, moves: bool) -> PinnedArtifact:
    """What the source answers. Where only the choice of files changed, the commit stays."""
    from nixgen.artifacts import sources

    if (
        previous is not None
        and previous.commit
        and not moves
        and spec.scheme == "hf"
        and (spec.source, spec.revision) == (previous.source, previous.revision)
    ):
        pin = sources.resolve(replace(spec, revision=previous.commit), previous, context)
        return replace(pin, revision=spec.revision)
    return sources.resolve(spec, previous, context)


def _checked(spec: ArtifactSpec, pin: PinnedArtifact) -> PinnedArtifact:
    """Refuses paths that a source must not give, whatever it is."""
    problems = [
        Problem(spec.where, f"the source has a file {file.path!a}, whose path {what}", "exclude it, if it can be")
        for file in pin.files
        if (what := path_problem(file.path))
    ]
    problems += [
        Problem(spec.where, f"the source's file {path!a} {what}", "exclude one of the two")
        for path, what in clashes(file.path for file in pin.files)
    ]
    if not pin.files:
        mend = "check the source, and include and exclude"
        problems.append(Problem(spec.where, "the source has no file that is asked for", mend))
    if problems:
        raise UserError(problems)
    return pin


def _warn_of_code(pins: Sequence[PinnedArtifact]) -> None:
    """Repos that a model's own code comes from, and that nothing pins."""
    here = {pin.repo for pin in pins}
    for pin in pins:
        for repo in pin.extra_repos:
            if repo not in here:
                name = repo.rpartition("/")[2]
                console.warn(
                    f"{pin.key} runs code of {repo}, which is not pinned. To pin it: nixgen model add {name} hf:{repo}"
                )


def _moved(was: PinnedArtifact | None, pin: PinnedArtifact) -> Iterator[str]:
    """Old → new commit, and each file that is new, gone or changed."""
    if was is None:
        return
    if was.registered and pin.registered and was.exact != pin.exact:
        yield f"  version: {was.exact} → {pin.exact}"
    elif was.commit != pin.commit and was.commit and pin.commit:
        yield f"  commit: {_short(was)} → {_short(pin)}"
    before, after = ({file.path: file for file in one.files} for one in (was, pin))
    lines = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            lines.append(f"  {path}: new, {size(new.size)}")
        elif new is None and old is not None:
            lines.append(f"  {path}: gone, was {size(old.size)}")
        elif old is not None and new is not None and old.sha256 != new.sha256:
            lines.append(f"  {path}: changed, {size(old.size)} → {size(new.size)}")
    shown = len(lines) if console.verbose or len(lines) <= _SHOWN + 1 else _SHOWN
    yield from lines[:shown]
    if lines[shown:]:
        yield f"  and {len(lines) - shown} files more: --verbose names them"
    if not lines:
        yield "  the same files"


def _moving(pin: PinnedArtifact) -> str | None:
    """What of a source may mean something else another day."""
    return pin.source if pin.registered else pin.revision


def _short(pin: PinnedArtifact) -> str:
    return pin.exact if pin.registered else (pin.commit or "")[:_COMMIT]
