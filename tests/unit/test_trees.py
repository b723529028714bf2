from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import NUMPY, PYPROJECT, SIX, make, uv_lock

from nixgen.errors import UserError
from nixgen.generate import layout, trees
from nixgen.generate.model import SourceTree
from nixgen.project.project import find_project
from nixgen.resolve.model import Package, Resolution, Target

LINUX, MAC = Target("x86_64-linux", "3.11"), Target("aarch64-darwin", "3.11")


def tree(root: Path, version: str | None = "0.1.0", path: str = ".", name: str = "demo-app") -> SourceTree:
    package = Package(name, version, "directory", path=path)
    found = [Resolution(LINUX, (package,)), Resolution(MAC, (package,))]
    (one,) = trees.source_trees(find_project(root), found)
    return one


def write(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


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
    text = '[project]\nname = "Demo.App"\nversion = "0.1.0"\ndynamic = ["dependencies"]\n'
    assert tree(make(tmp_path, text, uv_lock(NUMPY, SIX))).metadata.endswith(
        "Requires-Dist: numpy>=2\nRequires-Dist: six\n"
    )


@pytest.mark.parametrize(
    ("settings", "files", "expected"),
    [
        ('[tool.hatch.version]\npath = "about.py"', {"about.py": 'import os\n__version__ = "2.1"\n'}, "2.1"),
        ('[tool.hatch.version]\npath = "about.py"', {"about.py": "VERSION: str = '3'\n"}, "3"),
        ('[tool.hatch.version]\npath = "about.py"', {"about.py": "__version__ = get()\n"}, "0.0.0"),
        ('[tool.hatch.version]\npath = "about.py"', {"about.py": "def (\n"}, "0.0.0"),
        ('[tool.hatch.version]\npath = "about.py"', {}, "0.0.0"),
        ('[tool.hatch.version]\nsource = "vcs"', {}, "0.0.0"),
        ('[tool.setuptools.dynamic]\nversion = {attr = "pkg.v.NUMBER"}', {"src/pkg/v.py": 'NUMBER = "4.0"\n'}, "4.0"),
        ('[tool.setuptools.dynamic]\nversion = {file = "VERSION"}', {"VERSION": "5.1\n"}, "5.1"),
    ],
)
def test_a_dynamic_version_is_read_where_it_is_a_literal(
    tmp_path: Path, settings: str, files: dict[str, str], expected: str
) -> None:
    root = make(tmp_path, f'[project]\nname = "Demo.App"\ndynamic = ["version"]\n{settings}\n')
    for name, text in files.items():
        write(root, name)
        (root / name).write_text(text)
    found = tree(root, version=None)
    assert found.version == expected
    assert f"\nVersion: {expected}\n" in found.metadata


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
    import tomllib

    with pytest.raises(UserError) as caught:
        trees.entry_points(tomllib.loads(table).get("project", {}), "pyproject.toml")
    assert str(caught.value) == sentence + '\n    write it like: name = "package.module:function"'


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
        "libs/gone: is not a folder, and uv.lock says that gone is there\n    bring it back, or: uv lock"
    )


def test_roots_are_relative_to_the_project(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT)
    make(root / "libs" / "core", '[project]\nname = "core"\nversion = "1"\n')
    write(root, "libs/core/src/core/__init__.py")
    found = tree(root, "1", "libs/core", "core")
    assert (found.roots, found.modules) == (("libs/core/src",), ("core",))


def build(backend: str, settings: str = "") -> str:
    return f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n{settings}\n'


@pytest.mark.parametrize(
    ("pyproject", "files", "roots", "modules"),
    [
        ("", ["src/demo/__init__.py"], ["src"], ["demo"]),
        ("", ["demo/__init__.py", "tests/__init__.py", "docs/conf.py", "setup.py"], ["."], ["demo"]),
        ("", ["demo.py", "noxfile.py"], ["."], ["demo"]),
        ("", ["Demo/__init__.py"], ["."], ["Demo"]),
        ("", ["other/__init__.py", "data/x.csv", "tests/test_x.py"], ["."], ["other"]),
        (
            "",
            ["src/one/__init__.py", "src/two.py", "src/space/deep/x.py", "src/data/x.csv"],
            ["src"],
            ["one", "space", "two"],
        ),
        ("", ["README.md"], ["."], []),
        (build("uv_build"), ["src/demo/__init__.py"], ["src"], ["demo"]),
        (
            build("uv_build", '[tool.uv.build-backend]\nmodule-root = ""\nmodule-name = "other.deep"'),
            ["other/deep/__init__.py"],
            ["."],
            ["other"],
        ),
        (
            build("hatchling.build", '[tool.hatch.build.targets.wheel]\npackages = ["lib/demo", "extra/more"]'),
            ["lib/demo/__init__.py", "extra/more/__init__.py"],
            ["lib", "extra"],
            ["demo", "more"],
        ),
        (
            build("hatchling.build", '[tool.hatch.build]\ndev-mode-dirs = ["code"]'),
            ["code/demo/__init__.py"],
            ["code"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools.packages.find]\nwhere = ["python"]'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
        (
            build(
                "setuptools.build_meta",
                '[tool.setuptools]\npackages = ["demo", "demo.sub"]\npackage-dir = {"" = "lib"}',
            ),
            ["lib/demo/sub/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools]\npackages = ["demo"]\npackage-dir = {demo = "lib/demo"}'),
            ["lib/demo/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("setuptools.build_meta", '[tool.setuptools]\npy-modules = ["one"]'),
            ["one.py", "two.py"],
            ["."],
            ["one"],
        ),
        (
            build("poetry.core.masonry.api", '[tool.poetry]\npackages = [{include = "demo", from = "lib"}]'),
            ["lib/demo/__init__.py"],
            ["lib"],
            ["demo"],
        ),
        (
            build("maturin", '[tool.maturin]\npython-source = "python"\nmodule-name = "demo._native"'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
        (build("flit_core.buildapi", '[tool.flit.module]\nname = "other"'), ["src/other.py"], ["src", "."], ["other"]),
        (build("pdm.backend", '[tool.pdm.build]\npackage-dir = "lib"'), ["lib/demo.py"], ["lib"], ["demo"]),
        (
            build("scikit_build_core.build", '[tool.scikit-build]\nwheel.packages = ["python/demo"]'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
        (
            build("hatchling.build", '[tool.hatch.build.targets.wheel]\npackages = ["../out/demo", "/etc"]'),
            ["demo.py"],
            ["."],
            ["demo"],
        ),
    ],
)
def test_where_the_code_is(
    tmp_path: Path, pyproject: str, files: list[str], roots: list[str], modules: list[str]
) -> None:
    import tomllib

    write(tmp_path, *files)
    found = layout.find(tmp_path, "demo", tomllib.loads(pyproject))
    assert (list(found.roots), list(found.modules)) == (roots, modules)
