"""Real sources, built with the debian base's own toolchain: the same bytes again, with one core and with two.

The slow ones are run by `make test-builds`; the others by every run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab import locked, make_library
from sourcelab import SourceLab
from support.nix import SYSTEM, Nix, NixError

from nixgen.bases.debian import busybox, suites
from nixgen.bases.debian.sources import machine_mirror
from nixgen.bases.model import Bootstrap
from nixgen.nix.templates import base_nix
from nixgen.project.settings import PackageSettings, Settings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(SYSTEM != "x86_64-linux", reason="the pins of these tests are for x86_64-linux"),
]
needs_time = pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")


@dataclass(frozen=True)
class Case:
    """A source, what of it is imported, and what else that needs."""

    requirement: str
    module: str
    imported_with: tuple[str, ...] = ()
    needs: bool = False
    code: str = "pass"
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.requirement.partition("=")[0]


# The quick ones of each kind of backend are in test_builds.py; these are built on two suites.
QUICK = [
    Case("crcmod==1.7", "crcmod._crcfunext"),  # C
    Case("annoy==1.17.3", "annoy.annoylib"),  # C++
]
SLOW = [
    Case("psycopg2==2.9.10", "psycopg2", needs=True),  # libpq, found by pg_config
    Case("evdev==1.9.2", "evdev._input"),  # headers of the kernel, which it reads by itself
    Case("thrift==0.22.0", "thrift.protocol.fastbinary"),
    Case("bottleneck==1.6.0", "bottleneck.reduce", ("numpy==2.3.2",)),  # over numpy's ABI
    Case("cytoolz==1.0.1", "cytoolz.itertoolz", ("toolz==1.0.0",)),  # Cython
    Case("spglib==2.6.0", "spglib._spglib", ("numpy==2.3.2", "typing-extensions")),  # scikit-build-core
    Case("contourpy==1.3.3", "contourpy._contourpy", ("numpy==2.3.2",)),  # meson-python with pybind11
]
# 231 files of C and C++: the hard one. It gives assembler files to the linking gcc, whose objects have names made up
# anew each time; these are in the symbol table.
NUMPY = Case(
    *("numpy==2.3.2", "numpy.linalg"),
    code="a = numpy.eye(3) + numpy.arange(9.0).reshape(3, 3); x = numpy.linalg.solve(a, a @ [1.0, 2.0, 3.0]); "
    "assert numpy.allclose(x, [1, 2, 3]) and numpy.allclose(numpy.fft.fft(x)[0], 6)",
    env={"LDFLAGS": "-Wl,--strip-all"},
)
PATIENCE = 4 * 3600  # seconds: on a machine with much else to do, numpy takes more than the hour that a build has


def pinned(folder: Path, suite: str, asked: Settings | None = None, name: str = "toolchain") -> Path:
    """The library with the pins of a suite and its toolchain, asked of apt once; for other settings by another name."""
    with locked(folder / f"{name}-{suite}.lock"):
        made = folder / f"{name}-{suite}"
        if not (made / "done").exists():
            (made / "nix/nixgen/bootstrap").mkdir(parents=True, exist_ok=True)

            def pack(system: str, package: object, *_: object) -> Bootstrap:
                data = busybox.tarball(package.url, package.sha256)  # type: ignore[attr-defined]
                (made / "nix/nixgen/bootstrap" / busybox.file_name(system)).write_bytes(data)
                return Bootstrap(system, busybox.file_name(system), busybox.sha256(data))

            packages = {"psycopg2": PackageSettings(build_libraries=("libpq-dev",))}
            settings = asked or Settings(base="debian", suite=suite, libraries=("libpq5",), packages=packages)
            python = suites.SUITES[suite].pythons[0]
            wanted = suites.Wanted(settings, python, toolchain=True)
            base = suites.resolve_base(wanted, (SYSTEM,), machine_mirror(), bootstrap=pack)
            (made / "nix/nixgen/base.nix").write_text(base_nix(base, (SYSTEM,), None))
            (made / "done").touch()
    return made


def make_lab(nix: Nix, stores: Path, folder: Path, suite: str) -> SourceLab:
    library = make_library(folder / "library", pinned(stores, suite))
    return SourceLab(nix, library, folder, suites.SUITES[suite].pythons[0])


@pytest.fixture(scope="session")
def trixie(nix28: Nix, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> SourceLab:
    return make_lab(nix28, stores, tmp_path_factory.mktemp("trixie"), "trixie")


@pytest.fixture(scope="session")
def bookworm(nix28: Nix, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> SourceLab:
    return make_lab(nix28, stores, tmp_path_factory.mktemp("bookworm"), "bookworm")


def builds(lab: SourceLab, case: Case) -> None:
    """It is built, again to the same bytes whatever the cores; no tool stays referenced; and it is imported."""
    source = lab.source(case.requirement, needs=case.needs, timeout=PATIENCE, env=dict(case.env))
    path = lab.build(source, "--cores", "1")
    lab.build(source, "--check", "--cores", "2")
    closure = lab.nix.run("nix-store", "-qR", str(path)).stdout.split()
    assert [line for line in closure if "toolchain" in line or "needs" in line or "-build-environment" in line] == []
    python = lab.environment(source, case.imported_with) / "bin/python"
    lab.nix.inside(python, "-c", f"import {case.module.partition('.')[0]}, {case.module}; {case.code}", cwd=lab.folder)


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_real_sources(trixie: SourceLab, case: Case) -> None:
    builds(trixie, case)


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_real_sources_on_bookworm(bookworm: SourceLab, case: Case) -> None:
    builds(bookworm, case)


def test_what_lacks_is_at_the_end_of_the_log(trixie: SourceLab) -> None:
    with pytest.raises(NixError) as caught:
        trixie.source("psycopg2==2.9.10")
    last = str(caught.value).split("psycopg2 2.9.10: not built: ")[-1]
    assert last.startswith("setuptools.build_meta:__legacy__ ended with status 1 in get_requires_for_build_wheel")
    assert "pg_config executable not found" in last


@needs_time
@pytest.mark.parametrize("case", SLOW, ids=str)
def test_real_sources_that_take_long(trixie: SourceLab, case: Case) -> None:
    builds(trixie, case)


@needs_time
@pytest.mark.parametrize("case", SLOW, ids=str)
def test_real_sources_that_take_long_on_bookworm(bookworm: SourceLab, case: Case) -> None:
    builds(bookworm, case)


@needs_time
@pytest.mark.timeout(4 * 3600)
def test_numpy_from_source(trixie: SourceLab) -> None:
    builds(trixie, NUMPY)
