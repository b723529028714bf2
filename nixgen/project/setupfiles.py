"""What setup.py and setup.cfg say, as far as it can be read: setup.py is parsed, and never run.

The keys are those of ``setuptools.setup()``. What setup.py says counts before setup.cfg, as in setuptools.
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from nixgen.errors import UserError
from nixgen.project.project import read_text

PY, CFG = "setup.py", "setup.cfg"
_LONGEST = 10_000  # characters or items of a value that is put together: more is not what anybody writes
_CHANGING = frozenset({"append", "extend", "insert", "remove", "pop", "update", "setdefault", "clear"})


class _Unread(Enum):
    UNREAD = "computed"


UNREAD: Final = _Unread.UNREAD
"""Stands for a value that only running setup.py would tell."""


@dataclass(frozen=True, slots=True)
class Find:
    """``find_packages()``, with ``namespaces`` ``find_namespace_packages()``: patterns of dotted names."""

    where: str = "."
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    namespaces: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension module that setup.py asks to compile; ``name`` is None where it is computed."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Setup:
    """``said`` maps a keyword of ``setup()`` to its value or UNREAD, ``keys`` to the file and key that says so."""

    files: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


def read(folder: Path, where: str) -> Setup:
    """The setup files of a folder; ``where`` is before their names in sentences ("libs/core/").

    Raises UserError for a file that cannot be read as text, and for a setup.cfg that is not one.
    """
    said: dict[str, Any] = {}
    keys: dict[str, str] = {}
    files = tuple(name for name in (CFG, PY) if (folder / name).is_file())
    for name in files:
        text = read_text(folder / name, where + name)
        found = of_setup_py(text) if name == PY else of_setup_cfg(text, where + name)
        for key, value in found.items():
            if value not in (None, "", []) or key not in said:
                section = "" if name == PY else "metadata." if key in {"version", "name", "description"} else "options."
                said[key], keys[key] = value, f"{where}{name}: {section}{key}"
    return Setup(files, said, keys)


class _Parser(configparser.RawConfigParser):
    """As setuptools reads such files: names keep their case."""

    def optionxform(self, optionstr: str) -> str:
        """The name itself."""
        return optionstr


def of_setup_cfg(text: str, name: str) -> dict[str, Any]:
    """The keywords of a setup.cfg. Raises UserError for what configparser does not read."""
    parser = _Parser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        what = " ".join(str(error).split())
        raise UserError.of(name, f"is not a file that setuptools reads: {what}", "mend that line") from None
    sections = {title: {key.strip(): value or "" for key, value in parser.items(title)} for title in parser.sections()}
    options = {key.replace("-", "_"): value for key, value in sections.get("options", {}).items()}
    metadata = {key.replace("-", "_"): value for key, value in sections.get("metadata", {}).items()}
    found: dict[str, Any] = {key: metadata[key].strip() for key in ("name", "description") if key in metadata}
    told = {"version": metadata.get("version"), "install_requires": options.get("install_requires")}
    found |= {key: _directive(text) for key, text in told.items() if text is not None}
    for key in ("py_modules", "scripts"):
        if key in options:
            found[key] = _list(options[key])
    if "package_dir" in options:
        pairs = (line.partition("=") for line in _list(options["package_dir"]))
        found["package_dir"] = {left.strip(): right.strip() for left, _, right in pairs}
    if "packages" in options:
        packages = options["packages"].strip()
        if packages in {"find:", "find_namespace:"}:
            given = sections.get("options.packages.find", {})
            include, exclude = tuple(_list(given.get("include", ""))), tuple(_list(given.get("exclude", "")))
            where = given.get("where", ".").strip()
            found["packages"] = Find(where, include or ("*",), exclude, packages == "find_namespace:")
        else:
            found["packages"] = _list(packages)
    points = sections.get("options.entry_points")
    if points is not None:
        found["entry_points"] = entry_points(points)
    elif "entry_points" in options:
        found["entry_points"] = _directive(options["entry_points"])
    return found


def _list(text: str) -> list[str]:
    pieces = text.splitlines() if "\n" in text else text.split(",")
    return [piece.strip() for piece in pieces if piece.strip()]


def _directive(text: str) -> str | dict[str, Any]:
    """``attr: a.b`` and ``file: a, b`` as pyproject.toml has them."""
    kind, colon, rest = text.strip().partition(":")
    if colon and kind == "attr":
        return {"attr": rest.strip()}
    return {"file": _list(rest.strip())} if colon and kind == "file" else text.strip()


def entry_points(value: object) -> Any:  # noqa: ANN401 -- groups of names, or UNREAD
    """Groups of entry points, each a table of names, from what setuptools takes: lines, or lists of them."""
    if isinstance(value, str):
        parser = _Parser(delimiters=("=",))
        try:
            parser.read_string(value)
        except configparser.Error:
            return UNREAD
        return {group: dict(parser.items(group)) for group in parser.sections()}
    if not isinstance(value, Mapping):
        return UNREAD
    found: dict[str, dict[str, str]] = {}
    for group, lines in value.items():
        given = lines.splitlines() if isinstance(lines, str) else lines
        if not isinstance(group, str) or not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            return UNREAD
        pairs = (line.partition("=") for line in given if line.strip() and not line.strip().startswith("#"))
        found[group] = {name.strip(): target.strip() for name, _, target in pairs}
    return found


def of_setup_py(text: str) -> dict[str, Any]:
    """The keywords of the call of ``setup()`` in a setup.py; UNREAD for each that is not made of literals.

    ``skbuild`` is among them where scikit-build is imported.
    """
    try:
        tree = ast.parse(text)
        found = _Reader(tree).keywords()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"packages": UNREAD, "version": UNREAD, "entry_points": UNREAD}
    if found.get("entry_points") not in (None, UNREAD):
        found["entry_points"] = entry_points(found["entry_points"])
    return found


class _Reader:
    """Values of expressions of one file, where names are assigned once, at the top, and not changed after."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes = list(ast.walk(tree))
        self.names: dict[str, Any] = {}
        changed = set(self._changed())
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                for target in targets:
                    if isinstance(target, ast.Name) and target.id not in changed:
                        self.names[target.id] = self.value(statement.value)

    def _changed(self) -> Iterator[str]:
        stored: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                if node.id in stored:
                    yield node.id
                stored.add(node.id)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                yield node.target.id
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                if isinstance(node.value, ast.Name):
                    yield node.value.id
            elif isinstance(node, ast.Attribute) and node.attr in _CHANGING and isinstance(node.value, ast.Name):
                yield node.value.id

    def keywords(self) -> dict[str, Any]:
        """What ``setup`` is called with."""
        found: dict[str, Any] = {}
        for node in self.nodes:
            if isinstance(node, ast.Call) and _called(node) == "setup":
                for keyword in node.keywords:
                    value = self.value(keyword.value)
                    if keyword.arg is not None:
                        self._add(found, keyword.arg, value)
                    elif isinstance(value, dict):
                        for key, inner in value.items():
                            self._add(found, str(key), inner)
            elif (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "skbuild") or (
                isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "skbuild" for alias in node.names)
            ):
                found["skbuild"] = True
        return found

    @staticmethod
    def _add(found: dict[str, Any], key: str, value: object) -> None:
        found[key] = value if key not in found or found[key] == value else UNREAD

    def value(self, node: ast.expr) -> Any:  # noqa: ANN401, PLR0911 -- one return for each form
        """What an expression is, or UNREAD."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self.names.get(node.id, UNREAD)
            case ast.List() | ast.Tuple():
                return [self.value(item) for item in node.elts]
            case ast.Dict():
                keys = [UNREAD if key is None else self.value(key) for key in node.keys]
                if not all(isinstance(key, str) for key in keys):
                    return UNREAD
                return dict(zip(keys, map(self.value, node.values), strict=True))
            case ast.BinOp(op=ast.Add()):
                left, right = self.value(node.left), self.value(node.right)
                same = type(left) is type(right) and isinstance(left, str | list)
                return left + right if same and len(left) + len(right) <= _LONGEST else UNREAD
            case ast.Call():
                return self._call(node)
            case _:
                return UNREAD

    def _call(self, node: ast.Call) -> Any:  # noqa: ANN401
        name = _called(node)
        given = {keyword.arg: self.value(keyword.value) for keyword in node.keywords}
        if name in {"find_packages", "find_namespace_packages"} and None not in given:
            given |= dict(zip(("where", "exclude", "include"), map(self.value, node.args), strict=False))
            where, exclude, include = given.get("where", "."), given.get("exclude", []), given.get("include", ["*"])
            if isinstance(where, str) and _strings(exclude) and _strings(include):
                return Find(where or ".", tuple(include), tuple(exclude), name == "find_namespace_packages")
        if name == "dict" and not node.args and None not in given:
            return given
        if name.endswith("Extension"):
            first = self.value(node.args[0]) if node.args else given.get("name", given.get("target"))
            return Extension(first if isinstance(first, str) else None)
        if name == "cythonize":
            inner = self.value(node.args[0]) if node.args else UNREAD
            named = isinstance(inner, list) and all(isinstance(one, Extension) for one in inner)
            return inner if named else [Extension(None)]
        return UNREAD


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
