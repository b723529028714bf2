"""The CI job that ``nixgen init`` writes, run as far as it can be here: its steps, in order, on two machines.

Each machine is a store of its own with another version of Nix. A double (``support.runner``) stands for GitHub: it
hands artifacts on and clones the repository, and runs every line of shell of the generated file as it stands.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from support.index import serve
from support.nix import SYSTEM, Nix
from support.project import Project, own_wheel
from support.runner import Machine, Ran, run_job, run_script
from support.wheels import make_wheel

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

GITHUB = ".github/workflows/reproducibility.yml"
GITLAB = ".gitlab/reproducibility.yml"
WHO = ["-c", "user.name=demo", "-c", "user.email=demo@example.org"]


def git(project: Project, *arguments: str) -> None:
    subprocess.run(["git", *WHO, *arguments], cwd=project.folder, check=True, capture_output=True)


def commit(project: Project) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "next")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A repository whose project has two wheels, one of which needs the other."""
    wheels = tmp_path_factory.mktemp("wheels")
    make_wheel(wheels, "upper", "1.0", requires=["lower"])
    make_wheel(wheels, "lower", "1.0", {"lower.py": "NAME = 'lower'\n", "lower-1.0.data/data/share/note": "a note\n"})
    with serve(wheels) as index:
        made = Project.make(tmp_path_factory.mktemp("repository") / "demo", "upper", index=index.simple)
        made.git()
        made.must("init", "--base", "debian", "--python", "3.13", "--system", SYSTEM, "--ci", "github")
        made.must("init", "--ci", "gitlab")
        commit(made)
        yield made


