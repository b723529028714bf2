"""``nixgen verify`` and ``nixgen run``, as commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import program
from support.tree import fill, flip, lock, rows
from support.waiting import without_progress

from nixgen import guard

FILES = {"config.json": b"{}", "model.onnx": b"m" * 5000}
OTHER = {"d.csv": b"1,2\n"}
Nixgen = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one model and one dataset, and its files in ``files``."""
    text = lock(models__m={"files": rows(FILES)}, data__d={"files": rows(OTHER)})
    fill(tmp_path / "project", {"nixgen.lock": text.encode()})
    fill(tmp_path / "files/models/m", FILES)
    fill(tmp_path / "files/data/d", OTHER)
    return tmp_path / "project"


@pytest.fixture
def nixgen(project: Path) -> Nixgen:
    """Runs nixgen in the project, in what looks like its shell; ``shell=False`` is outside of it."""

    def run(*arguments: str, shell: bool = True, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
        files = project.parent / "files"
        places = {"NIXGEN_MODELS": str(files / "models"), "NIXGEN_DATA": str(files / "data")}
        places |= {"NIXGEN_ROOT": str(project)}
        if shell and arguments[0] == "verify":  # which becomes no other program
            return program.nixgen(*arguments, cwd=project, **places)
        env = {"PATH": path, "HOME": str(project.parent), **(places if shell else {})}
        command = [sys.executable, "-m", "nixgen", *arguments]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
        done.stderr = without_progress(done.stderr)
        return done

    return run


def test_verify_in_the_shell(nixgen: Nixgen, project: Path) -> None:
    done = nixgen("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("verified: 4.9 KiB in 3 files, ")
    flip(project.parent / "files/models/m/model.onnx", 2500)
    done = nixgen("verify")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: models.m: model.onnx: is changed: SHA-256 ")
    assert nixgen("verify", "d").returncode == 0


def test_verify_tells_what_mends_it(nixgen: Nixgen, project: Path) -> None:
    (project.parent / "files/data/d/d.csv").rename(project.parent / "files/data/d/e.csv")
    done = nixgen("verify", "data.d")
    assert done.stderr == (
        "error: data.d: d.csv: is missing\n"
        "  hint: get the files, then enter the shell: nixgen data fetch d; nix develop\n"
        "error: data.d: e.csv: is extra\n"
    )


def test_verify_as_json(nixgen: Nixgen, project: Path) -> None:
    assert json.loads(nixgen("verify", "--json").stdout)["verified"] is True
    (project.parent / "files/models/m/extra").write_bytes(b"")
    done = nixgen("verify", "--json", "m")
    assert done.returncode == 1
    assert json.loads(done.stdout)["findings"] == [
        {
            "artifact": "models.m",
            "path": "extra",
            "problem": "extra",
            "said": "is extra",
            "expected": None,
            "found": None,
        }
    ]


@pytest.mark.heavy
def test_a_plain_folder_without_nix_or_a_shell(nixgen: Nixgen, project: Path, tmp_path: Path) -> None:
    plain = fill(tmp_path / "elsewhere", FILES)
    assert nixgen("verify", "m", "--path", str(plain), shell=False).returncode == 0
    (plain / "config.json").unlink()
    done = nixgen("verify", "m", "--path", str(plain), shell=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: models.m: config.json: is missing")
    both = fill(tmp_path / "both", {})
    (project.parent / "files/models/m").rename(both / "m")
    (project.parent / "files/data/d").rename(both / "d")
    assert nixgen("verify", "--path", str(both), shell=False).returncode == 0


@pytest.mark.parametrize("holds", ["m", ""])
def test_the_only_artifact_lies_in_the_folder_or_is_it(
    nixgen: Nixgen, project: Path, tmp_path: Path, holds: str
) -> None:
    (project / "nixgen.lock").write_text(lock(models__m={"files": rows(FILES)}))
    fill(tmp_path / "plain" / holds, FILES)
    assert nixgen("verify", "--path", str(tmp_path / "plain"), shell=False).returncode == 0


def test_where_files_lie_is_not_known_without_nix(nixgen: Nixgen) -> None:
    done = nixgen("verify", shell=False, path="/nowhere")
    assert done.returncode == 3
    assert done.stderr.startswith("error: where models and data lie is not known: there is no Nix here\n")


def test_bad_input(nixgen: Nixgen, project: Path) -> None:
    assert nixgen("verify", "nothing").stderr.startswith("error: nothing: is not pinned; pinned: data.d, models.m\n")
    (project / "nixgen.lock").write_text("{")
    assert (nixgen("verify").returncode, nixgen("run", "true").returncode) == (2, 2)
    (project / "nixgen.lock").unlink()
    done = nixgen("verify")
    assert done.returncode == 2
    assert "there is no nixgen.lock here or above" in done.stderr


@pytest.mark.heavy
def test_a_lock_that_pins_nothing(nixgen: Nixgen, project: Path) -> None:
    """Case 37: there is nothing to verify, and a command just starts, unless models.toml has what was never locked."""
    (project / "nixgen.lock").write_text(lock())
    for arguments in (["verify"], ["verify", "--path", "."]):
        done = nixgen(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: nixgen.lock: pins no model and no data: there is nothing to verify\n"), (
            done.stderr
        )
    (project / "models.toml").write_text('version = 1\n[services.api]\ncommand = "echo started"\n')
    done = nixgen("run", "--service", "api")
    assert (done.returncode, done.stdout) == (0, "started\n")
    done = nixgen("run", "--", "echo", "started")
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
    (project / "models.toml").write_text('version = 1\n[models.m]\nsource = "m"\n[data.d]\nsource = "d"\n')
    done = nixgen("run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "".join(
        f"error: models.toml: {name}: is not in nixgen.lock\n  hint: lock it: nixgen sync\n"
        for name in ("models.m", "data.d")
    )


def test_run_becomes_the_command(nixgen: Nixgen, project: Path) -> None:
    done = nixgen("run", "--no-stamp", "--", "sh", "-c", "echo in $(pwd) $0 $1; exit 7", "-x", "--service")
    assert (done.returncode, done.stdout) == (7, f"in {project} -x --service\n")
    assert done.stderr.startswith("verified: 4.9 KiB in 3 files")
    assert nixgen("run", "sh", "-c", "exit 8").returncode == 8


def test_run_sets_a_seed_before_python_starts(nixgen: Nixgen) -> None:
    code = "import os; print(os.environ['NIXGEN_SEED'], hash('a') == hash('b'), os.environ['PYTHONHASHSEED'])"
    assert nixgen("run", "--seed", "7", "--", sys.executable, "-c", code).stdout == "7 False 7\n"
    assert nixgen("run", "--seed", "-7", "--", "true").returncode == 2


@pytest.mark.heavy
def test_run_never_starts_the_command_after_one_flipped_bit(nixgen: Nixgen, project: Path) -> None:
    flip(project.parent / "files/models/m/model.onnx", 0)
    done = nixgen("run", "--", "touch", "started")
    assert done.returncode == guard.REFUSED
    assert not (project / "started").exists()
    assert "The command was not started.\n  hint: " in done.stderr
    done = nixgen("run", "--report", "json", "--", "touch", "started")
    assert json.loads(done.stderr)["findings"][0]["problem"] == "changed"
    assert done.returncode == guard.REFUSED


def test_run_checks_the_models_of_a_service(nixgen: Nixgen, project: Path) -> None:
    (project / "models.toml").write_text(
        'version = 1\n[models.m]\nsource = "https://models.example.org/m.onnx"\n'
        '[data.d]\nsource = "https://models.example.org/d.csv"\n'
        '[services.api]\ncommand = "echo serving"\nmodels = ["m"]\n'
    )
    (project.parent / "files/data/d/d.csv").unlink()  # the service does not need it
    done = nixgen("run", "--service", "api", "--", "--port", "1")
    assert (done.returncode, done.stdout) == (0, "serving --port 1\n")
    (project.parent / "files/models/m/config.json").unlink()
    assert nixgen("run", "--service", "api").returncode == guard.REFUSED
    done = nixgen("run", "--service", "app")
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ['error: models.toml: services: has no service "app"', "  hint: services that it has: api"],
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run"], "error: there is no command to run\n"),
        (["run", "--report", "xml", "true"], "error: --report: is xml, not text or json\n"),
    ],
)
def test_run_is_told_what_it_lacks(nixgen: Nixgen, arguments: list[str], sentence: str) -> None:
    done = nixgen(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)


@pytest.mark.heavy
def test_outside_the_shell_the_guard_runs_inside_of_it(nixgen: Nixgen, project: Path, tmp_path: Path) -> None:
    """A double of nix-shell: it sets what the project's shell sets, and runs what it is given with a shell."""
    files = project.parent / "files"
    double = tmp_path / "bin/nix-shell"
    double.parent.mkdir()
    double.write_text(
        f'#!/bin/sh\ntest "$1 $2 $3 $4" = "{project}/default.nix -A shell --run" || exit 99\n'
        f'NIXGEN_MODELS="{files}/models" NIXGEN_DATA="{files}/data" exec sh -c "$5"\n'
    )
    double.chmod(0o755)
    path = f"{double.parent}:{os.defpath}"
    done = nixgen("run", "--", "echo", "a b", "$HOME", shell=False, path=path)
    assert (done.returncode, done.stdout) == (0, "a b $HOME\n")
    assert " in 3 files, " in done.stderr
    flip(files / "data/d/d.csv", 3)
    done = nixgen("run", "--no-stamp", "--", "echo", "started", shell=False, path=path)
    assert (done.returncode, done.stdout) == (guard.REFUSED, "")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "demo"\nversion = "1"\n[tool.nixgen.environments.gpu]\nextras = []\n'
    )
    double.write_text(double.read_text().replace("-A shell", "-A environments.gpu.shell"))
    flip(files / "data/d/d.csv", 3)
    done = nixgen("run", "--environment", "gpu", "--", "echo", "there", shell=False, path=path)
    assert (done.returncode, done.stdout) == (0, "there\n")
    assert (
        "has no environment tpu" in nixgen("run", "--environment", "tpu", "--", "echo", shell=False, path=path).stderr
    )
    done = nixgen("run", "--", "echo", shell=False, path="/nowhere")
    assert (done.returncode, done.stderr.splitlines()[0]) == (3, "error: there is no program nix-shell")
