from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import NUMPY, PYPROJECT, SIX, make, uv_lock

from nixgen.errors import UserError
from nixgen.generate import compiled, layout, trees
from nixgen.generate.model import SourceTree
from nixgen.project import setupfiles
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


HATCH, SETUPTOOLS, FLIT, PDM = (
    f'[build-system]\nbuild-backend = "{backend}"\n'
    for backend in ("hatchling.build", "setuptools.build_meta", "flit_core.buildapi", "pdm.backend")
)


@pytest.mark.parametrize(
    ("settings", "files", "expected"),
    [
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": 'import os\n__version__ = "2.1"\n'}, "2.1"),
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": "VERSION: str = '3'\n"}, "3"),
        (f'{HATCH}[tool.hatch.version]\nsource = "vcs"\nfallback-version = "v1.2.3"', {}, "1.2.3"),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nfallback_version = "1.2"', {}, "1.2"),
        (
            f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{attr = "pkg.v.NUMBER"}}',
            {"src/pkg/v.py": "NUMBER = '4'"},
            "4",
        ),
        (f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{file = "VERSION"}}', {"VERSION": "5.1\n"}, "5.1"),
        (f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{file = ["VERSION"]}}', {"VERSION": "5.1\n"}, "5.1"),
        (
            f'{SETUPTOOLS}[tool.setuptools.packages.find]\nwhere = ["lib"]\n'
            '[tool.setuptools.dynamic]\nversion = {attr = "pkg.__version__"}',
            {"lib/pkg/__init__.py": '__version__ = "6.0"\n'},
            "6.0",
        ),
        (
            f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{attr = "demo_app.__version__"}}',
            {
                "src/demo_app/__init__.py": "from .v import number as __version__",
                "src/demo_app/v.py": "number = (7, 1)",
            },
            "7.1",
        ),
        (
            SETUPTOOLS,
            {"setup.cfg": "[metadata]\nversion = attr: demo_app.__version__\n", "demo_app.py": "__version__ = '8'"},
            "8",
        ),
        (SETUPTOOLS, {"setup.cfg": "[metadata]\nversion = 8.1\n"}, "8.1"),
        (SETUPTOOLS, {"setup.py": "from setuptools import setup\nV = '9'\nsetup(version=V + '.1')"}, "9.1"),
        (FLIT, {"src/demo_app/__init__.py": '"""Text."""\n__version__ = "2.0"'}, "2.0"),
        (
            f'{PDM}[tool.pdm.version]\nsource = "file"\npath = "src/demo_app/__init__.py"',
            {"src/demo_app/__init__.py": "__version__ = '3.1'"},
            "3.1",
        ),
    ],
)
def test_a_dynamic_version_is_read_where_it_is_a_literal(
    tmp_path: Path, settings: str, files: dict[str, str], expected: str
) -> None:
    """Case 11."""
    found = dynamic(tmp_path, f'dynamic = ["version"]\n{settings}', {"src/demo_app/__init__.py": "", **files})
    assert found.version == expected
    assert f"\nVersion: {expected}\n" in found.metadata
    assert found.notes == ()


def dynamic(root: Path, settings: str, files: dict[str, str]) -> SourceTree:
    """The project as a tree, without a version in uv.lock."""
    for name, text in files.items():
        write(root, name)
        (root / name).write_text(text)
    return tree(make(root, f'[project]\nname = "Demo.App"\n{settings}\n'), version=None)


