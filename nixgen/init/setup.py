"""``nixgen init``: from a uv project to one that ``nix develop`` enters.

Everything is worked out first and written at the end, all files or none. Only ``uv lock`` writes before that, where
there is no uv.lock.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.bases import choice
from nixgen.bases.python import default_systems
from nixgen.console import console
from nixgen.errors import NixgenError, UserError
from nixgen.generate import gitindex, planning, write
from nixgen.generate.model import Plan
from nixgen.init import cijob, editors, gitattributes, handout, installsource, scaffold, unfinished
from nixgen.lock import fit
from nixgen.lock.model import Lock
from nixgen.machine import files, git
from nixgen.project import edit, pylockfile, scripts
from nixgen.project.project import find_project
from nixgen.project.settings import Settings
from nixgen.resolve import uv
from nixgen.resolve.model import FILES, Resolution

if TYPE_CHECKING:
    from nixgen.project.project import Project

COMMAND = "nixgen init"
_GIT = "git init && git add --all"
_REVISION = re.compile(r"([0-9a-f]{40})@(sha256-[A-Za-z0-9+/]{43}=)(?:@([1-9][0-9]{0,11}))?")
_COMMANDS = re.compile(r"nixgen (?:lock|generate|sync)\b(?! -)|nixgen init$")
_PYPROJECT = "pyproject.toml"
_FOUND = 2  # slashes in the path of a script that is looked for no more
_FLAGS = {"base": "--base", "systems": "--system", "nixpkgs": "--nixpkgs"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for; None and empty mean not asked.

    ``nixpkgs`` is a known pin's name, or ``REVISION@sha256-…`` with the NAR hash of that revision, and behind another @
    its ``lastModified`` where that is known. ``ci`` is "github", "gitlab" or "none". ``mirrors`` are Debian mirrors to
    use instead of the machine's own. ``source`` is a file that a uv project is made of first, or "poetry"; ``more`` are
    others, which become groups. ``enter`` asks for the files of :mod:`nixgen.init.handout`, ``beside`` for those of
    direnv, VS Code and dev containers.
    """

    base: str | None = None
    python: str | None = None
    systems: tuple[str, ...] = ()
    nixpkgs: str | None = None
    force: bool = False
    ci: str | None = None
    mirrors: tuple[str, ...] = ()
    source: str | None = None
    more: tuple[str, ...] = ()
    enter: bool = False
    beside: editors.Asked = editors.NOTHING


def init(start: Path, options: Options) -> None:
    """Sets the project of the folder ``start`` up. Run again, it changes nothing.

    Raises UserError with everything that is wrong before it writes anything, a file in the way that nixgen did not
    write included (unless forced), and MachineError.
    """
    options = _begun(start.resolve(), options)
    script = start.resolve() if start.is_file() else None
    project = find_project(script.parent if script else start, lock=False, script=script)
    console.info(f"The project is {project.name} in {project.root}.")
    with files.exclusive(project.root, console.info):
        work_tree = git.in_work_tree(project.root)
        with _flags_named(options):
            project, values, named = _chosen(project, options)
        values |= _listed(project, script)
        project = with_values(project, values)
        previous = _previous(project)
        if previous is None and not options.force:
            write.refuse(scaffold.in_the_way(project.root), COMMAND)
        _lock(project)
        found = find_project(script.parent if script else project.root, script=script)
        project = replace(found, settings=project.settings)
        _tell_of_locks(project)
        if not named and (previous is None or previous.base.kind != project.settings.base):
            values["python"] = choice.best_python(project, replace(project.settings, python=None))
            project = with_values(project, values)
        with _mended_by(_again(options) if previous is None else ""):
            if previous is None:
                values |= _from_packages(project)
                project = with_values(project, values)
            pins, more = _pins(project, previous, options.mirrors)
            values |= more
            project = with_values(project, values)
            choice.warn_of_python_version(project, pins.lock.base.python)
            changed = _write(project, values, pins, previous, options, work_tree=work_tree)
        if previous is None and not script:
            _tell_of_base(project, options)
        if moved := scaffold.put_venv_aside(project.root):
            console.info(f"Moved .venv, which uv made, to {moved}: nix develop makes one of its own.")
    if work_tree:
        _make_visible(project, changed)
    elif previous is None:
        console.info(f"No git repository: Nix copies all that lies in this folder, data included. To have one: {_GIT}")
    _tell_how_to_enter(project, changed, offer=previous is None and options.beside == editors.NOTHING)


