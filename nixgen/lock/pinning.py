"""What ``nixgen lock`` does: pins what uv.lock does not, and keeps every pin that still fits.

It is the only part of nixgen that may use the network.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nixgen.artifacts import locking
from nixgen.artifacts.manifest import read_manifest
from nixgen.bases import changes, choice
from nixgen.bases.debian import busybox
from nixgen.bases.model import Base, Bootstrap, DebianBase, NixpkgsBase
from nixgen.bases.python import default_systems
from nixgen.builds.model import Builds, UnservedError
from nixgen.console import console, size
from nixgen.errors import Problem, UserError
from nixgen.lock import known, lockfile, logpins, newest
from nixgen.lock.logpins import LogPin
from nixgen.lock.model import Lock
from nixgen.machine import files
from nixgen.nix import tools
from nixgen.project import absent, edit
from nixgen.project.project import find_project
from nixgen.registry.known import Registries
from nixgen.resolve import environments
from nixgen.resolve.model import FILES, FileHash, Package, Resolution

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.project.settings import Settings


PYPROJECT = "pyproject.toml"
_SHOWN = 5  # how many names a sentence has at most


@dataclass(frozen=True, slots=True)
class Options:
    """How to lock.

    ``upgrade`` pins the base, and what the revisions of models and data mean now, anew even where the old pins fit;
    with ``names`` only these models and data. ``offline`` forbids the network; ``mirrors`` are Debian mirrors to use
    instead of the machine's own.
    """

    upgrade: bool = False
    names: tuple[str, ...] = ()
    offline: bool = False
    mirrors: tuple[str, ...] = ()

    @property
    def upgrade_base(self) -> bool:
        """Whether everything is to be pinned anew, not only some models."""
        return self.upgrade and not self.names

    @property
    def artifacts(self) -> locking.Request:
        """The same for models and data."""
        return locking.Request(self.upgrade, self.names, self.offline)


def lock(project: Project, options: Options) -> Lock:
    """Bring nixgen.lock, and the bootstrap tarballs of the debian base, in step with the project.

    Raises UserError and MachineError; the project is then as it was.
    """
    if options.names and not options.upgrade:
        mend = f"nixgen lock --upgrade {' '.join(options.names)}"
        raise UserError.of("nixgen lock", "takes names of models and data only to upgrade them", mend)
    check_mirrors(project, options)
    with files.exclusive(project.root, console.info) as waited:
        if waited:  # the other one may have written settings
            project = find_project(project.root)
        old = read_old(project, options)
        new, tarballs, settings = pins(project, options, old)
        wanted = {lockfile.NAME: lockfile.dump_lock(new).encode(), **tarballs}
        if settings:
            text = (files.read(project.root, PYPROJECT) or b"").decode()
            wanted[PYPROJECT] = edit.with_settings(text, settings).encode()
        changed = files.write_all(project.root, wanted, _stale(project, new.base))
    _tell(old, new, changed, options)
    if changed and project.path("default.nix").exists():
        console.info("then: nixgen sync")
    elif changed:
        console.info("then, to set the project up: nixgen init")
    choice.warn_of_python_version(project, new.base.python)
    return new


def check_mirrors(project: Project, options: Options) -> None:
    """Raise UserError when mirrors are named for a base that has none."""
    if options.mirrors and project.settings.base != "debian":
        what = f"is for the debian base, and this project has the base {project.settings.base}"
        raise UserError.of("--mirror", what, "leave it out")


def pins(project: Project, options: Options, old: Lock | None) -> tuple[Lock, dict[str, bytes], dict[str, edit.Value]]:
    """The lock for the project as it is now, the bootstrap tarballs by path, and the settings that go with them.

    Those are what sources without pins are known to need of the base, and the systems, where one that nobody named has
    not what a build requires. Writes nothing.
    """
    try:
        return _pins(project, options, old)
    except UnservedError as left:
        rest = [system for system in default_systems(project.settings) if system not in left.systems]
        first, more = left.error.problems[0], len(left.error.problems) - 1
        why = f"{first.where} {first.what}" + (f" (and {more} more)" if more else "")
        console.info(f"Left out: {', '.join(sorted(left.systems))}, because {why}")
        console.info(f"Adding to pyproject.toml: [tool.nixgen] systems = {json.dumps(rest)}")
        settings: dict[str, edit.Value] = {"systems": rest}
        found, tarballs, known_needs = pins(project.with_settings(settings), options, old)
        return found, tarballs, settings | known_needs


def _pins(project: Project, options: Options, old: Lock | None) -> tuple[Lock, dict[str, bytes], dict[str, edit.Value]]:
    read_manifest(project.root)  # a mistake in models.toml is told before apt, which takes its time
    choice.refuse_systems(project.settings)
    python = _python(project, old)
    exported = environments.export(project, {})
    same = old is not None and (old.base.kind, old.base.python) == (project.settings.base, python)
    resolutions = _resolutions(project, exported, python, old.base if old is not None and same else None)
    if not options.offline and any(_unpinned(resolutions, None if options.upgrade_base else old)):
        tools.ready()  # what it will be needed for comes after apt and the index, which take their time
    settings = {} if options.offline or project.script else known.needs(project, python, _unpinned(resolutions, old))
    project = project.with_settings(settings) if settings else project
    git = _any_from_git(resolutions) or _builds_git(old.builds if old else None)
    asked = _Asked(python, default_systems(project.settings), _builds_any(resolutions), git)
    base, tarballs = _base(project, asked, old, options)
    resolutions = _resolutions(project, exported, python, base)
    _refuse_absent(project, resolutions)
    hashes = _hashes(project, resolutions, old, options)
    cache, registry = (old.cache, old.registry) if old else (_logs(project, key) for key in logpins.KEYS)
    registries = Registries(project.root, project.name, map(logpins.trusted, registry))
    artifacts = old.artifacts if old else ()
    artifacts = locking.lock_artifacts(project.root, project.lock_text(), artifacts, options.artifacts, registries)
    resolutions = _with_hashes(resolutions, hashes)
    builds = _builds(project, base, tarballs, resolutions, old, options)
    if builds is None or (git and not _builds_git(builds) and not options.offline):
        # What a build requires is known only now: git is for what comes from there, and for nothing else.
        base, tarballs = _base(project, replace(asked, git=builds is None), old, options)
        builds = _builds(project, base, tarballs, resolutions, old, options)
    assert builds is not None  # noqa: S101 -- there is git now
    _restore(project, resolutions, builds, options)
    registry = tuple(map(logpins.noted, registries.noted()))
    return Lock(base, hashes, artifacts, cache, registry, builds), tarballs, settings


def _unpinned(resolutions: Sequence[Resolution], old: Lock | None) -> Iterator[Package]:
    """The packages to build that the lock knows no pins of, in no version: settings are not added to a second time."""
    known_builds = {build.name for build in old.builds.sources} if old else set()
    for one in resolutions:
        yield from (package for package in one.packages if package.built and package.name not in known_builds)


def read_old(project: Project, options: Options) -> Lock | None:
    """The lock that is there. One that cannot be read is an error, and with ``upgrade`` no obstacle."""
    text = files.read(project.root, lockfile.NAME)
    if text is None:
        return None
    try:
        return lockfile.read_lock(project.path(lockfile.NAME))
    except UserError:
        if options.upgrade_base:
            return None
        raise


def _logs(project: Project, key: str) -> tuple[LogPin, ...]:
    """The logs of a lock that cannot be read as a whole; what they were is not to be found out again."""
    text = (files.read(project.root, lockfile.NAME) or b"").decode("utf-8", "replace")
    found = lockfile.logs_of(text, key)
    if not found and f'"{key}"' in text:
        console.warn(f"what {lockfile.NAME} said of {key} cannot be read, and is gone: see its older revisions")
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the base is to have: a Python, systems, what sources are built with (``toolchain``), and git."""

    python: str
    systems: Sequence[str]
    toolchain: bool
    git: bool = False


