"""The digests by which Nix tells that default.nix was generated from other files than those beside it."""

from __future__ import annotations

import hashlib
import json

from nixgen.errors import UserError

_BESIDE = "cache"  # what `nixgen cache` notes in nixgen.lock; nothing is made from it


def of_bytes(data: bytes) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_lock(text: bytes) -> str:
    """The digest of nixgen.lock: of its content without ``cache``, so that neither form nor a push changes it."""
    return of_bytes(canonical(text))


def canonical(text: bytes) -> bytes:
    """nixgen.lock as the bytes that ``builtins.toJSON`` of nix/project.nix gives for it.

    That is sorted keys, no white space, and of the characters only quotes, backslashes and controls escaped. The one
    difference between versions of Nix is how backspace and form feed are escaped: no lock may hold a control character.
    """
    document = json.loads(text)
    if isinstance(document, dict):
        document.pop(_BESIDE, None)
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UserError.of(
            "nixgen.lock", "holds half a character (a lone surrogate)", "write it again: nixgen lock --upgrade"
        ) from None
