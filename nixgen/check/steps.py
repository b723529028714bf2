"""The steps of ``nixgen check``, in order; each stops the others only where these would mean nothing."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.check import record
from nixgen.check.compare import input_changes, path_changes, recipe_changes, size
from nixgen.check.digest import closure_digest
from nixgen.check.model import ClosurePath, Inputs, Recipe, Record, Report, Step, SystemRecord
from nixgen.check.report import messages
from nixgen.console import console
from nixgen.errors import BuildFailed, Finding, MachineError, NixgenError, Problem, Stale, UserError
from nixgen.machine.background import Beside

if TYPE_CHECKING:
    from nixgen.bases.model import Base
    from nixgen.check.rebuild import Choice
    from nixgen.generate.model import Plan
    from nixgen.nix.failures import Advise, Owner
    from nixgen.nix.tools import Nix
    from nixgen.project.project import Project


_IMAGES = "images."


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a check.

    ``update`` writes the system into ``record`` (None: the project's own), ``save`` is a file for what is found here
    whatever the verdict. ``rebuild`` names outputs ("all", "env", "numpy"), ``sample`` how many of them and ``seed``
    which. ``store`` and ``builders`` are Nix's; ``copy`` is a store's address that may have the other bytes of a
    difference. ``works`` runs the import check and the smoke commands.
    """

    update: bool = False
    record: Path | None = None
    save: Path | None = None
    rebuild: tuple[str, ...] = ()
    sample: int | None = None
    seed: int | None = None
    store: str = ""
    builders: str | None = None
    copy: str = ""
    works: bool = True


@dataclass(slots=True)
class _Check:
    """A check that is under way: what is known so far, and the steps that are done."""

    project: Project
    options: Options
    system: str
    own: Path
    recorded: Record | None
    steps: list[Step] = field(default_factory=list)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    inputs: Inputs | None = None
    closure: Mapping[str, ClosurePath] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    chosen: Choice | None = None
    owners: Mapping[str, Owner] = field(default_factory=dict)
    advise: Advise | None = None
    base: Base | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def expected(self) -> SystemRecord | None:
        """What the record says of this system."""
        return self.recorded.systems.get(self.system) if self.recorded is not None else None

    @property
    def where(self) -> str:
        """The record's name in sentences."""
        return self.own.name if self.own.parent == self.project.root else str(self.own)

    @property
    def again(self) -> str:
        """The command that writes this record anew."""
        return again(self.options)

    def add(self, step: Step) -> bool:
        """Notes a step that was just done, and says so; whether it went well. What mends it names this record."""
        now = time.monotonic()
        findings = tuple(replace(one, mend=one.mend.replace(messages.UPDATE, self.again)) for one in step.findings)
        step = replace(step, findings=findings, seconds=now - self.began)
        self.steps.append(step)
        self.began = now
        console.info(messages.progress(step))
        return bool(step.ok)

    def found(self, nix: Nix) -> SystemRecord:
        """What is here, as a record has it."""
        from nixgen.check.facts import builder

        assert self.inputs is not None  # noqa: S101 -- the first step has set it
        digest = closure_digest(self.closure.values())
        return SystemRecord(digest, self.inputs, self.recipes, self.closure, builder(nix.version()), self.images)

    def report(self, *, updated: bool = False) -> Report:
        """All that was found so far."""
        digest = closure_digest(self.closure.values()) if self.closure else ""
        return Report(
            self.project.name, self.system, tuple(self.steps), digest, len(self.closure), size(self.closure), updated
        )


def again(options: Options) -> str:
    """The command that writes the record anew which the options name."""
    named = options.record
    return messages.UPDATE if named is None else f"{messages.UPDATE} --record {shlex.quote(str(named))}"


def check(start: Path, options: Options) -> Report:
    """Checks the project of a folder; writes the record, and nothing else of the project, where that is asked for.

    What was found is in the report. Raises UserError for a mistake in the input, MachineError for a record that cannot
    be read or written.
    """
    from nixgen.check import leftovers
    from nixgen.check.facts import system
    from nixgen.nix.tools import Nix
    from nixgen.project.project import find_project

    project = find_project(start)
    if options.save is not None:
        _forget(options.save)
    own = (options.record or project.root / record.NAME).absolute()
    generated = Beside(lambda: generated_files(project))
    run = _Check(project, options, system(), own, record.read_record(own, again=again(options)))
    try:
        nix = Nix.here(options.store, options.builders)
    except MachineError as error:
        _stale(run, *generated.result())
        run.add(Step("recipe", None, "Nix cannot be used here", MachineError.exit_code, error.problems))
        return run.report()
    leftovers.sweep()
    with nix.roots() as keep:
        if not (_evaluated(run, nix, generated) and _built(run, nix, keep) and _hashed(run, nix)):
            return run.report()
        if run.chosen is not None:
            run.add(_rebuilt(run, nix, run.chosen))
        if options.works:
            run.add(_works(run, nix, keep))
        return _written(run, nix)


