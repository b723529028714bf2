"""The debian base: its pins on a small archive of the test's own, and what its core really holds."""

from __future__ import annotations

import io
import os
import shutil
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support import elf
from support.debian import Archive, deb, serve_archive

from nixgen.bases.debian import apt, busybox, suites
from nixgen.bases.debian.sources import Mirror, machine_mirror
from nixgen.bases.model import PARTS, Bootstrap, DebianBase
from nixgen.errors import MachineError, UserError
from nixgen.lock.lockfile import dump_lock, parse_lock
from nixgen.lock.model import Lock
from nixgen.machine import download
from nixgen.project.settings import PackageSettings, Settings

SYSTEMS = ("aarch64-linux", "x86_64-linux")
needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "gpg", "gpgv")), reason="needs apt and gpg"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with serve_archive(tmp_path_factory.mktemp("archive")) as made:
        made.add("bookworm", "libc6", "2.36-9+deb12u14")
        for name in suites.core_roots(suites.SUITES["bookworm"], "3.11"):
            made.add("bookworm", name, Depends="libc6, dpkg, libglx-mesa0")
        for name in suites.LEFT_OUT:
            made.add("bookworm", name, Depends="only-scripts")
        made.add("bookworm", "only-scripts")
        made.add("bookworm", "git", Depends="libc6, libcurl, dpkg")
        made.add("bookworm", "libcurl")
        made.add("bookworm", "enemy", Conflicts="bash")
        made.add("bookworm", "libpq-dev", Depends="libpq5, libc6-dev, libcurl")
        for name in ("libpq5", "libisl"):
            made.add("bookworm", name, Depends="libc6")
        for name in (*suites.TOOLCHAIN, "libpython3.11-dev"):
            made.add("bookworm", name, Depends="libc6, libisl, libcurl")
        made.add("bookworm", "busybox-static", "1:1.35.0-4", content=deb({"bin/busybox": b"#!busybox"}))
        made.publish("bookworm")
        yield made


