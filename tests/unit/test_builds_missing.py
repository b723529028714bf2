"""What failed builds print, verbatim, and what is read out of it; and what is told to put into pyproject.toml."""

# ruff: noqa: E501 -- the output of programs
from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.bases import providers
from nixgen.bases.model import Deb, DebianBase, NixpkgsBase
from nixgen.bases.needs import Need
from nixgen.builds import advice
from nixgen.builds.known import KNOWN
from nixgen.builds.missing import needs, requirements, sonames
from nixgen.nix.failures import Broken
from nixgen.nix.json import Derivation, Output
from nixgen.nix.log import TELLING
from nixgen.project.settings import PackageSettings, Settings
from nixgen.resolve.model import Package

LINES: list[tuple[str, list[str]]] = [
    ("src/pyaudio/device_api.c:9:10: fatal error: portaudio.h: No such file or directory", ["header portaudio.h"]),
    ("./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory", ["header libpq-fe.h"]),
    ("a.cpp:1:10: fatal error: Eigen/Core: No such file or directory", ["header Eigen/Core"]),
    ("a.c:1:10: fatal error: 'sys/soundcard.h' file not found", ["header sys/soundcard.h"]),
    ("/usr/bin/ld: cannot find -lpq: No such file or directory", ["library pq"]),
    ("/usr/bin/ld: cannot find -lstdc++", ["library stdc++"]),
    ("ld.lld: error: unable to find library -lasound", ["library asound"]),
    ("ld: library not found for -lssl", ["library ssl"]),
    ("ld: library 'ssl' not found", ["library ssl"]),
    ("Error: pg_config executable not found.", ["program pg_config"]),
    ("error: command 'cargo' failed: No such file or directory", ["program cargo"]),
    ("unable to execute 'swig': No such file or directory", ["program swig"]),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", ["program cmake"]),
    ("FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'", []),
    ("FileNotFoundError: [Errno 2] No such file or directory: '/build/source/VERSION'", []),
    ("/bin/sh: 1: mysql_config: not found", ["program mysql_config"]),
    ("sh: line 1: krb5-config: command not found", ["program krb5-config"]),
    ("make[2]: bison: No such file or directory", ["program bison"]),
    ("../meson.build:4:0: ERROR: Program 'cmake' not found or not executable", ["program cmake"]),
    ("../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran'], ['flang']]", ["program gfortran"]),
    ('../scipy/meson.build:216:9: ERROR: Dependency "openblas" not found, tried pkgconfig and cmake', ["module openblas"]),
    ("../meson.build:31:12: ERROR: Dependency lookup for cairo with method 'pkgconfig' failed: Pkg-config for machine host machine not found. Giving up.", ["module cairo"]),
    ("No package 'libusb-1.0' found", ["module libusb-1.0"]),
    ("Package libffi was not found in the pkg-config search path.", ["module libffi"]),
    ("Package 'xau', required by 'xcb', not found", ["module xau"]),
    ("configure: error: Package requirements (sndfile >= 1.0.25) were not met:", ["module sndfile"]),
    ("  Could NOT find PNG (missing: PNG_LIBRARY PNG_PNG_INCLUDE_DIR)", ["cmake PNG"]),
    ("-- Could NOT find OpenMP_C (missing: OpenMP_C_FLAGS)", []),
    ('  Could not find a package configuration file provided by "Eigen3" with any', ["cmake Eigen3"]),
    ('CMake Error: CMake was unable to find a build program corresponding to "Ninja".  CMAKE_MAKE_PROGRAM is not set.', ["program ninja"]),
    ("Problem with the CMake installation, aborting build. CMake executable is cmake", ["program cmake"]),
    ("No CMAKE_Fortran_COMPILER could be found.", ["program gfortran"]),
    ("error: can't find Rust compiler", ["program cargo", "program rustc"]),
    ("Cargo, the Rust package manager, is not installed or is not on PATH.", ["program cargo", "program rustc"]),
    ("Error: Please make sure the libxml2 and libxslt development packages are installed.", ["module libxml2", "module libxslt"]),
    ("The headers or library files could not be found for jpeg,", ["module jpeg"]),
    ("error: xmlsec1 is not installed or not in path.", ["module xmlsec1"]),
    ("proj executable not found. Please set the PROJ_DIR variable. ", ["program proj"]),
    ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", ["soname libGL.so.1"]),
    ("  libsndfile.so.1: soundfile/_ext.so (of soundfile): needs it", []),
    ("  libtbb.so.12: numba/np/ufunc/tbbpool.so (of numba) needs it, and so do 2 more: numba.np.ufunc.tbbpool cannot be imported", ["soname libtbb.so.12"]),
    ("note: pyside6: PySide6/plugins/libqsqlpsql.so cannot be loaded without libpq.so.5; no module needs that", []),
    ("compilation terminated.", []),
    ("checking for inflate in -lz... no", []),
    ("gcc: error: unrecognized command-line option '-mfoo'", []),
]  # fmt: skip