@pytest.fixture(scope="module")
def requirement(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What NIXGEN says here: pip installs this repository's wheel."""
    return f"nixgen @ {own_wheel(tmp_path_factory.mktemp('nixgen')).as_uri()}"


@pytest.fixture
def machines(both_nix: tuple[Nix, Nix], project: Project, tmp_path: Path) -> tuple[Machine, Machine]:
    """Two machines for the two builds; they share a place for artifacts, and nothing else."""
    artifacts = tmp_path / "artifacts"
    first, second = (
        Machine(nix, tmp_path / name, project.folder, artifacts)
        for nix, name in zip(both_nix, ("first", "second"), strict=True)
    )
    return first, second


@pytest.fixture
def workflow(project: Project, requirement: str) -> dict[str, Any]:
    """The generated file; NIXGEN alone is filled in, since no index has this version yet."""
    parsed = yaml.safe_load((project.folder / GITHUB).read_text())
    parsed["env"]["NIXGEN"] = requirement
    return dict(parsed)


@pytest.fixture
def installed(workflow: dict[str, Any]) -> dict[str, Any]:
    """The same without the step that installs nixgen, which takes long: it is on these machines' PATH already."""
    for job in workflow["jobs"].values():
        job["steps"] = [step for step in job["steps"] if step.get("name") != "Install nixgen"]
    return workflow


def rows(workflow: dict[str, Any], job: str) -> list[dict[str, str]]:
    matrix = workflow["jobs"][job]["strategy"]["matrix"]
    return list(matrix["include"]) if "include" in matrix else [{"system": one} for one in matrix["system"]]


def run_all(workflow: dict[str, Any], machines: tuple[Machine, Machine]) -> dict[str, Ran]:
    """Each job on its machine; the comparison needs no Nix, and runs on the first."""
    ran = {}
    for name, machine in (("first", machines[0]), ("second", machines[1]), ("compare", machines[0])):
        (row,) = rows(workflow, name)
        ran[name] = run_job(machine, workflow, name, row)
    return ran


@pytest.fixture(scope="module")
def recorded(project: Project, nix28: Nix) -> Project:
    """The project with a committed record."""
    done = nix28.inside(
        sys.executable,
        "-m",
        "nixgen",
        "check",
        "--update",
        cwd=project.folder,
        PYTHONPATH=str(Path(__file__).parents[2]),
    )
    assert done.ok, done.tail()
    commit(project)
    return project


def test_without_a_record_the_builds_are_compared_all_the_same(
    workflow: dict[str, Any], machines: tuple[Machine, Machine], project: Project
) -> None:
    assert not (project.folder / "nixgen.hashes.json").exists()
    ran = run_all(workflow, machines)
    for name in ("first", "second"):
        assert ran[name].code == 0, ran[name].text
        assert "::notice::nixgen.hashes.json has no record of this system" in ran[name].text
        assert "cachix/install-nix-action: replaced by a double, this is not GitHub" in ran[name].text
    assert ran["compare"].code == 0, ran["compare"].text
    assert ran["compare"].summary.startswith(f"## demo on {SYSTEM.replace('_', chr(92) + '_')}: identical")
    assert f"`{SYSTEM} " in ran["compare"].summary, "the digest is in the summary"


def test_two_machines_and_the_record_agree(
    installed: dict[str, Any], machines: tuple[Machine, Machine], recorded: Project
) -> None:
    ran = run_all(installed, machines)
    assert [one.code for one in ran.values()] == [0, 0, 0], "\n".join(one.text for one in ran.values())
    assert "::notice::" not in ran["first"].text
    saved = [json.loads((machines[0].artifacts / f"record-{name}-{SYSTEM}/{name}.json").read_text()) for name in
             ("first", "second")]  # fmt: skip
    builders = [one["systems"][SYSTEM].pop("builder")["nix"] for one in saved]
    assert builders == [".".join(map(str, machine.nix.version)) for machine in machines]
    own = json.loads((recorded.folder / "nixgen.hashes.json").read_text())
    own["systems"][SYSTEM].pop("builder")
    assert saved == [own, own]


def poisoned(nix: Nix, project: Project, folder: Path) -> str:
    """A binary cache with all of the project, of which one file has other bytes, and nothing gives that away."""
    root = nix.build(project.folder, "root")
    nix.run("nix", "copy", "--to", f"file://{folder}?compression=none", str(root))
    for info in folder.glob("*.narinfo"):
        text = info.read_text()
        if not re.search(r"^StorePath: .*-lower-1\.0$", text, re.MULTILINE):
            continue
        found = re.search(r"^URL: (.*)$", text, re.MULTILINE)
        assert found
        nar = folder / found[1]
        data = nar.read_bytes()
        assert b"a note\n" in data
        nar.chmod(0o644)
        nar.write_bytes(data.replace(b"a note\n", b"a lie!\n"))
        digest = "sha256:" + hashlib.sha256(nar.read_bytes()).hexdigest()
        info.chmod(0o644)
        info.write_text(re.sub(r"^(NarHash|FileHash): .*$", rf"\1: {digest}", text, flags=re.MULTILINE))
        return f"file://{folder}"
    raise AssertionError("the cache lacks the wheel")


def test_a_cache_with_other_bytes_is_found_because_the_second_build_asks_none(
    installed: dict[str, Any], machines: tuple[Machine, Machine], recorded: Project, store: Path, tmp_path: Path
) -> None:
    cache = poisoned(machines[0].nix, recorded, tmp_path / "cache")
    first, second = machines
    trusting = {"substituters": cache, "require_sigs": "false"}
    first = replace(first, nix=first.nix.with_store(store).with_settings(**trusting))
    second = replace(second, nix=second.nix.with_settings(**trusting))
    ran = run_all(installed, (first, second))
    assert ran["first"].code == 1, ran["first"].text
    assert ran["first"].failed == "Build, and compare with nixgen.hashes.json"
    assert "lower-1.0" in ran["first"].summary
    assert (first.artifacts / f"record-first-{SYSTEM}/first.json").exists(), "uploaded although the build failed"
    assert ran["second"].code == 0, ran["second"].text
    assert ran["compare"].code == 1, ran["compare"].text
    assert "lower-1.0" in ran["compare"].summary


def test_a_build_without_a_record_to_compare(installed: dict[str, Any], machines: tuple[Machine, Machine]) -> None:
    (row,) = rows(installed, "compare")
    ran = run_job(machines[0], installed, "compare", row)
    assert ran.code == 1
    assert ran.summary.splitlines() == [
        "The first build left no record to compare: its log says why.",
        "The second build left no record to compare: its log says why.",
    ]


def test_gitlab_s_scripts_in_order(machines: tuple[Machine, Machine], recorded: Project, requirement: str) -> None:
    jobs = yaml.safe_load((recorded.folder / GITLAB).read_text())
    jobs[".reproducibility"]["variables"]["NIXGEN"] = requirement
    names = [f"reproducibility-{name}-{SYSTEM}" for name in ("first", "second", "compare")]
    assert [name for name in jobs if not name.startswith(".")] == names
    for name, machine in zip(names, (*machines, machines[0]), strict=True):
        ran = run_script(machine, jobs, name)
        assert ran.code == 0, ran.text
        assert "apt-get install" in ran.log[1]
    left = sorted(path.name for path in (machines[0].artifacts / names[2]).iterdir())
    assert {f"compare-{SYSTEM}.md", f"compare-{SYSTEM}.xml"} <= set(left)


def test_reports_that_are_committed_stand_for_no_build(
    machines: tuple[Machine, Machine], recorded: Project, requirement: str
) -> None:
    """Case 28: files of an earlier run, committed, must not be taken for those of this one."""
    jobs = yaml.safe_load((recorded.folder / GITLAB).read_text())
    jobs[".reproducibility"]["variables"]["NIXGEN"] = requirement
    kept = recorded.folder / ".reproducibility" / f"first-{SYSTEM}.json"
    kept.parent.mkdir()
    kept.write_text((recorded.folder / "nixgen.hashes.json").read_text())
    commit(recorded)
    ran = run_script(machines[0], jobs, f"reproducibility-compare-{SYSTEM}")
    assert ran.code == 2, ran.text
    assert "is committed, and belongs to this job: git rm -r --cached .reproducibility" in ran.text
