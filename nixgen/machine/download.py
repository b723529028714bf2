"""Files and answers from the network: one HTTP client, over urllib3, for all of nixgen.

urllib3 keeps connections, speaks TLS and goes through proxies. What is decided here is what is asked, and who is told
what: a credential goes only to the host that the user gave it for, never over http (but on this machine itself), and
never along a redirect; https is never left for http; a body is read as far as somebody asks for it.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import netrc
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from nixgen import __version__
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.machine.addresses import confidential, origin

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

CHUNK = 1 << 20
"""Bytes that are read at once."""

Headers = Mapping[str, str]
Refused = Callable[[int, Headers], NixgenError | None]
"""Turns a status and its headers into the sentence to raise, or into None for the usual one."""

_TIMEOUT = 60.0  # until the next byte
_HEAD = 120.0  # for all of an answer's headers
_CHUNK = 600.0  # for what is read at once: a server that sends a byte a minute would keep it for ever
_TRIES = 5  # of a server that is busy
_CONNECTIONS = 3  # that fail
_LONGEST_PAUSE = 120.0
_LITTLE = 16 << 10  # bytes that are read for the sake of a connection
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_SAFE = frozenset({"GET", "HEAD"})  # what may be asked twice, or elsewhere
_RESET = re.compile(r";\s*t=(\d{1,9})\b")
_BUNDLES = ("SSL_CERT_FILE", "NIX_SSL_CERT_FILE")
_NO_BUNDLE = "/no-cert-file.crt"  # what Nix's own environments say where there is none
_USUAL_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Readable(Protocol):
    """What bytes are read from: a file, an answer."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""


class Opener(Protocol):
    """Who asks for what is read: a client, or one that knows more of the server."""

    def open(self, url: str, headers: Headers | None = None, /) -> contextlib.AbstractContextManager[Answer]:
        """As :meth:`Client.open`."""

    def close(self) -> None:
        """As :meth:`Client.close`."""


class RangeError(MachineError):
    """There is nothing behind the place that a download wanted to go on at (416, RFC 9110, 15.5.17)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An open response: its status and headers, and the headers of the redirects that led to it."""

    status: int
    headers: Headers
    url: str
    trail: tuple[Headers, ...]
    _response: BaseHTTPResponse

    def read(self, size: int) -> bytes:
        """At most so many bytes of the body; none at its end. Raises MachineError when the connection breaks off."""
        from urllib3.exceptions import HTTPError

        try:
            with _within(_CHUNK, self.url, self._response.shutdown):
                return self._response.read(size, decode_content=False)
        except (HTTPError, OSError) as error:
            raise _unreachable(self.url, "read", error) from None

    def whole(self, limit: int) -> bytes:
        """The whole body, of at most ``limit`` bytes, however long the server says that it is."""
        parts, left = [], limit + 1
        while left and (data := self.read(min(left, CHUNK))):
            parts.append(data)
            left -= len(data)
        if not left:
            shown = without_query(self.url)
            raise MachineError.of(shown, f"the answer is longer than {limit >> 20} MiB", "check the address")
        return b"".join(parts)

    def header(self, name: str) -> str | None:
        """A header of the first response in the chain that has it: a redirect says more than where it leads."""
        return next((value for headers in (*self.trail, self.headers) if (value := headers.get(name))), None)

    def close(self) -> None:
        """Ends it: its connection is kept for more where little is left to read, else closed."""
        from urllib3.exceptions import HTTPError

        if self._response.closed:  # it was read to its end
            return
        with contextlib.suppress(HTTPError, OSError):
            if 0 < (self._response.length_remaining or 0) <= _LITTLE:
                self._response.read(_LITTLE, decode_content=False)
            self._response.close()

    @property
    def reason(self) -> str:
        """The status in words."""
        return self._response.reason or responses.get(self.status, "")

    @property
    def length(self) -> int | None:
        """Content-Length, where it is given and a number."""
        return _number(self.headers.get("Content-Length"))


