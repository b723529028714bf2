"""The CI job: what is rendered, and what the published schemas say of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from nixgen.init import cijob
from nixgen.init.cijob import Job, Kind

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


@pytest.mark.parametrize("kind", cijob.KINDS)
@pytest.mark.parametrize("name", ["nixpkgs", "debian"])
def test_golden(golden: Callable[[str, str], None], kind: Kind, name: str) -> None:
    golden(f"{name}/reproducibility.{kind}.yml", cijob.render(kind, JOBS[name]))


@pytest.mark.heavy
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
    check: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[kind], *files]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.heavy
def test_the_published_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(cijob.render("github", JOBS["nixpkgs"]).replace("runs-on:", "runs:"))
    check: list[str | Path] = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS["github"], path]
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
    folder=st.lists(
        st.sampled_from(["${{", "$", "{", " github.token }}", "'"])
        | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
        max_size=4,
    ).map("".join),
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
        below = parsed["defaults"]["run"].get("working-directory", "") if folder else ""
        assert below.replace("${{ '${{' }}", "") == folder.replace("${{", "")  # case 38: no expression of the folder's
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
