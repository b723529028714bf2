"""Reading the pylock.toml that uv exports (PEP 751): megabytes, most of them one line for each wheel.

Those lines are read by a pattern that takes no other line than the plain ones that uv writes, in a tenth of the time
that a TOML reader needs for them; it reads the rest, and every line that is not plain.
"""

from __future__ import annotations

import re
from itertools import starmap
from typing import Any

import tomli

_WHEELS, _END = "\nwheels = [\n", "\n]\n"
_WHEEL = re.compile(
    r'\n    \{ url = "([^"]*+)"(?:, upload-time = [0-9TZ:.+-]*+)?(?:, size = (\d{1,15}+))?'
    r', hashes = \{ sha256 = "([^"]*+)" \} \},(?=\n)'
)


def loads(text: str) -> dict[str, Any]:
    """The document as a TOML reader gives it, but for the times of upload. Raises tomli.TOMLDecodeError."""
    first, *parts = text.split(_WHEELS)
    kept, lists = [first], list[list[dict[str, Any]]]()
    for part in parts:
        block, end, rest = part.partition(_END)
        block = f"\n{block}\n"
        found = _WHEEL.findall(block)
        if end and len(found) == block.count("\n") - 1 and "\\" not in block:  # each line is one of these
            kept.append(f"\nwheels = {len(lists)}\n{rest}")
            lists.append(list(starmap(_wheel, found)))
        else:
            kept.append(f"{_WHEELS}{part}")
    document = tomli.loads("".join(kept))
    for entry in document.get("packages", ()):
        if isinstance(entry.get("wheels"), int):
            entry["wheels"] = lists[entry["wheels"]]
    return document


def _wheel(url: str, size: str, sha256: str) -> dict[str, Any]:
    if size:
        return {"url": url, "hashes": {"sha256": sha256}, "size": int(size)}
    return {"url": url, "hashes": {"sha256": sha256}}
