"""What uv would install for each target: uv resolves (``uv export``), packaging evaluates markers and orders tags.

The rules are those of pylock.toml's "how to install" (PEP 751) and of ``packaging.pylock.Pylock.select``, with three
differences that the lock files of real projects ask for: a package that cannot be had for a target is a problem beside
the others, not the end; a file without a hash is accepted when nixgen.lock has it; and of two wheels with the same
best tag the higher build number is taken, as uv does.
"""

from __future__ import annotations

import contextlib
import copy
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from nixgen.console import console
from nixgen.errors import Problem, UserError
from nixgen.formats.foreign import lookup, strings, table
from nixgen.machine import addresses, process
from nixgen.project import absent, pylockfile, uvlock
from nixgen.project.names import normalized
from nixgen.project.project import Project
from nixgen.resolve import current, markers, missing_hashes, plain, pylock, uv, wheels
from nixgen.resolve.model import FileHash, Git, Kind, Package, Resolution, Target
from nixgen.resolve.targets import environment

LOCK_MEND = "run: nixgen sync"
_REFRESH = "bring it up to date: "
_GIT_SCHEMES = ("https", "ssh", "http", "git", "file")
_COMMIT = r"[0-9a-f]{40}"


def resolve(
    project: Project, targets: Sequence[Target], glibc: str, hashes: Mapping[str, FileHash]
) -> tuple[Resolution, ...]:
    """What uv would install for each target, from one ``uv export``; ``hashes`` fills in what uv.lock lacks, by url.

    ``glibc`` is the version of the base's C library: no wheel is taken that asks for a newer one. What cannot be built
    is a problem of the target's Resolution. Raises what :func:`export` and :func:`select` raise.
    """
    found = select(project, export(project, hashes), targets, glibc, hashes)
    return hint_groups(project, found, glibc, hashes)


def hint_groups(
    project: Project, found: tuple[Resolution, ...], glibc: str, hashes: Mapping[str, FileHash]
) -> tuple[Resolution, ...]:
    """Tells of each problem that only dependency groups bring in how to leave those out."""
    groups = strings(lookup(project.pylock, "default-groups")) or (
        project.pylock is None
        and (
            table(project.pyproject, "dependency-groups") or lookup(project.pyproject, "tool", "uv", "dev-dependencies")
        )
    )
    if project.settings.groups is not None or not groups or not any(one.problems for one in found):
        return found
    without = replace(project, settings=replace(project.settings, groups=()))
    left = select(without, export(without, hashes, check=False), [one.target for one in found], glibc, hashes)
    hint = f"or leave the dependency groups out: groups = [] under [{project.settings.table}]"
    return tuple(
        replace(
            one,
            problems=tuple(
                problem
                if problem.where in {kept.where for kept in other.problems}
                else replace(problem, mend=f"{problem.mend}; {hint}")
                for problem in one.problems
            ),
        )
        for one, other in zip(found, left, strict=True)
    )


