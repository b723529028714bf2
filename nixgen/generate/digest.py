"""The digests by which Nix tells that default.nix was generated from other files than those beside it."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib

from nixgen.errors import UserError

_HEADER = re.compile(r"\n[ \t]*\[")
_CONTROLS = re.compile(r"\\[bfu]")
_BESIDE = "cache"  # what `nixgen cache` notes in nixgen.lock; nothing is made from it


def of_bytes(data: bytes) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def of_lock(text: bytes) -> str:
    """The digest of nixgen.lock: of its content without ``cache``, so that neither form nor a push changes it."""
    return of_bytes(canonical(text))


def of_settings(data: bytes) -> str | None:
    """The digest of ``[tool.nixgen]`` of a pyproject.toml: of its content, so that comments and order do not change it.

    Nix cuts the table's text out before it parses it, since an old Nix knows no dates, which may stand elsewhere. None
    where that would not find the same: the table is written in another form ([tool] with nixgen in it), or holds what
    the two write differently.
    """
    try:
        text = data.decode().replace("\r\n", "\n")
        table = tomllib.loads(text.removeprefix("\ufeff")).get("tool", {}).get("nixgen", {})
        parts = [part for part in _HEADER.split(f"\n{text}") if part.startswith(("tool.nixgen]", "tool.nixgen."))]
        found = tomllib.loads("".join(f"[{part}\n" for part in parts)).get("tool", {}).get("nixgen", {})
        content = _json(table)
    except (ValueError, TypeError, AttributeError):
        return None
    same = found == table and not any(isinstance(value, float) for value in table.values())
    return of_bytes(content.encode()) if same and not _CONTROLS.search(content) else None


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(text: bytes) -> bytes:
    """nixgen.lock as the bytes that ``builtins.toJSON`` of nix/project.nix gives for it.

    That is sorted keys, no white space, and of the characters only quotes, backslashes and controls escaped. The one
    difference between versions of Nix is how backspace and form feed are escaped: no lock may hold a control character.
    """
    document = json.loads(text)
    if isinstance(document, dict):
        document.pop(_BESIDE, None)
    try:
        return _json(document).encode()
    except UnicodeEncodeError:
        raise UserError.of(
            "nixgen.lock", "holds half a character (a lone surrogate)", "write it again: nixgen lock --upgrade"
        ) from None