@pytest.mark.parametrize(("line", "found"), LINES)
def test_a_line_of_a_log(line: str, found: list[str]) -> None:
    assert [f"{need.kind} {need.name}" for need in needs([line])] == found


@pytest.mark.parametrize("line", [line for line, found in LINES if found])
def test_such_a_line_is_kept_wherever_it_stands_in_the_log(line: str) -> None:
    assert TELLING.search(line)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("OSError: cannot load library 'libpango-1.0-0': libpango-1.0-0: cannot open shared", ["libpango-1.0.so.0"]),
        ("  ctypes.util.find_library() did not manage to locate a library called 'cairo-2'", ["libcairo.so.2"]),
        ('OSError: no library called "libcairo.so.2" was found', ["libcairo.so.2"]),
        ("OSError: PortAudio library not found", ["libPortAudio.so"]),
        ("ImportError: libGL.so.1: cannot open shared object file", ["libGL.so.1"]),
        ("error: command 'cmake' failed: No such file or directory", []),
    ],
)
def test_a_library_that_a_program_loads_by_name(line: str, found: list[str]) -> None:
    assert [need.name for need in sonames([line])] == found


@given(st.lists(st.text()))
def test_any_output_is_read(lines: list[str]) -> None:
    needs(lines)
    sonames(lines)
    requirements(lines)


def test_modules_that_a_build_imports() -> None:
    log = [
        "ModuleNotFoundError: No module named 'numpy.core'",
        "ModuleNotFoundError: No module named 'pkg_resources'",
        "ModuleNotFoundError: No module named 'numpy'",
    ]
    assert requirements(log) == ("numpy", "setuptools<81")


SYSTEM = "x86_64-linux"
URL = "http://mirror.example.org/debian/pool/main/g/gcc/gcc.deb"
BASE = DebianBase(
    *("trixie", "3.13", "2.41", (), (), ()), debs=(Deb("libc6-dev", "2", SYSTEM, "build", URL, "0" * 64, 1),)
)
NIXPKGS = NixpkgsBase("nixos-26.05", "0" * 40, "sha256-", 1, "2.42", "3.13", (), ())
INDEX = {
    "pg_config": "libpq-dev",
    "libpq-fe.h": "libpq-dev",
    "cmake": "cmake",
    "libGL.so.1": "libgl1",
    "stdio.h": "libc6-dev",
}


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(base: object, system: str, needs: set[Need]) -> dict[Need, tuple[str, ...]]:
        assert (base, system) == (BASE, SYSTEM)
        return {need: (INDEX[need.name], "other") for need in needs if need.name in INDEX}

    monkeypatch.setattr(providers, "_debian", asked)


def told(settings: Settings, log: list[str], base: DebianBase | NixpkgsBase = BASE, **env: str) -> str:
    derivation = Derivation("x", SYSTEM, "b", (), env, {"out": Output("/nix/store/x", None)}, (), ())
    found = advice.Adviser(settings, base, SYSTEM)({"a.drv": Broken(derivation, tuple(log))})
    return found.get("a.drv", "")


THEN = "have this in pyproject.toml, then: nixgen sync\n"
MADEUP = {"project": "madeup", "mode": "wheel"}


def test_a_build_gets_the_line_that_mends_it() -> None:
    settings = Settings(base="debian", packages={"madeup": PackageSettings(build_libraries=("zlib1g-dev",))})
    log = [
        "a.c:1:10: fatal error: libpq-fe.h: No such file or directory",
        "Error: pg_config executable not found.",
        "error: command 'cmake' failed: No such file or directory",
        "ModuleNotFoundError: No module named 'numpy'",
        "a.c:1:10: fatal error: no-package-has-this.h: No such file or directory",
        "a.c:1:10: fatal error: stdio.h: No such file or directory",
    ]
    assert told(settings, log, **MADEUP) == THEN + (
        "  [tool.uv.extra-build-dependencies]\n"
        '  madeup = ["numpy"]\n'
        "  [tool.nixgen.packages.madeup]\n"
        '  build-libraries = ["zlib1g-dev", "libpq-dev"]  # libpq-fe.h, pg_config\n'
        '  build-tools = ["cmake"]  # cmake'
    )


