"""``nixgen registry fetch``: a published version into a folder, each byte compared before the folder is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from nixgen import console
from nixgen.errors import Finding, MachineError, Problem, UserError
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
    made = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".", suffix=".new", dir=folder.parent))
        made.chmod(0o755)
        problems = []
        for path, wanted in hashes.items():
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with console.step(f"fetching {path}"), target.open("xb") as file:
                found = hashlib.sha256()
                for piece in pieces(registry.files, f"{source}/{path}"):
                    found.update(piece)
                    file.write(piece)
            if found.hexdigest() != wanted:
                problems.append(Problem(f"{source}/{path}", "is not what was published", "see: nixgen registry verify"))
        if problems:
            raise Finding(problems)
        (made / CHECKSUMS).write_bytes(checksums.dump(hashes))
        made.rename(folder)
    except OSError as error:
        raise MachineError.of(str(error.filename or folder), f"cannot be written: {error.strerror}") from None
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return [*hashes, CHECKSUMS]
