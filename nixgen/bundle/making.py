"""``nixgen bundle create``: builds what is missing, compares each path with the record, and writes the one file."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nixgen.bundle import model, proofs, reading, start, tarform
from nixgen.bundle.gzipped import Gzip
from nixgen.bundle.model import Bundle, File
from nixgen.bundle.narstream import NarStream
from nixgen.bundle.tarform import DIRECTORY, FILE, LINK, Entry
from nixgen.check import closure, record
from nixgen.check.digest import closure_digest
from nixgen.check.facts import system as own_system
from nixgen.check.model import ClosurePath
from nixgen.console import Line, console, size
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.guard.hashing import processors
from nixgen.lock import lockfile
from nixgen.machine import files, git, scratch
from nixgen.nix.json import STORE
from nixgen.nix.progress import shown
from nixgen.nix.tools import Nix, Recipe
from nixgen.project.project import Project, find_project
from nixgen.runs import attest
from nixgen.sync.shell import Later

_PIECE, _SHOWN = 1 << 20, 1 << 16
_ARTIFACTS = ("models-all", "data-all", "cache")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
Put = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Asked:
    """What goes into a bundle. ``environment`` is the one that it has, None for all; ``out`` where it is written.

    ``key`` signs it (PEM), with ``sign`` sigstore does without one.
    """

    project: Path
    out: Path | None = None
    system: str = ""
    environment: str | None = None
    models: bool = True
    key: Path | None = None
    sign: bool = False
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written. ``recorded`` and ``logged`` are how many of its paths the record and a log have."""

    bundle: Bundle
    digest: str
    place: Path
    size: int
    recorded: int
    signed: bool
    logged: int


def create(asked: Asked) -> Made:
    """Writes a bundle, whole or not at all.

    Raises Finding for a path that is not as the record has it, or changed on the disk; Stale, BuildFailed, UserError;
    MachineError for a full disk.
    """
    project = find_project(asked.project)
    out = (asked.out or Path(f"{project.name}.nixgen")).absolute()
    if os.path.lexists(out):
        raise UserError.of(str(out), "is there already", "name another file, -o FILE, or remove it")
    own = _own_files(project)
    base = lockfile.read_lock(project.path(lockfile.NAME)).base
    nix, system = Nix.here(), asked.system or own_system()
    with console.step("evaluating"):
        recipes = nix.recipes(project.root, system)
    setups = _setups(project, recipes, asked.environment)
    wanted = [setups[label] for label in setups]
    artifacts = [recipes[key] for key in _ARTIFACTS if key in recipes]
    later = Later(project, None)
    with nix.roots() as keep:
        built = [*wanted, *(artifacts if asked.models else ())]
        nix.realise([one.drv for one in built], shown("building"), keep, later, later.advise)
        source = [f"{STORE}/{name}" for name in nix.valid(filter(None, [model.evaluated(base)]))]
        paths = closure.noted(nix.closure([*(one.out for one in built), *source]).values())
        missing: tuple[str, ...] = ()
        if not asked.models:
            bare = [recipes[f"{label}.environment".lstrip(".")].out for label in setups]
            paths, missing = _without(paths, nix, [one.out for one in artifacts], bare)
        recorded = _compared(project, system, paths)
        labels = {label: closure.name_of(one.out) for label, one in setups.items()}
        bundle = Bundle(project.name, system, labels, own, paths, missing)
        log = proofs.made(project.root, paths)
        bundle = replace(bundle, log=hashlib.sha256(log).hexdigest() if log else "")
        bundle, script = start.started(bundle)
        data = model.dump(bundle)
        document = model.statement(bundle, model.digest(data), closure_digest(paths.values()))
        signs = asked.sign or asked.key is not None
        text = attest.text(document, asked.key, sign=signs, password=asked.password)
        front = {model.NAME: data, model.STATEMENT: f"{text.rstrip()}\n".encode()} | ({model.LOG: log} if log else {})
        with placed(out) as file:
            write(file, script, front, bundle, project.root, nix)
        count = len(proofs.logged(log, bundle, str(out))) if log else 0
        return Made(bundle, model.digest(data), out, out.stat().st_size, recorded, signs, count)