def test_what_was_taken_for_a_build_without_compilers_gets_them() -> None:
    log = ["a.c:1:10: fatal error: stdio.h: No such file or directory"]
    line = '  [tool.nixgen.packages.madeup]\n  build-libraries = ["libc6-dev"]  # stdio.h'
    assert told(Settings(base="debian"), log, **MADEUP, path="/nix/store/x-python/bin") == THEN + line
    assert told(Settings(base="debian"), log, **MADEUP, path="/nix/store/x-toolchain-trixie/usr/bin") == ""


def test_a_check_gets_the_library_and_nothing_else() -> None:
    log = [
        "  libGL.so.1: cv2/cv2.so (of opencv-python) needs it: cv2 cannot be imported",
        "    ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
        "Error: pg_config executable not found.",
        "ModuleNotFoundError: No module named 'numpy'",
    ]
    settings = Settings(base="debian", libraries=("libsndfile1",))
    assert told(settings, log) == THEN + ('  [tool.nixgen]\n  libraries = ["libsndfile1", "libgl1"]  # libGL.so.1')
    assert told(Settings(base="debian", libraries=("libgl1",)), log) == "", "it is there, and did not help"


def test_what_says_nothing_gets_nothing() -> None:
    assert told(Settings(base="debian"), ["error: subprocess-exited-with-error"], **MADEUP) == ""


def test_what_the_table_knows_is_told_whatever_the_log_says() -> None:
    log, psycopg2 = ["error: no libpq, see our website"], {"project": "psycopg2", "mode": "wheel"}
    assert told(Settings(base="debian"), log, **psycopg2) == THEN + (
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]\n  [tool.nixgen]\n  libraries = ["libpq5"]'
    )
    has = {"psycopg2": PackageSettings(build_libraries=("libpq-dev",))}
    assert told(Settings(base="debian", packages=has), log, **psycopg2) == "", "it is there, and did not help"


def test_on_nixpkgs_a_table_is_asked() -> None:
    log = ["a.c:1:10: fatal error: portaudio.h: No such file or directory", "ld: cannot find -lpng", "No package 'libffi' found"]  # fmt: skip
    assert told(Settings(), log, NIXPKGS, project="pyaudio", mode="wheel") == THEN + (
        "  [tool.nixgen.packages.pyaudio]\n"
        '  build-libraries = ["portaudio", "libpng", "libffi"]  # portaudio.h, libpng.so, libffi'
    )


def test_nixpkgs_keeps_the_old_libcrypt_apart() -> None:
    found = providers.providers(NIXPKGS, "x86_64-linux", [Need("soname", "libcrypt.so.1"), Need("header", "crypt.h")])
    assert [*found.values()] == [("libxcrypt-legacy",), ("libxcrypt",)]


def test_what_is_built_with_rust_is_told_before_a_build_is_tried() -> None:
    """maturin asks for a package that downloads Rust where it finds none."""
    requires = {"one": ("maturin>=1,<2",), "two": ("setuptools-rust",), "three": ("rusty", "setuptools")}
    assert advice.rust(Settings(base="debian"), requires) == (
        "built with Rust: one, two. In pyproject.toml:\n"
        '  [tool.nixgen.packages.two]\n  build-tools = ["cargo", "rustc"]\n'
        '  [tool.nixgen.packages.one]\n  build-tools = ["cargo", "rustc"]'
    )
    has = PackageSettings(build_tools=("cargo", "rustc"))
    assert advice.rust(Settings(base="debian", packages={"one": has}), requires) == ""


def test_what_is_known_is_told_before_a_build_is_tried() -> None:
    text = advice.beforehand(Settings(base="debian"), BASE, ["numpy", "psycopg2"])
    assert text == (
        "known to need packages of the base: psycopg2 (tried: 2.9.10 on trixie). In pyproject.toml:\n"
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]\n'
        '  [tool.nixgen]\n  libraries = ["libpq5"]'
    )
    has = PackageSettings(build_libraries=("libpq-dev",))
    settings = Settings(base="debian", libraries=("libpq5",), packages={"psycopg2": has})
    assert advice.beforehand(settings, BASE, ["psycopg2"]) == ""
    assert advice.beforehand(Settings(), NIXPKGS, ["psycopg2"]) == ""
    assert [row.name for row in KNOWN] == sorted({row.name for row in KNOWN})
    assert all(row.tried and row.suite for row in KNOWN)


def test_parts_of_the_standard_library_are_packages_of_debian() -> None:
    log = ["  customtkinter (of customtkinter): ModuleNotFoundError: No module named 'tkinter'"]
    assert told(Settings(base="debian"), log) == THEN + '  [tool.nixgen]\n  libraries = ["python3-tk"]  # tkinter'
    assert told(Settings(), log, NIXPKGS) == ""


