"""The CI job: what is rendered, what the published schemas say of it, when it is written and when it is left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.initproject import Run, made, problems, runner, tree

from nixgen import cijob, origin
from nixgen.cijob import Job, Kind

EVERY_SYSTEM = tuple(sorted(cijob.RUNNERS))
LINUX = ("aarch64-linux", "x86_64-linux")
PINNED = "nixgen @ git+https://code.example.org/nixgen@" + "0" * 40
JOBS = {
    "nixpkgs": Job(EVERY_SYSTEM, "nixpkgs", "nixgen==0.1.0"),
    "debian": Job(LINUX, "debian", PINNED),
    "folder": Job(("x86_64-linux",), "debian", "", "packages/a b"),
}
SCHEMAS: dict[Kind, tuple[str, ...]] = {
    "github": ("vendor.github-workflows",),
    "gitlab": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}
GITHUB, GITLAB = cijob.FILES["github"], cijob.FILES["gitlab"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(origin, "requirement", lambda: "nixgen==0.1.0")
    return runner(capsys)


def warnings(said: list[str]) -> list[str]:
    return [line.removeprefix("warning: ") for line in said if line.startswith("warning: ")]


def repository(folder: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)


@pytest.mark.parametrize("kind", cijob.KINDS)
@pytest.mark.parametrize("name", ["nixpkgs", "debian"])
def test_golden(golden: Callable[[str, str], None], kind: Kind, name: str) -> None:
    golden(f"{name}/reproducibility.{kind}.yml", cijob.render(kind, JOBS[name]))


@pytest.mark.parametrize("kind", cijob.KINDS)
def test_the_published_schema_accepts_it(tmp_path: Path, kind: Kind) -> None:
    files = []
    for name, job in JOBS.items():
        path = tmp_path / f"{name}.yml"
        path.write_text(cijob.render(kind, job))
        files.append(path)
    if kind == "gitlab":
        (tmp_path / "entry.yml").write_text(cijob.gitlab_entry())
        files.append(tmp_path / "entry.yml")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[kind], *files]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_published_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(cijob.render("github", JOBS["nixpkgs"]).replace("runs-on:", "runs:"))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS["github"], path]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1


def test_github_gives_it_no_more_than_it_needs() -> None:
    job = yaml.safe_load(cijob.render("github", JOBS["nixpkgs"]))
    assert job["permissions"] == {"contents": "read"}
    assert job["concurrency"]["cancel-in-progress"] is True
    assert all("permissions" not in one and one["timeout-minutes"] <= 120 for one in job["jobs"].values())
    steps = [step for one in job["jobs"].values() for step in one["steps"]]
    for step in steps:
        if "uses" in step:
            _, _, revision = step["uses"].partition("@")
            assert len(revision) == 40
            assert set(revision) <= set("0123456789abcdef")
        else:
            assert "${{" not in step["run"], "what somebody else may write must not get into a script"
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 3
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_pinned_action_says_its_version() -> None:
    lines = cijob.render("github", JOBS["nixpkgs"]).splitlines()
    uses = [line for line in lines if "uses:" in line]
    assert len(uses) == 8
    assert all(line.partition(" # v")[2].count(".") == 2 for line in uses)


@pytest.mark.parametrize("system", EVERY_SYSTEM)
def test_the_second_build_is_on_another_kind_of_machine(system: str) -> None:
    first, second = cijob.RUNNERS[system]
    assert first != second
    jobs = yaml.safe_load(cijob.render("github", Job((system,), "nixpkgs", "nixgen==1")))["jobs"]
    assert jobs["first"]["strategy"]["matrix"]["include"] == [{"system": system, "runner": first}]
    assert jobs["second"]["strategy"]["matrix"]["include"] == [{"system": system, "runner": second}]
    assert jobs["compare"]["strategy"]["matrix"]["system"] == [system]


@pytest.mark.parametrize(
    ("base", "expected"), [("debian", [""]), ("nixpkgs", ["https://cache.nixos.org"])], ids=["debian", "nixpkgs"]
)
def test_nothing_of_ours_is_substituted_in_the_second_build(base: str, expected: list[str]) -> None:
    jobs = yaml.safe_load(cijob.render("github", Job(("x86_64-linux",), base, "nixgen==1")))["jobs"]
    gitlab = yaml.safe_load(cijob.render("gitlab", Job(("x86_64-linux",), base, "nixgen==1")))
    for config in (
        jobs["second"]["env"]["NIX_CONFIG"],
        gitlab["reproducibility-second-x86_64-linux"]["variables"]["NIX_CONFIG"],
    ):
        lines = dict(line.split(" =", 1) for line in config.splitlines())
        assert lines["substituters"].split(" ")[-1:] == expected
        assert ("trusted-public-keys" in lines) == (base == "nixpkgs")
    assert "env" not in jobs["first"]


def test_gitlab_has_containers_for_linux_only_and_says_so() -> None:
    text = cijob.render("gitlab", JOBS["nixpkgs"])
    assert "for it:\n# aarch64-darwin, x86_64-darwin. A runner" in text
    assert [name for name in yaml.safe_load(text) if "darwin" in name] == []
    assert Job(("x86_64-darwin",), "nixpkgs", "").served("gitlab") == ()
    assert max(map(len, text.splitlines())) <= 120


@given(
    systems=st.lists(st.sampled_from(EVERY_SYSTEM), unique=True, min_size=1).map(sorted).map(tuple),
    base=st.sampled_from(["debian", "nixpkgs"]),
    requirement=st.sampled_from(["", "nixgen==0.1.0", PINNED]),
    folder=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    kind=st.sampled_from(cijob.KINDS),
)
def test_a_job_is_read_back_and_is_what_yaml_says(
    systems: tuple[str, ...], base: str, requirement: str, folder: str, kind: Kind
) -> None:
    job = Job(systems, base, requirement, folder)
    text = cijob.render(kind, job)
    if job.served(kind):
        assert cijob.untouched(kind, text) == job
    parsed = yaml.safe_load(text)
    if kind == "github":
        assert parsed["env"]["NIXGEN"] == requirement
        assert parsed["defaults"]["run"].get("working-directory", "") == folder
    else:
        variables = parsed[".reproducibility"]["variables"]
        assert variables["NIXGEN"] == requirement
        assert variables.get("PROJECT", "").replace("$$", "$") == folder


@pytest.mark.parametrize("kind", cijob.KINDS)
def test_a_changed_file_is_told_from_one_that_nobody_has_changed(kind: Kind) -> None:
    text = cijob.render(kind, JOBS["debian"])
    for old, new in (("x86_64-linux", "riscv64-linux"), ("nixgen check", "nixgen check -v"), ('"nixgen', "nixgen")):
        assert cijob.untouched(kind, text.replace(old, new)) is None
    assert cijob.untouched(kind, text + "# mine\n") is None
    assert cijob.untouched(kind, "on: push\n") is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "nixgen==2", "nixgen==2"),
        ("nixgen==1", "nixgen==2", "nixgen==2"),
        ("nixgen==1", "", "nixgen==1"),
        (
            "nixgen @ git+https://a.example.org/x@" + "1" * 40,
            PINNED,
            "nixgen @ git+https://a.example.org/x@" + "1" * 40,
        ),
        (PINNED.replace("0", "1"), PINNED, PINNED),
        ("./tools/nixgen", "nixgen==2", "./tools/nixgen"),
    ],
)
def test_where_nixgen_comes_from_is_brought_up_to_date_and_not_replaced(old: str, new: str, expected: str) -> None:
    assert cijob.newer(old, new) == expected


def test_init_writes_github_s_job_once_and_brings_it_up_to_date(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "wrote .github/workflows/reproducibility.yml" in run(project)
    path = project / GITHUB
    assert path.read_text() == cijob.render("github", JOBS["nixpkgs"])
    monkeypatch.setattr(origin, "requirement", lambda: "nixgen==9")
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
        "    move it elsewhere, or give it up: nixgen init --force"
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
    assert problems(project, ci="jenkins") == ['--ci: "jenkins" is no kind of CI job\n    take github, gitlab or none']


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
    monkeypatch.setattr(origin, "requirement", lambda: "")
    assert warnings(run(project)) == [
        "This nixgen comes from a folder that other machines do not see: "
        f"say in {GITHUB}, at NIXGEN, what pip is to install there."
    ]
    assert warnings(run(project)) == []
    step: Any = yaml.safe_load((project / GITHUB).read_text())["jobs"]["first"]["steps"][2]
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env={"NIXGEN": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout.startswith("::error::NIXGEN is empty")
