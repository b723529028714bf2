"""Directory sources: importable from the work tree, with metadata and entry points, in the shell and in the check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab import SITE, Lab, rows
from support.nix import SYSTEM
from test_wheels import digest

METADATA = "Metadata-Version: 2.4\nName: {name}\nVersion: 0.1.0\n"


def tree(name: str, path: str, root: str, modules: list[str], entry_points: str = "") -> dict[str, Any]:
    return {
        "name": name, "version": "0.1.0", "path": path, "roots": [root], "modules": modules, "systems": [SYSTEM],
        "metadata": METADATA.format(name=name), "entryPoints": entry_points,
    }  # fmt: skip


POINTS = "[console_scripts]\nsprout = src_layout.main : run.now [extra]\n[gui_scripts]\nsprout-window = flat:show\n"
TREES = [
    tree("flat-layout", ".", ".", ["flat", "single"], "[console_scripts]\nflat = flat:show\n"),
    tree("src.layout", "packages/src", "packages/src/src", ["src_layout"], POINTS),
]


@pytest.fixture(scope="module")
def root(lab: Lab) -> Path:
    """A work tree with a flat project and, in a folder, one with a src layout."""
    folder = lab.folder / "work"
    for path, text in {
        "flat/__init__.py": "def show():\n    print('flat', __file__)\n",
        "single.py": "ONE = 1\n",
        "unrelated/data.bin": "not copied",
        "packages/src/src/src_layout/__init__.py": "",
        "packages/src/src/src_layout/main.py": "class run:\n    now = staticmethod(lambda: print('sprout'))\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def growing(lab: Lab) -> Lab:
    return lab.with_arguments(trees=TREES)


@pytest.fixture(scope="module")
def environment(growing: Lab, root: Path) -> Path:
    return growing.environment(root=root)


def test_both_layouts_are_imported_from_the_work_tree(growing: Lab, environment: Path, root: Path) -> None:
    code = "import flat, single, src_layout.main; print(flat.__file__, single.__file__, src_layout.main.__file__)"
    said = growing.python(environment, code, NIXGEN_ROOT=str(root)).stdout.split()
    assert said == [
        f"{root}/flat/__init__.py", f"{root}/single.py", f"{root}/packages/src/src/src_layout/main.py",
    ]  # fmt: skip


def test_a_change_is_seen_without_a_build(growing: Lab, environment: Path, root: Path) -> None:
    (root / "single.py").write_text("ONE = 'another'\n")
    assert growing.python(environment, "import single; print(single.ONE)", NIXGEN_ROOT=str(root)).stdout == "another\n"
    (root / "single.py").write_text("ONE = 1\n")


@pytest.mark.parametrize("where", [{}, {"NIXGEN_ROOT": ""}])
def test_without_the_work_tree_the_environment_still_works(
    growing: Lab, environment: Path, where: dict[str, Any]
) -> None:
    done = growing.python(environment, "import sys; print(sys.path[1:])", **where)
    assert done.stderr == ""
    assert "work" not in done.stdout


def test_wheels_come_before_the_work_tree(growing: Lab, environment: Path, root: Path) -> None:
    """As an editable install: its folders stand behind site-packages."""
    path = growing.python(environment, "import sys; print(*sys.path)", NIXGEN_ROOT=str(root)).stdout.split()
    assert path[-3:] == [f"{environment}/{SITE}", str(root), f"{root}/packages/src/src"]


def test_metadata_of_the_trees(growing: Lab, environment: Path) -> None:
    code = (
        "from importlib import metadata\n"
        "answer = {d.name: [d.version, d.read_text('INSTALLER'), [e.value for e in d.entry_points]]\n"
        "          for d in metadata.distributions()}"
    )
    assert growing.value(environment, code) == {
        "flat-layout": ["0.1.0", "nixgen\n", ["flat:show"]],
        "src.layout": ["0.1.0", "nixgen\n", ["src_layout.main : run.now [extra]", "flat:show"]],
    }
    info = growing.nix.real(environment) / SITE / "src_layout-0.1.0.dist-info"
    record = rows(info / "RECORD")
    for name in ("INSTALLER", "METADATA", "entry_points.txt"):
        content = (info / name).read_bytes()
        assert record[f"{info.name}/{name}"] == (digest(content), str(len(content)))
    assert set(record) == {f"{info.name}/{path.name}" for path in info.iterdir()}


def test_entry_points_of_the_trees(growing: Lab, environment: Path, root: Path) -> None:
    where: dict[str, Any] = {"NIXGEN_ROOT": str(root)}
    assert growing.nix.inside(f"{environment}/bin/sprout", **where).stdout == "sprout\n"
    for script in ("flat", "sprout-window"):
        assert growing.nix.inside(f"{environment}/bin/{script}", **where).stdout.startswith("flat ")


def test_the_check_imports_the_trees_from_a_copy_of_what_is_importable(growing: Lab, root: Path) -> None:
    built = growing.build("imports", root=root)
    assert growing.nix.real(built).read_text().split() == ["flat", "single", "src_layout"]
    (root / "unrelated/data.bin").write_text("changed")
    assert growing.build("imports", root=root) == built
    (root / "flat/added.py").write_text("")
    assert growing.build("imports", root=root) != built
    (root / "flat/added.py").unlink()


def test_a_tree_that_does_not_import_is_named(growing: Lab, root: Path) -> None:
    (root / "flat/__init__.py").write_text("import nowhere\n")
    try:
        printed = growing.failure("imports", root=root)
    finally:
        (root / "flat/__init__.py").write_text("def show():\n    print('flat', __file__)\n")
    assert "  flat (of flat-layout): " in printed
    assert "ModuleNotFoundError: No module named 'nowhere'" in printed
