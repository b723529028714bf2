"""The keys of a cache: Nix's own, which signs paths, and the log's. Each has a secret half that stays in its folder.

The folder is outside of every project: ``$XDG_CONFIG_HOME/nixgen/keys/NAME``, else below ``~/.config``. Secret files
are for their owner alone; what other people need is in ``cache.pub`` and ``log.pub``.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from nixgen.cache.narinfo import PublicKey
from nixgen.errors import MachineError, UserError
from nixgen.log.note import NoteError, Signer, Verifier
from nixgen.machine import folders
from nixgen.nix.tools import Nix

CACHE, LOG = "cache.sec", "log.sec"
CACHE_PUBLIC, LOG_PUBLIC = "cache.pub", "log.pub"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAKE = "make keys: nixgen cache keygen"
_SECRET = re.compile(r"PRIVATE\+KEY\+|[A-Za-z0-9+/]{86}==")


@dataclass(frozen=True, slots=True)
class Keys:
    """A folder of keys, read. ``secret`` is the file of Nix's secret key: only its name is ever handed on."""

    folder: Path
    secret: Path
    public: PublicKey
    signer: Signer = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        """The public half of the log's key."""
        return self.signer.verifier


def default_folder() -> Path:
    """Where the folders of keys are."""
    return folders.config("keys")


def place(name: str) -> Path:
    """The folder that ``--key`` means: a path where it has a slash in it, else a name below :func:`default_folder`."""
    return folders.typed(name) if "/" in name else default_folder() / name


def shown(text: str, option: str) -> str:
    """What an error calls the value of an option: the option, where a secret key was put into the wrong place."""
    return option if _SECRET.search(text) else text


def make(name: str, folder: Path) -> Keys:
    """Makes both keys in ``folder``, all or nothing. Nix makes its own.

    Raises UserError for a name that keys cannot have and for a folder that is there already: keys are never replaced.
    """
    if not NAME.fullmatch(name):
        raise UserError.of(name, "is not a name for a key", "use letters, digits, dots, hyphens and underscores")
    if folder.exists():
        raise UserError.of(str(folder), "is there already, and keys are never overwritten", "choose another --name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=stat.S_IRWXU)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # for its owner alone: mode 0700
    except OSError as error:
        raise MachineError.of(str(folder.parent), f"cannot be written: {error.strerror}") from None
    try:
        _generate(name, made)
        try:
            made.rename(folder)  # a folder that appeared meanwhile is not empty, and stays
        except OSError as error:
            raise MachineError.of(str(folder), f"cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return load(str(folder.resolve()))


def _generate(name: str, folder: Path) -> None:
    old = os.umask(0o077)
    try:
        Nix.here().run("nix-store", "--generate-binary-cache-key", name, folder / CACHE, folder / CACHE_PUBLIC)
        signer = Signer.generate(name)
        (folder / LOG).write_text(signer.secret() + "\n", "utf-8")
        (folder / LOG_PUBLIC).write_text(f"{signer.verifier}\n", "utf-8")
        (folder / CACHE_PUBLIC).write_text((folder / CACHE_PUBLIC).read_text("utf-8").strip() + "\n", "utf-8")
    except OSError as error:
        raise MachineError.of(str(folder), f"cannot be written: {error.strerror}") from None
    finally:
        os.umask(old)
    for file in (CACHE, LOG):
        (folder / file).chmod(stat.S_IRUSR | stat.S_IWUSR)
    for file in (CACHE_PUBLIC, LOG_PUBLIC):
        (folder / file).chmod(0o644)


def load(name: str) -> Keys:
    """Reads the keys that ``--key NAME`` means.

    Raises UserError where there are none, where one is no key, and where others may read a secret one.
    """
    folder = place(name)
    if not folder.is_dir():
        there = _names()
        known = f"there are: {', '.join(there)}" if there else MAKE
        raise UserError.of(shown(name, "--key"), "there are no such keys here", known)
    secret = folder / CACHE
    public = PublicKey.of_secret(_private(secret), str(secret))
    text = _private(folder / LOG).strip()
    try:
        signer = Signer.parse(text)
    except NoteError as error:
        raise UserError.of(str(folder / LOG), str(error), MAKE) from None
    return Keys(folder, secret.resolve(), public, signer)


def _names() -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(path.name for path in default_folder().iterdir() if (path / CACHE).exists())
    return []


def _private(file: Path) -> str:
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
        raise UserError.of(str(file), f"is a secret key that cannot be read: {why}", MAKE) from None
