"""Writing into models.toml: an entry more or one less, and everything else as it is, comments and order included."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nixgen.artifacts.fields import FILE, nearest, quoted
from nixgen.artifacts.manifest import VERSION, parse_manifest
from nixgen.artifacts.model import Kind
from nixgen.errors import UserError
from nixgen.formats import toml

Value = str | Sequence[str]


def with_entry(text: str, kind: Kind, name: str, values: Mapping[str, Value]) -> str:
    """``text`` with one more entry, at its end. Raises UserError when the name is taken, or for what is wrong."""
    old = _decoded(text)
    if name in _tables(old, kind):
        mend = f"give it another name, or take the old one out first: nixgen {command(kind)} remove {name}"
        raise UserError.of(f"{FILE}: {kind}.{quoted(name)}", "is there already", mend)
    given = {key: value if isinstance(value, str) else list(value) for key, value in values.items() if value}
    wanted = {"version": VERSION, **old, kind: {**_tables(old, kind), name: given}}
    parse_manifest(wanted)
    before = text if "version" in old else f"version = {VERSION}\n{text}"
    if before and not before.endswith("\n"):
        before += "\n"
    new = _endings(before + "\n" + _section(kind, name, given), text)
    if _loads(new) != wanted:
        lines = _section(kind, name, given).strip()
        what = f"has {kind} in a form that cannot be extended"
        raise UserError.of(FILE, what, f"add these lines by hand:\n{lines}")
    return new


def without_entry(text: str, kind: Kind, name: str) -> str:
    """``text`` without this entry. Raises UserError when there is none, or a service still names it."""
    old = _decoded(text)
    names = _tables(old, kind)
    if name not in names:
        near = nearest(name, names) if names else f"add it: nixgen {command(kind)} add {name} SOURCE"
        raise UserError.of(f"{FILE}: {kind}.{quoted(name)}", "is not there", near)
    rest = {key: value for key, value in names.items() if key != name}
    wanted = {key: rest if key == kind else value for key, value in old.items() if key != kind or rest}
    parse_manifest(wanted)
    for way in (_without_lines, _without_key):
        new = way(text, kind, name)
        if _loads(new) in (wanted, {**wanted, kind: {}}):
            return new
    mend = f"take [{kind}.{quoted(name)}] out by hand"
    raise UserError.of(FILE, "is written in a form that nixgen cannot change", mend)


def command(kind: Kind) -> str:
    """The command that is about this kind: model or data."""
    return "model" if kind == "models" else "data"


def _without_lines(text: str, kind: Kind, name: str) -> str:
    """Without the lines from the entry's header to its last key: the comments behind them are about what follows."""
    header = re.compile(rf"""\s*\[\s*{kind}\s*\.\s*(["']?){re.escape(name)}\1\s*\]""")
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if header.match(line)), None)
    if start is None:
        return text
    end = next((index for index in range(start + 1, len(lines)) if lines[index].lstrip().startswith("[")), len(lines))
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    before, after = lines[:start], lines[end:]
    while before and not before[-1].strip() and (not after or not after[0].strip()):
        before.pop()
    return "".join([*before, *after])


def _without_key(text: str, kind: Kind, name: str) -> str:
    """The same for an entry without a header of its own: a dotted key, an inline table."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        del document[kind][name]
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError, KeyError):
        return text


def _section(kind: Kind, name: str, values: Mapping[str, object]) -> str:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        table[key] = value
    return tomlkit.dumps({kind: {name: table}})


def _endings(new: str, old: str) -> str:
    return new.replace("\r\n", "\n").replace("\n", "\r\n") if "\r\n" in old else new


def _decoded(text: str) -> dict[str, Any]:
    try:
        return toml.loads(text)
    except toml.TomlError as error:
        raise UserError.of(FILE, f"is not TOML that can be read: {error}", "mend that line") from None


def _loads(text: str) -> dict[str, Any] | None:
    try:
        return toml.loads(text)
    except toml.TomlError:
        return None


def _tables(document: Mapping[str, Any], kind: Kind) -> Mapping[str, Any]:
    found = document.get(kind)
    return found if isinstance(found, dict) else {}
