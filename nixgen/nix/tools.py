"""The machine's Nix, as ``nixgen check`` and ``nixgen cache`` use it: the only wrapper round its programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from nixgen.console import console
from nixgen.errors import MachineError, NixgenError, Stale
from nixgen.machine import process
from nixgen.nix import failures, gcroots, hashing, inputs, install, stores
from nixgen.nix.failures import Owner
from nixgen.nix.json import STORE, Derivation, PathInfo, derivations, path_infos
from nixgen.nix.log import Log, State

__all__ = ["Derivation", "Nix", "PathInfo", "Program", "Progress", "Recipe", "Shell"]

Program = Literal["nix", "nix-store", "nix-instantiate", "nix-build"]
Progress = Callable[[State], object]
"""Who is told how a build goes, after every event. ``nixgen.nix.progress.shown("building")`` is the one for people."""

BESIDE = ("/nix/var/nix/profiles/default/bin", "~/.nix-profile/bin", "/run/current-system/sw/bin")
"""Where Nix's installers put its programs."""

_UNREACHED = 3  # downloads that fail for want of a network before the others are not tried
_SANDBOX = ("--option", "sandbox", "true")  # on Linux; the nix.conf of Debian's packages turns it off
_CHUNK = 1 << 20
_LARGEST_TEXT = 16 << 20
_SHAPED = (2, 33)  # from here on `path-info` wants to be told which shape
_CONFIG = (2, 20)  # from here on `config show` is the command's name
_SHOW = (2, 15)  # from here on `derivation show` is the command's name
# Values come as arguments: no name of a folder is spliced into Nix.
_PROJECT = "{ root, system, attribute }: let project = import (/. + root) { inherit system; }; in "
_RECIPES = _PROJECT + "project.${attribute}"
_CHECKS = _PROJECT + "builtins.mapAttrs (_: check: { drv = check.drvPath; out = check.outPath; }) project.${attribute}"
_PART = (
    "{ root, system, part, name }: let drv = (import (/. + root) { inherit system; }).${part}.${name}; "
    "in { drv = drv.drvPath; out = drv.outPath; }"
)
_SHELL = (
    "{ root, system, environment, recipes }: let project = import (/. + root) { inherit system; }; "
    'shell = if environment == "" then project.shell else project.environments.${environment}.shell; '
    "in { drv = shell.drvPath; bash = shell.builder; setup = shell.stdenv.outPath; "
    'recipes = if recipes == "" then { } else project.recipes; }'
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A derivation and its output, as full store paths."""

    drv: str
    out: str


@dataclass(frozen=True, slots=True)
class Shell:
    """The shell of an environment: its .drv, the bash and the file that its bash sources, all full store paths.

    ``recipes`` are those of the project, where they were asked for.
    """

    drv: str
    bash: str
    setup: str
    recipes: Mapping[str, Recipe]


@dataclass(frozen=True, slots=True)
class Nix:
    """The machine's Nix, maybe on another store.

    ``store`` is a store's address, "" for the default; ``builders`` what ``--builders`` says, None for the machine's
    own; ``options`` are further words for every command.
    """

    store: str = ""
    builders: str | None = None
    options: tuple[str, ...] = ()

    @classmethod
    def here(cls, store: str = "", builders: str | None = None, options: Iterable[str] = ()) -> Nix:
        """The machine's Nix; with no ``store``, on the store that its settings name.

        Raises MachineError, which says how to install it, when there is none.
        """
        found = cls(store, builders, tuple(options))
        version = found.version()
        if store:
            stores.refuse_renamed(store, store)
            return found
        settings = found.settings()
        return replace(found, store=stores.configured(str(settings.get("store", "auto")), version))

    def on_every_core(self) -> Nix:
        """The same, with as many builds at a time as there are cores, where the settings allow some, and fewer.

        Nix's default is one, and a file that is fetched counts as one, too. 0 stays: only other machines build then.
        """
        jobs, cores = self.settings().get("max-jobs"), hashing.available_cores()
        if not isinstance(jobs, int) or not 0 < jobs < cores:
            return self
        return replace(self, options=("--max-jobs", str(cores), *self.options))

    def version(self) -> tuple[int, ...]:
        """(2, 8, 0)."""
        return _version(located("nix-store"))

    def settings(self) -> dict[str, Any]:
        """Nix's settings by name, as its files, NIX_CONFIG and the environment make them.

        Raises MachineError where Nix cannot tell them.
        """
        show = ("config", "show") if self.version() >= _CONFIG else ("show-config",)
        printed = self.run("nix", *show, "--json").out
        try:
            return {name: entry["value"] for name, entry in json.loads(printed).items()}
        except (ValueError, AttributeError, KeyError, TypeError):
            raise MachineError.of("nix", f"prints no settings that can be read: nix {' '.join(show)} --json") from None

    def features(self) -> frozenset[str]:
        """The experimental features that are switched on here; ``run`` needs none of them.

        Raises MachineError where Nix cannot tell them.
        """
        show = ("config", "show") if self.version() >= _CONFIG else ("show-config",)
        plain = process.run([located("nix"), *show], check=False)
        off = {"nix-command"} if plain.code else set()
        printed = self.run("nix", *show).out if off else plain.out
        found = re.search(r"^experimental-features = (.*)$", printed, re.MULTILINE)
        return frozenset(found[1].split() if found else ()) - off

    def command(self, program: Program, *words: str | Path) -> list[str]:
        """The whole command line of ``run``, for who starts it otherwise (the rebuilds) or shows it to a person."""
        head = [located(program)]
        if program == "nix":
            head += ["--extra-experimental-features", "nix-command"]
        if self.store:
            head += ["--store", self.store]
        if self.builders is not None:
            head += ["--builders", self.builders]
        # Where none can be made, in a chroot for one, to insist on it would end what the settings allow.
        asks = "--realise" in words and sys.platform == "linux"
        if asks and (daemon() is not None or stores.can_sandbox() is not False):
            head += _SANDBOX
        return [*head, *self.options, *map(str, words)]

    def run(self, program: Program, *words: str | Path, check: bool = True) -> process.Result:
        """Runs a program to its end with this store, builders and options.

        With ``check``, raises MachineError with the tail of stderr when it fails.
        """
        command = self.command(program, *words)
        if "--realise" in words:
            command = stores.shielded(self.store, command)
        return process.run(command, check=check, missing=install.hint())

    def recipes(self, root: Path, system: str) -> dict[str, Recipe]:
        """What the project's default.nix offers as ``recipes``; the .drv files are in the store then.

        Raises Stale when a lock file changed after default.nix was generated, UserError for other refusals,
        MachineError when Nix cannot do its work.
        """
        return _recipes(self._evaluated(_RECIPES, root, system=system, attribute="recipes"))

    def checks(self, root: Path, system: str) -> dict[str, Recipe]:
        """The checks of default.nix by name ("imports", "smoke"), sorted; raises as recipes."""
        found = self._evaluated(_CHECKS, root, system=system, attribute="checks")
        return {str(name): Recipe(entry["drv"], entry["out"]) for name, entry in sorted(found.items())}

    def part(self, root: Path, system: str, part: str, name: str) -> Recipe:
        """One of several: of default.nix's ``images`` or ``models``, say; raises as recipes."""
        found = self._evaluated(_PART, root, system=system, part=part, name=name)
        return Recipe(found["drv"], found["out"])

    def shell(self, root: Path, system: str, environment: str = "", *, recipes: bool = False) -> Shell:
        """The shell of the environment with this name, and the project's ``recipes`` too; raises as recipes."""
        asked = {"system": system, "environment": environment, "recipes": "yes" if recipes else ""}
        found = self._evaluated(_SHELL, root, **asked)
        return Shell(found["drv"], found["bash"], found["setup"], _recipes(found["recipes"]))

    def evaluate(self, expression: str, **arguments: str) -> Any:  # noqa: ANN401 -- any JSON value
        """The value of a Nix expression as JSON; derivations that it names are in the store then.

        Raises MachineError where Nix cannot do its work, UserError with Nix's sentence where the expression fails.
        """
        return self._value(expression, arguments, "--read-write-mode")

    def told(self, expression: str, **arguments: str) -> Any:  # noqa: ANN401 -- the same
        """The same, and nothing is written: no derivation is in the store for that."""
        return self._value(expression, arguments)

    def _value(self, expression: str, arguments: Mapping[str, str], *mode: str) -> Any:  # noqa: ANN401 -- the same
        words = [word for name, value in arguments.items() for word in ("--argstr", name, value)]
        command = ("--eval", "--strict", "--json", *mode, *words, "--expr", expression)
        result = self.run("nix-instantiate", *command, check=False)
        if result.code != 0:
            raise failures.evaluation(result.err)
        return json.loads(result.out)

    def read(self, path: str) -> str:
        """The text of a file in the store, which a build made: no link, and of a size that is bounded."""
        place = self.physical(path)
        if place is not None:
            state = place.lstat()
            if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST_TEXT:
                raise MachineError.of(path, "is not a file of text, as it was to be", "report it")
            return place.read_text(encoding="utf-8", errors="replace")
        return self.run("nix", "store", "cat", path).out

    def realise(
        self,
        drvs: Sequence[str],
        progress: Progress | None = None,
        keep: Path | None = None,
        owners: Mapping[str, Owner] | None = None,
        advise: failures.Advise | None = None,
    ) -> None:
        """Builds or fetches the outputs. ``keep`` is a folder for links that keep them from garbage collection.

        ``owners`` says whose the fetched files are (``generate.origins``), ``advise`` what to do about failures. All
        is tried that does not need what failed.
        Raises BuildFailed, one problem for each derivation that failed, with the tail of its log; MachineError
        where nothing failed but for want of a network, of room, or of such a machine.
        """
        if not drvs:
            return
        log = Log()
        words = ["--realise", *drvs, "--keep-going", "--log-format", "internal-json"]
        if keep is not None and stores.place(self.store, drvs[0]) is not None:
            words += ["--add-root", str(keep / Path(drvs[0]).name)]
        code = 1
        command = self.command("nix-store", *words)
        try:
            shielded = stores.shielded(self.store, command)
            code = process.follow(shielded, lambda line: _told(log, line, progress), missing=install.hint()).code
        except _NoNetworkError:
            console.detail("There is no network: Nix was ended.")
        finally:
            if progress is not None:
                progress(log.state(ended=True))
        failed, errors = log.failures(), list(log.errors)
        if code != 0 and not failed and not errors:
            printed = "\n".join(log.messages)
            raise MachineError.of(process.shown(command), f"ended with exit code {code}\n{printed}".rstrip())
        if failed or errors:
            raise failures.failed(failed, errors, self._shown, owners or {}, self.store, advise)

    @contextmanager
    def roots(self) -> Iterator[Path]:
        """A temporary folder for ``realise(keep=…)``: what is linked in it is not collected until the block ends."""
        with gcroots.temporary() as folder:
            yield folder

    def closure(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """What Nix's database says of the paths and all that they refer to, by full path, sorted.

        Raises MachineError when one of them is not in the store.
        """
        return self._infos(paths, "--recursive")

    def infos(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """The same of these paths alone (.drv files, too); those that are not valid are left out."""
        given = sorted(set(paths))
        found = self._infos([path for path in given if not path.endswith(".drv")])
        # Without the word, Nix takes the file of a derivation for its outputs; with it, one that is missing is an
        # error for all of them.
        found |= self._infos(self._valid(path for path in given if path.endswith(".drv")), "--derivation")
        return dict(sorted(found.items()))

    def _valid(self, paths: Iterable[str]) -> list[str]:
        """Those that the store has."""
        valid: list[str] = []
        for some in process.batches(sorted(set(paths))):
            gone = set(self.run("nix-store", "--check-validity", "--print-invalid", *some).out.split())
            valid += [path for path in some if path not in gone]
        return valid

    def valid(self, names: Iterable[str]) -> list[str]:
        """Those store paths, by name, that the store has."""
        return [path.removeprefix(f"{STORE}/") for path in self._valid(f"{STORE}/{name}" for name in names)]

    def outputs_of(self, drv: str) -> dict[str, str]:
        """The outputs of a derivation in the store: name → full path."""
        return {name: output.path for name, output in self.drv_show(drv).outputs.items()}

    def drv_show(self, drv: str) -> Derivation:
        """A derivation in the store, in one shape whatever the version. Raises MachineError when it is not there."""
        return next(iter(self.drvs_show([drv]).values()))

    def drvs_show(self, drvs: Iterable[str]) -> dict[str, Derivation]:
        """The same of several, by full path."""
        return self._show(drvs)

    def graph(self, drvs: Iterable[str]) -> dict[str, Derivation]:
        """The same with all that they are built from."""
        return self._show(drvs, "--recursive")

    def _show(self, drvs: Iterable[str], *more: str) -> dict[str, Derivation]:
        words = ("derivation", "show") if self.version() >= _SHOW else ("show-derivation",)
        found: dict[str, Derivation] = {}
        for some in process.batches(sorted(set(drvs))):
            found |= derivations(self.run("nix", *words, *more, *some).out)
        return found

    def physical(self, path: str) -> Path | None:
        """Where a store path's bytes lie on this machine; None for a store that is elsewhere.

        Whether there is anything is another question: the database may know a path that somebody removed.
        """
        return stores.place(self.store, path)

    def dump(self, path: str) -> Iterator[bytes]:
        """The NAR of a path as the store gives it, in chunks: for stores that are elsewhere.

        Raises MachineError, after the last chunk, when Nix did not give all of it.
        """
        command = self.command("nix", "store", "dump-path", path)
        console.detail(f"$ {process.shown(command)}")
        with tempfile.TemporaryFile() as err:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
            try:
                assert child.stdout is not None  # noqa: S101 -- it is a pipe
                while chunk := child.stdout.read(_CHUNK):
                    yield chunk
                child.wait()
            finally:
                process.end(child)
                if child.stdout is not None:
                    child.stdout.close()
            if child.returncode != 0:
                err.seek(0)
                text = failures.last_error(err.read().decode(errors="replace"))
                raise MachineError.of(path, f"cannot be read from {self.store or 'the store'}: {text}")

    def _infos(self, paths: Iterable[str], *words: str) -> dict[str, PathInfo]:
        shape = ("--json-format", "2") if self.version() >= _SHAPED else ()
        quiet = ("--option", "substitute", "false")  # what other stores have is not the question
        found: dict[str, PathInfo] = {}
        for some in process.batches(sorted(set(paths))):
            found |= path_infos(self.run("nix", "path-info", "--json", *shape, *quiet, *words, *some).out)
        return dict(sorted(found.items()))

    def _shown(self, drvs: Iterable[str]) -> Mapping[str, Derivation]:
        try:
            return self.drvs_show(drvs)
        except NixgenError:
            return {}  # the failure is told with what is known without

    def _evaluated(self, expression: str, root: Path, **arguments: str) -> Any:  # noqa: ANN401 -- JSON
        inputs.refuse_strange(root)
        try:
            return self.evaluate(expression, root=str(root.resolve()), **arguments)
        except ValueError as error:
            raise Stale.of("default.nix", f"{failures.STRANGE} ({error})", failures.SYNC) from None


def _recipes(found: Any) -> dict[str, Recipe]:  # noqa: ANN401 -- JSON
    try:
        return {str(name): Recipe(entry["drv"], entry["out"]) for name, entry in sorted(found.items())}
    except (AttributeError, KeyError, TypeError):
        raise Stale.of("default.nix", failures.STRANGE, failures.SYNC) from None


class _NoNetworkError(Exception):
    """So many downloads failed that the others would, too."""


def daemon() -> str | None:
    """The socket of Nix's daemon, where this user needs it; None where Nix does by itself what is asked of it."""
    state = stores.state()
    remote = os.environ.get("NIX_REMOTE") or "auto"
    if remote == "daemon" or (remote == "auto" and state.is_dir() and not os.access(state, os.W_OK)):
        return os.environ.get("NIX_DAEMON_SOCKET_PATH") or str(state / "daemon-socket/socket")
    return None


def ready() -> None:
    """Raises MachineError where there is no Nix, or its daemon, which this user needs, does not answer: in no time."""
    _version(located("nix-store"))
    if (place := daemon()) is not None:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(place)
            except OSError as error:
                raise failures.unusable(f"cannot connect to socket at '{place}': {error.strerror or error}") from None


def _told(log: Log, line: str, progress: Progress | None) -> None:
    before = log.failed
    log.feed(line)
    if progress is not None:
        progress(log.state())
    if log.failed != before and sum(map(failures.offline, log.failures())) >= _UNREACHED:
        raise _NoNetworkError


def located(name: str) -> str:
    """A program of Nix: its name where it is on PATH, else its path where Nix's installers put it."""
    if shutil.which(name):
        return name
    places = (Path(folder).expanduser() / name for folder in BESIDE)
    return next((str(place) for place in places if place.exists()), name)


@cache
def _version(program: str) -> tuple[int, ...]:
    done = process.run([program, "--version"], missing=install.hint(), check=False)
    if done.code:
        raise failures.unusable(done.err) if done.err else process.failure(done)
    printed = done.out
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", printed)
    if not found:
        raise MachineError.of(program, f"says that its version is {printed.strip()!r}", install.hint())
    return tuple(int(part or 0) for part in found.groups())
