from __future__ import annotations

from pathlib import Path

import pytest
from sourcetrees import FLIT, HATCH, PDM, SETUPTOOLS, dynamic

FLIT_SCM = '[build-system]\nbuild-backend = "flit_scm:buildapi"\nrequires = ["flit_scm"]\n'
POETRY = '[build-system]\nbuild-backend = "poetry_dynamic_versioning.backend"\n'


@pytest.mark.parametrize(
    ("settings", "files", "expected"),
    [
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": 'import os\n__version__ = "2.1"\n'}, "2.1"),
        (f'{HATCH}[tool.hatch.version]\npath = "about.py"', {"about.py": "VERSION: str = '3'\n"}, "3"),
        (f'{HATCH}[tool.hatch.version]\nsource = "vcs"\nfallback-version = "v1.2.3"', {}, "1.2.3"),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nfallback_version = "1.2"', {}, "1.2"),
        (f'{HATCH}[tool.versioningit]\ndefault-version = "1.3"', {}, "1.3"),
        (f'{SETUPTOOLS}[tool.setuptools-git-versioning]\nstarting_version = "1.4"', {}, "1.4"),
        (f'{FLIT_SCM}[tool.setuptools_scm]\nfallback_version = "1.5"', {}, "1.5"),
        (f'{POETRY}[tool.poetry]\nversion = "1.6"\n[tool.poetry-dynamic-versioning]\nenable = true', {}, "1.6"),
        (f'{POETRY}[tool.poetry]\nversion = "0.0.0"\n[tool.poetry-dynamic-versioning]\nenable = false', {}, "0.0.0"),
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


@pytest.mark.parametrize(
    ("settings", "files", "lines", "whole"),
    [
        (
            f'{HATCH}[tool.hatch.version]\npath = "about.py"',
            {"about.py": 'import os\r\n__version__ = (\r\n "2.1"\r\n) # now\r\n'},
            {"about.py": '__version__ = (\n "2.1"\n) # now'},
            (),
        ),
        (
            f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{attr = "demo_app.__version__"}}',
            {
                "src/demo_app/__init__.py": "from .v import number as __version__",
                "src/demo_app/v.py": "number = (7, 1)",
            },
            {
                "src/demo_app/__init__.py": "from .v import number as __version__",
                "src/demo_app/v.py": "number = (7, 1)",
            },
            (),
        ),
        (
            f'{HATCH}[tool.hatch.version]\npath = "about.py"',
            {"about.py": "__version__ = f()"},
            {"about.py": "__version__ = f()"},
            (),
        ),
        (f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{file = "VERSION"}}', {"VERSION": "5"}, {}, ("VERSION",)),
        (
            f'{SETUPTOOLS}[tool.setuptools.dynamic]\nversion = {{file = "VERSION"}}\n'
            'dependencies = {file = ["a.txt", "../b.txt"]}\noptional-dependencies.x = {file = "x.txt"}\n'
            'entry-points = {file = "e.txt"}',
            {"VERSION": "5", "a.txt": "", "x.txt": "", "e.txt": "[console_scripts]\na = a:b"},
            {},
            ("VERSION", "a.txt", "x.txt", "e.txt"),
        ),
        (
            SETUPTOOLS,
            {
                "setup.cfg": "[metadata]\nversion = file: VERSION\n[options]\ninstall_requires = file: a.txt",
                "VERSION": "5",
                "a.txt": "",
            },
            {},
            ("setup.cfg", "VERSION", "a.txt"),
        ),
    ],
)
def test_what_was_read_for_the_metadata_is_known(
    tmp_path: Path, settings: str, files: dict[str, str], lines: dict[str, str], whole: tuple[str, ...]
) -> None:
    """Case 15: so that Nix tells when it changes."""
    found = dynamic(tmp_path, f'dynamic = ["version"]\n{settings}', {"src/demo_app/__init__.py": "", **files})
    assert (found.lines, found.files) == (lines, whole)


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
        (
            HATCH.replace('build"\n', 'build"\nrequires = ["hatchling", "versioningit~=3.0"]\n'),
            {},
            'default-version = "1.2.3" under [tool.versioningit]',
        ),
        (
            SETUPTOOLS.replace('meta"\n', 'meta"\nrequires = ["setuptools_git_versioning"]\n'),
            {},
            'starting_version = "1.2.3" under [tool.setuptools-git-versioning]',
        ),
        (FLIT_SCM, {}, 'fallback_version = "1.2.3" under [tool.setuptools_scm]'),
        (
            f'{POETRY}[tool.poetry]\nversion = "0.0.0"\n[tool.poetry-dynamic-versioning]\nenable = true',
            {},
            "enable = false under [tool.poetry-dynamic-versioning]",
        ),
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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (f'{HATCH}[tool.hatch.build.hooks.vcs]\nversion-file = "src/demo_app/_version.py"', ["demo_app/_version.py"]),
        (
            f'{HATCH}[tool.hatch.build.targets.wheel.hooks.vcs]\nversion-file = "./src/demo_app/v.py"',
            ["demo_app/v.py"],
        ),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nversion_file = "src/demo_app/_version.py"', ["demo_app/_version.py"]),
        (f'{SETUPTOOLS}[tool.setuptools-scm]\nwrite_to = "src/demo_app/a/v.py"', ["demo_app/a/v.py"]),
        (f'{PDM}[tool.pdm.version]\nsource = "scm"\nwrite_to = "demo_app/v.py"', ["demo_app/v.py"]),
        (f'{HATCH}[tool.versioningit.write]\nfile = "src/demo_app/v.py"', ["demo_app/v.py"]),
        (f'{HATCH}[tool.versioningit.write]\nfile = "src/demo_app/v.py"\ntemplate = "x"', []),
        # What is no module of the package, and what a template of the project's own says.
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nversion_file = "src/demo_app/VERSION"', []),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nversion_file = "../x.py"', []),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nversion_file = "src/demo_app/../../../x.py"', []),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nversion_file = ["a.py"]', []),
        (f'{HATCH}[tool.hatch.build.hooks.vcs]\nversion-file = "src/demo_app/v.py"\ntemplate = "x"', []),
        (f'{SETUPTOOLS}[tool.setuptools_scm]\nwrite_to = "src/demo_app/v.py"\nwrite_to_template = "x"', []),
        (f'{PDM}[tool.pdm.version]\nwrite_to = "/demo_app/v.py"', []),
        (f'{PDM}[tool.pdm.version]\nwrite_to = "demo_app/../../v.py"', []),
        (HATCH, []),
    ],
)
def test_modules_that_only_a_build_makes(tmp_path: Path, settings: str, expected: list[str]) -> None:
    found = dynamic(tmp_path, f'version = "1.2.dev3"\n{settings}', {"src/demo_app/__init__.py": ""})
    assert list(found.made) == expected
    for text in found.made.values():
        says: dict[str, object] = {}
        exec(text, says)
        assert says["__version__"] == "1.2.dev3"
        assert says.get("version_tuple", (1, 2, "dev3")) == (1, 2, "dev3")
