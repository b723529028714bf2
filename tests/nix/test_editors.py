"""Kernels for notebooks, and direnv, on real Nix: they have what the shell has. ipykernel is a stand-in."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import PYTHON, locked
from support.index import serve
from support.nix import SYSTEM, Nix, Output, current
from support.project import Project
from support.wheels import make_wheel

MORE = """
[dependency-groups]
dev = ["ipykernel"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.nixgen]
tools = ["jq"]

[tool.nixgen.environments.plain]
groups = []
"""
IPYKERNEL = """
import json, os, sys

class Events:
    told = []
    def register(self, name, tell):
        self.told.append(tell)
    def unregister(self, name, tell):
        self.told.remove(tell)

class IPKernelApp:
    shell = type("Shell", (), {"events": Events()})()
    @classmethod
    def instance(cls):
        return cls()
    def initialize(self, argv):
        self.argv = argv
    def start(self):
        import demo
        for tell in list(Events.told):
            tell(None)
        code = [path for path in sys.path if os.path.exists(f"{path}/enter.py")]
        print(json.dumps([self.argv, dict(os.environ), demo.__file__, os.getcwd(), code, len(Events.told)]))
"""
SHARED = (
    "VIRTUAL_ENV",
    "VIRTUAL_ENV_PROMPT",
    "UV_NO_SYNC",
    "UV_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
    "NIXGEN_ROOT",
    "SHELL",
)

pytestmark = [
    pytest.mark.network,
    pytest.mark.one_nix,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
]


@pytest.fixture(scope="module")
def origin(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a package of its own, a tool, ipykernel in a group, and an environment without it."""
    folder = tmp_path_factory.mktemp("kernels")
    make_wheel(folder / "index", "ipykernel", "7.0", {"ipykernel/__init__.py": "", "ipykernel/kernelapp.py": IPYKERNEL})
    with serve(folder / "index") as index, locked(stores / "pins.lock"):
        project = Project.make(folder / "demo", index=index.simple, more=MORE)
        (project.folder / "src/demo").mkdir(parents=True)
        (project.folder / "src/demo/__init__.py").write_text("")
        project.must("init", "--base", "debian", "--python", PYTHON, "--system", SYSTEM)
        yield project


@pytest.fixture
def project(origin: Project, tmp_path: Path) -> Project:
    shutil.copytree(origin.folder, tmp_path / "demo", symlinks=True)
    return Project(tmp_path / "demo")


class Notebook:
    """A user's Jupyter: what nixgen says, and what Jupyter would start."""

    def __init__(self, nix: Nix, project: Project, data: Path) -> None:
        self.nix, self.project, self.data = nix, project, data

    def nixgen(self, *words: str) -> Output:
        return self.nix.nixgen(*words, cwd=self.project.folder, JUPYTER_DATA_DIR=str(self.data))

    def spec(self, name: str = "nixgen-demo") -> Any:
        return json.loads((self.data / f"kernels/{name}/kernel.json").read_text())

    def start(self, spec: Any, *, vscode: bool = False) -> Output:
        argv = [word.format(connection_file="file.json") for word in spec["argv"]]
        if vscode:  # as it rewrites what it starts (kernelProcess.node.ts)
            assert argv[-2:] == ["-f", "file.json"]
            argv = [f"{self.project.folder}/.venv/bin/python", *argv[1:-2], "--f=file.json"]
        set_ = [f"{name}={value.replace('${PATH}', os.environ['PATH'])}" for name, value in spec.get("env", {}).items()]
        return self.nix.inside("env", *set_, *argv, cwd=self.data, check=False)


@pytest.fixture
def notebook(project: Project, nix: Nix, tmp_path: Path) -> Notebook:
    return Notebook(nix, project, tmp_path / "data")