def generated_files(project: Project) -> tuple[Plan, tuple[Problem, ...]]:
    """What ``nixgen generate --check`` says, and the plan that it made for that."""
    from nixgen.generate import flakelock, planning, write

    pins = planning.read_pins(project)
    plan = planning.plan(project, pins)
    wanted = planning.rendered(plan, pins, flakelock.read(project.root))
    try:
        write.check(project.root, wanted)
    except Finding as error:
        return plan, error.problems
    return plan, ()


def _stale(run: _Check, plan: Plan, problems: tuple[Problem, ...]) -> None:
    from nixgen.builds.advice import Adviser
    from nixgen.check.inputs import inputs
    from nixgen.generate.origins import owners

    run.owners = owners(plan)
    run.base = plan.base
    run.advise = Adviser.of(run.project, plan.base, run.system)
    run.inputs = inputs(plan, run.project.root, run.system)
    if problems:
        wanted = "as nixgen would write " + ("it" if len(problems) == 1 else "them")
        told = f"{messages.are(len(problems), 'generated file')} not {wanted}"
        run.add(Step("stale", False, told, Stale.exit_code, problems))
    else:
        run.add(Step("stale", True, "the generated files are up to date"))


def _evaluated(run: _Check, nix: Nix, generated: Beside[tuple[Plan, tuple[Problem, ...]]]) -> bool:
    """The first two steps, side by side: what is generated, and what Nix makes of what is there."""
    failed: NixgenError | None = None
    try:
        run.recipes = nix.recipes(run.project.root, run.system)
    except (MachineError, Stale, UserError) as error:
        failed = error
    plan, problems = generated.result()
    _stale(run, plan, problems)
    if isinstance(failed, MachineError):
        run.add(Step("recipe", None, "Nix cannot evaluate the project here", failed.exit_code, failed.problems))
        return False
    if isinstance(failed, UserError) and not problems:
        raise failed
    if failed is not None:
        run.add(Step("recipe", None, "Nix refuses to evaluate the project", Stale.exit_code, failed.problems))
        return False
    run.add(_same_recipe(run))
    if run.options.rebuild:
        from nixgen.check.rebuild import choose

        # Before anything is built: a name may be mistyped.
        run.chosen = choose(run.recipes, run.options.rebuild, run.options.sample, run.options.seed)
    return True


def _same_recipe(run: _Check) -> Step:
    expected = run.expected
    if expected is None or run.inputs is None:
        return messages.no_record(run.where, run.system, run.recorded, update=run.options.update)
    changes = recipe_changes(expected.outputs, run.recipes)
    causes = tuple(input_changes(expected.inputs, run.inputs))
    return messages.recipe_step(changes, causes, len(run.recipes), run.where, update=run.options.update)


def _realised(run: _Check, nix: Nix, drvs: Sequence[str], title: str, keep: Path) -> None:
    from nixgen.archive.taking import realise
    from nixgen.lock.archives import archives
    from nixgen.nix.progress import shown

    elsewhere = partial(archives, run.project, run.base)
    realise(nix, drvs, shown(title), keep, owners=run.owners, advise=run.advise, archives=elsewhere)


def _built(run: _Check, nix: Nix, keep: Path) -> bool:
    try:
        drvs = [run.recipes["root"].drv]
        _realised(run, nix, drvs, "building", keep)
    except BuildFailed as error:
        told = f"{messages.count(len(error.problems), 'derivation')} could not be built"
        return run.add(Step("build", False, told, BuildFailed.exit_code, error.problems))
    except MachineError as error:
        return run.add(Step("build", None, "it could not be built here", MachineError.exit_code, error.problems))
    return run.add(Step("build", True, f"all is built: {messages.count(len(run.recipes), 'output')}"))


