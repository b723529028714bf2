"""Files for direnv, VS Code and dev containers, which ``nixgen init`` writes when asked; the user's from then on."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nixgen.formats import jsonc
from nixgen.machine import files

ENVRC = ".envrc"
DIRENV = ".direnv"
"""Where direnv keeps what it has made, in the project."""

EXTENSIONS, SETTINGS = ".vscode/extensions.json", ".vscode/settings.json"
DEVCONTAINER, CREATED = ".devcontainer/devcontainer.json", ".devcontainer/created.sh"

_PYTHON = "${workspaceFolder}/.venv/bin/python"
_RECOMMENDED = ["ms-python.python", "ms-toolsai.jupyter"]
_ONCE = "Written by nixgen init, once. It is yours now: nixgen will not touch it again."

_ENVRC = """\
# {once} To switch it on: direnv allow
watch_file {watched}
if has nix_direnv_version; then
  use flake
else
  # Without nix-direnv, and without flakes as well: builds what is missing, then sets what the shell sets.
  setup=$(NIX_BUILD_SHELL=bash nix-shell --run 'echo "$NIXGEN_SETUP"') &&
    source "$setup/setup" && nixgen_enter_again "$PWD"
fi
"""

_VSCODE: Mapping[str, Any] = {
    "python.defaultInterpreterPath": _PYTHON,
    # The terminal's shell is the user's; `nix develop` in it has more than an activated venv.
    "python.terminal.activateEnvironment": False,
    # Thousands of links into the store, none of which changes.
    "files.watcherExclude": {"**/.venv*/**": True, "**/.direnv/**": True},
    "search.exclude": {"**/.venv*": True, "**/.direnv": True, "nix/nixgen": True},
}

_IMAGE = "mcr.microsoft.com/devcontainers/base:trixie"
_NIX = "ghcr.io/devcontainers/features/nix:1"

_CREATED = """\
#!/bin/sh
# {once}
# Builds the environment when the container is made, so that the editor finds .venv.
set -eu
tries=60 # seconds in which Nix's daemon starts
while [ ! -S /nix/var/nix/daemon-socket/socket ] && [ "$tries" -gt 0 ]; do
    sleep 1
    tries=$((tries - 1))
done
NIX_BUILD_SHELL=bash nix-shell --run 'python --version'
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for."""

    direnv: bool = False
    vscode: bool = False
    devcontainer: bool = False


NOTHING = Asked()


@dataclass(slots=True)
class Made:
    """Files to write, and what is to be told."""

    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def once(self, root: Path, path: str, text: str) -> None:
        """A file that stays as it is where there is one; told where that is not nixgen's."""
        old = files.read(root, path)
        if old is None:
            self.files[path] = text.encode()
        elif old != text.encode():
            self.notes.append(f"{path} is yours and stays as it is. What nixgen would write:\n{text}")

    def merge(self, root: Path, path: str, wanted: Mapping[str, Any]) -> None:
        """JSON with comments, in which what is there stays as it is."""
        text = (files.read(root, path) or b"").decode(errors="surrogateescape")
        if not text.strip():
            self.files[path] = f"{json.dumps(wanted, indent=2)}\n".encode()
            return
        try:
            found = jsonc.merged(text, wanted)
        except (ValueError, RecursionError):
            why = "cannot be read as JSON with comments, and stays as it is"
            self.notes.append(f"{path} {why}. To be added by hand:\n{json.dumps(wanted, indent=2)}")
            return
        if found.text != text:
            self.files[path] = found.text.encode(errors="surrogateescape")
        for key in found.other:
            self.notes.append(
                f"{path}: {key} has a value of yours, which stays. nixgen would write: {_at(wanted, key)}"
            )


def made(root: Path, name: str, locks: Iterable[str], asked: Asked) -> Made:
    """The files that are asked for, for a project with this name and these locks."""
    found = Made()
    if asked.direnv:
        found.once(root, ENVRC, envrc(locks))
    if asked.vscode:
        found.merge(root, EXTENSIONS, {"recommendations": _RECOMMENDED})
        found.merge(root, SETTINGS, _VSCODE)
    if asked.devcontainer:
        found.once(root, DEVCONTAINER, devcontainer(name))
        found.once(root, CREATED, _CREATED.format(once=_ONCE))
    return found


def envrc(locks: Iterable[str]) -> str:
    """What direnv sources in the project's folder. It is loaded anew when one of the files changes."""
    watched = dict.fromkeys(["pyproject.toml", *locks, "nixgen.lock", "default.nix"])
    return _ENVRC.format(once=_ONCE, watched=shlex.join(watched))


def devcontainer(name: str) -> str:
    """The container for an editor, as JSON with comments."""
    value = {
        "name": name,
        "image": _IMAGE,
        "features": {_NIX: {"extraNixConfig": "experimental-features = nix-command flakes"}},
        "mounts": [{"source": "nix-store-${devcontainerId}", "target": "/nix", "type": "volume"}],
        "postCreateCommand": f"sh {CREATED}",
        "customizations": {"vscode": {"extensions": _RECOMMENDED, "settings": _VSCODE}},
    }
    comment = "Nix's store is a volume: what was built is there when the container is made anew."
    return f"// {_ONCE}\n// {comment}\n{json.dumps(value, indent=2)}\n"


def _at(wanted: Mapping[str, Any], path: str) -> str:
    value: Any = wanted
    for key in path.split(": "):
        value = value[key]
    return json.dumps(value)