def export(
    project: Project,
    hashes: Mapping[str, FileHash],
    *,
    check: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """The whole lock, for all targets, as a pylock.toml (parsed): uv's export, or the one that is the project's lock.

    ``meanwhile`` is called while uv works.

    Raises UserError when uv refuses the settings (an unknown group, extras that conflict), and with ``check`` when
    uv.lock does not belong to pyproject.toml.
    """
    if project.pylock is not None:
        meanwhile()
        found = copy.deepcopy(dict(project.pylock))
        _place_files(found, project.root, project.root)
        return _with_folders(project, found)
    exported, verdict, lock = _exported(project, hashes, check, meanwhile)
    if exported.code != 0 and "Failed to parse" in exported.err:
        raise UserError(_unlocked(project)) if _unlocked(project) else uv.explained(exported)
    missing = absent.problems(project) if verdict.why or verdict.unknown or verdict.refusal else ()
    if verdict.why and missing:
        raise UserError(missing)
    if verdict.why:
        raise _out_of_date(project, verdict)
    if exported.code != 0:
        raise uv.explained(exported, project.settings.table)
    if verdict.refusal and not missing:
        raise verdict.refusal
    if verdict.unknown and not missing:
        console.warn(f"uv.lock was not compared with pyproject.toml: {verdict.unknown} (to compare: uv lock --check)")
    return _with_folders(project, lock)


def _exported(
    project: Project,
    hashes: Mapping[str, FileHash],
    check: bool,  # noqa: FBT001 -- export's own
    meanwhile: Callable[[], object],
) -> tuple[process.Result, current.Verdict, dict[str, Any]]:
    """How the export ended, whether uv.lock is current, and the lock."""
    verdict = current.Verdict()
    with uv.nowhere() as nowhere, missing_hashes.exportable(project, hashes) as folder, contextlib.ExitStack() as ends:

        def start() -> process.Running:
            running = uv.start_export(project, folder, nowhere)
            ends.callback(running.stop)
            return running

        checking = current.Check(project, nowhere) if check else None
        if checking is not None:
            ends.callback(checking.stop)
        running = start() if checking is None or folder != project.root else None
        _prepare()
        meanwhile()
        exported = running.wait() if running is not None else None
        if checking is not None:
            verdict, compared = checking.wait()
            exported = exported or compared
        # What uv does not take for current is exported as it stands: what is wrong with the lock itself comes first.
        exported = exported or start().wait()
        lock = pylock.loads(exported.out) if exported.code == 0 else {}
        _place_files(lock, project.root, folder)
    return exported, verdict, lock


def _out_of_date(project: Project, verdict: current.Verdict) -> UserError:
    mend = verdict.mend.replace("uv lock", "nixgen sync" if project.table else project.lock_again)
    if project.script is not None:
        return UserError.of(project.lock, f"is out of date with {project.script.path}: {verdict.why}", mend)
    return UserError.of(project.lock, f"is out of date with pyproject.toml: {verdict.why}", mend)


def _unlocked(project: Project) -> list[Problem]:
    """Packages from git that uv.lock has no whole commit of, which uv does not read."""
    return [
        Problem(
            "uv.lock",
            f"{name} is locked to no commit of 40 hexadecimal digits ({address.rpartition('/')[2]})",
            uvlock.BROKEN,
        )
        for name, address in uvlock.git_sources(project.lock_text())
        if not re.fullmatch(_COMMIT, address.partition("#")[2].lower())
    ]


def _prepare() -> None:
    """Imports what :func:`select` needs, which takes as long as uv does."""
    from packaging import tags  # noqa: F401 -- it is used elsewhere


def _with_folders(project: Project, lock: dict[str, Any]) -> dict[str, Any]:
    """Gives directory sources the version that uv.lock has (a static one) and pylock.toml may not say (PEP 751).

    And, as ``compiled``, what in them has to be compiled. One that cannot be read is told of later.
    """
    folders = [entry for entry in lock.get("packages", ()) if "directory" in entry]
    if folders:
        from nixgen.project import compiled, layout

        versions = {package["name"]: package.get("version") for package in project.uv_lock().local}
        for entry in folders:
            if versions.get(entry["name"]) is not None:
                entry["version"] = versions[entry["name"]]
            with contextlib.suppress(UserError):
                source = layout.read(project.root, entry["name"], _relative(project, entry["directory"]))
                if what := compiled.parts(source, project.settings.skip_imports):
                    entry["directory"]["compiled"] = f"has to be compiled ({what})"
    return lock


def _reachable(project: Project, package: Package) -> bool:
    """Whether Nix and a teammate have a folder: it is in the project, or code of the same git repository."""
    path = package.path or ""
    if path.split("/")[0] != "..":
        return not PurePosixPath(path).is_absolute()
    from nixgen.machine import git

    top = git.top(project.root)
    place = Path(posixpath.normpath(project.root / path))
    return top is not None and not package.built and place.is_relative_to(top.resolve())


def _relative(project: Project, directory: Mapping[str, Any]) -> str:
    path = Path(directory["path"], directory.get("subdirectory", ""))
    if path.is_absolute() and path.is_relative_to(project.root):
        path = path.relative_to(project.root)
    return posixpath.normpath(path.as_posix())


def _place_files(lock: Mapping[str, Any], root: Path, folder: Path) -> None:
    """Gives files on this machine a path relative to the project, where they have one; uv ran in ``folder``."""
    for entry in lock.get("packages", ()):
        for file in (*entry.get("wheels", ()), entry.get("sdist"), entry.get("archive")):
            if file and str(file.get("url")).startswith("file:"):
                file["path"] = unquote(urlsplit(file.pop("url")).path)
            if file and "path" in file:
                file["path"] = missing_hashes.relative(Path(file["path"]), root, folder)


def select(
    project: Project, lock: Mapping[str, Any], targets: Sequence[Target], glibc: str, hashes: Mapping[str, FileHash]
) -> tuple[Resolution, ...]:
    """An exported lock applied to each target. Raises UserError when requires-python allows one of them not."""
    project = replace(project, uv=project.uv_settings())  # which is asked for each package
    version = lock.get("lock-version")
    if version != "1.0":
        raise UserError.of("uv export", f"gave a pylock.toml of version {version!r}; nixgen knows 1.0", "update nixgen")
    requires = lock.get("requires-python") or project.requires_python
    where = f"{project.script.path}: requires-python" if project.script else "pyproject.toml: project.requires-python"
    _require_python(requires, targets, where)
    environments = strings(lock.get("environments"))
    chosen = _chosen(project, lock)
    own = project.settings.environment
    entries = [_read(project, entry) for entry in lock.get("packages", ())]
    found = []
    for target in targets:
        choice = wheels.Choice(target, glibc, project.settings.macos)
        decides = markers.Markers(target, project.settings.macos, environments, *chosen)
        if environments and not any(decides.holds(marker) for marker in environments):
            found.append(replace(Resolution(target, (), (_unsupported(project, environments),)), environment=own))
            continue
        resolution = _for_target(project, entries, choice, decides, hashes)
        patch = resolution.patch or _separates(requires, target.python)
        found.append(replace(resolution, patch=patch, environment=own))
    return tuple(found)


def _chosen(project: Project, lock: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """The extras and groups that the markers of a pylock.toml ask for; uv's export has those that are chosen."""
    settings = project.settings
    if project.pylock is None:
        return frozenset(), frozenset()
    return pylockfile.chosen(
        lock, project.lock, settings.table, settings.extras, settings.groups, all_extras=settings.all_extras
    )


def _unsupported(project: Project, environments: Sequence[str]) -> Problem:
    """uv's own refusal (``uv sync``) of a platform that ``environments`` leave out."""
    theirs = "environments" if project.pylock is not None else "[tool.uv] environments"
    what = f"is not made for this system, but for {' or '.join(environments)} ({theirs})"
    mend = "add it to environments and run: uv lock" if project.pylock is None else project.lock_again
    return Problem(project.lock, what, f"take the system out of systems, or {mend}")


def split_served(resolutions: Sequence[Resolution]) -> tuple[tuple[Resolution, ...], tuple[Resolution, ...]]:
    """Those targets that the project can be had for, and those that it cannot, while it can for others.

    For projects that leave the systems to the default: a system that has a problem of its own (a package without a
    wheel for it, say) is then not one of them. A problem that all have keeps none out, nor does one that a command
    mends (``nixgen sync``, ``uv lock``). The second have only the problems that are theirs.
    """
    common = frozenset[str].intersection(*(_names(one) for one in resolutions)) if resolutions else frozenset[str]()
    served: list[Resolution] = []
    dropped: list[Resolution] = []
    whole = any(_names(one) == common for one in resolutions)
    for one in resolutions:
        own = _names(one) - common
        if own and whole:
            dropped.append(replace(one, problems=tuple(problem for problem in one.problems if problem.where in own)))
        else:
            served.append(one)
    return tuple(served), tuple(dropped)


def _names(resolution: Resolution) -> frozenset[str]:
    """What has problems that no command mends."""
    return frozenset(
        one.where for one in resolution.problems if not one.mend.startswith((LOCK_MEND, _REFRESH, *absent.MENDS))
    )


def without_wheel(resolution: Resolution) -> set[str]:
    """The packages that have no wheel for the target."""
    return {p.name for p in resolution.packages if p.kind == "sdist" or (p.kind == "wheel" and p.file is None)}


def left_out(resolution: Resolution) -> str:
    """The sentence for a target that :func:`split_served` dropped."""
    system, names = resolution.target.system, [problem.where for problem in resolution.problems]
    if resolution.environment:
        system = f"the environment {resolution.environment} on {system}"
    if set(names) <= without_wheel(resolution):
        return f"{system} is left out: no wheel there for {', '.join(names)}"
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{system} is left out: {names[0]} {resolution.problems[0].what}{more}"


def merged_problems(resolutions: Sequence[Resolution]) -> list[Problem]:
    """The problems of all targets, those that most share first; each is told once, with the systems that have it.

    What all of several have is no matter of the system, and named without. Where there are several environments, theirs
    are told with the name; what the default one has is not told again of others.
    """
    found: dict[Problem, dict[str, list[str]]] = {}
    count = Counter(one.environment for one in resolutions)
    for resolution in resolutions:
        for problem in resolution.problems:
            found.setdefault(problem, {}).setdefault(resolution.environment, []).append(resolution.target.system)
    told: list[tuple[int, Problem, Problem]] = []
    for problem, places in found.items():
        for name, systems in {"": places[""]}.items() if "" in places else places.items():
            words = [f"environment {name}"] if name and len(count) > 1 else []
            words += [] if len(systems) == count[name] > 1 else sorted(systems)
            where = f"{problem.where} ({', '.join(words)})" if words else problem.where
            told.append((-len(systems), problem, replace(problem, where=where)))
    return [problem for _, _, problem in sorted(told)]


def _require_python(requires: str | None, targets: Sequence[Target], where: str) -> None:
    if not requires:
        return
    refused = {
        Problem(
            where,
            f'"{requires}" does not allow the Python of the base, {environment(target)["python_full_version"]}',
            'change requires-python, or set another python under [tool.nixgen]: python = "3.X"',
        )
        for target in targets
        if not plain.allows(requires, environment(target)["python_full_version"])
    }
    if refused:
        raise UserError(sorted(refused))


def _separates(requires: str | None, python: str) -> bool:
    """Whether requires-python allows some patch releases of a Python only."""
    if not requires:
        return False
    return len({plain.allows(requires, f"{python}.{patch}") for patch in markers.patches(python, requires)}) > 1


class _Entry(NamedTuple):
    """A package of the exported lock; of its wheels those that may be taken, and these with their names read.

    ``chosen`` are those that targets took, by the place of the file's entry in memory: most take the same one.
    """

    told: Mapping[str, Any]
    offered: Sequence[Mapping[str, Any]]
    offers: Sequence[wheels.Offer]
    chosen: dict[int, tuple[Package, Problem | None]]


def _read(project: Project, told: Mapping[str, Any]) -> _Entry:
    """What is the same for all targets."""
    offered = () if _told(project, "no-binary", told["name"]) else told.get("wheels", ())
    if "archive" in told and wheels.parse(wheels.file_name(told["archive"])):
        offered = (told["archive"],)  # an address or a path of its own: nothing needs to be built
    return _Entry(told, offered, wheels.offers(offered), {})


def _for_target(
    project: Project,
    entries: Sequence[_Entry],
    choice: wheels.Choice,
    decides: markers.Markers,
    hashes: Mapping[str, FileHash],
) -> Resolution:
    packages: dict[str, Package] = {}
    problems: list[Problem] = []
    patch = False
    for entry in entries:
        marker = entry.told.get("marker")
        patch = patch or decides.patch_decides(marker)
        wanted = decides.holds(marker)
        if wanted is False:
            continue
        package, problem = _package(project, entry, choice, hashes)
        if not decides.allows(entry.told.get("requires-python")):
            what = f"is locked for Python {entry.told['requires-python']}, and the base has {decides.python}"
            problem = Problem(package.name, what, 'set another python under [tool.nixgen]: python = "3.X"')
        if wanted is None:
            problem = _undecided(package.name, decides.undecided(str(marker)))
        if package.name in packages:
            what = f"is locked twice for this target: {packages[package.name].version} and {package.version}"
            problem = Problem(package.name, what, _REFRESH + project.lock_again)
        packages.setdefault(package.name, package)
        if problem is not None:
            problems.append(problem)
    ordered = tuple(packages[name] for name in sorted(packages))
    return Resolution(choice.target, ordered, tuple(sorted(set(problems))), patch)


def _undecided(name: str, part: str) -> Problem:
    what = f"is wanted on some machines of this system only: {part}"
    mend = f'say under [tool.uv] which they are, environments = ["{part}"], then: uv lock'
    return Problem(name, what, mend)


def _package(
    project: Project, entry: _Entry, choice: wheels.Choice, hashes: Mapping[str, FileHash]
) -> tuple[Package, Problem | None]:
    told = entry.told
    name, version = told["name"], told.get("version")
    if "directory" in told:
        return _directory(project, name, version, told["directory"])
    if "vcs" in told or ("archive" in told and not entry.offers):
        return _unpublished(project, told, hashes)
    best = choice.best_of(entry.offers)
    if best is not None:
        if id(best) not in entry.chosen:
            package = _file(name, version, "wheel", best, hashes)
            entry.chosen[id(best)] = package, _file_problem(project, package)
        return entry.chosen[id(best)]
    return _without_wheel(project, told, entry.offered, choice, hashes)


def _unpublished(
    project: Project, entry: Mapping[str, Any], hashes: Mapping[str, FileHash]
) -> tuple[Package, Problem | None]:
    name, version = entry["name"], entry.get("version")
    if "vcs" in entry:
        return _checkout(project, name, version, entry["vcs"])
    package = _file(name, version, "archive", entry["archive"], hashes)
    package = replace(package, subdirectory=str(entry["archive"].get("subdirectory", "")))
    return package, _source_problem(project, package)


def _checkout(
    project: Project, name: str, version: str | None, vcs: Mapping[str, Any]
) -> tuple[Package, Problem | None]:
    """A package from git. ``nixgen lock`` needs one commit, which is never a branch or a tag."""
    kind, url, commit = (str(vcs.get(key, "")) for key in ("type", "url", "commit-id"))
    package = Package(name, version, "vcs")
    if kind != "git":
        return package, Problem(name, f"comes from {kind or 'nowhere'}, and nixgen knows git only", _published(name))
    secret = next(addresses.found(url), None)
    if secret is not None:
        mend = f"take it out of [tool.uv.sources], log in with git (git ls-remote), then: uv lock -P {name}"
        return package, Problem(name, f"its repository has a login in its address ({secret})", mend)
    if urlsplit(url).scheme not in _GIT_SCHEMES:
        what = f"its repository has an address that git knows, and nixgen does not ({url})"
        mend = f"use one that starts with {' or '.join(f'{one}://' for one in _GIT_SCHEMES)}"
        return package, Problem(name, what, mend)
    if not re.fullmatch(_COMMIT, commit):
        what = f'is locked to "{commit}", which is not a commit of 40 hexadecimal digits'
        return package, Problem(name, what, f"uv lock --upgrade-package {name}")
    folder = posixpath.normpath(str(vcs.get("subdirectory") or "."))
    if folder.startswith(("/", "../")) or folder == "..":
        return package, Problem(name, f"its subdirectory {folder} is outside of its repository", _published(name))
    git = Git(url, commit, "" if folder == "." else folder, str(vcs.get("requested-revision", "")))
    package = replace(package, git=git)
    return package, _forbidden(project, name)


def _without_wheel(
    project: Project,
    entry: Mapping[str, Any],
    offered: Sequence[Mapping[str, Any]],
    choice: wheels.Choice,
    hashes: Mapping[str, FileHash],
) -> tuple[Package, Problem | None]:
    name, version, sdist = entry["name"], entry.get("version"), entry.get("sdist")
    if sdist is None and entry.get("wheels") and not offered:
        what = "can't be installed because it is marked as `--no-binary` but has no source distribution"
        return Package(name, version, "wheel"), Problem(name, what, f"take {name} out of no-binary under [tool.uv]")
    if sdist is None:
        return Package(name, version, "wheel"), choice.explain(name, offered)
    package = _file(name, version, "sdist", sdist, hashes)
    uploaded = sdist.get("upload-time")
    why = choice.explain(name, offered).what if offered else ""
    if entry.get("wheels") and not offered:
        why = "no wheel is wanted of it (no-binary under [tool.uv])"
    package = replace(package, why=why, uploaded=uploaded.isoformat() if isinstance(uploaded, datetime) else "")
    return package, _source_problem(project, package)


def _source_problem(project: Project, package: Package) -> Problem | None:
    """What stands in the way of building a file from its source."""
    return _forbidden(project, package.name) or _file_problem(project, package)


def _forbidden(project: Project, name: str) -> Problem | None:
    """Whether it may not be built. The sentence is uv's (``uv sync``)."""
    if not _told(project, "no-build", name):
        return None
    what = "can't be installed because it is marked as `--no-build` but has no binary distribution"
    mend = f"{_other_version(project, name)}; or allow it: no-build = false under [tool.uv]"
    return Problem(name, what, mend)


def _file(
    name: str, version: str | None, kind: Kind, file: Mapping[str, Any], hashes: Mapping[str, FileHash]
) -> Package:
    path = posixpath.normpath(file["path"]) if "path" in file else None
    place: tuple[str, str | None] = (wheels.file_name(file), file.get("url"))
    known = hashes.get(Package(name, version, kind, *place, path=path).address) if hashes else None
    sha256, size = file.get("hashes", {}).get("sha256"), file.get("size")
    if sha256 in {None, missing_hashes.UNKNOWN}:
        sha256 = known and known.sha256
    if size is None and known is not None:
        size = known.size
    return Package(name, version, kind, *place, sha256=sha256.lower() if sha256 else None, size=size, path=path)


def _file_problem(project: Project, package: Package) -> Problem | None:
    if package.path and not package.address:
        file = "wheel" if package.kind == "wheel" else "source distribution"
        what = f"its {file} lies outside of the project ({package.path}), which neither a teammate nor Nix has"
        mend = 'put it into a folder of the project, name that (find-links = ["./vendor"]), then: uv lock'
        return Problem(package.name, what, mend)
    if package.path and (missing := absent.file_problem(project.root, package.name, package.path)):
        return missing
    if package.sha256 is None:
        return Problem(package.name, f"uv.lock has no SHA-256 of {package.file}", LOCK_MEND)
    return None


def _directory(
    project: Project, name: str, version: str | None, directory: Mapping[str, Any]
) -> tuple[Package, Problem | None]:
    text = _relative(project, directory)
    package = Package(name, version, "directory", path=text, why=str(directory.get("compiled", "")))
    missing = absent.problem(project.root, name, text)
    if missing is not None:
        return package, missing
    if not _reachable(project, package):
        what = f"is a folder outside the project ({text})"
        mend = "move it into the project, or make a uv workspace of the folder that holds both"
        return package, Problem(name, what, mend)
    return package, None


def _told(project: Project, key: str, name: str) -> bool:
    """Whether uv's ``no-binary`` or ``no-build``, or the list of packages beside it, holds for this one."""
    settings = project.uv_settings()
    named = {normalized(other) for other in strings(settings.get(f"{key}-package"))}
    return settings.get(key) is True or name in named


def _published(name: str) -> str:
    return f"use a published version that has wheels: remove {name} from [tool.uv.sources], or depend on it by version"


def _other_version(project: Project, name: str) -> str:
    """Only what the project itself depends on is chosen by ``uv add``."""
    if name in project.direct():
        return f'choose a version with wheels (uv add "{name}==…"), or a package that does the same'
    choose = f'constraint-dependencies = ["{name}==…"] under [tool.uv], then: uv lock'
    return f"choose a version with wheels ({choose}), or another package than the one that needs it"
