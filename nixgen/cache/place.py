"""Where a cache and its log lie: one address, and what Nix and the log's reader each make of it.

Source of the rules: the Nix manual, "Store Types": ``file://``, ``s3://``, ``https://`` and ``ssh-ng://`` stores, with
settings behind a question mark.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from nixgen.errors import UserError
from nixgen.machine import folders
from nixgen.machine.addresses import secret_key

LOG = "nixgen-log"
"""The folder of the log, beside the cache's files."""

COMPRESSION = "zstd"
"""What NARs are packed with where the address does not say: several times as quick as Nix's own xz."""

_PLAIN = "/+=@:,~"
_FILES = ("file", "http", "https", "s3")
_KNOWN = (*_FILES, "ssh-ng")
# Not part of where a cache is: who signs, and what is only for one upload.
_SECRET = ("secret-key", "secret-keys")
_UPLOAD = ("compression", "compression-level", "parallel-compression", "write-nar-listing")


@dataclass(frozen=True, slots=True)
class Place:
    """A cache. ``url`` is its address as nixgen.lock has it, ``log`` that of its log's folder.

    ``upload`` are settings for one upload, like the compression.
    """

    url: str
    log: str
    upload: tuple[tuple[str, str], ...] = ()

    @property
    def scheme(self) -> str:
        """``file``, ``http``, ``https``, ``s3`` or ``ssh-ng``."""
        return urlsplit(self.url).scheme

    @property
    def of_files(self) -> bool:
        """Whether it is made of narinfo and NAR files; a store behind ssh-ng is not."""
        return self.scheme in _FILES

    def signing(self, secret: Path) -> str:
        """The address for ``nix copy --to``: with the file of the secret key that Nix signs with."""
        if not self.of_files:
            return self.url
        settings = {"compression": COMPRESSION, **dict(self.upload), "secret-key": str(secret)}
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, _query(settings.items())]))))


def parse(text: str, log: str | None = None) -> Place:
    """The cache at an address, or in a folder. ``log`` is where its log lies, when that is not beside it.

    Raises UserError for an address that is no store of Nix that can be a cache, that has a password in it, or a key;
    and where ``log`` is needed and missing.
    """
    parts, upload = _parts(text)
    url = urlunsplit(parts)
    if log is None and parts.scheme == "ssh-ng":
        raise UserError.of(url, "a store behind ssh has no place for a log", "name a folder or address with --log")
    return Place(url, _folder(log) if log else beside(url, LOG), upload)


def beside(url: str, name: str) -> str:
    """The address of a folder among a cache's files. Raises UserError for a store that has none."""
    parts = urlsplit(url)
    if parts.scheme == "ssh-ng":
        raise UserError.of(url, f"a store behind ssh has no place for {name}", "use a folder, a bucket or a web server")
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def address(text: str) -> str:
    """The address of a cache as nixgen.lock has it. Raises UserError as :func:`parse` does."""
    return urlunsplit(_parts(text)[0])


def _parts(text: str) -> tuple[SplitResult, tuple[tuple[str, str], ...]]:
    """An address without what is only for one upload, and that."""
    parts = _split(text if "://" in text else _uri(text))
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh-ng"):
        raise UserError.of(
            f"{parts.scheme}://…@{parts.hostname}", "has a user name or password in it", "netrc is the place for them"
        )
    if parts.scheme not in _KNOWN:
        raise UserError.of(text, "is not a cache that nixgen knows", f"use {', '.join(f'{s}://' for s in _KNOWN)}")
    if (parts.scheme == "file") == bool(parts.netloc) or (parts.scheme == "file" and not parts.path.startswith("/")):
        raise UserError.of(text, "is not a whole address", "write file:///folder, or SCHEME://host/path")
    if parts.scheme == "file" and quote(parts.path, safe=_PLAIN) != parts.path:
        raise UserError.of(text, "has characters that not every Nix reads alike in an address", "use a plainer name")
    settings = parse_qsl(parts.query, keep_blank_values=True)
    where = text.partition("?")[0]
    for key, _ in settings:
        if key in _SECRET:
            raise UserError.of(where, f"has {key} in it", "name the key with --key")
    if secret_key(f"{parts.query}&{parts.fragment}"):
        raise UserError.of(where, "has a token or signature in it", "use the credentials that Nix finds by itself")
    kept = _query((key, value) for key, value in settings if key not in _UPLOAD)
    path = parts.path.rstrip("/") or ("/" if parts.scheme == "file" else "")
    return parts._replace(path=path, query=kept, fragment=""), tuple(item for item in settings if item[0] in _UPLOAD)


def _folder(log: str) -> str:
    """An address stays as it is; a folder's is made whole."""
    if "://" not in log:
        return _uri(log)
    _split(log)
    return log


def _uri(folder: str) -> str:
    return "file://" + quote(os.fsencode(folders.typed(folder)), safe=_PLAIN)


def _split(address: str) -> SplitResult:
    """The parts of an address; Nix and this program must read the same in them. Raises UserError."""
    try:
        parts = urlsplit(address)
        whole = parts.port != 0 and bool(parts.hostname) == bool(parts.netloc)
    except ValueError:  # "[::1", a port that is no number
        whole = False
    if not whole or not address.isprintable() or " " in address:
        # What stands in it is not shown: it may be a password.
        shown = f"{address.partition('://')[0]}://…"
        raise UserError.of(shown, "is not an address that can be read", "write file:///folder, or SCHEME://host/path")
    return parts


def _query(settings: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(settings), safe="/:,", quote_via=quote)
