"""The only wrapper round uv: where it is, how it is started, what its failures mean."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.formats.foreign import lookup, table
from nixgen.machine import addresses, files, folders, process
from nixgen.resolve import plain, standin

if TYPE_CHECKING:
    from nixgen.project.project import Project
    from nixgen.resolve.model import Target

_KEPT = ("HOME", "TMPDIR", "LD_", "DYLD_", "NIX_LD")  # what a program may need to start, by the variable's beginning
_PLAIN = {"NO_COLOR": "1", "COLUMNS": "10000"}  # uv breaks its sentences at the width of the terminal
_DRAWN = r"\s*\d* \|"  # the lines that show the place in a file: a sentence has no room for them
_CAUSE = r"(?:(?:error|cause|Caused by): )?"
_MACHINE = {
    (
        _CAUSE + r"(?:error sending request|client error \((?:Connect|SendRequest)\)|dns error|tcp connect error"
        r"|(?:operation|connection) timed out|Request failed after|HTTP status (?:server error|client error \(429)"
        r"|Connection re(?:set|fused)|Network is unreachable|No route to host)"
    ): "check the network or proxy, and run the command again",
    _CAUSE + r"(?:No space left on device|Disk quota exceeded)": "free some room and try again",
    _CAUSE + r"(?:Permission denied|Read-only file system)": "make it writable (UV_CACHE_DIR moves uv's cache)",
}
"""What uv prints of a machine that lacks something, by the start of a line of its error; and what mends it.

Patterns that are compiled, in any case of letters, when uv has failed.
"""

_GLIBC = (17, 28, *range(31, 41))
"""The minor versions of glibc that uv has a manylinux platform for."""

_ANSWERED = (
    *("UV_BUILD_CONSTRAINT", "UV_CONFIG_FILE", "UV_CONSTRAINT", "UV_EXCLUDE_NEWER", "UV_EXTRA_BUILD", "UV_NO_BINARY"),
    *("UV_NO_BUILD", "UV_NO_CONFIG", "UV_NO_SOURCES", "UV_OVERRIDE", "UV_PRERELEASE", "UV_PYTHON", "UV_RESOLUTION"),
    *("UV_EXCLUDE", "UV_FORK_STRATEGY", "UV_REQUIRE_HASHES", "UV_CUSTOM_COMPILE", "UV_TORCH_BACKEND"),
)
"""How the variables begin that would change what builds need: that is for the project to say."""

_NO_PYTHON = r"No interpreter found for Python (?P<wanted>[^;]+?) in "
_VERSION = r"\b3\.(\d{1,4})(?:\.(\d{1,4}))?"
_FIRST, _LAST = 6, 40  # minor versions of Python 3
_ANY = "3.11.0"
_ANOTHER_PYTHON = r"(?m)^error: (?:The requested interpreter|Failed to inspect|No interpreter found)"
_BUILDING = r"(?m)^error: Failed to .*(?:build|metadata)"
REQUIRES = r"is incompatible with the project's Python requirement: `([^`]+)`"
"""uv's sentence about a Python that the project does not allow, with the specifier."""

_UNKNOWN = r"(Extra|Group) `[^`]+` is not defined"
_CONFLICT = r"(?:xtra|roup)s? .* (?:is|are) incompatible with the declared conflicts"
_ANSWER = """case "$*" in
*{question}*) printf %s {answer} ;;
*) printf '%s\\n' {refusal} >&2; exit 1 ;;
esac"""
_UNPARSED = r"Failed to parse:? `?([^;`]+)"
_MISSING = "install it beside nixgen: pip install uv"
ASK = "ask uv by itself: uv lock"
_FINDING = threading.Lock()  # the standard library's sysconfig, which uv asks, is not made for several threads


def binary() -> str:
    """The uv that belongs to nixgen (the PyPI package uv). Raises MachineError when it is not there."""
    try:
        import uv

        with _FINDING:
            return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        raise MachineError.of("", "uv is not installed", _MISSING) from None


