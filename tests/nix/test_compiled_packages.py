"""Packages of the project's own that have to be compiled, from uv.lock to a shell and a record: on real Nix."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from checking import Checked, findings, steps
from support.nix import SYSTEM, Nix
from support.project import Project

if TYPE_CHECKING:
    from support.index import Index

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

# A backend in the source itself, which compiles and makes one more module: nothing else has to be fetched.
BACKEND = """
import os, seed, subprocess, sysconfig, zipfile
def build_wheel(folder, settings=None):
    open("../core/Cargo.toml").close()
    include = sysconfig.get_path("include")
    subprocess.run(["cc", "-shared", "-fPIC", "-I", include, "-o", "made.so", "nut/_shell.c"], check=True)
    name, info = "nut-1.0-cp313-cp313-linux_x86_64.whl", "nut-1.0.dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.write("made.so", "nut/_shell" + sysconfig.get_config_var("EXT_SUFFIX"))
        wheel.write("nut/__init__.py", "nut/__init__.py")
        wheel.writestr("nut/_made.py", "BY = " + repr(seed.NAME))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: nut\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp313-cp313-linux_x86_64\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\ncrack = nut:main\\n")
        wheel.writestr(info + "RECORD", "nut/__init__.py,,\\n")
    return name
"""
PLAIN = """
import zipfile
def build_wheel(folder, settings=None):
    name, info = "seed-2.0-py3-none-any.whl", "seed-2.0.dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.write("seed.py")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: seed\\nVersion: 2.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "seed.py,,\\n")
    return name
"""
SOURCE = """#include <Python.h>
static PyObject *hard(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"hard", hard, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_shell", 0, -1, methods};
PyMODINIT_FUNC PyInit__shell(void) { return PyModule_Create(&module); }
"""
FILES = {
    "pyproject.toml": f"""[project]
name = "demo"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["fig", "nut"]
[tool.uv]
package = false
[tool.uv.sources]
fig = {{ path = "libs/fig", editable = true }}
nut = {{ path = "libs/nut", editable = true }}
[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]
smoke = ["crack", "python -c 'import fig'"]
""",
    "libs/nut/pyproject.toml": """[project]
name = "nut"
version = "1.0"
requires-python = ">=3.11"
[build-system]
requires = ["seed"]
build-backend = "own"
backend-path = ["."]
[tool.uv.sources]
seed = { path = "../seed" }
[tool.setuptools]
ext-modules = [{ name = "nut._shell", sources = ["nut/_shell.c"] }]
""",
    # The build writes fig/_version.py, which git does not have.
    "libs/fig/pyproject.toml": """[project]
name = "fig"
version = "1.4"
[build-system]
requires = ["setuptools-scm"]
build-backend = "setuptools.build_meta"
[tool.setuptools_scm]
version_file = "fig/_version.py"
""",
    "libs/fig/fig/__init__.py": "from fig._version import version, version_tuple\n",
    "libs/nut/setup.py": "",
    # As one in Rust has it, whose crates lie beside it: these are there when it is built.
    "libs/nut/Cargo.toml": "[dependencies]\ncore = { path = '../core' }\n",
    "libs/core/Cargo.toml": "[package]\nname = 'core'\n",
    # Another package of the project, which is there for the build alone.
    "libs/seed/pyproject.toml": """[project]
name = "seed"
version = "2.0"
[build-system]
requires = []
build-backend = "plain"
backend-path = ["."]
""",
    "libs/seed/plain.py": PLAIN,
    "libs/seed/seed.py": "NAME = 'backend'\n",
    "libs/nut/own.py": BACKEND,
    "libs/nut/nut/_shell.c": SOURCE,
    "libs/nut/nut/__init__.py": "from nut import _made, _shell\ndef main():\n    print(_shell.hard(), _made.BY)\n",
}


@pytest.fixture(scope="module")
def compiled(nix28: Nix, pins: Path, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("compiled") / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    checked = Checked(Project(folder), nix28, served)
    checked.project.lock()
    checked.project.git()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return checked


def test_case_61_it_is_told_and_pinned_as_a_build(compiled: Checked) -> None:
    shown = compiled.run("show", "--json")
    _, nut = json.loads(shown.stdout)["targets"][SYSTEM]["packages"]
    assert (nut["kind"], nut["path"], nut["why"]) == (
        "directory",
        "libs/nut",
        "has to be compiled (the extension nut._shell)",
    )
    assert "nut 1.0  folder: has to be compiled (the extension nut._shell)" in compiled.run("show").stdout
    builds = json.loads((compiled.folder / "nixgen.lock").read_text())["builds"]
    assert [build["source"] for build in builds] == ["folder:libs/nut", "folder:libs/seed"]
    assert builds[0]["requires"] == {SYSTEM: ["seed==2.0"]}
    assert not any({"file", "sha256", "narHash"} & build.keys() for build in builds)
    assert compiled.run("lock", "--offline").stderr == "nixgen.lock: nothing to do, every pin still fits.\n"


def test_case_61_what_is_compiled_is_there_and_python_files_are_those_of_the_work_tree(compiled: Checked) -> None:
    """Also where the current folder has the package without its compiled part, or with one of another machine."""
    wrong = compiled.folder / "libs/nut/nut/_shell.cpython-313-x86_64-linux-gnu.so"
    wrong.write_text("made by uv sync, for another Python")
    code = compiled.folder / "libs/nut/nut/__init__.py"
    before = code.read_text()
    words = ("nix-shell", compiled.folder / "shell.nix", "--run")
    try:
        for command in ("crack", "cd libs/nut; python -c 'import nut; nut.main()'"):
            done = compiled.nix.inside(*words, command, cwd=compiled.folder)
            assert done.stdout == "42 backend\n", done.tail()
        edit = f"echo 'def main(): print(\"edited\", _shell.hard())' >> {code}; crack"
        assert compiled.nix.inside(*words, edit, cwd=compiled.folder).stdout == "edited 42\n"
    finally:
        code.write_text(before)
        wrong.unlink()


def test_case_61_it_is_recorded_and_built_to_the_same_bytes(compiled: Checked) -> None:
    compiled.check("--update")
    done = compiled.check("--rebuild=nut", "--json")
    assert {name: step["ok"] for name, step in steps(done).items()}["rebuild"]
    assert findings(done, "rebuild") == []


def test_case_61_what_is_required_for_it_is_asked_anew(compiled: Checked) -> None:
    file = compiled.folder / "libs/nut/pyproject.toml"
    before = file.read_text()
    try:
        file.write_text(before.replace('["seed"]', '["none==1"]'))
        done = compiled.run("generate")
        assert "nixgen.lock: has old pins to build nut" in done.stderr
    finally:
        file.write_text(before)


def test_a_module_that_only_a_build_makes(compiled: Checked) -> None:
    """With its version; and what lies in the work tree counts, as for all of the package."""
    words = ("nix-shell", compiled.folder / "shell.nix", "--run")
    command = "python -c 'import fig; print(fig.version, fig.version_tuple)'"
    assert compiled.nix.inside(*words, command, cwd=compiled.folder).stdout == "1.4 (1, 4)\n"
    made = compiled.folder / "libs/fig/fig/_version.py"
    try:
        made.write_text("version = version_tuple = 'mine'\n")
        assert compiled.nix.inside(*words, command, cwd=compiled.folder).stdout == "mine mine\n"
    finally:
        made.unlink()
