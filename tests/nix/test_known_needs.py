"""The table of what sources are known to need: all of its rows, built from source in one project and imported."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from checking import Checked
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project

from nixgen.builds.known import KNOWN, Known

if TYPE_CHECKING:
    from support.index import Index

pytestmark = [
    pytest.mark.timeout(4 * 3600),
    pytest.mark.network,
    pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="what was tried was tried on x86_64-linux"),
    pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds"),
]
MODULES = {
    "cffi": "_cffi_backend",
    "dbus-python": "_dbus_bindings",
    "gmpy2": "gmpy2",
    "mysqlclient": "MySQLdb._mysql",
    "plyvel": "plyvel",
    "psycopg-c": "psycopg, psycopg_c.pq",
    "psycopg2": "psycopg2",
    "pyaudio": "pyaudio",
    "pycairo": "cairo",
    "pycups": "cups",
    "pycurl": "pycurl",
    "pygraphviz": "pygraphviz",
    "pylibmc": "pylibmc",
    "pyodbc": "pyodbc",
    "pysodium": "pysodium",
    "python-ldap": "ldap",
    "python-rtmidi": "rtmidi",
    "systemd-python": "systemd.journal",
}
# What uv asks a source on this machine, where the library is not there; and what a source needs and does not say.
METADATA = {"pycups": "2.0.4", "pycurl": "7.45.6", "systemd-python": "235"}
BESIDE = ("psycopg==3.2.9",)


@pytest.fixture(scope="module")
def project(nix28: Nix, pins: object, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("known") / "demo"
    shutil.copytree(str(pins), folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    quoted = [json.dumps(f"{row.name}=={row.tried}") for row in KNOWN] + [json.dumps(name) for name in BESIDE]
    tables = []
    for row in KNOWN:
        keys = [("build-libraries", row.build_libraries), ("build-tools", row.build_tools)]
        tables += [
            f"[tool.nixgen.packages.{row.name}]",
            *(f"{key} = {json.dumps(names)}" for key, names in keys if names),
        ]
    metadata = "".join(
        f'[[tool.uv.dependency-metadata]]\nname = "{name}"\nversion = "{version}"\n'
        for name, version in METADATA.items()
    )
    libraries = sorted({name for row in KNOWN for name in row.libraries})
    (folder / "pyproject.toml").write_text(
        f"{PYPROJECT.format(dependencies=', '.join(quoted))}\n"
        f"[tool.uv]\nno-binary-package = {json.dumps([row.name for row in KNOWN])}\n{metadata}\n"
        f'[tool.nixgen]\nbase = "debian"\npython = "3.13"\nsystems = ["{SYSTEM}"]\n'
        f"libraries = {json.dumps(libraries)}\n" + "\n".join(tables) + "\n"
    )
    checked = Checked(Project(folder), nix28, served)
    checked.project.lock()
    for words in (("lock",), ("generate",)):
        done = checked.run(*words)
        assert done.ok, done.tail()
        assert "known to need" not in done.stderr, "the settings have all of the table"
    checked.nix.build(folder, "environment", "--cores", "1")
    return checked


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row.name)
def test_what_is_known_to_be_needed_suffices(project: Checked, row: Known) -> None:
    python = project.nix.build(project.folder, "environment") / "bin/python"
    project.nix.run(str(python), "-c", f"import {MODULES[row.name]}")


def test_they_are_the_same_again(project: Checked) -> None:
    again = [word for row in KNOWN for word in ("-A", f"wheels.{row.name}")]
    project.nix.run("nix-build", "--no-out-link", "--check", "--cores", "2", *again, project.folder)
