"""What can go wrong, as values: each problem says what, where, and how to mend it.

Every error that a user can meet is a :class:`NixgenError`. It is caught once, at the edge of the command line,
printed as sentences, and turned into the exit code of its class. Nothing else is caught there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    ``where`` is a file and, behind a colon, a key or line (``pyproject.toml: tool.nixgen.base``), or a package's
    name; ``what`` is a sentence without a full stop; ``mend`` is what to type or change.
    """

    where: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n".join((head, *hint(self.mend)))


def hint(mend: str) -> list[str]:
    """The lines below a problem that say what mends it: ``  hint: nixgen sync``; none where there is nothing to say."""
    first, *others = mend.splitlines() or [""]
    return [f"  hint: {first}", *(f"    {line}" for line in others)] if first else []


class NixgenError(Exception):
    """The base of everything that a user can meet; holds all problems that were found, never only the first."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @classmethod
    def of(cls, where: str, what: str, mend: str = "") -> Self:
        """The error that holds this one problem."""
        return cls([Problem(where, what, mend)])


class Finding(NixgenError):  # noqa: N818 - what was looked for was found: no error
    """What was asked for was looked at, and is not so: a stale file, a difference. Exit code 1."""

    exit_code = 1


class UserError(NixgenError):
    """The input is wrong, and the user can mend it. Exit code 2."""

    exit_code = 2


class MachineError(NixgenError):
    """The machine lacks something: a program, a network, room on the disk, a permission. Exit code 3."""

    exit_code = 3


class Stale(NixgenError):  # noqa: N818 - a state of the project, and no error of a program
    """The generated files or the record are older than what they are made from. Exit code 4."""

    exit_code = 4


class NoRecord(NixgenError):  # noqa: N818 - a state of the project, and no error of a program
    """All was built and hashed, and no record is there to compare it with. Exit code 6."""

    exit_code = 6


class BuildFailed(NixgenError):  # noqa: N818 - the same
    """A derivation cannot be built, or a check of what was built failed. Exit code 5."""

    exit_code = 5
