"""JSON for people to read, as ``json.dumps`` writes it with an indent, which is slow: its quick encoder knows none.

That encoder takes the text between two values, however. So it writes whole what holds no list or table of its own,
which is nearly all of a long document.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any


def dumps(value: Any, margin: str = "\n") -> str:  # noqa: ANN401 -- any JSON
    """The text of ``json.dumps(value, indent=2, ensure_ascii=False)``; ``margin`` lies between two of its lines."""
    if not value or not isinstance(value, dict | list):
        return _encoder(margin).encode(value)
    inner = f"{margin}  "
    if not any(isinstance(item, dict | list) for item in (value.values() if isinstance(value, dict) else value)):
        text = _encoder(inner).encode(value)
        return f"{text[0]}{inner}{text[1:-1]}{margin}{text[-1]}"
    if isinstance(value, dict):
        items = [f"{_encoder(inner).encode(key)}: {dumps(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    return f"[{inner}{f',{inner}'.join([dumps(item, inner) for item in value])}{margin}]"


@lru_cache(maxsize=64)
def _encoder(margin: str) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, separators=(f",{margin}", ": "))