def fits(settings: Settings, asked: _Asked, base: Base) -> bool:
    """Whether the pins of ``base`` are still what the settings ask for."""
    if settings.base != base.kind or asked.python != base.python:
        return False
    if isinstance(base, NixpkgsBase):
        wanted = settings.nixpkgs
        if settings.python_full not in {None, base.python_full}:
            return False
        if isinstance(wanted, Mapping):
            modified = wanted.get("lastModified", base.last_modified)
            return (wanted["rev"], wanted["narHash"], modified) == (base.rev, base.nar_hash, base.last_modified)
        from nixgen.bases.nixpkgs import DEFAULT

        return (wanted or DEFAULT) == base.name
    from nixgen.bases.debian.suites import core_roots, suite_of

    suite = suite_of(settings, asked.python)
    pinned = {(deb.name, deb.system) for deb in base.debs}
    return (
        suite.name == base.suite
        and pinned.issuperset((name, system) for name in core_roots(suite, asked.python) for system in asked.systems)
        and sorted(settings.libraries) == sorted(base.libraries)
        and sorted(settings.tools) == sorted(base.tools)
        and set(asked.systems) == {entry.system for entry in base.bootstrap}
        and asked.toolchain == base.toolchain
        and asked.git == base.git
        and (not asked.toolchain or settings.build_libraries == base.build_libraries)
        and (not asked.toolchain or settings.build_tools == base.build_tools)
    )


