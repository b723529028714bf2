"""What a binary cache says of a store path: its narinfo, the text that Nix signs of it, and Nix's keys.

Source of the rules: the Nix manual, ".narinfo Format" (protocols/binary-cache) and "Signatures" of store objects. The
signed text, the fingerprint, holds the path, the NAR hash, the NAR size and the references, and nothing else: neither
the address of the NAR nor its compression nor the deriver.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nixgen.errors import Finding, MachineError, UserError
from nixgen.machine import extras
from nixgen.nix import base32

STORE = "/nix/store"
NAME = re.compile(r"[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+\-._?=]{1,211}")
"""The last part of a store path: its hash in Nix's base 32, a hyphen, a name."""

_HASH = re.compile(r"sha256:([0-9a-df-np-sv-z]{52}|[0-9a-f]{64}|[A-Za-z0-9+/]{43}=)|sha256-[A-Za-z0-9+/]{43}=")
# Nix goes by the letter: it takes the value from two characters behind the colon, wherever a line ends before that. A
# line of another form is one thing to it and another to a reader, who would then check a signature of something else.
_LINE = re.compile(r"([A-Za-z0-9]+): ([^\x00-\x1f\x7f-\x9f]*)")
_NEEDED = ("StorePath", "URL", "NarHash", "NarSize", "References")
_OPTIONAL = ("Compression", "FileHash", "FileSize", "Deriver", "System", "CA")
_UNKNOWN = {"", "unknown-deriver"}
_DIGEST = _KEY = 32  # bytes
_SIGNATURES = 100  # of one narinfo; each is compared


@dataclass(frozen=True, slots=True)
class NarInfo:
    """A path as its cache describes it.

    ``name`` is "<hash>-<name>", ``references`` are such names, sorted; ``nar_hash`` is SRI text and ``nar_size`` bytes,
    both of the NAR as it is unpacked. ``url`` is the NAR's place, relative to the cache. ``store`` is the folder of the
    store that the path belongs to. ``file_hash`` (SRI) and ``file_size`` (bytes) are of the NAR's file as it lies
    in the cache; nobody signs them.
    """

    name: str
    url: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]
    compression: str = "bzip2"
    deriver: str | None = None
    signatures: tuple[str, ...] = ()
    ca: str | None = None
    store: str = STORE
    file_hash: str | None = None
    file_size: int | None = None

    @property
    def path(self) -> str:
        """The whole store path."""
        return f"{self.store}/{self.name}"

    def fingerprint(self) -> str:
        """The text that is signed: ``1;PATH;sha256:…;SIZE;REFERENCES``, with whole paths and the hash in base 32."""
        references = ",".join(f"{self.store}/{name}" for name in self.references)
        return f"1;{self.path};sha256:{base32.encode(sri_digest(self.nar_hash))};{self.nar_size};{references}"


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """A key of ``trusted-public-keys``: its name, and 32 bytes of Ed25519 (RFC 8032)."""

    name: str
    raw: bytes

    def __str__(self) -> str:
        return f"{self.name}:{base64.b64encode(self.raw).decode('ascii')}"

    @classmethod
    def parse(cls, text: str, where: str = "") -> PublicKey:
        """Reads ``NAME:BASE64``. Raises UserError for anything else."""
        return cls(*_named(text, _KEY, where, "public key"))

    @classmethod
    def of_secret(cls, text: str, where: str) -> PublicKey:
        """The public half of a secret key of Nix, whose 64 bytes are the seed and the public key."""
        name, raw = _named(text, 2 * _KEY, where, "secret key")
        return cls(name, raw[_KEY:])

    def signed(self, info: NarInfo) -> bool:
        """Whether one of the path's signatures is this key's, and fits what the narinfo says."""
        mine = [signature.partition(":")[2] for signature in info.signatures if signature.startswith(f"{self.name}:")]
        return bool(mine) and any(map(functools.partial(self._fits, info.fingerprint()), mine))

    def _fits(self, fingerprint: str, encoded: str) -> bool:
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        except ImportError:
            raise MachineError.of("", "signatures need the extra nixgen[cache]", extras.install("cache")) from None
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(
                base64.b64decode(encoded, validate=True), fingerprint.encode("utf-8")
            )
        except (InvalidSignature, ValueError):
            return False
        return True


