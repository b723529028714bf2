"""A project's .venv by itself: what pip says in it, and how its Python comes to a GPU's driver (nix/builders/own)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest
from support.driver import ANSWER, compiler, stand_in
from support.nix import ROOT

from nixgen.machine import driver

SAID = "nixgen: this environment has what uv.lock says, and pip changes nothing in it. To add packages: nixgen add"


@pytest.fixture(scope="module")
def ownvenv() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ownvenv", ROOT / "nix/builders/own/ownvenv.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(ownvenv: ModuleType, folder: Path, *, pip: bool) -> Path:
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    if pip:
        (site,) = environment.glob("lib/python3.*/site-packages")
        (site / "pip").mkdir()
        (site / "pip/__main__.py").write_text("import sys; print('pip ran:', *sys.argv[1:])\n")
        program = environment / "bin/pip"
        program.write_text(f"#!{environment}/bin/python\nimport sys; print('pip ran:', *sys.argv[1:])\n")
        program.chmod(0o755)
    place = folder / "project/.venv"
    place.parent.mkdir()
    ownvenv.make(str(place), str(environment), str(place.parent), [], "demo")
    return place


def run(place: Path, *words: str) -> tuple[int, str, str]:
    env = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def first_of(folder: Path) -> str:
    """What comes before the venv's own folder in sys.path, as long as nothing was installed there."""
    (site,) = (folder / "environment").glob("lib/python3.*/site-packages")
    return str(site)


WAYS = (
    ("pip",),
    ("pip3",),
    ("python", "-m", "pip"),
    ("python", "-mpip"),
    ("python", "-I", "-W", "ignore", "-m", "pip"),
)


@pytest.mark.parametrize("pip", [True, False])
def test_every_way_to_install_ends_in_one_sentence(ownvenv: ModuleType, tmp_path: Path, *, pip: bool) -> None:
    place = made(ownvenv, tmp_path, pip=pip)
    for way in WAYS:
        expected = (1, "", f"{SAID} 'six>=1' idna\n")
        assert run(place, *way, "install", "-U", "six>=1", "--quiet", "idna") == expected, way
        assert run(place, *way, "-q", "install", "-r", "more.txt") == (1, "", f"{SAID} -r more.txt\n")
    (site,) = place.glob("lib/python3.*/site-packages")
    assert run(place, "python", "-c", "import sys; print(sys.path[-2:])")[1] == f"{[first_of(tmp_path), str(site)]}\n"
    assert run(place, "pip", "install") == (1, "", f"{SAID} NAME\n")
    assert run(place, "pip", "uninstall", "-y", "six")[2].endswith("To remove packages: nixgen remove six\n")


def test_pip_does_what_else_it_can(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=True)
    for way in (("pip",), ("python", "-m", "pip")):
        assert run(place, *way, "list", "install.txt") == (0, "pip ran: list install.txt\n", "")
        assert run(place, *way, "install", "--target", "x", "six") == (0, "pip ran: install --target x six\n", "")


def test_without_pip_it_says_so_and_never_runs_the_machines(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=False)
    for way in WAYS:
        code, out, err = run(place, *way, "list")
        assert (code, out) == (1, "")
        assert err.startswith("nixgen: there is no pip in this environment. ")


