"""``nixgen reproduce``: makes a recorded run again from its commit, its locks and its inputs, and compares.

The second run is recorded as the first one was, by ``nixgen run --record`` in a checkout of its own, so that both are
compared as records.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nixgen import guard
from nixgen.check import closure
from nixgen.console import console
from nixgen.errors import Finding, MachineError, NixgenError, UserError
from nixgen.machine import process
from nixgen.runs import begin, config, finding, reproductions, verdict
from nixgen.runs.checkout import Checkout, checkout, within
from nixgen.runs.diff import Difference
from nixgen.runs.finding import Found
from nixgen.runs.model import Asked, Environment, Output, Run, Seeds
from nixgen.runs.reproductions import Reproduction
from nixgen.runs.verdict import SEED

_PIECE = 1 << 20
_SHELL = ("NIXGEN_ROOT", "NIXGEN_MODELS", "NIXGEN_DATA", "NIXGEN_LABEL", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")


@dataclass(frozen=True, slots=True)
class Again:
    """A reproduction and where its record was written."""

    found: Reproduction
    place: Path


def reproduce(root: Path, found: Found, times: int, given: list[str]) -> Iterator[Again]:
    """Makes a run of the project ``root`` again, so many times, each time in a new checkout.

    The first one runs on another number of cores than the run did: on one, or, where that had one, on all; the next
    ones in turn. Raises UserError, Finding and MachineError where it cannot be made again.
    """
    run = found.run
    tolerance = verdict.tolerances(given, run)
    try:
        _refuse(run, root)
    except UserError as error:
        (problem,) = error.problems
        mend = finding.instead(root, lambda one: _can(one, root), problem.mend)
        raise UserError([replace(problem, mend=mend)]) from None
    record = reproductions.digest(found.folder)
    one_first = run.machine is None or run.machine.cores != 1
    for number in range(times):
        one = one_first == (number % 2 == 0)
        with checkout(root, found) as place:
            made = _made(root, run, place, one=one)
            differences = _libraries(run.environment or Environment(), made.environment or Environment())
            judged = verdict.judge(_relative(run, root), made, tolerance, _where(root, run, place))
            whole = _whole(judged.differences, differences)
            again = Reproduction(run.id, record, judged.verdict, made, whole, tolerance)
        yield Again(again, reproductions.write(found.folder, again))


def lines(again: Again) -> list[str]:
    """A reproduction, for people: the verdict, and what differs, the first cause first."""
    found = again.found
    cores = found.made.machine.cores if found.made.machine is not None else 0
    on = f" on {cores} core{'' if cores == 1 else 's'}" if cores else ""
    rows = [f"{found.run}: {verdict.SAID[found.verdict]}{on}"]
    rows += [f"  {one.kind}: {one.name}: {one.old} → {one.new}" for one in found.differences]
    return [*rows, f"  {again.place}"]


def as_json(again: Again) -> str:
    """The same as a line of JSON, with what the record has but for the run that was made."""
    found = again.found
    return json.dumps(
        {
            "run": found.run,
            "verdict": found.verdict,
            "record": str(again.place),
            "differences": [asdict(one) for one in found.differences],
        }
    )


def _refuse(run: Run, root: Path) -> None:
    """Raises UserError for a run that cannot be made again, or that nothing could be said of."""
    if run.status not in {"finished", "failed"} or run.exit is None:
        raise UserError.of(run.id, f"did not end by itself: it is {run.status}", "reproduce one that is finished")
    if any(config.BLOT in word for word in run.command):
        what = "its command had a secret, which the record does not have"
        raise UserError.of(run.id, what, "pass secrets in variables, and record it again")
    if not run.outputs and not run.metrics:
        mend = "record it with --output or --metrics"
        raise UserError.of(run.id, "has no outputs and no metrics: there is nothing to compare", mend)
    asked, below = _asked(run, root), run.project.path if run.project is not None else "."
    for path in filter(None, (*asked.outputs, asked.metrics)):
        if os.path.isabs(path) or os.path.normpath(f"{below}/{run.folder}/{path}").startswith(".."):  # noqa: PTH117 -- a text
            what = f"{path} is outside of the repository: to make it again would be to write over it"
            raise UserError.of(run.id, what, "record it with an output in the project")


def _can(run: Run, root: Path) -> bool:
    """Whether a run could be made again, as far as its record says."""
    with contextlib.suppress(UserError):
        _refuse(run, root)
        return run.git is not None and bool(run.git.commit)
    return False


def _asked(run: Run, root: Path) -> Asked:
    """What is to come out, relative to the folder of the command."""
    asked = run.asked or Asked(outputs=tuple(one.path for one in run.outputs))
    metrics = within(asked.metrics, root, run.folder) if asked.metrics else ""
    return Asked(metrics, tuple(within(path, root, run.folder) for path in asked.outputs))


def _relative(run: Run, root: Path) -> Run:
    return replace(run, outputs=tuple(replace(one, path=within(one.path, root, run.folder)) for one in run.outputs))


def _made(root: Path, run: Run, place: Checkout, *, one: bool) -> Run:
    """Runs the command in a checkout, and reads what was recorded of it."""
    asked, seeds = _asked(run, root), run.seeds or Seeds()
    base = [sys.executable, "-P", "-m", "nixgen", "run", "--record", "--project", str(place.project)]
    name = run.environment.name if run.environment is not None else ""
    base += ["--environment", name] if name else []
    env = _variables(run)
    cores = _cores(one=one)
    if cores is not None and env.get("NIXGEN_MODELS") is None:
        _build([*base, "--", "true"], place, env)  # with all cores
    words = [*base, *(word for path in place.config for word in ("--config", str(path)))]
    words += ["--seed", str(seeds.seed)] if SEED in run.variables and seeds.seed is not None else []
    words += ["--metrics", asked.metrics] if asked.metrics else []
    words += [word for path in asked.outputs for word in ("--output", path)]
    before = set(finding.folders(place.project))
    with _on(cores):
        code = _run([*words, "--", *place.command], place.folder, env)
    made = [folder for folder in finding.folders(place.project) if folder not in before]
    if not made:
        what = f"could not be started again: nixgen run ended with {code}, and said why above"
        raise MachineError.of(run.id, what)
    found = finding.find(place.project, str(made[-1])).run
    if found.exit == guard.REFUSED:
        raise Finding.of(run.id, "a model or dataset is not the pinned one; the command was not started")
    return found


def _build(words: Sequence[str], place: Checkout, env: Mapping[str, str]) -> None:
    """Has the environment built before cores are taken away, and what that recorded removed."""
    import shutil

    code = _run(words, place.folder, env)
    for folder in finding.folders(place.project):
        if (folder / "run.yaml").exists() and finding.find(place.project, str(folder)).run.command == ("true",):
            shutil.rmtree(folder)
    if code == guard.REFUSED:
        raise Finding.of("", "a model or dataset is not the pinned one: see above")
    if code:
        raise MachineError.of("", f"the environment of the commit cannot be entered: see above (exit code {code})")


def _variables(run: Run) -> dict[str, str]:
    """This process's variables, but those that results hang on: they are as they were."""
    env = {name: value for name, value in os.environ.items() if name not in begin.VARIABLES}
    if env.get("NIXGEN_ROOT"):  # the shell of the project here, not of the checkout
        env = {name: value for name, value in env.items() if name not in _SHELL}
    seed = run.seeds.seed if run.seeds is not None else None
    chance = {SEED: str(seed)} if seed is not None else {}  # also one that the program drew itself
    return {**env, **chance, **run.variables, "NIXGEN_REPRODUCING": "1"}  # it is no run of the project: no tracker


