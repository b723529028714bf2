"""The user's logins for package indexes, as uv finds them: none of them is written anywhere.

uv's order: what the address of an index carries (in the user's own settings, or by UV_INDEX_NAME_USERNAME and its
PASSWORD), netrc (:mod:`nixgen.machine.download` reads that), then what ``uv auth login`` stored, then the program
``keyring`` for an address with a user's name, where ``keyring-provider`` says so.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nixgen.formats import toml
from nixgen.formats.foreign import strings, table, tables
from nixgen.machine import addresses, download, process
from nixgen.project import uvlock
from nixgen.resolve import uv

if TYPE_CHECKING:
    from nixgen.project.project import Project

_LAST = re.compile(r"/(?:simple|\+simple)/?$")  # an index lies beside its files
_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(.*)")


@dataclass(frozen=True, slots=True)
class Logins:
    """Logins by where they count; ``self(address)`` is the header Authorization for a file, or None."""

    indexes: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Where the files of an index lie (an address without its login), and the header."""
    stored: frozenset[str] = frozenset()
    """The hosts that ``uv auth login`` was called for."""

    def __call__(self, url: str) -> str | None:
        """Of the index that leads farthest to the file, else of another one of its host; else what is stored."""
        if not addresses.confidential(url):
            return None
        near = [(place, header) for place, header in self.indexes if addresses.origin(place) == addresses.origin(url)]
        if near:
            return max(near, key=lambda one: len(one[0]) if url.startswith(f"{one[0]}/") else 0)[1]
        if netrc := download.netrc_login(url):
            return netrc
        return uv.stored_login(url) if urlsplit(url).hostname in self.stored else None

    def has_index(self, url: str) -> bool:
        """Whether there is a login for an index on the server of this address."""
        return any(addresses.origin(place) == addresses.origin(url) for place, _ in self.indexes)

    def any(self) -> bool:
        """Whether there is any."""
        return bool(self.indexes or self.stored) or download.netrc_path().is_file()

    def known(self, url: str) -> bool:
        """Whether there is a login for the host of a file."""
        if not url.startswith(("https:", "http:")):
            return False
        return urlsplit(url).hostname in self.stored or self(url) is not None


def read(project: Project) -> Logins:
    """The logins of this user for this project."""
    indexes: list[tuple[str, str]] = []
    keyring = _provider(project) == "subprocess"
    for name, url in _indexes(project):
        try:
            parts = urlsplit(url)
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
        except ValueError:
            continue
        variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
        user = (name and os.environ.get(f"UV_INDEX_{variable}_USERNAME")) or user
        password = (name and os.environ.get(f"UV_INDEX_{variable}_PASSWORD")) or password
        plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        if parts.scheme in ("http", "https") and user and not password and keyring:
            password = _kept(plain, parts.netloc.rpartition("@")[2], user)
        if parts.scheme in ("http", "https") and password:
            indexes.append((_LAST.sub("", plain).rstrip("/"), download.basic(user, password)))
    return Logins(tuple(indexes), frozenset(_stored()))


def _provider(project: Project) -> object:
    """uv's ``keyring-provider``: of the environment, the project, the user, the machine."""
    settings = (project.uv_settings(), *_users())
    found = [os.environ.get("UV_KEYRING_PROVIDER"), *(one.get("keyring-provider") for one in settings)]
    return next((one for one in found if one), None)


def _kept(url: str, host: str, user: str) -> str:
    """The password that the program keyring has, asked as uv does: for the index, then for its host; "" for none."""
    for service in (url, host):
        if shutil.which("keyring"):
            done = process.run(["keyring", "get", service, user], check=False)
            if done.code == 0 and done.out.rstrip("\r\n"):
                return done.out.rstrip("\r\n")
    return ""


def _users() -> Iterator[Mapping[str, Any]]:
    """The settings of uv of the user, and of the machine."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    yield from (_toml(Path(home, "uv", "uv.toml")), _toml(Path("/etc/uv/uv.toml")))


def _indexes(project: Project) -> Iterator[tuple[str, str]]:
    """Name ("" for none) and address of every index that uv may ask: of the project, its members, and the user."""
    settings = [project.uv_settings()]
    folders = (project.path(uvlock.folder(package)) for package in project.uv_lock().local)
    settings += [table(_toml(folder / "pyproject.toml"), "tool", "uv") for folder in folders]
    for one in (*settings, *_users()):
        for index in tables(one.get("index")):
            yield str(index.get("name") or ""), str(index.get("url") or "")
        for key in ("index-url", "extra-index-url", "find-links"):
            yield from (("", url) for url in strings(one.get(key)))
    variables = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    for word in (word for name in variables for word in re.split(r"[\s,]+", os.environ.get(name, "")) if word):
        named = _NAMED.fullmatch(word)
        yield (named[1], named[2]) if named and "://" not in named[1] else ("", word)


def _toml(path: Path) -> Mapping[str, Any]:
    """A file that may not be there; uv says what is wrong with one."""
    try:
        return toml.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, toml.TomlError):
        return {}


def _stored() -> Iterable[str]:
    """The hosts in the store of ``uv auth``."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    folder = os.environ.get("UV_CREDENTIALS_DIR") or Path(data, "uv", "credentials")
    for one in tables(_toml(Path(folder, "credentials.toml")).get("credential")):
        try:
            host = urlsplit(str(one.get("service"))).hostname
        except ValueError:
            continue
        if host:
            yield host