class _FailureError(Exception):
    """No answer: why, and whether that may pass."""

    def __init__(self, url: str, verb: str, error: Exception) -> None:
        self.sentence = _unreachable(url, verb, error)
        lasting = FileNotFoundError | ConnectionRefusedError | ssl.SSLCertVerificationError | ValueError
        self.passing = not isinstance(_cause(error), lasting)
        super().__init__(self.sentence)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a server is asked: with the whole address (by a proxy) or the path in it, and with which login."""

    ask: Callable[..., BaseHTTPResponse]
    whole: bool
    login: str | None


@dataclass(slots=True)
class _Ways:
    """The connections of one client, by scheme and host, and the pools that keep them, by scheme and proxy."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[tuple[str, str], _Way] = field(default_factory=dict)
    managers: dict[tuple[str, str | None], PoolManager] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks servers; from any thread.

    With a ``home`` (an address) credentials go to its origin alone: ``token`` (a bearer token), else what the user's
    netrc has for it. Without one each host gets what netrc has for it.
    """

    home: str = ""
    token: str | None = field(default=None, repr=False)
    refused: Refused | None = None
    logins: Callable[[str], str | None] | None = field(default=None, repr=False)
    """What else knows a login for an address (a header Authorization): that is taken before netrc's."""
    patience: float | None = None
    """Seconds for each step of a server that is asked once; None for one that is asked again where it is busy."""
    _ways: _Ways = field(init=False, repr=False, compare=False, default_factory=_Ways)

    @contextlib.contextmanager
    def open(
        self,
        url: str,
        headers: Headers | None = None,
        *,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        accepted: Collection[int] = (),
    ) -> Iterator[Answer]:
        """The answer to a request; redirects are followed. Raises UserError or MachineError with a sentence.

        A busy server (408, 425, 429, 5xx) or a connection that fails is asked again, after what Retry-After says; not
        where ``method`` changes something. ``accepted`` are statuses that are answers, besides 200 to 299.
        """
        answer = self._patiently(url, headers or {}, method, body, accepted)
        try:
            yield answer
        finally:
            answer.close()

    def close(self) -> None:
        """Closes connections that are kept for more; it may be used again."""
        with self._ways.lock:
            for manager in self._ways.managers.values():
                manager.clear()
            self._ways.known.clear()

    def _patiently(
        self, url: str, headers: Headers, method: str, body: bytes | Iterable[bytes] | None, fine: Collection[int]
    ) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            again = method in _SAFE
            try:
                answer = self._follow(url, headers, method, body)
            except _FailureError as failure:
                if self.patience or not (again and failure.passing and attempt < _CONNECTIONS):
                    raise failure.sentence from None
                wait = pause(None, attempt)
            else:
                if 200 <= answer.status < 300 or answer.status in fine:  # noqa: PLR2004 -- Successful (RFC 9110, 15.3)
                    return answer
                answer.close()
                wait = pause(answer.headers, attempt)
                again = again and not self.patience and answer.status in _PASSING and attempt < _TRIES
                if not again or wait > _LONGEST_PAUSE:
                    raise self._sentence(url, method, answer, wait)
            time.sleep(wait)

    def _follow(self, url: str, headers: Headers, method: str, body: bytes | Iterable[bytes] | None) -> Answer:
        """The answer behind the redirects; each address on the way is looked at before it is asked."""
        trail: list[Headers] = []
        here = url
        while True:
            response = self._ask(here, headers, method, body)
            answer = Answer(response.status, response.headers, here, tuple(trail), response)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target or method not in _SAFE:
                return answer
            answer.close()
            trail.append(response.headers)
            here = self._onward(url, here, target, answer.status, len(trail))

    @staticmethod
    def _onward(start: str, here: str, target: str, status: int, steps: int) -> str:
        """Where a redirect leads. Raises MachineError where it must not be followed."""
        try:
            following = urljoin(here, target)
            scheme = urlsplit(following).scheme
        except ValueError:
            scheme = ""
        before = urlsplit(here).scheme
        if scheme in ("http", "https") and (before, scheme) != ("https", "http") and steps <= _MOST_REDIRECTS:
            return following
        what = f"it redirects from {before} to {scheme or 'no address'}, where nixgen does not follow"
        if steps > _MOST_REDIRECTS:
            what = f"it redirects more than {_MOST_REDIRECTS} times"
        raise MachineError.of(without_query(start), f"the server answered {status}: {what}", "use another address")

    def _ask(self, url: str, headers: Headers, method: str, body: bytes | Iterable[bytes] | None) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        way = self._way(url)
        # The host's own bytes: a transparent compression would change the hash.
        sent = {"User-Agent": f"nixgen/{__version__}", "Accept-Encoding": "identity", **headers}
        parts = urlsplit(url)
        login = way.login
        if self.logins is not None and confidential(url) and not (way.whole and parts.scheme == "http"):
            login = self.logins(url) or login
        if login:
            sent["Authorization"] = login
        target = url if way.whole else (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            return way.ask(
                method,
                target,
                body=body,
                headers=sent,
                redirect=False,
                retries=False,
                timeout=self.patience or _TIMEOUT,
                preload_content=False,
                decode_content=False,
                enforce_content_length=False,
            )
        except (HTTPError, OSError, ValueError) as error:
            raise _FailureError(url, "read" if method in _SAFE else "reached", error) from None

    def _way(self, url: str) -> _Way:
        """How the server of an address is asked, found out once. Raises UserError for what is no such address."""
        with contextlib.suppress(ValueError, KeyError):
            parts = urlsplit(url)
            return self._ways.known[parts.scheme, parts.netloc]
        refuse_credentials(url)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise UserError.of(without_query(url), "is not an http or https address", "change the source")
        key = parts.scheme, _proxy(parts.scheme, parts.netloc)
        with self._ways.lock:
            manager = self._ways.managers.get(key) or self._ways.managers.setdefault(key, _manager(*key))
            login = self._login(url, proxied=key[1] is not None)
            if key[1]:
                way = _Way(manager.urlopen, True, login)
            else:
                way = _Way(manager.connection_from_url(f"{parts.scheme}://{parts.netloc}").urlopen, False, login)
            return self._ways.known.setdefault((parts.scheme, parts.netloc), way)

    def _login(self, url: str, *, proxied: bool) -> str | None:
        """What a request to an address may carry as its login."""
        if not confidential(url) or (proxied and urlsplit(url).scheme == "http"):
            return None
        if self.home and origin(url) != origin(self.home):
            return None
        if self.token:
            return f"Bearer {self.token}"
        return netrc_login(url)

    def _sentence(self, url: str, method: str, answer: Answer, wait: float) -> NixgenError:
        found = self.refused(answer.status, answer.headers) if self.refused else None
        if found:
            return found
        shown, status = without_query(url), answer.status
        if status == 429:  # noqa: PLR2004 -- Too Many Requests (RFC 6585)
            return MachineError.of(
                shown, "the server answered 429: too many requests", f"try again in {wait:.0f} seconds"
            )
        if status == 416:  # noqa: PLR2004 -- Range Not Satisfiable
            return RangeError.of(shown, "the server has less than was read before", "run the command again")
        mend = "check the address, and the network or proxy"
        if status in (401, 403):
            mend = f"give the user name and password for {urlsplit(answer.url).hostname} in {netrc_path()}"
            if not confidential(answer.url):
                mend = "use its https address: a login is never sent over http"
        elif method not in _SAFE and status in (405, 501):
            mend = "the server takes no uploads: push to the folder or bucket behind it"
        to = "" if method in _SAFE else f" to {method}"
        return MachineError.of(shown, f"the server answered {status} {answer.reason}".rstrip() + to, mend)


@contextlib.contextmanager
def _within(seconds: float, url: str, stop: Callable[[], object]) -> Iterator[None]:
    """Ends what reads from a server when it takes longer. Raises MachineError then."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # it has just come to its end
            stop()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            what = "sends too slowly: it was given up"
            raise MachineError.of(without_query(url), what, "try again later, or use another address")


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names (curl's variables, and the system's on macOS)."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or proxy_bypass(host):
        return None
    return found if "://" in found else f"http://{found}"


def _manager(scheme: str, proxy: str | None) -> PoolManager:
    from urllib3 import PoolManager, ProxyManager, make_headers

    options: dict[str, Any] = {"num_pools": 16, "maxsize": 16}
    if scheme == "https":
        options["ssl_context"] = _certificates()
    if proxy is None:
        return _timed(PoolManager(**options))
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https"):
        mend = f"name one that speaks http in {scheme.upper()}_PROXY, or leave it out with NO_PROXY"
        raise UserError.of("proxy", f"{parts.scheme}: proxies are not supported", mend)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    manager = ProxyManager(
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        proxy_headers=make_headers(proxy_basic_auth=login) if login else None,
        proxy_ssl_context=_certificates() if parts.scheme == "https" else None,
        **options,
    )
    return _timed(manager)


def _timed(manager: PoolManager) -> PoolManager:
    """The same, with a limit for the time that an answer's headers take."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Timed(HTTPConnection):
        def getresponse(self) -> Any:  # noqa: ANN401 -- what urllib3 gives
            with _within(_HEAD, f"{self.host}:{self.port}", functools.partial(self.sock.shutdown, socket.SHUT_RD)):
                return super().getresponse()

    class TimedHTTPS(Timed, HTTPSConnection):
        pass

    class Pool(HTTPConnectionPool):
        ConnectionCls = Timed

    class HTTPSPool(HTTPSConnectionPool):
        ConnectionCls = TimedHTTPS

    manager.pool_classes_by_scheme = {"http": Pool, "https": HTTPSPool}
    return manager


def _certificates() -> ssl.SSLContext:
    """Which servers are believed: by SSL_CERT_FILE, NIX_SSL_CERT_FILE, else by what the machine has."""
    named = ((name, os.environ.get(name, "")) for name in _BUNDLES)
    return _context(*next((pair for pair in named if pair[1] not in ("", _NO_BUNDLE)), ("", "")))


def trusts_somebody() -> bool:
    """Whether there are certificates that servers can be believed by. Raises UserError as asking a server does."""
    folder = os.environ.get("SSL_CERT_DIR") or ssl.get_default_verify_paths().capath
    in_folder = bool(folder) and Path(folder).is_dir() and any(Path(folder).iterdir())
    return bool(_certificates().cert_store_stats()["x509_ca"]) or in_folder


@functools.cache
def _context(name: str, bundle: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        what = f"names {bundle}, which holds no certificates: {error.strerror or error}"
        raise UserError.of(name, what, "name a file that does, or unset it") from None
    if not bundle and not os.environ.get("SSL_CERT_DIR") and not context.cert_store_stats()["x509_ca"]:
        for usual in _USUAL_BUNDLES:  # this Python was built for another system
            with contextlib.suppress(OSError):
                context.load_verify_locations(usual)
                break
    return context


def netrc_path() -> Path:
    """The user's netrc file: $NETRC, else ~/.netrc, as curl, pip and uv have it."""
    named = os.environ.get("NETRC")
    return Path(named) if named else Path.home() / ".netrc"


def netrc_login(url: str) -> str | None:
    """What netrc has for the host of an address, as the header Authorization."""
    # By its name: netrc's entry for every other host is for none.
    found = _read_netrc(netrc_path()).get(urlsplit(url).hostname or "")
    return basic(found[0], found[2]) if found else None


def basic(user: str, password: str) -> str:
    """The header Authorization of a user (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode('ascii')}"


def _read_netrc(path: Path) -> Mapping[str, tuple[str, str, str]]:
    try:
        return netrc.netrc(str(path)).hosts
    except FileNotFoundError:
        return {}
    except (netrc.NetrcParseError, OSError, ValueError) as error:
        raise UserError.of(str(path), f"cannot be read: {error}", "mend it, or set NETRC to another file") from None


@contextlib.contextmanager
def open_url(url: str, logins: Callable[[str], str | None] | None = None) -> Iterator[Readable]:
    """The bytes behind an http, https or file address; ``logins`` as in :class:`Client`.

    Raises UserError for an address with credentials or of another kind, and MachineError when it cannot be read.
    """
    refuse_credentials(url)
    parts = urlsplit(url)
    here = parts.scheme == "file" and parts.netloc in ("", "localhost")
    if not here and parts.scheme not in ("http", "https"):
        raise UserError.of(without_query(url), "is not an http, https or file address", "change the package's source")
    if here:
        try:
            file = Path(unquote(parts.path)).open("rb")  # noqa: SIM115 -- what is done with it is no fault of its
        except OSError as error:
            raise MachineError.of(without_query(url), f"cannot be read: {error.strerror}", "check the path") from None
        with file:
            yield file
        return
    client = Client(logins=logins)
    try:
        with client.open(url) as answer:
            yield answer
    finally:
        client.close()


def digest(stream: Readable, sink: Callable[[bytes], object] = len, limit: int = sys.maxsize) -> tuple[str, int]:
    """The SHA-256 (hexadecimal) and the size of what is left in a stream; each chunk goes to ``sink`` too.

    Raises MachineError for more bytes than ``limit``.
    """
    state = hashlib.sha256()
    size = 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > limit:
            raise MachineError.of("", f"the file is larger than {limit >> 20} MiB", "check where it comes from")
        state.update(chunk)
        sink(chunk)
    return state.hexdigest(), size


def refuse_credentials(url: str) -> None:
    """Raise UserError when an address carries a user name or password, or is none."""
    try:
        parts = urlsplit(url)
        odd = "\\" in parts.netloc or parts.port == 0 or (parts.scheme in ("http", "https") and not parts.hostname)
    except ValueError:
        odd = True
    if odd:
        raise UserError.of(re.split("[?#]", url.rpartition("@")[2])[0], "is not an address", "change the source")
    if parts.username is None and parts.password is None:
        return
    shown = without_query(url)
    raise UserError.of(
        shown,
        "the address carries a user name or password, which would be written to shared files",
        f"put them into {netrc_path()} (machine {parts.hostname} login … password …), "
        "and leave them out of the address",
    )


def without_query(url: str) -> str:
    """An address as it may be shown: no credentials, no query, no fragment (they may hold tokens)."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _unreachable(url: str, verb: str, error: Exception) -> MachineError:
    """The sentence for a connection that cannot be made or broke off."""
    cause = _cause(error)
    reason = str(cause) or type(cause).__name__
    through = "through the proxy: " if type(error).__name__ == "ProxyError" else ""
    mend = "check the network or proxy, and run the command again"
    return MachineError.of(without_query(url), f"cannot be {verb}: {through}{reason}", mend)


def _cause(error: BaseException) -> BaseException:
    """What is behind an error of urllib3's: the machine's own, where there is one."""
    while inner := next((one for one in (error.__cause__, *error.args) if isinstance(one, Exception)), None):
        error = inner
    return error


def pause(headers: Headers | None, attempt: int) -> float:
    """Seconds to wait: Retry-After (RFC 9110, 10.2.3), else the reset of RateLimit, else longer each time."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    given = headers.get("Retry-After", "") if headers else ""
    with contextlib.suppress(InvalidHeader, ValueError, OverflowError):
        if given and len(given) < 40:  # noqa: PLR2004 -- a date has 29 letters
            return Retry().parse_retry_after(given)
    if headers and (reset := _RESET.search(headers.get("RateLimit", ""))):
        return float(reset[1])
    return float(2 ** (attempt - 2))


def _number(text: str | None) -> int | None:
    """A number in a header; None for one that no file has as its size."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004
