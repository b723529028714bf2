"""What packages are known to need: all rows of the table in one project, built where they say so, and imported."""

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
# What of each is imported, or done: where nothing is said, its name.
MODULES = {
    "cffi": "_cffi_backend",
    "dbus-python": "_dbus_bindings",
    "gdal": "osgeo.gdal, osgeo.gdal_array",
    "libusb1": "usb1",
    "libvirt-python": "libvirt",
    "lxml": "lxml.etree",
    "m2crypto": "M2Crypto",
    "mysqlclient": "MySQLdb._mysql",
    "numba": "numba.np.ufunc.omppool, numba.np.ufunc.tbbpool",
    "pillow": "PIL._imagingcms, PIL._imagingft, PIL._webp, PIL.features as f; assert f.check('jpg_2000')",
    "psycopg-c": "psycopg, psycopg_c.pq",
    "pycairo": "cairo",
    "pycups": "cups",
    "pyenchant": "enchant",
    "pygobject": "gi._gi_cairo",
    "pyicu": "icu",
    "pylibacl": "posix1e",
    "pyproj": "pyproj; pyproj.CRS.from_epsg(4326)",
    "pyscard": "smartcard.scard",
    "pyside6-essentials": "PySide6.QtGui",
    "python-ldap": "ldap",
    "python-magic": "magic",
    "python-rtmidi": "rtmidi",
    "pyudev": "pyudev; pyudev.Context()",
    "pyusb": "usb.backend.libusb1 as found; assert found.get_backend()",
    "pyyaml": "yaml._yaml",
    "pyzbar": "pyzbar.pyzbar",
    "pyzmq": "zmq",
    "rasterio": "rasterio; rasterio.crs.CRS.from_epsg(4326)",
    "systemd-python": "systemd.journal",
    "uwsgi": "subprocess, sys; subprocess.run([f'{sys.prefix}/bin/uwsgi', '--version'], check=True)",
    "wand": "wand.image",
}
# What uv asks a source on this machine, where the library is not there; and what a source needs and does not say.
METADATA = {
    "gdal": ["numpy"],
    "gssapi": ["decorator"],
    "kerberos": [],
    "libvirt-python": [],
    "m2crypto": [],
    "pycups": [],
    "pycurl": [],
    "pyfuse3": ["trio"],
    "pygobject": ["pycairo"],
    "pyicu": [],
    "pylibacl": [],
    "pyscard": [],
    "systemd-python": [],
    "uwsgi": [],
}
BESIDE = ("psycopg==3.2.9",)
SOURCES = [row for row in KNOWN if row.build_libraries or row.build_tools]


@pytest.fixture(scope="module")
def project(nix28: Nix, pins: object, served: Index, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("known") / "demo"
    shutil.copytree(str(pins), folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    quoted = [json.dumps(f"{row.name}=={row.tried}") for row in KNOWN] + [json.dumps(name) for name in BESIDE]
    tables = []
    for row in SOURCES:
        keys = [("build-libraries", row.build_libraries), ("build-tools", row.build_tools)]
        tables += [
            f"[tool.nixgen.packages.{row.name}]\ntimeout = {4 * 3600}",
            *(f"{key} = {json.dumps(names)}" for key, names in keys if names),
        ]
    metadata = "".join(
        f'[[tool.uv.dependency-metadata]]\nname = "{row.name}"\nversion = "{row.tried}"\n'
        f"requires-dist = {json.dumps(METADATA[row.name])}\n"
        for row in KNOWN
        if row.name in METADATA
    )
    libraries = sorted({name for row in KNOWN for name in row.libraries})
    (folder / "pyproject.toml").write_text(
        f"{PYPROJECT.format(dependencies=', '.join(quoted))}\n"
        f"[tool.uv]\nno-binary-package = {json.dumps([row.name for row in SOURCES])}\n{metadata}\n"
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
    project.nix.run(str(python), "-c", f"import {MODULES.get(row.name, row.name)}")


def test_they_are_the_same_again(project: Checked) -> None:
    again = [word for row in SOURCES for word in ("-A", f"wheels.{row.name}")]
    project.nix.run("nix-build", "--no-out-link", "--check", "--cores", "2", *again, project.folder)
