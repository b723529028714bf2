"""The README's first project, typed as it stands there: what is printed is what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nix import ROOT, SYSTEM, enter
from support.project import uv_binary

if TYPE_CHECKING:
    from support.nix import Nix

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

MARK = "@@@ the next command @@@"
# How this machine reaches its package index, and where it keeps what it has fetched.
KEPT = ("UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS")
# What another day, or another machine, prints differently: sizes and counts of Debian's packages, times.
VARIES = re.compile(r"^(Pinned Debian|Resolved|nix/nixgen/|Told git)")


def session() -> list[tuple[str, list[str]]]:
    """The commands of the README's console blocks, each with the lines that it shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def as_pattern(lines: list[str]) -> re.Pattern[str]:
    """A pattern for what is printed: "…" stands for any lines."""
    parts = []
    for line in lines:
        if line == "…":
            parts.append(r"(?:.*\n)*?")
            continue
        escaped = re.escape(line)
        # A newer Nix indents its errors.
        parts.append(" *" + (re.sub(r"\d+", r"\\d+", escaped) if VARIES.match(line) else escaped) + "\n")
    return re.compile("".join(parts))


def test_the_first_project_prints_what_the_readme_shows(nix: Nix, tmp_path: Path) -> None:
    home = tmp_path / "home"
    programs = tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (nix.store / "nix").mkdir(parents=True, exist_ok=True)
    (programs / "uv").symlink_to(uv_binary())
    (programs / "nixgen").write_text(f'#!/bin/sh\nexec {sys.executable} -m nixgen "$@"\n')
    (programs / "nixgen").chmod(0o755)
    steps = session()
    assert len(steps) > 10
    script = "".join(f"printf '%s\\n' '{MARK}'\n{command}\n" for command, _ in steps) + f"printf '%s\\n' '{MARK}'\n"
    environment = {
        **nix.environ(),
        "HOME": str(home),
        "PATH": f"{programs}:{nix.environ()['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "UV_NO_PROGRESS": "1",
        **{f"GIT_{who}_{what}": "reader@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    environment |= {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run(
        [*enter(nix.store), "bash", "-c", script],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outputs = done.stdout.replace(str(home), "/home/you").split(f"{MARK}\n")[1:-1]
    assert len(outputs) == len(steps), done.stdout[-4000:]
    for (command, lines), printed in zip(steps, outputs, strict=True):
        if not lines and command.startswith(("cp", "cd", "git")):
            continue  # git may have something to say of branches or permissions
        assert as_pattern(lines).fullmatch(printed), f"$ {command}\n{printed}"
