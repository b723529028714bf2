"""Projects as source trees: what the tests of the modules that look into a local package share."""

from __future__ import annotations

import tomllib
from pathlib import Path

from projects import make

from nixgen.generate import trees
from nixgen.generate.model import SourceTree
from nixgen.project import layout, setupfiles
from nixgen.project.project import find_project
from nixgen.resolve.model import Package, Resolution, Target

LINUX, MAC = Target("x86_64-linux", "3.11"), Target("aarch64-darwin", "3.11")

SETUP = "from setuptools import *\nimport setuptools\n"


HATCH, SETUPTOOLS, FLIT, PDM = (
    f'[build-system]\nbuild-backend = "{backend}"\n'
    for backend in ("hatchling.build", "setuptools.build_meta", "flit_core.buildapi", "pdm.backend")
)


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


def dynamic(root: Path, settings: str, files: dict[str, str]) -> SourceTree:
    """The project as a tree, without a version in uv.lock."""
    for name, text in files.items():
        write(root, name)
        (root / name).write_text(text)
    return tree(make(root, f'[project]\nname = "Demo.App"\n{settings}\n'), version=None)


def build(backend: str, settings: str = "") -> str:
    return f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n{settings}\n'


def source(folder: Path, pyproject: str, name: str = "demo") -> layout.Source:
    return layout.Source(folder, name, tomllib.loads(pyproject), setupfiles.read(folder, ""))