def _tell_how_to_enter(project: Project, changed: Sequence[str], *, offer: bool) -> None:
    """The next command; with ``offer``, on a terminal, what there is for editors as well."""
    if not changed:
        console.info("Everything is up to date.")
        return
    if "'" in str(project.root):
        # Nix writes the path of the folder into a quoted word of the script that `nix develop` runs, as it is.
        why = "nix develop cannot: there is an apostrophe in the path of this folder"
        console.info(f"Enter the environment: nix-shell ({why})")
    else:
        console.info("Enter the environment: nixgen shell (teammates: nix develop, or nix-shell without flakes)")
    if editors.ENVRC in changed:
        console.info("Let direnv enter it: direnv allow")
    if offer and sys.stderr is not None and sys.stderr.isatty():
        console.info(f"For direnv, VS Code or a container: {COMMAND} --direnv, --vscode, --devcontainer")


def _begun(root: Path, options: Options) -> Options:
    """The options, less those that are done; makes the uv project, where it is to be made of something else."""
    if options.ci not in {None, "none", *cijob.KINDS}:
        raise UserError.of("--ci", f'"{options.ci}" is no kind of CI job', f"take {', '.join(cijob.KINDS)} or none")
    return options if options.source is None else _converted(root, options, options.source)


def _converted(root: Path, options: Options, source: str) -> Options:
    """Makes a uv project of another tool's, and says what it lacks; the options with the Python that is asked for.

    Raises what :func:`nixgen.init.convert.beginning.converted` raises, before anything is written.
    """
    from nixgen.init.convert import beginning

    if not root.is_dir():
        raise UserError.of(str(root), "is not a folder", "name the project's folder")
    with files.exclusive(root, console.info):
        files.refuse_read_only(root)
        if begun := unfinished.read(root, (source, *options.more)):
            console.info(f"{source} is converted already: going on.")
            return replace(options, python=options.python or begun.python)
        with console.step(f"converting {source}"), _mended_by(_again(options)):
            made = beginning.converted(root, source, options.python, options.more)
        python = options.python or made.python
        # A run that is killed from here on goes on when the same is typed again; its last step takes the mark away.
        mark = unfinished.mark((source, *options.more), python)
        wanted = {_PYPROJECT: mark + made.pyproject, "uv.lock": made.uv_lock}
        for path in files.write_all(root, wanted):
            files.note_change(path)
            console.info(f"wrote {path}")
    if made.notes:
        console.warn(f"not carried over from {source}:\n" + "\n".join(f"  {note}" for note in made.notes))
    return replace(options, python=python)


def _lock(project: Project) -> None:
    """Runs uv lock for the project and its scripts, where there is no lock yet."""
    views = [project, *(project.of(name) for name in project.scripts)]
    for view in {view.lock: view for view in views if not view.has_lock}.values():
        console.info(f"There is no {view.lock}: running {view.lock_again}.")
        files.refuse_read_only(project.root)
        files.note_change(view.lock)
        uv.lock(project.root, script=view.script.path if view.script else None)


def _tell_of_locks(project: Project) -> None:
    """Which lock counts, where that is not uv.lock, or another one is there, too."""
    others = [name for name in pylockfile.names(project.root) if name not in project.locks]
    if project.pylock is not None:
        console.info(f"The lock is {project.lock} ({project.pylock.get('created-by', 'PEP 751')}).")
    elif others:
        console.info(f'uv.lock counts, and not {others[0]}; for that: lock = "{others[0]}" under [tool.nixgen]')


