"""What kind of machine this is: its system and distribution, WSL, a container."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_RELEASES = ("etc/os-release", "usr/lib/os-release")
_MARKS = {".dockerenv": "docker", "run/.containerenv": "podman"}


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. ``system`` is "linux" or "darwin"; ``ids`` and ``name`` are what os-release(5) tells.

    ``wsl`` is the version of the Windows Subsystem for Linux, 0 elsewhere; ``container`` says what kind of container
    this is, "" for none; ``systemd`` whether systemd runs here.
    """

    system: str
    ids: tuple[str, ...] = ()
    name: str = ""
    wsl: int = 0
    container: str = ""
    systemd: bool = False


def here(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> Host:
    """This machine; ``root`` is where its files are looked for."""
    variables = os.environ if environment is None else environment
    release = os_release(root)
    container = _container(root, variables)
    kernel = _text(root / "proc/sys/kernel/osrelease").lower()
    wsl = (2 if "wsl2" in kernel or "microsoft-standard" in kernel else 1) if "microsoft" in kernel else 0
    return Host(
        system=os.uname().sysname.lower(),
        ids=tuple(f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()),
        name=release.get("PRETTY_NAME", ""),
        wsl=0 if container else wsl,
        container=container,
        systemd=(root / "run/systemd/system").is_dir(),
    )


def os_release(root: Path = Path("/")) -> Mapping[str, str]:
    """The variables of os-release(5); empty where there is none."""
    text = next(filter(None, (_text(root / name) for name in _RELEASES)), "")
    found = {}
    for key, value in re.findall(r"^([A-Z_0-9]+)=(.*)$", text, re.MULTILINE):
        with contextlib.suppress(ValueError):
            found[key] = " ".join(shlex.split(value))
    return found


def _container(root: Path, variables: Mapping[str, str]) -> str:
    told = _text(root / "run/systemd/container").strip() or variables.get("container", "")
    marked = next((kind for mark, kind in _MARKS.items() if (root / mark).exists()), "")
    return told or marked or ("kubernetes" if variables.get("KUBERNETES_SERVICE_HOST") else "")


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""
