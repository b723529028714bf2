"""One repository in a registry: asked with a login or token of its own, again where the registry is busy.

The protocol is the OCI distribution specification 1.1; tokens are Docker's "token authentication", which all have.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from nixgen.errors import MachineError, UserError
from nixgen.machine.addresses import confidential, origin
from nixgen.machine.download import Answer, Client, Headers, Refused, basic, pause
from nixgen.oci.model import INDEX, MANIFEST
from nixgen.registries import logins
from nixgen.registries.place import REALMS, Place

_PARAMETER = re.compile(r'\b(\w+)="([^"]*)"', re.ASCII)
LARGEST = 4 << 20  # bytes of a manifest, as registries have it
_UNKNOWN = 401
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 120.0
_TRIES = 6


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Header names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def digest(self) -> str:
        """What the registry calls what it has or took; "" where it does not say."""
        return self.headers.get("docker-content-digest", "")

    @property
    def told(self) -> str:
        """The status, and what the registry says of it, in one line."""
        try:
            row = json.loads(self.body)["errors"][0]
            words = str(row.get("message") or row.get("code") or "")
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            words = ""
        return f"{self.status} {responses.get(self.status, '')}".strip() + (f": {words[:200]}" if words else "")


@dataclass(slots=True)
class Registry:
    """Asks for one repository, from any thread; ``actions`` are those that a token is for ("pull", "pull,push").

    Its login goes to the registry's own origin alone, and to where two public registries have their tokens. ``refused``
    is :class:`Client`'s, for what is read; ``others`` are repositories that a token should let read, too.
    """

    place: Place
    actions: str = "pull"
    others: tuple[str, ...] = ()
    refused: Refused | None = None
    tries: int = _TRIES
    first_pause: float = 0.5
    _authorization: str | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _client: Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = Client(self.place.root, None, self.refused, self._known)

    @contextlib.contextmanager
    def open(self, url: str, headers: Headers | None = None) -> Iterator[Answer]:
        """What is read, as :meth:`Client.open` gives it; asked once more where the registry wants a login or token."""
        used = self._authorization
        with self._client.open(url, headers, accepted=(_UNKNOWN,)) as answer:
            if answer.status != _UNKNOWN:
                yield answer
                return
        if self._ours(answer.url):
            self._renew(used, answer.headers.get("WWW-Authenticate", ""))
        with self._client.open(url, headers) as answer:
            yield answer

    def manifest(self, by: str, where: str) -> tuple[str, bytes]:
        """The digest and bytes of a manifest or index, by its tag or digest. Raises MachineError for other bytes."""
        with self.open(self.place.url("manifests", by), {"Accept": f"{MANIFEST}, {INDEX}"}) as answer:
            body = answer.whole(LARGEST)
            promised = answer.header("Docker-Content-Digest") or ""
        found = f"sha256:{hashlib.sha256(body).hexdigest()}"
        for digest in (by, promised):
            if digest.startswith("sha256:") and digest != found:
                what = f"the registry was asked for the manifest {digest}, and gave {found}"
                raise MachineError.of(where, what, "try again later; else tell its host")
        return found, body

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Callable[[], Iterator[bytes]] | None = None,
    ) -> Reply:
        """The answer to a request, any status but those of a busy registry or a missing login.

        ``body`` is opened for each try. Raises MachineError, UserError, and what the body raises.
        """
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            used = self._authorization
            try:
                reply = self._once(method, url, headers or {}, body() if callable(body) else body)
            except MachineError:
                if attempt >= self.tries:
                    raise
                time.sleep(self._wait(attempt))
                continue
            if reply.status == _UNKNOWN and not renewed and self._ours(reply.url):
                renewed = True
                attempt -= 1
                self._renew(used, reply.headers.get("www-authenticate", ""))
                continue
            if reply.status in _PASSING and attempt < self.tries:
                told = {"Retry-After": reply.headers["retry-after"]} if "retry-after" in reply.headers else None
                wait = pause(told, attempt) if told else self._wait(attempt)
                if wait <= _LONGEST_PAUSE:
                    time.sleep(wait)
                    continue
            if reply.status in _PASSING:
                raise MachineError.of(self.place.host, f"answers {reply.told}", "try again later")
            if reply.status in (_UNKNOWN, 403):
                raise self._shut(reply)
            return reply

    def onward(self, reply: Reply) -> str:
        """Where an upload goes on, as an absolute address. Raises MachineError where nothing may be sent there."""
        try:
            target = urljoin(reply.url, reply.headers.get("location", ""))
            parts = urlsplit(target)
            sound = bool(parts.hostname) and parts.username is None and confidential(target)
            sound = sound and (parts.scheme, urlsplit(reply.url).scheme) != ("http", "https")
        except ValueError:
            sound = False
        if "location" not in reply.headers or not sound:
            what = "names no place for an upload that anything may be sent to"
            raise MachineError.of(self.place.host, what, "tell its host: Location has to be an https address")
        return target

    def _shut(self, reply: Reply) -> UserError:
        """The sentence for a registry that does not let one in."""
        doing = "push to" if "push" in self.actions else "read"
        mend = f"log in: podman login {self.place.host} (or docker, or skopeo), with a user who may"
        return UserError.of(f"{self.place.host}/{self.place.name}", f"may not {doing} it: {reply.told}", mend)

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()

    def _wait(self, attempt: int) -> float:
        return self.first_pause * float(2 ** (attempt - 1))

    def _known(self, url: str) -> str | None:
        return self._authorization if self._ours(url) else None

    def _ours(self, url: str) -> bool:
        return origin(url) == origin(self.place.root)

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | Iterator[bytes] | None) -> Reply:
        with self._client.open(url, headers, method=method, body=body, accepted=range(300, 600)) as answer:
            data = b"" if method == "HEAD" else answer.whole(LARGEST)
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status, found, data, answer.url)

    def _renew(self, used: str | None, challenge: str) -> None:
        """Gets what the registry asks for, once for all threads that wait for it."""
        with self._lock:
            if self._authorization != used:
                return
            given = dict(_PARAMETER.findall(challenge))
            words = challenge.lower()
            if "bearer " in words:
                try:
                    token = self._token(given)
                except UserError:
                    if not self.others:
                        raise
                    self.others = ()
                    token = self._token(given)
                self._authorization = f"Bearer {token}"
            elif "basic " in words and (found := logins.login(self.place.host, self.place.name)) is not None:
                self._authorization = basic(found.user, found.password)

    def _token(self, given: Mapping[str, str]) -> str:
        realm, host = given.get("realm", ""), self.place.host
        odd = MachineError.of(host, "sends for its token to an odd address", "tell its host")
        try:
            parts = urlsplit(realm)
            there = parts.netloc
            if not parts.hostname or parts.username is not None or not confidential(realm):
                raise odd
        except ValueError:
            raise odd from None
        # A login goes to where the registry's users have it; a foreign host is asked as anybody. What for is not the
        # registry's to say, which could use the token elsewhere.
        own = origin(realm) in (origin(self.place.root), ("https", REALMS.get(host), 443))
        found = logins.login(host, self.place.name) if own else None
        asked = {"service": given["service"]} if "service" in given else {}
        scopes = [f"repository:{self.place.name}:{self.actions}", *(f"repository:{one}:pull" for one in self.others)]
        client = Client(realm if own else self.place.root)  # what netrc has is for the same hosts
        if found is not None and found.identity:
            form = {"grant_type": "refresh_token", "client_id": "nixgen", "refresh_token": found.identity, **asked}
            form["scope"] = " ".join(scopes)
            body, url = urlencode(form).encode(), realm
        else:
            query = urlencode([*asked.items(), *(("scope", one) for one in scopes)])
            body, url = None, parts._replace(query="&".join(filter(None, (parts.query, query)))).geturl()
            if found is not None:
                client = Client(realm, logins=lambda at: _only(at, realm, basic(found.user, found.password)))
        more = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        try:
            refused = (400, 401, 403, 404)
            with client.open(url, more, method="POST" if body else "GET", body=body, accepted=refused) as answer:
                if answer.status in refused:
                    mend = f"log in: podman login {host} (or docker, or skopeo)"
                    if not own:
                        mend = f"{there} is another host than {host}, and gets no login: use a registry with its own"
                    raise UserError.of(there, f"gives no token for {host}: {answer.status} {answer.reason}", mend)
                token = _parsed(answer.whole(LARGEST))
        finally:
            client.close()
        if not token or not token.isascii() or not token.isprintable():
            raise MachineError.of(host, "gave no token that can be used", "tell its host")
        return token


def _only(url: str, realm: str, authorization: str) -> str | None:
    return authorization if origin(url) == origin(realm) else None


def _parsed(data: bytes) -> str:
    try:
        table: Any = json.loads(data)
        found = table.get("token") or table.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""
