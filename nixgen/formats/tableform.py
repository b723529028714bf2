"""The JSON Schema of a document, noted while its reader asks an empty one for everything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nixgen.formats.strictjson import Table

_TEXT: dict[str, Any] = {"type": "string"}
_ANY_NAME = "name"


class Form(Table):
    """Stands for a table that has every key; where the reader asks for the keys that there are, one stands for all."""

    def __init__(self) -> None:
        super().__init__({}, "", "", [], "")
        self.schema: dict[str, Any] = {"type": "object", "properties": {}}
        self._each: Form | None = None

    def __contains__(self, key: str) -> bool:
        """Every key is there."""
        return True

    def keys(self) -> tuple[str, ...]:
        """One that stands for all."""
        self._each = Form()
        self.schema["additionalProperties"] = self._each.schema
        return (_ANY_NAME,)

    def closed(self, *known: str) -> None:  # noqa: ARG002 -- as the table that it stands for
        """No other keys."""
        self.schema["additionalProperties"] = False

    def text(self, key: str, pattern: str = "") -> str:
        """Note a text."""
        self._note_form(key, {**_TEXT, "pattern": f"^(?:{pattern})$"} if pattern else _TEXT)
        return ""

    def texts(self, key: str, pattern: str = "") -> tuple[str, ...]:
        """Note a list of texts."""
        self._note_form(key, {"type": "array", "items": {**_TEXT, "pattern": f"^(?:{pattern})$"} if pattern else _TEXT})
        return ()

    def integer(self, key: str) -> int:
        """Note a whole number, not below zero."""
        self._note_form(key, {"type": "integer", "minimum": 0})
        return 0

    def number(self, key: str) -> float:
        """Note a number."""
        self._note_form(key, {"type": "number"})
        return 0

    def flag(self, key: str) -> bool:
        """Note true or false."""
        self._note_form(key, {"type": "boolean"})
        return False

    def choice(self, key: str, known: Sequence[str]) -> str:
        """Note one of several texts."""
        self._note_form(key, {"enum": list(known)})
        return ""

    def table(self, key: str, mend: str = "") -> Form:  # noqa: ARG002 -- as the table that it stands for
        """Note a table, and go on in it."""
        if self._each is not None:
            return self._each
        below = Form()
        self._note_form(key, below.schema)
        return below

    def tables(self, key: str) -> Iterator[Form]:
        """Note a list of tables, and go on in one of them."""
        below = Form()
        self._note_form(key, {"type": "array", "items": below.schema})
        yield below

    def _note_form(self, key: str, form: dict[str, Any]) -> None:
        self.schema["properties"].setdefault(key, form)
