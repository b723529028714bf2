"""``nixgen registry fetch``: a published version into a folder, each byte compared before the folder is there."""

from __future__ import annotations

import os
from pathlib import Path

from nixgen import console
from nixgen.errors import Finding, MachineError, Problem, UserError
from nixgen.machine import files, scratch
from nixgen.registry import checksums
from nixgen.registry.entry import Entry
from nixgen.registry.files import pieces
from nixgen.registry.registry import CHECKSUMS, Registry
from nixgen.registry.verify import published


def fetch(registry: Registry, entry: Entry, folder: Path) -> list[str]:
    """The paths that were written. All or nothing: ``folder`` must not be there.

    Raises Finding for bytes that are not those that the log has, UserError, MachineError.
    """
    if os.path.lexists(folder):
        raise UserError.of(str(folder), "is there already", "name another folder with --out, or remove it")
    source = f"{entry.model}/{entry.version}"
    hashes = published(registry.files, entry)
    try:
        with scratch.folder(folder.parent) as made:
            made.chmod(0o755)
            problems = []
            for path, wanted in hashes.items():
                with console.step(f"fetching {path}"):
                    _, found = files.write_pieces(made / path, pieces(registry.files, f"{source}/{path}"))
                if found != wanted:
                    what = "is not what was published"
                    problems.append(Problem(f"{source}/{path}", what, "see: nixgen registry verify"))
            if problems:
                raise Finding(problems)
            (made / CHECKSUMS).write_bytes(checksums.dump(hashes))
            made.rename(folder)
    except OSError as error:
        raise MachineError.of(str(error.filename or folder), f"cannot be written: {error.strerror}") from None
    return [*hashes, CHECKSUMS]