def test_a_kernel_is_what_the_shell_is(notebook: Notebook, project: Project, nix: Nix) -> None:
    done = notebook.nixgen("kernel", "install")
    assert done.returncode == 0, done.tail()
    assert 'Installed the kernel "demo" in ' in done.stderr
    assert notebook.spec()["display_name"] == "demo"
    printed = nix.shell(project.folder, f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'")
    shell = json.loads(printed.stdout)
    (own,) = (project.folder / ".venv/share/jupyter/kernels").glob("nixgen-*/kernel.json")
    for spec in (notebook.spec(), json.loads(own.read_text())):
        assert Path(spec["argv"][0]).is_absolute()
        for vscode in (False, True):
            done = notebook.start(spec, vscode=vscode)
            argv, found, demo, place, code, left = json.loads(done.stdout)
            assert argv == (["--f=file.json"] if vscode else ["-f", "file.json"])
            assert {name: found[name] for name in SHARED} == {name: shell[name] for name in SHARED}
            assert found["PATH"].split(":")[:2] == shell["PATH"].split(":")[:2]
            assert (demo, place, code, left) == (f"{project.folder}/src/demo/__init__.py", str(notebook.data), [], 0)
            assert done.stderr == ""
    assert json.loads(notebook.nixgen("kernel", "list", "--json").stdout)["kernels"] == [
        {
            "name": "nixgen-demo",
            "title": "demo",
            "project": str(project.folder),
            "environment": None,
            "folder": str(notebook.data / "kernels/nixgen-demo"),
            "problem": None,
        }
    ]
    assert notebook.nixgen("kernel", "remove").returncode == 0
    assert list((notebook.data / "kernels").iterdir()) == []


def test_a_result_has_a_kernel_with_its_own_code(project: Project, nix: Nix) -> None:
    result = nix.build(project.folder, "environment")
    spec = json.loads(nix.real(result / "share/jupyter/kernels/nixgen-demo/kernel.json").read_text())
    assert spec["argv"][0] == f"{result}/bin/python"
    assert spec["env"]["VIRTUAL_ENV"] == str(result)
    first, second, *rest = spec["env"]["PATH"].split(":")
    assert (first, rest) == (f"{result}/bin", ["${PATH}"])
    assert nix.real(f"{second}/jq").exists()
    assert nix.inside(spec["argv"][0], "-c", "import demo; print(demo.__file__)").stdout.startswith("/nix/store/")


def test_a_kernel_says_what_is_wrong(notebook: Notebook, project: Project, nix: Nix) -> None:
    """On stderr where it cannot start, which editors show; below the first cell where it is an older environment."""
    # An environment that no other test has, since it is deleted.
    project.replace("\\nVersion: 0.1.0", f"\\nVersion: 0.1.0\\nSummary: {project.folder}", file="default.nix")
    assert notebook.nixgen("kernel", "install").returncode == 0
    spec, folder = notebook.spec(), project.folder
    default = (folder / "default.nix").read_text()
    (folder / "default.nix").write_text(f"{default}# more\n")
    told = notebook.start(spec)
    assert "this kernel has an older environment: default.nix changed after" in told.stderr
    assert json.loads(told.stdout)[-1] == 0  # told once
    nix.shell(folder, "true")
    assert notebook.start(spec).stderr == ""
    lock = (folder / "uv.lock").read_text()
    (folder / "uv.lock").write_text(f"{lock}# more\n")
    told = notebook.start(spec)
    assert "uv.lock changed after default.nix was generated. Run: nixgen sync, and restart the kernel" in told.stderr
    assert told.ok
    (folder / "uv.lock").write_text(lock)
    # As long as the venv is there, so is its environment.
    (venv,) = folder.glob(".venv-*")
    setup = (venv / "root").readlink()
    refused = nix.run("nix-store", "--delete", str(setup), check=False)
    assert "still alive" in refused.stderr
    (venv / "root").unlink()
    nix.run("nix-store", "--delete", str(setup))
    assert "removed by Nix's garbage collection" in notebook.nixgen("kernel", "list").stdout
    gone = notebook.start(spec)
    assert gone.returncode == 1
    assert f"the environment of demo is gone. Run: cd {folder} && nixgen kernel install (Nix's garbage" in gone.stderr
    shutil.rmtree(venv)
    assert "demo has no environment. Run: cd " in notebook.start(spec).stderr
    assert notebook.nixgen("kernel", "install").returncode == 0
    assert notebook.start(spec).ok
    folder.rename(folder.with_name("moved"))
    assert (
        f"this kernel is gone. Run: nixgen kernel remove nixgen-demo (it was in {folder})"
        in notebook.start(spec).stderr
    )


def test_an_environment_without_ipykernel_is_told_what_to_type(notebook: Notebook) -> None:
    done = notebook.nixgen("kernel", "install", "--env", "plain")
    assert done.returncode == 2
    assert done.stderr == ("error: uv.lock: has no ipykernel, which starts a kernel\n  hint: nixgen add ipykernel\n")
    assert not notebook.data.exists()


def test_a_shell_is_entered_where_no_root_can_be_made(project: Project, nix: Nix, tmp_path: Path) -> None:
    nix.develop(project.folder, "true")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nix-store").write_text("#!/bin/sh\necho no >&2\nexit 1\n")
    (tmp_path / "bin/nix-store").chmod(0o755)
    read_only = "mount -t tmpfs -o ro tmpfs /nix/var/nix/gcroots/auto"
    for before in (read_only, f"PATH={tmp_path}/bin:$PATH", "true"):
        for venv in project.folder.glob(".venv-*"):
            shutil.rmtree(venv)
        done = nix.inside("sh", "-c", f"{before} && nix develop -c true", cwd=project.folder)
        assert [line for line in done.stderr.splitlines() if not line.startswith("warning: ")] == []
        assert (project.folder / ".venv/bin/python").is_symlink()
        (venv,) = project.folder.glob(".venv-*")
        assert (venv / "root").is_symlink() == (before == "true")


NIX_DIRENV = """
nix_direnv_version() { :; }
use_flake() { export USED="flake $*"; }
"""
# What direnv itself, and bash, set.
NOISE = {"DIRENV_DIFF", "DIRENV_DIR", "DIRENV_IN_ENVRC", "DIRENV_FILE", "DIRENV_WATCHES", "OLDPWD", "PWD", "SHLVL", "_"}


def test_direnv_enters_the_environment(project: Project, nix: Nix, tmp_path: Path) -> None:
    """By its own means, whether flakes are switched on or not; with nix-direnv, that does it."""
    project.must("init", "--direnv")
    config = tmp_path / "config/direnv"
    (config / "lib").mkdir(parents=True)
    (config / "direnv.toml").write_text("[global]\nstrict_env = true\n")
    user = {"XDG_CONFIG_HOME": str(config.parent), "XDG_DATA_HOME": str(tmp_path / "share"), "HOME": str(tmp_path)}
    direnv = current("direnv") / "direnv"
    printed = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"

    def entered(nix: Nix) -> dict[str, str]:
        done = nix.inside("sh", "-c", f"{direnv} allow . && {direnv} exec . {printed}", cwd=project.folder, **user)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    before = json.loads(nix.inside("sh", "-c", printed, cwd=project.folder, **user).stdout)
    shell = json.loads(nix.shell(project.folder, printed, **user).stdout)
    for one in (nix, nix.with_settings(experimental_features="")):
        found = entered(one)
        assert {name: found[name] for name in SHARED} == {name: shell[name] for name in SHARED}
        assert found["PATH"].split(":")[:2] == shell["PATH"].split(":")[:2]
        more = {name for name, value in found.items() if before.get(name) != value}
        assert more - NOISE <= {*SHARED, "PATH", "NIX_CONFIG", "NIXGEN_LABEL", "SSL_CERT_FILE", "UV_PYTHON_DOWNLOADS"}
    watched = nix.inside(direnv, "show_dump", found["DIRENV_WATCHES"], **user).stdout
    assert all(f"{project.folder}/{name}" in watched for name in ("pyproject.toml", "uv.lock", "nixgen.lock"))
    (config / "lib/nix-direnv.sh").write_text(NIX_DIRENV)
    assert entered(nix)["USED"] == "flake "
    # A shell of a flake inside of it is the inner one's.
    other = tmp_path / "other"
    shutil.copytree(project.folder, other, ignore=shutil.ignore_patterns(".venv*"))
    inner = nix.shell(project.folder, f"cd {other} && nix develop -c sh -c 'echo $NIXGEN_ROOT'")
    assert inner.stdout == f"{other}\n"
