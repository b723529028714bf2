"""The one way by which a value enters a Nix file.

Nothing else in nixgen writes a Nix string. What comes out is marked as :class:`NixText`, and the templates let only
marked text through as it is; everything else becomes a literal here. The rules are those of Nix's lexer (the Nix
manual, "Data types: String"): inside double quotes a backslash escapes, ``${`` starts an expression, and a raw
carriage return is read as a newline.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nixgen.errors import UserError

_ESCAPES = {"\\": "\\\\", '"': '\\"', "${": "\\${", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPED = re.compile(r'\$\{|[\\"\n\r\t]')
_UNFIT = re.compile("[\0\ud800-\udfff]")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*")
_KEYWORDS = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})
_LARGEST_INT = 2**63 - 1


class NixText(str):
    """Text that is Nix already: the result of this module's functions, never of a format string."""

    __slots__ = ()


def nix_string(text: str) -> NixText:
    """``text`` as a Nix string that evaluates to exactly ``text``.

    Raises UserError for what a Nix string cannot hold: the character NUL and lone surrogates.
    """
    unfit = _UNFIT.search(text)
    if unfit:
        raise UserError.of(
            "", f"{text!a} holds the character {unfit[0]!a}, which no Nix string can hold", "take it out"
        )
    return NixText('"' + _ESCAPED.sub(lambda match: _ESCAPES[match[0]], text) + '"')


def nix_attr(name: str) -> NixText:
    """``name`` as an attribute's name: bare where it is an identifier, else quoted."""
    if _IDENTIFIER.fullmatch(name) and name not in _KEYWORDS:
        return NixText(name)
    return nix_string(name)


def to_nix(value: object) -> NixText:  # noqa: PLR0911 -- one return for each type
    """``value`` as a Nix literal on one line: str, bool, int, None, list or tuple, and mappings with string keys.

    A NixText is passed on as it is. Mappings keep their order. Raises TypeError for any other type, and for an
    integer that Nix's 64 bits do not hold.
    """
    match value:
        case NixText():
            return value
        case str():
            return nix_string(value)
        case None:
            return NixText("null")
        case bool():
            return NixText("true" if value else "false")
        case int():
            if abs(value) > _LARGEST_INT:
                raise TypeError(f"{value} does not fit into a Nix integer")
            return NixText(value if value >= 0 else f"({value})")
        case list() | tuple():
            return NixText(f"[ {' '.join(map(to_nix, value))} ]" if value else "[ ]")
        case Mapping():
            inner = " ".join(f"{nix_attr(key)} = {to_nix(item)};" for key, item in value.items())
            return NixText(f"{{ {inner} }}" if inner else "{ }")
    raise TypeError(f"a {type(value).__name__} cannot become Nix")
