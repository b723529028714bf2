"""HTTP for the sources: requests with a token that stays with its host, patience with busy servers, JSON in pages.

Built on nixgen.machine.download: the same proxies, the same netrc, the same refusal of credentials in addresses.
"""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from nixgen import __version__
from nixgen.artifacts.sources.kept import KeepAlive
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine import download

TIMEOUT = 60.0
LONGEST_JSON = 256 << 20
"""Bytes of one answer of an API; the largest listings of the hub's are some MiB a page."""

_TRIES = 5
_LONGEST_PAUSE = 120.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_RESET = re.compile(r";\s*t=(\d+)")
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')

Refused = Callable[[int, Message], NixgenError | None]


class RangeError(MachineError):
    """There is nothing behind the place that a download wanted to go on at (416, RFC 9110, 15.5.17)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An open response: its bytes, its status, its headers, and the headers of the redirects that led to it."""

    stream: BinaryIO
    status: int
    headers: Message
    trail: tuple[Message, ...] = ()

    def header(self, name: str) -> str | None:
        """A header of the first response in the chain that has it: a redirect says more than where it leads."""
        return next((value for headers in (*self.trail, self.headers) if (value := headers.get(name))), None)

    @property
    def length(self) -> int | None:
        """Content-Length, where it is given and a number."""
        return _number(self.headers.get("Content-Length"))


