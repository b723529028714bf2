"""Who does something in a registry, and when: what every entry of its log has."""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nixgen.registry.entry import Entry

_LONGEST = 200  # characters of a name


@dataclass(frozen=True, slots=True)
class Stamp:
    """``by`` is a person as they name themselves (the log's key is what is proved), ``at`` is UTC."""

    by: str
    at: str
    why: str = ""

    @classmethod
    def now(cls, by: str = "", why: str = "") -> Stamp:
        """This moment; ``by`` defaults to NIXGEN_BY, git's own variable, or the user and the machine."""
        named = by or os.environ.get("NIXGEN_BY") or os.environ.get("GIT_AUTHOR_EMAIL") or _user()
        return cls(_utf8(named[:_LONGEST]), moment(datetime.now(UTC)), _utf8(why))

    def entry(self, kind: str, model: str, version: str, **more: Any) -> Entry:  # noqa: ANN401 -- an entry's fields
        """An event of this moment."""
        return Entry(kind, model, version, self.at, self.by, self.why, **more)


def moment(time: datetime) -> str:
    """A time as the log has it: UTC with microseconds (RFC 3339)."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _utf8(text: str) -> str:
    """A text of the command line or the environment, where bytes may be that no text has."""
    return text.encode("utf-8", "backslashreplace").decode()


def _user() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
