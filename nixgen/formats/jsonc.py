"""JSON with comments, as VS Code has its settings in: reading it, and adding to it without losing what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA = re.compile(r'"(?:\\.|[^"\\\n])*"|,(?=\s*[}\]])')
_SPACE = re.compile(r"\s*")
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Merged:
    """A text with more in it; ``other`` are the keys, as a path, that have another value already and keep it."""

    text: str
    other: tuple[str, ...]


@dataclass(slots=True)
class _Container:
    """An object or a list in a text: its keys or elements with where each value begins, and where the last one ends."""

    values: dict[Any, int] = field(default_factory=dict)
    first: int = 0
    end: int = 0


def loads(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """The value. Raises ValueError for what is not JSON with comments and commas behind the last one."""
    return json.loads(_COMMA.sub(_blank_comma, _blanked(text)))


def merged(text: str, wanted: Mapping[str, Any]) -> Merged:
    """``text``, an object, with what is missing of ``wanted``: keys, keys of objects in it, elements of lists in it.

    Comments, order and form of what is there stay. Raises ValueError as :func:`loads` does, or where it is no object.
    """
    if not isinstance(loads(text), dict):
        raise ValueError("it is not an object")  # noqa: TRY004 -- the text is wrong, not the type of an argument
    blanked, start = _blanked(text), 0
    inserts: dict[int, str] = {}
    other: list[str] = []

    def add(start: int, have: Any, wanted: Any, path: str) -> None:  # noqa: ANN401 -- any JSON
        place = _container(blanked, start)
        if isinstance(wanted, list):
            lines = [json.dumps(one, ensure_ascii=False) for one in wanted if one not in have]
        else:
            lines = []
            for key, value in wanted.items():
                below = f"{path}{key}"
                if key not in have:
                    lines.append(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, indent=2)}")
                elif isinstance(value, dict | list) and isinstance(have[key], type(value)):
                    add(place.values[key], have[key], value, f"{below}: ")
                elif have[key] != value:
                    other.append(below)
        if lines:
            inserts.update(_inserted(text, blanked, start, place, lines))

    add(_next(blanked, start), loads(text), wanted, "")
    for at, insert in sorted(inserts.items(), reverse=True):
        text = text[:at] + insert + text[at:]
    return Merged(text, tuple(other))


def _blanked(text: str) -> str:
    """The text with blanks for comments, and for the byte order mark: every other character stays where it is."""
    text = text.replace(_BOM, " ", 1) if text.startswith(_BOM) else text
    return _TOKEN.sub(lambda hit: hit[0] if hit[0].startswith('"') else " " * len(hit[0]), text)


def _blank_comma(hit: re.Match[str]) -> str:
    return " " if hit[0] == "," else hit[0]


def _next(text: str, at: int) -> int:
    """Where the next character is that is no blank."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _container(text: str, start: int) -> _Container:
    """The members of the object or list that begins at ``start``; the text is known to be valid."""
    found, decoder, at = _Container(), json.JSONDecoder(), _next(text, start + 1)
    while text[at] not in "}]":
        found.first = found.first or at
        key: Any = len(found.values)
        if text[start] == "{":
            key, at = decoder.raw_decode(text, at)
            at = _next(text, _next(text, at) + 1)
        found.values[key] = at
        found.end = at = _end(text, at)
        at = _next(text, at)
        at = _next(text, at + 1) if text[at] == "," else at
    return found


def _end(text: str, at: int) -> int:
    """Where the value that begins at ``at`` ends."""
    if text[at] not in "{[":
        return json.JSONDecoder().raw_decode(text, at)[1]
    inner = _container(text, at)
    at = _next(text, inner.end or at + 1)
    return (_next(text, at + 1) if text[at] == "," else at) + 1


def _inserted(text: str, blanked: str, start: int, place: _Container, lines: list[str]) -> dict[int, str]:
    """What to insert at which places, to have lines behind the last member that fit in with what is around them."""
    newline = "\r\n" if "\r\n" in text else "\n"
    margin = _margin(blanked, start)
    alone = not place.values or "\n" in blanked[start : place.first]  # the first member stands in a line of its own
    inner = _margin(blanked, place.first) if place.values and alone else margin + "  "

    def body(*, lines_apart: bool) -> str:
        between = f"{newline}{inner}" if lines_apart else " "
        return between + f",{between}".join(line.replace("\n", f"{newline}{inner}") for line in lines)

    if not place.values:
        closed = _next(blanked, start + 1)
        tail = "" if "\n" in blanked[start:closed] else f"{newline}{margin}"
        return {start + 1: body(lines_apart=True) + tail}
    at = _next(blanked, place.end)
    if blanked[at] == ",":  # behind the last one, as it is here
        end = _line_end(text, blanked, at + 1)
        return {end: f"{body(lines_apart=alone or end > at + 1)},"}
    end = _line_end(text, blanked, place.end)
    if end == place.end:
        return {end: f",{body(lines_apart=alone)}"}
    return {place.end: ",", end: body(lines_apart=True)}


def _line_end(text: str, blanked: str, at: int) -> int:
    """The end of the line, behind a comment, where nothing else follows in it; else the same place."""
    end = blanked.find("\n", at)
    if end < 0 or blanked[at:end].strip():
        return at
    return end - 1 if text[end - 1] == "\r" else end


def _margin(text: str, at: int) -> str:
    """The blanks at the beginning of the line."""
    begin = text.rfind("\n", 0, at) + 1
    found = re.match(r"[ \t]*", text[begin:at])
    return found[0] if found else ""