def test_other_programs_are_left_alone(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = made(ownvenv, tmp_path, pip=False)
    script = tmp_path / "pip"
    script.write_text("import sys; print(*sys.argv[1:])\n")
    assert run(place, "python", str(script), "install", "six") == (0, "install six\n", "")
    assert run(place, "python", "-c", "print('pip')", "pip", "install") == (0, "pip\n", "")
    assert run(place, "python", "-m", "pipes_", "install")[2].endswith("No module named pipes_\n")


# What the driver answers, and what this process and those that it starts have of it.
ASKS = """
import ctypes, ctypes.util, os, subprocess, sys
version = ctypes.c_int()
ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
print(version.value, ctypes.util.find_library("cuda"), ctypes.util.find_library("nvidia-ml"), os.getpid(), sys.argv[1:])
env = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout.splitlines()
print(*sorted(line for line in env if line.startswith(("LD_", "NIXGEN_"))), sys.stdin.read())
"""
needs_driver = pytest.mark.skipif(compiler() is None or sys.platform != "linux", reason="needs Linux and a C compiler")


def led(ownvenv: ModuleType, folder: Path, **what: object) -> Path:
    """A venv over an environment without anything, whose Python looks for a driver."""
    venv.create(folder / "environment", symlinks=True)
    (folder / "project").mkdir()
    (folder / "run").mkdir(mode=0o700)
    place = folder / "project/.venv"
    given = {"driver": driver.__file__, "cuda": "auto", "signs": [f"{folder}/libcuda.so.1"], **what}
    ownvenv.make(str(place), f"{folder}/environment", str(place.parent), [], "demo", driver=given)
    return place


def ask(place: Path, *words: str, **env: str) -> tuple[int, str, str]:
    """What Python prints that an editor starts, say, which knows no shell of nixgen's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "NIXGEN", "PYTHON"))}
    env = {**own, "XDG_RUNTIME_DIR": str(place.parents[1] / "run"), **env}
    with subprocess.Popen(
        [f"{place}/bin/python", *words], env=env, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        out, err = process.communicate("typed")
        return process.returncode, out.replace(str(process.pid), "PID"), err


@needs_driver
@pytest.mark.parametrize("theirs", ["", "/no/such:/other"])
def test_python_by_itself_finds_the_driver_and_hands_nothing_on(
    ownvenv: ModuleType, tmp_path: Path, theirs: str
) -> None:
    """The same process, with what it was given; and its children have what it was started with."""
    place, env = led(ownvenv, tmp_path), {"NIXGEN_DRIVER": str(stand_in(tmp_path / "lib"))}
    if theirs:
        env["LD_LIBRARY_PATH"] = theirs
    code, out, err = ask(place, "-I", "-c", ASKS, "a b", "", **env)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == f"{ANSWER} libcuda.so.1 libnvidia-ml.so.1 PID ['a b', '']"
    assert second.split() == [*sorted(f"{name}={value}" for name, value in env.items()), "typed"]


@needs_driver
def test_in_the_shell_it_is_there_already(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = led(ownvenv, tmp_path)
    folder = driver.find(str(stand_in(tmp_path / "lib")))
    assert folder is not None
    (made := tmp_path / "nixgen-driver-0-0").mkdir()
    for name, path in folder.libraries.items():
        (made / name).symlink_to(path)
    out = ask(place, "-c", ASKS, LD_LIBRARY_PATH=str(made))[1].splitlines()
    assert out == [f"{ANSWER} libcuda.so.1 libnvidia-ml.so.1 PID []", f"LD_LIBRARY_PATH={made} typed"]


MODULES = "import os, sys; print('_nixgen_driver' in sys.modules, [name for name in os.environ if 'NIXGEN' in name])"


@needs_driver
def test_nothing_is_done_where_there_is_nothing_to_find(ownvenv: ModuleType, tmp_path: Path) -> None:
    place = led(ownvenv, tmp_path)
    assert ask(place, "-c", MODULES) == (0, "False []\n", "")
    # One that cannot be used: the shell says why, and a program that is run by an editor nothing.
    newer = stand_in(tmp_path / "newer", wants=("libc.so.6", "GLIBC_9.99"))
    for env in ({"NIXGEN_DRIVER": str(newer)}, {"NIXGEN_DRIVER": "/no/such"}, {"NIXGEN_DRIVER": "off"}):
        assert ask(place, "-c", MODULES, **env) == (0, "True ['NIXGEN_DRIVER']\n", "")
    # Another Python that only looks into its folder is left alone.
    (site,) = place.glob("lib/python3.*/site-packages")
    other = f"import os, site; site.addsitedir({str(site)!r}); print(os.environ.get('LD_LIBRARY_PATH'))"
    env = {**os.environ, "NIXGEN_DRIVER": str(stand_in(tmp_path / "lib"))}
    done = subprocess.run([sys.executable, "-c", other], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{os.environ.get('LD_LIBRARY_PATH')}\n"
    (tmp_path / "off").mkdir()
    assert ask(led(ownvenv, tmp_path / "off", cuda="off"), "-c", MODULES)[1] == "False []\n"
