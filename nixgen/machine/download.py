"""Reading files from the network, with what the user's netrc says and never with credentials in an address."""

from __future__ import annotations

import base64
import hashlib
import netrc
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from nixgen import __version__
from nixgen.errors import MachineError, UserError

_CHUNK = 1 << 20
_TIMEOUT = 60.0
_PAUSES = (0.5, 2.0)  # seconds before the second and the third try
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Netrc(urllib.request.BaseHandler):
    """Adds what netrc(5) says for the host of each request, redirected ones included, and for no other host."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        host = urlsplit(request.full_url).hostname
        known = self._hosts()
        found = known.authenticators(host) if known and host else None
        if found and not request.has_header("Authorization"):
            token = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode("ascii")
            request.add_unredirected_header("Authorization", f"Basic {token}")
        return request

    https_request = http_request

    def _hosts(self) -> netrc.netrc | None:
        try:
            return netrc.netrc(str(self._path))
        except FileNotFoundError:
            return None
        except (netrc.NetrcParseError, OSError) as error:
            raise UserError.of(
                str(self._path), f"cannot be read: {error}", "mend it, or set NETRC to another file"
            ) from None


def netrc_path() -> Path:
    """The user's netrc file: $NETRC, else ~/.netrc, as curl, pip and uv have it."""
    named = os.environ.get("NETRC")
    return Path(named) if named else Path.home() / ".netrc"


def opener(*more: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """What opens addresses: proxies as the environment names them, the user's netrc, and ``more`` handlers."""
    return urllib.request.build_opener(_Netrc(netrc_path()), *more)


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """The bytes behind an http, https or file address.

    Raises UserError for an address with credentials or of another kind, and MachineError when it cannot be read.
    """
    refuse_credentials(url)
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise UserError.of(without_query(url), "is not an http, https or file address", "change the package's source")
    # The host's own bytes: a transparent compression would change the hash.
    request = urllib.request.Request(  # noqa: S310 (the scheme is checked above)
        url, headers={"User-Agent": f"nixgen/{__version__}", "Accept-Encoding": "identity"}
    )
    try:
        with _opened(opener(), request) as response:
            yield response
    except urllib.error.HTTPError as error:
        mend = "check the address, and the network or proxy"
        if error.code in (401, 403):
            mend = f"give the user name and password for {urlsplit(url).hostname} in {netrc_path()}"
        raise MachineError.of(without_query(url), f"the server answered {error.code} {error.reason}", mend) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        mend = "check the network or proxy, and run the command again"
        raise MachineError.of(without_query(url), f"cannot be read: {reason}", mend) from None


def _opened(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> BinaryIO:
    """The answer to a request. A fault that may pass (no name server, a busy server) gets two more tries."""
    for pause in _PAUSES:
        try:
            return cast("BinaryIO", opener.open(request, timeout=_TIMEOUT))
        except urllib.error.HTTPError as error:
            if error.code not in _PASSING:
                raise
        except urllib.error.URLError as error:
            if isinstance(error.reason, FileNotFoundError | ConnectionRefusedError | ssl.SSLCertVerificationError):
                raise
        time.sleep(pause)
    return cast("BinaryIO", opener.open(request, timeout=_TIMEOUT))


def digest(stream: BinaryIO, sink: Callable[[bytes], object] = len) -> tuple[str, int]:
    """The SHA-256 (hexadecimal) and the size of what is left in a stream; each chunk goes to ``sink`` too."""
    state = hashlib.sha256()
    size = 0
    while chunk := stream.read(_CHUNK):
        state.update(chunk)
        size += len(chunk)
        sink(chunk)
    return state.hexdigest(), size


def refuse_credentials(url: str) -> None:
    """Raise UserError when an address carries a user name or password."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return
    shown = without_query(url)
    raise UserError.of(
        shown,
        "the address carries a user name or password, which would end up in files that are shared",
        f"put them into {netrc_path()} (machine {parts.hostname} login … password …), "
        "and leave them out of the address",
    )


def without_query(url: str) -> str:
    """An address as it may be shown: no credentials, no query, no fragment (they may hold tokens)."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
