"""``nixgen run --record``: a command is run in the project's environment, and what it was run with is written down.

Before the command starts, what cannot be recorded ends it all; from then on the run goes on whatever happens to its
record, which says what it lacks. The record is there from the beginning, with the status "running", and is replaced at
once at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from nixgen import __version__
from nixgen.bases.model import Base
from nixgen.console import console
from nixgen.errors import Finding, MachineError, NixgenError, Problem, UserError
from nixgen.lock import lockfile
from nixgen.machine import files, git
from nixgen.machine.background import Beside
from nixgen.models import verify
from nixgen.runs import begin, capture, config, facts, metrics, outputs, recordfile, reproductions
from nixgen.runs.model import (
    DIFF,
    FOLDER,
    NAME,
    STDERR,
    STDOUT,
    Artifact,
    Asked,
    Environment,
    Machine,
    Run,
    Seeds,
    Status,
)

SEEDS_FILE = "NIXGEN_RUN_SEEDS"
"""The variable that names the file in which ``nixgen.seed_everything`` notes what it did, a line of JSON each time."""

_NOTE, _SEEDS, _RESERVE = ".began", ".seeds", ".reserve"
_RESERVED = 256 << 10  # bytes that are kept free for the record's end
_IGNORE = ".gitignore"
_KEPT = "".join(
    f"{line}\n"
    for line in (
        "# The record of a run needs these files, so no rule of the project's .gitignore counts for them.",
        *(f"!/*/{name}" for name in (NAME, STDOUT, STDERR, DIFF)),
        *(f"!/*/{reproductions.FOLDER}/{rest}" for rest in ("", "*")),
    )
).encode()
"""What git takes of runs. Not the copies of configurations: one that git ignores may be secret."""
_OFTEN = 0.02  # seconds between two looks at whether the command has begun


@dataclass(frozen=True, slots=True)
class Options:
    """What is recorded of a run beside what can be found out. Paths are as they were given.

    ``clean`` refuses a tree with changes. ``metrics`` is a file that the command writes, ``outputs`` are files
    or folders.
    """

    clean: bool = False
    config: tuple[Path, ...] = ()
    seed: int | None = None
    metrics: Path | None = None
    outputs: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Lacks:
    """What a record lacks, in sentences; ``code`` is how nixgen ends for that where the command itself went well."""

    sentences: list[str] = field(default_factory=list)
    code: int = 0

    def add(self, sentence: str, code: int = 0) -> None:
        self.sentences.append(sentence)
        self.code = max(self.code, code)
        console.warn(f"the record lacks {sentence}")

    @contextlib.contextmanager
    def where(self, what: str, code: int = MachineError.exit_code) -> Iterator[None]:
        """Goes on where a part of the record cannot be made, or the user interrupts it."""
        try:
            with _signals(signal.default_int_handler):
                yield
        except NixgenError as error:
            for problem in error.problems:
                self.add(
                    f"{what}: {problem.where}: {problem.what}" if problem.where else f"{what}: {problem.what}", code
                )
        except OSError as error:
            self.add(f"{what}: {error.strerror or error}", code)
        except KeyboardInterrupt:
            self.add(f"{what}: interrupted", code)


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """What Ctrl-C and SIGTERM do in the block."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def record(
    lock: Path,
    names: Sequence[str],
    command: Sequence[str],
    how: verify.Options,
    options: Options,
    after: Callable[[Path, Path], None] = lambda _root, _folder: None,
) -> int:
    """Runs the command and records it; the exit code, which is the command's.

    ``after`` is called with the project's folder and the run's, when the record is whole; Ctrl-C interrupts it.

    Where that is 0, it is 1 for a metrics file or output that was not written, and 3 for a record that is not whole.
    Raises UserError, Finding and MachineError before the command is started.
    """
    root, pinned = lock.parent, lockfile.read_lock(lock)
    variables = verify.seed_variables(options.seed)
    for path in options.config:
        config.contents(path)
    written = [*options.outputs, *([options.metrics] if options.metrics is not None else [])]
    tree = _tree(root, [path.absolute() for path in written], clean=options.clean)
    lacks = _Lacks()
    for sentence in tree.lacks if tree is not None else ():
        lacks.add(sentence)
    folder = _folder(root)
    note = folder / _NOTE
    over = threading.Event()
    machine = Beside(facts.machine)  # already while git compares the tree
    environment = Beside(lambda: _environment(how.environment, note, over, root, pinned.base))
    start = [sys.executable, "-I", "-S", begin.__file__, str(note), *command]
    try:
        words, env = verify.command_line(lock, names, start, how)
        run = _begun(root, facts.artifacts(pinned, names), command, folder, options, tree)
        _write(folder, run)
        (folder / _RESERVE).write_bytes(bytes(_RESERVED))
    except BaseException as error:
        over.set()
        _remove(folder)
        if isinstance(error, OSError):
            raise MachineError.of(str(folder), f"cannot be written: {error.strerror}", "free some room") from None
        raise
    for one in run.config:
        if one.masked or not one.copy:
            what = f"{', '.join(one.masked)} masked in the copy" if one.copy else "not UTF-8, so there is no copy"
            console.warn(f"--config {one.path}: {what}")
    before = {path: outputs.state(path) for path in written}
    given = {**env, **variables, SEEDS_FILE: str(folder / _SEEDS)}
    console.info(f"run {run.id}")
    with _signals(lambda _number, _frame: None):  # the record's end is not to be kept from being written
        try:
            ended = capture.run(words, given, folder / STDOUT, folder / STDERR)
        finally:
            over.set()
        code = _ended(run, folder, ended, options, _Beside(machine, environment, before), lacks)
        with _signals(signal.default_int_handler):
            after(root, folder)
        return code