def parse(text: str, file: str) -> NarInfo:
    """Reads a narinfo; ``file`` is its name, ``<hash>.narinfo``.

    Keys that are not known are passed over, as Nix does. Raises Finding, which says what is wrong with it: a cache that
    somebody else writes can hold anything.
    """
    values, signatures = _lines(text, file)
    path = values["StorePath"]
    store, _, name = path.rpartition("/")
    if not (store.startswith("/") and NAME.fullmatch(name)):
        raise Finding.of(file, f"its StorePath is no store path: {path[:80]!r}")
    if not file.startswith(f"{name[:32]}."):
        raise Finding.of(file, f"is about another path: {name}")
    references = sorted(filter(None, values["References"].split(" ")))
    for reference in references:
        if not NAME.fullmatch(reference):
            raise Finding.of(file, f"refers to what is no store path: {reference[:80]!r}")
    return NarInfo(
        name=name,
        url=values["URL"],
        nar_hash=_hash(values, "NarHash", file),
        nar_size=_size(values, "NarSize", file),
        references=tuple(references),
        compression=values.get("Compression") or "bzip2",
        deriver=None if (deriver := values.get("Deriver", "")) in _UNKNOWN else deriver,
        signatures=tuple(signatures),
        ca=values.get("CA") or None,
        store=store,
        file_hash=_hash(values, "FileHash", file) if "FileHash" in values else None,
        file_size=_size(values, "FileSize", file) if "FileSize" in values else None,
    )


def _lines(text: str, file: str) -> tuple[Mapping[str, str], list[str]]:
    values: dict[str, str] = {}
    signatures = []
    *lines, rest = text.split("\n")
    if rest:
        raise Finding.of(file, "cannot be read: its last line has no end")
    for number, line in enumerate(lines, 1):
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise Finding.of(file, f"cannot be read: line {number} is not KEY: VALUE")
        key, value = matched.groups()
        if key == "Sig":
            signatures.append(value)
            if len(signatures) > _SIGNATURES:
                raise Finding.of(file, f"cannot be read: it has more than {_SIGNATURES} signatures")
        elif key in _NEEDED or key in _OPTIONAL:
            if key in values:
                raise Finding.of(file, f"cannot be read: it has {key} twice")
            values[key] = value
    missing = [key for key in _NEEDED if key not in values]
    if missing:
        raise Finding.of(file, f"cannot be read: it lacks {', '.join(missing)}")
    return values, signatures


def _size(values: Mapping[str, str], key: str, file: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", values[key]):
        raise Finding.of(file, f"its {key} is no number: {values[key][:80]!r}")
    return int(values[key])


def _hash(values: Mapping[str, str], key: str, file: str) -> str:
    """A SHA-256 in any of Nix's spellings, as SRI text."""
    text = values[key]
    if not _HASH.fullmatch(text):
        raise Finding.of(file, f"its {key} is no SHA-256: {text[:80]!r}")
    digits = text[len("sha256:") :]
    if text.startswith("sha256-") or digits.endswith("="):
        return f"sha256-{digits}"
    try:
        raw = bytes.fromhex(digits) if len(digits) == 2 * _DIGEST else base32.decode(digits)
    except ValueError:
        raise Finding.of(file, f"its {key} is no SHA-256: {text[:80]!r}") from None
    return "sha256-" + base64.b64encode(raw).decode("ascii")


def base(path: str) -> str:
    """The name of a whole store path: "<hash>-<name>"."""
    return path.rpartition("/")[2]


def whole(name: str) -> str:
    """The whole store path of a name."""
    return f"{STORE}/{name}"


def sri_digest(sri: str) -> bytes:
    """The 32 bytes of ``sha256-…``."""
    return base64.b64decode(sri.removeprefix("sha256-"))


def sri(state: hashlib._Hash) -> str:
    """A SHA-256 that was computed, as SRI text."""
    return "sha256-" + base64.b64encode(state.digest()).decode("ascii")


def _named(text: str, length: int, where: str, what: str) -> tuple[str, bytes]:
    name, colon, encoded = text.strip().partition(":")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not (name and colon) or len(raw) != length or re.search(r"\s", name):
        # The text is not shown: it may be the secret key that was put into the wrong place.
        raise UserError.of(where, f"is not a {what} of Nix", "it is one line, NAME:BASE64")
    return name, raw
