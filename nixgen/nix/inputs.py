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
    except (FileNotFoundError, IsADirectoryError):
        return  # Nix says it, at once
    except OSError as error:
        raise files.unreadable(_DEFAULT, error) from None
    problems = []
    for name in dict.fromkeys((*_HASHED.findall(text), *_LOCAL.findall(text), *_vendored(root))):
        try:
            found = (root / name).stat()
        except (OSError, ValueError):
            continue
        mend = f"put the file back: git checkout -- {name}"
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            problems.append(Problem(name, "is not a regular file: Nix would wait for it without end", mend))
        elif found.st_size > files.LIMIT and name in _HASHED.findall(text):
            problems.append(Problem(name, f"has more than {files.LIMIT >> 20} MiB", mend))
    if problems:
        raise UserError(problems)


def _vendored(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root / vendored.FOLDER):
        yield from (os.path.relpath(Path(folder, name), root) for name in sorted(names))