@pytest.fixture
def mirror(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    archive.remembered(monkeypatch)
    return Mirror(archive.address, updates=False, keyrings=(str(archive.keyring),))


def resolve(settings: Settings, mirror: Mirror, cache: Path, systems: tuple[str, ...] = SYSTEMS) -> DebianBase:
    def pack(system: str, package: apt.Package) -> Bootstrap:
        data = busybox.tarball(package.url, package.sha256)
        return Bootstrap(system, busybox.file_name(system), busybox.sha256(data))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        return suites.resolve_base(suites.Wanted(settings, "3.11"), systems, mirror, bootstrap=pack)


@needs_apt
def test_the_core_is_the_same_for_every_project(mirror: Mirror, tmp_path: Path) -> None:
    base = resolve(Settings(base="debian", tools=("git",)), mirror, tmp_path)
    core = sorted([*suites.core_roots(suites.SUITES["bookworm"], "3.11"), "libc6"])
    for system in SYSTEMS:
        parts = {
            part: [found.name for found in base.debs if (found.system, found.part) == (system, part)]
            for part in ("core", "extra")
        }
        assert parts == {"core": core, "extra": ["git", "libcurl"]}
    assert (base.suite, base.python, base.glibc, base.tools) == ("bookworm", "3.11", "2.36", ("git",))
    expected = busybox.sha256(busybox.pack(b"#!busybox"))
    assert base.bootstrap == tuple(Bootstrap(s, f"busybox-{s}.tar.xz", expected) for s in SYSTEMS)


def test_ctrl_c_does_not_wait_for_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What apt still had to do for the other system took 13 seconds."""
    begun, go_on, ended = threading.Barrier(2), threading.Event(), threading.Event()

    def interrupted(_sources: object, system: str) -> None:
        begun.wait(60)
        if system == SYSTEMS[0]:
            time.sleep(0.3)  # until both are waited for
            os.kill(os.getpid(), signal.SIGINT)
        go_on.wait(20)
        ended.set()
        raise MachineError.of("", "ended")

    monkeypatch.setattr(apt, "open_apt", interrupted)
    nowhere = Mirror("http://127.0.0.1:9/debian", updates=False, keyrings=())
    with pytest.raises(KeyboardInterrupt):
        resolve(Settings(base="debian"), nowhere, tmp_path)
    assert not ended.is_set()
    go_on.set()


@needs_apt
def test_a_package_that_is_left_out_comes_when_it_is_named(mirror: Mirror, tmp_path: Path) -> None:
    base = resolve(Settings(base="debian", tools=("dpkg",)), mirror, tmp_path, ("x86_64-linux",))
    assert [found.name for found in base.debs if found.part == "extra"] == ["dpkg", "only-scripts"]


@needs_apt
def test_unknown_names_are_all_told_with_the_nearest(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        resolve(Settings(base="debian", libraries=("libcurl4",), tools=("gitt", "qqqqqqqq")), mirror, tmp_path)
    assert [str(problem) for problem in caught.value.problems] == [
        (
            'pyproject.toml: tool.nixgen.libraries: Debian bookworm has no package "libcurl4"\n'
            "  hint: did you mean libcurl?"
        ),
        ('pyproject.toml: tool.nixgen.tools: Debian bookworm has no package "gitt"\n  hint: did you mean git?'),
        (
            'pyproject.toml: tool.nixgen.tools: Debian bookworm has no package "qqqqqqqq"\n'
            "  hint: look for it: apt-cache search WORD"
        ),
    ]


@needs_apt
def test_what_one_system_lacks_is_told_with_its_name(archive: Archive, mirror: Mirror, tmp_path: Path) -> None:
    archive.packages["bookworm amd64"].append(
        archive.packages["bookworm amd64"][-1].replace("busybox-static", "x86only")
    )
    archive.publish("bookworm")
    with pytest.raises(UserError) as caught:
        resolve(Settings(base="debian", tools=("x86only",)), mirror, tmp_path)
    assert [problem.what for problem in caught.value.problems] == [
        'Debian bookworm has no package "x86only" for aarch64-linux'
    ]


@needs_apt
def test_the_toolchain_is_a_tree_of_its_own(mirror: Mirror, tmp_path: Path) -> None:
    """What the project adds changes nothing of it, and what packages need for their builds is a tree on top."""

    def parts(
        settings: Settings, *, toolchain: bool = True, git: bool = False, kept: DebianBase | None = None
    ) -> dict[str, list[str]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path))
            base = suites.resolve_base(
                suites.Wanted(settings, "3.11", toolchain=toolchain, git=git),
                ["x86_64-linux"],
                mirror,
                bootstrap=lambda system, package: Bootstrap(system, "busybox.tar.xz", package.sha256),
                kept=kept,
            )
        made.append(base)
        assert parse_lock(dump_lock(Lock(base))).base == base
        return {part: [deb.name for deb in base.debs if deb.part == part] for part in PARTS}

    made: list[DebianBase] = []
    compilers = sorted([*suites.TOOLCHAIN, "libpython3.11-dev", "libisl", "libcurl"])
    core = sorted([*suites.core_roots(suites.SUITES["bookworm"], "3.11"), "libc6"])
    plain = Settings(base="debian", tools=("git",))
    building = replace(plain, packages={"psycopg2": PackageSettings(build_libraries=("libpq-dev",))})
    wanted = {"core": core, "extra": ["git", "libcurl"], "build": compilers, "needs": [], "git": []}
    assert parts(plain, toolchain=False) == {**wanted, "build": []}
    assert parts(plain, kept=made[0]) == wanted
    assert made[-1].toolchain
    assert parts(building) == {**wanted, "needs": ["libpq-dev", "libpq5"]}
    assert made[-1].build_libraries == ("libpq-dev",)
    assert parts(plain, kept=made[-1]) == wanted
    assert parts(plain, git=True, kept=made[-1]) == {**wanted, "git": ["git", "libcurl"]}
    assert made[-1].git
    assert parts(plain, kept=made[-1]) == wanted
    assert parts(plain, toolchain=False, kept=made[-1]) == {**wanted, "build": []}


@needs_apt
def test_packages_that_exclude_each_other(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="enemy : Conflicts: bash") as caught:
        resolve(Settings(base="debian", tools=("enemy",)), mirror, tmp_path, ("x86_64-linux",))
    assert caught.value.problems[0].where == "pyproject.toml: tool.nixgen.libraries, tools"


@needs_apt
def test_a_mirror_that_lacks_a_part_of_the_core(
    mirror: Mirror, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archive.add("sid", "libc6", "2.43-7")
    archive.publish("sid")
    with pytest.raises(MachineError, match="apt cannot put the base together from Debian sid"):
        suites.resolve_base(
            suites.Wanted(Settings(base="debian", suite="sid"), "3.14"),
            ["x86_64-linux"],
            mirror,
            bootstrap=lambda system, package: pytest.fail(f"{system} {package}"),
        )


def test_suites() -> None:
    assert {name: suite.pythons for name, suite in suites.SUITES.items()} == {
        "bookworm": ("3.11",),
        "trixie": ("3.13",),
        "forky": ("3.14", "3.13"),
        "sid": ("3.14", "3.13"),
        "noble": ("3.12",),
    }
    assert suites.suite_of(Settings(base="debian"), "3.13").name == "trixie"
    assert suites.suite_of(Settings(base="debian", suite="forky"), "3.13").name == "forky"
    assert "python3-distutils" in suites.core_roots(suites.SUITES["bookworm"], "3.11")
    assert "libglib2.0-0t64" in suites.core_roots(suites.SUITES["trixie"], "3.13")


@pytest.mark.parametrize(
    ("settings", "python", "expected"),
    [
        (
            Settings(base="debian", suite="buzz"),
            "3.11",
            (
                'pyproject.toml: tool.nixgen.suite: "buzz" is not a suite of Debian or Ubuntu that nixgen knows\n'
                "  hint: use one of bookworm, trixie, forky, sid, noble"
            ),
        ),
        (
            Settings(base="debian", suite="jammy"),
            "3.11",
            (
                "pyproject.toml: tool.nixgen.suite: jammy's Python is 3.10, and nixgen needs 3.11 or newer\n"
                "  hint: use one of bookworm, trixie, forky, sid, noble"
            ),
        ),
        (
            Settings(base="debian", suite="trixie"),
            "3.11",
            (
                "pyproject.toml: tool.nixgen.suite: Debian trixie has no Python 3.11, but 3.13\n"
                '  hint: set python = "3.13", or another suite'
            ),
        ),
        (
            Settings(base="debian"),
            "3.12",
            (
                "pyproject.toml: tool.nixgen.python: no Debian suite has Python 3.12\n"
                "  hint: use one of 3.11 (bookworm), 3.13 (trixie)"
            ),
        ),
    ],
)
def test_no_such_suite(settings: Settings, python: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        suites.suite_of(settings, python)
    assert str(caught.value) == expected


@pytest.mark.parametrize(("version", "expected"), [("2.36-9+deb12u14", "2.36"), ("1:2.43-7", "2.43")])
def test_glibc_of_a_debian_version(version: str, expected: str) -> None:
    assert suites.major_minor(version) == expected


def test_a_version_of_another_shape() -> None:
    with pytest.raises(MachineError, match="does not understand: unknown"):
        suites.major_minor("unknown")


@needs_apt
@pytest.mark.network
@pytest.mark.parametrize("suite", ["bookworm", "trixie", "forky"])
def test_nothing_in_the_core_needs_a_library_from_outside(suite: str) -> None:
    """What is left out serves only dpkg's maintainer scripts: the real packages of both architectures say so."""
    python = suites.SUITES[suite].pythons[0]
    base = suites.resolve_base(
        suites.Wanted(Settings(base="debian", suite=suite), python),
        SYSTEMS,
        machine_mirror(),
        bootstrap=lambda system, package: Bootstrap(system, "busybox", package.sha256),
    )
    for system in SYSTEMS:
        urls = [(found.url, found.sha256) for found in base.debs if found.system == system]
        with ThreadPoolExecutor(4) as pool:
            files = {name: data for members in pool.map(_unpacked, urls) for name, data in members.items()}
        provided = {name.rpartition("/")[2] for name in files} | {elf.soname(data) for data in files.values()}
        lacking = {
            f"{name}: {library}"
            for name, data in files.items()
            for library in elf.needed(data) or ()
            if library not in provided
        }
        # libGL's GLX half asks for a driver only when something draws; that is dlopen, not NEEDED.
        assert lacking == set()
        assert f"./usr/lib/python{python}/os.py" in files
        for name in MANYLINUX:
            assert name in provided


MANYLINUX = (
    "libatomic.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libanl.so.1", "libdl.so.2", "librt.so.1",
    "libc.so.6", "libnsl.so.1", "libutil.so.1", "libpthread.so.0", "libX11.so.6", "libXext.so.6", "libXrender.so.1",
    "libICE.so.6", "libSM.so.6", "libGL.so.1", "libgobject-2.0.so.0", "libgthread-2.0.so.0", "libglib-2.0.so.0",
    "libresolv.so.2", "libexpat.so.1", "libz.so.1",
)  # fmt: skip
"""lib_whitelist of manylinux_2_17 and newer in auditwheel's manylinux-policy.json."""


def _unpacked(source: tuple[str, str]) -> dict[str, bytes]:
    """The regular files of a package at an address."""
    url, sha256 = source
    buffer = io.BytesIO()
    with download.open_url(url) as stream:
        assert download.digest(stream, buffer.write)[0] == sha256
    ((_, content),) = [
        member for member in busybox._members(buffer.getvalue(), url) if member[0].startswith("data.tar")
    ]
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        for member in opened:
            file = opened.extractfile(member) if member.isfile() else None
            if file is not None:
                found[member.name] = file.read()
            elif member.issym():
                found[member.name] = b""
    return found