def _hashed(run: _Check, nix: Nix) -> bool:
    """The bytes; whether what follows has a meaning: always, once they could be read."""
    from nixgen.check import closure
    from nixgen.check.explain import closures
    from nixgen.nix.tools import Nix as Other

    infos = nix.closure([run.recipes["root"].out])
    try:
        run.closure = closure.on_disk(nix, infos)
    except MachineError as error:
        return run.add(Step("bytes", None, "the store could not be read", MachineError.exit_code, error.problems))
    run.images = {
        name.removeprefix(_IMAGES): nix.read(f"{recipe.out}/digest").strip()
        for name, recipe in run.recipes.items()
        if name.startswith(_IMAGES)
    }
    same_recipe = run.expected is not None and not recipe_changes(run.expected.outputs, run.recipes)
    copy = Other.here(run.options.copy) if run.options.copy else None
    step = closure.bytes_step(
        None if run.options.update else run.expected,
        closure.noted(infos.values()),
        run.closure,
        lambda expected: closures.differences(nix, expected, run.closure, infos, copy),
        same_recipe=same_recipe,
        where=run.where,
    )
    if run.options.update and run.expected is not None and same_recipe and step.ok:
        changed = path_changes(run.expected.closure, run.closure)
        told = messages.bytes_updated(len(run.closure), size(run.closure), len(changed), run.where)
        step = replace(step, summary=told, findings=tuple(messages.rehashed(old, new) for old, new in changed))
    elif run.expected is not None and (wrong := _other_images(run.expected.images, run.images, run.where)):
        told = f"{messages.count(len(wrong), 'image')} with another digest than {run.where} has"
        step = replace(step, ok=False, code=Finding.exit_code, summary=told, findings=(*step.findings, *wrong))
    run.add(step)
    return True


def _other_images(old: Mapping[str, str], new: Mapping[str, str], where: str) -> tuple[Problem, ...]:
    """Images that have other digests than the record says."""
    return tuple(
        Problem(f"{where}: images.{name}", f"is {old[name]}, and this image is {new[name]}", messages.UPDATE)
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    )


def _rebuilt(run: _Check, nix: Nix, chosen: Choice) -> Step:
    from nixgen.check import rebuild

    if chosen.seed is not None:
        console.info(f"rebuild: a sample of {len(chosen.names)}; to repeat it: --seed {chosen.seed}")
    try:
        found = rebuild.rebuild_all(nix, {name: run.recipes[name] for name in chosen.names})
    except MachineError as error:
        return Step("rebuild", None, "nothing could be built again", MachineError.exit_code, error.problems)
    verdicts = tuple(one.verdict for one in found)
    differences = tuple(one.difference for one in found if one.difference is not None)
    return messages.rebuild_step(verdicts, differences)


def _works(run: _Check, nix: Nix, keep: Path) -> Step:
    """The import check and the smoke commands, as builds: in the sandbox, where Nix makes one."""
    there: dict[str, Recipe] = {}
    try:
        there = nix.checks(run.project.root, run.system)
        drvs = [recipe.drv for recipe in there.values()]
        _realised(run, nix, drvs, "checking", keep)
    except BuildFailed as error:
        told = "what was built does not work: " + messages.which_check(error.problems, there)
        return Step("works", False, told, BuildFailed.exit_code, error.problems)
    except MachineError as error:
        return Step("works", None, "it could not be tried here", MachineError.exit_code, error.problems)
    written = {name: _imported(nix, one) for name, one in there.items() if name.endswith("imports")}
    imported, _ = written.get("imports", (None, ()))
    warnings = dict.fromkeys(warning for _, found in written.values() for warning in found)
    return Step("works", True, messages.works(imported, tuple(there)), findings=tuple(warnings))


def _imported(nix: Nix, check: Recipe) -> tuple[int | None, tuple[Problem, ...]]:
    """How many modules an import check imported, None where its result cannot be read from here; what it warns of."""
    place = nix.physical(check.out)
    try:
        text = place.read_text(encoding="utf-8", errors="replace") if place is not None else None
    except OSError:
        text = None
    return (None, ()) if text is None else messages.imports(text, check.out)


def _forget(place: Path) -> None:
    """Removes what an earlier check saved, which does not stand for this one. Root could remove /dev/null, too."""
    if place.exists() and not place.is_file():
        raise UserError.of("--save", f"{place} is not a regular file", "name a file to write: --save found.json")
    place.unlink(missing_ok=True)


def _written(run: _Check, nix: Nix) -> Report:
    """Writes what was asked for: the record only when nothing was found, what is to be saved in any case."""
    options = run.options
    if options.save is not None:
        record.update(options.save, run.project.name, run.system, run.found(nix), alone=True)
        console.info(f"saved what was found here: {options.save}")
    if not options.update:
        return run.report()
    if run.report().exit_code:
        console.warn(f"{run.where} was not changed: {run.system} is written when nothing is found")
        return run.report()
    changed = record.update(run.own, run.project.name, run.system, run.found(nix))
    console.info(f"{'wrote' if changed else 'unchanged:'} {run.where} ({run.system})")
    return run.report(updated=True)
