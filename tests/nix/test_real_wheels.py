"""Real wheels, of the releases that examples/notebook has: RECORD, byte code, and nothing of the host."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from lab import PYTHON, SITE, Lab, tree
from support.nix import SHELL, SYSTEM, Nix
from support.project import Project
from test_determinism import OTHERS, again
from test_wheels import verify

pytestmark = pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")

SETTINGS = f"""
[tool.uv]
exclude-newer = "2026-09-01T00:00:00Z"

[tool.nixgen]
base = "debian"
python = "{PYTHON}"
"""
MODULES = ["numpy", "scipy", "pyarrow", "onnxruntime", "sklearn"]
PACKAGES = ["numpy", "scipy", "pyarrow", "onnxruntime", "scikit-learn", "ruff"]


@pytest.fixture(scope="module")
def science(pins: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on the pins that are there already: no second question to apt."""
    project = Project.make(tmp_path_factory.mktemp("science") / "demo", *PACKAGES, more=SETTINGS)
    project.lock()
    shutil.copytree(pins / "nix", project.folder / "nix")
    for name in ("nixgen.lock", "flake.nix", "flake.lock", "shell.nix"):
        shutil.copy(pins / name, project.folder)
    project.must("generate")
    return project


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_is_what_the_publishers_record_says(science: Project, nix28: Nix, package: str) -> None:
    installed = nix28.real(nix28.build(science.folder, f'wheels."{package}"'))
    drv = nix28.evaluate(f'(import {science.folder} {{}}).wheels."{package}".drvPath')
    log = nix28.run("nix-store", "--read-log", drv).stdout
    patched = re.findall(r": patched (\S+): a program that was given the interpreter path /nix/store/", log)
    wheel = nix28.real(nix28.evaluate(f'(import {science.folder} {{}}).wheels."{package}".src.outPath'))
    below = tuple(os.path.relpath(place, SITE) for place in patched)
    with zipfile.ZipFile(wheel) as archive:
        count = sum(not entry.is_dir() for entry in archive.infolist())
    assert verify(wheel, installed, patched=below) == count - 1
    assert patched == {"ruff": ["bin/ruff"]}.get(package, [])


def test_a_patched_program_starts(science: Project, nix28: Nix) -> None:
    environment = nix28.build(science.folder, "environment")
    assert nix28.inside(f"{environment}/bin/ruff", "--version").stdout.startswith("ruff ")


def test_byte_code_for_every_module_but_tests(science: Project, nix28: Nix) -> None:
    files = set(tree(nix28.real(nix28.build(science.folder, "wheels.numpy")) / SITE))
    assert [name for name in files if name.endswith(".pyc")] == []
    compiled = set(tree(nix28.real(nix28.build(science.folder, "bytecode.numpy")) / SITE))
    wanted = {
        f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-313.pyc"
        for folder, _, name in (path.rpartition("/") for path in files if path.endswith(".py"))
        if {"test", "tests"}.isdisjoint(folder.split("/"))
    }
    assert compiled == wanted
    assert len(compiled) > 100


def test_the_same_bytes_with_other_settings_and_versions(
    science: Project, both_nix: tuple[Nix, Nix], tmp_path: Path
) -> None:
    found = set()
    for nix, other, mask in zip(both_nix, OTHERS, (0o077, 0o002), strict=True):
        for attribute in ("wheels.numpy", "bytecode.numpy"):
            numpy = nix.build(science.folder, attribute)
            again(nix, f"(import {science.folder} {{}}).{attribute}", tmp_path, other, mask)
            found.add((str(numpy), nix.nar_hash(numpy)))
    assert len(found) == 2


def outside(text: str, home: Path) -> list[str]:
    """The absolute paths that are neither in the store nor the user's own."""
    allowed = ("/nix/store/", "/dev/", "/memfd", f"{home}/")
    return sorted({word for word in text.split() if word.startswith("/") and not word.startswith(allowed)})


@pytest.mark.one_nix
@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_the_host_is_mapped_or_tried(science: Project, nix: Nix, module: str, tmp_path: Path) -> None:
    """What is mapped when the module is loaded, and each file that the loader tried on the way (ld.so(8), LD_DEBUG).

    A module may run a program of the machine (onnxruntime looks for its devices): what that loads is its own affair.
    """
    environment = nix.build(science.folder, "environment")
    maps = "print(*(line.split(maxsplit=5)[-1] for line in open('/proc/self/maps')), sep='')"
    code = f"import os; print(os.getpid()); import {module}; {maps}"
    own = [f"HOME={tmp_path}", f"XDG_CACHE_HOME={tmp_path}/cache"]  # onnxruntime may map a database in there
    done = nix.inside("env", "LD_DEBUG=libs", "LANG=C.UTF-8", *own, f"{environment}/bin/python", "-c", code)
    assert f"{SITE}/numpy/" in done.stdout
    assert outside(done.stdout, tmp_path) == []
    pid = done.stdout.split()[0]
    tried = re.findall(rf"^\s*{pid}:\s+(?:trying file=|calling init: )(\S+)", done.stderr, re.MULTILINE)
    assert len(tried) > 20
    assert outside(" ".join(tried), tmp_path) == []


@pytest.mark.parametrize("module", MODULES)
def test_each_module_alone_in_the_sandbox(science: Project, nix28: Nix, module: str) -> None:
    project = f"(import {science.folder} {{}})"
    command = f"HOME=$TMPDIR ${{{project}.environment}}/bin/python -c 'import {module}' && echo ok > $out"
    built = nix28.with_settings(sandbox_paths=SHELL).build_expression(
        f'derivation {{ system = "{SYSTEM}"; name = "alone-{module}"; builder = {project}.base.bash; '
        f'args = [ "-c" "{command}" ]; }}'
    )
    assert nix28.real(built).read_text() == "ok\n"


def test_what_converts_text_is_not_the_hosts(lab: Lab) -> None:
    """glibc's iconv loads modules: those of the machine, of another glibc, would be code of the host."""
    code = (
        "import ctypes\n"
        "libc = ctypes.CDLL('libc.so.6', use_errno=True)\n"
        "libc.iconv_open.restype = ctypes.c_ssize_t\n"
        "libc.iconv_open(b'EUC-JP', b'UTF-8')\n"
        "answer = [l.split()[-1] for l in open('/proc/self/maps') if 'gconv' in l]"
    )
    assert lab.value(lab.environment(), code) == []
