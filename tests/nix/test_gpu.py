"""How an environment comes to the machine's GPU driver, and CUDA's libraries in wheels to each other.

The driver is a stand-in, at the places where a machine has it: seen by the tests' processes alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gpu import pack
from lab import PYTHON
from support.driver import ANSWER, VERSION, compile_library, compiler, stand_in
from support.nix import SYSTEM
from support.project import Project
from support.wheels import make_wheel

from nixgen.machine import driver

if TYPE_CHECKING:
    from lab import Lab
    from support.nix import Nix, Output

pytestmark = [
    pytest.mark.skipif(not SYSTEM.endswith("-linux") or compiler() is None, reason="needs Linux and a C compiler"),
    pytest.mark.one_nix,
]

# What a process has loaded that is not in the store, and what the driver answers.
LOADED = """
import ctypes, json, os, subprocess, sys
def loaded():
    paths = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "/" in line}
    return sorted(path for path in paths if not path.startswith("/nix/store/"))
def driver():
    version = ctypes.c_int()
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return version.value
def has(name):
    try: return bool(ctypes.CDLL(name))
    except OSError as error: return str(error)
"""
# A program of the machine that loads the driver by its name, and prints all that it has loaded.
PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
  if (!dlopen("libcuda.so.1", RTLD_NOW)) { puts(dlerror()); return 1; }
  FILE *maps = fopen("/proc/self/maps", "r");
  for (int c; (c = fgetc(maps)) != EOF;) putchar(c);
  return 0;
}
"""
CUDART = "int version(void) { return %d; }"
CALLS = "extern int version(void); int answer(void) { return version(); }"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine's driver; beside it the cache that names it, and a program of the machine."""
    folder = tmp_path_factory.mktemp("host")
    stand_in(folder / "lib")
    (folder / "conf").write_text(f"include /etc/ld.so.conf\n{folder}/lib\n")
    ldconfig = shutil.which("ldconfig", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert ldconfig is not None
    subprocess.run([ldconfig, "-X", "-f", folder / "conf", "-C", folder / "cache"], check=True, capture_output=True)
    program = compiler()
    assert program is not None
    subprocess.run([program, "-x", "c", "-", "-ldl", "-o", folder / "program"], input=PROGRAM.encode(), check=True)
    return folder


@pytest.fixture
def shell(lab: Lab) -> str:
    return f"nix-shell -E '({lab.expression()}).shell'"


def opengl(folder: Path) -> str:
    """The beginning of a script: a machine with its driver where NixOS has it."""
    return f"mount -t tmpfs none /run && mkdir /run/opengl-driver && ln -s {folder} /run/opengl-driver/lib && "


def ask(lab: Lab, place: str, shell: str, code: str, *, folder: Path, **env: str) -> tuple[Any, Output]:
    """What Python code with an ``answer`` gives in the shell, where the machine has what ``place`` puts there."""
    (folder / "code.py").write_text(f"{LOADED}{code}\nprint(json.dumps(answer))\n")
    script = f"{place} {shell} --run 'python {folder}/code.py'"
    done = lab.nix.inside("sh", "-c", script, cwd=folder, **{"XDG_RUNTIME_DIR": str(folder), **env})
    return json.loads(done.stdout.splitlines()[-1]), done


def test_a_shell_leads_to_the_driver_and_to_nothing_else_of_the_machine(
    lab: Lab, shell: str, host: Path, tmp_path: Path
) -> None:
    code = 'answer = driver(), loaded(), has("libhost.so.1"), dict(os.environ)'
    (version, loaded, other, env), done = ask(lab, opengl(host / "lib"), shell, code, folder=tmp_path)
    assert version == ANSWER
    assert loaded == [f"{host}/lib/libcuda.so.{VERSION}"]  # its libm and libc are the environment's
    assert other == "libhost.so.1: cannot open shared object file: No such file or directory"
    folder = Path(env["LD_LIBRARY_PATH"])
    assert env["TRITON_LIBCUDA_PATH"] == str(folder)
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "nixgen: " not in done.stderr


@pytest.mark.parametrize(("program", "end"), [("sh", ""), ("zsh", ""), ("fish", ".fish"), ("tcsh", ".csh")])
def test_an_activated_venv_leads_to_the_driver(
    lab: Lab, shell: str, host: Path, tmp_path: Path, program: str, end: str
) -> None:
    """As in an editor's terminal, which knows nothing of the shell."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    venv = lab.nix.inside(
        "sh", "-c", f"{shell} --run 'echo $VIRTUAL_ENV'", XDG_RUNTIME_DIR=str(tmp_path)
    ).stdout.strip()
    (tmp_path / "code.py").write_text(f"{LOADED}print(driver(), loaded(), sys.prefix)\n")
    # Python's own for csh wants a prompt.
    source = {"sh": ".", "tcsh": "set prompt = '> '\nsource"}.get(program, "source")
    (tmp_path / "typed").write_text(f"{source} {venv}/bin/activate{end}\npython {tmp_path}/code.py\ndeactivate\n")
    run, env = [program, tmp_path / "typed"], {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = lab.nix.inside(*run, NIXGEN_DRIVER=f"{host}/lib", **env)
    assert done.stdout == f"{ANSWER} ['{host}/lib/libcuda.so.{VERSION}'] {venv}\n"
    (tmp_path / "code.py").write_text("print('no driver')")
    quiet = lab.nix.inside(*run, NIXGEN_DRIVER="off", **env)
    assert (quiet.stdout, quiet.stderr) == ("no driver\n", "")


def test_the_venvs_python_by_itself_finds_the_driver(lab: Lab, shell: str, host: Path, tmp_path: Path) -> None:
    """As an editor starts it; nothing else of the machine is loaded, and what it starts inherits nothing."""
    venv = lab.nix.inside("sh", "-c", f"{shell} --run 'echo $VIRTUAL_ENV'").stdout.strip()
    code = """
import ctypes.util
env = subprocess.run(["env"], capture_output=True, text=True).stdout
names = [ctypes.util.find_library(name) for name in ("cuda", "z", "host")]
answer = driver(), loaded(), names, [line for line in env.splitlines() if line.startswith(("LD_", "NIXGEN_LED"))]
"""
    by_itself = f"sh -c '{venv}/bin/python code.py' --"
    (version, loaded, names, env), _ = ask(lab, opengl(host / "lib"), by_itself, code, folder=tmp_path)
    assert (version, loaded) == (ANSWER, [f"{host}/lib/libcuda.so.{VERSION}"])
    assert names == ["libcuda.so.1", "libz.so.1", None]
    assert env == []


def test_where_there_is_no_driver_nothing_is_set(lab: Lab, shell: str, tmp_path: Path) -> None:
    if any(map(os.path.exists, driver.SIGNS)):
        pytest.skip("this machine has a driver")
    code = 'answer = has("libcuda.so.1"), [name for name in os.environ if "LIBRARY" in name], os.listdir(".")'
    (found, names, made), _ = ask(lab, f"mount --bind {os.devnull} /etc/ld.so.cache &&", shell, code, folder=tmp_path)
    assert "cannot open" in found
    assert names == []
    assert made == ["code.py"]


def test_a_program_of_the_machine_loads_what_it_did_before(lab: Lab, shell: str, host: Path, tmp_path: Path) -> None:
    """Its loader finds the driver by the cache; started from Python in the shell, it finds the same."""
    program = f"{host}/program"
    cache = f"mount --bind {host}/cache /etc/ld.so.cache &&"

    def files(text: str) -> set[str]:
        return {line.split(maxsplit=5)[5] for line in text.splitlines() if "/" in line}

    before = lab.nix.inside("sh", "-c", f"{cache} exec {program}").stdout
    code = f'answer = driver(), loaded(), subprocess.run(["{program}"], capture_output=True, text=True).stdout'
    (version, loaded, after), _ = ask(lab, cache, shell, code, folder=tmp_path)
    assert version == ANSWER
    assert loaded == [f"{host}/lib/libcuda.so.{VERSION}"]
    assert files(before) == files(after)
    assert f"{host}/lib/libcuda.so.{VERSION}" in files(after)


def test_the_driver_is_not_looked_for_where_that_is_off(lab: Lab, host: Path, tmp_path: Path) -> None:
    shell = f"nix-shell -E '({lab.with_arguments(cuda='off').expression()}).shell'"
    code = 'answer = has("libcuda.so.1"), os.environ.get("LD_LIBRARY_PATH")'
    (found, path), done = ask(lab, opengl(host / "lib"), shell, code, folder=tmp_path)
    assert "cannot open" in found
    assert path is None
    assert "nixgen: " not in done.stderr


def test_a_driver_that_is_too_new_is_refused_and_the_shell_is_there(lab: Lab, shell: str, tmp_path: Path) -> None:
    newer = stand_in(tmp_path / "newer", wants=("libc.so.6", "GLIBC_9.99"))
    code = 'answer = has("libcuda.so.1"), os.confstr("CS_GNU_LIBC_VERSION")'
    (found, libc), done = ask(lab, opengl(newer), shell, code, folder=tmp_path)
    assert "cannot open" in found
    said, hint = [line for line in done.stderr.splitlines() if "glibc" in line or "hint" in line]
    path = "/run/opengl-driver/lib/libcuda.so.1"
    needs = f"needs glibc 9.99, and this environment has {libc}"
    assert said == f"nixgen: NVIDIA's driver {VERSION} ({path}) {needs}"
    assert hint.startswith("  hint: a newer base (suite or nixpkgs under [tool.nixgen]), then: nixgen sync")


def test_a_service_leads_to_the_driver(lab: Lab, host: Path, tmp_path: Path) -> None:
    rows = [{"name": "api", "command": ["python", "-c", f"{LOADED}print(json.dumps([driver(), loaded()]))"]}]
    for cuda, expected in (("auto", [ANSWER, [f"{host}/lib/libcuda.so.{VERSION}"]]), ("off", None)):
        service = lab.with_arguments(services=rows, cuda=cuda).build("services.api")
        script = f"{opengl(host / 'lib')} exec {service}/bin/api"
        done = lab.nix.inside("sh", "-c", script, check=False, XDG_RUNTIME_DIR=str(tmp_path))
        assert (json.loads(done.stdout) if done.ok else None) == expected


def library(name: str, folder: Path, text: str, **how: Any) -> bytes:
    return compile_library(folder / name, text, **how).read_bytes()


@pytest.fixture(scope="module")
def wheels(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """CUDA's libraries as wheels have them, in the layouts of cu12 and cu13, and wheels that use them as these do."""
    made = tmp_path_factory.mktemp("libraries")
    cudart = compile_library(made / "libcudart.so.12", CUDART % 12)
    newer = compile_library(made / "libcudart.so.13", CUDART % 13)
    blas = "extern int version(void); int blas(void) { return version(); }"
    beside = {"nvidia/__init__.py": ""}

    def wheel(name: str, files: Mapping[str, str | bytes]) -> Path:
        return make_wheel(lab.wheels, name, "12.8.1", files)

    cublas = library("libcublas.so.12", made, blas, needs=[cudart], search="$ORIGIN/../../cuda_runtime/lib")
    ways = "$ORIGIN:$ORIGIN/../../nvidia/cublas/lib:$ORIGIN/../../nvidia/cuda_runtime/lib"
    calls = "extern int blas(void); int answer(void) { return blas(); }"
    torch = library("libtorch_cuda.so", made, calls, needs=[made / "libcublas.so.12", cudart], search=ways)
    plugin = library("xla_cuda_plugin.so", made, CALLS, needs=[cudart], search="$ORIGIN/../../nvidia/cuda_runtime/lib")
    plain = library("runtime.so", made, CALLS, needs=[cudart])
    provider = library("libprovider.so", made, CALLS, needs=[cudart], search="$ORIGIN")
    return [
        wheel("nvidia-cuda-runtime-cu12", {**beside, "nvidia/cuda_runtime/lib/libcudart.so.12": cudart.read_bytes()}),
        wheel("nvidia-cublas-cu12", {**beside, "nvidia/cublas/lib/libcublas.so.12": cublas}),
        wheel("nvidia-cuda-runtime", {"nvidia/cu13/lib/libcudart.so.13": newer.read_bytes()}),
        wheel("nvidia-cublas", {
            "nvidia/cu13/lib/libcublas.so.13": library("libcublas.so.13", made, blas, needs=[newer], search="$ORIGIN")
        }),
        wheel("torch", {"torch/__init__.py": "", "torch/lib/libtorch_cuda.so": torch}),
        wheel("jax-cuda12-plugin", {"jax_plugins/xla/__init__.py": "", "jax_plugins/xla/xla_cuda_plugin.so": plugin}),
        wheel("cupy-cuda12x", {"cupy/__init__.py": "", "cupy/runtime.so": plain}),
        wheel("onnxruntime-gpu", {"onnxruntime/__init__.py": "", "onnxruntime/capi/libprovider.so": provider}),
    ]  # fmt: skip


# How each finds CUDA's libraries and its own, in few lines.
LOADING = {
    "torch": (12, """
        import torch
        answer = ctypes.CDLL(os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cuda.so")).answer()
    """),
    # It loads its plugin from the wheel itself, behind the link; what that needs is there by then.
    "jax": (12, """
        import importlib, pathlib
        import jax_plugins.xla as own
        ctypes.CDLL(importlib.import_module("nvidia.cuda_runtime").__path__[0] + "/lib/libcudart.so.12")
        answer = ctypes.CDLL(str(pathlib.Path(own.__file__).resolve().parent / "xla_cuda_plugin.so")).answer()
    """),
    "cu13": (13, """
        import nvidia.cu13
        answer = ctypes.CDLL(nvidia.cu13.__path__[0] + "/lib/libcublas.so.13").blas()
    """),
    # cuda.pathfinder, which cupy, numba-cuda and cuda-bindings use.
    "cupy": (12, """
        import site
        import cupy
        places = [place + "/nvidia/cuda_runtime/lib/libcudart.so.12" for place in site.getsitepackages()]
        ctypes.CDLL(next(filter(os.path.exists, places)))
        answer = ctypes.CDLL(os.path.dirname(cupy.__file__) + "/runtime.so").answer()
    """),
    "onnxruntime": (12, """
        import onnxruntime
        above = os.path.normpath(os.path.dirname(onnxruntime.__file__) + "/..")
        ctypes.CDLL(above + "/nvidia/cuda_runtime/lib/libcudart.so.12")
        answer = ctypes.CDLL(os.path.dirname(onnxruntime.__file__) + "/capi/libprovider.so").answer()
    """),
}  # fmt: skip


def test_the_libraries_of_the_lock_are_found_beside_each_other(
    lab: Lab, wheels: Sequence[Path], tmp_path: Path
) -> None:
    """Also where LD_LIBRARY_PATH tells of another CUDA, an older one with the same names."""
    older = compile_library(tmp_path / "cuda/lib64/libcudart.so.12", CUDART % 11).parent
    compile_library(older / "libcudart.so.13", CUDART % 11)
    for name, (_, code) in LOADING.items():
        (tmp_path / f"use-{name}.py").write_text(f"{LOADED}{textwrap.dedent(code)}\nprint(answer, loaded())\n")
    command = f"for name in {' '.join(LOADING)}; do python {tmp_path}/use-$name.py; done"
    script = f"nix-shell -E '({lab.expression(wheels)}).shell' --run '{command}'"
    done = lab.nix.inside("sh", "-c", script, XDG_RUNTIME_DIR=str(tmp_path), LD_LIBRARY_PATH=f"/opt/no:{older}")
    assert done.stdout.splitlines() == [f"{number} []" for number, _ in LOADING.values()]
    said = f"nixgen: LD_LIBRARY_PATH is used without {older}: its libcudart.so.12 would replace the environment's"
    assert said in done.stderr.splitlines()


def test_triton_compiles_against_the_driver(lab: Lab, shell: str, host: Path, tmp_path: Path) -> None:
    """It asks TRITON_LIBCUDA_PATH for a folder, has a C compiler link with -lcuda there, and loads what comes of it."""
    (tmp_path / "main.c").write_text(
        "int cuDriverGetVersion(int *); int ask(void) { int n = 0; cuDriverGetVersion(&n); return n; }"
    )
    for link in ("-lcuda", "-l:libcuda.so.1"):
        code = (
            "folder = os.environ['TRITON_LIBCUDA_PATH']\n"
            f"command = ['gcc', 'main.c', '-shared', '-fPIC', '-o', 'made.so', '{link}', '-L' + folder]\n"
            "subprocess.run(command, check=True)\n"
            f"answer = ctypes.CDLL('{tmp_path}/made.so').ask(), loaded()"
        )
        (found, loaded), _ = ask(lab, opengl(host / "lib"), shell, code, folder=tmp_path)
        assert found == ANSWER
        assert loaded == sorted([f"{host}/lib/libcuda.so.{VERSION}", f"{tmp_path}/made.so"])


# What triton's own module asks the driver for beside what the stand-in answers.
ASKED = """
    cuCtxGetCurrent cuCtxGetDevice cuCtxGetLimit cuCtxSetCurrent cuCtxSetLimit cuDeviceGet cuDeviceGetAttribute
    cuDevicePrimaryCtxRetain cuFuncGetAttribute cuFuncSetAttribute cuFuncSetCacheConfig cuGetErrorString
    cuModuleGetFunction cuModuleLoadData cuModuleUnload cuPointerGetAttribute cuStreamIsCapturing
"""


@pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")
@pytest.mark.network
def test_triton_itself_compiles_and_loads_its_module(nix28: Nix, tmp_path: Path) -> None:
    """With Python's headers, which `init` adds, and the machine's C compiler. Its ptxas is a program of the wheel."""
    host = stand_in(tmp_path / "driver", functions=ASKED.split())
    project = Project.make(tmp_path / "demo", "triton==3.9.0")
    project.must("init", "--base", "debian", "--python", PYTHON, "--system", SYSTEM)
    assert "libpython3.13-dev" in (project.folder / "pyproject.toml").read_text()
    (tmp_path / "code.py").write_text(
        f"{LOADED}\n"
        "import triton\n"
        "from triton.backends.nvidia import driver\n"
        "driver.CudaUtils()\n"
        "own = os.path.dirname(os.path.realpath(triton.__file__))\n"
        "subprocess.run([own + '/backends/nvidia/bin/ptxas', '--version'], check=True, stdout=subprocess.DEVNULL)\n"
        "print(json.dumps(loaded()))\n"
    )
    env = {"NIXGEN_DRIVER": str(host), "TRITON_CACHE_DIR": str(tmp_path / "cache"), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = nix28.shell(project.folder, f"python {tmp_path}/code.py", **env)
    module, library = json.loads(done.stdout.splitlines()[-1])
    assert module.startswith(str(tmp_path / "cache"))
    assert library == f"{host}/libcuda.so.{VERSION}"


@pytest.mark.skipif(not os.environ.get("NIXGEN_TEST_BUILDS"), reason="slow: make test-builds")
@pytest.mark.network
def test_what_is_packed_for_a_machine_with_a_gpu_runs_where_there_is_no_nix(nix28: Nix, tmp_path: Path) -> None:
    """As far as the stand-in answers; cuda.pathfinder finds the runtime of the lock."""
    pack.pack(nix28, tmp_path, tmp_path / "gpu.tar.gz")
    subprocess.run(["tar", "xzf", "gpu.tar.gz"], cwd=tmp_path, check=True)
    host = stand_in(tmp_path / "driver")
    command = [tmp_path / "gpu/start", "--stand-in", str(host)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"devices: {ANSWER} 1\n" in done.stdout
    assert "/site-packages/nvidia/cu13/lib/libcudart.so.13\n" in done.stdout
    assert done.stdout.endswith(f"loaded of the machine:\n  {host}/libcuda.so.{VERSION}\n")
