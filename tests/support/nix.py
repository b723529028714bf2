"""Real Nix for the tests: one binary, one store of its own, and what a test asks of them.

A store is a folder. Nix runs in a mount namespace in which that folder lies over ``/nix``, so that store paths, the
sandbox, ``nix develop`` and ``nix-shell`` are what a user has, and the machine's own ``/nix`` is never touched. The
machine's nix.conf is not read either: everything is set through ``NIX_CONFIG``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from support import started
from support.waiting import without_progress

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = f"{os.uname().machine}-{os.uname().sysname.lower()}"
TAIL_LINES = 40
# Debian's static busybox as the sandbox's shell, which nearly every Nix has, for what starts one by itself: onnxruntime
# crashes when it cannot. All other tests run without any shell from the machine.
SHELL = "/bin/sh=/bin/busybox"

# Runs "$@" with the folder $1/nix over /nix.
_ENTER = 'mount --bind "$1/nix" /nix && shift && exec "$@"'


class NixError(AssertionError):
    """A Nix command that a test expected to succeed; shows the command and the end of what it printed."""


@dataclass(frozen=True)
class Output:
    """What a command gave back."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @classmethod
    def of(cls, done: subprocess.CompletedProcess[bytes]) -> Output:
        """What nixgen gave back, without the progress that it shows where a step takes long."""
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return cls(tuple(done.args), done.returncode, out, without_progress(err))

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.returncode == 0

    @property
    def said(self) -> str:
        """What it said on stderr, with hints as nixgen has them: Nix indents all lines but the first."""
        return re.sub(r"\n +hint: ", "\n  hint: ", self.stderr)

    def tail(self) -> str:
        """The command, its exit code and the last lines that it printed."""
        lines = (self.stdout + self.stderr).splitlines()[-TAIL_LINES:]
        return "\n".join([f"$ {' '.join(self.argv)}", f"(exit {self.returncode})", *lines])


@dataclass(frozen=True)
class Nix:
    """One Nix (the folder of its programs) and one store (the folder that holds ``nix/store`` and its database).

    ``env`` is added to the environment of every command, ``settings`` to NIX_CONFIG; ``within`` is the start of the
    command line of each.
    """

    bin: Path
    store: Path
    env: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    @property
    def version(self) -> tuple[int, ...]:
        """The version: (2, 8, 0)."""
        return nix_version(self.bin)

    def with_env(self, **env: str) -> Nix:
        """The same Nix with more environment variables."""
        return replace(self, env={**self.env, **env})

    def with_settings(self, **settings: str) -> Nix:
        """The same Nix with more settings; an underscore stands for a hyphen."""
        return replace(self, settings={**self.settings, **{k.replace("_", "-"): v for k, v in settings.items()}})

    def with_store(self, store: Path) -> Nix:
        """The same Nix on another store."""
        return replace(self, store=store)

    def environ(self) -> dict[str, str]:
        """The whole environment that commands run in: nothing of the machine's Nix, no PYTHON* and no venv."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NIX", "PYTHON", "VIRTUAL_ENV", "UV_", "LD_"))}
        kept.update({k: v for k, v in os.environ.items() if k == "NIX_SSL_CERT_FILE"})
        path = f"{self.bin}:{os.environ.get('PATH', os.defpath)}"
        return {**kept, "PATH": path, "NIX_CONFIG": self.config(), **self.env}

    def config(self) -> str:
        """What NIX_CONFIG says: flakes, the sandbox, no substituter, no remote builder."""
        settings = {
            "experimental-features": "nix-command flakes",
            "sandbox": "true",
            "sandbox-fallback": "false",
            "sandbox-paths": "",
            "build-users-group": "",
            "builders": "",
            "substituters": "",
            "flake-registry": "",
            "connect-timeout": "10",
            **self.settings,
        }
        if self.version > (2, 20):
            # The unpacked program cannot find itself to start as the hook; an older Nix takes no empty one.
            settings.setdefault("build-hook", "")
        return "\n".join(f"{name} = {value}" for name, value in settings.items())

    def entered(self) -> list[str]:
        """The start of a command line that runs the rest with the store at /nix."""
        return [*self.within, *enter(self.store)]

    def inside(self, *argv: str | Path, cwd: Path | None = None, check: bool = True, **env: str) -> Output:
        """Runs any command with the store at /nix: a program of the store, ``nix-shell``, a script."""
        (self.store / "nix").mkdir(parents=True, exist_ok=True)
        return _run(self.entered(), [*map(str, argv)], cwd, {**self.environ(), **env}, check=check)

    def nixgen(self, *words: str, cwd: Path, **env: str) -> Output:
        """``nixgen WORDS`` with the store at /nix, whatever comes out."""
        (self.store / "nix").mkdir(parents=True, exist_ok=True)
        store = None if self.within else self.store
        return Output.of(started.nixgen(words, cwd, {**self.environ(), **env}, self.entered(), store))

    def run(self, program: str, *argv: str | Path, cwd: Path | None = None, check: bool = True) -> Output:
        """Runs one of Nix's own programs (``nix``, ``nix-build``, ``nix-store``, …)."""
        return self.inside(self.bin / program, *argv, cwd=cwd, check=check)

    def build(self, project: Path, attribute: str, *options: str) -> Path:
        """``nix-build -A attribute`` of the project's default.nix; the store path (as Nix names it)."""
        result = self.run("nix-build", "--no-out-link", *options, "-A", attribute, str(project))
        return Path(result.stdout.strip().splitlines()[-1])

    def build_expression(self, expression: str, *options: str) -> Path:
        """Builds what a Nix expression gives; the store path."""
        result = self.run("nix-build", "--no-out-link", *options, "-E", expression)
        return Path(result.stdout.strip().splitlines()[-1])

    def build_flake(self, installable: str, *options: str) -> Path:
        """``nix build INSTALLABLE``; the store path."""
        result = self.run("nix", "build", "--no-link", "--print-out-paths", *options, installable, check=False)
        if not result.ok and "print-out-paths" in result.stderr:  # not in every version
            self.run("nix", "build", "--no-link", *options, installable)
            result = self.run("nix", "eval", "--raw", f"{installable}.outPath")
        return Path(_checked(result).stdout.strip().splitlines()[-1])

    def evaluate(self, expression: str, *options: str, check: bool = True) -> Any:
        """The value of a Nix expression, through JSON; the :class:`Output` where ``check`` is off and it failed."""
        result = self.run("nix-instantiate", "--eval", "--strict", "--json", *options, "-E", expression, check=check)
        return json.loads(result.stdout) if result.ok else result

    def effort(self, expression: str) -> int:
        """How much Nix does to evaluate an expression, in calls of functions: the same on every machine."""
        with tempfile.NamedTemporaryFile("r") as stats:
            nix = self.with_env(NIX_SHOW_STATS="1", NIX_SHOW_STATS_PATH=stats.name)
            nix.run("nix-instantiate", "--eval", "--strict", "--json", "-E", expression)
            counted = json.load(stats)
        return int(counted["nrFunctionCalls"]) + int(counted["nrPrimOpCalls"])

    def develop(self, project: Path, *argv: str, check: bool = True, **env: str) -> Output:
        """``nix develop PROJECT -c ARGV``, run in the project."""
        return self.inside(self.bin / "nix", "develop", "-c", *argv, cwd=project, check=check, **env)

    def shell(self, project: Path, command: str, *, check: bool = True, **env: str) -> Output:
        """``nix-shell --run COMMAND`` in the project: no flakes."""
        return self.inside(self.bin / "nix-shell", "--run", command, cwd=project, check=check, **env)

    def real(self, path: Path | str) -> Path:
        """Where a store path lies on the disk, seen from outside the namespace."""
        return self.store / str(path).lstrip("/")

    def nar_hash(self, path: Path | str) -> str:
        """The NAR hash that the database holds for a path ("sha256:…"), in one spelling whatever the version."""
        return self.run("nix-store", "--query", "--hash", str(path)).stdout.strip()

    def requisites(self, path: Path | str) -> list[str]:
        """The closure of a path (of a .drv: all that is needed to build it), sorted."""
        return sorted(self.run("nix-store", "--query", "--requisites", str(path)).stdout.split())

    def path_info(self, path: Path | str) -> dict[str, Any]:
        """One path's record from ``nix path-info --json``, whose shape has changed over the versions."""
        answer = json.loads(self.run("nix", "path-info", "--json", str(path)).stdout)
        if isinstance(answer, list):
            return dict(answer[0])
        entries = answer.get("info", answer)
        return dict(next(iter(entries.values())))