def test_what_is_known_becomes_settings_on_the_suite_where_it_was_tried() -> None:
    built, wheel = Package("psycopg2", "2.9.10", "sdist"), Package("psycopg2", "2.9.10", "wheel")
    debian = Settings(base="debian")
    assert advice.known_settings(debian, "trixie", [Package("numpy", "2.0", "sdist"), built]) == {
        "tool.nixgen.packages.psycopg2": {"build-libraries": ["libpq-dev"]},
        "tool.nixgen": {"libraries": ["libpq5"]},
    }
    for suite, package in (("trixie", wheel), ("forky", built)):
        assert advice.known_settings(debian, suite, [package]) == {}
    assert advice.known_settings(Settings(), "trixie", [built]) == {}
    has = PackageSettings(build_libraries=("libpq-dev",))
    more = replace(debian, libraries=("libzbar0",), packages={"psycopg2": has})
    assert advice.known_settings(more, "trixie", [built]) == {"tool.nixgen": {"libraries": ["libzbar0", "libpq5"]}}
    # What Python code loads by name, a wheel needs as well.
    loads = Package("python-magic", "0.4.27", "wheel")
    for suite, name in (("trixie", "libmagic1t64"), ("bookworm", "libmagic1")):
        assert advice.known_settings(debian, suite, [loads]) == {"tool.nixgen": {"libraries": [name]}}
    sources = [Package("pycups", "2.0.4", "sdist"), Package("python-ldap", "3.4.4", "sdist")]
    bookworm = advice.known_settings(debian, "bookworm", sources)
    assert bookworm["tool.nixgen"] == {"libraries": ["libcups2", "libldap-2.5-0", "libsasl2-2"]}
    trixie = advice.known_settings(debian, "trixie", sources)
    assert trixie["tool.nixgen"] == {"libraries": ["libcups2t64", "libldap2", "libsasl2-2"]}


@pytest.mark.parametrize(
    "word", ["a", ".so", "lib", "-", "fatal error: a", "' not found", "Program 'a' ", "a library "]
)
def test_a_long_line_is_read_in_no_square_of_time(word: str) -> None:
    """A log may have what a program prints of a whole file; with the square of its length, this would take hours."""
    line = word * (300_000 // len(word))
    found = (needs([line]), sonames([line]), requirements([line]))
    assert found == ((), (), ())


PASTED = """
[tool.nixgen]
base = "debian"
libraries = ["libsndfile1"]
"""
HAS_TABLES = {
    "[tool.nixgen]": (
        PASTED,
        '  # in [tool.nixgen], instead of its libraries\n  libraries = ["libsndfile1", "libpq5"]\n'
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]',
    ),
    "without the key": (
        "tool.nixgen.base = 'debian'",
        '  # in [tool.nixgen]\n  libraries = ["libsndfile1", "libpq5"]\n'
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]',
    ),
    "the package's": (
        f"{PASTED}[tool.nixgen.packages.psycopg2]\ntimeout = 5",
        '  # in [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]\n'
        '  # in [tool.nixgen], instead of its libraries\n  libraries = ["libsndfile1", "libpq5"]',
    ),
    "inline": (
        f"{PASTED}packages = {{a = {{timeout = 5}}}}",
        '  # in [tool.nixgen.packages]\n  psycopg2 = {build-libraries = ["libpq-dev"]}\n'
        '  # in [tool.nixgen], instead of its libraries\n  libraries = ["libsndfile1", "libpq5"]',
    ),
    "below it": (
        "[tool.nixgen.packages.a]\ntimeout = 5",
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]\n'
        '  [tool.nixgen]\n  libraries = ["libsndfile1", "libpq5"]',
    ),
    "none": (
        "[project]\nname = 'a'",
        '  [tool.nixgen.packages.psycopg2]\n  build-libraries = ["libpq-dev"]\n'
        '  [tool.nixgen]\n  libraries = ["libsndfile1", "libpq5"]',
    ),
}


@pytest.mark.parametrize("name", HAS_TABLES)
def test_lines_name_a_table_that_is_there_and_show_one_that_can_be_pasted(name: str) -> None:
    """TOML has each table once: a second [tool.nixgen] is an error."""
    pyproject, expected = HAS_TABLES[name]
    settings = Settings(base="debian", libraries=("libsndfile1",))
    text = advice.beforehand(settings, BASE, ["psycopg2"], pyproject)
    assert text.partition("In pyproject.toml:\n")[2] == expected
    _, header, pasted = text.partition("\n  [")
    assert tomllib.loads(f"{pyproject}{header}{pasted}")
