"""What Nix reads of a project, looked at first: it waits for a pipe without end, and reads a device without end."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from nixgen.errors import Problem, UserError
from nixgen.machine import files
from nixgen.nix import vendored

_DEFAULT = "default.nix"
# As generated: the files whose digests it has, and those of models and data in the work tree.
_HASHED = re.compile(r'^    "([^"\\$]+)" = "', re.MULTILINE)
_LOCAL = re.compile(r'\blocal = "([^"\\$]+)"')


def refuse_strange(root: Path) -> None:
    """Raises UserError with each file that Nix would read without end, MachineError where default.nix has no end."""
    try:
        text = files.contents(root / _DEFAULT).decode("utf-8", "replace")
    except FileNotFoundError:
        return  # Nix says it, at once
    except IsADirectoryError:
        raise UserError.of(_DEFAULT, "is a folder, not a file", "move it elsewhere, then: nixgen sync") from None
    except OSError as error:
        raise files.unreadable(_DEFAULT, error) from None
    hashed = set(_HASHED.findall(text))
    others = {*_LOCAL.findall(text), *_vendored(root)} - hashed
    problems = [found for name in sorted(hashed) for found in _strange(root, name, hashed=True)]
    problems += [found for name in sorted(others) for found in _strange(root, name, hashed=False)]
    if problems:
        raise UserError(problems)


def _strange(root: Path, name: str, *, hashed: bool) -> Iterator[Problem]:
    """What is wrong with a file; one that is ``hashed`` is read as a whole."""
    mend = f"put the file back: git checkout -- {name}"
    try:
        found = (root / name).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return
    except OSError as error:
        yield from files.unreadable(name, error).problems
        return
    if stat.S_ISDIR(found.st_mode):
        if hashed:
            yield Problem(name, "is a folder, not a file", "move it elsewhere")
    elif not stat.S_ISREG(found.st_mode):
        yield Problem(name, "is not a regular file: Nix would wait for it without end", mend)
    elif found.st_size > files.LIMIT and hashed:
        yield Problem(name, f"has more than {files.LIMIT >> 20} MiB", mend)


def _vendored(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root / vendored.FOLDER):
        yield from (os.path.relpath(Path(folder, name), root) for name in names)
