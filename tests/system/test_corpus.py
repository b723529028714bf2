"""What nixgen chooses is what uv would install, for projects of many shapes on all four systems; uv locks them here."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import corpus
from support.nix import ROOT
from support.resolving import walked

from nixgen.generate import show
from nixgen.project.project import find_project

SHAPES = ROOT / "tests" / "corpus"
NAMES = sorted(folder.name for folder in SHAPES.iterdir())
FEWEST = 40
BUILT = {"from-source", "legacy", "config", "crawler", "told-metadata"}
"""Projects with a package that has no wheel, so that on no system everything can be had as one."""

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the projects are locked."""
    return tmp_path_factory.mktemp("corpus")


@pytest.fixture(scope="module")
def reports(folder: Path) -> dict[str, show.Report | str]:
    """What nixgen would install of each project; of one that uv cannot lock, what uv says."""
    shutil.copytree(SHAPES, folder / "projects")

    def one(name: str) -> show.Report | str:
        root = folder / "projects" / name
        try:
            corpus.lock(root, folder / "cache")
        except AssertionError as error:
            return str(error)
        return corpus.reported(root)

    with ThreadPoolExecutor(max_workers=8) as pool:  # most of it is waiting for the index
        return dict(zip(NAMES, pool.map(one, NAMES), strict=True))


def test_there_are_enough_shapes() -> None:
    assert len(NAMES) >= FEWEST


@pytest.mark.parametrize("name", NAMES)
def test_what_is_chosen_is_what_uv_would_install(
    reports: dict[str, show.Report | str], folder: Path, name: str
) -> None:
    assert not isinstance(reports[name], str), reports[name]
    found = corpus.beside_uv(folder / "projects" / name, reports[name])
    assert {pair.system for pair in found} == set(corpus.PLATFORMS)
    assert [line for pair in found for line in pair.differences()] == []
    assert any(not isinstance(pair.ours, str) and pair.ours and not pair.problems for pair in found) or name in BUILT


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_leads_to_what_is_chosen(reports: dict[str, show.Report | str], folder: Path, name: str) -> None:
    """``nixgen why`` reads uv.lock's own graph, and comes to the same packages as uv's export."""
    found = reports[name]
    assert not isinstance(found, str)
    project = find_project(folder / "projects" / name)
    for one in found.resolutions:
        assert walked(project, one.target) == {package.name: package.version for package in one.packages}


def test_a_difference_is_found(tmp_path: Path) -> None:
    """A lock that lacks a package is not the lock that uv sees: both sides are really asked."""
    ours, uvs = {"six": "1", "attrs": "2", "own": ""}, {"six": "1", "attrs": "3", "idna": "3", "own": "0.1"}
    pair = corpus.Pair("p", "x86_64-linux", ours, uvs)
    assert pair.differences() == ["attrs: nixgen 2, uv 3", "idna: nixgen not there, uv 3"]
    assert corpus.Pair("p", "x86_64-linux", ours, "error: no").differences() == ["uv: error: no"]
    assert corpus.Pair("p", "x86_64-linux", "error: stale", uvs).differences() == ["nixgen: error: stale"]
    assert corpus.main([str(tmp_path)]) == 2
