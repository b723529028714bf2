"""JSON for people to read, as ``json.dumps`` writes it with an indent, which is slow: its quick encoder knows none.

That encoder takes the text between two values, however. So it writes whole what holds no list or table of its own,
which is nearly all of a long document.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_NESTED = frozenset({dict, list})


def dumps(value: Any, margin: str = "\n") -> str:  # noqa: ANN401 -- any JSON
    """The text of ``json.dumps(value, indent=2, ensure_ascii=False)``; ``margin`` lies between two of its lines."""
    if not value or not isinstance(value, dict | list):
        return _encoder(margin)(value)
    inner = f"{margin}  "
    if _flat(value):
        text = _encoder(inner)(value)
        return f"{text[0]}{inner}{text[1:-1]}{margin}{text[-1]}"
    if isinstance(value, dict):
        items = [f"{_encoder(inner)(key)}: {dumps(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    if all(item and isinstance(item, dict) and _flat(item) for item in value):
        # At once. No string has an end of a line in it, so where one follows "},", one table ends and one begins.
        below = f"{inner}  "
        text = _encoder(below)(value)[2:-2].replace(f"}},{below}{{", f"{inner}}},{inner}{{{below}")
        return f"[{inner}{{{below}{text}{inner}}}{margin}]"
    return f"[{inner}{f',{inner}'.join([dumps(item, inner) for item in value])}{margin}]"


def _flat(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it holds no list or table of its own."""
    return _NESTED.isdisjoint(map(type, value.values() if isinstance(value, dict) else value))


@lru_cache(maxsize=64)
def _encoder(margin: str) -> Callable[[object], str]:
    return json.JSONEncoder(ensure_ascii=False, separators=(f",{margin}", ": ")).encode
