"""``[tool.nixgen]`` of pyproject.toml: closed parsing into one frozen value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from nixgen.errors import Problem, UserError
from nixgen.project.names import normalized

SYSTEMS = ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux")
"""Every Nix system that wheels exist for."""

DEFAULT_SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "nixpkgs": SYSTEMS,
    "debian": tuple(system for system in SYSTEMS if system.endswith("-linux")),
}
"""The systems of a project that names none, by base."""

DEFAULT_MACOS = "14.0"
"""The macOS version that wheels may ask for: the oldest that nixpkgs supports (its release notes, 25.11)."""

_NAME = re.compile(r"[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]")
_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+'-]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_REV = re.compile(r"[0-9a-f]{40}")
_SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``[tool.nixgen]`` says; docs/settings.md explains each key.

    ``python`` is a version like "3.11", None if unset, and ``python_full`` the whole one ("3.11.9") where it is set;
    ``systems`` Nix systems, sorted, None for the base's default;
    ``suite`` a Debian suite's code name; ``nixpkgs`` a known pin's name or a mapping with ``rev``, ``narHash``
    and ``lastModified``, which may lack;
    ``groups`` dependency groups, None for uv's default groups; ``libraries`` and ``tools`` names of packages of the
    base; ``macos`` the lowest macOS version that the environment is for; ``prefer`` distributions whose files win where
    two own the same one, the first named first; ``skip_imports`` modules that the import check leaves out;
    ``smoke`` shell commands that must succeed in the environment.
    """

    base: Literal["nixpkgs", "debian"] = "nixpkgs"
    python: str | None = None
    python_full: str | None = None
    systems: tuple[str, ...] | None = None
    suite: str | None = None
    nixpkgs: str | Mapping[str, str | int] | None = None
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    all_extras: bool = False
    libraries: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    macos: str = DEFAULT_MACOS
    prefer: tuple[str, ...] = ()
    skip_imports: tuple[str, ...] = ()
    smoke: tuple[str, ...] = ()

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str = "pyproject.toml: tool.nixgen") -> Settings:
        """The settings of a ``[tool.nixgen]`` table; ``where`` names the table in problems.

        Raises UserError with every problem: an unknown key (with the nearest known one), a value of another type, a
        value that is not one of those allowed, settings that exclude each other.
        """
        problems: list[Problem] = []
        values: dict[str, Any] = {}
        for key, value in table.items():
            reader = _READERS.get(key)
            if reader is None:
                problems.append(Problem(f"{where}.{key}", "is not a setting of nixgen", _nearest(key, _READERS)))
                continue
            try:
                values[key.replace("-", "_")] = reader(value)
            except _WrongError as wrong:
                problems.append(Problem(f"{where}.{key}{wrong.inside}", wrong.what, wrong.mend))
        if values.get("python", "").count(".") > 1:
            values["python_full"] = values["python"]
            values["python"] = values["python"].rpartition(".")[0]
        problems += _contradictions(values, where)
        if problems:
            raise UserError(problems)
        return cls(**values)

    def default_systems(self) -> tuple[str, ...]:
        """The systems to resolve for: those that are set, else all that the base serves."""
        return DEFAULT_SYSTEMS[self.base] if self.systems is None else self.systems


def _contradictions(values: Mapping[str, Any], where: str) -> list[Problem]:
    """Settings that exclude each other."""
    problems = []
    base = values.get("base", "nixpkgs")
    for key, owner in (("suite", "debian"), ("nixpkgs", "nixpkgs")):
        if values.get(key) is not None and base != owner:
            what = f"is a setting of the {owner} base, and the base is {base}"
            problems.append(Problem(f"{where}.{key}", what, f'remove it, or set base = "{owner}"'))
    if base == "debian":
        for system in values.get("systems") or ():
            if system not in DEFAULT_SYSTEMS["debian"]:
                mend = "take it out, or use the nixpkgs base"
                problems.append(Problem(f"{where}.systems", f"the debian base cannot serve {system}", mend))
    if values.get("all_extras") and values.get("extras"):
        mend = "keep one of the two"
        problems.append(Problem(f"{where}.extras", "says nothing that all-extras does not say", mend))
    return problems


class _WrongError(Exception):
    """What is wrong with one setting; ``inside`` is the rest of its path (``[2]``, ``.rev``)."""

    def __init__(self, what: str, mend: str = "", inside: str = "") -> None:
        super().__init__(what)
        self.what, self.mend, self.inside = what, mend, inside