def _run(words: Sequence[str], folder: Path, env: Mapping[str, str]) -> int:
    """Runs nixgen to its end, all it prints on stderr. Interrupted, it has the time to end its own command."""
    console.detail(f"$ {process.shown(words)}")
    running = subprocess.Popen(words, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=2)
    try:
        return running.wait()
    except BaseException:
        process.end(running)
        raise


def _cores(*, one: bool) -> set[int] | None:
    """The cores to run on, None for all or where the system has no such choice."""
    if not one or not hasattr(os, "sched_getaffinity"):
        return None
    mine = sorted(os.sched_getaffinity(0))
    return {mine[0]} if len(mine) > 1 else None


@contextlib.contextmanager
def _on(cores: set[int] | None) -> Iterator[None]:
    """What is started in the block has these cores only."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _libraries(old: Environment, new: Environment) -> list[Difference]:
    """The first store path that differs, where both environments are in this machine's store."""
    if not old.closure or not new.closure or old.closure == new.closure:
        return []
    with contextlib.suppress(NixgenError):
        from nixgen.nix.tools import Nix

        nix = Nix()
        sides = [closure.noted(nix.closure([side.path]).values()) for side in (old, new)]
        first, second = ({name.partition("-")[2]: path for name, path in side.items()} for side in sides)
        for name in sorted(first.keys() | second.keys()):
            was, now = first.get(name), second.get(name)
            if was is None or now is None or was.nar_hash != now.nar_hash:
                texts = ("not there" if one is None else one.nar_hash for one in (was, now))
                return [Difference("environment", name, *texts)]
    return []


def _whole(judged: Sequence[Difference], libraries: Sequence[Difference]) -> tuple[Difference, ...]:
    """All that differs, a library before what comes of it."""
    at = next((number for number, one in enumerate(judged) if one.kind == "environment"), 0)
    return (*judged[:at], *libraries, *judged[at:])


def _where(root: Path, run: Run, place: Checkout) -> Callable[[Output, Output], str]:
    """Says where two files first differ, if the first one still is what was recorded."""

    def where(old: Output, new: Output) -> str:
        with contextlib.suppress(OSError):
            first = root / run.folder / old.path
            with first.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != old.sha256:
                    return ""
            return f"first at byte {offset(first, place.folder / new.path)}"
        return ""

    return where


def offset(old: Path, new: Path) -> int:
    """How many bytes two files that differ have in common at their start."""
    at = 0
    with old.open("rb") as one, new.open("rb") as other:
        while True:
            first, second = one.read(_PIECE), other.read(_PIECE)
            if first != second or not first:
                short = min(len(first), len(second))
                return at + next((i for i in range(short) if first[i] != second[i]), short)
            at += len(first)
