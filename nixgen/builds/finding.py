"""Finds and pins what each source needs to build: its own requirements, then what its backend wants besides.

What is required and has no wheel is built itself, and found out the same way; one that would need itself is an error.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nixgen.builds import advice, checkouts, probe, requirements, use
from nixgen.builds.asked import Asked, Source
from nixgen.builds.checkouts import Checkout
from nixgen.builds.model import Build, Builds, BuildWheel
from nixgen.builds.pins import sorted_builds
from nixgen.builds.probe import Static
from nixgen.builds.requirements import Answer, LackingError, Question, Resolver
from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.resolve.model import Git, Package, Resolution, Target

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.project.project import Project

_AT_ONCE = 8  # uv waits for the network most of the time
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Options:
    """``upgrade`` finds everything anew; ``offline`` forbids the network."""

    upgrade: bool = False
    offline: bool = False


def find(
    project: Project,
    base: Base,
    tarballs: Mapping[str, bytes],
    resolutions: Sequence[Resolution],
    old: Builds,
    options: Options,
) -> Builds:
    """The pins of all that these resolutions build; those of ``old`` are kept where they are for what is asked now.

    Raises UserError, MachineError and BuildFailed, with the packages that cannot be built.
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
    )
    kept = Builds() if options.upgrade else old
    if not use.used(asked, resolutions, kept).problems:
        return _restored(_reached(asked, resolutions, kept), options)
    missing = [source for source in wanted if use.pinned(source, kept.sources) is None]
    if options.offline:
        mend = "run it with the network: nixgen lock"
        raise UserError(Problem("nixgen.lock", f"has no pins to build {one.name}", mend) for one in missing or wanted)
    here = _here(targets)
    names = [source.name for source in missing]
    if hint := advice.beforehand(project.settings, base, names):
        console.warn(hint)
    advise = advice.Adviser(project.settings, base, here.system)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    with (
        console.step(f"Finding out what builds need: {', '.join(names[:_SHOWN])}{more}"),
        probe.opened(project.root, base, tarballs, sorted(targets), here.system, advise) as probed,
    ):
        finder = _Finder(asked, resolver, probed, here, targets, kept)
        finder.find(wanted, ())
    return _restored(_reached(asked, resolutions, sorted_builds(finder.done.values(), finder.wheels.values())), options)


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
        Problem(one.name, "has no SHA-256 in uv.lock or nixgen.lock", "run: nixgen lock")
        for one in wanted
        if one.package.kind != "vcs" and not one.package.sha256
    ]
    if problems:
        raise UserError(problems)


def _here(targets: Mapping[str, Target]) -> Target:
    """The target that sources are asked on: this machine's, else the first, which Nix may have another machine for."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine())
    return targets.get(f"{machine}-{'darwin' if sys.platform == 'darwin' else 'linux'}") or min(targets.values())


@dataclass(slots=True)
class _Finder:
    asked: Asked
    resolver: Resolver
    probe: probe.Probe
    here: Target
    targets: Mapping[str, Target]
    kept: Builds
    done: dict[str, Build] = field(default_factory=dict)
    """By ``name==version``; with the requirements of the system that is asked on, too."""
    sources: dict[str, Source] = field(default_factory=dict)
    wheels: dict[str, BuildWheel] = field(default_factory=dict)
    depends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What builds depend on once they are installed."""
    answers: dict[Question, Answer] = field(default_factory=dict)
    fetched: dict[Git, Checkout] = field(default_factory=dict)

    def find(self, wanted: Sequence[Source], above: tuple[str, ...]) -> None:
        """Pins these, and all that they need; ``above`` are the builds that need them."""
        fresh = [source for source in wanted if not self._keep(source)]
        if not fresh:
            return
        self.fetched |= checkouts.fetched(source.package for source in fresh)
        static = self.probe.static([self._row(source, {}, 0) for source in fresh])
        versions = [source.package.version or said.version for source, said in zip(fresh, static, strict=True)]
        asked = [(source, said.requires) for source, said in zip(fresh, static, strict=True)]
        found = self._requirements(asked, versions, above)
        rows = [
            {**self._row(source, {}, self._epoch(source, said)), "requires": list(names[self.here.system])}
            for source, said, names in zip(fresh, static, found, strict=True)
        ]
        more = self.probe.dynamic(rows, self._build_rows(), self._wheel_rows())
        again = [number for number, requires in enumerate(more) if requires]
        if again:
            asked = [(fresh[number], (*static[number].requires, *more[number])) for number in again]
            for number, names in zip(
                again, self._requirements(asked, [versions[n] for n in again], above), strict=True
            ):
                found[number] = names
        for source, said, version, names in zip(fresh, static, versions, found, strict=True):
            package = source.package
            build = Build(
                *(source.name, version, source.address, self._epoch(source, said), source.inputs, names),
                file=package.file or "",
                sha256=package.sha256 or "",
                size=package.size,
                nar_hash=self._nar_hash(source),
            )
            self.done[build.key] = build
            self.sources[build.key] = source

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
        self, asked: Sequence[tuple[Source, Sequence[str]]], versions: Sequence[str], above: tuple[str, ...]
    ) -> list[dict[str, tuple[str, ...]]]:
        """For each source and each of its systems the names of what fulfils its requirements."""
        questions = [
            {
                system: Question(self._all(source, requires, system), target, source.newest)
                for system, target in {**source.targets, self.here.system: self.here}.items()
            }
            for source, requires in asked
        ]
        owners: dict[Question, str] = {}
        for (source, _), version, by_system in zip(asked, versions, questions, strict=True):
            for question in by_system.values():
                owners.setdefault(question, f"{source.name}=={version}")
        while open_ := [question for question in owners if question not in self.answers]:
            self._answer(open_, owners, above)
        return [{system: self._names(question) for system, question in by_system.items()} for by_system in questions]

    def _all(self, source: Source, requires: Sequence[str], system: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*requires, *source.extra.get(system, ())]))

    def _answer(self, questions: Sequence[Question], owners: Mapping[Question, str], above: tuple[str, ...]) -> None:
        """Asks uv all questions, some at a time; pins what turns out to have no wheel."""
        known = dict(self.depends)

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
            errors = [requirements.explained(name, error) for name, error in sorted(failed.items())]
            kind = UserError if any(isinstance(error, UserError) for error in errors) else MachineError
            raise kind(dict.fromkeys(problem for error in errors for problem in error.problems))
        for question, result in results:
            if isinstance(result, Answer):
                self.answers[question] = result
                self._add(result.wheels)
            elif isinstance(result, LackingError):
                for package in result.packages:
                    self._build(package, (*above, owners[question]))

    def _build(self, package: Package, above: tuple[str, ...]) -> None:
        """Pins a source that others need, and builds it: what it depends on is in what is built."""
        key = f"{package.name}=={package.version}"
        if key in self.depends:
            return
        if key in above:
            circle = " needs ".join([*above[above.index(key) :], key])
            mend = (
                "give one of them a wheel: build it, put it into a folder of the project, and name that in find-links"
            )
            raise UserError.of(package.name, f"cannot be built: {circle}", mend)
        self.find([self.asked.source(package, self.targets.values())], above)
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
            {
                **use.build_row(
                    self.asked,
                    self.sources[key],
                    {here: build.requires[here]},
                    build.epoch,
                    build.version,
                    build.nar_hash,
                ),
                "systems": [here],
            }
            for key, build in self.done.items()
        ]

    def _wheel_rows(self) -> list[dict[str, object]]:
        return [use.wheel_row(wheel, [self.here.system]) for wheel in self.wheels.values()]
