"""What ``nixgen image`` begins with: an image is found by its name, and built; its layers are not read yet."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nixgen.archive.taking import realise
from nixgen.artifacts.fields import nearest
from nixgen.artifacts.manifest import read_manifest
from nixgen.check import record
from nixgen.check.facts import system as own_system
from nixgen.console import console
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.lock import lockfile
from nixgen.nix.json import STORE
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix
from nixgen.oci import stored
from nixgen.oci.model import Image, Index, Unequal, named
from nixgen.project.project import Project, find_project
from nixgen.sync.shell import Later

Kind = Literal["env", "service", "model"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which image: of ``name`` ("" for the default environment), where that is several things of this ``kind``.

    ``systems`` are those that it is for, none for this machine's; of several it is an index.
    """

    project: Path
    name: str = ""
    kind: Kind | None = None
    systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """An image that can be written or pushed: its name ("demo:1.0"), and what the layers are called, by digest."""

    whole: Image | Index
    name: str
    titles: Mapping[str, str]
    project: Project
    environment: str | None = None
    """The name of the environment in it, "" for the default one; None for a model's image, which has none."""

    @property
    def digest(self) -> str:
        """The manifest's or the index'."""
        return self.whole.manifest.descriptor.digest

    @property
    def size(self) -> int:
        """Bytes of all layers, each once."""
        return sum(
            {one.descriptor.digest: one.descriptor.size for image in self.whole.images for one in image.blobs}.values()
        )


@contextlib.contextmanager
def opened(asked: Asked) -> Iterator[Made]:
    """Builds an image; while the block runs, nothing of it is collected.

    Raises UserError for a name that the project does not have, BuildFailed, Stale and MachineError; and Finding where
    a path of it has another hash than the project's record.
    """
    project = find_project(asked.project)
    kind, name, environment = _found(project, asked)
    nix = Nix.here()
    systems = asked.systems or (own_system(),)
    if kind == "model":
        systems = systems[:1]
    elif wrong := [system for system in systems if not system.endswith("-linux")]:
        mend = "name one that a builder of yours has: --system aarch64-linux"
        raise UserError.of(wrong[0], "is no system for images, which are of Linux", mend)
    with console.step("evaluating"):
        part = "models" if kind == "model" else "images"
        recipes = {system: nix.part(project.root, system, part, name) for system in systems}
    later = Later(project, None)
    with nix.roots() as keep:
        drvs = [recipe.drv for recipe in recipes.values()]
        realise(nix, drvs, shown("building"), keep, owners=later, advise=later.advise, archives=later.archives)
        places = {system: nix.physical(recipe.out) for system, recipe in recipes.items()}
        if None in places.values():
            what = "lies in a store that is not on this machine"
            raise MachineError.of(next(iter(recipes.values())).out, what, "name a store of this machine: docs/ship.md")
        found = {system: place for system, place in places.items() if place is not None}
        root = str(nix.physical(STORE)).removesuffix(STORE)
        with told():
            yield _model(project, name, root, found) if kind == "model" else _read(project, environment, root, found)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Where bytes that are not those that were promised become an error of the user's."""
    try:
        yield
    except Unequal as error:
        raise Finding.of(error.where, error.what, error.mend) from None


def _found(project: Project, asked: Asked) -> tuple[Kind, str, str]:
    """What kind of thing the name is, and the environment of that."""
    manifest = read_manifest(project.root)
    names: dict[Kind, Sequence[str]] = {
        "env": ["", *project.settings.environments],
        "service": [service.name for service in manifest.services],
        "model": [spec.name for spec in manifest.models],
    }
    if asked.kind is not None:
        names = {asked.kind: names[asked.kind]}
    kinds = [kind for kind, known in names.items() if asked.name in known]
    if len(kinds) > 1:
        mend = f"say which: nixgen image build {asked.name} --{kinds[0]}, or --{kinds[1]}"
        raise UserError.of(asked.name, f"is the name of {_A[kinds[0]]} and of {_A[kinds[1]]}", mend)
    if not kinds:
        every = [name for known in names.values() for name in known if name]
        what = f"there is no {' or '.join(_A[kind].partition(' ')[2] for kind in names)} with this name"
        raise UserError.of(asked.name, what, _instead(asked.name, every))
    inner = [service.environment for service in manifest.services if service.name == asked.name]
    return kinds[0], asked.name, inner[0] if kinds[0] == "service" else asked.name


def _instead(name: str, every: Sequence[str]) -> str:
    if every:
        return nearest(name, every)
    return "leave the name out: nixgen image build is the environment's; services and models are in models.toml"


_A: Mapping[Kind, str] = {"env": "an environment", "service": "a service", "model": "a model"}


def _read(project: Project, environment: str, root: str, places: Mapping[str, Path]) -> Made:
    images = {system: stored.read(place, root) for system, place in places.items()}
    if wrong := [one for system, image in images.items() for one in _unlike(project, system, image)]:
        raise Finding(wrong)
    first = next(iter(images.values()))
    whole: Image | Index = first.image
    if len(images) > 1:
        alone = [_unnamed(one.image) for one in images.values()]
        notes = json.loads(b"".join(first.image.manifest.open()))["annotations"]
        common = {key: value for key, value in notes.items() if key != "nixgen.closure"}
        whole = named(Index.of(alone, annotations=common), first.name)
    titles = {
        blob.descriptor.digest: title
        for one in images.values()
        for blob, title in zip(one.image.blobs[1:], one.titles, strict=True)
    }
    return Made(whole, first.name, titles, project, environment)


def _unnamed(image: Image) -> Image:
    descriptor = dataclasses.replace(image.manifest.descriptor, annotations={})
    return dataclasses.replace(image, manifest=dataclasses.replace(image.manifest, descriptor=descriptor))


def _unlike(project: Project, system: str, image: stored.Stored) -> Iterator[Problem]:
    """Paths that the project's record has with another hash."""
    recorded = record.read_record(project.root / record.NAME)
    entry = recorded.systems.get(system) if recorded is not None else None
    closure = entry.closure if entry is not None else {}
    for path, nar_hash in image.paths.items():
        known = closure.get(path.removeprefix(f"{STORE}/"))
        if known is not None and known.nar_hash != nar_hash:
            what = f"has the NAR hash {nar_hash}, and {record.NAME} has {known.nar_hash}"
            yield Problem(path, what, "nixgen check")


def _model(project: Project, name: str, root: str, places: Mapping[str, Path]) -> Made:
    from nixgen.registry import modelpack  # and the registry of models with it, which no other image needs

    lock = lockfile.read_lock(project.root / lockfile.NAME)
    [artifact] = [one for one in lock.artifacts if one.key == f"models.{name}"]
    folder = _plain(next(iter(places.values())), root)
    rows = [modelpack.File(one.path, one.sha256, one.size, _plain(folder / one.path, root)) for one in artifact.files]
    version = artifact.registered.version if artifact.registered is not None else (artifact.commit or "latest")
    about = {"createdAt": "1970-01-01T00:00:01Z", "name": name, "title": name, "version": version}
    image = modelpack.packed(rows, about | {"sourceURL": artifact.source})
    titles = {f"sha256:{one.sha256}": one.path for one in artifact.files}
    return Made(image, f"{name}:{version}", titles, project)


def _plain(place: Path, root: str) -> Path:
    """Where a file of the store lies that other paths of it only link to."""
    while place.is_symlink():
        target = place.readlink()
        place = Path(f"{root}{target}") if target.is_absolute() else place.parent / target
    return place
