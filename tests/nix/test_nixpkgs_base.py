"""The nixpkgs base, evaluated: which interpreter, libraries, loader and builder the derivation graph names.

Nothing is built: this machine need not reach nixpkgs. The set is a double (nixpkgs_double.nix), or the one that the
environment variable NIXGEN_TEST_NIXPKGS names: a path to a file or folder that, imported with { system }, gives a
nixpkgs-like set.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import elf, redirect
from support.nix import ROOT, Nix
from support.plans import HASH

DOUBLE = Path(__file__).with_name("nixpkgs_double.nix")
GIVEN = os.environ.get("NIXGEN_TEST_NIXPKGS", str(DOUBLE))
LINUX = ["x86_64-linux", "aarch64-linux"]
# Sets other than nixpkgs often lack macOS.
SYSTEMS = [*LINUX, "aarch64-darwin"] if str(DOUBLE) == GIVEN else LINUX
needs_glibc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the launcher is for Linux")
ours = pytest.mark.skipif(str(DOUBLE) != GIVEN, reason="the versions are those of the double")

PROJECT = """
let
  pkgs = import {given} {{ system = "{system}"; }} // {{ {other} }};
  project = import {root}/nix/project.nix {{
    system = "{system}"; name = "demo"; root = {root}/examples; trees = [ ];
    nixpkgs = {{ legacyPackages."{system}" = pkgs;{flake} }};
    base = {{
      kind = "nixpkgs"; python = "{python}"; systems = [ "{system}" ]; rev = "r"; narHash = "h";{exact}
      libraries = [ {libraries} ]; tools = [ {tools} ];
    }};
    wheels = [ {{
      name = "six"; version = "1"; file = "six-1-py3-none-any.whl"; systems = [ "{system}" ]; sha256 = "{sha}";
      url = "https://example.org/six-1-py3-none-any.whl";
    }} ];
  }};
in {wanted}
"""

Evaluate = Callable[..., Any]


@pytest.fixture
def evaluate(nix_new: Nix) -> Evaluate:
    """The value of an expression about the project, or the failed command; its derivations are in the store then.

    ``libraries`` and ``tools`` are the items of Nix lists.
    """

    def run(wanted: str, system: str = "x86_64-linux", **settings: str) -> Any:
        chosen = {"libraries": "", "tools": "", "python": "3.13", "exact": "", "flake": "", "other": "", **settings}
        expression = PROJECT.format(given=GIVEN, root=ROOT, system=system, sha=HASH, wanted=wanted, **chosen)
        return nix_new.evaluate(expression, "--read-write-mode", check=False)

    return run


def graph(nix: Nix, drv: str) -> set[str]:
    """The names of all derivations that are needed to build one."""
    return {path.partition("-")[2].removesuffix(".drv") for path in nix.requisites(drv) if path.endswith(".drv")}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("output", ["environment", "shell", "imports", "root"])
def test_every_output_evaluates(evaluate: Evaluate, system: str, output: str) -> None:
    assert str(evaluate(f"project.{output}.drvPath", system)).endswith(f"-demo-{output}.drv")


def test_another_nixpkgs_than_the_pinned_one_is_refused(evaluate: Evaluate) -> None:
    """Case 27: `nix flake update` moves flake.lock, and nixgen.lock says what a check proves."""
    assert evaluate("project.base.version", flake=' narHash = "h";') == "3.13"
    refused = evaluate("project.environment.drvPath", flake=f' narHash = "other"; rev = "{"5" * 40}";')
    assert (
        "flake.lock changed after default.nix was generated: it has nixpkgs 555555555555, and nixgen.lock has r\n"
        "  hint: nixgen sync"
    ) in refused.said


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_builder_of_wheels_and_environment_is_the_bases_python(evaluate: Evaluate, system: str) -> None:
    python, *builders = evaluate(
        "[ project.base.python project.wheels.six.builder project.environment.builder ]", system
    )
    assert builders == [f"{python}/bin/python3.13"] * 2
    assert evaluate("project.wheels.six.PYTHONHOME", system) == python
    assert evaluate("project.environment.system", system) == system


@pytest.mark.parametrize("system", LINUX)
def test_the_launcher_is_patched_with_the_bases_libraries(evaluate: Evaluate, system: str) -> None:
    launcher = "(import ROOT/nix/launcher.nix { base = project.base; builder = null; })".replace("ROOT", str(ROOT))
    rpath, preload = evaluate(f"[ {launcher}.rpath {launcher}.preload ]", system)
    libraries = evaluate("project.base.libraries", system)
    assert rpath == ":".join(libraries)
    assert [path for path in libraries if not path.startswith("/nix/store/") or not path.endswith("/lib")] == []
    assert preload == "libstdc++.so.6 libgcc_s.so.1 libz.so.1"


@pytest.mark.parametrize("system", LINUX)
def test_each_library_is_searched_once(evaluate: Evaluate, system: str) -> None:
    """Case 68: the manylinux list has zlib, expat and gcc itself."""
    for libraries in ("", '"zlib"'):
        found = evaluate("project.base.libraries", system, libraries=libraries)
        assert len(found) == len(set(found))
    assert len(set(found := evaluate("project.base.systemLibraries", system))) == len(found)


@ours
@pytest.mark.parametrize("system", LINUX)
def test_declared_locales_are_found(evaluate: Evaluate, system: str) -> None:
    """Cases 4 and 68: nixpkgs' C library goes by LOCALE_ARCHIVE; without one it has C.UTF-8."""
    wanted = "[ (project.base.variables.LOCALE_ARCHIVE or null) project.shell.stdenv.variables ]"
    assert evaluate(wanted, system) == [None, "{}"]
    archive, variables = evaluate(wanted, system, libraries='"glibcLocales"')
    assert archive.endswith("-glibc-locales-2.42-67/lib/locale/locale-archive")
    assert json.loads(variables) == {"LOCALE_ARCHIVE": archive}