def _tell_of_base(project: Project, options: Options) -> None:
    """Where nobody chose the base: which it is, and the other one, since not everybody may fetch from everywhere."""
    if options.base is None and "base" not in project.table and sys.platform == "linux":
        console.info(f"The base is nixpkgs, fetched from GitHub; without it: {COMMAND} --base debian")


def _chosen(project: Project, options: Options) -> tuple[Project, dict[str, edit.Value], bool]:
    """The project with the settings that are asked for and a Python, these, and whether somebody named the Python.

    Raises UserError when they do not fit with the others.
    """
    values = asked(project, options)
    before, project = project.settings, project.with_settings(values)
    other = "base" in project.table and before.base != project.settings.base
    if other and options.python is None:
        project = choice.without_python_of_another_base(project)
    if before.python and not project.settings.python:
        console.info(f"Choosing Python anew: {before.python} was for the {before.base} base.")
    if not project.path("nixgen.lock").exists() and (
        suite := choice.own_suite(project, options.python, options.mirrors)
    ):
        values["suite"] = suite
        project = project.with_settings(values)
    choice.refuse_systems(project.settings)
    named = choice.is_named(project, project.settings, options.python)
    chosen = choice.pick_python(project, project.settings, options.python)
    if options.python is None:
        choice.refuse_testing(project, chosen)
    values["python"] = choice.written_python(project.settings, chosen, options.python)
    return project.with_settings(values), values, named


def asked(project: Project, options: Options) -> dict[str, edit.Value]:
    """The settings that the command line asks for, and the base, which is always written."""
    values: dict[str, edit.Value] = {"base": options.base or project.settings.base}
    if options.systems:
        values["systems"] = sorted(set(options.systems))
    elif (options.base or options.nixpkgs) and project.settings.systems:
        pin = options.nixpkgs if options.nixpkgs and "@" not in options.nixpkgs else None
        offered = default_systems(Settings.parse({"base": values["base"], **({"nixpkgs": pin} if pin else {})}))
        kept = [system for system in project.settings.systems if system in offered]
        if kept and len(kept) < len(project.settings.systems):
            left = ", ".join(sorted(set(project.settings.systems) - set(kept)))
            console.info(f"Left out: {left}, which {pin or f'the {options.base} base'} does not serve")
            values["systems"] = kept
    if options.nixpkgs:
        revision = _REVISION.fullmatch(options.nixpkgs)
        if revision:
            modified = {"lastModified": int(revision[3])} if revision[3] else {}
            values["nixpkgs"] = {"rev": revision[1], "narHash": revision[2], **modified}
        elif "@" in options.nixpkgs:
            mend = "write 40 hexadecimal digits, @, and the NAR hash of that revision: 0123…@sha256-…=[@LASTMODIFIED]"
            raise UserError.of("--nixpkgs", f'"{options.nixpkgs}" is not a revision with its hash', mend)
        else:
            values["nixpkgs"] = options.nixpkgs
    return values


def _listed(project: Project, script: Path | None) -> dict[str, edit.Value]:
    """The setting ``scripts``, where a script beside a project is found by nothing else."""
    if script is None or project.script is not None:
        return {}
    path, named = script.relative_to(project.root).as_posix(), project.settings.scripts
    if path.count("/") < _FOUND if named is None else path in named:
        return {}
    return {"scripts": sorted({path, *(named or (one.path for one in project.scripts.values()))})}


def with_values(project: Project, values: Mapping[str, edit.Value]) -> Project:
    """The project as it will be with these settings. Raises UserError when they do not fit with the others."""
    return project.with_settings(values)


@contextlib.contextmanager
def _flags_named(options: Options) -> Iterator[None]:
    """What is wrong with a setting that the command line gave is said of its flag, and not of pyproject.toml."""
    given = {"base": options.base, "systems": options.systems, "nixpkgs": options.nixpkgs}
    flags = {f"{_PYPROJECT}: tool.nixgen.{key}": _FLAGS[key] for key, value in given.items() if value}
    try:
        yield
    except UserError as error:
        wrong = (replace(one, where=flags.get(one.where.partition("[")[0], one.where)) for one in error.problems)
        raise UserError(wrong) from None