def offline_environment(nowhere: Path) -> dict[str, str]:
    """The environment for a uv that only reads: no network, no cache, no other program, no setting of the caller's.

    What nixgen writes must depend on the project alone, so a UV_INDEX_URL or UV_NO_DEV of the user's shell is left out,
    and so is uv.toml of the user and of the machine: ``nowhere`` is a folder with an empty one in their place.
    """
    place = os.fspath(nowhere)
    return {
        **{key: value for key, value in os.environ.items() if key.startswith(_KEPT)},
        "PATH": place,
        "UV_NO_CACHE": "1",
        "UV_NO_PROGRESS": "1",
        "UV_NO_SYSTEM_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "XDG_CONFIG_DIRS": place,
        "XDG_CONFIG_HOME": place,
        **_PLAIN,
    }


@contextmanager
def nowhere() -> Iterator[Path]:
    """A folder for :func:`offline_environment`, while the context is open."""
    with tempfile.TemporaryDirectory(prefix="nixgen-") as made:
        settings = Path(made, "uv", "uv.toml")
        settings.parent.mkdir()
        settings.touch()
        yield Path(made)


def start_export(project: Project, folder: Path, nowhere: Path, python: str = "") -> process.Running:
    """Starts ``uv export`` of the whole lock, for all platforms, as pylock.toml (PEP 751) on stdout.

    ``folder`` holds the project or its shadow. The groups are uv's default groups unless the settings name them. Needs
    no Python interpreter and no network.

    With ``python`` ("3.12.0") only where uv.lock is what pyproject.toml asks for, as ``uv lock --check`` finds, and
    with uv's log: that needs a Python of this version, which needs not be there (:func:`stand_in`).
    """
    settings = project.settings
    current = ["--locked", "-v", "--python", os.fspath(stand_in(nowhere, python))] if python else ["--frozen"]
    command = ["export", "--format", "pylock.toml", "--no-header", *current]
    if project.script is not None:
        return _start([*command, "--script", project.script.path], project, folder, nowhere)
    if settings.groups is not None:
        command += ["--no-default-groups", *(f"--group={group}" for group in settings.groups)]
    command += [f"--extra={extra}" for extra in settings.extras]
    if settings.all_extras:
        command.append("--all-extras")
    return _start(command, project, folder, nowhere)


def stand_in(nowhere: Path, python: str) -> Path:
    """A program that uv takes for a Python of the version ``python`` ("3.12.0"): :mod:`nixgen.resolve.standin`.

    Where that has answered this uv before, its answer is in the user's cache folder and the program a shell script.
    """
    made = nowhere / f"python-{python}"
    sides = " ".join(map(_identity, (binary(), sys.executable, standin.__file__)))
    try:
        kept = folders.cache("uv", f"python-{python}.json")
    except MachineError:  # no home folder
        kept = made.with_suffix(".json")
    if (answer := _answer(kept, sides)) is not None:
        text = shlex.quote(json.dumps(answer | {"sys_executable": str(made), "sys_base_executable": str(made)}))
        text = _ANSWER.format(question=standin.QUESTION, answer=text, refusal=shlex.quote(standin.REFUSAL))
    else:
        words = [sys.executable, "-I", "-S", "-B", standin.__file__]
        text = f'exec {shlex.join(words)} "$0" {shlex.join([python, sides, str(kept)])} "$@"'
    made.write_text(f"#!/bin/sh\n{text}\n")
    made.chmod(0o755)
    return made


def _identity(file: str) -> str:
    """What is another when a file is: no program is so quick that asking it for its version would not be slower."""
    status = Path(file).stat()
    return f"{file}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"


def _answer(kept: Path, sides: str) -> dict[str, Any] | None:
    """The answer that was kept, None where there is none, it is damaged, or something else asks or answers now."""
    try:
        digest, _, text = files.contents(kept).partition(b"\n")
        if hashlib.sha256(text).hexdigest() != digest.decode():
            return None
        found = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return dict(table(found, "answer")) or None if lookup(found, "of") == sides else None


