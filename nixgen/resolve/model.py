"""What a resolution is made of. All frozen; none does any input or output."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote

from nixgen.errors import Problem

FOLDER = "folder:"
"""How the addresses of folders in the project start that are built."""
LOCAL = "file:"
"""How addresses of files in the project start; ``file://`` has a path from the root of the machine."""


def local_path(address: str) -> str | None:
    """The path in the project of a file with this address, relative and unquoted; None of one that is elsewhere."""
    inside = address.startswith(LOCAL) and not address.startswith(f"{LOCAL}//")
    return unquote(address.removeprefix(LOCAL)) if inside else None


_GIT = r"git\+(\S+)@([0-9a-f]{40})(?:#subdirectory=([^\s#]+))?"


def folder_path(address: str) -> str | None:
    """The path in the project of a folder with this address; None of one that is no folder's."""
    return unquote(address.removeprefix(FOLDER)) if address.startswith(FOLDER) else None


Kind = Literal["wheel", "sdist", "vcs", "archive", "directory"]

FILES = ("wheel", "sdist", "archive")
"""The kinds of packages that are one file."""


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One machine type to resolve for: a Nix system (``x86_64-linux``) and a Python version (``3.11``).

    ``full`` is the interpreter's whole version ("3.11.2") where it is known: markers may compare it.
    """

    system: str
    python: str
    full: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Git:
    """Where a package from git comes from: a commit of a repository, and the folder in it ("": all of it).

    ``ref`` is the branch, tag or commit that was asked for when it was locked, "" for the default branch.
    """

    url: str
    commit: str
    subdirectory: str = ""
    ref: str = field(default="", compare=False)

    def __str__(self) -> str:
        """The address, as pip and uv write it: ``git+URL@COMMIT#subdirectory=FOLDER``."""
        return f"git+{self.url}@{self.commit}" + (
            f"#subdirectory={quote(self.subdirectory)}" if self.subdirectory else ""
        )

    @classmethod
    def parse(cls, address: str) -> Git | None:
        """The counterpart of ``str``; None for what is no such address."""
        match = re.fullmatch(_GIT, address)
        return cls(match[1], match[2], unquote(match[3] or "")) if match else None


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution that uv would install for a target.

    ``name`` is normalized (PEP 503). ``file``, ``url``, ``sha256`` (hexadecimal) and ``size`` (bytes) tell the one
    file that was chosen; each is None where the lock does not say or the kind has no file. ``path`` is a directory
    source's folder, or a file that lies in the project, relative to it, with forward slashes ("." is the project).
    ``why`` says why no wheel is taken of one that is built, if it has any; of a directory, what in it is compiled.
    ``uploaded`` is when a source distribution reached its index, "" where uv.lock does not say; ``git`` is where one
    from git comes from, and ``subdirectory`` the folder of an archive that the package is in, "" for all of it.
    """

    name: str
    version: str | None
    kind: Kind
    file: str | None = None
    url: str | None = None
    sha256: str | None = None
    size: int | None = None
    path: str | None = None
    uploaded: str = ""
    why: str = ""
    git: Git | None = None
    subdirectory: str = ""

    @property
    def built(self) -> bool:
        """Whether it is built from its source. A directory stays where it is, unless something in it is compiled."""
        return self.kind in {"sdist", "archive", "vcs"} or (self.kind == "directory" and self.why != "")

    @property
    def address(self) -> str:
        """What nixgen.lock calls it: its URL, ``file:`` and its path in the project, ``git+…``, or "" without any.

        Of a directory that is built it is ``folder:`` and its path.
        """
        if self.git is not None:
            return str(self.git)
        if self.kind == "directory" and self.built and self.path:
            return f"{FOLDER}{quote(self.path)}"
        inside = self.kind != "directory" and self.path and not self.path.startswith(("../", "/"))
        return self.url or (f"{LOCAL}{quote(self.path)}" if inside and self.path else "")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What uv would install for one target, sorted by name, and what stands in the way of building it.

    A problem's ``where`` is the package's name. ``patch``: another patch release of the Python could get others.
    ``environment`` is the name of the environment that this is for, "" for the default one.
    """

    target: Target
    packages: tuple[Package, ...]
    problems: tuple[Problem, ...] = ()
    patch: bool = False
    environment: str = ""


@dataclass(frozen=True, slots=True)
class FileHash:
    """What ``nixgen lock`` found for a file that uv.lock names without a hash."""

    url: str
    sha256: str
    size: int
