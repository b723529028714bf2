"""Typed access to a decoded JSON document that comes from a file: every problem is noted with its path, then goes on.

A getter that finds a problem notes it and gives an empty value, so that one reading finds all of them; the caller
raises when there are any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.machine import addresses

_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a number", bool: "true or false", float: "a fraction"}
_SHOWN = 60
_LARGEST = 1 << 63  # Nix's integers have 64 bits, one of them for the sign
_PLAIN_KEY = re.compile(r"^[A-Za-z0-9_-]+$")


def duplicates_refused(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For ``json.loads(object_pairs_hook=...)``: raises ValueError when an object has a key twice (RFC 8259, 4)."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f'the key "{key}" is there twice in one object')
        table[key] = value
    return table


def document(text: str, name: str, what: str, mend: str) -> Any:  # noqa: ANN401 -- any JSON value
    """The JSON of a file ``name`` that should be ``what`` ("a lock").

    Raises UserError when it is not JSON, has a key twice, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=duplicates_refused)
    except json.JSONDecodeError as error:
        raise UserError.of(f"{name}: line {error.lineno}", f"is not JSON: {error.msg}", mend) from None
    except ValueError as error:
        raise UserError.of(name, f"is not {what}: {error}", mend) from None
    except RecursionError:
        raise UserError.of(name, f"is not {what}: it is nested too deeply", mend) from None


class Table:
    """One object of the document; ``path`` leads to it (``base.debs``), ``problems`` is shared by all."""

    def __init__(self, value: object, file: str, path: str, problems: list[Problem], mend: str) -> None:
        self._file = file
        self._path = path
        self._problems = problems
        self._mend = mend
        self._missing = value is None
        if value is not None and not isinstance(value, dict):
            self._note(path, f"is {_kind(value)}, not an object")
            self._missing = True
        self._value: dict[str, Any] = value if isinstance(value, dict) else {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems of the document so far."""
        return tuple(self._problems)

    def keys(self) -> tuple[str, ...]:
        """The keys that are there."""
        return tuple(self._value)

    def __contains__(self, key: str) -> bool:
        """Whether the key is there, whatever its value."""
        return key in self._value

    def closed(self, *known: str) -> None:
        """Note every key that is not known, with the nearest one that is."""
        for key in self._value:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                self.problem(key, f'is not a known key; did you mean "{near[0]}"?' if near else "is not a known key")

    def problem(self, key: str, what: str) -> None:
        """Note a problem with the value of a key."""
        self._note(self._join(key), what)

    def text(self, key: str, pattern: str = "") -> str:
        """A text that matches the whole of ``pattern``, if one is given."""
        value = self._get(key, str)
        if value is None:
            return ""
        self._match(self._join(key), value, pattern)
        return str(value)

    def texts(self, key: str, pattern: str = "") -> tuple[str, ...]:
        """A list of texts, each of which matches."""
        found = []
        for index, value in enumerate(self._get(key, list) or ()):
            where = f"{self._join(key)}[{index}]"
            if isinstance(value, str):
                self._match(where, value, pattern)
                found.append(value)
            else:
                self._note(where, f"is {_kind(value)}, not a text")
        return tuple(found)

    def integer(self, key: str) -> int:
        """A whole number, not below zero."""
        value = self._get(key, int)
        if value is not None and value < 0:
            self.problem(key, f"is {value}, below zero")
        elif value is not None and value >= _LARGEST:
            self.problem(key, "is more than any size or time")
            return 0
        return int(value or 0)

    def number(self, key: str) -> float:
        """Any number; one that is whole, not a number or without an end, too."""
        value = self._get(key, float if isinstance(self._value.get(key), float) else int)
        return value if isinstance(value, int | float) else 0

    def flag(self, key: str) -> bool:
        """True or false."""
        return bool(self._get(key, bool))

    def choice(self, key: str, known: Sequence[str]) -> str:
        """One of the known texts."""
        value = self.text(key)
        if value and value not in known:
            self.problem(key, f'is "{value}", not one of {", ".join(known)}')
        return value

    def table(self, key: str, mend: str = "") -> Table:
        """An object. ``mend`` is what mends it, where that is something else than for the whole."""
        return Table(self._get(key, dict), self._file, self._join(key), self._problems, mend or self._mend)

    def tables(self, key: str) -> Iterator[Table]:
        """The objects of a list."""
        for index, value in enumerate(self._get(key, list) or ()):
            where = f"{self._join(key)}[{index}]"
            if value is None:
                self._note(where, "is nothing, not an object")
            yield Table(value, self._file, where, self._problems, self._mend)

    def check_url(self, key: str, url: str, schemes: Sequence[str]) -> None:
        """Note what is wrong with an address: its kind, credentials, white space (RFC 3986)."""
        if not url:
            return
        if secret := addresses.secret(url):
            # The address is part of the path to a hash; it is not printed with what it must not carry.
            self._note(self._path, f"has an address with {secret} in it; netrc is the place for logins")
        elif fault := addresses.fault(url, schemes):
            self.problem(key, fault)

    def _get(self, key: str, kind: type) -> Any:  # noqa: ANN401 -- of the type that `kind` says
        if self._missing:
            return None
        if key not in self._value:
            self.problem(key, "is missing")
            return None
        value = self._value[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.problem(key, f"is {_kind(value)}, not {_KINDS[kind]}")
            return None
        return value

    def _match(self, where: str, value: str, pattern: str) -> None:
        if pattern and not re.fullmatch(pattern, value):
            shown = value if len(value) <= _SHOWN else value[: _SHOWN - 3] + "..."
            self._note(where, f"has an impossible value: {shown!r}")

    def _join(self, key: str) -> str:
        shown = key if _PLAIN_KEY.match(key) else f'"{key}"'
        return f"{self._path}.{shown}" if self._path else shown

    def _note(self, path: str, what: str) -> None:
        self._problems.append(Problem(f"{self._file}: {path}" if path else self._file, what, self._mend))


def _kind(value: object) -> str:
    return "nothing" if value is None else _KINDS.get(type(value), "something else")
