"""Writing into models.toml: an entry more or one less, and everything else as it is, comments and order included."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from nixgen.artifacts.fields import FILE, nearest, quoted
from nixgen.artifacts.manifest import VERSION, parse_manifest
from nixgen.artifacts.model import Kind
from nixgen.errors import UserError

Value = str | Sequence[str]


def with_entry(text: str, kind: Kind, name: str, values: Mapping[str, Value]) -> str:
    """``text`` with one entry more, at its end. Raises UserError when the name is taken, or for what is wrong with it."""
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
        lines = _section(kind, name, given).strip().replace("\n", "\n    ")
        what = f"has {kind} in a form that cannot be extended"
        raise UserError.of(FILE, what, f"add these lines by hand:\n    {lines}")
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
    new = _removed(text, kind, name)
    if _loads(new) not in ({**wanted, kind: {}}, wanted):
        mend = f"take [{kind}.{quoted(name)}] out by hand"
        raise UserError.of(FILE, "is written in a form that nixgen cannot change", mend)
    return new


def command(kind: Kind) -> str:
    """The command that is about this kind: model or data."""
    return "model" if kind == "models" else "data"


def _removed(text: str, kind: Kind, name: str) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        del document[kind][name]
        if not document[kind]:
            del document[kind]
        new = tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError, KeyError):
        return text
    return new.rstrip() + "\n" if new.strip() else new


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
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError.of(FILE, f"is not TOML that can be read: {error}", "mend that line") from None


def _loads(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _tables(document: Mapping[str, Any], kind: Kind) -> Mapping[str, Any]:
    found = document.get(kind)
    return found if isinstance(found, dict) else {}
