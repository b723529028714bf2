"""The secret key of a log, in a folder of its user: ``$XDG_CONFIG_HOME/nixgen/keys/NAME``, else below ``~/.config``.

Secret files are for their owner alone; what other people need is in ``log.pub``. Keys are never replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from nixgen.errors import MachineError, UserError
from nixgen.log.note import NoteError, Signer
from nixgen.machine import folders

SECRET, PUBLIC = "log.sec", "log.pub"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PRIVATE = re.compile(r"PRIVATE\+KEY\+|[A-Za-z0-9+/]{86}==")


def default_folder() -> Path:
    """Where the folders of keys are."""
    return folders.config("keys")


def place(name: str) -> Path:
    """The folder that ``--key`` means: a path where it has a slash in it, else a name below :func:`default_folder`."""
    return folders.typed(name) if "/" in name else default_folder() / name


def shown(text: str, option: str) -> str:
    """What an error calls the value of an option: the option, where a secret key was put into the wrong place."""
    return option if _PRIVATE.search(text) else text


def make(name: str, folder: Path, more: Callable[[Path], None] | None = None) -> Path:
    """Makes ``folder`` with a new key, all or nothing; ``more`` puts others into it. Returns its place.

    Raises UserError for a name that keys cannot have and for a folder that is there already.
    """
    if not NAME.fullmatch(name):
        raise UserError.of(name, "is not a name for a key", "use letters, digits, dots, hyphens and underscores")
    if folder.exists():
        raise UserError.of(str(folder), "is there already, and keys are never overwritten", "choose another --name")
    old = os.umask(0o077)
    made = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # for its owner alone: mode 0700
        signer = Signer.generate(name)
        (made / SECRET).write_text(signer.secret() + "\n", "utf-8")
        (made / PUBLIC).write_text(f"{signer.verifier}\n", "utf-8")
        (made / PUBLIC).chmod(0o644)
        if more is not None:
            more(made)
        made.rename(folder)  # a folder that appeared meanwhile is not empty, and stays
    except OSError as error:
        raise MachineError.of(str(folder.parent), f"cannot be written: {error.strerror}") from None
    finally:
        os.umask(old)
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return folder.resolve()


def find(name: str, mend: str, file: str = SECRET) -> Path:
    """The folder of the keys that ``--key NAME`` means. Raises UserError where there are none that have ``file``."""
    folder = place(name)
    if not folder.is_dir():
        there = _names(file)
        known = f"there are: {', '.join(there)}" if there else mend
        raise UserError.of(shown(name, "--key"), "there are no such keys here", known)
    return folder


def signer(folder: Path, mend: str) -> Signer:
    """The key in a folder. Raises UserError where it is none, and where others may read it."""
    text = private(folder / SECRET, mend).strip()
    try:
        return Signer.parse(text)
    except NoteError as error:
        raise UserError.of(str(folder / SECRET), str(error), mend) from None


def private(file: Path, mend: str) -> str:
    """The text of a secret file. Raises UserError where others than its owner may read it."""
    try:
        with file.open(encoding="utf-8") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise UserError.of(
                    str(file), "is a secret key, and others than its owner may read it", f"chmod 600 {file}"
                )
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError.of(str(file), f"is a secret key that cannot be read: {why}", mend) from None


def _names(file: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(path.name for path in default_folder().iterdir() if (path / file).exists())
    return []