@dataclass(frozen=True, slots=True)
class _Beside:
    """What was found out while the command ran, and what its outputs were like before."""

    machine: Beside[Machine]
    environment: Beside[Environment | None]
    before: dict[Path, dict[str, outputs.State]]


def _begun(
    root: Path,
    artifacts: tuple[Mapping[str, Artifact], Mapping[str, Artifact]],
    command: Sequence[str],
    folder: Path,
    options: Options,
    tree: facts.Tree | None,
) -> Run:
    """What is known before the command starts."""
    words, hidden = config.masked_words(command)
    if hidden:
        console.warn(f"the record leaves out {', '.join(hidden)}: pass secrets in variables")
    models, data = artifacts
    variables = verify.seed_variables(options.seed)
    asked = Asked(str(options.metrics or ""), tuple(map(str, options.outputs)))
    return Run(
        id=folder.name,
        status="running",
        command=words,
        started=datetime.now(UTC),
        folder=Path(os.path.relpath(Path.cwd(), root)).as_posix(),
        git=facts.write_diff(root, tree, folder) if tree is not None else None,
        project=facts.project(root, tree),
        models=models,
        data=data,
        config=config.keep(options.config, folder),
        asked=asked if asked != Asked() else None,
        seeds=Seeds(options.seed, variables) if variables else None,
        nixgen=__version__,
    )


def _ended(run: Run, folder: Path, ended: capture.Ended, options: Options, beside: _Beside, lacks: _Lacks) -> int:
    """Writes the record's end; the exit code."""
    began = _began(folder / _NOTE)
    for sentence in ended.lost:
        lacks.add(sentence, MachineError.exit_code)
    found: dict[str, Any] = {"variables": began.variables if began else {}}
    with lacks.where("machine"):
        found["machine"] = beside.machine.result()
    with lacks.where("environment", 0):
        found["environment"] = beside.environment.result()
    if began:
        with lacks.where("outputs"):
            collected = outputs.collect(options.outputs, beside.before)
            found["outputs"] = collected.outputs
            for sentence in collected.lacks:
                lacks.add(sentence, Finding.exit_code)
        with lacks.where("metrics", Finding.exit_code):
            found["metrics"] = _metrics(folder, options.metrics, beside.before)
        with lacks.where("seeds"):
            found["seeds"] = _seeds(folder / _SEEDS, run.seeds)
    else:
        lacks.add("what the command would have made: it was not started")
    status: Status = "interrupted" if ended.interrupted else "failed" if ended.code else "finished"
    seconds = ended.ended - (began.at if began else ended.began)
    whole = replace(
        run,
        status=status,
        ended=run.started + timedelta(seconds=ended.ended - ended.began),
        seconds=round(seconds, 6),
        exit=ended.code,
        missing=tuple(lacks.sentences),
        **found,
    )
    for name in (_RESERVE, _NOTE, _SEEDS):
        (folder / name).unlink(missing_ok=True)
    with lacks.where(f"its end, so that it says that the run goes on: {folder / NAME}"):
        _write(folder, whole)
    console.info(f"{status} in {seconds:.1f} s: {_near(folder / NAME)}")
    return ended.code or lacks.code