def _nearest(key: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(key.lower().replace("_", "-"), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "the settings are " + ", ".join(sorted(known))


_TYPES = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}


def _typed(value: object, kind: type, example: str, inside: str = "") -> None:
    if type(value) is not kind:
        raise _WrongError(f"is {_TYPES.get(type(value), 'a date')}, not {_TYPES[kind]}", f"write {example}", inside)


def _choice(*allowed: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        _typed(value, str, f'"{allowed[0]}"')
        if value not in allowed:
            raise _WrongError(f'"{value}" is not known', _one_of(str(value), allowed))
        return str(value)

    return read


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(value, allowed, n=1)
    return f"did you mean {close[0]}?" if close else "use one of " + ", ".join(allowed)


def _pattern(pattern: str, what: str, example: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        _typed(value, str, f'"{example}"')
        if not re.fullmatch(pattern, str(value), re.ASCII):
            raise _WrongError(f'"{value}" is not {what}', f'write it like "{example}"')
        return str(value)

    return read


def _names(pattern: re.Pattern[str], what: str, example: str) -> Callable[[object], tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        _typed(value, list, f'["{example}"]')
        for index, name in enumerate(cast("list[object]", value)):
            _typed(name, str, f'"{example}"', f"[{index}]")
            if not pattern.fullmatch(str(name)):
                raise _WrongError(f'"{name}" is not {what}', f'write it like "{example}"', f"[{index}]")
        return tuple(dict.fromkeys(map(str, cast("list[object]", value))))

    return read


def _distributions(value: object) -> tuple[str, ...]:
    names = _names(_NAME, "a distribution's name", "opencv-python")(value)
    return tuple(dict.fromkeys(normalized(name) for name in names))


def _systems(value: object) -> tuple[str, ...]:
    _typed(value, list, '["x86_64-linux"]')
    found = cast("list[object]", value)
    if not found:
        raise _WrongError("names no system", "remove it to have all of the base's")
    for index, system in enumerate(found):
        _typed(system, str, '"x86_64-linux"', f"[{index}]")
        if system not in SYSTEMS:
            raise _WrongError(f'"{system}" is not a system', _one_of(str(system), SYSTEMS), f"[{index}]")
    return tuple(sorted(set(map(str, found))))


def _nixpkgs(value: object) -> str | Mapping[str, str | int]:
    if type(value) is str:
        return value
    _typed(value, dict, '"nixos-26.05", or {rev = "…", narHash = "sha256-…"}')
    table = cast("dict[str, object]", value)
    shapes = {"rev": (_REV, "40 hexadecimal digits"), "narHash": (_SRI, 'a hash like "sha256-…="')}
    keys = {**shapes, "lastModified": None}
    for key in table:
        if key not in keys:
            raise _WrongError("is not a key of a revision", _nearest(key, keys), f".{key}")
    for key, (pattern, what) in shapes.items():
        if key not in table:
            raise _WrongError(f"lacks {key}", 'write {rev = "…", narHash = "sha256-…"}')
        _typed(table[key], str, f'"…" ({what})', f".{key}")
        if not pattern.fullmatch(str(table[key])):
            raise _WrongError(f'"{table[key]}" is not {what}', "copy it from nix flake metadata --json", f".{key}")
    found: dict[str, str | int] = {key: str(table[key]) for key in shapes}
    if "lastModified" in table:
        modified = table["lastModified"]
        if type(modified) is not int or not 0 < modified < 1 << 40:
            raise _WrongError(
                "is not a time in Unix seconds", "copy it from nix flake metadata --json", ".lastModified"
            )
        found["lastModified"] = modified
    return found


def _commands(value: object) -> tuple[str, ...]:
    example = 'python -c "import demo"'
    _typed(value, list, f"['{example}']")
    for index, command in enumerate(cast("list[object]", value)):
        _typed(command, str, f"'{example}'", f"[{index}]")
        if not str(command).strip() or "\0" in str(command):
            raise _WrongError("is not a command", f"write it like '{example}'", f"[{index}]")
    return tuple(map(str, cast("list[object]", value)))


def _flag(value: object) -> bool:
    _typed(value, bool, "true or false")
    return bool(value)


_READERS: Mapping[str, Callable[[object], object]] = {
    "base": _choice("nixpkgs", "debian"),
    "python": _pattern(r"3\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?", "a Python version", "3.11"),
    "systems": _systems,
    "suite": _pattern(r"[a-z]+", "a Debian suite's code name", "bookworm"),
    "nixpkgs": _nixpkgs,
    "groups": _names(_NAME, "a dependency group's name", "dev"),
    "extras": _names(_NAME, "an extra's name", "plot"),
    "all-extras": _flag,
    "libraries": _names(_PACKAGE, "a package's name", "ffmpeg"),
    "tools": _names(_PACKAGE, "a package's name", "git"),
    "macos": _pattern(r"1[0-9]\.[0-9]{1,2}|2[0-9]\.[0-9]{1,2}", "a macOS version of two numbers", DEFAULT_MACOS),
    "prefer": _distributions,
    "skip-imports": _names(_MODULE, "a module's name", "adbc_driver_duckdb"),
    "smoke": _commands,
}
