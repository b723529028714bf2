from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import NUMPY, PYPROJECT, SIX, make, uv_lock
from sourcetrees import HATCH, LINUX, dynamic, tree, write

from nixgen.errors import UserError
from nixgen.generate import trees
from nixgen.project.project import find_project
from nixgen.resolve.model import Package, Resolution

FULL = """\
[project]
name = "Demo.App"
version = "0.1.0"
description = "Draws\\na plot"
requires-python = ">=3.11"
dependencies = ["six", "numpy>=2; python_version < '4'"]
[project.optional-dependencies]
Fast_Plot = ["pillow>=10", "orjson; sys_platform == 'linux' or sys_platform == 'darwin'", "x @ https://example.org/x.whl"]
empty = []
[project.scripts]
demo = "demo_app.cli:main"
another = "demo_app:other"
[project.gui-scripts]
window = "demo_app.gui:main [fast-plot]"
[project.entry-points."demo.plugins"]
"a plugin" = "demo_app.plugin"
"""


def test_metadata_is_complete(tmp_path: Path) -> None:
    write(tmp_path, "src/demo_app/__init__.py")
    found = tree(make(tmp_path, FULL))
    assert found.metadata == (
        "Metadata-Version: 2.3\n"
        "Name: Demo.App\n"
        "Version: 0.1.0\n"
        "Summary: Draws a plot\n"
        "Requires-Python: >=3.11\n"
        "Requires-Dist: six\n"
        "Requires-Dist: numpy>=2; python_version < '4'\n"
        "Provides-Extra: fast-plot\n"
        "Requires-Dist: pillow>=10; extra == 'fast-plot'\n"
        'Requires-Dist: orjson ; (sys_platform == "linux" or sys_platform == "darwin") and extra == \'fast-plot\'\n'
        "Requires-Dist: x @ https://example.org/x.whl ; extra == 'fast-plot'\n"
        "Provides-Extra: empty\n"
    )
    assert found.entry_points == (
        "[console_scripts]\nanother = demo_app:other\ndemo = demo_app.cli:main\n\n"
        "[demo.plugins]\na plugin = demo_app.plugin\n\n"
        "[gui_scripts]\nwindow = demo_app.gui:main [fast-plot]\n"
    )


def test_python_itself_reads_what_is_written(tmp_path: Path) -> None:
    from importlib.metadata import Distribution

    write(tmp_path, "src/demo_app/__init__.py")
    found = tree(make(tmp_path, FULL))
    info = tmp_path / "demo_app-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(found.metadata)
    (info / "entry_points.txt").write_text(found.entry_points)
    distribution = Distribution.at(info)
    assert distribution.metadata["Name"] == "Demo.App"
    assert distribution.metadata.get_all("Provides-Extra") == ["fast-plot", "empty"]
    assert {point.name: point.value for point in distribution.entry_points} == {
        "another": "demo_app:other",
        "demo": "demo_app.cli:main",
        "window": "demo_app.gui:main [fast-plot]",
        "a plugin": "demo_app.plugin",
    }


def test_what_is_dynamic_comes_from_uv_lock(tmp_path: Path) -> None:
    write(tmp_path, "demo_app.py")
    text = '[project]\nname = "Demo.App"\nversion = "0.1.0"\ndynamic = ["dependencies"]\n'
    assert tree(make(tmp_path, text, uv_lock(NUMPY, SIX))).metadata.endswith(
        "Requires-Dist: numpy>=2\nRequires-Dist: six\n"
    )


def test_scripts_that_only_the_backend_knows_are_told(tmp_path: Path) -> None:
    """Case 11: ``dynamic = ["scripts"]``."""
    found = dynamic(tmp_path, f'version = "1"\ndynamic = ["scripts"]\n{HATCH}', {"src/demo_app/__init__.py": ""})
    assert [note.where for note in found.notes if "scripts" in note.what] == ["pyproject.toml: project.scripts"]
    assert found.entry_points == ""