@contextlib.contextmanager
def _mended_by(command: str) -> Iterator[None]:
    """As long as nothing is written, what other commands mend is mended by this one; "" for as it is."""
    try:
        yield
    except NixgenError as error:
        if not command:
            raise
        by_uv = r"uv lock --upgrade-package \1 && nixgen sync"
        mends = (re.sub(r"nixgen upgrade (\S+)", by_uv, one.mend) for one in error.problems)
        wrong = [
            replace(one, mend=_COMMANDS.sub(command, mend)) for one, mend in zip(error.problems, mends, strict=True)
        ]
        raise type(error)(wrong) from None


def _again(options: Options) -> str:
    """The command line that asks for the same once more."""
    flags = [("--base", options.base), ("--python", options.python), *(("--system", one) for one in options.systems)]
    return " ".join([COMMAND, *(f"{flag} {value}" for flag, value in flags if value)])


def _previous(project: Project) -> Lock | None:
    """The lock that is there. Raises UserError for one that cannot be read, and for links that cannot be written to."""
    from nixgen.lock.lockfile import read_lock

    files.refuse_links_out(project.root, scaffold.WRITTEN)
    path = project.path(planning.LOCK)
    return read_lock(path) if path.exists() else None


def _from_packages(project: Project) -> dict[str, edit.Value]:
    """The settings that follow from what uv would install, on what the base will be."""
    from nixgen.bases.python import targets
    from nixgen.lock import known
    from nixgen.resolve.resolution import resolve

    settings = project.settings
    assert settings.python is not None  # noqa: S101 -- init chose it before
    glibc = choice.default_glibc(settings, settings.python)
    resolutions = resolve(project, targets(settings, None, settings.python), glibc, {})
    systems = _where_wheels_exist(resolutions) if settings.systems is None else {}
    return systems | known.needs(project, settings.python, (one for each in resolutions for one in each.packages))


def _where_wheels_exist(resolutions: Sequence[Resolution]) -> dict[str, edit.Value]:
    """The setting ``systems``, where wheels do not exist for every system of the base; says which are left out.

    Raises UserError with what stands in the way on the others.
    """
    from nixgen.resolve.resolution import merged_problems, split_served

    served, left = split_served(resolutions)
    problems = merged_problems(tuple(map(_without_missing_hashes, served)))
    if problems:
        raise UserError(problems)
    for one in left:
        count = len(one.problems)
        more = f" (and {count - 1} more)" if count > 1 else ""
        console.info(f"Left out: {one.target.system}, because {one.problems[0].where} {one.problems[0].what}{more}")
    return {"systems": sorted(one.target.system for one in served)} if left else {}


def _without_missing_hashes(resolution: Resolution) -> Resolution:
    """What is left when the hashes that uv.lock lacks are pinned, which comes next."""
    pinned_next = {one.name for one in resolution.packages if one.kind in FILES and one.address and not one.sha256}
    return replace(resolution, problems=tuple(one for one in resolution.problems if one.where not in pinned_next))


def _pins(
    project: Project, previous: Lock | None, mirrors: tuple[str, ...]
) -> tuple[planning.Pins, dict[str, edit.Value]]:
    """The pins on disk, where they are for these settings, else new ones, with the settings that go with these.

    Only for new ones the network is used.
    """
    from nixgen.lock import lockfile, pinning

    if previous is not None and not (
        fit.problems(project.settings, previous) or planning.artifact_problems(project, previous)
    ):
        return planning.read_pins(project), {}
    asked = pinning.Options(mirrors=mirrors)
    pinning.check_mirrors(project, asked)
    found, tarballs, settings = pinning.pins(project, asked, previous)
    for line in pinning.told(previous, found, asked):
        console.info(line)
    return planning.Pins(found, lockfile.dump_lock(found).encode(), tarballs), settings


