"""Builds derivations once more and has Nix compare the bytes with those of the first build."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nixgen.check import leftovers
from nixgen.check.explain.pair import beside_each_other
from nixgen.check.model import Difference, PathVerdict, Recipe
from nixgen.check.recheck import Said, inconclusive
from nixgen.console import console
from nixgen.errors import MachineError, UserError
from nixgen.guard.hashing import processors
from nixgen.machine import process

if TYPE_CHECKING:
    from nixgen.nix.tools import Nix, PathInfo

_ALL, _ENVIRONMENT = "all", "env"
_AGAIN = 2.0  # seconds until it is asked again
_GRACE = 60.0  # seconds that Nix gets to clean up after an interruption
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What building one derivation once more gave; ``difference`` where the bytes were others."""

    verdict: PathVerdict
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which outputs are to be rebuilt, by name, in order. ``seed`` repeats a sample; None where all were taken."""

    names: tuple[str, ...]
    seed: int | None = None


def choose(
    recipes: Mapping[str, Recipe], wanted: Sequence[str], sample: int | None = None, seed: int | None = None
) -> Choice:
    """The outputs that ``--rebuild WANTED --sample N`` means: "all", "env", or names as the record has them.

    A wheel's or artifact's own name will do where it is the only one ("numpy" for "wheels.numpy"). Raises UserError for
    an unknown name, with the nearest one.
    """
    problems, names = [], set()
    for word in wanted:
        found = _named(recipes, word)
        names.update(found)
        if len(found) != 1 and word != _ALL:
            problems.append(_unknown(recipes, word, found))
    if problems:
        raise UserError(problem for error in problems for problem in error.problems)
    if sample is None or sample >= len(names):
        return Choice(tuple(sorted(names)))
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    return Choice(tuple(sorted(random.Random(seed).sample(sorted(names), sample))), seed)  # noqa: S311 -- no secret


def _named(recipes: Mapping[str, Recipe], word: str) -> list[str]:
    if not word:
        return []
    if word == _ALL:
        return list(recipes)
    whole = "environment" if word == _ENVIRONMENT else word
    return [whole] if whole in recipes else [name for name in recipes if name.partition(".")[2] == word]


def _unknown(recipes: Mapping[str, Recipe], word: str, found: Sequence[str]) -> UserError:
    import difflib

    if found:
        return UserError.of("", f"{word} may be {' or '.join(found)}", "name the one that is meant")
    own = {name.partition(".")[2] or name: name for name in recipes} | {name: name for name in recipes}
    near = difflib.get_close_matches(word, own, 1)
    hint = f"did you mean {own[near[0]]}?" if near else "outputs have the names that nixgen.hashes.json gives them"
    return UserError.of("", f"there is no output {word or 'without a name'}", hint)


def rebuild_all(nix: Nix, recipes: Mapping[str, Recipe], progress: Progress | None = None) -> tuple[Rebuilt, ...]:
    """Rebuilds each of the outputs by name, one derivation a call, as many calls at once as there are processors.

    The store is left as it was, also when this is interrupted. ``progress`` is told how many are done, how many there
    are, and the name of the one that was done last; None shows it on stderr.
    """
    from nixgen.check.progress import Counter

    # A build on another machine is not compared with anything: Nix says that all is well.
    here = replace(nix, builders="")
    shown = progress or Counter("rebuilt")
    with leftovers.alone(console.info) as lock:
        infos = here.infos([recipe.out for recipe in recipes.values()])
        todo = _Todo.of(recipes, infos)
        rebuilding = _Rebuilding(here, lock, todo, infos)
        results: dict[str, Rebuilt] = {}
        with ThreadPoolExecutor(max_workers=max(1, min(todo.processors, len(recipes)))) as pool:
            try:
                running = [pool.submit(rebuilding.one) for _ in recipes]
                for done in as_completed(running):
                    result = done.result()
                    results[result.verdict.name] = result
                    shown(len(results), len(recipes), result.verdict.name)
            except BaseException:
                rebuilding.stop()
                pool.shutdown(cancel_futures=True)
                raise
    return tuple(results[name] for name in recipes)


@dataclass(slots=True)
class _Todo:
    """What is left to rebuild, the largest first, and how many cores each gets: by its share of all that is left.

    No build gets as many cores as Nix gives by default, so that an output which depends on their number is noticed.
    """

    queue: list[tuple[int, str, Recipe]]
    left: int
    processors: int = field(default_factory=processors)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, recipes: Mapping[str, Recipe], infos: Mapping[str, PathInfo]) -> _Todo:
        sizes = {name: infos[recipe.out].nar_size if recipe.out in infos else 1 for name, recipe in recipes.items()}
        queue = sorted((size, name, recipes[name]) for name, size in sizes.items())
        return cls(queue, sum(sizes.values()))

    def next(self) -> tuple[str, Recipe, int]:
        """The next one, and the number of cores for it."""
        with self.lock:
            size, name, recipe = self.queue.pop()
            share = round(self.processors * size / self.left) if self.left else 1
            self.left -= size
            return name, recipe, self.processors + 1 if share >= self.processors else max(1, share)


@dataclass(slots=True)
class _Rebuilding:
    """The calls that are under way."""

    nix: Nix
    lock: int
    todo: _Todo
    infos: Mapping[str, PathInfo]
    running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    guard: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def one(self) -> Rebuilt:
        """Rebuilds the next output."""
        name, recipe, cores = self.todo.next()
        if recipe.out not in self.infos:
            return _inconclusive(name, "its output is not in the store, so there is nothing to compare with")
        call = leftovers.Call.begin(self.nix, recipe)
        killed = True
        try:
            code = self._run(call, self.nix.command("nix-store", *_words(recipe.drv, cores)))
            killed = code < 0
            return self._judged(name, call, code, cores)
        finally:
            call.end(killed=killed)

    def stop(self) -> None:
        """Has every call end, and no other begin. Nix cleans up after SIGTERM as after Ctrl-C."""
        with self.guard:
            self.stopped = True
            running = list(self.running)
        until = time.monotonic() + _GRACE
        while running and time.monotonic() < until:
            for child in running:
                child.terminate()  # again and again: a signal that comes just before Nix waits is lost
            again = time.monotonic() + _AGAIN
            for child in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, again - time.monotonic()))
            running = [child for child in running if child.poll() is None]
        for child in running:
            child.kill()
            child.wait()
            leftovers.remove_build_folder(self.nix, child.pid)

    def _run(self, call: leftovers.Call, command: Sequence[str]) -> int:
        console.detail(f"$ {process.shown(command)}")
        with call.append() as log, self.guard:
            if self.stopped:
                raise KeyboardInterrupt
            try:
                # In a session of its own: Ctrl-C reaches nixgen, which ends the calls and cleans up behind them.
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=(self.lock,),
                    start_new_session=True,
                )
            except OSError as error:
                raise MachineError.of(command[0], f"cannot be run: {error.strerror}") from None
            self.running.add(child)
        try:
            return child.wait()
        finally:
            with self.guard:
                self.running.discard(child)

    def _judged(self, name: str, call: leftovers.Call, code: int, cores: int) -> Rebuilt:
        said = call.said()
        if self.stopped:
            raise KeyboardInterrupt
        if said.machine:
            return _inconclusive(name, f"it was built on {said.machine}, and Nix does not compare such builds")
        if code == 0 and said.machine is not None:
            return Rebuilt(PathVerdict(name, "reproduced", "built again here, with the same bytes"))
        if code > 0 and said.other_bytes:
            return self._differs(name, call, cores)
        return _inconclusive(name, _why(said, code))

    def _differs(self, name: str, call: leftovers.Call, cores: int) -> Rebuilt:
        info = self.infos[call.recipe.out]
        repeat = process.shown(self.nix.command("nix-store", *_words(call.recipe.drv, cores, log=False)))
        difference = beside_each_other(info, self.nix.physical(info.path), call.other(), repeat, cores)
        return Rebuilt(PathVerdict(name, "differs", "built again here, with different bytes"), difference)


def _words(drv: str, cores: int, *, log: bool = True) -> list[str]:
    """The words of a call; without ``log`` as a person types it."""
    form = ["--log-format", "internal-json"] if log else []
    return ["--realise", "--check", "--keep-failed", "--max-jobs", "1", "--cores", str(cores), *form, drv]


def _why(said: Said, code: int) -> str:
    return f"Nix was killed by signal {-code}" if code < 0 else inconclusive(said)


def _inconclusive(name: str, why: str) -> Rebuilt:
    return Rebuilt(PathVerdict(name, "inconclusive", why))
