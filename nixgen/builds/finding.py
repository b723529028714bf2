"""Finds and pins what each source needs to build: its own requirements, then what its backend wants besides.

What is required and has no wheel is built itself, and found out the same way; one that would need itself is an error.
"""

from __future__ import annotations

import json
import platform
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nixgen.archive.taking import Archives
from nixgen.bases import otherpython
from nixgen.bases.model import DebianBase
from nixgen.builds import advice, checkouts, crates, downloads, probe, pure, requirements, use
from nixgen.builds.asked import Asked, Source
from nixgen.builds.checkouts import Checkout
from nixgen.builds.model import Build, Builds, BuildWheel, UnservedError
from nixgen.builds.pins import sorted_builds
from nixgen.builds.probe import Static
from nixgen.builds.requirements import Answer, Known, LackingError, Question, Resolver
from nixgen.builds.trust import Trust
from nixgen.console import console
from nixgen.errors import BuildFailed, MachineError, NixgenError, Problem, UserError
from nixgen.formats.foreign import table
from nixgen.project.names import normalized
from nixgen.resolve import logins
from nixgen.resolve.model import Git, Package, Resolution, Target

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.project.project import Project

_AT_ONCE = 8  # uv waits for the network most of the time
_SHOWN = 3


class NoGitError(Exception):
    """Something that a build requires comes from git, and the base has none to fetch it with."""


@dataclass(frozen=True, slots=True)
class Options:
    """``upgrade`` finds everything anew; ``offline`` forbids the network; ``archives``: where else sources are."""

    upgrade: bool = False
    offline: bool = False
    archives: Callable[[], Archives] = field(default=Archives, compare=False)


def find(
    project: Project,
    base: Base,
    tarballs: Mapping[str, bytes],
    resolutions: Sequence[Resolution],
    old: Builds,
    options: Options,
) -> Builds:
    """The pins of all that these resolutions build; those of ``old`` are kept where they are for what is asked now.

    Raises UserError, MachineError and BuildFailed, with the packages that cannot be built, and UnservedError.
    """
    from nixgen.builds import asked as asking

    asked = asking.read(project, base, resolutions)
    if asked.problems:
        raise UserError(asked.problems)
    wanted = use.sources(asked, resolutions)
    if not wanted:
        return Builds()
    _check_pinned(wanted)
    targets = {one.target.system: one.target for one in resolutions}
    resolver = Resolver(
        project,
        base.glibc,
        project.settings.macos,
        asked.build_constraints,
        asked.constraints,
        bool(asked.exclude_newer),
        (":all:",) if asked.told.get("no-binary") is True else tuple(asked.told.get("no-binary-package", ())),
        logins.read(project),
    )
    kept = Builds() if options.upgrade else old
    used = use.used(asked, resolutions, kept)
    git = not isinstance(base, DebianBase) or base.git
    if not git and any(one.build.nar_hash for one in used.builds):
        raise NoGitError
    if not used.problems:
        return _restored(_reached(asked, resolutions, kept), options)
    missing = [source for source in wanted if use.pinned(source, kept.sources) is None]
    if options.offline:
        what = f"has no pins to build {use.listed(one.name for one in missing or wanted)}"
        raise UserError.of("nixgen.lock", what, "run it with the network: nixgen sync")
    here = targets[here_of(targets)]
    names = [source.name for source in missing]
    _warn(project, base, here, names)
    advise = advice.Adviser.of(project, base, here.system)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    with (
        console.step(f"Finding out what builds need: {', '.join(names[:_SHOWN])}{more}"),
        probe.opened(project.root, base, tarballs, sorted(targets), here.system, advise, options.archives) as probed,
    ):
        finder = _Finder(
            asked, resolver, probed, here, targets, kept, git, project, _unnamed(project, targets), Trust.of(project)
        )
        failed: list[NixgenError] = []
        try:
            finder.find([source for source in wanted if source.beside is None], ())
            if not probed.errors:
                finder.find_beside([source for source in wanted if source.beside is not None])
        except NixgenError as error:
            failed.append(error)
        if errors := [*probed.errors, *failed]:
            raise _together(errors)
    finder.tell()
    return _restored(_reached(asked, resolutions, sorted_builds(finder.done.values(), finder.wheels.values())), options)