def same_everywhere(project: Path, both: Sequence[Nix], attribute: str) -> list[str]:
    """Builds an attribute of a project with each Nix, and compares the NAR hash of every path; the closure's paths."""
    closures = []
    for nix in both:
        built = nix.build(project, attribute)
        closures.append({path: nix.nar_hash(path) for path in nix.requisites(built)})
    if closures[0] != closures[1]:
        different = sorted(set(closures[0].items()) ^ set(closures[1].items()))
        raise NixError(f"not the same in both: {different}")
    return sorted(closures[0])


def _checked(result: Output) -> Output:
    if not result.ok:
        raise NixError(result.tail())
    return result


def _run(start: list[str], argv: list[str], cwd: Path | None, env: Mapping[str, str], *, check: bool) -> Output:
    done = subprocess.run(
        [*start, *argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    result = Output(tuple(argv), done.returncode, done.stdout, without_progress(done.stderr))
    return _checked(result) if check else result


def enter(store: Path) -> list[str]:
    """The start of a command line that runs the rest with the store over /nix."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "--", "sh", "-c", _ENTER, "sh", str(store)]


@cache
def nix_version(folder: Path) -> tuple[int, ...]:
    """The version of the Nix in a folder."""
    shown = subprocess.run([folder / "nix", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", shown)
    if not found:
        raise ValueError(shown)
    return tuple(int(part or 0) for part in found.groups())


@cache
def stores_can_be_entered() -> str:
    """Empty where a store can be laid over /nix here; else why not, in a sentence."""
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is not here"
    if not Path("/nix").exists():
        if os.geteuid() != 0:
            return "/nix does not exist and only root can make it"
        Path("/nix").mkdir(mode=0o755)
    with tempfile.TemporaryDirectory() as store:
        Path(store, "nix").mkdir()
        tried = subprocess.run([*enter(Path(store)), "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"a mount namespace cannot be made here (a plain chroot?): {tried.stderr.strip()}"
    return ""


def machine_nix() -> Path | None:
    """The folder of the machine's own Nix programs, if it has one."""
    found = shutil.which("nix")
    return Path(found).resolve().parent if found else None


def current_nix() -> Path:
    """The folder of a current Nix's programs, unpacked by the script beside this file where it is not yet."""
    return current("nix")


def current(what: str) -> Path:
    """The folder with the programs of what ``WHAT-current``, beside this file, unpacks."""
    folder = ROOT / ".cache" / f"{what}-current"
    subprocess.run([Path(__file__).with_name(f"{what}-current"), folder], check=True, stdin=subprocess.DEVNULL)
    return folder / "bin"
