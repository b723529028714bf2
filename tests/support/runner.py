"""A double of the machines that run a CI job: it is neither GitHub nor GitLab, and says so where that matters.

The shell steps of a workflow are run as they stand, in their order, by bash with the options that GitHub gives it, on
the Nix and the store that a machine is given. What needs GitHub is replaced: a checkout is a clone, artifacts are
folders, and Nix is "installed" by being there. Only what the workflows of nixgen use is known; anything else fails.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.nix import Nix, enter

# How this machine reaches its package index, which a real runner's configuration would say.
KEPT = ("PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "SSL_CERT_FILE", "UV_CACHE_DIR", "HOME", "LANG")


@dataclass(frozen=True)
class Machine:
    """One runner: a Nix with a store of its own, whose nix.conf says ``settings`` beside what the tests need."""

    nix: Nix
    folder: Path
    repository: Path
    artifacts: Path

    def environment(self, job: Mapping[str, str]) -> dict[str, str]:
        """What a step sees: the machine's settings are in its nix.conf, the job's in NIX_CONFIG."""
        config = self.folder / "etc"
        config.mkdir(parents=True, exist_ok=True)
        (config / "nix.conf").write_text(self.nix.config() + "\n")
        home = {name: os.environ[name] for name in KEPT if name in os.environ}
        path = f"{Path(sys.executable).parent}:{self.nix.bin}:{os.environ['PATH']}"
        return {**home, "PATH": path, "NIX_CONF_DIR": str(config), "NO_COLOR": "1", **job}


@dataclass
class Ran:
    """How a job ended. ``failed`` is the name of the step that failed; ``log`` has what each step printed."""

    summary: str = ""
    failed: str | None = None
    code: int = 0
    log: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that was printed."""
        return "\n".join(self.log)


def run_job(machine: Machine, workflow: Mapping[str, Any], name: str, matrix: Mapping[str, str]) -> Ran:
    """Runs the steps of one job of a GitHub workflow in their order."""
    job = workflow["jobs"][name]
    temp, work = machine.folder / f"temp-{name}", machine.folder / f"work-{name}"
    temp.mkdir(parents=True)
    context = {**{f"matrix.{key}": value for key, value in matrix.items()}, "runner.temp": str(temp)}
    files = {key: temp / key.lower() for key in ("GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    given = {**workflow.get("env", {}), **job.get("env", {})}
    env = machine.environment({key: _filled(value, context) for key, value in given.items()})
    env |= {
        "RUNNER_TEMP": str(temp),
        "GITHUB_WORKSPACE": str(work),
        "CI": "true",
        **{key: str(path) for key, path in files.items()},
    }
    below = workflow.get("defaults", {}).get("run", {}).get("working-directory", "")
    ran = Ran()
    for step in job["steps"]:
        if not _wanted(step.get("if", "success()"), failed=ran.failed is not None):
            continue
        title = step.get("name", step.get("uses", ""))
        if "uses" in step:
            given = {key: _filled(str(value), context) for key, value in step.get("with", {}).items()}
            ran.log.append(_replaced(step["uses"], given, machine, work))
            continue
        path = ":".join([*reversed(files["GITHUB_PATH"].read_text().split()), env["PATH"]])
        code, printed = _shell(machine.nix, step["run"], work / below, {**env, "PATH": path})
        ran.log.append(f"## {title}\n{printed}")
        if code and ran.failed is None:
            ran.failed, ran.code = title, code
    ran.summary = files["GITHUB_STEP_SUMMARY"].read_text()
    return ran


def _filled(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda hit: context[hit[1]], str(text))


def _wanted(condition: str, *, failed: bool) -> bool:
    """The conditions that the workflow has: nobody cancels here."""
    return {"success()": not failed, "failure()": failed, "!cancelled()": True}[condition.strip("${} ")]


def _replaced(uses: str, given: Mapping[str, str], machine: Machine, work: Path) -> str:
    """What stands in for an action, and a line that says so."""
    action = uses.partition("@")[0]
    if action == "actions/checkout":
        subprocess.run(["git", "clone", "--quiet", machine.repository, work], check=True)
    elif action == "cachix/install-nix-action":
        assert machine.nix.version
    elif action == "actions/upload-artifact":
        source = Path(given["path"])
        if source.exists():
            (machine.artifacts / given["name"]).mkdir(parents=True)
            shutil.copy(source, machine.artifacts / given["name"])
    elif action == "actions/download-artifact":
        assert given["merge-multiple"] == "True"
        for folder in sorted(machine.artifacts.glob(given["pattern"])):
            shutil.copytree(folder, given["path"], dirs_exist_ok=True)
    else:
        raise NotImplementedError(action)
    return f"## {action}: replaced by a double, this is not GitHub"


def run_script(machine: Machine, jobs: Mapping[str, Any], name: str) -> Ran:
    """Runs the scripts of one job of a GitLab pipeline, as a container that has the packages already."""
    job = _extended(jobs, name)
    work = machine.folder / f"work-{name}"
    subprocess.run(["git", "clone", "--quiet", machine.repository, work], check=True)
    for need in job.get("needs", []):
        if (machine.artifacts / need).exists():
            shutil.copytree(machine.artifacts / need, work / ".reproducibility", dirs_exist_ok=True)
    own = machine.artifacts.parent / "opt-nixgen"  # the same for all jobs, so that pip need not download it again
    variables = {key: str(value).replace("$CI_PROJECT_DIR", str(work)) for key, value in job["variables"].items()}
    lines = [line.replace("/opt/nixgen", str(own)) for line in (*job["before_script"], *job["script"])]
    replaced = [line for line in lines if line.startswith("apt-get ")]
    script = "\n".join(line for line in lines if line not in replaced)
    ran = Ran(log=[f"## {line}: left out, this is not GitLab's container" for line in replaced])
    ran.code, printed = _shell(machine.nix, script, work, machine.environment(variables))
    ran.log.append(printed)
    if (work / ".reproducibility").exists():
        shutil.copytree(work / ".reproducibility", machine.artifacts / name)
    return ran


def _extended(jobs: Mapping[str, Any], name: str) -> dict[str, Any]:
    job = jobs[name]
    if "extends" not in job:
        return dict(job)
    base = _extended(jobs, job["extends"])
    return {**base, **job, "variables": {**base.get("variables", {}), **job.get("variables", {})}}


def _shell(nix: Nix, script: str, work: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Runs a script as GitHub's ``shell: bash`` does, with the machine's store at /nix."""
    (nix.store / "nix").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*enter(nix.store), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=work,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