def _warn(project: Project, base: Base, here: Target, names: Iterable[str]) -> None:
    """Says beforehand what builds are known to need, and which Python needs none of them."""
    if hint := advice.beforehand(project.settings, base, names, project.pyproject_text()):
        console.warn(hint)
    for name in names:
        if hint := otherpython.of_built(project, here, name, failed=False):
            what = f"is built from its source, as it has no wheel for Python {here.python}"
            console.warn(str(Problem(name, what, hint)))


def _unnamed(project: Project, systems: Iterable[str]) -> frozenset[str]:
    """The systems that the project has by default, and that neither it nor an environment names."""
    if project.settings.systems is not None or project.script is not None:
        return frozenset()
    return frozenset(systems).difference(*(one.systems or () for one in project.settings.environments.values()))


def _together(errors: Sequence[NixgenError]) -> NixgenError:
    """All that went wrong as one error: of the gravest kind."""
    kinds = {type(error) for error in errors if error.problems}
    kind = next((kind for kind in (BuildFailed, UserError) if kind in kinds), MachineError)
    return kind(dict.fromkeys(problem for error in errors for problem in error.problems))


def _restored(builds: Builds, options: Options) -> Builds:
    """The same builds, their checkouts in the store: for those that only this machine's git may fetch."""
    if not options.offline:
        checkouts.restore(builds)
    return builds


def _reached(asked: Asked, resolutions: Sequence[Resolution], builds: Builds) -> Builds:
    """Those of the pins that something needs, for the systems that need them."""
    found = use.used(asked, resolutions, builds)
    systems: dict[str, set[str]] = {}
    for one in found.builds:
        systems.setdefault(one.build.key, set()).update(one.systems)
    sources = {one.build.key: one.build for one in found.builds}
    pruned = [
        replace(one, requires={system: one.requires[system] for system in sorted(systems[one.key])})
        for one in sources.values()
    ]
    return sorted_builds(pruned, (wheel for wheel, _ in found.wheels))


def _check_pinned(wanted: Iterable[Source]) -> None:
    problems = [
        Problem(one.name, "has no SHA-256 in uv.lock or nixgen.lock", "run: nixgen sync")
        for one in wanted
        if one.package.kind not in {"vcs", "directory"} and not one.package.sha256
    ]
    if problems:
        raise UserError(problems)


def _rust(source: Source, said: Static) -> Iterator[Problem]:
    """Crates that cannot be pinned."""
    path = source.package.path if source.package.kind == "directory" else None
    table = f"[tool.nixgen.packages.{source.name}] patches"
    if said.unlocked:
        names = ", ".join(said.unlocked[:_SHOWN]) + (" …" if len(said.unlocked) > _SHOWN else "")
        what = f"has no Cargo.lock, and without a network cargo can choose no crates ({names})"
        mend = f"bring one with a patch: {table} (cargo generate-lockfile makes it)"
        if path:
            mend = f"(cd {path} && cargo generate-lockfile && git add --force Cargo.lock)"
        yield Problem(source.name, what, mend)
    if said.git_crates:
        what = f"is built with crates from git, which nixgen cannot pin: {', '.join(said.git_crates)}"
        mend = f"have it take them from a registry, with a patch of Cargo.toml and Cargo.lock: {table}"
        if path:
            mend = "take them from a registry in Cargo.toml; or bring all crates: cargo vendor, and what it prints"
            mend += f" into {posixpath.normpath(path + '/.cargo/config.toml')}"
        yield Problem(source.name, what, mend)