def lowest(requires_python: str) -> str:
    """The lowest release of Python that a specifier allows, whole ("3.11.0"); that is the one that uv takes for it."""
    named = [(int(minor), int(patch or 0)) for minor, patch in re.findall(_VERSION, requires_python)]
    near = {(minor, patch + more) for minor, patch in named for more in (0, 1)}
    near |= {(minor, 0) for minor in range(_FIRST, _LAST)}
    versions = (f"3.{minor}.{patch}" for minor, patch in sorted(near))
    try:
        return next((version for version in versions if plain.allows(requires_python, version)), _ANY)
    except ValueError:
        return _ANY


def _start(command: Sequence[str], project: Project, folder: Path, nowhere: Path) -> process.Running:
    """Starts uv with the settings of the project only: of folders above it, with those that a teammate has, too."""
    words = [binary(), *command]
    alone = project.script is not None and not project.path("pyproject.toml").exists()
    if (alone or lookup(project.pyproject, "tool", "uv") is None) and not project.path("uv.toml").exists():
        place = nowhere / "uv" / "uv.toml"
        if above := project.uv_options_above():
            import tomlkit

            place = nowhere / "above.toml"
            place.write_text(tomlkit.dumps(dict(above)), encoding="utf-8")
        words += ["--config-file", os.fspath(place)]
    return process.start(words, cwd=folder, env=offline_environment(nowhere), missing=_MISSING)


def lock(root: Path, variables: Mapping[str, str] | None = None, *, script: str | None = None) -> None:
    """Runs ``uv lock``, with the network and the user's own uv settings; ``variables`` are more of the environment.

    With ``script`` it locks that script.

    The lock does not depend on which Python runs it, so that is the one that runs nixgen where requires-python allows
    it, else one that uv finds; none is downloaded, unless the user's UV_PYTHON_DOWNLOADS says so. Where there is none,
    :func:`stand_in` does, as long as nothing has to be built. Raises UserError and MachineError with uv's explanation.
    """
    _done(_with_a_python(root, ["lock", *(["--script", script] if script else [])], variables))


def change(root: Path, *words: str) -> str:
    """Runs ``uv add``, ``remove`` or ``lock`` as the user types it, in a folder; what uv said of it.

    Which Python runs it matters no more than for :func:`lock`, which has what is raised.
    """
    result = _with_a_python(root, words)
    if result.code != 0:
        raise explained(result, otherwise=f"uv {words[0]} --help" if words[0] != "lock" else ASK)
    return result.err


def _with_a_python(root: Path, words: Sequence[str], variables: Mapping[str, str] | None = None) -> process.Result:
    """Runs a command of uv that insists on a Python: how it ended."""
    command = [binary(), *words]
    env = {"UV_PYTHON_DOWNLOADS": "never", **os.environ, **_PLAIN, **(variables or {})}

    def run(*more: str) -> process.Result:
        return process.run([*command[:2], *more, *command[2:]], cwd=root, env=env, check=False, missing=_MISSING)

    if "UV_PYTHON" in env or any(re.match(r"--python(=|$)|-p", word) for word in words):
        return run()
    first = run("--python", sys.executable)
    if first.code == 0 or not re.search(_ANOTHER_PYTHON, first.err):
        return first
    result = run()
    wanted = re.search(REQUIRES, first.err)
    if result.code != 0 and wanted and re.search(_ANOTHER_PYTHON, result.err):
        with nowhere() as place:
            stood = run("--python", os.fspath(stand_in(place, lowest(wanted[1]))))
        if not re.search(_BUILDING, stood.err):  # for which it is no Python
            result = stood
    return result


def add(root: Path, *words: str) -> None:
    """Runs ``uv add`` without locking: writes requirements into pyproject.toml, which must not ask for a Python yet.

    Raises UserError and MachineError with uv's explanation.
    """
    command = [binary(), "add", "--frozen", "--no-workspace", "--python", sys.executable, *words]
    _done(process.run(command, cwd=root, env={**os.environ, **_PLAIN}, check=False, missing=_MISSING))


