"""examples/plot, as its README tells: a copy, `nixgen init`, and what it then does, in both versions of Nix."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.nix import SYSTEM, Nix, same_everywhere
from support.project import WRITTEN, Project

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

PNG = b"\x89PNG\r\n"


@pytest.fixture(scope="module")
def plot(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.example("plot", tmp_path_factory.mktemp("plot"))


def test_init_writes_what_the_readme_says_and_a_second_time_changes_nothing(plot: Project) -> None:
    before = plot.files()
    assert set(before) >= WRITTEN
    plot.must("init")
    plot.must("lock")
    plot.must("generate", "--check")
    assert plot.files() == before


def test_the_picture_is_drawn_in_a_flake_shell_and_without_flakes(plot: Project, nix: Nix) -> None:
    picture = plot.folder / "plot.png"
    for way in (
        lambda: nix.develop(plot.folder, "python", "plot.py"),
        lambda: nix.shell(plot.folder, "python plot.py"),
    ):
        picture.unlink(missing_ok=True)
        said = way().stdout
        assert "104 weeks, warmest month July 2025 (19.8 °C)" in said
        assert picture.read_bytes().startswith(PNG)


def test_plot_is_the_same_in_both_versions_of_nix(plot: Project, both_nix: tuple[Nix, Nix]) -> None:
    closure = same_everywhere(plot.folder, both_nix, "environment")
    assert any(path.endswith("-plot-environment") for path in closure)
    shells = [nix.evaluate(f"(import {plot.folder} {{}}).shell.drvPath") for nix in both_nix]
    assert shells[0] == shells[1]


@pytest.mark.parametrize("version", [0, 1], ids=["nix28", "nix_new"])
def test_plot_is_the_same_with_other_cores_zone_umask_language_and_home(
    plot: Project, both_nix: tuple[Nix, Nix], store: Path, tmp_path: Path, version: int
) -> None:
    usual = both_nix[version]
    built = usual.build(plot.folder, "environment")
    other = usual.with_store(store).with_settings(cores="1", max_jobs="2")
    other = other.with_env(TZ="Asia/Kathmandu", LANG="C", LC_ALL="C", HOME=str(tmp_path))
    before = os.umask(0o077)
    try:
        again = other.build(plot.folder, "environment")
    finally:
        os.umask(before)
    assert again == built
    assert {p: other.nar_hash(p) for p in other.requisites(again)} == {
        p: usual.nar_hash(p) for p in usual.requisites(built)
    }


def test_entering_a_built_shell_builds_nothing_and_needs_no_network(plot: Project, nix: Nix) -> None:
    nix.develop(plot.folder, "true")
    done = nix.inside("unshare", "--net", nix.bin / "nix", "develop", "-vv", "-c", "true", cwd=plot.folder)
    assert "building " not in done.stderr  # how long it takes, the benchmarks measure