def _tree(root: Path, written: Sequence[Path], *, clean: bool) -> facts.Tree | None:
    tree = facts.tree(root, written)
    if not clean:
        return tree
    if tree is None:
        raise UserError.of("--clean", "the project is in no git repository", "git init, or leave --clean out")
    if not tree.git.commit:
        raise UserError.of("--clean", "the repository has no commit yet", "git add --all && git commit")
    if tree.git.dirty:
        mend = "git commit, git stash, or leave --clean out: the changes are kept beside the record"
        raise Finding(Problem(path, "is not as it was committed", mend) for path in sorted(tree.changes))
    return tree


def _folder(root: Path) -> Path:
    """A new folder for a run, called as its id: its second, the part of it (of 4096), and a number by chance.

    So the names of runs are in the order of their beginnings.
    """
    try:
        (root / FOLDER).mkdir(exist_ok=True)
        if not (root / FOLDER / _IGNORE).exists() and git.top(root) is not None:
            files.write_all(root / FOLDER, {_IGNORE: _KEPT})
        while True:
            now = datetime.now(UTC)
            part = (now.microsecond << 12) // 1_000_000
            name = f"{now:%Y%m%d-%H%M%S}-{part:03x}{secrets.randbelow(1 << 12):03x}"
            with contextlib.suppress(FileExistsError):
                (root / FOLDER / name).mkdir()
                return root / FOLDER / name
    except OSError as error:
        mend = "free some room, or make the folder writable"
        raise MachineError.of(str(root / FOLDER), f"cannot be written: {error.strerror}", mend) from None


def _remove(folder: Path) -> None:
    """Takes a run back that was never started."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()  # where it was the first one


def _write(folder: Path, run: Run) -> None:
    files.write_all(folder, {NAME: recordfile.dump(run)})


@dataclass(frozen=True, slots=True)
class _Began:
    """What the command began with: when, by the monotonic clock, in which environment, with which variables."""

    at: float
    venv: str
    variables: Mapping[str, str]


def _began(note: Path) -> _Began | None:
    """What ``begin.py`` noted; None where the command was not started."""
    try:
        when, *pairs = os.fsdecode(note.read_bytes()).split("\0")
        (_, venv), *variables = (pair.split("=", 1) for pair in pairs)
        return _Began(float(when), venv, dict(variables))
    except (OSError, ValueError):
        return None


def _environment(name: str, note: Path, over: threading.Event, root: Path, base: Base) -> Environment | None:
    """The environment that the command runs in, as soon as it does."""
    with contextlib.suppress(NixgenError):
        facts.ask_early(os.environ.get("VIRTUAL_ENV", ""))
    while not note.exists() and not over.wait(_OFTEN):
        pass
    began = _began(note)
    if began is None:
        return None
    return facts.environment(name or os.environ.get("NIXGEN_LABEL", ""), began.venv, root, base)


def _metrics(
    folder: Path, path: Path | None, before: Mapping[Path, Mapping[str, outputs.State]]
) -> Mapping[str, float]:
    """Those of stdout's lines, and over them those of the file. Raises UserError where it is not there or is old."""
    found = metrics.from_lines(folder / STDOUT)
    if path is None:
        return found
    now = outputs.state(path)
    if not now:
        raise UserError.of(f"--metrics {path}", "the command did not make it")
    if now == before.get(path):
        raise UserError.of(f"--metrics {path}", "it was there before, and the command did not write it")
    return {**found, **metrics.from_file(path)}


def _seeds(path: Path, given: Seeds | None) -> Seeds | None:
    """What was asked for, and what the processes of the run said they seeded."""
    found = given or Seeds()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return given
    for line in lines:
        try:
            said = json.loads(line)
            found = replace(
                found,
                seed=int(said["seed"]) if found.seed is None else found.seed,
                variables={**found.variables, **_texts(said.get("variables"))},
                libraries={**found.libraries, **_texts(said["libraries"])},
                deterministic=found.deterministic or bool(said["deterministic"]),
                nondeterministic=tuple(dict.fromkeys([*found.nondeterministic, *map(str, said["nondeterministic"])])),
            )
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            raise MachineError.of("", f"a line of {SEEDS_FILE} cannot be read") from None
    return found


def _texts(value: Any) -> dict[str, str]:  # noqa: ANN401 -- any JSON value
    return {str(name): str(text) for name, text in (value or {}).items()}


def _near(path: Path) -> str:
    """A path as one would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