@pytest.mark.parametrize("system", LINUX)
def test_a_wheels_programs_get_the_bases_loader(evaluate: Evaluate, system: str) -> None:
    six, base = evaluate("[ project.wheels.six.loader project.base.loader ]", system)
    assert six == base
    assert base.startswith("/nix/store/")


@ours
def test_nothing_is_patched_on_macos(evaluate: Evaluate) -> None:
    launcher, python = evaluate("[ project.base.launcher project.base.python ]", "aarch64-darwin")
    assert launcher == python
    wanted = "with project.base; [ loader libdeflate libraries preload ]"
    assert evaluate(wanted, "aarch64-darwin") == ["", "", [], []]


@ours
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_graph_of_the_environment(evaluate: Evaluate, nix_new: Nix, system: str) -> None:
    names = graph(nix_new, evaluate("project.environment.drvPath", system, libraries='"ffmpeg"', tools='"git" "jq"'))
    everywhere = {
        "demo-environment", "six-1", "six-1-py3-none-any.whl", "nixgen-wheel-builder", "python3-3.13.9",
    }  # fmt: skip
    linux = {
        "python3.13-launcher", "glibc-2.42", "gcc-15.2.0", "zlib-1.3.1", "expat-2.7.3", "glib-2.86",
        "libGL-1.7", "libdeflate-1.25", "ffmpeg-8.0",
    }  # fmt: skip
    # A library that the project asks for is in the search path on Linux only; tools belong to the shell.
    assert names == everywhere | (linux if system in LINUX else set())


@ours
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_wheel_is_the_same_path_whatever_libraries_a_project_asks_for(evaluate: Evaluate, system: str) -> None:
    assert evaluate("project.wheels.six.outPath", system, libraries='"ffmpeg"', tools='"git"') == evaluate(
        "project.wheels.six.outPath", system
    )


@ours
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_graph_of_the_shell_has_the_tools_and_bash(evaluate: Evaluate, nix_new: Nix, system: str) -> None:
    names = graph(nix_new, evaluate("project.shell.drvPath", system, tools='"git" "jq"'))
    assert names >= {"demo-shell", "demo-setup", "bash-5.3", "git-2.52.0", "jq-1.8.1", "demo-environment"}


@ours
def test_the_outputs_that_hold_libraries_and_programs(evaluate: Evaluate) -> None:
    tools, libraries = evaluate(
        '[ project.base.tools (map (p: p == "${pkgs.ffmpeg.lib}/lib") project.base.libraries) ]',
        tools='"jq"', libraries='"ffmpeg"',
    )  # fmt: skip
    assert tools == [evaluate('"${pkgs.jq.bin}/bin"')]
    assert libraries[0] is True
    assert evaluate('builtins.elem "${pkgs.stdenv.cc.cc.lib}/lib" project.base.libraries')


