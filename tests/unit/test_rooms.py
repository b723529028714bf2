"""The rooms of the package: each imports only rooms below it, and nothing lies flat but what everybody may import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "nixgen"

FLOORS = (
    ("errors", "resources", "guard", "oci"),
    ("console",),
    ("machine",),
    ("formats", "registries"),
    ("project",),
    ("resolve",),
    ("bases",),
    ("nix", "log", "data"),
    ("registry",),
    ("archive",),
    ("artifacts",),
    ("builds",),
    ("lock",),
    ("generate",),
    ("check", "init", "models"),
    ("cache", "runs", "bom", "sync"),
    ("releases", "trackers", "local", "images", "bundle"),
    ("reports", "fleet", "doctor"),
    ("cli",),
)
"""Lowest first. Rooms of one floor do not import one another."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FLAT = {"__init__", "__main__", "errors", "console", "resources"}


def modules() -> dict[str, Path]:
    """Dotted name below the package → file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def imports(name: str) -> tuple[str, ...]:
    return tuple(_imports(name))


def _imports(name: str) -> Iterator[str]:
    """The modules of the package that a module names in its imports, also in those within functions."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("nixgen.") for alias in node.names if alias.name.startswith("nixgen."))
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = ".".join(package[: len(package) - node.level + 1])
                module = ".".join(filter(None, (above, node.module)))
            elif node.module == "nixgen" or (node.module or "").startswith("nixgen."):
                module = (node.module or "")[len("nixgen.") :]
            else:
                continue
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix(".")
                yield inner if inner in MODULES else module


def test_nothing_lies_flat_but_what_everybody_may_import() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == FLAT
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in {"__pycache__", "_data"}}
    assert rooms == FLOOR.keys() - FLAT


def test_a_room_imports_only_rooms_below_it() -> None:
    above = [
        f"nixgen.{name} imports upwards: {other}"
        for name in MODULES
        if (room := name.split(".", maxsplit=1)[0]) in FLOOR
        for other in imports(name)
        if (there := other.split(".")[0]) in FLOOR and there != room and FLOOR[there] >= FLOOR[room]
    ]
    assert not above


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: {other for other in imports(name) if other and other != name} for name in MODULES if name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(reversed(error.args[1]))}")


def test_every_room_says_what_lives_there() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
