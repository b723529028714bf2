"""Writing ``[tool.nixgen]`` into a pyproject.toml: everything else stays as it is, comments and order included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nixgen.errors import UserError
from nixgen.formats import toml
from nixgen.project.project import BOM

Value = str | list[str] | dict[str, Any]


def with_settings(text: str, values: Mapping[str, Value]) -> str:
    """``text`` with these keys of ``[tool.nixgen]`` set; a key that has its value already is not touched.

    Raises UserError when the file is written in a way that cannot be extended without changing something else; the
    sentence says what to write by hand.
    """
    if text.startswith(BOM):
        return BOM + with_settings(text.removeprefix(BOM), values)
    old = toml.loads(text)
    present = old.get("tool", {}).get("nixgen", {})
    missing = {key: value for key, value in values.items() if present.get(key) != value}
    if not missing:
        return text
    new = _changed(text, missing) if "nixgen" in old.get("tool", {}) else _appended(text, missing)
    if "\r\n" in text:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if not _is_extended(old, new, missing):
        raise _by_hand(missing)
    return new


def _changed(text: str, missing: Mapping[str, Value]) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        settings: Any = document["tool"]
        settings = settings["nixgen"]
        for key, value in missing.items():
            settings[key] = _item(value)
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise _by_hand(missing) from error


def _appended(text: str, missing: Mapping[str, Value]) -> str:
    before = text if not text or text.endswith("\n") else text + "\n"
    return before + ("\n" if before.strip() else "") + _section(missing)


def _section(missing: Mapping[str, Value]) -> str:
    import tomlkit

    table = tomlkit.table()
    for key, value in missing.items():
        table[key] = _item(value)
    return tomlkit.dumps({"tool": {"nixgen": table}})


def _item(value: Value) -> object:
    import tomlkit

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({key: _item(inner) for key, inner in value.items()})
        return table
    return value


def _is_extended(old: dict[str, object], new: str, missing: Mapping[str, Value]) -> bool:
    """Whether ``new`` says what ``old`` said and the new settings, and nothing else."""
    try:
        found = toml.loads(new)
    except toml.TomlError:
        return False
    tool = dict(_table(old.get("tool")))
    tool["nixgen"] = {**_table(tool.get("nixgen")), **missing}
    return found == {**old, "tool": tool}


def _table(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _by_hand(missing: Mapping[str, Value]) -> UserError:
    lines = _section(missing).strip()
    what = "has its [tool] table in a form that nixgen cannot extend"
    return UserError.of("pyproject.toml", what, f"add these lines by hand:\n{lines}")
