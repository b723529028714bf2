"""The files that have an engine run a fleet: what is rendered, and what the published schemas say of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from nixgen.errors import UserError
from nixgen.fleet import engines
from nixgen.fleet.engines import ENGINES, Engine, Fleet

ROOT = Path(__file__).resolve().parents[2]
PLAIN = engines.fleet(["projects"], "x86_64-linux", 3, "file:///srv/cache", "nixgen==0.1.0", "")
FULL = engines.fleet(
    ["a/one", "b.two"], "aarch64-linux", 20, "s3://team/cache?endpoint=s3.example.org&region=x", "", "gpu"
)
NAMES = {"github": "yml", "gitlab": "yml", "slurm": "sh", "kubernetes": "yml", "hydra": "nix"}
SCHEMAS = {
    "github": ("--builtin-schema", "vendor.github-workflows"),
    "gitlab": ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_golden(golden: Callable[[str, str], None], engine: Engine) -> None:
    golden(f"fleet/{engine}.{NAMES[engine]}", engines.render(engine, PLAIN))
    golden(f"fleet/{engine}-gpu.{NAMES[engine]}", engines.render(engine, FULL))


@pytest.mark.heavy
@pytest.mark.parametrize("engine", SCHEMAS)
def test_the_published_schema_accepts_it(tmp_path: Path, engine: Engine) -> None:
    files = [tmp_path / "plain.yml", tmp_path / "full.yml"]
    for file, fleet in zip(files, (PLAIN, FULL), strict=True):
        file.write_text(engines.render(engine, fleet))
    check: list[str | Path] = [sys.executable, "-m", "check_jsonschema", *SCHEMAS[engine], *files]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("fleet", [PLAIN, FULL])
def test_kubernetes_own_schema_accepts_the_job(fleet: Fleet) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "tests/support/schemas/kubernetes/job.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    job = yaml.safe_load(engines.render("kubernetes", fleet))
    validator.validate(job)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", fleet.shards, fleet.shards)
    spec["template"]["spec"]["containers"][0]["comand"] = ["true"]
    with pytest.raises(jsonschema.ValidationError, match="comand"):
        validator.validate(job)


def scripts(engine: Engine, fleet: Fleet) -> list[str]:
    """All that a shell runs of an engine's file."""
    text = engines.render(engine, fleet)
    if engine == "slurm":
        return [text]
    job: Any = yaml.safe_load(text)
    if engine == "kubernetes":
        return [job["spec"]["template"]["spec"]["containers"][0]["command"][-1]]
    if engine == "gitlab":
        return [line for one in job.values() for line in (*one.get("before_script", ()), *one.get("script", ()))]
    return [step["run"] for one in job["jobs"].values() for step in one["steps"] if "run" in step]


@pytest.mark.parametrize("fleet", [PLAIN, FULL])
@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "hydra"])
def test_its_shell_is_shell_and_its_nixgen_has_these_options(engine: Engine, fleet: Fleet) -> None:
    from nixgen.cli import command

    known = {option for name in ("plan", "build") for one in command(name).params for option in one.opts}
    found = set()
    for script in scripts(engine, fleet):
        subprocess.run(["sh", "-n"], input=script.replace("${{", "{{"), text=True, check=True)
        found |= {word for word in script.split() if word.startswith("--") and "nixgen build" in script}
    assert {"--shard", "--cache", "--key"} <= found
    assert ("--feature" in found) == bool(fleet.feature)
    ours = {
        word
        for line in "\n".join(scripts(engine, fleet)).splitlines()
        if "nixgen build" in line
        for word in line.split()
    }
    assert {word.strip("'") for word in ours if word.startswith("--")} - {
        "--dependency=afterany:$job",
        "--wrap",
    } <= known


@pytest.mark.parametrize("engine", ["slurm", "kubernetes"])
def test_what_its_comments_say_can_be_typed(tmp_path: Path, engine: Engine) -> None:
    text = engines.render(engine, FULL)
    (line,) = [line for line in text.splitlines() if line.startswith("#") and "--collect" in line]
    command = line[line.index("sbatch" if engine == "slurm" else "nixgen build") :]
    for name, does in (("sbatch", 'shift 2; exec sh -c "$1"'), ("nixgen", 'printf "%s\\n" "$@"')):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\n[ "$1" != --dependency=afterany: ] || shift\n{does.replace("shift 2", "shift 1")}\n'
        )
        program.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, check=False)
    words = done.stdout.splitlines()
    assert words[words.index("--cache") + 1] == FULL.cache
    assert "team-1" in words


def test_github_gives_it_no_more_than_it_needs() -> None:
    job = yaml.safe_load(engines.render("github", PLAIN))
    assert job["permissions"] == {"contents": "read"}
    steps = [step for one in job["jobs"].values() for step in one["steps"]]
    for step in steps:
        if "uses" in step:
            assert len(step["uses"].partition("@")[2]) == 40, "pinned by commit"
        assert "${{" not in step.get("run", ""), "nothing of others gets into a script"
    # Only the one who logs has the log's key, and nothing of a fork's pull request runs with any.
    holders = [name for name, one in job["jobs"].items() if "NIXGEN_LOG_KEYS" in json.dumps(one)]
    assert holders == ["collect"]
    assert set(job[True]) == {"push", "workflow_dispatch"}


def test_words_that_an_engine_may_read_otherwise_are_refused() -> None:
    for folder in ("a b", "$HOME", "-x", "a;b", "${{ x }}", "'", "a\nb", ""):
        with pytest.raises(UserError, match="has characters that an engine may read otherwise"):
            engines.fleet([folder], "x86_64-linux", 3, None, "", "")
    with pytest.raises(UserError, match="is not a feature"):
        engines.fleet(["a"], "x86_64-linux", 3, None, "", "gpu]")
    with pytest.raises(UserError):
        engines.fleet(["a"], "x86_64-linux", 3, "s3://a/$(b)", "", "")
    with pytest.raises(UserError, match="GitHub has no machine for riscv64-linux"):
        engines.render("github", engines.fleet(["a"], "riscv64-linux", 3, None, "", ""))
