"""What a repo of the hub says about itself: its licence, and the other repos that its code comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nixgen.artifacts.http.client import parsed

_CODE = re.compile(r"([\w.-]+/[\w.-]+|[\w.-]+)--[\w.]+", re.ASCII)


def code_repos(config: bytes) -> set[str]:
    """The other repos whose code a config.json names, as "org/name".

    ``auto_map`` and ``custom_pipelines`` say "org/name--module.Class" of a class that another repo has.
    """
    try:
        table = parsed(config)
    except ValueError:
        return set()
    if not isinstance(table, dict):
        return set()
    waiting: list[Any] = [table.get("auto_map"), table.get("custom_pipelines")]
    found: set[str] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and (named := _CODE.fullmatch(value)):
            found.add(named[1])
    return found


def licence(info: Mapping[str, Any]) -> str | None:
    """The licence of the repo's card: its name where it has one of its own, else its identifier."""
    card = info.get("cardData")
    found: Any = None
    if isinstance(card, dict):
        found = card.get("license")
        found = card.get("license_name") or found if found == "other" else found
    if isinstance(found, list):
        found = ", ".join(filter(None, (item if isinstance(item, str) else None for item in found)))
    if not found:
        tags = [tag for tag in info.get("tags") or () if isinstance(tag, str)]
        found = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), None)
    return found if isinstance(found, str) and found.isprintable() else None
