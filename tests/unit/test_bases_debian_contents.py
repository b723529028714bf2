"""Which package has a file: the ranking, and apt with a small signed archive's Contents index."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.debian import Archive, serve_archive

from nixgen.bases.debian.contents import packages_with, ranked
from nixgen.bases.debian.sources import Source, machine_mirror
from nixgen.bases.needs import Kind, Need

SYSTEM = "x86_64-linux"
# Lines as bookworm's index has them.
AMD64 = """\
bin/kmod						    admin/kmod
lib/x86_64-linux-gnu/libusb-1.0.so.0			    libs/libusb-1.0-0
usr/aarch64-linux-gnu/include/zlib.h			    libdevel/zlib1g-arm64-cross
usr/bin/pg_config					    libdevel/libpq-dev,database/postgresql-common
usr/include/Poco/zlib.h					    libdevel/libpoco-dev
usr/bin/krb5-config                                     libdevel/heimdal-dev
usr/bin/krb5-config                                     libdevel/libkrb5-dev
usr/include/botan-2/botan/ffi.h				    libdevel/libbotan-2-dev
usr/include/hdf5/mpich/hdf5.h                           libdevel/libhdf5-mpich-dev
usr/include/hdf5/serial/hdf5.h                          libdevel/libhdf5-dev
usr/include/pypy3.9/Python.h                            python/pypy3-dev
usr/include/python3.11/Python.h                         libdevel/libpython3.11-dev
usr/include/flann/util/hdf5.h                           libdevel/libflann-dev
usr/include/mariadb/mysql.h				    libdevel/libmariadb-dev
usr/include/postgresql/libpq-fe.h			    libdevel/libpq-dev
usr/include/x86_64-linux-gnu/curl/curl.h  libdevel/libcurl4-nss-dev,libdevel/libcurl4-openssl-dev
usr/include/x86_64-linux-gnu/ffi.h			    libdevel/libffi-dev
usr/include/zlib.h					    libdevel/zlib1g-dev
usr/include/GL/gl.h					    libdevel/libgl-dev
usr/lib/primus/libGL.so.1				    x11/primus-libs
usr/lib/x86_64-linux-gnu/libGL.so.1			    libs/libgl1
usr/lib/x86_64-linux-gnu/libpq.so			    libdevel/libpq-dev
usr/lib/x86_64-linux-gnu/libpq.so.5			    libs/libpq5
usr/lib/x86_64-linux-gnu/primus/libGL.so.1		    x11/primus-libs
usr/lib/x86_64-linux-gnu/atlas/libblas.so               devel/libatlas-base-dev
usr/lib/x86_64-linux-gnu/blas/libblas.so                libdevel/libblas-dev
usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so    libdevel/libopenblas-pthread-dev
usr/lib/x86_64-linux-gnu/openblas-serial/libblas.so     libdevel/libopenblas-serial-dev
usr/lib/x86_64-linux-gnu/cmake/OpenCV/OpenCVConfig.cmake    libdevel/libopencv-dev
usr/lib/x86_64-linux-gnu/openblas-openmp/pkgconfig/openblas.pc   libdevel/libopenblas-openmp-dev
usr/lib/x86_64-linux-gnu/openblas-pthread/pkgconfig/openblas.pc  libdevel/libopenblas-pthread-dev
usr/lib/x86_64-linux-gnu/pkgconfig/libpng.pc		    libdevel/libpng-dev
usr/share/games/my file with blanks.so			    games/blank
"""
ALL = "usr/include/eigen3/Eigen/Core  libdevel/libeigen3-dev\nusr/share/cmake/cmake  devel/cmake-data\n"
ASKED: list[tuple[Kind, str, tuple[str, ...]]] = [
    ("header", "zlib.h", ("zlib1g-dev", "libpoco-dev")),
    ("header", "libpq-fe.h", ("libpq-dev",)),
    ("header", "ffi.h", ("libffi-dev", "libbotan-2-dev")),
    ("header", "GL/gl.h", ("libgl-dev",)),
    ("header", "Eigen/Core", ("libeigen3-dev",)),
    ("library", "pq", ("libpq-dev",)),
    ("soname", "libGL.so.1", ("libgl1", "primus-libs")),
    ("soname", "libpq.so.5", ("libpq5",)),
    ("soname", "libPQ.so", ("libpq5",)),
    ("soname", "libusb-1.0.so.0", ("libusb-1.0-0",)),
    ("program", "pg_config", ("libpq-dev", "postgresql-common")),
    ("program", "kmod", ("kmod",)),
    ("program", "krb5-config", ("libkrb5-dev", "heimdal-dev")),
    ("header", "curl/curl.h", ("libcurl4-openssl-dev", "libcurl4-nss-dev")),
    ("header", "hdf5.h", ("libhdf5-dev", "libhdf5-mpich-dev", "libflann-dev")),
    ("header", "Python.h", ("libpython3.11-dev", "pypy3-dev")),
    (
        *("library", "blas"),
        ("libblas-dev", "libopenblas-pthread-dev", "libopenblas-serial-dev", "libatlas-base-dev"),
    ),
    ("module", "openblas", ("libopenblas-pthread-dev", "libopenblas-openmp-dev")),
    ("cmake", "PNG", ("libpng-dev",)),
    ("cmake", "OpenCV", ("libopencv-dev",)),
]
NEEDS = {Need(kind, name): packages for kind, name, packages in ASKED}
UNKNOWN = [Need("header", "q-fe.h"), Need("program", "cmake"), Need("library", "p"), Need("module", "png++")]


@pytest.mark.parametrize(("kind", "name", "packages"), ASKED)
def test_the_likeliest_package_is_the_first(kind: Kind, name: str, packages: tuple[str, ...]) -> None:
    assert ranked([Need(kind, name)], (AMD64 + ALL).splitlines(), SYSTEM) == {Need(kind, name): packages}


def test_what_no_package_has_is_absent() -> None:
    assert ranked(UNKNOWN, (AMD64 + ALL).splitlines(), SYSTEM) == {}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with serve_archive(tmp_path_factory.mktemp("archive")) as made:
        made.add("bookworm", "libone")
        made.files = {"amd64": AMD64, "all": ALL, "arm64": "usr/bin/only-arm  devel/arm\n"}
        made.publish("bookworm")
        yield made


needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "gpg", "gpgv")), reason="needs apt and gpg"
)


@needs_apt
def test_apt_fetches_the_index_and_it_is_kept(archive: Archive, tmp_path: Path) -> None:
    source = Source(archive.address, "bookworm", (str(archive.keyring),))
    assert packages_with([*NEEDS, *UNKNOWN], source, SYSTEM, tmp_path) == NEEDS
    assert packages_with([Need("program", "only-arm")], source, "aarch64-linux", tmp_path) == {
        Need("program", "only-arm"): ("arm",)
    }
    away = archive.folder.rename(archive.folder.with_name("away"))
    try:
        assert packages_with(NEEDS, source, SYSTEM, tmp_path) == NEEDS
        assert packages_with(NEEDS, source, SYSTEM, tmp_path / "other") == {}, "no network and no copy: no answer"
    finally:
        away.rename(archive.folder)


@needs_apt
def test_an_index_that_is_not_the_signed_one_is_not_used(archive: Archive, tmp_path: Path) -> None:
    path = archive.folder / "dists/bookworm/main/Contents-amd64"
    path.write_text(AMD64.replace("libdevel/libpq-dev", "evil/trojan"))
    try:
        source = Source(archive.address, "bookworm", (str(archive.keyring),))
        assert packages_with(NEEDS, source, SYSTEM, tmp_path) == {}
    finally:
        path.write_text(AMD64)


@needs_apt
@pytest.mark.heavy
def test_where_a_suite_has_no_index_the_next_suite_is_asked(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it names counts where the suite itself has a package of that name."""
    for name in ("libpq-dev", "libgl1"):
        archive.add("trixie", name)
    archive.publish("trixie")
    (archive.folder / "dists/trixie/main/Contents-amd64").write_text(AMD64.replace("libs/libpq5", "evil/trojan"))
    here, next_one = (Source(archive.address, suite, (str(archive.keyring),)) for suite in ("trixie", "bookworm"))
    assert packages_with([*NEEDS, *UNKNOWN], here, SYSTEM, tmp_path, [next_one]) == {
        Need("header", "libpq-fe.h"): ("libpq-dev",),
        Need("library", "pq"): ("libpq-dev",),
        Need("program", "pg_config"): ("libpq-dev",),
        Need("soname", "libGL.so.1"): ("libgl1",),
    }
    assert "the list of files of trixie cannot be had, so that of bookworm was asked (" in capsys.readouterr().err


@needs_apt
@pytest.mark.network
def test_the_real_index(tmp_path: Path) -> None:
    source = machine_mirror().sources("bookworm", stable=True)[0]
    asked = {
        Need("header", "libpq-fe.h"): "libpq-dev",
        Need("header", "Eigen/Core"): "libeigen3-dev",
        Need("library", "portaudio"): "portaudio19-dev",
        Need("soname", "libGL.so.1"): "libgl1",
        Need("program", "cmake"): "cmake",
        Need("cmake", "PNG"): "libpng-dev",
    }
    found = packages_with(asked, source, SYSTEM, tmp_path)
    assert {need: packages[0] for need, packages in found.items()} == asked
