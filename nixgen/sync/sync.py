"""``nixgen sync``: all that follows from what the user and uv wrote, brought up to date in its order.

uv.lock, where pyproject.toml moved; nixgen.lock; the generated files; the environment and the project's .venv; and the
record of hashes, where that is asked for. The files are worked out first and written at the end, all or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.bases import choice
from nixgen.bases.python import first_line, minor_version
from nixgen.console import console
from nixgen.errors import Finding, Problem, UserError
from nixgen.formats import jsontext
from nixgen.generate import flakelock, planning, write
from nixgen.generate.digest import of_bytes
from nixgen.init import handout
from nixgen.lock import fit, lockfile, pinning
from nixgen.machine import files
from nixgen.project import edit, pylockfile
from nixgen.project.project import Project, find_project
from nixgen.resolve import current, environments, uv
from nixgen.sync import shell

if TYPE_CHECKING:
    from nixgen.check.model import Report
    from nixgen.generate.model import Plan

COMMAND = "nixgen sync"
_PYPROJECT = "pyproject.toml"
_FILE = ".python-version"


@dataclass(frozen=True, slots=True)
class Options:
    """How far it goes: ``build`` the environment, write the ``record``; ``offline`` and ``mirrors`` are lock's.

    ``environment`` is the one that is built: in a shell of the project without a name that shell's, else the default.
    """

    environment: str = ""
    build: bool = True
    record: bool = False
    offline: bool = False
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: the files that changed, and the environment, None where it was not built.

    ``record`` says what nixgen.hashes.json is now: "none", "current", "stale" or "written"; "" where it was not looked
    at. ``report`` is that of the check that wrote it.
    """

    name: str
    root: Path
    changed: tuple[str, ...]
    environment: shell.Ready | None = None
    record: str = ""
    report: Report | None = None

    def as_json(self) -> str:
        """For programs."""
        made = self.environment
        environment = None if made is None else {"built": made.built, "fetched": made.fetched, "venv": made.venv}
        found = {"version": 1, "project": self.name, "root": str(self.root), "changed": list(self.changed)}
        return jsontext.dumps(found | {"environment": environment, "record": self.record or None})


def sync(start: Path, options: Options) -> Done:
    """Brings the project of a folder up to date, and says what it did. Run again, it changes nothing.

    Raises UserError, MachineError and BuildFailed. Files that were written stay: a build can be tried again.
    """
    project = _asked(find(start), options)
    with files.exclusive(project.root, console.info) as waited:
        if waited:
            project = _asked(find(start), options)
        locks = _lock(project)
        project = find_project(project.root)
        flake = flakelock.read(project.root)
        plan, changed = _written(project, flake, options)
        write.tell(project, changed, flake)
    changed = (*locks, *changed)
    done, name = Done(project.name, project.root, changed), _name(project, options)
    if options.build or options.record:
        done = _built(done, project, name, plan, options)
    if not changed and done.record != "written" and (done.environment is None or not done.environment.worked):
        console.info("Everything is up to date.")
    if done.environment is not None and shell.inside(project.root) == name and shell.is_another(done.environment):
        again = f" --env {name}" if name else ""
        console.info(f"This shell has the environment of before. To renew it: exit, then: nixgen shell{again}")
    return done


def _asked(project: Project, options: Options) -> Project:
    """The same project. Raises UserError where it has not the environment that is asked for."""
    if options.environment:
        project.of(options.environment)
    return project


def _name(project: Project, options: Options) -> str:
    """The environment that is built."""
    here = shell.inside(project.root) or ""
    return options.environment or (here if here in project.settings.environments else "")


def find(start: Path) -> Project:
    """The project of a folder, its lock present or not. Raises UserError where ``nixgen init`` comes first."""
    project = find_project(start, lock=False)
    if not project.table and not project.scripts and not project.path(planning.LOCK).exists():
        raise UserError.of(str(project.root), "is not set up yet", "nixgen init")
    return project


def check(start: Path, options: Options) -> tuple[Problem, ...]:
    """What :func:`sync` would change of the files, one problem each. Writes nothing and uses no network."""
    project = _asked(find(start), options)
    stale = [
        Problem(view.lock, f"is out of date with {view.script.path if view.script else _PYPROJECT}: {why}", COMMAND)
        for view in uv_views(project)
        if (why := _outdated(view, check=True))
    ]
    return tuple(stale) or tuple(replace(one, mend=COMMAND) for one in _stale(find_project(project.root)))


def _stale(project: Project) -> Sequence[Problem]:
    """What of pins and generated files is not as it would be written. Raises UserError for what no sync mends."""
    old = pinning.read_old(project, pinning.Options())
    if old is None:
        return [Problem(planning.LOCK, "is missing")]
    if other := fit.problems(project.settings, old) + planning.artifact_problems(project, old):
        return other
    if python := _other_python(project, old.base.python):
        return [Problem(_FILE, f"asks for Python {python}, and {planning.LOCK} has {old.base.python}")]
    try:
        _, wanted = _planned(project, flakelock.read(project.root), Options(offline=True), said=False)
        write.check(project.root, wanted)
    except Finding as error:
        return error.problems
    except UserError as error:
        if all(COMMAND in one.mend for one in error.problems):
            return error.problems
        raise
    return []