@dataclass(frozen=True, slots=True)
class Client:
    """Asks servers. ``token`` (a bearer token) goes to the origin ``home`` alone, never along a redirect elsewhere.

    ``refused`` may turn a status (with its headers) into the sentence to raise.
    """

    home: str = ""
    token: str | None = field(default=None, repr=False)
    refused: Refused | None = None
    _kept: KeepAlive = field(init=False, repr=False, compare=False)
    _opener: urllib.request.OpenerDirector = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: that costs as much as a request. It may be used from any thread.
        object.__setattr__(self, "_kept", KeepAlive())
        object.__setattr__(self, "_opener", download.opener(self._kept, _Redirects(self)))

    @contextlib.contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Iterator[Answer]:
        """The answer to a request; redirects are followed. Raises UserError or MachineError with a sentence.

        A busy server (408, 425, 429, 5xx) or a connection that fails is asked again, after what Retry-After says.
        """
        download.refuse_credentials(url)
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError.of(download.without_query(url), "is not an http or https address", "change the source")
        with self._opened(url, dict(headers or {}), method) as answer:
            try:
                yield answer
            except (OSError, HTTPException) as error:
                raise unreachable(url, error) from None

    def json(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[Any, Answer]:
        """The JSON that an address answers with, and its headers. Raises MachineError for half an answer."""
        with self.open(url, {"Accept": "application/json", **(headers or {})}) as answer:
            data = answer.stream.read(LONGEST_JSON + 1)
        whole = answer.length in (None, len(data)) and len(data) <= LONGEST_JSON
        with contextlib.suppress(ValueError, RecursionError):
            if whole:
                return json.loads(data), answer
        raise MachineError.of(
            download.without_query(url), "the answer is cut off or is not JSON", "run the command again"
        )

    def pages(self, url: str) -> Iterator[Any]:
        """Each page of a listing, by the Link header (RFC 8288, rel="next"), which must stay with its origin."""
        seen: set[str] = set()
        following: str | None = url
        while following:
            if following in seen or origin(following) != origin(url):
                raise MachineError.of(
                    download.without_query(url), "the pages of its listing lead astray", "tell its host"
                )
            seen.add(following)
            page, answer = self.json(following)
            yield page
            linked = _NEXT.search(answer.headers.get("Link") or "")
            following = urljoin(following, linked[1]) if linked else None

    @contextlib.contextmanager
    def _opened(self, url: str, headers: dict[str, str], method: str) -> Iterator[Answer]:
        for attempt in range(1, _TRIES + 1):
            request = _Request(url, method=method)
            request.headers = {"User-agent": f"nixgen/{__version__}", "Accept-encoding": "identity"}
            for name, value in headers.items():
                request.add_header(name, value)
            self.sign(request)
            try:
                response = self._opener.open(request, timeout=TIMEOUT)
            except urllib.error.HTTPError as error:
                with error:
                    wait = _patience(error.headers, attempt)
                    if error.code not in _PASSING or attempt == _TRIES or wait > _LONGEST_PAUSE:
                        raise self._sentence(url, error, wait) from None
            except (OSError, HTTPException) as error:
                if attempt == _TRIES or not _passing(error):
                    raise unreachable(url, error) from None
                wait = _patience(None, attempt)
            else:
                with response:
                    yield Answer(response, response.status, response.headers, tuple(request.trail))
                return
            time.sleep(wait)

    def close(self) -> None:
        """Closes connections that are kept for more; it may be used again."""
        self._kept.close()

    def sign(self, request: urllib.request.Request) -> None:
        """Adds the token where the request goes home; a redirect does not carry it on."""
        if self.token and origin(request.full_url) == origin(self.home):
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")

    def _sentence(self, url: str, error: urllib.error.HTTPError, wait: float) -> NixgenError:
        found = self.refused(error.code, error.headers) if self.refused else None
        if found:
            return found
        shown, host = download.without_query(url), urlsplit(url).hostname
        if error.code == 429:  # noqa: PLR2004 -- Too Many Requests (RFC 6585)
            return MachineError.of(
                shown, "the server answered 429: too many requests", f"try again in {wait:.0f} seconds"
            )
        if error.code == 416:  # noqa: PLR2004 -- Range Not Satisfiable
            return RangeError.of(shown, "the server has less than was read before", "run the command again")
        mend = "check the address, and the network or proxy"
        if error.code in (401, 403):
            mend = f"give the user name and password for {host} in {download.netrc_path()}"
        return MachineError.of(shown, f"the server answered {error.code} {error.reason}", mend)


class _Request(urllib.request.Request):
    """A request that remembers the headers of the redirects it went through."""

    def __init__(self, url: str, *, method: str, trail: list[Message] | None = None) -> None:
        super().__init__(url, method=method)
        self.trail: list[Message] = [] if trail is None else trail


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects with what a range needs; credentials are given anew, by where the redirect leads."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is None or not isinstance(req, _Request):
            return made
        if urlsplit(req.full_url).scheme == "https" and urlsplit(made.full_url).scheme != "https":
            raise urllib.error.URLError(f"it redirects from https to {urlsplit(made.full_url).scheme}")
        download.refuse_credentials(made.full_url)
        req.trail.append(headers)
        onward = _Request(made.full_url, method=req.get_method(), trail=req.trail)
        onward.headers = {name: value for name, value in req.headers.items() if name.lower() != "authorization"}
        self._client.sign(onward)
        return onward


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454): what a token belongs to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def unreachable(url: str, error: Exception) -> MachineError:
    """The sentence for a connection that cannot be made or broke off."""
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    mend = "check the network or proxy, and run the command again"
    return MachineError.of(download.without_query(url), f"cannot be read: {reason}", mend)


def _passing(error: Exception) -> bool:
    reason = getattr(error, "reason", error)
    return isinstance(reason, OSError | HTTPException) and not isinstance(
        reason, FileNotFoundError | ConnectionRefusedError | ssl.SSLCertVerificationError
    )


def _patience(headers: Message | None, attempt: int) -> float:
    """Seconds to wait: Retry-After (RFC 9110, 10.2.3), else the reset of RateLimit, else longer each time."""
    given = _number(headers.get("Retry-After")) if headers else None
    if given is None and headers and (reset := _RESET.search(headers.get("RateLimit") or "")):
        given = int(reset[1])
    return float(given) if given is not None else 0.5 * 2 ** (attempt - 1)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