def _setups(project: Project, recipes: Mapping[str, Recipe], environment: str | None) -> dict[str, Recipe]:
    """What the shell of each environment sources, by the environment's name."""
    found = {key.removesuffix("shell").rstrip("."): one for key, one in recipes.items() if key.endswith(".shell")}
    found = {label: one for label, one in found.items() if label in project.settings.environments}
    found[""] = recipes["shell"]
    if environment is None:
        return dict(sorted(found.items()))
    project.of(environment)
    if environment not in found:
        raise UserError.of("--env", f"{environment} is not for this system", "name another system: --system SYSTEM")
    return {environment: found[environment]}


def _without(
    paths: Mapping[str, ClosurePath], nix: Nix, artifacts: list[str], environments: list[str]
) -> tuple[dict[str, ClosurePath], tuple[str, ...]]:
    """The paths less models and data, and the names of those of these that the others refer to."""
    valid = [path for path in artifacts if closure.name_of(path) in paths]
    theirs = {closure.name_of(path) for path in (nix.closure(valid) if valid else ())}
    theirs -= {closure.name_of(path) for path in nix.closure(environments)}
    kept = {name: path for name, path in paths.items() if name not in theirs}
    return kept, tuple(sorted({one for path in kept.values() for one in path.references} & theirs))


def _compared(project: Project, system: str, paths: Mapping[str, ClosurePath]) -> int:
    """How many of the paths the record has. Raises Finding for those that it has otherwise."""
    found = record.read_record(project.root / record.NAME)
    entry = found.systems.get(system) if found is not None else None
    known = entry.closure if entry is not None else {}
    wrong = [
        Problem(name, f"has the NAR hash {path.nar_hash}, and {record.NAME} has {known[name].nar_hash}", "nixgen check")
        for name, path in paths.items()
        if name in known and known[name] != path
    ]
    if wrong:
        raise Finding(wrong)
    return len(known.keys() & paths.keys())


def _own_files(project: Project) -> dict[str, File]:
    """The project's files that git knows, as they are now, and the record. Raises UserError, MachineError."""
    root = project.root
    if not git.in_work_tree(root):
        mend = "git init && git add ."
        raise UserError.of(str(root), "is not in a git repository, which says what belongs to the project", mend)
    found, problems = {}, []
    for path in sorted({*git.known_files(root), *([record.NAME] if (root / record.NAME).is_file() else [])}):
        if path.startswith(model.KEEPS):
            continue
        try:
            file = _described(root / path)
        except FileNotFoundError:
            if "\ufffd" in path:
                problems.append(Problem(path, "has a name that is not UTF-8", "git mv it to another name"))
            continue  # removed, and git was not told yet
        except IsADirectoryError:
            problems.append(Problem(path, "is a repository of its own (a submodule)", "make it a part of this one"))
            continue
        except OSError as error:
            raise files.unreadable(path, error) from None
        found[path] = file
        if file.target and not model.inside(path, file.target):
            problems.append(Problem(path, f"is a link to {file.target}, out of the project", "make it a file"))
    if problems:
        raise UserError(problems)
    return found


def _described(place: Path) -> File:
    state = place.lstat()
    if stat.S_ISLNK(state.st_mode):
        return File(target=os.readlink(place))  # noqa: PTH115 -- as it is written there
    digest = hashlib.sha256()
    with files.opened(place) as file:
        for piece in files.pieces(file):
            digest.update(piece)
        return File(file.tell(), digest.hexdigest(), bool(state.st_mode & stat.S_IXUSR))


@contextlib.contextmanager
def placed(out: Path) -> Iterator[Path]:
    """A file beside the one that is to be written, which it becomes when all of it is there."""
    try:
        with scratch.folder(out.parent) as folder:
            yield folder / "bundle"
            (folder / "bundle").rename(out)
    except OSError as error:
        mend = "name another place: -o FILE"
        raise MachineError.of(str(out), f"cannot be written: {error.strerror}", mend) from None


