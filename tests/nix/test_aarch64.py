"""aarch64-linux on the debian base: built in the sandbox under qemu, run, checked, and compared with x86_64."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import SITE, tree
from support.nix import ROOT, Nix, Output
from support.project import Project
from test_real_wheels import SETTINGS

HERE, THERE = "x86_64-linux", "aarch64-linux"
MORE = f"""{SETTINGS}systems = ["{THERE}", "{HERE}"]
smoke = ["python -c 'import zmq; assert len(zmq.curve_keypair()[0]) == 40'"]
"""
# nixgen asks the kernel which machine this is. It runs natively: only what Nix builds is for the other one.
ELSEWHERE = """
import os, sys
here = os.uname()
os.uname = lambda: os.uname_result((*here[:4], "aarch64"))
from nixgen.__main__ import main
sys.argv[0] = "nixgen"
main()
"""
needs_time = pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")
WITH_SOURCE = f"""
[tool.uv]
no-binary-package = ["crcmod"]

[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{THERE}"]
"""
# pyzmq is small, for qemu is slow, and brings two libraries of its own: ZeroMQ, and libsodium, which makes its keys.
RUN = """
import json, platform, ssl, sqlite3, sys, zmq
public, secret = zmq.curve_keypair()
print(json.dumps([platform.machine(), list(sys.version_info[:2]), zmq.curve_public(secret) == public]))
"""


@pytest.fixture(scope="module")
def project(
    aarch64: Nix,  # noqa: ARG001 -- skips before anything is asked of an index
    pins: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """A project for both machines, on the pins that are there already."""
    made = Project.make(tmp_path_factory.mktemp("aarch64") / "demo", "pyzmq", "six", more=MORE)
    made.lock()
    shutil.copytree(pins / "nix", made.folder / "nix")
    for name in ("nixgen.lock", "flake.nix", "flake.lock", "shell.nix"):
        shutil.copy(pins / name, made.folder)
    made.must("generate")
    return made


def build(nix: Nix, project: Project, system: str, attribute: str) -> Path:
    return nix.build_expression(f'(import {project.folder} {{ system = "{system}"; }}).{attribute}')


def check(nix: Nix, project: Project, *options: str) -> Output:
    words = [sys.executable, "-c", ELSEWHERE, "check", *options]
    return nix.inside(*words, cwd=project.folder, PYTHONPATH=str(ROOT), NO_COLOR="1")


def test_the_environment_is_built_and_its_python_runs(project: Project, aarch64: Nix) -> None:
    environment = build(aarch64, project, THERE, "environment")
    machine = aarch64.real(build(aarch64, project, THERE, "base.core") / "usr/bin/python3.13").read_bytes()[18:20]
    assert machine == b"\xb7\x00"  # EM_AARCH64
    said = json.loads(aarch64.inside(environment / "bin/python", "-c", RUN, cwd=project.folder).stdout)
    assert said == ["aarch64", [3, 13], True]


def test_what_is_built_is_recorded_and_checked(project: Project, aarch64: Nix) -> None:
    """The import check and the smoke command are builds for that machine, too; one wheel is built twice."""
    check(aarch64, project, "--update")
    assert list(json.loads((project.folder / "nixgen.hashes.json").read_text())["systems"]) == [THERE]
    done = check(aarch64, project, "--rebuild", "six", "--json")
    (report,) = json.loads(done.stdout)["reports"]
    assert report["system"] == THERE
    assert {step["name"]: step["ok"] for step in report["steps"]} == dict.fromkeys(
        ("stale", "recipe", "build", "bytes", "rebuild", "works"), True
    )


def test_a_pure_wheel_is_the_same_bytes_on_both_machines(project: Project, aarch64: Nix) -> None:
    both = [build(aarch64, project, system, "wheels.six") for system in (HERE, THERE)]
    assert both[0] != both[1]
    assert aarch64.nar_hash(both[0]) == aarch64.nar_hash(both[1])


@pytest.mark.parametrize(
    ("sources", "compiled", "folder", "least"),
    [("wheels.pyzmq", "bytecode.pyzmq", SITE, 20), ("base.core", "base.core", "usr/lib/python3.13", 400)],
)
def test_modules_with_equal_source_have_equal_byte_code_on_both_machines(
    project: Project, aarch64: Nix, sources: str, compiled: str, folder: str, least: int
) -> None:
    """Each machine's own Python writes it. Also where the wheels or packages are not the same file."""
    here, there, *codes = (
        aarch64.real(build(aarch64, project, system, attribute)) / folder
        for attribute in (sources, compiled)
        for system in (HERE, THERE)
    )
    different, equal = [], 0
    for name in tree(here):
        path = here / name
        if path.suffix != ".py" or path.is_symlink() or not (there / name).is_file():
            continue
        if path.read_bytes() != (there / name).read_bytes():
            continue
        code = f"{path.parent.relative_to(here)}/__pycache__/{path.stem}.cpython-313.pyc"
        if (codes[0] / code).exists():
            equal += 1
            if (codes[0] / code).read_bytes() != (codes[1] / code).read_bytes():
                different.append(code)
    assert different == []
    assert equal > least


@needs_time
@pytest.mark.timeout(4 * 3600)  # compilers under qemu
def test_a_source_with_c_code_is_built_there_and_the_same_again(aarch64: Nix, pins: Path, tmp_path: Path) -> None:
    """Its backend is asked there, too; compilers are those of Debian's arm64, and run under qemu."""
    made = Project.make(tmp_path / "demo", "crcmod==1.7", more=WITH_SOURCE)
    made.lock()
    shutil.copytree(pins / "nix", made.folder / "nix")
    for name in ("nixgen.lock", "flake.nix", "flake.lock", "shell.nix"):
        shutil.copy(pins / name, made.folder)
    for word in ("lock", "generate"):
        aarch64.inside(sys.executable, "-c", ELSEWHERE, word, cwd=made.folder, PYTHONPATH=str(ROOT), NO_COLOR="1")
    environment = build(aarch64, made, THERE, "environment")
    code = "import crcmod._crcfunext as found, platform; print(platform.machine(), found.__file__[-24:])"
    said = aarch64.inside(environment / "bin/python", "-c", code, cwd=made.folder).stdout
    assert said.startswith("aarch64 ")
    assert said.endswith("aarch64-linux-gnu.so\n")
    check(aarch64, made, "--update")
    done = check(aarch64, made, "--rebuild", "crcmod", "--json")
    (report,) = json.loads(done.stdout)["reports"]
    assert {step["name"]: step["ok"] for step in report["steps"]}["rebuild"]
    assert THERE in json.loads((made.folder / "nixgen.hashes.json").read_text())["systems"]


@needs_time
def test_an_image_is_an_index_of_both_machines_and_runs(project: Project, aarch64: Nix, tmp_path: Path) -> None:
    words = ["image", "build", "--system", THERE, "--system", HERE, "--json", "--out", str(tmp_path / "layout")]
    done = aarch64.inside(sys.executable, "-m", "nixgen", *words, cwd=project.folder, PYTHONPATH=str(ROOT))
    told = json.loads(done.stdout)
    assert [image["platform"] for image in told["images"]] == ["linux/arm64", "linux/amd64"]
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    index = json.loads((blobs / told["digest"][7:]).read_text())
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["arm64", "amd64"]
    root = tmp_path / "root"
    root.mkdir()
    for layer in told["images"][0]["layers"]:
        subprocess.run(["tar", "-xpf", blobs / layer["digest"][7:], "-C", root], check=True)
    manifest = json.loads((blobs / told["images"][0]["digest"][7:]).read_text())
    command = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())["config"]["Cmd"]
    said = aarch64.inside("chroot", "--userspec=1000:1000", root, *command, "-c", RUN)
    assert json.loads(said.stdout) == ["aarch64", [3, 13], True]
