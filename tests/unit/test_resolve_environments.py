"""Environments with a name: from one lock, extras that conflict included."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.index import serve
from support.wheels import make_wheel

from nixgen.errors import UserError
from nixgen.project.project import Project, find_project
from nixgen.resolve import environments, uv
from nixgen.resolve.model import Resolution, Target
from nixgen.resolve.resolution import merged_problems

LINUX, ARM = Target("x86_64-linux", "3.11"), Target("aarch64-linux", "3.11")
TABLES = """
[project.optional-dependencies]
cpu = ["torchlet==1.0"]
gpu = ["torchlet==2.0"]
[tool.uv]
conflicts = [[{extra = "cpu"}, {extra = "gpu"}]]
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose extras conflict; one of them has wheels for x86_64-linux only."""
    folder = tmp_path_factory.mktemp("conflict")
    wheels, root = folder / "wheels", folder / "demo"
    wheels.mkdir()
    root.mkdir()
    make_wheel(wheels, "torchlet", "1.0", {"torchlet.py": ""})
    make_wheel(wheels, "torchlet", "2.0", {"torchlet.py": ""}, tag="py3-none-manylinux_2_17_x86_64")
    project = '[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n'
    with serve(wheels) as index:
        address = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index.simple}"\ndefault = true\n'
        (root / "pyproject.toml").write_text(project + TABLES + address)
        subprocess.run([uv.binary(), "lock", "--quiet"], cwd=root, check=True)
    return root


def with_settings(locked: Path, folder: Path, settings: str) -> Project:
    (folder / "uv.lock").write_bytes((locked / "uv.lock").read_bytes())
    (folder / "pyproject.toml").write_text((locked / "pyproject.toml").read_text() + settings)
    return find_project(folder)


def versions(found: tuple[Resolution, ...]) -> dict[tuple[str, str], list[str]]:
    return {
        (one.environment, one.target.system): [f"{package.name}-{package.version}" for package in one.packages]
        for one in found
    }


def test_each_side_of_a_conflict_is_an_environment(locked: Path, tmp_path: Path) -> None:
    settings = '[tool.nixgen.environments]\ngpu = {extras = ["gpu"]}\ncpu = {extras = ["cpu"]}\n'
    project = with_settings(locked, tmp_path, settings)
    exported = environments.export(project, {})
    assert list(exported) == ["", "cpu", "gpu"]
    found, dropped = environments.select(project, exported, [LINUX, ARM], "2.36", {})
    assert versions(found) == {
        ("", "x86_64-linux"): [],
        ("", "aarch64-linux"): [],
        ("cpu", "x86_64-linux"): ["torchlet-1.0"],
        ("cpu", "aarch64-linux"): ["torchlet-1.0"],
        ("gpu", "x86_64-linux"): ["torchlet-2.0"],
    }
    # It has no wheel for it, and nothing names that system.
    assert versions(dropped) == {("gpu", "aarch64-linux"): ["torchlet-2.0"]}


def test_a_system_that_is_named_must_have_wheels(locked: Path, tmp_path: Path) -> None:
    settings = '[tool.nixgen.environments.gpu]\nextras = ["gpu"]\nsystems = ["aarch64-linux", "x86_64-linux"]\n'
    project = with_settings(locked, tmp_path, settings)
    found, dropped = environments.select(project, environments.export(project, {}), [LINUX, ARM], "2.36", {})
    assert not dropped
    (problem,) = merged_problems(found)
    assert problem.where == "torchlet (environment gpu, aarch64-linux)"


def test_a_system_that_the_project_leaves_out_is_refused(locked: Path, tmp_path: Path) -> None:
    project = with_settings(locked, tmp_path, '[tool.nixgen.environments.gpu]\nsystems = ["aarch64-linux"]\n')
    with pytest.raises(UserError) as caught:
        environments.select(project, environments.export(project, {}), [LINUX], "2.36", {})
    assert str(caught.value).startswith(
        "pyproject.toml: tool.nixgen.environments.gpu.systems: aarch64-linux is left out of the project"
    )


def test_what_uv_says_of_each_environment_is_told_at_once(locked: Path, tmp_path: Path) -> None:
    settings = '[tool.nixgen.environments]\nboth = {extras = ["cpu", "gpu"]}\nmore = {extras = ["tpu"]}\n'
    with pytest.raises(UserError) as caught:
        environments.export(with_settings(locked, tmp_path, settings), {})
    both, more = caught.value.problems
    assert both.where == "pyproject.toml: tool.nixgen.environments.both"
    assert both.what.startswith("Extras `cpu` and `gpu` are incompatible with the declared conflicts")
    assert both.mend == "give each of them an environment of its own: [tool.nixgen.environments.NAME]"
    assert more.where == "pyproject.toml: tool.nixgen.environments.more.extras"


def test_an_environment_that_is_not_there(locked: Path, tmp_path: Path) -> None:
    project = with_settings(locked, tmp_path, '[tool.nixgen.environments.gpu]\nextras = ["gpu"]\n')
    with pytest.raises(UserError, match="has no environment tpu\n  hint: the environments: gpu"):
        project.of("tpu")


def test_uv_is_not_looked_for_by_two_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python 3.11 sysconfig, which uv asks, answers None to the second of two first questions."""
    import uv as package

    together = threading.Barrier(2)

    def find() -> str:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(timeout=0.2)
            return "two at once"
        return "uv"

    monkeypatch.setattr(package, "find_uv_bin", find)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: uv.binary(), range(2))) == ["uv", "uv"]
