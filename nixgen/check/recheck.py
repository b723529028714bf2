"""One derivation, built once more by ``nix-store --realise --check --keep-failed``, and what Nix says of it.

What Nix does, as tried with 2.8.0 and 2.34.8, and as src/libstore has it (registerOutputs):

- It compares with the hash in its database, not with the disk. It ends with 104 (through a daemon: 1) for other bytes,
  and then the new output lies beside the old one as ``OUT.check``, of several outputs only the first that differs; the
  folder of the build is kept, too, as it is when the build fails or is interrupted.
- A build on another machine (``--builders``) ends well, and nothing was compared. So builds are kept here; that one
  took place, and here, is in the structured log, as an activity that a builder cannot forge.
- It leaves ``OUT.lock`` behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PREFIX = "@nix "
_BUILD = 105  # actBuild: its fields are the derivation and the machine, "" for this one
_LOG_LINE = 101  # resBuildLogLine
_TAIL = 10
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_KEPT = re.compile(r"note: keeping build directory ['\"](/[^'\"]+)['\"]")
_LOG_FOLLOWS = re.compile(r"(?i)last \d+ log lines|output paths|for full logs|>")
_ERROR = re.compile(r"^(?:error:\s*)+")


@dataclass(frozen=True, slots=True)
class Said:
    """What the structured log of one call says.

    ``machine`` is where the builder ran: "" here, None: nowhere; ``kept`` are folders of builds that Nix left,
    ``error`` is Nix's last error, ``tail`` the last lines that the builder printed.
    """

    machine: str | None = None
    kept: tuple[Path, ...] = ()
    error: str = ""
    tail: tuple[str, ...] = ()

    @property
    def other_bytes(self) -> bool:
        """Whether Nix found that the output differs."""
        return "may not be deterministic" in self.error


def read(log: str, drv: str) -> Said:
    """Reads the log of a call that checked the derivation ``drv``; lines that are no messages are passed over."""
    machine: str | None = None
    kept: list[Path] = []
    tail: list[str] = []
    error = ""
    builds = set()
    for message in _messages(log):
        fields = message.get("fields") or []
        if message.get("action") == "start" and message.get("type") == _BUILD and fields[:1] == [drv]:
            machine = str(fields[1]) if len(fields) > 1 else ""
            builds.add(message.get("id"))
        elif message.get("action") == "result" and message.get("type") == _LOG_LINE and message.get("id") in builds:
            tail = [*tail[1 - _TAIL :], str(fields[0])]
        elif message.get("action") == "msg":
            text = _COLOURS.sub("", str(message.get("msg", "")))
            if (found := _KEPT.match(text)) and is_build_folder(Path(found[1]), drv):
                kept.append(Path(found[1]))
            elif text.startswith("error:"):
                error = _ERROR.sub("", text)
    return Said(machine, tuple(kept), error, tuple(tail))


def is_build_folder(path: Path, drv: str) -> bool:
    """Whether a path looks like the folder of a build of this derivation: what a builder prints may be any path."""
    name = re.escape(Path(drv).name.partition("-")[2])
    own = re.fullmatch(rf"nix-build-{name}-\d+(?:-\d+)?|nix-\d+-\d{{4,}}", build_folder(path).name)
    return own is not None and ".." not in path.parts


def build_folder(path: Path) -> Path:
    """The whole of a build's folder: in newer versions, the build is in a folder of its own in it."""
    return path.parent if path.name == "build" else path


def inconclusive(said: Said) -> str:
    """Why a call that failed without a comparison says nothing, as a clause."""
    if said.machine is None:
        return f"Nix did not build it: {_sentence(said.error)}" if said.error else "Nix did not build it"
    last = "\n    ".join(("; its last lines:", *said.tail)) if said.tail else ""
    return f"the build failed this time: {_sentence(said.error)}{last}"


def _sentence(error: str) -> str:
    """Nix's error in one line, without the end of the log."""
    kept: list[str] = []
    for line in error.strip().splitlines():
        if _LOG_FOLLOWS.match(line.strip()):
            break
        kept.append(line.strip())
    return " ".join(kept).rstrip(".;:")


def _messages(log: str) -> Iterator[Mapping[str, Any]]:
    for line in log.splitlines():
        if line.startswith(_PREFIX):
            try:
                message = json.loads(line.removeprefix(_PREFIX))
            except (ValueError, RecursionError):  # the last line of a call that was killed
                continue
            if isinstance(message, dict):
                yield message
