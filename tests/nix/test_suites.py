"""Every suite that the debian base offers, built and entered: Python, libraries, and tools with their own files."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from builders import elf, hostpaths, relink
from lab import locked
from support.nix import SYSTEM, Nix
from support.project import Project

from nixgen.bases.debian import suites

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux"),
]
WANTED = """
[tool.nixgen]
base = "debian"
systems = ["{system}"]
suite = "{suite}"
tools = [{tools}]
libraries = [{libraries}]
smoke = ["git init -q x", "git -C x submodule status"]
"""
# gcc, where patchelf 0.18 (trixie's) spoilt cc1; graphviz has plugins, which are set up when it is installed.
TOOLS = dict.fromkeys(suites.SUITES, ("file", "git", "jq", "mawk", "pv", "vim-tiny"))
TOOLS["trixie"] = ("file", "gcc", "git", "graphviz", "jq", "mawk", "pv", "vim-tiny")
LIBRARIES = ("liblapack3", "libsndfile1", "python3-gdbm", "python3-tk")
# What the base must not take from the machine: libmagic's database, Tcl's library, the fonts that are configured.
ASKING = """
import ctypes, dbm.gnu, json, tkinter
magic = ctypes.CDLL("libmagic.so.1")
magic.magic_open.restype, magic.magic_buffer.restype = ctypes.c_void_p, ctypes.c_char_p
magic.magic_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
magic.magic_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
cookie = magic.magic_open(0)
magic.magic_load(cookie, None)
fonts = ctypes.CDLL("libfontconfig.so.1")
fonts.FcConfigFilename.restype = ctypes.c_char_p
found = [tkinter.Tcl().eval("info library"), fonts.FcConfigFilename(None).decode()]
print(json.dumps([magic.magic_buffer(cookie, b"%PDF-1.4", 8).decode(), *found]))
"""


def make(stores: Path, suite: str) -> Project:
    """The project of a suite, pinned once for all workers of a run."""
    folder = stores / f"suite-{suite}"
    with locked(stores / f"suite-{suite}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            quoted = [", ".join(f'"{name}"' for name in names) for names in (TOOLS[suite], LIBRARIES)]
            more = WANTED.format(system=SYSTEM, suite=suite, tools=quoted[0], libraries=quoted[1])
            project = Project.make(folder, more=more)
            (folder / "asking.py").write_text(ASKING)
            project.must("init", "--base", "debian", "--ci", "none")
            (folder / "done").touch()
    Project(folder).must("generate")
    return Project(folder)


# Ubuntu's is tried over a small archive of the tests' own: no mirror of the real one is at hand.
DEBIANS = sorted(name for name, suite in suites.SUITES.items() if suite.vendor == "Debian")
# sid is forky a few days on: half a minute of the processor that `make test-builds` spends.
needs_time = pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")


@pytest.fixture(params=[pytest.param(name, marks=needs_time) if name == "sid" else name for name in DEBIANS])
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_environment_of_each_suite_with_a_library_and_tools(suite: str, nix28: Nix, stores: Path) -> None:
    """Case 60: on trixie each project with tools or libraries failed, and cc1 was spoilt."""
    project = make(stores, suite)
    code = "import ctypes, sys; ctypes.CDLL('libsndfile.so.1'); print('Python', *sys.version_info[:2])"
    commands = [f'python -c "{code}"', "echo 3 | jq .+4", "git --version", "pv --version"]
    commands += ['echo "int f(void) { return 3; }" | gcc -x c -S -o - -'] if "gcc" in TOOLS[suite] else []
    said = nix28.shell(project.folder, " && ".join(commands)).stdout.splitlines()
    major, minor = suites.SUITES[suite].pythons[0].split(".")
    assert said[:2] == [f"Python {major} {minor}", "7"]
    assert said[2].startswith("git version")
    assert said[3].startswith("pv ")
    assert ("f:" in said) is ("gcc" in TOOLS[suite])


def test_tools_and_libraries_use_their_own_files(suite: str, nix28: Nix, stores: Path) -> None:
    """Cases 1 and 13: what Debian compiled in as /usr/… is led into the store, whatever the machine has there."""
    project = make(stores, suite)
    nix28.build(project.folder, "smoke")
    python = nix28.build(project.folder, "environment") / "bin/python"
    pdf, library, fonts = json.loads(nix28.inside(python, project.folder / "asking.py", cwd=project.folder).stdout)
    assert pdf == "PDF document, version 1.4"
    assert library.startswith("/nix/store/")
    assert fonts.startswith("/nix/store/")
    assert fonts.endswith(f"-{suite}/etc/fonts/fonts.conf")
    # Those of the machine and of the user are others on the next machine.
    folders = re.findall(r"<dir[^>]*>([^<]*)", nix28.real(fonts).read_text())
    assert [folder for folder in folders if not folder.startswith("/nix/store/")] == []
    assert folders
    commands = ["git --exec-path", "file --version | tail -n 1", 'perl -e \'print join(" ", @INC), "\\n"\'']
    # dot loads what asks fontconfig when it runs.
    commands += ["echo 'digraph {a -> b}' | dot -v -Tsvg 2>&1"] if "graphviz" in TOOLS[suite] else []
    said = nix28.shell(project.folder, " && ".join(commands)).stdout.splitlines()
    assert said[0].startswith("/nix/store/")
    assert said[1].startswith("magic file from /nix/store/")
    # Of a text that perl copies by its length, a path is left that no machine has.
    assert [path for path in said[2].split() if not path.startswith(("/nix/store/", "/NIX/"))] == []
    assert ("</svg>" in said) is ("graphviz" in TOOLS[suite])
    resolved = [line.rpartition('" ')[2] for line in said if line.startswith("fontname:")]
    assert [font for font in resolved if not font.startswith("/nix/store/")] == []
    assert bool(resolved) is ("graphviz" in TOOLS[suite])


def test_usual_names_are_those_that_debian_gives(suite: str, nix28: Nix, stores: Path) -> None:
    """Case 1: without update-alternatives vi and awk were the machine's, and libblas.so.3 was not there."""
    project = make(stores, suite)
    load = "import ctypes; print([ctypes.CDLL(f'lib{name}.so.3')._name for name in ('blas', 'lapack')])"
    commands = [
        'readlink -f "$(type -p vi)" "$(type -p editor)"',
        'echo 3 | awk "{ print \\$1 + 4 }"',
        f'python -c "{load}"',
    ]
    vi, editor, *said = nix28.shell(project.folder, " && ".join(commands)).stdout.splitlines()
    assert vi == editor
    assert vi.startswith("/nix/store/")
    assert vi.endswith("/usr/bin/vim.tiny")
    assert said == ["7", "['libblas.so.3', 'liblapack.so.3']"]


