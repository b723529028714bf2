"""What is compared: pinned files and the trees that they make up; and the mistakes in what is expected."""

from __future__ import annotations

from typing import NamedTuple

VERSION = 1
"""Of the expected files' JSON, the report's and the stamp's."""

REFUSED = 79
"""The exit code when COMMAND was not started because a file is not the pinned one; sysexits.h ends with 78."""


class GuardError(Exception):
    """The base of what the guard raises; ``hint`` says what mends it, where that is known."""

    exit_code = 2

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


class BadInput(GuardError):  # noqa: N818 - the words of the package: a finding, a mistake in the input
    """What is expected cannot be understood, or names something that is not pinned. Nothing was looked at."""


class File(NamedTuple):
    """A pinned file: its path in the tree (relative, forward slashes), bytes, and SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Tree(NamedTuple):
    """A directory and the exact set of files that it must hold.

    ``prefix`` is what of the files' paths is the layout's and not the artifact's ("models--o--n/snapshots/…/").
    ``blobs`` names a folder of the tree that may hold the targets of the links, as the hub's own cache does.
    ``above`` is the folder that ``folder`` must not lead out of, but into the store; empty where any place is right.
    """

    name: str
    folder: str
    files: tuple[File, ...]
    prefix: str = ""
    blobs: str = ""
    above: str = ""

    @property
    def shared(self) -> bool:
        """Whether it is a cache of the hub's, whose files are also those of their artifacts' own folders."""
        return self.blobs == "blobs" or self.name.startswith("cache.")