@pytest.mark.parametrize(
    "files",
    [
        {
            "setup.cfg": "[options.entry_points]\nconsole_scripts =\n  demo = demo_app:main\n"
            "my.group =\n  X = demo_app\n"
        },
        {
            "setup.py": "import setuptools as s\n"
            "s.setup(entry_points={'console_scripts': ['demo=demo_app:main'], 'my.group': 'X = demo_app'})"
        },
        {
            "setup.py": "from setuptools import setup\nsetup(entry_points='''\n[console_scripts]\ndemo=demo_app:main\n"
            "[my.group]\nX=demo_app\n''')"
        },
    ],
)
@pytest.mark.parametrize("settings", ['dynamic = ["scripts", "entry-points"]\n', None])
def test_entry_points_of_setup_files(tmp_path: Path, files: dict[str, str], settings: str | None) -> None:
    """Cases 10 and 11: with a [project] table that calls them dynamic, and without a pyproject.toml of its own."""
    write(tmp_path, "libs/core/src/demo_app/__init__.py")
    for name, text in files.items():
        (tmp_path / "libs/core" / name).write_text(text)
    if settings is not None:
        (tmp_path / "libs/core/pyproject.toml").write_text(f'[project]\nname = "demo-app"\nversion = "1"\n{settings}')
    found = tree(make(tmp_path), "1", "libs/core")
    assert found.entry_points == "[console_scripts]\ndemo = demo_app:main\n\n[my.group]\nX = demo_app\n"
    assert found.files == tuple(f"libs/core/{name}" for name in files)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (
            '[project.scripts]\n"../evil" = "a:b"',
            "pyproject.toml: project.scripts: '../evil' cannot be the name of an entry point",
        ),
        (
            '[project.scripts]\n".." = "a:b"',
            "pyproject.toml: project.scripts: '..' cannot be the name of an entry point",
        ),
        (
            '[project.scripts]\nx = "a:b\\nc = d"',
            "pyproject.toml: project.scripts.x: 'a:b\\nc = d' is not an object reference",
        ),
        ("[project.scripts]\nx = 1", "pyproject.toml: project.scripts.x: 1 is not an object reference"),
        ('[project]\nscripts = "x"', "pyproject.toml: project.scripts: is not a table"),
        (
            '[project.entry-points."a]\\n[b"]\nx = "a"',
            "pyproject.toml: project.entry-points.a]\n[b: is not a name for a group of entry points",
        ),
        (
            '[project.entry-points.group]\n"x\\ny" = "a"',
            "pyproject.toml: project.entry-points.group: 'x\\ny' cannot be the name of an entry point",
        ),
    ],
)
def test_an_entry_point_that_is_none_is_refused(table: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        trees.entry_points(tomllib.loads(table).get("project", {}), "pyproject.toml")
    assert str(caught.value) == sentence + '\n  hint: write it like: name = "package.module:function"'


@given(st.text(), st.text())
def test_no_text_adds_a_line_to_metadata(description: str, dependency: str) -> None:
    table = {"name": "x", "description": description, "dependencies": [dependency]}
    text = trees.metadata("x", "1", table, {}, "pyproject.toml")
    assert [line.partition(":")[0] for line in text.split("\n")] == [
        "Metadata-Version",
        "Name",
        "Version",
        "Summary",
        "Requires-Dist",
        "",
    ]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        tree(make(tmp_path), path="libs/gone", name="gone")
    assert str(caught.value) == (
        "libs/gone: is not a folder, and uv.lock says that gone is there\n  hint: bring it back, or: uv lock"
    )


def test_roots_are_relative_to_the_project(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT)
    make(root / "libs" / "core", '[project]\nname = "core"\nversion = "1"\n')
    write(root, "libs/core/src/core/__init__.py")
    found = tree(root, "1", "libs/core", "core")
    assert (found.roots, found.modules) == (("libs/core/src",), ("core",))


def test_all_local_packages_are_looked_at(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT)
    packages = [Package(name, "1", "directory", path=f"libs/{name}") for name in ("one", "two")]
    for package in packages:
        make(root / f"libs/{package.name}", f'[project]\nname = "{package.name}"\nversion = "1"\n')
    with pytest.raises(UserError) as caught:
        trees.source_trees(find_project(root), [Resolution(LINUX, tuple(packages))])
    assert [problem.where for problem in caught.value.problems] == [
        "libs/one/pyproject.toml",
        "libs/two/pyproject.toml",
    ]