@pytest.mark.parametrize(
    ("settings", "files", "mend"),
    [
        (f'{HATCH}[tool.hatch.version]\nsource = "vcs"', {}, 'fallback-version = "1.2.3" under [tool.hatch.version]'),
        (f"{SETUPTOOLS}[tool.setuptools_scm]", {}, 'fallback_version = "1.2.3" under [tool.setuptools_scm]'),
        (
            '[build-system]\nbuild-backend = "setuptools.build_meta"\nrequires = ["setuptools_scm[toml]>=8"]',
            {},
            'fallback_version = "1.2.3" under [tool.setuptools_scm]',
        ),
        (f'{PDM}[tool.pdm.version]\nsource = "scm"', {}, 'fallback_version = "1.2.3" under [tool.pdm.version]'),
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": "__version__ = get()\n"}, "[project]"),
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": "def (\n"}, "[project]"),
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {}, "[project]"),
        (f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{file = "../VERSION"}}', {"../VERSION": "1"}, "[project]"),
        (SETUPTOOLS, {"setup.py": "from setuptools import setup\nsetup(version=read())"}, "[project]"),
    ],
)
def test_a_version_that_is_not_known_is_told(tmp_path: Path, settings: str, files: dict[str, str], mend: str) -> None:
    """Case 11: 0.0.0 comes with a warning that says how to tell the version."""
    root = tmp_path / "project"
    found = dynamic(root, f'dynamic = ["version"]\n{settings}', {"src/demo_app/__init__.py": "", **files})
    (note,) = found.notes
    assert found.version == "0.0.0"
    assert "has the version 0.0.0 in the environment" in note.what
    assert mend in note.mend


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


def source(folder: Path, pyproject: str, name: str = "demo") -> layout.Source:
    return layout.Source(folder, name, tomllib.loads(pyproject), setupfiles.read(folder, ""))


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
        (build("flit_core.buildapi", '[tool.flit.module]\nname = "other"'), ["src/other.py"], ["src"], ["other"]),
        (build("pdm.backend", '[tool.pdm.build]\npackage-dir = "lib"'), ["lib/demo.py"], ["lib"], ["demo"]),
        (
            build("scikit_build_core.build", '[tool.scikit-build]\nwheel.packages = ["python/demo"]'),
            ["python/demo/__init__.py"],
            ["python"],
            ["demo"],
        ),
    ],
)
def test_where_the_code_is(
    tmp_path: Path, pyproject: str, files: list[str], roots: list[str], modules: list[str]
) -> None:
    write(tmp_path, *files)
    found = layout.find(source(tmp_path, pyproject))
    assert not found.problems
    assert (list(found.roots), list(found.modules)) == (roots, modules)


SETUP = "from setuptools import *\nimport setuptools\n"


