"""pylock.toml of another tool (PEP 751), in the place of uv.lock: read and checked, in the form that uv exports.

The specification: https://packaging.python.org/en/latest/specifications/pylock-toml/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import toml
from nixgen.formats.foreign import strings, table, tables
from nixgen.machine import addresses
from nixgen.project.names import normalized

NAME = "pylock.toml"
VERSION = "1.0"
_NAMES = r"pylock(\.[^./]+)?\.toml"
_FILES = ("sdist", "archive")


def is_name(name: str) -> bool:
    """Whether a file may be called so: ``pylock.toml``, or ``pylock.NAME.toml`` without a dot in NAME."""
    return re.fullmatch(_NAMES, name) is not None


def names(root: Path) -> list[str]:
    """Those that a folder has, ``pylock.toml`` first."""
    found = (path.name for path in root.glob("pylock*.toml") if is_name(path.name))
    return sorted(found, key=lambda name: (name != NAME, name))


def read(text: str, name: str) -> dict[str, Any]:
    """The file as a mapping, with the keys of the specification.

    Raises UserError for what is not TOML, of an unknown version, or against the specification, with the place in the
    file; for a login in an address; and for a file without a SHA-256.
    """
    mend = "write it again with the tool that made it"
    try:
        document = toml.loads(text)
    except toml.TomlError as error:
        raise UserError.of(name, f"is not TOML that can be read: {error}", mend) from None
    version = document.get("lock-version")
    if version != VERSION:
        what = (
            f"{'nothing' if version is None else repr(version)} is not a version that this nixgen knows; it knows 1.0"
        )
        raise UserError.of(f"{name}: lock-version", what, "use a newer nixgen, or a tool that writes 1.0")
    _validate(document, name, mend)
    problems = [
        Problem(name, f"carries credentials in {url}", "lock from an address without them, and put them into ~/.netrc")
        for url in dict.fromkeys(addresses.found(text))
    ]
    for index, entry in enumerate(tables(document.get("packages"))):
        problems += _without_sha256(entry, f"{name}: packages[{index}]")
        for file in (*tables(entry.get("wheels")), *(entry[key] for key in _FILES if key in entry)):
            if "url" in file:
                file.pop("path", None)  # either may be taken, and Nix fetches the one that is everywhere
    if problems:
        raise UserError(problems)
    return document


def _validate(document: Mapping[str, Any], name: str, mend: str) -> None:
    from packaging.pylock import Pylock, PylockValidationError

    try:
        Pylock.from_dict(document)
    except PylockValidationError as error:
        where = f"{name}: {error.context}" if error.context else name
        raise UserError.of(where, f"is against the specification: {error.message}", mend) from None


def _without_sha256(entry: Mapping[str, Any], where: str) -> Iterable[Problem]:
    """Nix and nixgen.lock pin by SHA-256."""
    files = [(f"wheels[{index}]", wheel) for index, wheel in enumerate(tables(entry.get("wheels")))]
    files += [(key, entry[key]) for key in _FILES if key in entry]
    for key, file in files:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", str(table(file, "hashes").get("sha256", ""))):
            has = ", ".join(sorted(table(file, "hashes"))) or "none"
            what = f"{entry['name']} has no SHA-256 here (hashes: {has})"
            yield Problem(f"{where}.{key}", what, "lock with a tool that writes SHA-256 hashes")


def chosen(
    document: Mapping[str, Any],
    name: str,
    where: str,
    extras: Iterable[str],
    groups: Iterable[str] | None,
    *,
    all_extras: bool = False,
) -> tuple[frozenset[str], frozenset[str]]:
    """The extras and groups that a lock's markers are evaluated with; its own default groups where ``groups`` is None.

    ``where`` is the table of pyproject.toml that the choice stands in. Raises UserError for what the lock lacks.
    """
    offered = {key: {normalized(one) for one in strings(document.get(key))} for key in ("extras", "dependency-groups")}
    defaults = {normalized(one) for one in strings(document.get("default-groups"))}
    wanted = {
        "extras": offered["extras"] if all_extras else {normalized(one) for one in extras},
        "dependency-groups": defaults if groups is None else {normalized(one) for one in groups},
    }
    problems = [
        Problem(
            f"pyproject.toml: {where}.{'extras' if key == 'extras' else 'groups'}",
            f"{name} was locked without {one}; it has: {', '.join(sorted(offered[key])) or 'none'}",
            "take it out, or lock again with it",
        )
        for key, names in wanted.items()
        for one in sorted(names - offered[key] - defaults)
    ]
    if problems:
        raise UserError(problems)
    return frozenset(wanted["extras"]), frozenset(wanted["dependency-groups"])