def _python(project: Project, old: Lock | None) -> str:
    """What the project names, else the lock's while the base and requires-python still allow it, else the best."""
    from nixgen.bases.python import allows

    settings = project.settings
    if old is not None and settings.python is None and not project.path(".python-version").exists():
        kept = old.base.python
        known = choice.known_pythons(settings)
        if old.base.kind == settings.base and kept in known and allows(project.requires_python, kept):
            return kept
    return choice.best_python(project, settings)


def _base(project: Project, asked: _Asked, old: Lock | None, options: Options) -> tuple[Base, dict[str, bytes]]:
    """The base, and the tarballs to write with it."""
    kept = old.base if old is not None and not options.upgrade_base else None
    if kept is not None and not fits(project.settings, asked, kept):
        kept = None
    if project.settings.base == "nixpkgs":
        from nixgen.bases import nixpkgs
        from nixgen.bases import python as versions

        found = kept if isinstance(kept, NixpkgsBase) else nixpkgs.resolve_base(project.settings, asked.python)
        if not found.rev or (kept is None and options.upgrade_base):
            found = newest.renewed(found, old.base if old is not None else None, offline=options.offline)
        full = found.python_full or versions.full_version(project.settings, asked.python)
        settings = project.settings
        return replace(
            found,
            libraries=settings.libraries,
            tools=settings.tools,
            python_full=full,
            build_libraries=settings.build_libraries if asked.toolchain else (),
            build_tools=settings.build_tools if asked.toolchain else (),
            unfree=settings.unfree,
        ), {}
    if isinstance(kept, DebianBase):
        tarballs = _tarballs(project, kept)
        if tarballs is not None:
            return kept, tarballs
    if options.offline:
        raise UserError.of(
            lockfile.NAME, "the debian base is not pinned for these settings", "run it with the network: nixgen sync"
        )
    return _resolve_debian(project, asked, options, old.base if old is not None else None)


def _tarballs(project: Project, base: DebianBase) -> dict[str, bytes] | None:
    """The bootstrap tarballs on disk, None when one of them is not what is pinned."""
    found: dict[str, bytes] = {}
    for entry in base.bootstrap:
        path = f"{busybox.FOLDER}/{entry.file}"
        data = files.read(project.root, path)
        if data is None or busybox.sha256(data) != entry.sha256:
            return None
        found[path] = data
    return found


