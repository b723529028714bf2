"""What the commands of ``nixgen archive`` do for a project, and where each of its files can be had today."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nixgen import console
from nixgen.archive import copying, sources
from nixgen.archive.copying import Pushed, Verified
from nixgen.archive.sources import Source
from nixgen.cache import pinning
from nixgen.errors import NixgenError, UserError
from nixgen.generate import planning
from nixgen.lock.archives import archives, artifact_sizes
from nixgen.log.stores.model import Storage
from nixgen.log.stores.opening import open_storage
from nixgen.machine import folders, git, scratch
from nixgen.machine.download import Client
from nixgen.nix.tools import Nix
from nixgen.project.project import Project, find_project
from nixgen.registry.files import Files
from nixgen.registry.opening import open_files

_AT_ONCE = 16
_MEND = 'name one: nixgen archive push FOLDER, or archive = ["https://…"] in [tool.nixgen]'


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a source can be had: ``original``, ``archive`` and ``cache`` are None where nobody was asked."""

    source: Source
    original: bool | None
    archive: bool | None
    cache: bool | None
    store: bool

    @property
    def places(self) -> int:
        """In how many places, apart from this machine's store, it was found."""
        return sum(map(bool, (self.original, self.archive, self.cache)))


def push(project: Path, address: str | None, *, models: bool = True) -> tuple[str, Pushed]:
    """Copies what the project is made from. Raises as :func:`nixgen.archive.copying.push`."""
    found = find_project(project)
    files = _files(found, address)
    return files.where, copying.push(Nix.here(), files, _sources(found, models=models))


def verify(project: Path, address: str | None, *, models: bool = True, everything: bool = False) -> Verified:
    """Reads again what the project is made from; ``everything``: and all else that is there."""
    found = find_project(project)
    files, mine = _files(found, address), _sources(found, models=models)
    names = {one.sha256: one.name for one in mine}
    if everything:
        names = {**dict.fromkeys(copying.listed(files), ""), **names}
    pins = planning.read_pins(found)
    with console.step(f"reading {len(names)} files of {files.where}"):
        return copying.verify(files, names, archives(found, pins.lock.base, pins.lock).sizes)


def unneeded(project: Path, address: str | None, keep: Sequence[Path], tags: str) -> tuple[Files, list[str]]:
    """What neither the project, nor others that are named, nor their git tags need. ``tags`` is a pattern, "" for none.

    Raises NixgenError where one of them cannot be evaluated: what it needs is not known then, and nothing is judged.
    """
    found = find_project(project)
    files = _files(found, address)
    needed: set[str] = set()
    for one in (found, *map(find_project, keep)):
        needed |= {source.sha256 for source in _sources(one)}
        for tag in kept_tags(one.root, tags):
            with console.step(f"evaluating {one.name} at {tag}"):
                needed |= _of_tag(one, tag)
    return files, copying.unneeded(files, needed)


def kept_tags(root: Path, pattern: str) -> list[str]:
    """The git tags of a project that match, none for "". Raises UserError for a clone that lacks some."""
    found = git.tags(root, pattern) if pattern else []
    if pattern and git.shallow(root):
        mend = f"git -C {shlex.quote(str(root))} fetch --unshallow --tags; or do without: --tags ''"
        raise UserError.of(str(root), "is a shallow clone, so what its tags need is not known", mend)
    return found


def _of_tag(project: Project, tag: str) -> set[str]:
    """The SHA-256 that the project needed at a tag; none where it was none of nixgen's then."""
    with ExitStack() as stack:
        made = stack.enter_context(scratch.folder(folders.cache("archive"))).resolve()
        stack.enter_context(git.worktree(project.root, tag, made / "tree"))
        root = made / "tree" / project.root.relative_to(git.top(project.root) or project.root)
        if not (root / planning.LOCK).is_file():
            return set()
        try:
            return {source.sha256 for source in _sources(find_project(root))}
        except NixgenError as error:
            what = f"cannot be evaluated, so what it needs is not known: {error}"
            raise type(error).of(f"{project.name} at {tag}", what, "name the tags with --tags, or --tags ''") from None


def whereabouts(project: Path) -> list[Whereabouts]:
    """Where each source can be had today: servers are asked, and nothing is fetched. What fails was not found."""
    found = find_project(project)
    mine = _sources(found)
    pins = planning.read_pins(found)
    nix, client = Nix.here(), Client()
    held = nix.infos(one.out for one in mine)
    elsewhere = archives(found, pins.lock.base, pins.lock).addresses
    stores = [open_files(address, own=False) for address in elsewhere]
    caches = [open_storage(pin.url) for pin in pinning.pins(found.root) if "://" in pin.url and "ssh" not in pin.url]
    askers: tuple[Callable[[Source], bool | None], ...] = (
        lambda one: _original(client, one) if one.url and not one.tree else None,
        lambda one: any(_asked(partial(store.exists, one.place)) for store in stores) if stores else None,
        lambda one: any(_asked(partial(_has, cache, _narinfo(one))) for cache in caches) if caches else None,
    )
    with console.step(f"asking where {len(mine)} files are"), ThreadPoolExecutor(_AT_ONCE) as pool:
        original, archive, cache = (list(pool.map(ask, mine)) for ask in askers)
    here = (one.out in held for one in mine)
    return [Whereabouts(*row) for row in zip(mine, original, archive, cache, here, strict=True)]


def _has(cache: Storage, name: str) -> bool:
    return cache.read(name, 1) is not None


def _narinfo(source: Source) -> str:
    return f"{source.out.rpartition('/')[2].partition('-')[0]}.narinfo"


def _original(client: Client, source: Source) -> bool:
    def ask() -> bool:
        with client.open(source.url, method="HEAD"):
            return True

    return _asked(ask)


def _asked(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except NixgenError as error:
        console.detail(str(error))
        return False


def _sources(project: Project, *, models: bool = True) -> list[Source]:
    """Every source of the project, for all of its systems."""
    pins = planning.read_pins(project)
    plan = planning.plan(project, pins)
    known: Mapping[str, int] = artifact_sizes(pins.lock)
    with console.step("evaluating"):
        found = sources.of_project(Nix.here(), project.root, plan.systems, known)
    return [one for one in found if models or one.kind != "artifact"]


def _files(project: Project, address: str | None) -> Files:
    """The archive that is named, else the project's own, first one."""
    if address is not None:
        return open_files(address if "://" in address else str(folders.typed(address)))
    elsewhere = archives(project, None).addresses
    if not elsewhere:
        raise UserError.of("", "no archive is named", _MEND)
    return open_files(elsewhere[0])
