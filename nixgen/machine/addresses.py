"""Secrets in addresses: a user name or password, a token or signature in the query or the fragment.

What nixgen reads and writes is shared, so such an address is refused wherever one may stand; what is said of it has the
secret blotted out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, parse_qsl, urlsplit

_URL = (
    r"""(?i)\b(?P<scheme>https?|ssh)://"""  # behind "git+", too
    r"""(?:(?P<user>[^\s/"'?#]+)@)?(?P<place>[^\s"',\]}?#]*)(?P<behind>[?#][^\s"'\]}]*)?"""
)
_BARE = r"""(?<![^\s"'=/])[^\s"'=/:@]{1,64}:[^\s"'/@]{1,256}@(?!sha\d+:)(?=[\w\[])"""  # user:password@host
_TELLING = (  # compiled where it is asked for: most addresses have no query
    # What ends so, and what is called just so: "key" is a secret, and "sortkey" is not.
    r".*(?:token|password|passwd|passphrase|secret|signature|authorization|credentials?|bearer|cookie|"
    r"(?:access|account|api|auth|client|encryption|functions?|license|master|private|secret|service|session|shared|"
    r"signing|storage|subscription|user)key(?:id)?|sessionid|(?:access|auth|o|basic)auth|(?:access|auth)code)"
    r"|auth|code|hmac|jwt|key|otp|pass|pw|pwd|sas|session|sid|sig|ticket"
)
_BLOT = "***"


def secret_key(behind: str) -> str | None:
    """The first key of a query or fragment ("a=1&token=x") that holds a secret: ``access_token``, ``X-Amz-Signature``.

    Names differ in their case and in dots, dashes and underscores, so these do not count.
    """
    pairs = parse_qsl(re.sub(r"[?#;]", "&", behind), keep_blank_values=True)
    return next((key for key, _ in pairs if re.fullmatch(_TELLING, re.sub(r"[-_.]", "", key.lower()))), None)


def in_parts(parts: SplitResult) -> str | None:
    """What of a split address must not be shared, in words; None when there is nothing."""
    if parts.username is not None or parts.password is not None:
        return "a user name or password"
    if secret_key(f"{parts.query}&{parts.fragment}"):
        return "a token or signature"
    return None


def secret(url: str) -> str | None:
    """What of an address must not be shared, in words; None when there is nothing, and for what is no address."""
    try:
        return in_parts(urlsplit(url))
    except ValueError:
        return None


def fault(url: str, schemes: Sequence[str]) -> str | None:
    """What keeps a text from being an address of these kinds (RFC 3986), in words."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "is not an address"
    if parts.scheme not in schemes or (parts.scheme != "file" and not host):
        return f"is not an address that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff\"'\\<>`]", url):
        return "is not an address: it has white space or quotes in it"
    return None


def found(text: str, *, queries: bool = True, users: bool = True) -> Iterator[str]:
    """Every address in a text that carries a secret, blotted out: https://***@example.org/a?token=***.

    A user name is one for http(s), unless ``users`` is off; for ssh, where it is part of the address, only a password
    is. With ``queries`` off, what stands behind "?" or "#" does not count, and is blotted out all the same.
    """
    if "@" not in text and "?" not in text and "#" not in text:
        return  # a lock may have megabytes
    for url in re.finditer(_URL, text):
        shown = _blotted(url, queries=queries, users=users)
        if shown is not None:
            yield shown


def blotted(text: str) -> str:
    """A text with every secret in its addresses blotted out, also where one is written without ``https://``."""
    text = re.sub(_URL, lambda url: _blotted(url) or url[0], text)
    return re.sub(_BARE, f"{_BLOT}@", text)


def _blotted(url: re.Match[str], *, queries: bool = True, users: bool = True) -> str | None:
    """An address that carries a secret, without it; None for one that carries none."""
    user, behind = url["user"], url["behind"] or ""
    key = secret_key(behind)
    secret_user = bool(user) and ((users and url["scheme"].lower() != "ssh") or ":" in user)
    if not secret_user and not (key and queries):
        return None
    shown = f"{behind[0]}{key}={_BLOT}" if key else behind
    return f"{url['scheme']}://{f'{_BLOT}@' if user else ''}{url['place']}{shown}"


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port (RFC 6454): what a credential belongs to. What is no address is alike to nothing else."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, None, None


def loopback(host: str) -> bool:
    """Whether a host is this machine itself, so that nobody else reads what is sent there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def internal(host: str) -> bool:
    """Whether a host is this machine or in a private network, by its address or by what its name leads to now."""
    import socket  # nobody else here needs it

    try:
        found = [host] if ":" in host else [str(entry[4][0]) for entry in socket.getaddrinfo(host, None)]
    except (OSError, UnicodeError):
        return False  # it cannot be reached by this name
    return any(
        not address.is_global or address.is_multicast
        for address in (ipaddress.ip_address(one.partition("%")[0]) for one in found)
    )


def confidential(url: str) -> bool:
    """Whether nobody on the way can read what is sent to an address: https, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))


def bare(url: str) -> str:
    """An address without what it must not carry: it still leads to the same place. Of ssh the user's name stays.

    What is no address, a folder or git's ``host:path``, stays as it is, but for a password in it.
    """
    found = re.fullmatch(_URL, url)
    if found is None:
        return blotted(url)
    user, behind = (found["user"] or "").partition(":")[0], found["behind"] or ""
    kept = f"{user}@" if user and found["scheme"].lower() == "ssh" else ""
    return f"{found['scheme']}://{kept}{found['place']}{'' if secret_key(behind) else behind}"
