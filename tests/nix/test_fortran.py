"""build-tools = ["gfortran"]: a source with a Fortran function, built by meson-python over Debian's compilers."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from checking import Checked
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project
from support.sdists import make_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index

pytestmark = [
    pytest.mark.timeout(4 * 3600),
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
]
FILES = {
    "pyproject.toml": """
[build-system]
requires = ["meson-python"]
build-backend = "mesonpy"
[project]
name = "sums"
version = "1.0"
""",
    "meson.build": """
project('sums', 'c', 'fortran', version: '1.0')
python = import('python').find_installation(pure: false)
python.extension_module('sums', 'module.c', 'total.f90', install: true)
""",
    "total.f90": """
subroutine total(n, values, found)
  integer, intent(in) :: n
  double precision, intent(in) :: values(n)
  double precision, intent(out) :: found
  character(len=32) :: text
  found = sum(values ** 2)
  write (text, '(f8.3)') found
  read (text, *) found
end subroutine
""",
    "module.c": """
#include <Python.h>
void total_(int *n, double *values, double *found);
static PyObject *total(PyObject *self, PyObject *arguments) {
    double values[3], found;
    int n = 3;
    if (!PyArg_ParseTuple(arguments, "ddd", values, values + 1, values + 2)) return NULL;
    total_(&n, values, &found);
    return PyFloat_FromDouble(found);
}
static PyMethodDef methods[] = {{"total", total, METH_VARARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "sums", "", -1, methods};
PyMODINIT_FUNC PyInit_sums(void) { return PyModule_Create(&module); }
""",
}
SETTINGS = f"""
[tool.uv.sources]
sums = {{path = "sums-1.0.tar.gz"}}

[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]
libraries = ["libgfortran5"]
packages = {{sums = {{build-tools = ["gfortran"]}}}}
"""


def test_fortran_is_built_imported_and_the_same_again(nix28: Nix, pins: Path, served: Index, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    make_sdist(folder, "sums", "1.0", FILES)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(dependencies='"sums"') + SETTINGS)
    checked = Checked(Project(folder), nix28, served)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
    environment = nix28.build(folder, "environment", "--cores", "1")
    code = "import sums; print(sums.total(1, 2, 3))"
    assert nix28.run(str(environment / "bin/python"), "-c", code).stdout == "14.0\n"
    nix28.run("nix-build", "--no-out-link", "--check", "--cores", "2", "-A", "wheels.sums", folder)
