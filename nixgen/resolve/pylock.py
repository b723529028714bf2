"""Reading the pylock.toml that uv exports (PEP 751): megabytes, most of them one line for each wheel.

Those lines are read by a pattern that takes no other line than the plain ones that uv writes, in a tenth of the time
that a TOML reader needs for them; it reads the rest, and every line that is not plain.
"""

from __future__ import annotations

import re
from typing import Any

import tomli

_PLAIN = (
    r'\{ url = "(%s[^"\\\n]*+)"(?:, upload-time = [0-9TZ:.+-]*+)?(?:, size = (%s\d{1,15}))?'
    r', hashes = \{ sha256 = "(%s[0-9a-f]{64})" \} \}'
)
_WHEEL = re.compile(_PLAIN % ("", "", ""))
_WHEELS = re.compile(rf"^wheels = \[\n((?:    {_PLAIN % ('?:', '?:', '?:')},\n)+)\]$", re.MULTILINE)


def loads(text: str) -> dict[str, Any]:
    """The document as a TOML reader gives it, but for the times of upload. Raises tomli.TOMLDecodeError."""
    lists: list[list[dict[str, Any]]] = []

    def kept(match: re.Match[str]) -> str:
        lists.append([_wheel(*found) for found in _WHEEL.findall(match[1])])
        return f"wheels = {len(lists) - 1}"

    document = tomli.loads(_WHEELS.sub(kept, text))
    for entry in document.get("packages", ()):
        if isinstance(entry.get("wheels"), int):
            entry["wheels"] = lists[entry["wheels"]]
    return document


def _wheel(url: str, size: str, sha256: str) -> dict[str, Any]:
    wheel: dict[str, Any] = {"url": url, "hashes": {"sha256": sha256}}
    if size:
        wheel["size"] = int(size)
    return wheel