def uv_views(project: Project) -> Iterator[Project]:
    """The project, and its scripts, once for each lock that uv makes."""
    seen = set()
    for view in environments.views(project).values():
        if view.lock not in seen and not pylockfile.is_name(view.lock):
            seen.add(view.lock)
            yield view


def _outdated(view: Project, *, check: bool = False) -> str:
    """Why uv has to lock again, "" where it has not. With ``check`` only what is known for sure counts."""
    if not view.has_lock:
        return "there is none"
    with uv.nowhere() as nowhere:
        verdict, _ = current.Check(view, nowhere).wait()
    if verdict.refusal is not None:
        raise verdict.refusal
    return verdict.why or ("" if check else verdict.unknown)


def _lock(project: Project) -> tuple[str, ...]:
    """Runs uv lock where that is needed; the locks that changed."""
    changed = []
    for view in uv_views(project):
        with console.step(f"looking at {view.lock}"):
            why = _outdated(view)
        if not why:
            continue
        files.refuse_read_only(project.root)
        before = files.read(project.root, view.lock)
        with console.step(f"running {view.lock_again}"):
            uv.lock(project.root, script=view.script.path if view.script else None)
        if files.read(project.root, view.lock) != before:
            files.note_change(view.lock)
            console.info(f"wrote {view.lock}: {why}")
            changed.append(view.lock)
    return tuple(changed)


def _other_python(project: Project, pinned: str) -> str:
    """The Python that .python-version asks for since it was changed, "" where that is no news.

    A setting that was edited counts more; and a file that has long said something else is only warned of.
    """
    data = files.read(project.root, _FILE)
    if data is None or project.script is not None or project.settings.python not in {None, pinned}:
        return ""
    digest = of_bytes(data.replace(b"\r\n", b"\n"))
    wanted = minor_version(first_line(project.python_version_file()) or "")
    if wanted in {None, pinned} or digest.encode() in (files.read(project.root, planning.DEFAULT) or b""):
        return ""
    return wanted if wanted in choice.known_pythons(project.settings) else ""


def _planned(
    project: Project, flake: flakelock.Flake | None, options: Options, *, said: bool = True
) -> tuple[Plan, dict[str, bytes]]:
    """The plan, and every file that nixgen owns, with pyproject.toml where settings follow from what was found."""
    asked = pinning.Options(offline=options.offline, mirrors=options.mirrors)
    pinning.check_mirrors(project, asked)
    old = pinning.read_old(project, asked)
    values: dict[str, edit.Value] = {}
    if old is not None and (wanted := _other_python(project, old.base.python)):
        values["python"] = wanted
        project = project.with_settings(values)
        if said:
            console.info(f"Python {wanted}, as {_FILE} asks for (it was {old.base.python})")
    with console.step("pinning"):
        lock, tarballs, settings = pinning.pins(project, asked, old)
    for line in pinning.told(old, lock, asked) if said else ():
        console.info(line)
    values |= settings
    project = project.with_settings(settings) if settings else project
    pyproject = edit.with_settings(project.pyproject_text(), values).encode() if values else None
    pins = planning.Pins(lock, lockfile.dump_lock(lock).encode(), tarballs)
    with console.step("generating"):
        plan = planning.plan(project, pins, pyproject)
        wanted_files = planning.rendered(plan, pins, flake)
    if said:
        choice.warn_of_python_version(project, lock.base.python)
    page = handout.renewed(project.root, plan, project.pyproject)
    own = {} if pyproject is None else {_PYPROJECT: pyproject}
    return plan, {**own, **page, planning.LOCK: pins.text, **wanted_files}


def _written(project: Project, flake: flakelock.Flake | None, options: Options) -> tuple[Plan, tuple[str, ...]]:
    plan, wanted = _planned(project, flake, options)
    return plan, write.write(project.root, wanted, write.COMMAND, force=False)


def _built(done: Done, project: Project, name: str, plan: Plan, options: Options) -> Done:
    """The environment in the store and in .venv, and the record."""
    from nixgen.check import record
    from nixgen.check.compare import recipe_changes
    from nixgen.check.facts import system

    here = system()
    recorded = record.read_record(done.root / record.NAME)
    known = recorded.systems.get(here) if recorded is not None else None
    ready = shell.ready(project, name, plan, recipes=known is not None and not options.record)
    if ready.worked:
        console.info(f"environment{f' {name}' if name else ''}: {ready.told()}")
    done = replace(done, environment=ready, record="none")
    if options.record:
        return _recorded(done)
    if known is None:
        return done
    if not recipe_changes(known.outputs, ready.recipes):
        return replace(done, record="current")
    console.info(f"{record.NAME} is of before this change. To record what is built now: {COMMAND} --record")
    return replace(done, record="stale")


def _recorded(done: Done) -> Done:
    from nixgen.check import steps

    report = steps.check(done.root, steps.Options(update=True))
    return replace(done, record="written" if report.updated else "stale", report=report)