@pytest.mark.parametrize(
    ("pyproject", "files", "roots", "modules"),
    [
        # setup.py
        (
            "",
            {
                "setup.py": SETUP + "setup(packages=find_packages('lib'), package_dir={'': 'lib'})",
                "lib/p/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "setuptools.setup(packages=setuptools.find_namespace_packages(where='lib'))",
                "lib/ns/p/a.py": "",
            },
            ["lib"],
            ["ns"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "NAMES = ['p', 'p.sub']\nsetup(packages=NAMES, package_dir={'p': 'lib/p'})",
                "lib/p/sub/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.py": SETUP + "args = dict(py_modules=['one'], package_dir={'': 'code'})\nsetup(**args)",
                "code/one.py": "",
            },
            ["code"],
            ["one"],
        ),
        ("", {"setup.py": SETUP + "setup(package_dir={'': 'lib'})", "lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            "",
            {
                "setup.py": SETUP + "setup(packages=find_packages(exclude=['p_tests*'], include=['p*']))",
                "p/__init__.py": "",
                "p_tests/__init__.py": "",
                "q/__init__.py": "",
            },
            ["."],
            ["p"],
        ),
        # setup.cfg
        (
            "",
            {
                "setup.cfg": "[options]\npackages = find:\npackage_dir =\n  = lib\n"
                "[options.packages.find]\nwhere = lib\n",
                "lib/p/__init__.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {
                "setup.cfg": "[options]\npackages = find_namespace:\n[options.packages.find]\nwhere=lib\n",
                "lib/ns/p/a.py": "",
            },
            ["lib"],
            ["ns"],
        ),
        (
            "",
            {
                "setup.cfg": "[options]\npackages =\n    p\n    p.sub\npackage_dir =\n    p = lib/p\n",
                "lib/p/sub/a.py": "",
            },
            ["lib"],
            ["p"],
        ),
        (
            "",
            {"setup.cfg": "[options]\npy_modules = one, two\n", "one.py": "", "two.py": "", "three.py": ""},
            ["."],
            ["one", "two"],
        ),
        (
            "",
            {"setup.cfg": "[options]\npy-modules = one\n", "setup.py": SETUP + "setup()", "one.py": "", "two.py": ""},
            ["."],
            ["one"],
        ),
        # pyproject.toml of setuptools
        ('[tool.setuptools]\npackage-dir = {"" = "lib"}', {"lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            '[tool.setuptools]\npackages = ["ns.p"]\npackage-dir = {"ns.p" = "lib/ns/p"}',
            {"lib/ns/p/a.py": ""},
            ["lib"],
            ["ns"],
        ),
        ('[tool.setuptools.packages.find]\ninclude = ["p*"]', {"p/__init__.py": "", "data/x.py": ""}, ["."], ["p"]),
        (
            '[tool.setuptools.packages.find]\nwhere = ["lib"]\nnamespaces = false',
            {"lib/p/__init__.py": "", "lib/q/a.py": ""},
            ["lib"],
            ["p"],
        ),
        ("[tool.setuptools]\npackages = []", {"x.csv": ""}, ["."], []),
        ("", {"ns/p/__init__.py": "", "tests/a.py": "", "docs/conf.py": ""}, ["."], ["ns"]),
        ("", {"src/ns/demo/__init__.py": ""}, ["src"], ["ns"]),
        # an unknown backend, which lies in the project
        (
            '[build-system]\nbuild-backend = "own"\nbackend-path = ["."]',
            {"setup.cfg": "[options]\npackages = p\n", "p/__init__.py": ""},
            ["."],
            ["p"],
        ),
        # hatchling
        (HATCH, {"ns/demo/__init__.py": "", "tests/demo/__init__.py": ""}, ["."], ["ns"]),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\nonly-include = ["src/p"]\nsources = ["src"]',
            {"src/p/__init__.py": ""},
            ["src"],
            ["p"],
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\ninclude = ["/p/**/*.py"]',
            {"p/__init__.py": "", "q/__init__.py": ""},
            ["."],
            ["p"],
        ),
        (f'{HATCH}[tool.hatch.build.targets.wheel.sources]\n"lib/p" = "p"', {"lib/p/__init__.py": ""}, ["lib"], ["p"]),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel.force-include]\n"lib/p" = "p"',
            {"lib/p/__init__.py": ""},
            ["lib"],
            ["p"],
        ),
        (f"{HATCH}[tool.hatch.build.targets.wheel]\nbypass-selection = true", {"x.csv": ""}, ["."], []),
        # flit, pdm, poetry, uv
        (f'{FLIT}[tool.flit.module]\nname = "ns.p"', {"src/ns/p/__init__.py": ""}, ["src"], ["ns"]),
        (f'{FLIT}[project]\nname = "ns.demo"', {"ns/demo/__init__.py": ""}, ["."], ["ns"]),
        (f'{PDM}[tool.pdm.build]\nincludes = ["src/ns/p", "README.md"]', {"src/ns/p/__init__.py": ""}, ["src"], ["ns"]),
        (
            build("poetry.core.masonry.api", '[tool.poetry]\npackages = [{include = "ns/p", from = "lib"}]'),
            {"lib/ns/p/a.py": ""},
            ["lib"],
            ["ns"],
        ),
        (
            build("uv_build", '[tool.uv.build-backend]\nmodule-name = ["a", "b.c"]'),
            {"src/a/__init__.py": "", "src/b/c/__init__.py": ""},
            ["src"],
            ["a", "b"],
        ),
        (build("uv_build", "[tool.uv.build-backend]\nnamespace = true"), {"src/ns/x/__init__.py": ""}, ["src"], ["ns"]),
        (build("uv_build"), {"src/demo-stubs/__init__.pyi": ""}, ["."], []),
    ],
)
def test_the_backends_files_are_read(
    tmp_path: Path, pyproject: str, files: dict[str, str], roots: list[str], modules: list[str]
) -> None:
    """Case 10: setup.py, setup.cfg, namespaces, and the ways of each backend."""
    for name, text in files.items():
        write(tmp_path, name)
        (tmp_path / name).write_text(text)
    found = layout.find(source(tmp_path, pyproject))
    assert (list(found.roots), list(found.modules), found.problems, found.notes) == (roots, modules, (), ())