def _write(
    project: Project,
    values: Mapping[str, edit.Value],
    pins: planning.Pins,
    previous: Lock | None,
    options: Options,
    *,
    work_tree: bool,
) -> tuple[str, ...]:
    """Works every file out, refuses what is in the way, and writes them all. Returns what changed."""
    root = project.root
    pyproject, scripts = _settled(project, values)
    plan = planning.plan(project, pins, pyproject, scripts)
    if not any(one.packages for one in plan.resolutions):
        mend = "add what it needs: uv add NAME (in a workspace, the root must depend on its members: uv add MEMBER)"
        console.warn(f"{project.name} installs nothing, so the environment is empty; {mend}")
    wanted = {
        **({} if pyproject is None else {_PYPROJECT: pyproject}),
        **scripts,
        **planning.rendered(plan, pins, None),
    }
    default = wanted.pop(planning.DEFAULT)
    made = scaffold.scaffold(root, project.name, pins.lock.base, previous.base if previous else None, wanted)
    scaffold.ci_job(made, root, options.ci, _ci_job(project, plan), first=previous is None)
    if options.enter:
        origin = installsource.public(git.origin(root)) if work_tree else ""
        more, notes = handout.wanted(root, plan, project.pyproject, origin)
        made.files |= more
        made.notes += notes
    wanted |= {planning.LOCK: pins.text, **made.files}
    beside = editors.made(root, project.name, project.locks, options.beside)
    wanted |= beside.files
    made.notes += beside.notes
    ignored = (editors.DIRENV,) if options.beside.direnv else ()
    ignore = scaffold.gitignore(root, work_tree=work_tree, more=ignored)
    if ignore is not None:
        wanted[scaffold.IGNORE] = ignore
    lines = gitattributes.with_lines(root, work_tree=work_tree)
    if lines is not None:
        wanted[gitattributes.NAME] = lines
    wanted[planning.DEFAULT] = default
    changed = write.write(root, wanted, COMMAND, force=options.force, foreign=made.foreign)
    if handout.ENTER in changed:
        (root / handout.ENTER).chmod(0o755)
    for note in made.notes:
        console.warn(note)
    _warn_of_line_ends(root)
    return changed


def _settled(project: Project, values: Mapping[str, edit.Value]) -> tuple[bytes | None, dict[str, bytes]]:
    """pyproject.toml and the scripts with the settings; scripts have them where there is no other place for them."""
    alone = project.script is not None
    pyproject = None
    if not alone:
        text = unfinished.without_mark((files.read(project.root, _PYPROJECT) or b"").decode())
        pyproject = edit.with_settings(text, values).encode()
    found = {}
    for script in project.scripts.values():
        if not (alone or not scripts.is_ours(script)):
            continue
        text = (files.read(project.root, script.path) or b"").decode()
        old = scripts.block(text) or ""
        new = edit.with_settings(old, values) if alone else f"{old}\n[tool.nixgen]\n"
        if new != old:
            found[script.path] = scripts.with_block(text, new).encode()
    return pyproject, found


def _warn_of_line_ends(root: Path) -> None:
    if names := gitattributes.changed_line_ends(root):
        again = " ".join(names)
        console.warn(
            f"{', '.join(names)}: the line ends are those of Windows, so Nix finds other digests than with your "
            f"teammates. git leaves them alone from now on ({gitattributes.NAME}); to have them as they are: "
            f"rm {again} && git checkout -- {again}, then: nixgen sync"
        )


def _ci_job(project: Project, plan: Plan) -> cijob.Job:
    root, top = project.root.resolve(), git.top(project.root)
    folder = root.relative_to(top).as_posix() if top and root.is_relative_to(top) else "."
    return cijob.Job(
        tuple(sorted(plan.systems)), plan.base.kind, installsource.requirement(), "" if folder == "." else folder
    )


def _make_visible(project: Project, changed: tuple[str, ...]) -> None:
    """A flake in a git work tree sees only the files that git knows."""
    gitindex.tell(
        project.root,
        {*project.locks, _PYPROJECT, scaffold.SHELL, planning.MANIFEST, scaffold.IGNORE, gitattributes.NAME, *changed},
    )