def _resolve_debian(
    project: Project, asked: _Asked, options: Options, old: Base | None
) -> tuple[DebianBase, dict[str, bytes]]:
    from nixgen.bases.debian import apt, sources, suites

    files.refuse_read_only(project.root)
    kept = old if isinstance(old, DebianBase) and not options.upgrade_base else None
    pinned = {entry.system: entry.sha256 for entry in (kept.bootstrap if kept else ())}
    tarballs: dict[str, bytes] = {}

    def pack(system: str, package: apt.Package, *unpackers: apt.Package) -> Bootstrap:
        name = busybox.file_name(system)
        there = files.read(project.root, f"{busybox.FOLDER}/{name}")
        if there is not None and busybox.sha256(there) == pinned.get(system):
            data = there
        else:
            data = busybox.tarball(package.url, package.sha256, [(one.url, one.sha256) for one in unpackers])
        tarballs[f"{busybox.FOLDER}/{name}"] = data
        return Bootstrap(system, name, busybox.sha256(data))

    choice.warn_of_testing(project, asked.python)
    suite = suites.suite_of(project.settings, asked.python)
    mirror = sources.machine_mirror(override=options.mirrors, vendor=suite.vendor)
    if suite.stable and mirror.security is None:
        console.warn(
            f"no security archive of {suite} is known, so the pins lack its security updates; "
            "name it with a second --mirror"
        )
    with console.step(f"Asking apt for the packages of {suite}"):
        wanted = suites.Wanted(project.settings, asked.python, asked.toolchain, asked.git)
        base = suites.resolve_base(wanted, asked.systems, mirror, bootstrap=pack, kept=kept)
    return base, tarballs


def _resolutions(
    project: Project, exported: Mapping[str, Mapping[str, Any]], python: str, base: Base | None
) -> tuple[Resolution, ...]:
    """What uv would install in all environments, for their targets; without a base, on what a new one would be."""
    from nixgen.bases import python as versions

    full = versions.full_version(project.settings, python, base)
    glibc = base.glibc if base is not None else choice.default_glibc(project.settings, python)
    wanted = versions.targets(project.settings, None, python, full)
    return environments.select(project, exported, wanted, glibc, {})[0]


def _builds_any(resolutions: Iterable[Resolution]) -> bool:
    return any(package.built for one in resolutions for package in one.packages)


def _builds_git(builds: Builds | None) -> bool:
    return builds is not None and any(one.nar_hash for one in builds.sources)


def _any_from_git(resolutions: Iterable[Resolution]) -> bool:
    return any(package.kind == "vcs" for one in resolutions for package in one.packages)


def _with_hashes(resolutions: Iterable[Resolution], hashes: Iterable[FileHash]) -> tuple[Resolution, ...]:
    """The packages with the hashes that uv.lock lacks, less those that something else stands in the way of."""
    known = {entry.url: entry for entry in hashes}

    def filled(package: Package) -> Package:
        entry = known.get(package.address)
        if package.sha256 is not None or entry is None:
            return package
        return replace(package, sha256=entry.sha256, size=entry.size if package.size is None else package.size)

    return tuple(
        replace(
            one,
            packages=tuple(
                filled(package)
                for package in one.packages
                if package.address in known or package.name not in {problem.where for problem in one.problems}
            ),
        )
        for one in resolutions
    )


def _builds(
    project: Project,
    base: Base,
    tarballs: Mapping[str, bytes],
    resolutions: Sequence[Resolution],
    old: Lock | None,
    options: Options,
) -> Builds | None:
    """The pins of what is built from its source; nothing is asked, and no Nix needed, where nothing is.

    None where the base lacks git, and something that a build requires comes from there.
    """
    if not _builds_any(resolutions):
        return Builds()
    from nixgen.builds import finding
    from nixgen.lock.archives import archives

    elsewhere = partial(archives, project, base, old)
    asked = finding.Options(upgrade=options.upgrade_base, offline=options.offline, archives=elsewhere)
    try:
        return finding.find(project, base, tarballs, resolutions, old.builds if old else Builds(), asked)
    except finding.NoGitError:
        return None


