"""The console blocks of a page, typed as they stand there in a home folder of their own; and what they must print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from support.nix import ROOT, enter
from support.project import uv_binary
from support.waiting import without_progress

if TYPE_CHECKING:
    from support.nix import Nix

MARK = "@@@ the next command @@@"
# How this machine reaches its package index, and where it keeps what it has fetched.
KEPT = ("UV_CACHE_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS")
# What another day, or another machine, prints differently: sizes and times. Every other number is compared (case 58).
VARIES = re.compile(r"\b\d+(?:\\\.\d+)?((?:\\ )?)(?:([KMG]i)?B|m?s)\b")
DIGEST = re.compile(r"^(digest: [a-z0-9_]+-[a-z]+)( [0-9a-f]{4}){16}$")

# The hash in a store path's name, and a NAR hash: another version of a wheel, or of nixgen, has others.
HASHES = (
    (re.compile(r"\b[0-9a-df-np-sv-z]{32}(?=\\-)"), "@path@", "[0-9a-z]{32}"),
    (re.compile(r"sha256\\-\S{43,60}="), "@nar@", r"sha256-\S{44}"),
)

Step = tuple[str, list[str]]
"""A command, and the lines that the page shows below it."""


def steps(page: Path) -> list[Step]:
    """The commands of the page's console blocks."""
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def as_pattern(lines: list[str]) -> re.Pattern[str]:
    """A pattern for what is printed: "…" stands for any lines, and at the end of a line for its rest."""
    parts = []
    for line in lines:
        if line == "…":
            parts.append(r"(?:.*\n)*?")
            continue
        escaped = re.escape(line.removesuffix("…")) + (".*" if line.endswith("…") else "")
        for known, name, _ in HASHES:
            escaped = known.sub(name, escaped)
        if digest := DIGEST.match(line):
            escaped = re.escape(digest[1]) + r"(?: [0-9a-f]{4}){16}"
        else:
            escaped = VARIES.sub(
                lambda found: rf"[\d.]+{found[1]}" + ("m?s" if "B" not in found[0] else "[KMG]?i?B"), escaped
            )
        for _, name, pattern in HASHES:
            escaped = escaped.replace(name, pattern)
        # A newer Nix indents its errors.
        parts.append(f" *{escaped}\n")
    return re.compile("".join(parts))


def play(nix: Nix, before: Sequence[str], typed: Sequence[Step], folder: Path) -> list[str]:
    """Types ``before``, then the steps, in one shell; what each of the steps printed on stdout and stderr."""
    home = folder / "home"
    programs = folder / "bin"
    home.mkdir()
    programs.mkdir()
    (nix.store / "nix").mkdir(parents=True, exist_ok=True)
    (programs / "uv").symlink_to(uv_binary())
    (programs / "nixgen").write_text(f'#!/bin/sh\nexec {sys.executable} -m nixgen "$@"\n')
    (programs / "nixgen").chmod(0o755)
    script = "".join(f"{command}\n" for command in before)
    script += "".join(f"printf '%s\\n' '{MARK}'\n{command}\n" for command, _ in typed) + f"printf '%s\\n' '{MARK}'\n"
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
    outputs = without_progress(done.stdout).replace(str(home), "/home/you").split(f"{MARK}\n")[1:-1]
    assert len(outputs) == len(typed), done.stdout[-4000:]
    return outputs


def compare(typed: Sequence[Step], outputs: Sequence[str]) -> None:
    """Fails at the first command that printed something else than its page shows."""
    for (command, lines), printed in zip(typed, outputs, strict=True):
        if not lines and command.startswith(("cp", "cd", "git")):
            continue  # git may have something to say of branches or permissions
        assert as_pattern(lines).fullmatch(printed), f"$ {command}\n{printed}"