def test_no_path_of_the_machines_is_left_in_programs_and_libraries(nix28: Nix, stores: Path) -> None:
    """The build finds them by itself: searched is every text of every file, whatever package it is from."""
    project = make(stores, "trixie")
    core, extra = (nix28.build(project.folder, f"base.built.{part}") for part in ("core", "extra"))
    trees = hostpaths.Trees(str(nix28.real(extra)), str(nix28.real(core)))
    found = []
    for path in sorted(nix28.real(extra).rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith(("ld-linux", "libc.so")):
            content = path.read_bytes()
            if (facts := elf.read(content)) is not None and facts.dynamic:
                found += [(path.name, text) for _, text in hostpaths.searched(relink.File(content), trees)]
    assert found == []


def test_venv_says_what_works(suite: str, nix28: Nix, stores: Path, tmp_path: Path) -> None:
    """Case 13: it gave Debian's advice, to run apt."""
    python = nix28.build(make(stores, suite).folder, "environment") / "bin/python"
    done = nix28.inside(python, "-m", "venv", tmp_path / "venv", cwd=tmp_path, check=False)
    assert not done.ok
    assert "\n    uv venv\n" in done.stdout
    assert "apt install" not in done.stdout
    assert f"python{suites.SUITES[suite].pythons[0]}-venv" in done.stdout
