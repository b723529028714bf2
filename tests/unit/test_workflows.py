"""This repository's own workflows: what they may do, what they pin, and that what they call is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from nixgen.bases import nixpkgs
from nixgen.init import cijob
from nixgen.init.cijob import Job

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
USES = re.compile(r"uses: (\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$", re.MULTILINE)


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def path(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


@pytest.fixture
def workflow(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.heavy
def test_the_published_schema_accepts_it(path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_actions_are_those_of_the_job_that_init_writes(path: Path) -> None:
    """By commit, each with its version beside it: one table to look after."""
    theirs = set(USES.findall(cijob.render("github", Job(("x86_64-linux",), "nixpkgs", "nixgen==1"))))
    text = path.read_text()
    assert set(USES.findall(text)) <= theirs
    assert len(USES.findall(text)) == text.count("uses:")


def test_it_may_read_and_nothing_of_others_gets_into_a_script(workflow: Any) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert job["strategy"]["fail-fast"] is False
        assert "permissions" not in job
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_it_runs_on_every_system_that_github_has_and_the_default_pin_will_keep(workflow: Any) -> None:
    kept = nixpkgs.PINS["nixos-unstable"].systems
    for job in workflow["jobs"].values():
        assert set(job["strategy"]["matrix"]["runner"]) == {cijob.RUNNERS[system][0] for system in kept}


def test_what_it_calls_is_there() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/nixpkgs.yml").read_text())
    pythons = workflow["jobs"]["demo"]["strategy"]["matrix"]["python"]
    assert set(pythons) == set(nixpkgs.PINS[nixpkgs.DEFAULT].pythons) - {"3.11"}
    demo = (ROOT / ".ci/demo").read_text()
    for example in workflow["jobs"]["examples"]["strategy"]["matrix"]["example"]:
        assert (ROOT / "examples" / example).is_dir()
        assert re.search(rf"^{example}\)", demo, re.MULTILINE)
    assert re.search(r"^demo:.*\n\t@\.ci/demo plot \$\(FOLDER\)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
