"""What ``nixgen model`` and ``nixgen data`` do, but for the printing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.artifacts import drift, edit
from nixgen.artifacts.fields import FILE, nearest
from nixgen.artifacts.manifest import VERSION, read_manifest, schema
from nixgen.artifacts.model import ArtifactSpec, Kind, PinnedArtifact
from nixgen.console import console
from nixgen.errors import MachineError, Problem, UserError
from nixgen.formats.jsontext import dumps
from nixgen.lock import lockfile
from nixgen.machine import files
from nixgen.models.listing import Row
from nixgen.project.project import Project, find_project, read_text

if TYPE_CHECKING:
    from nixgen.data.diff import DataDiff

_KEYS = ("source", "revision", "include", "exclude", "layout", "member", "sha256", "repo")
KEYS = (*_KEYS, "endpoint", "registry", "format")
"""The keys of an entry, in the order in which they are written."""
_SCHEMA = ".models.schema.json"
_SCHEMA_LINE = f"#:schema ./{_SCHEMA}"  # editors that know Taplo complete the file by it


def values(*given: str | Sequence[str] | None) -> dict[str, edit.Value]:
    """The keys of an entry, in the order of ``KEYS``, without those that are not given; one layout needs no list."""
    found = {key: value for key, value in zip(KEYS, given, strict=False) if value}
    layout = found.get("layout", "")
    return {**found, "layout": layout[0]} if len(layout) == 1 else found


def add(start: Path, kind: Kind, name: str, values: Mapping[str, edit.Value]) -> None:
    """Writes one entry more into models.toml, which is made where there is none."""
    root = find_project(start, lock=False).root
    with files.exclusive(root, console.info):
        path = root / FILE
        text = read_text(path, FILE) if path.exists() else f"{_SCHEMA_LINE}\nversion = {VERSION}\n"
        wanted = {FILE: edit.with_entry(text, kind, name, values).encode()}
        if _SCHEMA_LINE in text.splitlines():
            wanted[_SCHEMA] = f"{dumps(schema())}\n".encode()
        files.write_all(root, wanted)
    console.info(f"Added {kind}.{name} to {FILE}. To pin it: nixgen sync")


def remove(start: Path, kind: Kind, names: Sequence[str]) -> None:
    """Takes entries out of models.toml: all of them or, when one is not there, none."""
    root = find_project(start, lock=False).root
    with files.exclusive(root, console.info):
        path = root / FILE
        text = read_text(path, FILE) if path.exists() else ""
        for name in dict.fromkeys(names):
            text = edit.without_entry(text, kind, name)
        files.write_all(root, {FILE: text.encode()})
    gone = ", ".join(f"{kind}.{name}" for name in dict.fromkeys(names))
    console.info(f"Removed {gone} from {FILE}. To bring the rest in step: nixgen sync")


def rows(start: Path, kind: Kind) -> list[Row]:
    """What models.toml has of this kind, with the pins that are still for it."""
    project = find_project(start, lock=False)
    specs = [spec for spec in read_manifest(project.root).specs if spec.kind == kind]
    pins = _pins(project) if specs and project.path(lockfile.NAME).exists() else {}
    uv_lock = project.lock_text() if project.has_lock else ""
    return [Row(spec, _current(spec, pins.get(spec.key), uv_lock)) for spec in specs]


def fetch(start: Path, kind: Kind, names: Sequence[str]) -> None:
    """Puts pinned files into the Nix store, at the paths that their derivations have: all of the kind, or ``names``.

    Raises UserError for names that are not there and for pins that models.toml is ahead of.
    """
    project = find_project(start)
    specs = _chosen([spec for spec in read_manifest(project.root).specs if spec.kind == kind], kind, names)
    if not specs:
        console.info(f"{FILE} names no {kind}: there is nothing to fetch.")
        return
    pins = _pins(project)
    problems: list[Problem] = []
    for spec in specs:
        pin = pins.get(spec.key)
        if pin is None:
            problems.append(Problem(spec.where, "is not pinned in nixgen.lock", "nixgen sync"))
        else:
            found = drift.changes(spec, pin, project.lock_text())
            problems += [Problem(f"{spec.where}.{key}", what, "nixgen sync") for key, what in found]
    if problems:
        raise UserError(problems)
    _into_the_store(project, [pins[spec.key] for spec in specs], f"nixgen {edit.command(kind)} fetch")


def diff(start: Path, old: str, new: str) -> DataDiff:
    """What differs between two snapshots of data: see :func:`nixgen.models.datadiff.diff_command`."""
    from nixgen.models.datadiff import diff_command

    try:
        project = find_project(start, lock=False)
    except UserError:
        project = None  # two folders can be compared anywhere
    return diff_command(old, new, project)


def _into_the_store(project: Project, pins: Sequence[PinnedArtifact], command: str) -> None:
    from nixgen.artifacts import sources
    from nixgen.artifacts.sources.context import Context
    from nixgen.artifacts.store import Store
    from nixgen.console import size
    from nixgen.nix import install

    store = Store.here()
    if store is None:
        raise MachineError.of(
            "nix-store", "is not on this machine, and the files are to go into its store", install.hint()
        )
    for pin in pins:
        with console.step(f"Fetching {pin.key}"):
            sources.fetch(pin, Context(project.root, store, command=command))
        count = f"{len(pin.files)} file{'' if len(pin.files) == 1 else 's'}"
        console.info(f"{pin.key}: {count}, {size(pin.size)}, in the Nix store.")


def _chosen(specs: Sequence[ArtifactSpec], kind: Kind, names: Sequence[str]) -> list[ArtifactSpec]:
    known = {spec.name: spec for spec in specs}
    wanted = [name.removeprefix(f"{kind}.") for name in names]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        mend = f"add it: nixgen {edit.command(kind)} add NAME SOURCE"
        raise UserError(
            Problem(f"{FILE}: {kind}.{name}", "is not there", nearest(name, known) if known else mend)
            for name in unknown
        )
    return [spec for spec in specs if not wanted or spec.name in wanted]


def _pins(project: Project) -> dict[str, PinnedArtifact]:
    return {pin.key: pin for pin in lockfile.read_lock(project.path(lockfile.NAME), project.pin_again).artifacts}


def _current(spec: ArtifactSpec, pin: PinnedArtifact | None, uv_lock: str) -> PinnedArtifact | None:
    return pin if pin is not None and not any(drift.changes(spec, pin, uv_lock)) else None