@pytest.mark.parametrize(
    ("pyproject", "files", "where", "what"),
    [
        ("", {"README.md": ""}, "pyproject.toml", "no module of demo is found: neither src/demo nor demo is there"),
        (
            "",
            {"setup.py": SETUP + "setup(packages=['p'])"},
            "setup.py: packages",
            "p is neither a folder nor a Python file",
        ),
        (
            "",
            {"setup.cfg": "[options]\npackages = find:\n[options.packages.find]\nwhere = lib\n"},
            "setup.cfg: options.packages",
            "no module is found in lib",
        ),
        (
            '[tool.setuptools]\npackages = ["p"]\npackage-dir = {p = "lib"}',
            {"lib/__init__.py": ""},
            "pyproject.toml: tool.setuptools.packages",
            "the package p lies in lib: on sys.path a folder has its own name only; move it to p",
        ),
        (
            '[tool.setuptools.packages.find]\nwhere = ["lib"]',
            {"demo.py": ""},
            "pyproject.toml: tool.setuptools.packages.find",
            "no module is found in lib",
        ),
        (
            build("uv_build"),
            {"demo/__init__.py": ""},
            "pyproject.toml: tool.uv.build-backend.module-name",
            "src/demo is neither a folder nor a Python file",
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\npackages = ["../out/demo"]',
            {"demo.py": ""},
            "pyproject.toml: tool.hatch.build.targets.wheel.packages",
            "../out lies outside of the package's folder",
        ),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel]\npackages = ["/etc"]',
            {"demo.py": ""},
            "pyproject.toml: tool.hatch.build.targets.wheel.packages",
            "etc is neither a folder nor a Python file",
        ),
        (
            HATCH,
            {"setup.py": SETUP + "setup(packages=['p'])"},
            "pyproject.toml",
            "no module of demo is found: neither src/demo nor demo is there",
        ),
    ],
)
def test_code_that_is_not_found_is_an_error(
    tmp_path: Path, pyproject: str, files: dict[str, str], where: str, what: str
) -> None:
    """Case 10: with the file, the key and what to write."""
    write(tmp_path, "pyproject.toml") if pyproject or ("setup.py" not in files and "setup.cfg" not in files) else None
    for name, text in files.items():
        write(tmp_path, name)
        (tmp_path / name).write_text(text)
    (problem,) = layout.find(source(tmp_path, pyproject)).problems
    assert (problem.where, problem.what) == (where, what)
    assert problem.mend.startswith("say where the code is: ")


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