def here_of(systems: Iterable[str]) -> str:
    """The system that sources are asked on: this machine's, else the first, which Nix may have another machine for."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    own = f"{machine}-{'darwin' if sys.platform == 'darwin' else 'linux'}"
    return own if own in {*systems} else min(systems)


@dataclass(slots=True)
class _Finder:
    asked: Asked
    resolver: Resolver
    probe: probe.Probe
    here: Target
    targets: Mapping[str, Target]
    kept: Builds
    git: bool
    """Whether the base has git to fetch sources with."""
    project: Project
    unnamed: frozenset[str]
    """The systems that may be left out."""
    trust: Trust
    done: dict[str, Build] = field(default_factory=dict)
    """By ``name==version``; with the requirements of the system that is asked on, too."""
    sources: dict[str, Source] = field(default_factory=dict)
    wheels: dict[str, BuildWheel] = field(default_factory=dict)
    depends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What builds depend on once they are installed."""
    answers: dict[Question, Answer] = field(default_factory=dict)
    fetched: dict[Git, Checkout] = field(default_factory=dict)
    wishes: set[str] = field(default_factory=set)
    """Names of sources whose backend asked for more than their files say."""
    registries: dict[str, str] = field(default_factory=dict)
    """Of registries of crates, the patterns of their addresses."""

    def find(self, wanted: Sequence[Source], above: tuple[str, ...]) -> None:
        """Pins these, and all that they need; ``above`` are the builds that need them."""
        fresh = [source for source in wanted if not self._keep(source)]
        if not fresh:
            return
        fresh, static, versions = self._static(fresh)
        asked = list(zip(fresh, static, (said.requires for said in static), strict=True))
        found = self._requirements(asked, versions, above)
        rows = [
            {**row, **use.pure_row(row, pure=self._pure(source, said)), "requires": list(names[self.here.system])}
            for source, said, names in zip(fresh, static, found, strict=True)
            for row in (self._row(source, {}, self._epoch(source, said)),)
        ]
        self._fetch(name for names in found for name in names[self.here.system])
        more = self.probe.dynamic(rows, self._build_rows(), self._wheel_rows())
        again = [number for number, requires in enumerate(more) if requires]
        self.wishes.update(fresh[number].name for number in again)
        if again:
            asked = [(fresh[n], static[n], (*static[n].requires, *(more[n] or ()))) for n in again]
            for number, names in zip(
                again, self._requirements(asked, [versions[n] for n in again], above), strict=True
            ):
                found[number] = names
        for source, said, version, names, wants in zip(fresh, static, versions, found, more, strict=True):
            if wants is not None:
                self._pin(source, said, version, names, pure=self._pure(source, said, wants))

    def tell(self) -> None:
        """Says of which sources a backend was asked on another system than they are for."""
        others = sorted(self.targets.keys() - {self.here.system})
        if self.wishes and others:
            few = ", ".join(sorted(self.wishes)[:_SHOWN]) + (" …" if len(self.wishes) > _SHOWN else "")
            here = self.here.system
            console.info(f"What backends asked for on {here} is taken for {' and '.join(others)}, too: {few}")

    def _pure(self, source: Source, said: Static, more: Sequence[str] = ()) -> bool:
        extra = (text for texts in source.extra.values() for text in texts)
        return pure.pure((*said.requires, *more, *extra), compiled=said.compiled)

    def find_beside(self, wanted: Sequence[Source]) -> None:
        """Pins what uv builds in the environment itself, when all else is there: nobody asks what it requires."""
        fresh = [source for source in wanted if not self._keep(source)]
        if not fresh:
            return
        for source, said, version in zip(*self._static(fresh), strict=True):
            assert source.beside is not None  # noqa: S101 -- the others are not in the list
            names = {system: self._installed(packages) for system, packages in source.beside.items()}
            self._pin(source, said, version, names, pure=False)

    def _static(self, wanted: Sequence[Source]) -> tuple[list[Source], list[Static], list[str]]:
        """The sources that can be read, what they say of themselves, and their versions.

        Raises UserError for one whose version nobody knows.
        """
        fresh = list(wanted)
        try:
            self.fetched |= checkouts.fetched(source.package for source in fresh)
        except NixgenError as error:
            self.probe.errors.append(error)
            fresh = [source for source in fresh if source.package.git is None]
        downloads.fetch(downloads.of_packages(source.package for source in fresh), self.resolver.logins)
        answers = self.probe.static([self._row(source, {}, 0) for source in fresh])
        read = [(source, said) for source, said in zip(fresh, answers, strict=True) if said is not None]
        fresh, static = [source for source, _ in read], [said for _, said in read]
        problems = [one for source, said in read for one in _rust(source, said)]
        for source, said in read:
            problems += self.trust.registry_problems(source, [crate.registry for crate in said.crates])
        if problems:
            raise UserError(problems)
        requires = {source.name: said.requires for source, said in zip(fresh, static, strict=True)}
        if hint := advice.rust(self.project.settings, requires, self.project.pyproject_text()):
            console.warn(hint)
        versions = [
            self.asked.version(source.package) or said.version for source, said in zip(fresh, static, strict=True)
        ]
        mend = "write it down in pyproject.toml, [[tool.uv.dependency-metadata]]: name, version and requires-dist"
        unknown = [source.name for source, version in zip(fresh, versions, strict=True) if not version]
        if unknown:
            raise UserError(
                Problem(name, "has a version that only its build backend can tell", mend) for name in unknown
            )
        return fresh, static, versions

    def _fetch(self, names: Iterable[str] = ()) -> None:
        """Puts what needs a login into the store: these wheels, and those that builds need which may have to run."""
        here = self.here.system
        needed = {*names, *(name for build in self.done.values() for name in build.requires.get(here, ()))}
        wheels = [wheel for wheel in self.wheels.values() if wheel.file in needed]
        kept = [source.package for source in self.sources.values()]
        downloads.fetch([*downloads.of_packages(kept), *downloads.of_wheels(wheels)], self.resolver.logins)

    def _pin(
        self, source: Source, said: Static, version: str, names: Mapping[str, tuple[str, ...]], *, pure: bool
    ) -> None:
        package = source.package
        build = Build(
            *(source.name, version, source.address, self._epoch(source, said), source.inputs, names),
            file=package.file or "",
            sha256=package.sha256 or "",
            size=package.size,
            nar_hash=self._nar_hash(source),
            crates=crates.addressed(source.name, said.crates, self.registries),
            pure=pure,
            asked=self.here.system if source.beside is None and source.targets.keys() - {self.here.system} else "",
        )
        other = self.done.get(build.key)
        if other is not None and other.source != build.source:
            what = f"{version} is built from {other.source} and from {build.source}, for other builds"
            raise UserError.of(source.name, what, "take one of the two everywhere")
        self.done[build.key] = build
        self.sources[build.key] = source

    def _installed(self, packages: Iterable[Package]) -> tuple[str, ...]:
        """The names of packages that are installed: of their wheels, and of what is built."""
        keys = {(one.name, one.source): one.key for one in self.done.values()}
        names = []
        for one in packages:
            if one.built:
                names.append(keys[one.name, one.address])
                continue
            wheel = BuildWheel(one.name, one.version or "", one.file or "", one.address, one.sha256 or "", one.size)
            self._add([wheel])
            names.append(wheel.file)
        return tuple(sorted(names))

    def _nar_hash(self, source: Source) -> str:
        checkout = self.fetched.get(source.package.git) if source.package.git is not None else None
        return checkout.nar_hash if checkout is not None else ""

    def _epoch(self, source: Source, said: Static) -> int:
        """The time of a commit, which the folder that it is checked out to does not have."""
        checkout = self.fetched.get(source.package.git) if source.package.git is not None else None
        return checkout.time if checkout is not None else said.epoch

    def _keep(self, source: Source) -> bool:
        """Whether a source is done, or its pins are kept, with those of all that it needs."""
        if any(one.source == source.address and one.name == source.name for one in self.done.values()):
            return True
        known = {one.key: one for one in self.kept.sources}
        build = use.pinned(source, known.values())
        if build is None or self.here.system not in build.requires:
            return False
        names = {name for names in build.requires.values() for name in names}
        nested = [known[name] for name in names if name in known]
        targets = [self.targets[system] for system in build.requires if system in self.targets]
        if not all(self._keep(self.asked.source(use.package_of(one), targets)) for one in nested):
            return False
        self.wheels |= {wheel.file: wheel for wheel in self.kept.wheels if wheel.file in names}
        self.done[build.key], self.sources[build.key] = build, source
        return True

    def _requirements(
        self, asked: Sequence[tuple[Source, Static, Sequence[str]]], versions: Sequence[str], above: tuple[str, ...]
    ) -> list[dict[str, tuple[str, ...]]]:
        """For each source and each of its systems the names of what fulfils its requirements."""
        places = [self._places(*one) for one in asked]
        triples = [(source, requires, place) for (source, _, requires), place in zip(asked, places, strict=True)]
        if problems := [problem for one in triples for problem in self.trust.address_problems(*one)]:
            raise UserError(problems)
        questions = [
            {
                system: Question(self._all(source, requires, system), target, source.newest, place)
                for system, target in {**source.targets, self.here.system: self.here}.items()
            }
            for source, requires, place in triples
        ]
        owners: dict[Question, str] = {}
        needed: dict[Question, set[str]] = {}
        for (source, *_), version, by_system in zip(asked, versions, questions, strict=True):
            for system, question in by_system.items():
                owners.setdefault(question, f"{source.name}=={version}")
                # Where it cannot be asked, it can be had nowhere.
                needed.setdefault(question, set()).update([system] if system in source.targets else source.targets)
        while open_ := [question for question in owners if question not in self.answers]:
            self._answer(open_, owners, needed, above)
        return [{system: self._names(question) for system, question in by_system.items()} for by_system in questions]

    def _all(self, source: Source, requires: Sequence[str], system: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*requires, *source.extra.get(system, ())]))

    def _places(self, source: Source, said: Static, requires: Sequence[str]) -> str:
        """Where its requirements come from (:class:`Question`): as it says itself, and as the project says of more."""
        own = json.loads(said.sources or "{}")
        wanted = set(map(requirements.named, requires))
        more = {requirements.named(text) for texts in source.extra.values() for text in texts}
        folder = self.asked.folders.get(source.package.path or "") if source.package.kind == "directory" else None
        if folder is not None:
            sources = {name: place for name, place in folder.places.items() if name in wanted}
        else:
            sources = {
                normalized(name): requirements.pinnable(source.package, normalized(name), place)
                for name, place in table(own.get("sources")).items()
                if normalized(name) in wanted
            }
        sources |= {name: place for name, place in self.asked.sources.items() if name in more}
        return json.dumps({"sources": sources, "index": own.get("index", [])}, sort_keys=True) if sources else ""

    def _answer(
        self,
        questions: Sequence[Question],
        owners: Mapping[Question, str],
        needed: Mapping[Question, Iterable[str]],
        above: tuple[str, ...],
    ) -> None:
        """Asks uv all questions, some at a time; pins what turns out to have no wheel.

        ``needed`` are the systems that a question is asked for.
        """
        versions = {build.source: build.version for build in self.done.values()}
        known = Known(dict(self.depends), versions)

        def ask(question: Question) -> Answer | LackingError | NixgenError:
            try:
                return self.resolver.answer(question, known)
            except (LackingError, NixgenError) as error:
                return error

        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            results = list(zip(questions, pool.map(ask, questions), strict=True))
        failed = {
            owners[question].partition("==")[0]: result
            for question, result in results
            if isinstance(result, NixgenError)
        }
        if failed:
            errors = [self._explained(name, error) for name, error in sorted(failed.items())]
            kind = UserError if any(isinstance(error, UserError) for error in errors) else MachineError
            found = kind(dict.fromkeys(problem for error in errors for problem in error.problems))
            systems = {
                system for question, one in results if isinstance(one, NixgenError) for system in needed[question]
            }
            if kind is UserError and systems < self.targets.keys() and systems <= self.unnamed:
                raise UnservedError(frozenset(systems), found)
            raise found
        for question, result in results:
            if isinstance(result, Answer):
                self.answers[question] = result
                self._add(result.wheels)
            elif isinstance(result, LackingError):
                for package in result.packages:
                    self._build(package, (*above, owners[question]))

    def _explained(self, name: str, error: NixgenError) -> NixgenError:
        """What uv said of what the build of a package requires, and which Python needs no build."""
        found = requirements.explained(name, error)
        hint = otherpython.of_built(self.project, self.here, name, failed=True)
        mends = [replace(one, mend="\n".join(filter(None, (hint, one.mend)))) for one in found.problems]
        return type(found)(mends)

    def _build(self, package: Package, above: tuple[str, ...]) -> None:
        """Pins a source that others need, and builds it: what it depends on is in what is built."""
        if package.git is not None and not self.git:
            raise NoGitError
        if self.asked.says("no-build", package.name):
            what = "can't be built because it is marked as `--no-build`, and has no binary distribution"
            raise UserError.of(package.name, what, "allow it: take it out of no-build under [tool.uv]")
        package = replace(package, version=self.asked.version(package) or None)
        key = f"{package.name}=={package.version}"
        if key in self.depends:
            return
        same = [one for one in above if one == key or (not package.version and one.startswith(f"{package.name}=="))]
        if same:
            circle = " needs ".join([*above[above.index(same[0]) :], same[0]])
            mend = (
                "give one of them a wheel: build it, put it into a folder of the project, and name that in find-links"
            )
            raise UserError.of(package.name, f"cannot be built: {circle}", mend)
        source = self.asked.source(package, self.targets.values())
        self.find([replace(source, beside=None)], above)
        place = (source.name, source.address)
        key = next((key for key, one in self.sources.items() if (one.name, one.address) == place), "")
        if not key:
            raise NixgenError(())  # why is in the errors of the probe
        self._fetch()
        self.depends[key] = self.probe.dependencies(key, self._build_rows(), self._wheel_rows())

    def _add(self, wheels: Iterable[BuildWheel]) -> None:
        for wheel in wheels:
            other = self.wheels.setdefault(wheel.file, wheel)
            if other.sha256 != wheel.sha256:
                what = f"two indexes have different files of the name {wheel.file}"
                raise UserError.of(wheel.name, what, "leave one of the indexes to the packages that need it: explicit")

    def _names(self, question: Question) -> tuple[str, ...]:
        answer = self.answers[question]
        keys = [f"{package.name}=={package.version}" for package in answer.sources]
        return tuple(sorted([*(wheel.file for wheel in answer.wheels), *keys]))

    def _row(self, source: Source, requires: Mapping[str, Sequence[str]], epoch: int) -> dict[str, object]:
        row = use.build_row(self.asked, source, requires, epoch, source.package.version or "0", self._nar_hash(source))
        if not epoch:  # nothing is known of it yet
            del row["requires"], row["epoch"]
        return row

    def _build_rows(self) -> list[dict[str, object]]:
        here = self.here.system
        return [
            {**use.pinned_row(row, build), "systems": [here]}
            for key, build in self.done.items()
            for row in (
                use.build_row(
                    self.asked,
                    self.sources[key],
                    {here: build.requires[here]},
                    build.epoch,
                    build.version,
                    build.nar_hash,
                ),
            )
        ]

    def _wheel_rows(self) -> list[dict[str, object]]:
        return [use.wheel_row(wheel, [self.here.system]) for wheel in self.wheels.values()]