def write(place: Path, script: bytes, front: Mapping[str, bytes], bundle: Bundle, root: Path, nix: Nix) -> None:
    """Writes the file of a bundle. Raises Finding for what changed on the disk, OSError for a full one."""
    line, done, total = Line(), 0, bundle.size
    with place.open("xb") as out, contextlib.ExitStack() as stack:
        out.write(script)
        packed = stack.enter_context(Gzip(out.write, processors()))

        def put(piece: bytes) -> None:
            nonlocal done
            done += len(piece)
            packed.put(piece)
            if not console.quiet and line.shown and len(piece) >= _SHOWN:
                line.write(f"writing {size(min(done, total))} of {size(total)}")

        for name, data in front.items():
            put(tarform.header(Entry(name.encode(), FILE, 0o644, len(data))) + data + tarform.padding(len(data)))
        for path, file in bundle.files.items():
            _file(put, path, file, root / path)
        for name in bundle.order:
            _path(put, bundle.paths[name], nix)
        put(tarform.END)
        packed.end()
        line.write("")


def _file(put: Put, path: str, file: File, place: Path) -> None:
    name = os.fsencode(model.PROJECT + path)
    if file.target:
        put(tarform.header(Entry(name, LINK, reading.LINK_MODE, 0, os.fsencode(file.target))))
        return
    found = hashlib.sha256()
    put(tarform.header(Entry(name, FILE, reading.PROJECT_MODES[file.executable], file.size)))
    for piece in _content(os.fsencode(place), file.size):
        found.update(piece)
        put(piece)
    put(tarform.padding(file.size))
    if found.hexdigest() != file.sha256:
        raise Finding.of(path, "changed while the bundle was written", "write it again: nixgen bundle")


def _path(put: Put, path: ClosurePath, nix: Nix) -> None:
    """A store path; its bytes are compared with its NAR hash on their way. Raises Finding, MachineError."""
    whole = f"{STORE}/{path.name}"
    place = nix.physical(whole)
    if place is None:
        what = "lies in a store that is not on this machine"
        raise MachineError.of(whole, what, "name a store of this machine, or copy it here: nix copy --from")
    nar, found = NarStream(), hashlib.sha256()
    begin, above = os.fsencode(model.STORE + path.name), os.fsencode(place)
    for parts, entry in _walked(above, begin, ()):
        found.update(nar.begin(parts, entry))
        put(tarform.header(entry))
        if entry.size:
            for piece in _content(b"/".join((above, *parts)), entry.size):
                found.update(piece)
                put(piece)
            put(tarform.padding(entry.size))
        found.update(nar.end(parts, entry))
    found.update(nar.close())
    digest = f"sha256-{base64.b64encode(found.digest()).decode()}"
    if digest != path.nar_hash:
        what = f"changed on the disk: its NAR hash is {digest}, and it was {path.nar_hash}"
        raise Finding.of(whole, what, f"build or fetch it again: nix-store --repair-path {whole}")


def _walked(place: bytes, name: bytes, parts: tuple[bytes, ...]) -> Iterator[tuple[tuple[bytes, ...], Entry]]:
    """What is at a place of the store, in the order of a NAR."""
    state = os.lstat(place)
    if stat.S_ISDIR(state.st_mode):
        yield parts, Entry(name, DIRECTORY, reading.DIRECTORY_MODE)
        for one in sorted(os.listdir(place)):  # noqa: PTH208 -- bytes: names need not be text
            yield from _walked(b"%b/%b" % (place, one), b"%b/%b" % (name, one), (*parts, one))
    elif stat.S_ISLNK(state.st_mode):
        target = os.readlink(place)  # noqa: PTH115 -- the same
        yield parts, Entry(name, LINK, reading.LINK_MODE, 0, target)
    else:
        runs = bool(state.st_mode & stat.S_IXUSR)
        yield parts, Entry(name, FILE, reading.FILE_MODES[runs], state.st_size)


def _content(place: bytes, size: int) -> Iterator[bytes]:
    """The bytes of a file, of which there must be so many. Raises Finding."""
    left = size
    with os.fdopen(os.open(place, _FLAGS), "rb", buffering=0) as file:
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                raise Finding.of(os.fsdecode(place), "changed while it was read", "write the bundle again")
            left -= len(piece)
            yield piece