def test_what_setup_py_computes_is_told(tmp_path: Path) -> None:
    """Case 10: it is never run, and the usual place is taken with a warning."""
    write(tmp_path, "demo/__init__.py")
    (tmp_path / "setup.py").write_text(SETUP + "open('ran', 'w')\nnames = []\nnames.append('x')\nsetup(packages=names)")
    found = layout.find(source(tmp_path, ""))
    assert found.modules == ("demo",)
    assert [note.where for note in found.notes] == ["setup.py: packages"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "text",
    [
        "x = 'a'\n" + "x" * 3,
        "(" * 5000,
        "a = " + "+".join(["1"] * 50_000),
        "\0",
        "a = [1]\n" + "".join(f"a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 60)),
    ],
)
def test_a_hostile_setup_py_is_read_in_bounds(text: str) -> None:
    assert isinstance(setupfiles.of_setup_py(text), dict)


def test_a_setup_cfg_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("no section\n")
    with pytest.raises(UserError) as caught:
        setupfiles.read(tmp_path, "libs/core/")
    assert str(caught.value).startswith("libs/core/setup.cfg: is not a file that setuptools reads: ")


@pytest.mark.parametrize(
    ("pyproject", "files", "where", "named"),
    [
        (
            build("maturin", '[tool.maturin]\nmodule-name = "demo._native"'),
            {},
            "pyproject.toml: build-system.build-backend",
            "demo._native",
        ),
        (build("scikit_build_core.build"), {}, "pyproject.toml: build-system.build-backend", "demo.NAME"),
        (build("mesonpy"), {}, "pyproject.toml: build-system.build-backend", "demo.NAME"),
        (
            build("setuptools.build_meta", '[[tool.setuptools.ext-modules]]\nname = "demo._x"\nsources = []'),
            {},
            "pyproject.toml: tool.setuptools.ext-modules",
            "demo._x",
        ),
        (
            build("setuptools.build_meta", '[[tool.setuptools-rust.ext-modules]]\ntarget = "demo._r"'),
            {},
            "pyproject.toml: tool.setuptools-rust.ext-modules",
            "demo._r",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(ext_modules=[Extension('demo._x', ['x.c'])])"},
            "setup.py: ext_modules",
            "demo._x",
        ),
        (
            "",
            {"setup.py": SETUP + "from Cython.Build import cythonize\nsetup(ext_modules=cythonize('demo/*.pyx'))"},
            "setup.py: ext_modules",
            "demo.NAME",
        ),
        (
            "",
            {"setup.py": SETUP + "setup(rust_extensions=[RustExtension('demo._r')])"},
            "setup.py: rust_extensions",
            "demo._r",
        ),
        ("", {"setup.py": SETUP + "setup(cffi_modules=['build.py:ffi'])"}, "setup.py: cffi_modules", "demo.NAME"),
        (
            "",
            {"setup.py": SETUP + "exts = []\nexts.append(Extension('a', []))\nsetup(ext_modules=exts)"},
            "setup.py: ext_modules",
            "demo.NAME",
        ),
        ("", {"setup.py": "from skbuild import setup\nsetup(packages=['demo'])"}, "setup.py: skbuild", "demo.NAME"),
        (
            build("hatchling.build", "[tool.hatch.build.targets.wheel.hooks.mypyc]"),
            {},
            "pyproject.toml: tool.hatch.build.hooks.mypyc",
            "demo.NAME",
        ),
        (
            build("poetry.core.masonry.api", '[tool.poetry.build]\nscript = "build.py"'),
            {},
            "pyproject.toml: tool.poetry.build",
            "demo.NAME",
        ),
    ],
)
def test_what_has_to_be_compiled_is_an_error(
    tmp_path: Path, pyproject: str, files: dict[str, str], where: str, named: str
) -> None:
    """Case 61: unless skip-imports says that the compiled module is not what is imported."""
    write(tmp_path, "demo/__init__.py")
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    problem = compiled.problem(source(tmp_path, pyproject), ["demo"], ())
    assert problem is not None
    assert problem.where == where
    assert "builds from source come with a later version" in problem.what
    assert f'skip-imports = ["{named}"]' in problem.mend
    assert compiled.problem(source(tmp_path, pyproject), ["demo"], [named]) is None


@pytest.mark.parametrize(
    ("pyproject", "setup"),
    [
        (build("uv_build"), ""),
        (build("hatchling.build", "[tool.hatch.build.hooks.vcs]"), ""),
        ("", "setup(ext_modules=[])"),
        ("", "setup()"),
    ],
)
def test_what_is_python_alone_is_none(tmp_path: Path, pyproject: str, setup: str) -> None:
    (tmp_path / "setup.py").write_text(SETUP + setup)
    assert compiled.problem(source(tmp_path, pyproject), ["demo"], ()) is None
