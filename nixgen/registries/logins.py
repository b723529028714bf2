"""Logins for registries, as Docker's and Podman's own files and their credential helpers have them; nothing is written.

One registry's login is found by its name alone: there is none for "all others".
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from nixgen.errors import MachineError, UserError
from nixgen.machine import files
from nixgen.registries.place import HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", HUB})
_HELPER = re.compile(r"[\w.-]+", re.ASCII)
_TIMEOUT, _OFTEN = 60.0, 0.05  # seconds that a helper has, and between two looks at how much it has printed
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Login:
    """Who enters a registry: a user with a password, or an identity token (OAuth 2.0's refresh token)."""

    user: str
    password: str = field(repr=False)
    identity: str = field(default="", repr=False)


def places(env: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The files that may have logins, the first first: Podman's, then Docker's (containers-auth.json(5))."""
    if given := env.get("REGISTRY_AUTH_FILE"):
        return (Path(given),)
    home = Path(env.get("HOME") or Path.home())
    found = [Path(run) / "containers" / "auth.json"] if (run := env.get("XDG_RUNTIME_DIR")) else []
    found.append(Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json")
    found.append(Path(env.get("DOCKER_CONFIG") or home / ".docker") / "config.json")
    return tuple(found)


def login(host: str, name: str = "", env: Mapping[str, str] = os.environ) -> Login | None:
    """The login for a registry, or for what in it has this name. Raises UserError and MachineError."""
    for path in places(env):
        try:
            text = files.contents(path).decode("utf-8")
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UserError.of(
                str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}", "log in anew, or remove it"
            ) from None
        if found := _of_file(text, path, host, name):
            return found
    return None


def _of_file(text: str, path: Path, host: str, name: str) -> Login | None:
    try:
        whole = json.loads(text or "{}")
    except (ValueError, RecursionError):
        whole = None
    if not isinstance(whole, dict):
        raise UserError.of(str(path), "is no JSON object", "log in anew, or remove it")
    helpers, entries = _table(whole, "credHelpers"), _table(whole, "auths")
    names = _HUB_NAMES if host in _HUB_NAMES else {host}
    for key in names & helpers.keys():
        return _helped(str(helpers[key]), key, path)
    if (store := whole.get("credsStore")) and (found := _helped(str(store), _key(host), path)):
        return found
    wanted = list(_scopes(name))
    known = {_plain(key): value for key, value in entries.items()}
    for scope in wanted:
        for one in names:
            entry = known.get(f"{one}/{scope}" if scope else one)
            if isinstance(entry, dict) and (found := _entry(entry, path)):
                return found
    return None


def _scopes(name: str) -> Iterator[str]:
    """Podman's keys, the longest first: team/demo, team, and the registry itself."""
    while name:
        yield name
        name = name.rpartition("/")[0]
    yield ""


def _plain(key: str) -> str:
    """A key of ``auths`` as host or host/name: Docker writes addresses, with /v1/ behind them."""
    bare = key.partition("://")[2] or key
    return re.sub(r"/(v[12]/?)?$", "", bare)


def _key(host: str) -> str:
    return _HUB_KEY if host in _HUB_NAMES else host


def _table(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = whole.get(key)
    return found if isinstance(found, dict) else {}


def _entry(entry: Mapping[str, Any], path: Path) -> Login | None:
    try:
        identity, user, password = (_text(entry.get(key) or "") for key in ("identitytoken", "username", "password"))
    except ValueError:
        raise UserError.of(str(path), "has a login that is no text", "log in anew") from None
    if given := entry.get("auth"):
        try:
            user, _, password = base64.b64decode(str(given), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise UserError.of(str(path), "has a login that is not in base64", "log in anew") from None
    return Login(user, password.rstrip("\0"), identity) if identity or user else None


def _text(value: object) -> str:
    """A value as it is sent. Raises ValueError for half a character, which JSON may have."""
    text = str(value)
    text.encode()
    return text


def _helped(helper: str, key: str, path: Path) -> Login | None:
    """What a credential helper has (docker-credential-NAME get); None where it knows no login."""
    if not _HELPER.fullmatch(helper):
        raise UserError.of(str(path), f"names {helper!a} as its credential helper", "correct it")
    command = f"docker-credential-{helper}"
    code, out, err = _answer(command, key, path)
    if code:
        if b"not found" in out + err:
            return None
        raise MachineError.of(str(path), f"{command} ended with exit code {code}", "try it by itself")
    try:
        answer = json.loads(out)
        user, password = _text(answer["Username"]), _text(answer["Secret"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MachineError.of(str(path), f"{command} gave no login that can be read", "try it by itself") from None
    return Login("", "", password) if user == "<token>" else Login(user, password)


def _answer(command: str, key: str, path: Path) -> tuple[int, bytes, bytes]:
    """How a helper ends, and what it prints, of which there is little.

    What it has started, an agent or an endless program, is not waited for, and finds its pipe closed.
    """
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen([command, "get"], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
    except FileNotFoundError:
        what = f"needs {command}, which is not there"
        raise MachineError.of(str(path), what, "install it, or log in anew") from None
    except OSError as error:
        raise MachineError.of(str(path), f"{command} cannot be run: {error.strerror}", "try it by itself") from None
    until, ended, read = time.monotonic() + _TIMEOUT, False, True
    with process, selectors.DefaultSelector() as waiting:
        given, *outputs = (cast("IO[bytes]", one) for one in (process.stdin, process.stdout, process.stderr))
        printed = {one.fileno(): bytearray() for one in outputs}
        try:
            with contextlib.suppress(BrokenPipeError):
                given.write(key.encode())
            given.close()
            for number in printed:
                waiting.register(number, selectors.EVENT_READ)
            while read or not ended:
                ended, read = process.poll() is not None, False
                for one, _ in waiting.select(0 if ended else _OFTEN):
                    if piece := os.read(one.fd, 1 << 16):
                        printed[one.fd] += piece
                        read = True
                    else:
                        waiting.unregister(one.fd)
                if time.monotonic() > until or max(map(len, printed.values())) > _LARGEST:
                    raise MachineError.of(str(path), f"needs {command}, which does not answer", "try it by itself")
        finally:
            process.kill()
    out, err = map(bytes, printed.values())
    return process.returncode, out, err