def _refuse_absent(project: Project, resolutions: Iterable[Resolution]) -> None:
    """Raises UserError where a file of the project is not there: what it needs to build would be pinned no more."""
    files_ = {(one.name, one.path) for each in resolutions for one in each.packages if one.kind in FILES and one.path}
    inside = ((name, path) for name, path in sorted(files_) if not path.startswith(("../", "/")))
    found = [absent.file_problem(project.root, name, path) for name, path in inside]
    if problems := [one for one in found if one is not None]:
        raise UserError(problems)


def _restore(project: Project, resolutions: Sequence[Resolution], builds: Builds, options: Options) -> None:
    """Puts what only the user may fetch into the store, for this machine's system."""
    from nixgen.resolve import logins

    user = logins.read(project)
    if options.offline or not resolutions or not user.any():
        return
    from nixgen.builds import downloads, finding

    system = finding.here_of({one.target.system for one in resolutions})
    downloads.restore(resolutions, builds, system, user)


def _hashes(
    project: Project, resolutions: Iterable[Resolution], old: Lock | None, options: Options
) -> tuple[FileHash, ...]:
    """The hashes of the files that uv.lock names without one: the old ones that still count, and new ones."""
    from nixgen.machine import download
    from nixgen.resolve import hashes, logins

    needed = hashes.without_hash(resolutions)
    known = {entry.url: entry for entry in (old.hashes if old else ())}
    missing = [url for url in needed if url not in known or hashes.is_local(url)]
    if options.offline and not all(map(hashes.is_local, missing)):
        mend = "run it with the network: nixgen sync"
        away = (url for url in missing if not hashes.is_local(url))
        raise UserError(Problem(download.without_query(url), "has no hash in uv.lock", mend) for url in away)
    if missing:
        files.refuse_read_only(project.root)
        with console.step(f"Reading {len(missing)} files that uv.lock gives no hash for"):
            known |= {
                entry.url: entry
                for entry in hashes.hash_urls(
                    missing,
                    lambda found: console.detail(f"{found.url}: {size(found.size)}"),
                    root=project.root,
                    logins=logins.read(project),
                )
            }
    return tuple(known[url] for url in needed)


def _stale(project: Project, base: Base) -> tuple[str, ...]:
    """Tarballs of an earlier lock that nothing pins any more."""
    pinned = {entry.file for entry in base.bootstrap} if isinstance(base, DebianBase) else set()
    folder = project.path(busybox.FOLDER)
    return tuple(
        f"{busybox.FOLDER}/{path.name}" for path in sorted(folder.glob("busybox-*.tar.xz")) if path.name not in pinned
    )


def _tell(old: Lock | None, new: Lock, changed: Sequence[str], options: Options) -> None:
    for line in told(old, new, options):
        console.info(line)
    if not changed:
        console.info("nixgen.lock: nothing to do, every pin still fits.")
        return
    added = len(set(new.hashes) - set(old.hashes if old else ()))
    if added:
        console.info(f"Pinned {added} {'file' if added == 1 else 'files'} that uv.lock gives no hash for.")
    for path in changed:
        console.info(f"wrote {path}")


def told(old: Lock | None, new: Lock, options: Options) -> Iterator[str]:
    """What became of the pins of base, builds, models and data, one line each; nothing for what stayed as it was."""
    if old is None or old.base != new.base:
        yield from changes.summary(old.base if old else None, new.base)
    before = {build.key: build for build in (old.builds.sources if old else ())}
    builds = sorted(build.key for build in new.builds.sources if before.get(build.key) != build)
    if builds:
        names = ", ".join(builds[:_SHOWN]) + (f" and {len(builds) - _SHOWN} more" if len(builds) > _SHOWN else "")
        yield f"Pinned what {names} {'needs' if len(builds) == 1 else 'need'} to be built."
    yield from locking.summary(old.artifacts if old else (), new.artifacts, options.artifacts)
