"""The CI job and nixgen init: when it is written, brought up to date, and left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from support.initproject import Run, made, problems, runner, tree

from nixgen.init import cijob, installsource
from nixgen.init.cijob import Job

EVERY_SYSTEM = tuple(sorted(cijob.RUNNERS))
GITHUB, GITLAB = cijob.FILES["github"], cijob.FILES["gitlab"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")
    return runner(capsys)


def warnings(said: list[str]) -> list[str]:
    return [line.removeprefix("warning: ") for line in said if line.startswith("warning: ")]


def repository(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


def test_init_writes_github_s_job_once_and_brings_it_up_to_date(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "wrote .github/workflows/reproducibility.yml" in run(project)
    path = project / GITHUB
    assert path.read_text() == cijob.render("github", Job(EVERY_SYSTEM, "nixpkgs", "nixgen==0.1.0"))
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==9")
    run(project, systems=("x86_64-linux",))
    assert path.read_text() == cijob.render("github", Job(("x86_64-linux",), "nixpkgs", "nixgen==9"))
    path.unlink()
    assert run(project)[-1] == "Everything is up to date."
    assert not path.exists()
    run(project, ci="github")
    assert path.exists()


def test_a_job_that_somebody_has_changed_stays(project: Path, run: Run) -> None:
    run(project)
    mine = (project / GITHUB).read_text() + "# mine\n"
    (project / GITHUB).write_text(mine)
    assert warnings(run(project)) == []
    assert warnings(run(project, ci="github", force=True)) == [
        f"{GITHUB} stays as it is, because somebody has changed it. "
        "To have it written anew: move it elsewhere, then nixgen init --ci github"
    ]
    assert (project / GITHUB).read_text() == mine


def test_a_workflow_of_somebody_else_is_in_the_way_only_where_it_was_asked_for(project: Path, run: Run) -> None:
    (project / GITHUB).parent.mkdir(parents=True)
    (project / GITHUB).write_text("on: push\n")
    assert problems(project, ci="github") == [
        f"{GITHUB}: is in the way, and nixgen did not write it\n"
        "  hint: move it elsewhere, or give it up: nixgen init --force"
    ]
    assert warnings(run(project)) == [
        f"{GITHUB} stays as it is, because nixgen did not write it. "
        "To have it written anew: move it elsewhere, then nixgen init --ci github"
    ]
    assert (project / GITHUB).read_text() == "on: push\n"
    run(project, ci="github", force=True)
    assert cijob.untouched("github", (project / GITHUB).read_text())


def test_none_is_none(project: Path, run: Run) -> None:
    run(project, ci="none")
    assert not [name for name in tree(project) if name.startswith((".github", ".gitlab"))]


def test_an_unknown_kind(project: Path) -> None:
    assert problems(project, ci="jenkins") == [
        '--ci: "jenkins" is no kind of CI job\n  hint: take github, gitlab or none'
    ]


def test_gitlab_s_job_and_the_file_that_includes_it(project: Path, run: Run) -> None:
    said = run(project, ci="gitlab")
    assert f"wrote {GITLAB}" in said
    assert "wrote .gitlab-ci.yml" in said
    assert not (project / GITHUB).exists()
    assert yaml.safe_load((project / ".gitlab-ci.yml").read_text()) == {"include": [{"local": GITLAB}]}
    assert run(project, ci="gitlab")[-1] == "Everything is up to date."


def test_a_gitlab_ci_yml_that_is_there_already_is_not_touched(project: Path, run: Run) -> None:
    (project / ".gitlab-ci.yml").write_text("stages: [test]\n")
    said = run(project, ci="gitlab")
    assert warnings(said) == [f"Add to .gitlab-ci.yml: include: [{{ local: {GITLAB} }}]"]
    assert (project / ".gitlab-ci.yml").read_text() == "stages: [test]\n"


def test_at_the_root_of_a_repository(project: Path, run: Run) -> None:
    repository(project)
    assert f"wrote {GITHUB}" in run(project)


def test_below_the_root_of_a_repository_nothing_is_written_that_nobody_reads(project: Path, run: Run) -> None:
    repository(project.parent)
    said = run(project)
    assert (
        "No CI job was written: the project is not the root of its repository, where GitHub looks for it. "
        "To have one that you move there: nixgen init --ci github"
    ) in warnings(said)
    assert not (project / GITHUB).exists()
    assert f"GitHub reads {GITHUB} at the root of the repository only: move it there." in warnings(
        run(project, ci="github")
    )
    job = yaml.safe_load((project / GITHUB).read_text())
    assert job["defaults"]["run"]["working-directory"] == "demo"
    assert f"Add to .gitlab-ci.yml at the root of the repository: include: [{{ local: demo/{GITLAB} }}]" in warnings(
        run(project, ci="gitlab")
    )
    assert not (project / ".gitlab-ci.yml").exists()


def test_systems_that_nobody_has_machines_for(project: Path, run: Run) -> None:
    said = run(project, ci="gitlab", systems=("x86_64-darwin",))
    assert warnings(said) == ["No CI job was written: gitlab has no machines for x86_64-darwin."]
    assert not (project / GITLAB).exists()


def test_a_nixgen_that_other_machines_do_not_see(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 52: a job that fails at the first push is written only where it was asked for, and says what it lacks."""
    monkeypatch.setattr(installsource, "requirement", lambda: "")
    assert warnings(run(project)) == [
        "No CI job was written: this nixgen comes from a folder that other machines do not see. "
        "To have one in which you name it: nixgen init --ci github"
    ]
    assert not (project / GITHUB).exists()
    assert warnings(run(project, ci="github")) == [
        "This nixgen comes from a folder that other machines do not see: "
        f"say in {GITHUB}, at NIXGEN, what pip is to install there."
    ]
    assert "Nothing here needs to be configured" not in (project / GITHUB).read_text()
