"""What is advised where a package cannot be had, or where there is no uv project yet (cases 53, 66, 67)."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel
from support.resolving import resolved

from nixgen.bases.python import targets
from nixgen.errors import UserError
from nixgen.project.project import find_project
from nixgen.resolve.resolution import left_out, merged_problems, resolve, split_served

WINDOWS = wheel("six-1.17.0-cp311-cp311-win_amd64.whl")
NO_BUILD = "[tool.uv]\nno-build = true\n"
HINT = "; or leave the dependency groups out: groups = [] under [tool.nixgen]"


def test_case_67_uv_add_is_for_what_the_project_itself_needs(tmp_path: Path) -> None:
    numpy = NUMPY.replace("wheels = [", 'dependencies = [{ name = "antlr4" }]\nwheels = [', 1)
    lock = uv_lock(package("antlr4", "4.9.3", sdist="antlr4-4.9.3.tar.gz"), numpy, SIX)
    (problem,) = resolved(make(tmp_path, PYPROJECT + NO_BUILD, lock)).problems
    assert problem.where == "antlr4"
    assert problem.mend == (
        'choose a version with wheels (constraint-dependencies = ["antlr4==…"] under [tool.uv], then: uv lock), '
        "or another package than the one that needs it; or allow it: no-build = false under [tool.uv]"
    )


def test_case_67_what_all_systems_lack_is_told_alone(tmp_path: Path) -> None:
    lock = uv_lock(
        NUMPY.replace(NUMPY.splitlines()[5] + "\n", ""),  # no wheel for one of the systems
        package("six", "1.17.0", WINDOWS),
    )
    project = find_project(make(tmp_path, lock=lock))
    found = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    assert [problem.where for problem in merged_problems(found)] == ["six", "numpy (aarch64-darwin)"]
    served, dropped = split_served(found)
    assert [left_out(one) for one in dropped] == ["aarch64-darwin is left out: no wheel there for numpy"]
    assert [problem.where for problem in merged_problems(served)] == ["six"]


GROUP = '\n[dependency-groups]\ndev = ["six"]\n'
DEV = 'requires-dist = [{ name = "numpy", specifier = ">=2" }]\n'
DEV += '[package.metadata.requires-dev]\ndev = [{ name = "six" }]\n'


def of_group(root: Path, settings: str = "") -> Path:
    """A project with numpy, and six without a wheel in its group dev."""
    lock = uv_lock(NUMPY, package("six", "1.17.0", WINDOWS), dependencies=("numpy",))
    kept = lock[: lock.index("requires-dist")] + DEV + lock[lock.index('\n\n[[package]]\nname = "numpy') :]
    kept = kept.replace(
        "[package.metadata]", '[package.dev-dependencies]\ndev = [{ name = "six" }]\n\n[package.metadata]', 1
    )
    return make(root, PYPROJECT.replace('"six", ', "") + GROUP + settings, kept)


def test_case_66_a_problem_of_a_group_hints_at_leaving_it_out(tmp_path: Path) -> None:
    (problem,) = resolved(of_group(tmp_path)).problems
    assert problem.where == "six"
    assert problem.mend.endswith(HINT)
    assert resolved(of_group(tmp_path, "[tool.nixgen]\ngroups = []\n")).problems == ()
    (problem,) = resolved(of_group(tmp_path, '[tool.nixgen]\ngroups = ["dev"]\n')).problems
    assert not problem.mend.endswith(HINT)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "go to a uv project, or make one: uv init"),
        (["requirements.txt", "app.py"], "nixgen init --from requirements.txt"),
        (["requirements-dev.txt", "setup.py"], "nixgen init --from requirements-dev.txt"),
        (["requirements/base.txt"], "nixgen init --from requirements/base.txt"),
        (["environment.yml"], "nixgen init --from environment.yml"),
        (["environment.yaml"], "nixgen init --from environment.yaml"),
        (["setup.py"], "uv init --bare, then for each of install_requires in setup.py: uv add NAME"),
        (["my day.ipynb"], "for each package that 'my day.ipynb' imports: uv add NAME"),
        (["plot.py"], "for each package that plot.py imports: uv add NAME"),
    ],
)
def test_case_53_the_file_that_is_there_is_named(tmp_path: Path, files: list[str], told: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError) as caught:
        find_project(tmp_path)
    assert caught.value.problems[0].mend.endswith(told)


@pytest.mark.parametrize(
    ("text", "files", "told"),
    [
        ("[tool.poetry]\n", [], "make a uv project of it: nixgen init --from poetry"),
        ("[tool.ruff]\n", ["requirements.txt"], "make a uv project of it: nixgen init --from requirements.txt"),
        ("", [], "then: uv add NAME"),
    ],
)
def test_case_53_uv_init_is_not_advised_where_it_refuses(
    tmp_path: Path, text: str, files: list[str], told: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(UserError) as caught:
        find_project(tmp_path)
    (problem,) = caught.value.problems
    assert problem.what == "has no [project] table"
    assert problem.mend.endswith(told)
    assert "uv init" not in problem.mend


def test_a_system_is_not_left_out_where_a_source_can_be_built(tmp_path: Path) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", WINDOWS, sdist="six-1.17.0.tar.gz"))
    project = find_project(make(tmp_path, lock=lock))
    found = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    served, dropped = split_served(found)
    assert (served, dropped) == (found, ())
    assert {one.packages[1].kind for one in found} == {"sdist"}