@ours
def test_a_name_with_dots_is_a_path_of_attributes(evaluate: Evaluate) -> None:
    wanted = 'project.base.libraries == [ "${pkgs.python313Packages.numpy}/lib" ] ++ LIBS'.replace(
        "LIBS", "builtins.tail project.base.libraries"
    )
    assert evaluate(wanted, libraries='"python313Packages.numpy"') is True


@pytest.mark.parametrize(("key", "other"), [("libraries", "tools"), ("tools", "libraries")])
def test_a_name_that_nixpkgs_lacks(evaluate: Evaluate, key: str, other: str) -> None:
    assert other != key
    done = evaluate(f"project.base.{key}", **{key: '"no.such-thing"'})
    assert f"this nixpkgs has no no.such-thing, which {key} under [tool.nixgen] in pyproject.toml names" in done.stderr


@pytest.mark.parametrize("python", ["3.99", pytest.param("3.10", marks=ours)], ids=["not-yet", "removed"])
def test_a_python_that_nixpkgs_lacks(evaluate: Evaluate, python: str) -> None:
    """Of what it removed, it has an alias that throws."""
    done = evaluate("project.environment.drvPath", python=python)
    assert (
        f"this nixpkgs has no python{python.replace('.', '')}\n  hint: choose another python under [tool.nixgen] in "
        "pyproject.toml, then: nixgen sync"
    ) in done.said


@ours
def test_case_41_another_patch_release_than_the_one_that_packages_were_chosen_for(evaluate: Evaluate) -> None:
    assert evaluate("project.base.python", exact=' pythonFull = "3.13.9";') == evaluate("project.base.python")
    done = evaluate("project.base.python", exact=' pythonFull = "3.13.18";')
    assert (
        "this nixpkgs has Python 3.13.9, and the packages were chosen for 3.13.18\n"
        '  hint: set python = "3.13.9" under [tool.nixgen] in pyproject.toml, then: nixgen sync'
    ) in done.said


@ours
def test_nix_fmt_is_nixpkgs_own_formatter(evaluate: Evaluate) -> None:
    """Until 25.11 the name nixfmt was that of another one, with a warning; from then on the other name warns."""
    assert evaluate("project.formatter.name") == "nixfmt-1.1.0"
    old = 'lib = import ROOT/tests/nix/nixpkgs/lib.nix // { trivial.release = "25.05"; };'.replace("ROOT", str(ROOT))
    both = f'{old} nixfmt = throw "the classic one"; nixfmt-rfc-style = {{ name = "nixfmt-unstable-2024-12-04"; }};'
    assert evaluate("project.formatter.name", other=both) == "nixfmt-unstable-2024-12-04"


@pytest.mark.parametrize("output", ["environment", "shell"])
def test_a_system_that_nixpkgs_dropped(evaluate: Evaluate, output: str) -> None:
    """26.11 throws where any package of it is looked at."""
    done = evaluate(f"project.{output}.drvPath", "x86_64-darwin", flake=' lib.trivial.release = "26.11";')
    assert (
        "nixpkgs 26.11 has dropped x86_64-darwin, Macs with Intel's processors\n  hint: take it out of systems under "
        '[tool.nixgen] in pyproject.toml, or set nixpkgs = "nixos-26.05" there, then: nixgen sync'
    ) in done.said


@ours
def test_the_last_nixpkgs_that_has_it(evaluate: Evaluate) -> None:
    found = evaluate("project.environment.drvPath", "x86_64-darwin", flake=' lib.trivial.release = "26.05";')
    assert found.endswith("-demo-environment.drv")


@ours
@pytest.mark.parametrize("key", ["libraries", "tools"])
def test_what_is_not_free_is_refused_until_it_is_allowed(evaluate: Evaluate, key: str) -> None:
    """nixpkgs' own refusal names a variable that a flake does not see, and files of NixOS."""
    done = evaluate(f"project.base.{key}", **{key: '"cudatoolkit"'})
    assert (
        f"cudatoolkit, which {key} under [tool.nixgen] in pyproject.toml names, is not free software\n  hint: read its "
        "licence, and if you accept it set unfree = true there, then: nixgen sync"
    ) in done.said
    allowed = {"exact": " unfree = true;", "flake": f" outPath = {GIVEN};", key: '"cudatoolkit"'}
    assert "-cudatoolkit-13.0/" in evaluate(f"project.base.{key}", **allowed)[0]