def start_compile(folder: Path, target: Target, glibc: str, macos: str, *words: str) -> process.Running:
    """Starts ``uv pip compile`` for one target, with the network, as pylock.toml (PEP 751) on stdout.

    ``folder`` holds requirements.in, constraints.in, and a pyproject.toml with the settings and with more requirements,
    those that come from elsewhere than an index; ``words`` are more options.
    Only wheels are taken, so that nothing is built on this machine.
    """
    machine, _, kernel = target.system.partition("-")
    minor = max(int(glibc.partition(".")[2]), min(_GLIBC))
    named = max(known for known in _GLIBC if known <= minor)
    platform = f"{machine}-apple-darwin" if kernel == "darwin" else f"{machine}-manylinux_2_{named}"
    command = [
        *(binary(), "pip", "compile", "requirements.in", "pyproject.toml", "-c", "constraints.in"),
        *("--format", "pylock.toml"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:", "--no-python-downloads"),
        *("--python", sys.executable, "--python-version", target.full or target.python, "--python-platform", platform),
        *words,
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith(_ANSWERED)}
    env |= {"MACOSX_DEPLOYMENT_TARGET": macos, **_PLAIN}
    return process.start(command, cwd=folder, env=env, missing=_MISSING)


def stored_login(url: str) -> str | None:
    """What ``uv auth login`` stored for an address, as the header Authorization; None where that is nothing."""
    command = [binary(), "--preview-features", "auth-helper", "auth", "helper", "--protocol", "bazel", "get"]
    asked = json.dumps({"uri": url}).encode()
    result = process.start(command, env={**os.environ, **_PLAIN}, input_pipe=True).wait(data=asked)
    try:
        return str(json.loads(result.out)["headers"]["Authorization"][0])
    except (ValueError, LookupError, TypeError):
        return None


def _done(result: process.Result) -> None:
    if result.code != 0:
        raise explained(result)


def explained(result: process.Result, table: str = "tool.nixgen", otherwise: str = ASK) -> NixgenError:
    """uv's own error as ours: its ``error:`` line, its causes, and its hint as what mends it.

    ``table`` is the one of pyproject.toml that extras and groups stand in, ``otherwise`` what mends it where uv gives
    no hint. What uv says of its own command line is shown line by line. A network, a disk or a Python that is
    missing is a MachineError, everything else a UserError.
    """
    lines = [line.strip() for line in result.err.splitlines() if line.strip() and not re.match(_DRAWN, line)]
    first = next((index for index, line in enumerate(lines) if line.startswith("error:")), None)
    if result.code < 0 or first is None:
        return process.failure(result)
    end = next((index for index, line in enumerate(lines) if line.startswith("Usage: ")), len(lines))
    said: list[str] = []
    hints: list[str] = []
    for line in lines[first:end]:
        plain = addresses.blotted(re.sub(r"^(error|hint|cause): ?", "", line))
        (hints if line.startswith("hint:") else said).append(plain)
    what = "\n".join(said) if end < len(lines) else "; ".join(said).replace(":; ", ": ")
    if unknown := re.match(_UNKNOWN, what):
        key = f"{unknown[1].lower()}s"
        return UserError.of(f"pyproject.toml: {table}.{key}", what, f"define it there, or take it out of {key}")
    if re.search(_CONFLICT, what):
        mend = "give each of them an environment of its own: [tool.nixgen.environments.NAME]"
        return UserError.of(f"pyproject.toml: {table}", what, mend)
    if python := re.match(_NO_PYTHON, what):
        wanted = shlex.quote(python["wanted"])
        mend = f"install one (with uv: uv python install {wanted}), and run the command again"
        return MachineError([Problem("uv", what, mend)])
    for kind, mend in _MACHINE.items():
        if any(re.match(kind, line, re.IGNORECASE) for line in lines[first:]):
            return MachineError([Problem("uv", what, mend)])
    if not hints and (broken := re.match(_UNPARSED, what)):
        hints.append("write it again: uv lock" if broken[1] == "uv.lock" else "mend that line")
    return UserError([Problem("uv", what, "; ".join(hints) or otherwise)])