def test_both_versions_of_nix_see_the_same_graph(both_nix: tuple[Nix, Nix]) -> None:
    expression = PROJECT.format(
        given=GIVEN, root=ROOT, system="x86_64-linux", sha=HASH, libraries="", tools="", python="3.13", exact="",
        flake="", other="",
        wanted="[ project.environment.drvPath project.shell.drvPath project.imports.drvPath ]",
    )  # fmt: skip
    if str(DOUBLE) != GIVEN:
        pytest.skip("a nixpkgs-like set may be different for each version of Nix")
    assert both_nix[0].evaluate(expression) == both_nix[1].evaluate(expression)


# The loader of the Python that runs the tests.
INTERPRETER = Path(elf.read(Path(sys.executable).resolve().read_bytes()).interpreter.decode())
NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def launched(folder: Path, loader: Path, search: Path) -> tuple[Path, str]:
    """A launcher of the Python that runs the tests, as that of a base without a mark; and what its builder printed."""
    library, out = folder / "prefix/lib" / NAME, folder / "out"
    library.mkdir(parents=True)
    for entry in Path(os.__file__).parent.iterdir():
        (library / entry.name).symlink_to(entry)
    (library / "EXTERNALLY-MANAGED").unlink(missing_ok=True)
    (folder / "prefix/bin").mkdir()
    (folder / "prefix/bin" / NAME).symlink_to(Path(sys.executable).resolve())
    given = {
        "out": str(out),
        "python": f"{folder}/prefix",
        "version": NAME.removeprefix("python"),
        "lib": str(ROOT / "nix/builders/wheel"),
        "rpath": str(search),
        "preload": "",
        "interpreter": "",
        "loader": str(loader),
        "managed": str(ROOT / "nix/builders/externally-managed"),
    }
    command = [sys.executable, str(ROOT / "nix/builders/launcher.py")]
    made = subprocess.run(command, env={**os.environ, **given}, check=True, capture_output=True, text=True)
    return out / "bin" / NAME, made.stdout


@needs_glibc
def test_the_launcher_says_that_it_is_managed(tmp_path: Path) -> None:
    """nixpkgs' Python has no such mark (PEP 668): the launcher's library has it."""
    python, printed = launched(tmp_path, INTERPRETER, tmp_path)
    # This machine's loader is no nixpkgs': it is taken as it is.
    assert printed.startswith(f"{INTERPRETER} has no cache that can be led elsewhere")
    code = "import sys, sysconfig; print(sys.prefix, open(sysconfig.get_path('stdlib') + '/EXTERNALLY-MANAGED').read())"
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.startswith(f"{tmp_path}/out [externally-managed]\nError=This Python is part of")


@needs_glibc
def test_a_library_with_a_search_path_of_its_own_finds_the_bases(tmp_path: Path) -> None:
    """Case 68: nixpkgs' _ctypes has a RUNPATH, beside which the program's RPATH does not count; the cache does."""
    theirs = b"/nix/store/00000000000000000000000000000000-glibc-2.42-67/etc/ld.so.cache"
    redirected = redirect.redirect(
        INTERPRETER.read_bytes(), rb"Usage: %s \[OPTION\][^\0]*", {b"/etc/ld.so.cache": theirs}
    )
    (tmp_path / "loader").write_bytes(redirected)
    (tmp_path / "libraries").mkdir()
    mapped = {line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()}
    found = next((path for path in mapped if f"/lib{lzma.__name__}.so." in path), None)
    if found is None:
        pytest.skip("this Python has liblzma within it")
    wanted = tmp_path / "libraries" / elf.read(Path(found).read_bytes()).soname
    shutil.copyfile(found, wanted)
    # A short name, as in the store: the path has to fit where nixpkgs' stands.
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        python, printed = launched(Path(short), tmp_path / "loader", wanted.parent)
        assert printed == ""
        code = (
            "import ctypes.util\nname = ctypes.util.find_library('lzma')\nctypes.CDLL(name)\n"
            "maps = {line.split()[-1] for line in open('/proc/self/maps') if name in line}\n"
            "print(*maps, ctypes.util.find_library('c'))"
        )
        said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == f"{wanted} None\n"


@ours
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_built_here_is_what_counts(evaluate: Evaluate, system: str) -> None:
    """Of nixpkgs nothing; on macOS no interpreter is patched."""
    found = evaluate("builtins.attrNames project.recipes", system)
    launcher = [] if system.endswith("-darwin") else ["base.launcher"]
    assert found == ["base.builder", *launcher, "environment", "root", "shell", "wheels.six"]
